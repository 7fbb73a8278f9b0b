#include "services/knowledge-store/auth.h"

#include "libcommon/config.h"
#include "services/knowledge-store/passwords.h"
#include "services/knowledge-store/tokens.h"
#include "services/knowledge-store/users.h"

#include <sodium.h>

#define HOUR_MS      INT64_C(3600000)
#define USED_MS      INT64_C(60000) /* last_used_at is right to the minute */
#define IDENTITY_MAX 1000           /* spaces in an identity */
#define SESSIONS_MAX 50             /* of one user; the oldest ends first */
#define SESSION_NAME "login"

/* What the database knows of an account, from the step that reads it to the one that writes. */
struct account {
    int64_t id; /* 0: there is none that may log in */
    struct mirai_str name;
    const char *hash; /* "" when there is none */
    char new_hash[PASSWORD_HASH_SIZE];
};

/* The enabled account by name key (or by id when `key` is empty), into op->state. */
static int find_account(struct op *op, struct mirai_str key, int64_t id)
{
    struct account *account = mirai_arena_alloc(&op->arena, sizeof(*account));
    account->hash = "";
    op->state = account;
    struct db_rows *rows = db_query(op->db,
                                    "SELECT id, name, password_hash FROM users "
                                    "WHERE (name_key = ?1 OR id = ?2) AND disabled = 0",
                                    DB_S_IF(key.len > 0, key), DB_I_IF(key.len == 0, id));
    if (db_next(rows)) {
        account->id = db_int(rows, 0);
        account->name = db_text_copy(rows, 1, &op->arena);
        account->hash = db_text_copy(rows, 2, &op->arena).data;
    }
    return db_end(rows);
}

/* Hashing takes its time: the account must still be as it was read. */
static int check_unchanged(struct op *op, const struct account *account)
{
    int64_t id;
    int err =
        db_find_int(op->db, &id, "SELECT id FROM users WHERE id = ?1 AND disabled = 0 AND password_hash = ?2",
                    DB_I(account->id), DB_S(mirai_str(account->hash)));
    return err == MIRAI_E_NOT_FOUND ? MIRAI_E_UNAUTHENTICATED : err;
}

/* ------------------------------------------------------------------ log in and out */

int auth_login_find(struct op *op)
{
    const struct mirai_login *params = op->params;
    op->audit_name = params->name;
    return find_account(op, user_name_key(&op->arena, params->name), 0);
}

int auth_login_verify(struct op *op)
{
    const struct mirai_login *params = op->params;
    const struct account *account = op->state;
    bool verified = password_verify(account->hash, params->password);
    if (account->id != 0) {
        op_object(op, "user", account->id);
    }
    return verified && account->id != 0 ? 0 : MIRAI_E_UNAUTHENTICATED;
}

/* Room for one more session: whoever logs in again and again loses the oldest. */
static int limit_sessions(struct op *op, int64_t user_id)
{
    return db_exec(op->db,
                   "DELETE FROM tokens WHERE id IN (SELECT id FROM tokens WHERE user_id = ?1 AND kind = ?2 "
                   "ORDER BY id DESC LIMIT -1 OFFSET ?3)",
                   DB_I(user_id), DB_I(MIRAI_TOKEN_KIND_SESSION), DB_I(SESSIONS_MAX - 1));
}

int auth_login(struct op *op)
{
    const struct account *account = op->state;
    struct mirai_login_result result = {0};
    struct token_secret secret;
    int64_t token_id;
    int err = check_unchanged(op, account);
    if (err == 0) {
        err = limit_sessions(op, account->id);
    }
    if (err == 0) {
        err = db_exec(op->db, "UPDATE users SET last_login_at = ?2 WHERE id = ?1", DB_I(account->id),
                      DB_I(op->now_ms));
    }
    if (err == 0) {
        err = user_find(op, account->id, &result.user);
    }
    if (err != 0) {
        return err;
    }
    int64_t expires_at = op->now_ms + mirai_config_int(MIRAI_CONFIG_SESSION_HOURS) * HOUR_MS;
    token_secret_make(&secret, MIRAI_TOKEN_KIND_SESSION);
    err = token_insert(op, &secret,
                       &(struct mirai_token){.user_id = account->id,
                                             .name = MIRAI_STR(SESSION_NAME),
                                             .kind = MIRAI_TOKEN_KIND_SESSION,
                                             .role = result.user.role,
                                             .expires_at = expires_at},
                       &token_id);
    if (err == 0) {
        mirai_mark(login_result, &result, user);
        mirai_set(login_result, &result, token, mirai_str(secret.text));
        mirai_set(login_result, &result, expires_at, expires_at);
        err = op_result(op, &result);
    }
    sodium_memzero(&secret, sizeof(secret));
    return err;
}

