#include "services/knowledge-store/synonyms.h"

#include "services/knowledge-store/checks.h"
#include "services/knowledge-store/fold.h"

#include <stdio.h>

#define SETS_MAX  10000     /* the bound of synonyms_page */
#define BYTES_MAX (4 << 20) /* of all terms and notes: they travel in one frame, which may have 8 MiB */
#define TERMS_MIN 2
#define TERMS_MAX 50
#define TERM_MAX  100 /* code points */

/* ------------------------------------------------------------------ terms */

/* A set as it is checked, term by term. */
struct set {
    struct mirai_arena *arena;
    size_t count;
    struct mirai_str keys[TERMS_MAX];
    struct mirai_buf lines; /* the terms, one a line */
};

/* NULL, or what is wrong with the term. */
static const char *add_term(struct set *set, struct mirai_str given)
{
    struct mirai_str term = fold_tidy(set->arena, given);
    struct mirai_str key = fold_key(set->arena, term);
    if (key.len == 0) {
        return "too-short";
    }
    if (mirai_utf8_length(term) > TERM_MAX) {
        return "too-long";
    }
    if (!check_term(term)) {
        return "format";
    }
    for (size_t i = 0; i < set->count; i++) {
        if (mirai_str_eq(set->keys[i], key)) {
            return "duplicate";
        }
    }
    if (set->count == TERMS_MAX) {
        return "too-many";
    }
    if (set->count > 0) {
        mirai_buf_append_char(&set->lines, '\n');
    }
    mirai_buf_append_str(&set->lines, term);
    set->keys[set->count++] = key;
    return NULL;
}

static int check_terms(struct op *op, const struct mirai_strs *terms, struct set *set)
{
    char path[32];
    for (size_t i = 0; i < terms->count; i++) {
        const char *problem = add_term(set, terms->items[i]);
        if (problem != NULL) {
            snprintf(path, sizeof(path), "/terms/%zu", i);
            return op_fault(op, path, problem);
        }
    }
    return set->count < TERMS_MIN ? op_fault(op, "/terms", "too-short") : 0;
}

/* The terms as they are stored, in *lines. */
static int make_lines(struct op *op, const struct mirai_strs *terms, struct mirai_str *lines)
{
    struct set set = {.arena = &op->arena};
    int err = check_terms(op, terms, &set);
    *lines = mirai_arena_copy(&op->arena, mirai_buf_str(&set.lines));
    mirai_buf_free(&set.lines);
    return err;
}

/* ------------------------------------------------------------------ reading */

static struct mirai_strs split_lines(struct mirai_arena *arena, struct mirai_str lines)
{
    struct mirai_strs terms = {.items = mirai_arena_alloc(arena, TERMS_MAX * sizeof(*terms.items))};
    for (size_t start = 0; start < lines.len && terms.count < TERMS_MAX;) {
        const char *newline = memchr(lines.data + start, '\n', lines.len - start);
        size_t end = newline != NULL ? (size_t)(newline - lines.data) : lines.len;
        terms.items[terms.count++] = (struct mirai_str){lines.data + start, end - start};
        start = end + 1;
    }
    return terms;
}

static void read_set(struct op *op, struct db_rows *rows, struct mirai_synonyms *set)
{
    *set = (struct mirai_synonyms){0};
    mirai_set(synonyms, set, id, db_int(rows, 0));
    mirai_set(synonyms, set, terms, split_lines(&op->arena, db_text_copy(rows, 1, &op->arena)));
    if (db_text(rows, 2).len > 0) {
        mirai_set(synonyms, set, note, db_text_copy(rows, 2, &op->arena));
    }
    mirai_set(synonyms, set, updated_at, db_int(rows, 3));
}

int synonyms_list(struct op *op)
{
    struct mirai_synonyms_page result = {0};
    struct mirai_synonyms *items = mirai_arena_alloc(&op->arena, SETS_MAX * sizeof(*items));
    size_t count = 0;
    struct db_rows *rows = db_query(
        op->db, "SELECT id, terms, note, updated_at FROM synonyms ORDER BY id LIMIT ?1", DB_I(SETS_MAX));
    while (db_next(rows)) {
        read_set(op, rows, &items[count++]);
    }
    int err = db_end(rows);
    if (err != 0) {
        return err;
    }
    mirai_set(synonyms_page, &result, items, ((struct mirai_objects){items, count}));
    return op_result(op, &result);
}

static int reply_set(struct op *op, int64_t id)
{
    struct mirai_synonyms set;
    struct db_rows *rows =
        db_query(op->db, "SELECT id, terms, note, updated_at FROM synonyms WHERE id = ?1", DB_I(id));
    bool found = db_next(rows);
    if (found) {
        read_set(op, rows, &set);
    }
    int err = db_end(rows);
    return err != 0 ? err : found ? op_result(op, &set) : MIRAI_E_NOT_FOUND;
}

