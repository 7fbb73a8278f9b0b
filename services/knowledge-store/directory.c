#include "services/knowledge-store/directory.h"

#include "libcommon/config.h"
#include "services/knowledge-store/checks.h"
#include "services/knowledge-store/second_factor.h"
#include "services/knowledge-store/sessions.h"
#include "services/knowledge-store/users.h"

#include <ctype.h>
#include <stdlib.h>

#define HOUR_MS       INT64_C(3600000)
#define CLAIM_DEFAULT 100

int directory_place(struct op *op)
{
    const struct mirai_account_name *params = op->params;
    struct mirai_account_place result = {0};
    int64_t source;
    int err = db_find_int(op->db, &source, "SELECT source FROM users WHERE name_key = ?1",
                          DB_S(user_name_key(&op->arena, params->name)));
    if (err != 0 && err != MIRAI_E_NOT_FOUND) {
        return err;
    }
    mirai_set(account_place, &result, source, err == 0 ? (int)source : MIRAI_ACCOUNT_NONE);
    return op_result(op, &result);
}

/* ------------------------------------------------------------------ groups */

/* What two ways to write the same DN or name have in common: case does not count, nor do spaces after a comma. */
static struct mirai_str group_key(struct mirai_arena *arena, struct mirai_str name)
{
    struct mirai_str copy = mirai_arena_copy(arena, name);
    char *key = (char *)copy.data;
    size_t len = 0;
    for (size_t i = 0; i < copy.len; i++) {
        bool after_comma = len > 0 && key[len - 1] == ',' && !(len > 1 && key[len - 2] == '\\');
        if (key[i] != ' ' || !after_comma) {
            key[len++] = (char)tolower((unsigned char)key[i]);
        }
    }
    return (struct mirai_str){key, len};
}

static int compare_keys(const void *a, const void *b)
{
    const struct mirai_str *one = a, *other = b;
    int order = memcmp(one->data, other->data, one->len < other->len ? one->len : other->len);
    return order != 0 ? order : (one->len > other->len) - (one->len < other->len);
}

struct mapped_group {
    int64_t id;
    struct mirai_str key;
    bool member; /* by now */
};

/* The groups here that follow one of the directory. */
static int find_mapped(struct op *op, int64_t user_id, struct mapped_group **groups, size_t *count)
{
    int64_t rows_count;
    int err = db_find_int(op->db, &rows_count, "SELECT count(*) FROM groups WHERE directory <> ''");
    if (err != 0) {
        return err;
    }
    *count = 0;
    *groups = mirai_arena_alloc(&op->arena, ((size_t)rows_count + 1) * sizeof(**groups));
    struct db_rows *rows = db_query(op->db,
                                    "SELECT g.id, g.directory, EXISTS (SELECT 1 FROM group_members m "
                                    "WHERE m.group_id = g.id AND m.user_id = ?1) "
                                    "FROM groups g WHERE g.directory <> '' LIMIT ?2",
                                    DB_I(user_id), DB_I(rows_count));
    while (db_next(rows)) {
        struct mapped_group *group = &(*groups)[(*count)++];
        group->id = db_int(rows, 0);
        group->key = group_key(&op->arena, db_text(rows, 1));
        group->member = db_int(rows, 2) != 0;
    }
    return db_end(rows);
}

static int set_member(struct op *op, int64_t group_id, int64_t user_id, bool member)
{
    return db_exec(op->db,
                   member ? "INSERT INTO group_members (group_id, user_id) VALUES (?1, ?2)"
                          : "DELETE FROM group_members WHERE group_id = ?1 AND user_id = ?2",
                   DB_I(group_id), DB_I(user_id));
}

/* The user belongs to exactly those groups that follow one of `names`, and to those without a directory that it was
 * put into by hand. */
static int follow_groups(struct op *op, int64_t user_id, const struct mirai_strs *names, bool *changed)
{
    struct mirai_str *keys = mirai_arena_alloc(&op->arena, (names->count + 1) * sizeof(*keys));
    struct mapped_group *groups;
    size_t count;
    for (size_t i = 0; i < names->count; i++) {
        keys[i] = group_key(&op->arena, names->items[i]);
    }
    qsort(keys, names->count, sizeof(*keys), compare_keys);
    int err = find_mapped(op, user_id, &groups, &count);
    for (size_t i = 0; err == 0 && i < count; i++) {
        bool member = bsearch(&groups[i].key, keys, names->count, sizeof(*keys), compare_keys) != NULL;
        if (member != groups[i].member) {
            err = set_member(op, groups[i].id, user_id, member);
            *changed = true;
        }
    }
    return err;
}

