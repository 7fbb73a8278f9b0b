#include "services/knowledge-store/spaces.h"

#include "services/knowledge-store/checks.h"

#define SPACES_MAX       1000 /* the bound of space_page and of identity */
#define SPACE_GROUPS_MAX 200  /* readers, editors: the bound of space */

enum space_right {
    READERS = 0, /* space_groups.editor */
    EDITORS = 1,
};

static int find_groups(struct op *op, int64_t id, enum space_right right, struct mirai_ints *groups)
{
    groups->items = mirai_arena_alloc(&op->arena, SPACE_GROUPS_MAX * sizeof(*groups->items));
    groups->count = 0;
    struct db_rows *rows = db_query(
        op->db,
        "SELECT group_id FROM space_groups WHERE space_id = ?1 AND editor = ?2 ORDER BY group_id LIMIT ?3",
        DB_I(id), DB_I(right), DB_I(SPACE_GROUPS_MAX));
    while (db_next(rows)) {
        groups->items[groups->count++] = db_int(rows, 0);
    }
    return db_end(rows);
}

/* Only Admins deal with groups: others are not told which there are. */
static int add_groups(struct op *op, struct mirai_space *space)
{
    if (!op_is_admin(op)) {
        return 0;
    }
    mirai_mark(space, space, reader_groups);
    mirai_mark(space, space, editor_groups);
    int err = find_groups(op, space->id, READERS, &space->reader_groups);
    return err != 0 ? err : find_groups(op, space->id, EDITORS, &space->editor_groups);
}

static void read_space(struct op *op, struct db_rows *rows, struct mirai_space *space)
{
    *space = (struct mirai_space){0};
    mirai_set(space, space, id, db_int(rows, 0));
    mirai_set(space, space, name, db_text_copy(rows, 1, &op->arena));
    mirai_set(space, space, description, db_text_copy(rows, 2, &op->arena));
}

int spaces_list(struct op *op)
{
    struct mirai_space_page result = {0};
    struct mirai_space *items = mirai_arena_alloc(&op->arena, SPACES_MAX * sizeof(*items));
    size_t count = 0;
    struct db_rows *rows = db_query(op->db,
                                    "SELECT id, name, description FROM spaces WHERE ?1 OR id IN " DB_IN_LIST(
                                        "?2") " ORDER BY id LIMIT ?3",
                                    DB_I(op->access.all), DB_S(op->access.spaces), DB_I(SPACES_MAX));
    while (db_next(rows)) {
        read_space(op, rows, &items[count++]);
    }
    int err = db_end(rows);
    for (size_t i = 0; err == 0 && i < count; i++) {
        err = add_groups(op, &items[i]);
    }
    if (err != 0) {
        return err;
    }
    mirai_set(space_page, &result, items, ((struct mirai_objects){items, count}));
    return op_result(op, &result);
}

static int reply_space(struct op *op, int64_t id)
{
    struct mirai_space space;
    struct db_rows *rows =
        db_query(op->db, "SELECT id, name, description FROM spaces WHERE id = ?1", DB_I(id));
    bool found = db_next(rows);
    if (found) {
        read_space(op, rows, &space);
    }
    int err = db_end(rows);
    if (err == 0 && found) {
        err = add_groups(op, &space);
    }
    return err != 0 ? err : found ? op_result(op, &space) : MIRAI_E_NOT_FOUND;
}

/* The name keeps the rule and no other space (than `id`) has it. */
static int check_space_name(struct op *op, struct mirai_str name, int64_t id)
{
    int64_t other;
    if (!check_name(name)) {
        return op_fault(op, "/name", "format");
    }
    int err = db_find_int(op->db, &other, "SELECT id FROM spaces WHERE lower(name) = lower(?1) AND id <> ?2",
                          DB_S(name), DB_I(id));
    return err == 0 ? op_fail(op, MIRAI_E_CONFLICT, "the name is taken") : err == MIRAI_E_NOT_FOUND ? 0 : err;
}