int auth_logout(struct op *op)
{
    const struct mirai_token_check *params = op->params;
    int64_t id;
    int err = db_find_int(op->db, &id, "SELECT id FROM tokens WHERE sha256 = ?1 AND kind = ?2",
                          DB_B(params->sha256), DB_I(MIRAI_TOKEN_KIND_SESSION));
    if (err != 0) {
        return err == MIRAI_E_NOT_FOUND ? MIRAI_E_UNAUTHENTICATED : err;
    }
    op_object(op, "token", id);
    return db_exec(op->db, "DELETE FROM tokens WHERE id = ?1", DB_I(id));
}

/* ------------------------------------------------------------------ whose secret */

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

/* op->state: the token's id when its last use is to be noted. */
static bool read_identity(struct op *op, struct db_rows *rows, struct mirai_identity *identity)
{
    if (!db_next(rows)) {
        return false;
    }
    int user_role = (int)db_int(rows, 2), token_role = (int)db_int(rows, 3);
    mirai_set(identity, identity, user_id, db_int(rows, 0));
    mirai_set(identity, identity, name, db_text_copy(rows, 1, &op->arena));
    mirai_set(identity, identity, role, user_role < token_role ? user_role : token_role);
    mirai_set(identity, identity, expires_at, db_int(rows, 4));
    mirai_set(identity, identity, token_id, db_int(rows, 5));
    mirai_set(identity, identity, kind, (int)db_int(rows, 6));
    if (op->now_ms - db_int(rows, 7) >= USED_MS) {
        int64_t *used = mirai_arena_alloc(&op->arena, sizeof(*used));
        *used = identity->token_id;
        op->state = used;
    }
    return true;
}

int auth_token(struct op *op)
{
    const struct mirai_token_check *params = op->params;
    struct mirai_identity identity = {0};
    struct db_rows *rows = db_query(op->db,
                                    "SELECT u.id, u.name, u.role, t.role, t.expires_at, t.id, t.kind, "
                                    "t.last_used_at FROM tokens t JOIN users u ON u.id = t.user_id "
                                    "WHERE t.sha256 = ?1 AND t.expires_at > ?2 AND u.disabled = 0",
                                    DB_B(params->sha256), DB_I(op->now_ms));
    bool found = read_identity(op, rows, &identity);
    int err = db_end(rows);
    if (err != 0 || !found) {
        return err != 0 ? err : MIRAI_E_UNAUTHENTICATED;
    }
    err = user_find_groups(op, identity.user_id, &identity.groups);
    if (err == 0) {
        err = find_spaces(op, &identity, &identity.spaces);
    }
    if (err != 0) {
        return err;
    }
    mirai_mark(identity, &identity, groups);
    mirai_mark(identity, &identity, spaces);
    return op_result(op, &identity);
}

static int note_use(struct op *op)
{
    const int64_t *token_id = op->state;
    return db_exec(op->db, "UPDATE tokens SET last_used_at = ?2 WHERE id = ?1", DB_I(*token_id),
                   DB_I(op->now_ms));
}

/* Afterwards, so that nobody waits for it. */
void auth_token_finish(struct op *op)
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

/* ------------------------------------------------------------------ one's own password */

int auth_password_find(struct op *op)
{
    const struct mirai_password_change *params = op->params;
    struct account *account;
    if (op->principal->user_id <= 0) {
        return op_fail(op, MIRAI_E_NOT_FOUND, "the system has no account");
    }
    int err = find_account(op, (struct mirai_str){NULL, 0}, op->principal->user_id);
    if (err != 0) {
        return err;
    }
    account = op->state;
    const char *problem = password_problem(params->new_password, account->name);
    return problem != NULL ? op_fault(op, "/new_password", problem) : 0;
}

int auth_password_change(struct op *op)
{
    const struct mirai_password_change *params = op->params;
    struct account *account = op->state;
    op_object(op, "user", op->principal->user_id);
    if (!password_verify(account->hash, params->old_password)) {
        return op_fail(op, MIRAI_E_FORBIDDEN, "the old password is wrong");
    }
    return password_hash(account->new_hash, params->new_password);
}

int auth_password(struct op *op)
{
    const struct account *account = op->state;
    int err = check_unchanged(op, account);
    if (err == 0) {
        err = db_exec(op->db, "UPDATE users SET password_hash = ?2 WHERE id = ?1", DB_I(account->id),
                      DB_S(mirai_str(account->new_hash)));
    }
    return err != 0 ? err : tokens_delete_of_user(op, account->id, false);
}
