#include "services/knowledge-store/identity.h"

#include "services/knowledge-store/sessions.h"
#include "services/knowledge-store/users.h"

#define MINUTE_MS    INT64_C(60000)
#define IDENTITY_MAX 1000 /* spaces in an identity */

static int find_spaces(struct op *op, const struct mirai_identity *identity, struct mirai_ints *spaces)
{
    int64_t *items = mirai_arena_alloc(&op->arena, IDENTITY_MAX * sizeof(*items));
    size_t count = 0;
    struct db_rows *rows =
        db_query(op->db,
                 "SELECT id FROM spaces WHERE ?1 OR id IN (SELECT g.space_id FROM space_groups g "
                 "WHERE g.editor = 0 AND (g.group_id = ?2 OR g.group_id IN "
                 "(SELECT m.group_id FROM group_members m WHERE m.user_id = ?3))) ORDER BY id LIMIT ?4",
                 DB_I(identity->role == MIRAI_ROLE_ADMIN), DB_I(GROUP_EVERYONE), DB_I(identity->user_id),
                 DB_I(IDENTITY_MAX));
    while (db_next(rows)) {
        items[count++] = db_int(rows, 0);
    }
    *spaces = (struct mirai_ints){items, count};
    return db_end(rows);
}

/* Add what the user may read, and make it the result. */
static int reply_identity(struct op *op, struct mirai_identity *identity)
{
    int err = user_find_groups(op, identity->user_id, &identity->groups);
    if (err == 0) {
        err = find_spaces(op, identity, &identity->spaces);
    }
    if (err != 0) {
        return err;
    }
    mirai_mark(identity, identity, groups);
    mirai_mark(identity, identity, spaces);
    return op_result(op, identity);
}

/* ------------------------------------------------------------------ tokens and sessions of the store */

/* How exactly last_used_at is kept: writing it at each use would make a write of each read. */
static int64_t note_period_ms(const struct mirai_identity *identity)
{
    int64_t idle = session_idle_ms();
    return identity->kind == MIRAI_TOKEN_KIND_SESSION && idle > 0 && idle / 4 < MINUTE_MS ? idle / 4
                                                                                          : MINUTE_MS;
}

/* op->state: the token's id when its last use is to be noted. */
static bool read_identity(struct op *op, struct db_rows *rows, struct mirai_identity *identity)
{
    if (!db_next(rows)) {
        return false;
    }
    int user_role = (int)db_int(rows, 2), token_role = (int)db_int(rows, 3);
    int64_t used_at = db_int(rows, 7);
    bool never_used = db_is_null(rows, 8);
    mirai_set(identity, identity, user_id, db_int(rows, 0));
    mirai_set(identity, identity, name, db_text_copy(rows, 1, &op->arena));
    mirai_set(identity, identity, role, user_role < token_role ? user_role : token_role);
    mirai_set(identity, identity, expires_at, db_int(rows, 4));
    mirai_set(identity, identity, token_id, db_int(rows, 5));
    mirai_set(identity, identity, kind, (int)db_int(rows, 6));
    if (never_used || op->now_ms - used_at >= note_period_ms(identity)) {
        int64_t *used = mirai_arena_alloc(&op->arena, sizeof(*used));
        *used = identity->token_id;
        op->state = used;
        used_at = op->now_ms;
    }
    if (identity->kind == MIRAI_TOKEN_KIND_SESSION && session_idle_ms() > 0) {
        mirai_set(identity, identity, idle_at, used_at + session_idle_ms());
    }
    return true;
}

int identity_of_token(struct op *op)
{
    const struct mirai_token_check *params = op->params;
    struct mirai_identity identity = {0};
    struct db_rows *rows = db_query(op->db,
                                    "SELECT u.id, u.name, u.role, t.role, t.expires_at, t.id, t.kind, "
                                    "coalesce(t.last_used_at, t.created_at), t.last_used_at "
                                    "FROM tokens t JOIN users u ON u.id = t.user_id "
                                    "WHERE t.sha256 = ?1 AND t.expires_at > ?2 AND u.enabled "
                                    "AND (t.kind <> ?3 OR coalesce(t.last_used_at, t.created_at) > ?4)",
                                    DB_B(params->sha256), DB_I(op->now_ms), DB_I(MIRAI_TOKEN_KIND_SESSION),
                                    DB_I(session_idle_limit(op->now_ms)));
    bool found = read_identity(op, rows, &identity);
    int err = db_end(rows);
    if (err != 0 || !found) {
        return err != 0 ? err : MIRAI_E_UNAUTHENTICATED;
    }
    return reply_identity(op, &identity);
}

static int note_use(struct op *op)
{
    const int64_t *token_id = op->state;
    return db_exec(op->db, "UPDATE tokens SET last_used_at = ?2 WHERE id = ?1", DB_I(*token_id),
                   DB_I(op->now_ms));
}

/* Afterwards, so that nobody waits for it. */
void identity_of_token_finish(struct op *op)
{
    static const struct op_method method = {.steps = {{OP_WRITE, note_use}}, .flags = OP_NO_AUDIT};
    if (op->err == 0 && op->state != NULL) {
        struct op *use = op_new_internal(op->store, &method);
        int64_t *token_id = mirai_arena_alloc(&use->arena, sizeof(*token_id));
        *token_id = *(const int64_t *)op->state;
        use->state = token_id;
        op_advance(use);
    }
}

/* ------------------------------------------------------------------ sessions that the gateway keeps */

int identity_of_held(struct op *op)
{
    const struct mirai_held_session *params = op->params;
    struct mirai_identity identity = {0};
    struct db_rows *rows =
        db_query(op->db, "SELECT name, role FROM users WHERE id = ?1 AND session_epoch = ?2 AND enabled",
                 DB_I(params->user_id), DB_I(params->session_epoch));
    bool found = db_next(rows) && params->expires_at > op->now_ms;
    if (found) {
        mirai_set(identity, &identity, user_id, params->user_id);
        mirai_set(identity, &identity, name, db_text_copy(rows, 0, &op->arena));
        mirai_set(identity, &identity, role, (int)db_int(rows, 1));
        mirai_set(identity, &identity, expires_at, params->expires_at);
        mirai_set(identity, &identity, token_id, params->token_id);
        mirai_set(identity, &identity, kind, MIRAI_TOKEN_KIND_SESSION);
    }
    int err = db_end(rows);
    if (err != 0 || !found) {
        return err != 0 ? err : MIRAI_E_UNAUTHENTICATED;
    }
    return reply_identity(op, &identity);
}