static int set_groups(struct op *op, int64_t id, enum space_right right, const struct mirai_ints *groups)
{
    const char *path = right == READERS ? "/reader_groups" : "/editor_groups";
    int err = db_exec(op->db, "DELETE FROM space_groups WHERE space_id = ?1 AND editor = ?2", DB_I(id),
                      DB_I(right));
    for (size_t i = 0; err == 0 && i < groups->count; i++) {
        err = db_exec(op->db,
                      "INSERT INTO space_groups (space_id, group_id, editor) "
                      "SELECT ?1, id, ?3 FROM groups WHERE id = ?2",
                      DB_I(id), DB_I(groups->items[i]), DB_I(right));
        if (err == MIRAI_E_CONFLICT) {
            return op_fault(op, path, "duplicate");
        }
        if (err == 0 && db_rows_changed(op->db) == 0) {
            return op_fault(op, path, "not-found");
        }
    }
    return err;
}

int spaces_create(struct op *op)
{
    const struct mirai_space_create *params = op->params;
    int64_t count;
    int err = check_space_name(op, params->name, 0);
    if (err == 0) {
        err = db_find_int(op->db, &count, "SELECT count(*) FROM spaces");
    }
    if (err == 0 && count >= SPACES_MAX) {
        return op_fail(op, MIRAI_E_CONFLICT, "there are too many spaces");
    }
    if (err == 0) {
        err = db_exec(op->db, "INSERT INTO spaces (name, description, created_at) VALUES (?1, ?2, ?3)",
                      DB_S(params->name), DB_S(params->description), DB_I(op->now_ms));
    }
    if (err != 0) {
        return err;
    }
    int64_t id = db_last_id(op->db);
    op_object(op, "space", id);
    err = set_groups(op, id, READERS, &params->reader_groups);
    if (err == 0) {
        err = set_groups(op, id, EDITORS, &params->editor_groups);
    }
    if (err == 0) {
        err = op_change(op, MIRAI_CHANGE_ACCESS, id);
    }
    return err != 0 ? err : reply_space(op, id);
}

int spaces_patch(struct op *op)
{
    const struct mirai_space_patch *params = op->params;
    int err = 0;
    op_object(op, "space", params->id);
    if (mirai_has(space_patch, params, name)) {
        err = check_space_name(op, params->name, params->id);
    }
    if (err == 0) {
        err = db_exec(op->db,
                      "UPDATE spaces SET name = coalesce(?2, name), description = coalesce(?3, description) "
                      "WHERE id = ?1",
                      DB_I(params->id), DB_S_IF(mirai_has(space_patch, params, name), params->name),
                      DB_S_IF(mirai_has(space_patch, params, description), params->description));
    }
    if (err == 0 && db_rows_changed(op->db) == 0) {
        return MIRAI_E_NOT_FOUND;
    }
    if (err == 0 && mirai_has(space_patch, params, reader_groups)) {
        err = set_groups(op, params->id, READERS, &params->reader_groups);
    }
    if (err == 0 && mirai_has(space_patch, params, editor_groups)) {
        err = set_groups(op, params->id, EDITORS, &params->editor_groups);
    }
    if (err == 0) {
        err = op_change(op, MIRAI_CHANGE_ACCESS, params->id);
    }
    return err != 0 ? err : reply_space(op, params->id);
}

int spaces_delete(struct op *op)
{
    const struct mirai_by_id *params = op->params;
    op_object(op, "space", params->id);
    if (params->id == SPACE_GENERAL) {
        return op_fail(op, MIRAI_E_CONFLICT, "this space cannot be removed");
    }
    int err = db_exec(op->db, "DELETE FROM spaces WHERE id = ?1", DB_I(params->id));
    if (err == MIRAI_E_CONFLICT) {
        return op_fail(op, err, "there are articles in the space");
    }
    if (err == 0 && db_rows_changed(op->db) == 0) {
        return MIRAI_E_NOT_FOUND;
    }
    return err != 0 ? err : op_change(op, MIRAI_CHANGE_ACCESS, params->id);
}
