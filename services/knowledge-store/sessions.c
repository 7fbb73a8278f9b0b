#include "services/knowledge-store/sessions.h"

#include "libcommon/config.h"
#include "services/knowledge-store/page.h"
#include "services/knowledge-store/tokens.h"
#include "services/knowledge-store/users.h"

#include <sodium.h>

#define HOUR_MS      INT64_C(3600000)
#define MINUTE_MS    INT64_C(60000)
#define SESSIONS_MAX 50 /* of one user; the oldest ends first */
#define SESSION_NAME "login"

int64_t session_idle_ms(void)
{
    return mirai_config_int(MIRAI_CONFIG_SESSION_IDLE_MINUTES) * MINUTE_MS;
}

int64_t session_idle_limit(int64_t now_ms)
{
    return session_idle_ms() > 0 ? now_ms - session_idle_ms() : INT64_MIN;
}

/* ------------------------------------------------------------------ end */

/* What gateways know of it is old when a row has gone. */
static int note_end(struct op *op, int err, int64_t id)
{
    return err == 0 && db_rows_changed(op->db) > 0 ? op_change(op, MIRAI_CHANGE_ACCESS, id) : err;
}

int sessions_end(struct op *op, int64_t user_id, enum sessions_end which, int64_t *count)
{
    bool spared = which == SESSIONS_OTHERS && op->principal->user_id == user_id;
    int err = db_exec(op->db, "DELETE FROM tokens WHERE user_id = ?1 AND (?2 OR kind = ?3) AND id <> ?4",
                      DB_I(user_id), DB_I(which == SESSIONS_AND_TOKENS), DB_I(MIRAI_TOKEN_KIND_SESSION),
                      DB_I(spared ? op->principal->token_id : 0));
    if (err == 0 && count != NULL) {
        *count = db_rows_changed(op->db);
    }
    if (err == 0) {
        err = db_exec(op->db, "UPDATE users SET session_epoch = session_epoch + 1 WHERE id = ?1",
                      DB_I(user_id));
    }
    return err == 0 ? op_change(op, MIRAI_CHANGE_ACCESS, user_id) : err;
}

/* The one that the browser had before it logged in again. */
static int end_former(struct op *op, const struct mirai_session_client *client, int64_t user_id)
{
    if (!mirai_has(session_client, client, ends)) {
        return 0;
    }
    int err = db_exec(op->db, "DELETE FROM tokens WHERE sha256 = ?1 AND kind = ?2", DB_B(client->ends),
                      DB_I(MIRAI_TOKEN_KIND_SESSION));
    return note_end(op, err, user_id);
}

/* Room for one more session: whoever logs in again and again loses the oldest. */
static int limit_sessions(struct op *op, int64_t user_id)
{
    int err =
        db_exec(op->db,
                "DELETE FROM tokens WHERE id IN (SELECT id FROM tokens WHERE user_id = ?1 AND kind = ?2 "
                "ORDER BY id DESC LIMIT -1 OFFSET ?3)",
                DB_I(user_id), DB_I(MIRAI_TOKEN_KIND_SESSION), DB_I(SESSIONS_MAX - 1));
    return note_end(op, err, user_id);
}

/* ------------------------------------------------------------------ open */

static int insert(struct op *op, const struct mirai_session_client *client, const struct mirai_user *user,
                  int64_t expires_at, struct token_secret *secret)
{
    int64_t token_id;
    int err = limit_sessions(op, user->id);
    if (err != 0) {
        return err;
    }
    token_secret_make(secret, MIRAI_TOKEN_KIND_SESSION);
    err = token_insert(op, secret,
                       &(struct mirai_token){.user_id = user->id,
                                             .name = MIRAI_STR(SESSION_NAME),
                                             .kind = MIRAI_TOKEN_KIND_SESSION,
                                             .role = user->role,
                                             .expires_at = expires_at},
                       &token_id);
    return err != 0
               ? err
               : db_exec(op->db, "UPDATE tokens SET address = ?2, agent = ?3 WHERE id = ?1", DB_I(token_id),
                         DB_S(mirai_utf8_prefix(op->context->client_address, 64)), DB_S(client->agent));
}

int session_open(struct op *op, int64_t user_id, const struct mirai_session_client *client)
{
    struct mirai_login_result result = {0};
    struct token_secret secret;
    bool held = mirai_has(session_client, client, held) && client->held;
    int err = end_former(op, client, user_id);
    if (err == 0) {
        err = db_exec(op->db, "UPDATE users SET last_login_at = ?2 WHERE id = ?1", DB_I(user_id),
                      DB_I(op->now_ms));
    }
    if (err == 0) {
        err = user_find(op, user_id, &result.user);
    }
    if (err == 0) {
        err = db_find_int(op->db, &result.session_epoch, "SELECT session_epoch FROM users WHERE id = ?1",
                          DB_I(user_id));
    }
    if (err != 0) {
        return err;
    }
    mirai_mark(login_result, &result, user);
    mirai_mark(login_result, &result, session_epoch);
    mirai_set(login_result, &result, expires_at,
              op->now_ms + mirai_config_int(MIRAI_CONFIG_SESSION_HOURS) * HOUR_MS);
    if (!held) {
        err = insert(op, client, &result.user, result.expires_at, &secret);
        mirai_set(login_result, &result, token, mirai_str(secret.text));
    }
    if (err == 0) {
        err = op_result(op, &result);
    }
    sodium_memzero(&secret, sizeof(secret));
    return err;
}

