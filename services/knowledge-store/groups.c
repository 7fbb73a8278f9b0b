#include "services/knowledge-store/groups.h"

#include "services/knowledge-store/checks.h"

#define GROUPS_MAX 1000 /* the bound of group_page and of identity */

/* All lists of members together must fit one frame: groups beyond this are listed without theirs. */
#define LISTED_MEMBERS_MAX 500000

static int find_members(struct op *op, int64_t id, struct mirai_ints *members)
{
    int64_t count;
    int err = db_find_int(op->db, &count, "SELECT count(*) FROM group_members WHERE group_id = ?1", DB_I(id));
    if (err != 0) {
        return err;
    }
    members->items = mirai_arena_alloc(&op->arena, (size_t)count * sizeof(*members->items));
    members->count = 0;
    struct db_rows *rows =
        db_query(op->db, "SELECT user_id FROM group_members WHERE group_id = ?1 ORDER BY user_id LIMIT ?2",
                 DB_I(id), DB_I(count));
    while (db_next(rows)) {
        members->items[members->count++] = db_int(rows, 0);
    }
    return db_end(rows);
}

static int add_members(struct op *op, struct mirai_group *group)
{
    if (group->id == GROUP_EVERYONE) {
        return 0;
    }
    mirai_mark(group, group, members);
    return find_members(op, group->id, &group->members);
}

static void read_group(struct op *op, struct db_rows *rows, struct mirai_group *group)
{
    *group = (struct mirai_group){0};
    mirai_set(group, group, id, db_int(rows, 0));
    mirai_set(group, group, name, db_text_copy(rows, 1, &op->arena));
    struct mirai_str directory = db_text(rows, 2);
    if (directory.len > 0) {
        mirai_set(group, group, directory, mirai_arena_copy(&op->arena, directory));
    }
}

int groups_list(struct op *op)
{
    struct mirai_group_page result = {0};
    struct mirai_group *items = mirai_arena_alloc(&op->arena, GROUPS_MAX * sizeof(*items));
    size_t count = 0, members = 0;
    struct db_rows *rows =
        db_query(op->db, "SELECT id, name, directory FROM groups ORDER BY id LIMIT ?1", DB_I(GROUPS_MAX));
    while (db_next(rows)) {
        read_group(op, rows, &items[count++]);
    }
    int err = db_end(rows);
    for (size_t i = 0; err == 0 && i < count && members < LISTED_MEMBERS_MAX; i++) {
        err = add_members(op, &items[i]);
        members += items[i].members.count;
    }
    if (err != 0) {
        return err;
    }
    mirai_set(group_page, &result, items, ((struct mirai_objects){items, count}));
    return op_result(op, &result);
}

static int reply_group(struct op *op, int64_t id)
{
    struct mirai_group group;
    struct db_rows *rows = db_query(op->db, "SELECT id, name, directory FROM groups WHERE id = ?1", DB_I(id));
    bool found = db_next(rows);
    if (found) {
        read_group(op, rows, &group);
    }
    int err = db_end(rows);
    if (err == 0 && found) {
        err = add_members(op, &group);
    }
    return err != 0 ? err : found ? op_result(op, &group) : MIRAI_E_NOT_FOUND;
}

/* The name keeps the rule and no other group (than `id`) has it. */
static int check_group_name(struct op *op, struct mirai_str name, int64_t id)
{
    int64_t other;
    if (!check_name(name)) {
        return op_fault(op, "/name", "format");
    }
    int err = db_find_int(op->db, &other, "SELECT id FROM groups WHERE lower(name) = lower(?1) AND id <> ?2",
                          DB_S(name), DB_I(id));
    return err == 0 ? op_fail(op, MIRAI_E_CONFLICT, "the name is taken") : err == MIRAI_E_NOT_FOUND ? 0 : err;
}

/* It is compared with what the directory says: a name without anything invisible, or nothing. */
static int check_directory(struct op *op, struct mirai_str directory)
{
    return directory.len == 0 || check_name(directory) ? 0 : op_fault(op, "/directory", "format");
}

