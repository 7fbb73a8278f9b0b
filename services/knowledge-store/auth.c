#include "services/knowledge-store/auth.h"

#include "services/knowledge-store/password_rules.h"
#include "services/knowledge-store/second_factor.h"
#include "services/knowledge-store/sessions.h"
#include "services/knowledge-store/users.h"

#include <sodium.h>

/* ------------------------------------------------------------------ accounts */

/* The enabled account by name key (or by id when `key` is empty), into op->state. */
static int find_account(struct op *op, struct mirai_str key, int64_t id)
{
    struct account *account = mirai_arena_alloc(&op->arena, sizeof(*account));
    account->hash = "";
    op->state = account;
    struct db_rows *rows =
        db_query(op->db,
                 "SELECT id, name, password_hash, source, display_name, email, session_epoch FROM users "
                 "WHERE (name_key = ?1 OR id = ?2) AND enabled",
                 DB_S_IF(key.len > 0, key), DB_I_IF(key.len == 0, id));
    if (db_next(rows)) {
        account->id = db_int(rows, 0);
        account->name = db_text_copy(rows, 1, &op->arena);
        account->hash = db_text_copy(rows, 2, &op->arena).data;
        account->source = (int)db_int(rows, 3);
        account->display_name = db_text_copy(rows, 4, &op->arena);
        account->email = db_text_copy(rows, 5, &op->arena);
        account->epoch = db_int(rows, 6);
    }
    return db_end(rows);
}

int auth_find_own(struct op *op)
{
    return op->principal->user_id <= 0
               ? op_fail(op, MIRAI_E_NOT_FOUND, "the system has no account")
               : find_account(op, (struct mirai_str){NULL, 0}, op->principal->user_id);
}

int auth_verify_own(struct op *op, struct mirai_str password)
{
    const struct account *account = op->state;
    return password_verify(account->hash, password) ? 0
                                                    : op_fail(op, MIRAI_E_FORBIDDEN, "the password is wrong");
}

int auth_check_unchanged(struct op *op, const struct account *account)
{
    int64_t id;
    int err = db_find_int(op->db, &id,
                          "SELECT id FROM users WHERE id = ?1 AND enabled "
                          "AND (password_hash = ?2 OR session_epoch = ?3)",
                          DB_I(account->id), DB_S(mirai_str(account->hash)), DB_I(account->epoch));
    return err == MIRAI_E_NOT_FOUND ? MIRAI_E_UNAUTHENTICATED : err;
}

/* Whether the account may have this password: 0, or the fault of /new_password. */
static int check_new(struct op *op, const struct account *account, struct mirai_str old, struct mirai_str new)
{
    const struct password_owner owner = {account->name, account->display_name, account->email};
    const char *problem = mirai_str_eq(old, new) ? "unchanged" : password_problem(new, &owner);
    return problem != NULL ? op_fault(op, "/new_password", problem) : 0;
}

/* The new password counts from now on; `change`: the owner has chosen it. */
static int keep_hash(struct op *op, const struct account *account, bool chosen)
{
    return db_exec(op->db,
                   "UPDATE users SET password_hash = ?2, "
                   "must_change_password = CASE WHEN ?3 THEN 0 ELSE must_change_password END WHERE id = ?1",
                   DB_I(account->id), DB_S(mirai_str(account->new_hash)), DB_I(chosen));
}

/* ------------------------------------------------------------------ log in */

/* Whatever is wrong with a login, it takes the same steps: read, hash once, write the audit row. */

int auth_login_find(struct op *op)
{
    const struct mirai_login *params = op->params;
    op->audit_name = params->name;
    return find_account(op, user_name_key(&op->arena, params->name), 0);
}

/* The right password: a new one in its place, or the same under the present parameters of the hash. */
static int renew(struct op *op, struct account *account)
{
    const struct mirai_login *params = op->params;
    if (mirai_has(login, params, new_password)) {
        int err = check_new(op, account, params->password, params->new_password);
        return err != 0 ? err : password_hash(account->new_hash, params->new_password);
    }
    if (password_is_outdated(account->hash, params->password) &&
        password_hash(account->new_hash, params->password) != 0) {
        account->new_hash[0] = '\0'; /* another time */
    }
    return 0;
}

int auth_login_verify(struct op *op)
{
    const struct mirai_login *params = op->params;
    struct account *account = op->state;
    bool verified = password_verify(account->hash, params->password);
    if (account->id != 0) {
        op_object(op, "user", account->id);
    }
    return verified && account->id != 0 ? renew(op, account) : MIRAI_E_UNAUTHENTICATED;
}

/* What is left to be asked once the password is right. */
static int check_rest(struct op *op, const struct account *account)
{
    const struct mirai_login *params = op->params;
    int64_t change = 0;
    int err = second_factor_check(op, account->id, params->otp);
    if (err == 0) { /* only now: an Admin may have said so while the password was hashed */
        err = db_find_int(op->db, &change, "SELECT must_change_password FROM users WHERE id = ?1",
                          DB_I(account->id));
    }
    return err == 0 && change != 0 && !mirai_has(login, params, new_password)
               ? op_fail_with(op, MIRAI_E_FORBIDDEN, "the password must be changed", "need",
                              MIRAI_STR("new_password"))
               : err;
}

int auth_login(struct op *op)
{
    const struct mirai_login *params = op->params;
    const struct account *account = op->state;
    bool chosen = mirai_has(login, params, new_password);
    int err = auth_check_unchanged(op, account);
    if (err == 0) {
        err = check_rest(op, account);
    }
    if (err == 0 && account->new_hash[0] != '\0') {
        err = keep_hash(op, account, chosen);
    }
    if (err == 0 && chosen) {
        err = sessions_end(op, account->id, SESSIONS_ALL, NULL);
    }
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
    int err = auth_find_own(op);
    if (err != 0) {
        return err;
    }
    const struct account *account = op->state;
    if (account->source == MIRAI_ACCOUNT_DIRECTORY) {
        return op_fail(op, MIRAI_E_CONFLICT, "the directory keeps the password of this account");
    }
    return check_new(op, account, params->old_password, params->new_password);
}

int auth_password_change(struct op *op)
{
    const struct mirai_password_change *params = op->params;
    struct account *account = op->state;
    op_object(op, "user", op->principal->user_id);
    int err = auth_verify_own(op, params->old_password);
    return err != 0 ? err : password_hash(account->new_hash, params->new_password);
}

int auth_password(struct op *op)
{
    const struct account *account = op->state;
    int err = auth_check_unchanged(op, account);
    if (err == 0) {
        err = keep_hash(op, account, true);
    }
    return err != 0 ? err : sessions_end(op, account->id, SESSIONS_OTHERS, NULL);
}
