#include "services/knowledge-store/auth.h"

#include "services/knowledge-store/passwords.h"
#include "services/knowledge-store/sessions.h"
#include "services/knowledge-store/users.h"

#include <sodium.h>

/* What the database knows of an account, from the step that reads it to the one that writes. */
struct account {
    int64_t id; /* 0: there is none that may log in */
    int source; /* enum mirai_account_source */
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
                                    "SELECT id, name, password_hash, source FROM users "
                                    "WHERE (name_key = ?1 OR id = ?2) AND enabled",
                                    DB_S_IF(key.len > 0, key), DB_I_IF(key.len == 0, id));
    if (db_next(rows)) {
        account->id = db_int(rows, 0);
        account->name = db_text_copy(rows, 1, &op->arena);
        account->hash = db_text_copy(rows, 2, &op->arena).data;
        account->source = (int)db_int(rows, 3);
    }
    return db_end(rows);
}

/* Hashing takes its time: the account must still be as it was read. */
static int check_unchanged(struct op *op, const struct account *account)
{
    int64_t id;
    int err =
        db_find_int(op->db, &id, "SELECT id FROM users WHERE id = ?1 AND enabled AND password_hash = ?2",
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

int auth_login(struct op *op)
{
    const struct mirai_login *params = op->params;
    const struct account *account = op->state;
    int err = check_unchanged(op, account);
    return err == 0 ? session_open(op, account->id, &params->client) : err;
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
    err = db_exec(op->db, "DELETE FROM tokens WHERE id = ?1", DB_I(id));
    return err == 0 ? op_change(op, MIRAI_CHANGE_ACCESS, id) : err;
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
    if (account->source == MIRAI_ACCOUNT_DIRECTORY) {
        return op_fail(op, MIRAI_E_CONFLICT, "the directory keeps the password of this account");
    }
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
    return err != 0 ? err : sessions_end(op, account->id, SESSIONS_OTHERS, NULL);
}
