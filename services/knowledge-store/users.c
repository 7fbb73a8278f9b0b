#include "services/knowledge-store/users.h"

#include "services/knowledge-store/checks.h"
#include "services/knowledge-store/page.h"
#include "services/knowledge-store/password_rules.h"
#include "services/knowledge-store/passwords.h"
#include "services/knowledge-store/second_factor.h"
#include "services/knowledge-store/sessions.h"

#include <ctype.h>

#define USER_COLUMNS                                                                                         \
    "id, name, display_name, email, role, NOT enabled, created_at, last_login_at, source, directory_name, "  \
    "must_change_password, "                                                                                 \
    "EXISTS (SELECT 1 FROM second_factors f WHERE f.user_id = users.id AND f.active)"
#define GROUPS_MAX 1000 /* of one user: the bound of `identity` */

struct mirai_str user_name_key(struct mirai_arena *arena, struct mirai_str name)
{
    struct mirai_str copy = mirai_arena_copy(arena, name);
    char *key = (char *)copy.data;
    for (size_t i = 0; i < copy.len; i++) {
        key[i] = (char)tolower((unsigned char)key[i]);
    }
    return copy;
}

static void read_user(struct op *op, struct db_rows *rows, struct mirai_user *user)
{
    *user = (struct mirai_user){0};
    mirai_set(user, user, id, db_int(rows, 0));
    mirai_set(user, user, name, db_text_copy(rows, 1, &op->arena));
    mirai_set(user, user, display_name, db_text_copy(rows, 2, &op->arena));
    mirai_set(user, user, email, db_text_copy(rows, 3, &op->arena));
    mirai_set(user, user, role, (int)db_int(rows, 4));
    mirai_set(user, user, disabled, db_int(rows, 5) != 0);
    mirai_set(user, user, created_at, db_int(rows, 6));
    if (!db_is_null(rows, 7)) {
        mirai_set(user, user, last_login_at, db_int(rows, 7));
    }
    mirai_set(user, user, source, (int)db_int(rows, 8));
    if (user->source == MIRAI_ACCOUNT_DIRECTORY) {
        mirai_set(user, user, directory_name, db_text_copy(rows, 9, &op->arena));
    }
    mirai_set(user, user, must_change_password, db_int(rows, 10) != 0);
    mirai_set(user, user, second_factor, db_int(rows, 11) != 0);
}

int user_find_groups(struct op *op, int64_t id, struct mirai_ints *groups)
{
    int64_t *items = mirai_arena_alloc(&op->arena, GROUPS_MAX * sizeof(*items));
    size_t count = 0;
    struct db_rows *rows = db_query(op->db,
                                    "SELECT ?2 UNION SELECT group_id FROM group_members WHERE user_id = ?1 "
                                    "ORDER BY 1 LIMIT ?3",
                                    DB_I(id), DB_I(GROUP_EVERYONE), DB_I(GROUPS_MAX));
    while (db_next(rows)) {
        items[count++] = db_int(rows, 0);
    }
    *groups = (struct mirai_ints){items, count};
    return db_end(rows);
}

static int add_groups(struct op *op, struct mirai_user *user)
{
    mirai_mark(user, user, groups);
    return user_find_groups(op, user->id, &user->groups);
}

int user_find(struct op *op, int64_t id, struct mirai_user *user)
{
    struct db_rows *rows = db_query(op->db, "SELECT " USER_COLUMNS " FROM users WHERE id = ?1", DB_I(id));
    bool found = db_next(rows);
    if (found) {
        read_user(op, rows, user);
    }
    int err = db_end(rows);
    if (err != 0) {
        return err;
    }
    return found ? add_groups(op, user) : MIRAI_E_NOT_FOUND;
}

static int reply_user(struct op *op, int64_t id)
{
    struct mirai_user user;
    int err = user_find(op, id, &user);
    return err != 0 ? err : op_result(op, &user);
}

