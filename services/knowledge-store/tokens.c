#include "services/knowledge-store/tokens.h"

#include "services/knowledge-store/checks.h"
#include "services/knowledge-store/page.h"

#include <sodium.h>
#include <stdio.h>

#define DAY_MS       INT64_C(86400000)
#define DAYS_DEFAULT 90
#define TOKENS_MAX   1000 /* living ones of one user */

#define TOKEN_COLUMNS                                                                                        \
    "t.id, t.name, t.role, t.kind, t.user_id, u.name, t.created_at, t.expires_at, t.last_used_at "           \
    "FROM tokens t JOIN users u ON u.id = t.user_id"

void token_secret_make(struct token_secret *secret, enum mirai_token_kind kind)
{
    unsigned char random[32];
    randombytes_buf(random, sizeof(random));
    memcpy(secret->text, kind == MIRAI_TOKEN_KIND_SESSION ? "mks_" : "mkt_", 4);
    sodium_bin2base64(secret->text + 4, sizeof(secret->text) - 4, random, sizeof(random),
                      sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    sodium_memzero(random, sizeof(random));
    crypto_hash_sha256(secret->sha256, (const unsigned char *)secret->text, strlen(secret->text));
}

int token_insert(struct op *op, const struct token_secret *secret, const struct mirai_token *token,
                 int64_t *id)
{
    struct mirai_str sha256 = {(const char *)secret->sha256, sizeof(secret->sha256)};
    int err = db_exec(op->db, "DELETE FROM tokens WHERE expires_at <= ?1", DB_I(op->now_ms));
    if (err == 0) {
        err = db_exec(op->db,
                      "INSERT INTO tokens (sha256, user_id, name, kind, role, created_at, expires_at) "
                      "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                      DB_B(sha256), DB_I(token->user_id), DB_S(token->name), DB_I(token->kind),
                      DB_I(token->role), DB_I(op->now_ms), DB_I(token->expires_at));
    }
    *id = err == 0 ? db_last_id(op->db) : 0;
    return err;
}

static void read_token(struct op *op, struct db_rows *rows, struct mirai_token *token)
{
    *token = (struct mirai_token){0};
    mirai_set(token, token, id, db_int(rows, 0));
    mirai_set(token, token, name, db_text_copy(rows, 1, &op->arena));
    mirai_set(token, token, role, (int)db_int(rows, 2));
    mirai_set(token, token, kind, (int)db_int(rows, 3));
    mirai_set(token, token, user_id, db_int(rows, 4));
    mirai_set(token, token, user, db_text_copy(rows, 5, &op->arena));
    mirai_set(token, token, created_at, db_int(rows, 6));
    mirai_set(token, token, expires_at, db_int(rows, 7));
    if (!db_is_null(rows, 8)) {
        mirai_set(token, token, last_used_at, db_int(rows, 8));
    }
}

int tokens_list(struct op *op)
{
    const struct mirai_page_request *params = op->params;
    struct page page;
    int err = page_begin_from(op, &page, "token", page_request, params);
    if (err != 0) {
        return err;
    }
    struct mirai_token *items = mirai_arena_alloc(&op->arena, page.limit * sizeof(*items));
    struct mirai_token_page result = {0};
    struct db_rows *rows = db_query(op->db,
                                    "SELECT " TOKEN_COLUMNS " WHERE t.id > ?1 AND t.expires_at > ?2 "
                                    "AND (?3 OR t.user_id = ?4) ORDER BY t.id LIMIT ?5",
                                    DB_I(page.position), DB_I(op->now_ms), DB_I(op_is_admin(op)),
                                    DB_I(op->principal->user_id), DB_I((int64_t)page.limit + 1));
    while (page_next(&page, rows)) {
        read_token(op, rows, &items[page.count - 1]);
    }
    err = db_end(rows);
    if (err != 0) {
        return err;
    }
    mirai_set(token_page, &result, items, ((struct mirai_objects){items, page.count}));
    if (page.more) {
        mirai_set(token_page, &result, next_cursor,
                  page_cursor(&op->arena, "token", items[page.count - 1].id));
    }
    return op_result(op, &result);
}

/* Whom the new token is for and the highest role it may have. */
static int find_holder(struct op *op, const struct mirai_token_create *params, int64_t *user_id, int *role)
{
    const struct mirai_principal *principal = op->principal;
    *user_id = mirai_has(token_create, params, user_id) ? params->user_id : principal->user_id;
    if (*user_id != principal->user_id && !op_is_admin(op)) {
        return op_fail(op, MIRAI_E_FORBIDDEN, "only an Admin makes tokens for others");
    }
    if (*user_id <= 0) {
        return op_fault(op, "/user_id", "required");
    }
    int64_t user_role;
    int err =
        db_find_int(op->db, &user_role, "SELECT role FROM users WHERE id = ?1 AND enabled", DB_I(*user_id));
    if (err != 0) {
        return err;
    }
    /* A token of a lower role must not make one of the user's full role. */
    bool own = *user_id == principal->user_id;
    *role = own && (int)principal->role < user_role ? (int)principal->role : (int)user_role;
    return 0;
}

static int check_count(struct op *op, int64_t user_id)
{
    int64_t count;
    int err =
        db_find_int(op->db, &count, "SELECT count(*) FROM tokens WHERE user_id = ?1 AND expires_at > ?2",
                    DB_I(user_id), DB_I(op->now_ms));
    return err == 0 && count >= TOKENS_MAX ? op_fail(op, MIRAI_E_CONFLICT, "the user has too many tokens")
                                           : err;
}

/* A token does not outlive the token that made it: else whoever gets hold of a short one keeps the access. Sessions
 * make any, because their owner knows the password. */
static int64_t find_end(const struct op *op, const struct mirai_token_create *params)
{
    int64_t days = mirai_has(token_create, params, days) ? params->days : DAYS_DEFAULT;
    int64_t end = op->now_ms + days * DAY_MS;
    int64_t own_end = op->principal->expires_at;
    return own_end != 0 && own_end < end ? own_end : end;
}

int tokens_create(struct op *op)
{
    const struct mirai_token_create *params = op->params;
    struct token_secret secret;
    int64_t user_id, id;
    int highest = MIRAI_ROLE_NONE;
    if (!check_name(params->name)) {
        return op_fault(op, "/name", "format");
    }
    int err = find_holder(op, params, &user_id, &highest);
    if (err == 0) {
        err = check_count(op, user_id);
    }
    if (err != 0) {
        return err;
    }
    int role = mirai_has(token_create, params, role) ? params->role : highest;
    if (role == MIRAI_ROLE_NONE || role > highest) {
        return op_fault(op, "/role", "too-large");
    }
    int64_t expires_at = find_end(op, params);
    token_secret_make(&secret, MIRAI_TOKEN_KIND_API);
    err = token_insert(op, &secret,
                       &(struct mirai_token){.user_id = user_id,
                                             .name = params->name,
                                             .kind = MIRAI_TOKEN_KIND_API,
                                             .role = role,
                                             .expires_at = expires_at},
                       &id);
    if (err == 0) {
        struct mirai_token_created result = {0};
        mirai_set(token_created, &result, id, id);
        mirai_set(token_created, &result, token, mirai_str(secret.text));
        mirai_set(token_created, &result, expires_at, expires_at);
        op_object(op, "token", id);
        err = op_result(op, &result);
    }
    sodium_memzero(&secret, sizeof(secret));
    return err;
}

int tokens_delete(struct op *op)
{
    const struct mirai_by_id *params = op->params;
    op_object(op, "token", params->id);
    int err = db_exec(op->db, "DELETE FROM tokens WHERE id = ?1 AND (?2 OR user_id = ?3)", DB_I(params->id),
                      DB_I(op_is_admin(op)), DB_I(op->principal->user_id));
    if (err == 0 && db_rows_changed(op->db) == 0) {
        return MIRAI_E_NOT_FOUND;
    }
    return err == 0 ? op_change(op, MIRAI_CHANGE_ACCESS, params->id) : err;
}
