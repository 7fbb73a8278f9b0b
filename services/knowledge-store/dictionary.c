#include "services/knowledge-store/dictionary.h"

#include "services/knowledge-store/checks.h"
#include "services/knowledge-store/fold.h"

#define WORDS_MAX 10000 /* the bound of dictionary_page; at most 700 bytes each in a frame of 8 MiB */

static void read_word(struct op *op, struct db_rows *rows, struct mirai_dictionary_word *word)
{
    *word = (struct mirai_dictionary_word){0};
    mirai_set(dictionary_word, word, id, db_int(rows, 0));
    mirai_set(dictionary_word, word, surface, db_text_copy(rows, 1, &op->arena));
    if (db_text(rows, 2).len > 0) {
        mirai_set(dictionary_word, word, reading, db_text_copy(rows, 2, &op->arena));
    }
    mirai_set(dictionary_word, word, updated_at, db_int(rows, 3));
}

int dictionary_list(struct op *op)
{
    struct mirai_dictionary_page result = {0};
    struct mirai_dictionary_word *items = mirai_arena_alloc(&op->arena, WORDS_MAX * sizeof(*items));
    size_t count = 0;
    struct db_rows *rows =
        db_query(op->db, "SELECT id, surface, reading, updated_at FROM dictionary ORDER BY id LIMIT ?1",
                 DB_I(WORDS_MAX));
    while (db_next(rows)) {
        read_word(op, rows, &items[count++]);
    }
    int err = db_end(rows);
    if (err != 0) {
        return err;
    }
    mirai_set(dictionary_page, &result, items, ((struct mirai_objects){items, count}));
    return op_result(op, &result);
}

/* Hiragana, katakana of either width, their marks, and spaces. */
static bool is_kana(struct mirai_str s)
{
    for (size_t at = 0; at < s.len;) {
        if (s.data[at] == ' ') {
            at++;
            continue;
        }
        if (s.len - at < 3) {
            return false;
        }
        unsigned head = (unsigned char)s.data[at] & 0x0fu;
        unsigned c = head << 12 | ((unsigned char)s.data[at + 1] & 0x3fu) << 6 |
                     ((unsigned char)s.data[at + 2] & 0x3fu);
        bool three = ((unsigned char)s.data[at] & 0xf0u) == 0xe0u;
        if (!three || !((c >= 0x3041 && c <= 0x30ff) || (c >= 0xff66 && c <= 0xff9f))) {
            return false;
        }
        at += 3;
    }
    return true;
}

/* Room for one more that is not there yet. */
static int check_place(struct op *op, struct mirai_str key)
{
    int64_t found;
    int err = db_find_int(op->db, &found, "SELECT id FROM dictionary WHERE surface_key = ?1", DB_S(key));
    if (err != MIRAI_E_NOT_FOUND) {
        return err == 0 ? op_fail(op, MIRAI_E_CONFLICT, "the word is there already") : err;
    }
    err = db_find_int(op->db, &found, "SELECT count(*) FROM dictionary");
    return err == 0 && found >= WORDS_MAX ? op_fail(op, MIRAI_E_CONFLICT, "there are too many words") : err;
}

static int reply_word(struct op *op, int64_t id)
{
    struct mirai_dictionary_word word;
    struct db_rows *rows =
        db_query(op->db, "SELECT id, surface, reading, updated_at FROM dictionary WHERE id = ?1", DB_I(id));
    bool found = db_next(rows);
    if (found) {
        read_word(op, rows, &word);
    }
    int err = db_end(rows);
    return err != 0 ? err : found ? op_result(op, &word) : MIRAI_E_NOT_FOUND;
}

int dictionary_create(struct op *op)
{
    const struct mirai_dictionary_word_create *params = op->params;
    struct mirai_str surface = fold_tidy(&op->arena, params->surface);
    struct mirai_str reading = fold_tidy(&op->arena, params->reading);
    struct mirai_str key = fold_key(&op->arena, surface);
    if (key.len == 0) {
        return op_fault(op, "/surface", "too-short");
    }
    if (!check_term(surface)) {
        return op_fault(op, "/surface", "format");
    }
    if (!is_kana(reading)) {
        return op_fault(op, "/reading", "format");
    }
    int err = check_place(op, key);
    if (err == 0) {
        err = db_exec(
            op->db,
            "INSERT INTO dictionary (surface, surface_key, reading, updated_at) VALUES (?1, ?2, ?3, ?4)",
            DB_S(surface), DB_S(key), DB_S(reading), DB_I(op->now_ms));
    }
    if (err != 0) {
        return err;
    }
    int64_t id = db_last_id(op->db);
    op_object(op, "word", id);
    err = op_change(op, MIRAI_CHANGE_VOCABULARY, id);
    return err != 0 ? err : reply_word(op, id);
}

int dictionary_delete(struct op *op)
{
    const struct mirai_by_id *params = op->params;
    op_object(op, "word", params->id);
    int err = db_exec(op->db, "DELETE FROM dictionary WHERE id = ?1", DB_I(params->id));
    if (err == 0 && db_rows_changed(op->db) == 0) {
        err = MIRAI_E_NOT_FOUND;
    }
    return err != 0 ? err : op_change(op, MIRAI_CHANGE_VOCABULARY, params->id);
}