/* ------------------------------------------------------------------ accounts */

/* What is known of an account before the directory's word on it. */
struct known {
    int64_t id; /* 0: there is none */
    int source, role;
    bool disabled, gone;
    struct mirai_str display_name;
};

static int find_known(struct op *op, struct mirai_str key, int64_t id, struct known *known)
{
    *known = (struct known){0};
    struct db_rows *rows =
        db_query(op->db,
                 "SELECT id, source, role, disabled, directory_gone, display_name FROM users "
                 "WHERE name_key = ?1 OR id = ?2",
                 DB_S_IF(id == 0, key), DB_I_IF(id != 0, id));
    if (db_next(rows)) {
        *known = (struct known){.id = db_int(rows, 0),
                                .source = (int)db_int(rows, 1),
                                .role = (int)db_int(rows, 2),
                                .disabled = db_int(rows, 3) != 0,
                                .gone = db_int(rows, 4) != 0,
                                .display_name = db_text_copy(rows, 5, &op->arena)};
    }
    return db_end(rows);
}

/* What the directory says; NULL data: nothing on that. */
struct word {
    int role;
    struct mirai_str directory_name, display_name, email;
    const struct mirai_strs *groups; /* NULL: nothing on them */
};

/* A directory holds what it likes: what breaks our own rules is left out, and is no reason to keep somebody out. */
static struct mirai_str usable(bool given, struct mirai_str text, bool (*check)(struct mirai_str))
{
    return given && check(text) ? text : (struct mirai_str){NULL, 0};
}

static bool any_text(struct mirai_str text)
{
    return text.len == 0 || check_name(text);
}

/* The word in the struct of `message`: directory_login or directory_state. */
#define WORD_OF(message, params)                                                                             \
    {                                                                                                        \
        .role = (params)->role, .directory_name = (params)->directory_name,                                  \
        .display_name = usable(mirai_has(message, params, display_name), (params)->display_name, any_text),  \
        .email = usable(mirai_has(message, params, email), (params)->email, check_email),                    \
        .groups = mirai_has(message, params, groups) ? &(params)->groups : NULL,                             \
    }

static int insert_account(struct op *op, struct mirai_str name, struct mirai_str key, const struct word *word,
                          int64_t *id)
{
    int err = db_exec(op->db,
                      "INSERT INTO users (name, name_key, role, source, directory_name, created_at) "
                      "VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                      DB_S(name), DB_S(key), DB_I(word->role), DB_I(MIRAI_ACCOUNT_DIRECTORY),
                      DB_S(word->directory_name), DB_I(op->now_ms));
    *id = err == 0 ? db_last_id(op->db) : 0;
    return err;
}

/* Without a role it loses access, but keeps its own for the day when the directory lets it in again. */
static int update_account(struct op *op, int64_t id, const struct word *word)
{
    bool gone = word->role == MIRAI_ROLE_NONE;
    return db_exec(
        op->db,
        "UPDATE users SET role = coalesce(?2, role), directory_gone = ?3, "
        "directory_name = coalesce(?4, directory_name), display_name = coalesce(?5, display_name), "
        "email = coalesce(?6, email), directory_checked_at = ?7 WHERE id = ?1",
        DB_I(id), DB_I_IF(!gone, word->role), DB_I(gone),
        DB_S_IF(word->directory_name.len > 0, word->directory_name),
        DB_S_IF(word->display_name.data != NULL, word->display_name),
        DB_S_IF(word->email.data != NULL, word->email), DB_I(op->now_ms));
}

/* Take over what the directory says of an account that is there. *changed: whether its access is another now. */
static int take_word(struct op *op, const struct known *known, const struct word *word, bool *changed)
{
    bool gone = word->role == MIRAI_ROLE_NONE;
    bool role_changed = !gone && word->role != known->role;
    *changed = role_changed || gone != known->gone;
    int err = update_account(op, known->id, word);
    if (err == 0 && word->groups != NULL) {
        err = follow_groups(op, known->id, word->groups, changed);
    }
    if (err == 0 && (role_changed || (gone && !known->gone))) {
        err = sessions_end(op, known->id, SESSIONS_ALL, NULL);
    }
    if (word->display_name.data != NULL && !mirai_str_eq(word->display_name, known->display_name)) {
        op->touched_all = true; /* articles show it */
    }
    return err == 0 && *changed ? op_change(op, MIRAI_CHANGE_ACCESS, known->id) : err;
}