static int add_member(struct op *op, int64_t id, int64_t user_id)
{
    int err = db_exec(op->db,
                      "INSERT INTO group_members (group_id, user_id) SELECT ?1, id FROM users WHERE id = ?2",
                      DB_I(id), DB_I(user_id));
    if (err == MIRAI_E_CONFLICT) {
        return op_fault(op, "/members", "duplicate");
    }
    return err == 0 && db_rows_changed(op->db) == 0 ? op_fault(op, "/members", "not-found") : err;
}

static int set_members(struct op *op, int64_t id, const struct mirai_ints *members)
{
    int err = db_exec(op->db, "DELETE FROM group_members WHERE group_id = ?1", DB_I(id));
    for (size_t i = 0; err == 0 && i < members->count; i++) {
        err = add_member(op, id, members->items[i]);
    }
    return err;
}

int groups_create(struct op *op)
{
    const struct mirai_group_create *params = op->params;
    int64_t count;
    int err = check_group_name(op, params->name, 0);
    if (err == 0) {
        err = check_directory(op, params->directory);
    }
    if (err == 0) {
        err = db_find_int(op->db, &count, "SELECT count(*) FROM groups");
    }
    if (err == 0 && count >= GROUPS_MAX) {
        return op_fail(op, MIRAI_E_CONFLICT, "there are too many groups");
    }
    if (err == 0) {
        err = db_exec(op->db, "INSERT INTO groups (name, created_at, directory) VALUES (?1, ?2, ?3)",
                      DB_S(params->name), DB_I(op->now_ms), DB_S(params->directory));
    }
    if (err != 0) {
        return err;
    }
    int64_t id = db_last_id(op->db);
    op_object(op, "group", id);
    err = set_members(op, id, &params->members);
    if (err == 0) {
        err = op_change(op, MIRAI_CHANGE_ACCESS, id);
    }
    return err != 0 ? err : reply_group(op, id);
}

int groups_patch(struct op *op)
{
    const struct mirai_group_patch *params = op->params;
    int err = 0;
    op_object(op, "group", params->id);
    if (params->id == GROUP_EVERYONE &&
        (mirai_has(group_patch, params, members) || params->directory.len > 0)) {
        return op_fail(op, MIRAI_E_CONFLICT, "everyone is in this group");
    }
    if (mirai_has(group_patch, params, name)) {
        err = check_group_name(op, params->name, params->id);
    }
    if (err == 0) {
        err = check_directory(op, params->directory);
    }
    if (err == 0) {
        err = db_exec(op->db,
                      "UPDATE groups SET name = coalesce(?2, name), directory = coalesce(?3, directory) "
                      "WHERE id = ?1",
                      DB_I(params->id), DB_S_IF(mirai_has(group_patch, params, name), params->name),
                      DB_S_IF(mirai_has(group_patch, params, directory), params->directory));
    }
    if (err == 0 && db_rows_changed(op->db) == 0) {
        return MIRAI_E_NOT_FOUND;
    }
    if (err == 0 && mirai_has(group_patch, params, members)) {
        err = set_members(op, params->id, &params->members);
    }
    if (err == 0) {
        err = op_change(op, MIRAI_CHANGE_ACCESS, params->id);
    }
    return err != 0 ? err : reply_group(op, params->id);
}

int groups_delete(struct op *op)
{
    const struct mirai_by_id *params = op->params;
    op_object(op, "group", params->id);
    if (params->id == GROUP_EVERYONE) {
        return op_fail(op, MIRAI_E_CONFLICT, "this group cannot be removed");
    }
    int err = db_exec(op->db, "DELETE FROM groups WHERE id = ?1", DB_I(params->id));
    if (err == MIRAI_E_CONFLICT) {
        return op_fail(op, err, "spaces or articles are shared with the group");
    }
    if (err == 0 && db_rows_changed(op->db) == 0) {
        return MIRAI_E_NOT_FOUND;
    }
    return err != 0 ? err : op_change(op, MIRAI_CHANGE_ACCESS, params->id);
}