/* ------------------------------------------------------------------ writing */

/* Whether there is room for this set in place of set `id` (0: beside all others). */
static int check_room(struct op *op, int64_t id, struct mirai_str lines, struct mirai_str note)
{
    int64_t sets = 0, bytes = 0;
    struct db_rows *rows =
        db_query(op->db,
                 "SELECT count(*), ifnull(sum(length(CAST(terms AS BLOB)) + length(CAST(note AS BLOB))), 0)"
                 " FROM synonyms WHERE id <> ?1",
                 DB_I(id));
    if (db_next(rows)) {
        sets = db_int(rows, 0);
        bytes = db_int(rows, 1);
    }
    int err = db_end(rows);
    bool full = sets >= SETS_MAX || bytes + (int64_t)(lines.len + note.len) > BYTES_MAX;
    return err == 0 && full ? op_fail(op, MIRAI_E_CONFLICT, "there are too many synonyms") : err;
}

int synonyms_create(struct op *op)
{
    const struct mirai_synonyms_create *params = op->params;
    struct mirai_str lines;
    int err = make_lines(op, &params->terms, &lines);
    if (err == 0) {
        err = check_room(op, 0, lines, params->note);
    }
    if (err == 0) {
        err = db_exec(op->db, "INSERT INTO synonyms (terms, note, updated_at) VALUES (?1, ?2, ?3)",
                      DB_S(lines), DB_S(params->note), DB_I(op->now_ms));
    }
    if (err != 0) {
        return err;
    }
    int64_t id = db_last_id(op->db);
    op_object(op, "synonyms", id);
    err = op_change(op, MIRAI_CHANGE_VOCABULARY, id);
    return err != 0 ? err : reply_set(op, id);
}

int synonyms_replace(struct op *op)
{
    const struct mirai_synonyms_replace *params = op->params;
    int64_t id;
    struct mirai_str lines;
    op_object(op, "synonyms", params->id);
    int err = db_find_int(op->db, &id, "SELECT id FROM synonyms WHERE id = ?1", DB_I(params->id));
    if (err == 0) {
        err = make_lines(op, &params->terms, &lines);
    }
    if (err == 0) {
        err = check_room(op, params->id, lines, params->note);
    }
    if (err == 0) {
        err = db_exec(op->db, "UPDATE synonyms SET terms = ?2, note = ?3, updated_at = ?4 WHERE id = ?1",
                      DB_I(params->id), DB_S(lines), DB_S(params->note), DB_I(op->now_ms));
    }
    if (err == 0) {
        err = op_change(op, MIRAI_CHANGE_VOCABULARY, params->id);
    }
    return err != 0 ? err : reply_set(op, params->id);
}

int synonyms_delete(struct op *op)
{
    const struct mirai_by_id *params = op->params;
    op_object(op, "synonyms", params->id);
    int err = db_exec(op->db, "DELETE FROM synonyms WHERE id = ?1", DB_I(params->id));
    if (err == 0 && db_rows_changed(op->db) == 0) {
        err = MIRAI_E_NOT_FOUND;
    }
    return err != 0 ? err : op_change(op, MIRAI_CHANGE_VOCABULARY, params->id);
}

/* ------------------------------------------------------------------ the starter set */

/* The next piece of *rest up to `separator`, which is taken, too. */
static struct mirai_str take_until(struct mirai_str *rest, struct mirai_str separator)
{
    size_t len = 0;
    while (len < rest->len && (rest->len - len < separator.len ||
                               memcmp(rest->data + len, separator.data, separator.len) != 0)) {
        len++;
    }
    struct mirai_str piece = {rest->data, len};
    size_t taken = len < rest->len ? len + separator.len : len;
    rest->data += taken;
    rest->len -= taken;
    return piece;
}

static int seed_line(struct db *db, struct mirai_arena *arena, struct mirai_str line, int64_t now_ms)
{
    struct set set = {.arena = arena};
    while (line.len > 0) {
        (void)add_term(&set, take_until(&line, MIRAI_STR(" = ")));
    }
    int err = set.count < TERMS_MIN ? 0
                                    : db_exec(db, "INSERT INTO synonyms (terms, updated_at) VALUES (?1, ?2)",
                                              DB_S(mirai_buf_str(&set.lines)), DB_I(now_ms));
    mirai_buf_free(&set.lines);
    return err;
}

int synonyms_seed(struct db *db, struct mirai_str text, int64_t now_ms)
{
    struct mirai_arena arena = {0};
    int err = 0;
    for (size_t sets = 0; err == 0 && text.len > 0 && sets < SETS_MAX; sets++) {
        struct mirai_str line = take_until(&text, MIRAI_STR("\n"));
        if (line.len > 0 && line.data[0] != '#') {
            err = seed_line(db, &arena, line, now_ms);
        }
        mirai_arena_free(&arena);
    }
    return err;
}