/* ------------------------------------------------------------------ log in */

/* An account to which a login of the directory may lead: its own, not disabled by an Admin. A local account of the same
 * name is somebody else's for all we know. */
static int check_known(struct op *op, const struct known *known)
{
    if (known->id == 0) {
        return 0;
    }
    op_object(op, "user", known->id);
    return known->source != MIRAI_ACCOUNT_DIRECTORY || known->disabled ? MIRAI_E_UNAUTHENTICATED : 0;
}

int directory_login(struct op *op)
{
    const struct mirai_directory_login *params = op->params;
    struct mirai_str key = user_name_key(&op->arena, params->name);
    const struct word word = WORD_OF(directory_login, params);
    struct known known;
    bool changed;
    if (!check_name(params->name)) {
        return op_fault(op, "/name", "format");
    }
    int err = find_known(op, key, 0, &known);
    if (err == 0) {
        err = check_known(op, &known);
    }
    if (err == 0 && params->role == MIRAI_ROLE_NONE) {
        err = MIRAI_E_UNAUTHENTICATED;
    }
    if (err == 0 && known.id == 0) {
        known.role = params->role;
        err = insert_account(op, params->name, key, &word, &known.id);
        op_object(op, "user", known.id);
    }
    if (err == 0) {
        err = take_word(op, &known, &word, &changed);
    }
    if (err == 0) {
        err = second_factor_check(op, known.id, params->otp);
    }
    return err == 0 ? session_open(op, known.id, &params->client) : err;
}

/* ------------------------------------------------------------------ later */

/* Those that still have access to lose or, with an API token, to get back. Sessions that gateways keep are not to be
 * seen here: whoever logged in within a session's life may have one. */
static int find_due(struct op *op, const struct mirai_directory_claim *params, struct mirai_objects *found)
{
    int64_t limit = mirai_has(directory_claim, params, limit) ? params->limit : CLAIM_DEFAULT;
    int64_t session_ms = mirai_config_int(MIRAI_CONFIG_SESSION_HOURS) * HOUR_MS;
    struct mirai_directory_account *items = mirai_arena_alloc(&op->arena, (size_t)limit * sizeof(*items));
    struct db_rows *rows =
        db_query(op->db,
                 "SELECT id, name, directory_name FROM users u WHERE source = ?1 AND disabled = 0 AND "
                 "coalesce(directory_checked_at, 0) < ?2 AND "
                 "(EXISTS (SELECT 1 FROM tokens t WHERE t.user_id = u.id AND t.expires_at > ?3) OR "
                 "(directory_gone = 0 AND last_login_at > ?4)) "
                 "ORDER BY coalesce(directory_checked_at, 0) LIMIT ?5",
                 DB_I(MIRAI_ACCOUNT_DIRECTORY), DB_I(params->before), DB_I(op->now_ms),
                 DB_I(op->now_ms - session_ms), DB_I(limit));
    *found = (struct mirai_objects){items, 0};
    while (db_next(rows)) {
        struct mirai_directory_account *account = &items[found->count++];
        *account = (struct mirai_directory_account){0};
        mirai_set(directory_account, account, id, db_int(rows, 0));
        mirai_set(directory_account, account, name, db_text_copy(rows, 1, &op->arena));
        mirai_set(directory_account, account, directory_name, db_text_copy(rows, 2, &op->arena));
    }
    return db_end(rows);
}

int directory_claim(struct op *op)
{
    struct mirai_directory_accounts result = {0};
    mirai_mark(directory_accounts, &result, items);
    int err = find_due(op, op->params, &result.items);
    for (size_t i = 0; err == 0 && i < result.items.count; i++) {
        err = db_exec(op->db, "UPDATE users SET directory_checked_at = ?2 WHERE id = ?1",
                      DB_I(MIRAI_ITEMS(directory_account, &result.items)[i].id), DB_I(op->now_ms));
    }
    return err == 0 ? op_result(op, &result) : err;
}

int directory_update(struct op *op)
{
    const struct mirai_directory_state *params = op->params;
    const struct word word = WORD_OF(directory_state, params);
    struct known known;
    bool changed = false;
    op_object(op, "user", params->id);
    int err = find_known(op, (struct mirai_str){NULL, 0}, params->id, &known);
    if (err == 0 && (known.id == 0 || known.source != MIRAI_ACCOUNT_DIRECTORY)) {
        err = MIRAI_E_NOT_FOUND;
    }
    if (err == 0) {
        err = take_word(op, &known, &word, &changed);
    }
    op->unaudited = !changed;
    return err;
}
