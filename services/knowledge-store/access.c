#include "services/knowledge-store/access.h"

#include "proto/methods.h"
#include "services/knowledge-store/op.h"

static bool sees_all(const struct mirai_principal *principal)
{
    return principal->user_id == MIRAI_USER_SYSTEM || principal->role >= MIRAI_ROLE_ADMIN;
}

static bool contains(const int64_t *ids, size_t len, int64_t id)
{
    for (size_t i = 0; i < len; i++) {
        if (ids[i] == id) {
            return true;
        }
    }
    return false;
}

/* The ids, and `more` when not 0, as a JSON array. */
static struct mirai_str json_list(struct mirai_arena *arena, const int64_t *ids, size_t len, int64_t more)
{
    struct mirai_buf buf = {0};
    mirai_buf_append_char(&buf, '[');
    for (size_t i = 0; i < len; i++) {
        mirai_buf_printf(&buf, "%s%lld", i > 0 ? "," : "", (long long)ids[i]);
    }
    if (more != 0) {
        mirai_buf_printf(&buf, "%s%lld", len > 0 ? "," : "", (long long)more);
    }
    mirai_buf_append_char(&buf, ']');
    struct mirai_str list = mirai_arena_copy(arena, mirai_buf_str(&buf));
    mirai_buf_free(&buf);
    return list;
}

void access_make(struct access *access, const struct mirai_principal *principal, struct mirai_arena *arena)
{
    access->all = sees_all(principal);
    access->user_id = principal->user_id;
    access->spaces = access->groups = MIRAI_STR("[]");
    if (!access->all) {
        access->spaces = json_list(arena, principal->spaces, principal->spaces_len, 0);
        access->groups = json_list(arena, principal->groups, principal->groups_len, GROUP_EVERYONE);
    }
}

bool access_in_group(const struct mirai_principal *principal, int64_t group_id)
{
    return group_id == GROUP_EVERYONE || contains(principal->groups, principal->groups_len, group_id);
}

bool access_may_read(const struct mirai_principal *principal, const struct access_fields *fields)
{
    if (sees_all(principal) || (fields->owner_id != 0 && fields->owner_id == principal->user_id)) {
        return true;
    }
    switch ((enum mirai_visibility)fields->visibility) {
    case MIRAI_VISIBILITY_SPACE:
        return contains(principal->spaces, principal->spaces_len, fields->space_id);
    case MIRAI_VISIBILITY_GROUP:
        return fields->group_id != 0 && access_in_group(principal, fields->group_id);
    case MIRAI_VISIBILITY_PRIVATE:
        break;
    }
    return false;
}

static int check_editor_of(struct op *op, int64_t space_id)
{
    int64_t found;
    int err = db_find_int(
        op->db, &found,
        "SELECT 1 FROM space_groups WHERE space_id = ?1 AND editor = 1 AND group_id IN " DB_IN_LIST(
            "?2") " LIMIT 1",
        DB_I(space_id), DB_S(op->access.groups));
    return err == MIRAI_E_NOT_FOUND ? MIRAI_E_FORBIDDEN : err;
}

int access_check_write(struct op *op, const struct access_fields *fields)
{
    const struct mirai_principal *principal = op->principal;
    if (!access_may_read(principal, fields)) {
        return MIRAI_E_NOT_FOUND;
    }
    if (sees_all(principal)) {
        return 0;
    }
    if (principal->role < MIRAI_ROLE_EDITOR) {
        return MIRAI_E_FORBIDDEN;
    }
    return fields->owner_id == principal->user_id ? 0 : check_editor_of(op, fields->space_id);
}

int access_check_space(struct op *op, int64_t space_id)
{
    int64_t found;
    int err = db_find_int(op->db, &found, "SELECT 1 FROM spaces WHERE id = ?1", DB_I(space_id));
    if (err != 0 || sees_all(op->principal)) {
        return err;
    }
    bool readable = contains(op->principal->spaces, op->principal->spaces_len, space_id);
    err = check_editor_of(op, space_id);
    return err == MIRAI_E_FORBIDDEN && !readable ? MIRAI_E_NOT_FOUND : err;
}

int access_find_article(struct op *op, int64_t article_id, struct access_fields *fields)
{
    struct access_fields found = {0};
    struct db_rows *rows = db_query(
        op->db,
        "SELECT owner_id, space_id, group_id, visibility FROM articles WHERE id = ?1 AND deleted_at IS NULL",
        DB_I(article_id));
    bool exists = db_next(rows);
    if (exists) {
        found =
            (struct access_fields){db_int(rows, 0), db_int(rows, 1), db_int(rows, 2), (int)db_int(rows, 3)};
    }
    int err = db_end(rows);
    if (err == 0 && (!exists || !access_may_read(op->principal, &found))) {
        err = MIRAI_E_NOT_FOUND;
    }
    if (fields != NULL) {
        *fields = found;
    }
    return err;
}

int access_find_writable_article(struct op *op, int64_t article_id)
{
    struct access_fields fields;
    int err = access_find_article(op, article_id, &fields);
    return err != 0 ? err : access_check_write(op, &fields);
}