/* ------------------------------------------------------------------ list */

static void read_session(struct op *op, struct db_rows *rows, struct mirai_session *session)
{
    *session = (struct mirai_session){0};
    mirai_set(session, session, id, db_int(rows, 0));
    mirai_set(session, session, user_id, db_int(rows, 1));
    mirai_set(session, session, user, db_text_copy(rows, 2, &op->arena));
    mirai_set(session, session, created_at, db_int(rows, 3));
    mirai_set(session, session, expires_at, db_int(rows, 4));
    if (!db_is_null(rows, 5)) {
        mirai_set(session, session, last_used_at, db_int(rows, 5));
    }
    mirai_set(session, session, address, db_text_copy(rows, 6, &op->arena));
    mirai_set(session, session, agent, db_text_copy(rows, 7, &op->arena));
    mirai_set(session, session, current, session->id == op->principal->token_id);
}

/* The user that an Admin names, or who asks. 0, MIRAI_E_FORBIDDEN, MIRAI_E_NOT_FOUND or a fault. */
static int find_whose(struct op *op, bool named, int64_t named_id, int64_t *user_id)
{
    int64_t found;
    *user_id = named ? named_id : op->principal->user_id;
    if (*user_id != op->principal->user_id && !op_is_admin(op)) {
        return op_fail(op, MIRAI_E_FORBIDDEN, "only an Admin deals with sessions of others");
    }
    if (*user_id <= 0) {
        return op_fault(op, "/user_id", "required");
    }
    return db_find_int(op->db, &found, "SELECT 1 FROM users WHERE id = ?1", DB_I(*user_id));
}

int sessions_list(struct op *op)
{
    const struct mirai_session_list *params = op->params;
    struct page page;
    int64_t user_id;
    int err = page_begin_from(op, &page, "session", session_list, params);
    if (err == 0) {
        err = find_whose(op, mirai_has(session_list, params, user_id), params->user_id, &user_id);
    }
    if (err != 0) {
        return err;
    }
    struct mirai_session *items = mirai_arena_alloc(&op->arena, page.limit * sizeof(*items));
    struct mirai_session_page result = {0};
    struct db_rows *rows = db_query(
        op->db,
        "SELECT t.id, t.user_id, u.name, t.created_at, t.expires_at, t.last_used_at, t.address, t.agent "
        "FROM tokens t JOIN users u ON u.id = t.user_id WHERE t.id > ?1 AND t.user_id = ?2 AND t.kind = ?3 "
        "AND t.expires_at > ?4 AND coalesce(t.last_used_at, t.created_at) > ?5 ORDER BY t.id LIMIT ?6",
        DB_I(page.position), DB_I(user_id), DB_I(MIRAI_TOKEN_KIND_SESSION), DB_I(op->now_ms),
        DB_I(session_idle_limit(op->now_ms)), DB_I((int64_t)page.limit + 1));
    while (page_next(&page, rows)) {
        read_session(op, rows, &items[page.count - 1]);
    }
    err = db_end(rows);
    if (err != 0) {
        return err;
    }
    mirai_set(session_page, &result, items, ((struct mirai_objects){items, page.count}));
    if (page.more) {
        mirai_set(session_page, &result, next_cursor,
                  page_cursor(&op->arena, "session", items[page.count - 1].id));
    }
    return op_result(op, &result);
}

/* ------------------------------------------------------------------ end by request */

int sessions_delete(struct op *op)
{
    const struct mirai_by_id *params = op->params;
    op_object(op, "session", params->id);
    int err = db_exec(op->db, "DELETE FROM tokens WHERE id = ?1 AND kind = ?2 AND (?3 OR user_id = ?4)",
                      DB_I(params->id), DB_I(MIRAI_TOKEN_KIND_SESSION), DB_I(op_is_admin(op)),
                      DB_I(op->principal->user_id));
    if (err == 0 && db_rows_changed(op->db) == 0) {
        return MIRAI_E_NOT_FOUND;
    }
    return note_end(op, err, params->id);
}

int sessions_end_all(struct op *op)
{
    const struct mirai_sessions_end *params = op->params;
    bool named = mirai_has(sessions_end, params, user_id);
    struct mirai_sessions_ended result = {0};
    int64_t user_id;
    int err = find_whose(op, named, params->user_id, &user_id);
    if (err == 0) {
        op_object(op, "user", user_id);
        err = sessions_end(op, user_id, named && op_is_admin(op) ? SESSIONS_ALL : SESSIONS_OTHERS,
                           &result.count);
    }
    if (err == 0) {
        err = db_find_int(op->db, &result.session_epoch, "SELECT session_epoch FROM users WHERE id = ?1",
                          DB_I(user_id));
    }
    mirai_mark(sessions_ended, &result, count);
    mirai_mark(sessions_ended, &result, session_epoch);
    return err == 0 ? op_result(op, &result) : err;
}