int users_list(struct op *op)
{
    const struct mirai_page_request *params = op->params;
    struct page page;
    int err = page_begin_from(op, &page, "user", page_request, params);
    if (err != 0) {
        return err;
    }
    struct mirai_user *items = mirai_arena_alloc(&op->arena, page.limit * sizeof(*items));
    struct mirai_user_page result = {0};
    struct db_rows *rows =
        db_query(op->db, "SELECT " USER_COLUMNS " FROM users WHERE id > ?1 ORDER BY id LIMIT ?2",
                 DB_I(page.position), DB_I((int64_t)page.limit + 1));
    while (page_next(&page, rows)) {
        read_user(op, rows, &items[page.count - 1]);
    }
    err = db_end(rows);
    for (size_t i = 0; err == 0 && i < page.count; i++) {
        err = add_groups(op, &items[i]);
    }
    if (err != 0) {
        return err;
    }
    mirai_set(user_page, &result, items, ((struct mirai_objects){items, page.count}));
    if (page.more) {
        mirai_set(user_page, &result, next_cursor, page_cursor(&op->arena, "user", items[page.count - 1].id));
    }
    return op_result(op, &result);
}

int users_get(struct op *op)
{
    const struct mirai_by_id *params = op->params;
    return reply_user(op, params->id);
}

int users_self(struct op *op)
{
    if (op->principal->user_id <= 0) {
        return op_fail(op, MIRAI_E_NOT_FOUND, "the system has no account");
    }
    return reply_user(op, op->principal->user_id);
}

/* ------------------------------------------------------------------ changes */

static int check_password(struct op *op, struct mirai_str password, const struct password_owner *owner)
{
    const char *problem = password_problem(password, owner);
    return problem != NULL ? op_fault(op, "/password", problem) : 0;
}

static int hash_password(struct op *op, struct mirai_str password)
{
    char *hash = mirai_arena_alloc(&op->arena, PASSWORD_HASH_SIZE);
    op->state = hash;
    return password_hash(hash, password);
}

/* Users without a right are disabled users: the role `none` is for principals only. */
static int check_role(struct op *op, int role)
{
    return role == MIRAI_ROLE_NONE ? op_fault(op, "/role", "enum") : 0;
}

int users_create_hash(struct op *op)
{
    const struct mirai_user_create *params = op->params;
    int err = 0;
    if (!check_name(params->name)) {
        return op_fault(op, "/name", "format");
    }
    if (!check_email(params->email)) {
        return op_fault(op, "/email", "format");
    }
    err = check_role(op, params->role);
    if (err == 0) {
        err = check_password(op, params->password,
                             &(struct password_owner){params->name, params->display_name, params->email});
    }
    return err != 0 ? err : hash_password(op, params->password);
}

int users_create(struct op *op)
{
    const struct mirai_user_create *params = op->params;
    int err =
        db_exec(op->db,
                "INSERT INTO users (name, name_key, display_name, email, role, password_hash, created_at, "
                "must_change_password) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                DB_S(params->name), DB_S(user_name_key(&op->arena, params->name)), DB_S(params->display_name),
                DB_S(params->email), DB_I(params->role), DB_S(mirai_str(op->state)), DB_I(op->now_ms),
                DB_I(params->must_change_password));
    if (err == MIRAI_E_CONFLICT) {
        return op_fail(op, err, "the name is taken");
    }
    if (err != 0) {
        return err;
    }
    int64_t id = db_last_id(op->db);
    op_object(op, "user", id);
    return reply_user(op, id);
}

/* What the directory says of its accounts is not for anybody to say here. */
static int check_directory(struct op *op, const struct mirai_user *user)
{
    const struct mirai_user_patch *params = op->params;
    if (user->source != MIRAI_ACCOUNT_DIRECTORY) {
        return 0;
    }
    if (mirai_has(user_patch, params, password) || mirai_has(user_patch, params, must_change_password)) {
        return op_fail(op, MIRAI_E_CONFLICT, "the directory keeps the password of this account");
    }
    return mirai_has(user_patch, params, role) && params->role != user->role
               ? op_fail(op, MIRAI_E_CONFLICT, "the directory's groups give this account its role")
               : 0;
}

int users_patch_check(struct op *op)
{
    const struct mirai_user_patch *params = op->params;
    struct mirai_user user;
    int err = user_find(op, params->id, &user);
    if (err == 0) {
        err = check_directory(op, &user);
    }
    if (err != 0) {
        return err;
    }
    if (mirai_has(user_patch, params, email) && !check_email(params->email)) {
        return op_fault(op, "/email", "format");
    }
    if (mirai_has(user_patch, params, second_factor) && params->second_factor) {
        return op_fault(op, "/second_factor", "enum"); /* that is for its owner to make */
    }
    if (mirai_has(user_patch, params, role)) {
        err = check_role(op, params->role);
    }
    if (err == 0 && mirai_has(user_patch, params, password)) {
        err = check_password(
            op, params->password,
            &(struct password_owner){
                user.name,
                mirai_has(user_patch, params, display_name) ? params->display_name : user.display_name,
                mirai_has(user_patch, params, email) ? params->email : user.email,
            });
    }
    return err;
}

int users_patch_hash(struct op *op)
{
    const struct mirai_user_patch *params = op->params;
    return mirai_has(user_patch, params, password) ? hash_password(op, params->password) : 0;
}

/* Someone must be left who can repair what is wrong. */
static int check_admin_left(struct op *op)
{
    int64_t admin;
    int err = db_find_int(op->db, &admin, "SELECT id FROM users WHERE role = ?1 AND enabled LIMIT 1",
                          DB_I(MIRAI_ROLE_ADMIN));
    return err == MIRAI_E_NOT_FOUND ? op_fail(op, MIRAI_E_CONFLICT, "this is the last Admin") : err;
}

/* What the change takes away must not live on in sessions: all end with a new role, password or state, when the password
 * must be changed or the second factor goes, and API tokens with the account. */
static int end_credentials(struct op *op, const struct mirai_user *before)
{
    const struct mirai_user_patch *params = op->params;
    bool disabled = mirai_has(user_patch, params, disabled) && params->disabled;
    bool role_changed = mirai_has(user_patch, params, role) && params->role != before->role;
    bool must_change = mirai_has(user_patch, params, must_change_password) && params->must_change_password;
    bool factor_gone = false;
    if (mirai_has(user_patch, params, second_factor)) {
        int err = second_factor_remove(op, before->id, &factor_gone);
        if (err != 0) {
            return err;
        }
    }
    if (disabled) {
        return sessions_end(op, before->id, SESSIONS_AND_TOKENS, NULL);
    }
    return role_changed || must_change || factor_gone || mirai_has(user_patch, params, password)
               ? sessions_end(op, before->id, SESSIONS_ALL, NULL)
               : 0;
}

static int check_enabled(struct op *op)
{
    const struct mirai_user_patch *params = op->params;
    int64_t found;
    int err = db_find_int(op->db, &found, "SELECT 1 FROM users WHERE id = ?1 AND enabled", DB_I(params->id));
    return err == MIRAI_E_NOT_FOUND
               ? op_fail(op, MIRAI_E_CONFLICT, "the directory does not let this account in")
               : err;
}

int users_patch(struct op *op)
{
    const struct mirai_user_patch *params = op->params;
    struct mirai_user before;
    const char *hash = op->state;
    op_object(op, "user", params->id);
    int err = user_find(op, params->id, &before);
    if (err == 0) {
        err = check_directory(
            op, &before); /* again: the directory may have spoken while the password was hashed */
    }
    if (err != 0) {
        return err;
    }
    err = db_exec(op->db,
                  "UPDATE users SET role = coalesce(?2, role), disabled = coalesce(?3, disabled), "
                  "display_name = coalesce(?4, display_name), email = coalesce(?5, email), "
                  "password_hash = coalesce(?6, password_hash), "
                  "must_change_password = coalesce(?7, must_change_password) WHERE id = ?1",
                  DB_I(params->id), DB_I_IF(mirai_has(user_patch, params, role), params->role),
                  DB_I_IF(mirai_has(user_patch, params, disabled), params->disabled),
                  DB_S_IF(mirai_has(user_patch, params, display_name), params->display_name),
                  DB_S_IF(mirai_has(user_patch, params, email), params->email),
                  DB_S_IF(hash != NULL, mirai_str(hash)),
                  DB_I_IF(mirai_has(user_patch, params, must_change_password), params->must_change_password));
    if (err == 0 && before.role == MIRAI_ROLE_ADMIN && !before.disabled) {
        err = check_admin_left(op);
    }
    if (err == 0) {
        err = end_credentials(op, &before);
    }
    if (err == 0 && mirai_has(user_patch, params, disabled) && !params->disabled) {
        err = check_enabled(op);
    }
    op->touched_all = mirai_has(user_patch, params, display_name); /* articles show it */
    if (err == 0) {
        err = op_change(op, MIRAI_CHANGE_ACCESS, params->id);
    }
    return err != 0 ? err : reply_user(op, params->id);
}
