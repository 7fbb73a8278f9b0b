#include "services/knowledge-store/relations.h"

#include "services/knowledge-store/articles.h"

#define RELATIONS_MAX 1000 /* of one article: the bound of relation_page */

#define RELATION_COLUMNS                                                                                     \
    "r.id, r.type, r.from_id, r.to_id, f.title, t.title, r.created_at, " ARTICLE_USER("r.created_by")

static void read_relation(struct op *op, struct db_rows *rows, struct mirai_relation *relation)
{
    *relation = (struct mirai_relation){0};
    mirai_set(relation, relation, id, db_int(rows, 0));
    mirai_set(relation, relation, type, (int)db_int(rows, 1));
    mirai_set(relation, relation, from_id, db_int(rows, 2));
    mirai_set(relation, relation, to_id, db_int(rows, 3));
    mirai_set(relation, relation, from_title, db_text_copy(rows, 4, &op->arena));
    mirai_set(relation, relation, to_title, db_text_copy(rows, 5, &op->arena));
    mirai_set(relation, relation, created_at, db_int(rows, 6));
    if (!db_is_null(rows, 7)) {
        mirai_set(relation, relation, created_by, db_text_copy(rows, 7, &op->arena));
    }
}

/* Relations whose other end may not be seen are as if they were not there. */
int relations_list(struct op *op)
{
    const struct mirai_by_id *params = op->params;
    struct mirai_relation_page result = {0};
    size_t count = 0;
    int err = access_find_article(op, params->id, NULL);
    if (err != 0) {
        return err;
    }
    struct mirai_relation *items = mirai_arena_alloc(&op->arena, RELATIONS_MAX * sizeof(*items));
    struct db_rows *rows = db_query(
        op->db,
        "SELECT " RELATION_COLUMNS " FROM relations r JOIN articles f ON f.id = r.from_id "
        "JOIN articles t ON t.id = r.to_id JOIN articles a ON a.id = iif(r.from_id = ?5, r.to_id, r.from_id) "
        "WHERE (r.from_id = ?5 OR r.to_id = ?5) AND a.deleted_at IS NULL AND " ACCESS_SQL(
            "a") " "
                 "ORDER BY r.id LIMIT ?6",
        ACCESS_ARGS(op), DB_I(params->id), DB_I(RELATIONS_MAX));
    while (db_next(rows)) {
        read_relation(op, rows, &items[count++]);
    }
    err = db_end(rows);
    if (err != 0) {
        return err;
    }
    mirai_set(relation_page, &result, items, ((struct mirai_objects){items, count}));
    return op_result(op, &result);
}

static int reply_relation(struct op *op, int64_t id)
{
    struct mirai_relation relation;
    struct db_rows *rows =
        db_query(op->db,
                 "SELECT " RELATION_COLUMNS " FROM relations r JOIN articles f ON f.id = r.from_id "
                 "JOIN articles t ON t.id = r.to_id WHERE r.id = ?1",
                 DB_I(id));
    bool found = db_next(rows);
    if (found) {
        read_relation(op, rows, &relation);
    }
    int err = db_end(rows);
    return err != 0 ? err : found ? op_result(op, &relation) : MIRAI_E_NOT_FOUND;
}

/* What a typed relation links; MIRAI_ITSM_TYPE_OTHER where any will do. */
struct ends {
    enum mirai_itsm_type from, to;
};
static const struct ends ends_of[] = {
    [MIRAI_RELATION_INCIDENT_PROBLEM] = {MIRAI_ITSM_TYPE_INCIDENT, MIRAI_ITSM_TYPE_PROBLEM},
    [MIRAI_RELATION_PROBLEM_CHANGE] = {MIRAI_ITSM_TYPE_PROBLEM, MIRAI_ITSM_TYPE_CHANGE},
    [MIRAI_RELATION_CHANGE_RELEASE] = {MIRAI_ITSM_TYPE_CHANGE, MIRAI_ITSM_TYPE_RELEASE},
    [MIRAI_RELATION_REQUEST_CHANGE] = {MIRAI_ITSM_TYPE_REQUEST, MIRAI_ITSM_TYPE_CHANGE},
    [MIRAI_RELATION_DUPLICATE] = {MIRAI_ITSM_TYPE_OTHER, MIRAI_ITSM_TYPE_OTHER},
    [MIRAI_RELATION_RELATED] = {MIRAI_ITSM_TYPE_OTHER, MIRAI_ITSM_TYPE_OTHER},
    [MIRAI_RELATION_PARENT_CHILD] = {MIRAI_ITSM_TYPE_OTHER, MIRAI_ITSM_TYPE_OTHER},
    [MIRAI_RELATION_REFERENCE] = {MIRAI_ITSM_TYPE_OTHER, MIRAI_ITSM_TYPE_OTHER},
};

static int check_types(struct op *op, const struct mirai_relation_create *params)
{
    const struct ends ends = ends_of[params->type];
    int64_t fits;
    if (ends.from == MIRAI_ITSM_TYPE_OTHER) {
        return 0;
    }
    int err = db_find_int(op->db, &fits,
                          "SELECT (SELECT type FROM articles WHERE id = ?1) = ?2"
                          " AND (SELECT type FROM articles WHERE id = ?3) = ?4",
                          DB_I(params->id), DB_I(ends.from), DB_I(params->to_id), DB_I(ends.to));
    return err == 0 && !fits ? op_fault(op, "/type", "article-types") : err;
}

static int check_ends(struct op *op, const struct mirai_relation_create *params)
{
    int64_t count;
    int err = access_find_writable_article(op, params->id);
    if (err != 0) {
        return err;
    }
    if (params->to_id == params->id) {
        return op_fault(op, "/to_id", "same-article");
    }
    err = access_find_article(op, params->to_id, NULL);
    if (err == MIRAI_E_NOT_FOUND) {
        return op_fault(op, "/to_id", "not-found");
    }
    if (err == 0) {
        err = check_types(op, params);
    }
    if (err == 0) {
        err = db_find_int(op->db, &count, "SELECT count(*) FROM relations WHERE from_id = ?1",
                          DB_I(params->id));
    }
    return err == 0 && count >= RELATIONS_MAX ? op_fail(op, MIRAI_E_CONFLICT, "there are too many relations")
                                              : err;
}

int relations_create(struct op *op)
{
    const struct mirai_relation_create *params = op->params;
    op_object(op, "article", params->id);
    int err = check_ends(op, params);
    if (err != 0) {
        return err;
    }
    err = db_exec(
        op->db,
        "INSERT INTO relations (type, from_id, to_id, created_at, created_by) VALUES (?1, ?2, ?3, ?4, ?5)",
        DB_I(params->type), DB_I(params->id), DB_I(params->to_id), DB_I(op->now_ms),
        DB_I(op->principal->user_id));
    if (err == MIRAI_E_CONFLICT) {
        return op_fail(op, err, "the relation exists");
    }
    if (err != 0) {
        return err;
    }
    int64_t id = db_last_id(op->db);
    op_object(op, "relation", id);
    return reply_relation(op, id);
}

/* From either end, but with the right to change the one that it starts from. */
int relations_delete(struct op *op)
{
    const struct mirai_relation_delete *params = op->params;
    int64_t from_id, to_id = 0;
    op_object(op, "relation", params->relation_id);
    int err = db_find_int(op->db, &from_id,
                          "SELECT from_id FROM relations WHERE id = ?1 AND (from_id = ?2 OR to_id = ?2)",
                          DB_I(params->relation_id), DB_I(params->id));
    if (err == 0) {
        err = db_find_int(op->db, &to_id, "SELECT to_id FROM relations WHERE id = ?1",
                          DB_I(params->relation_id));
    }
    if (err == 0) {
        err = access_find_article(op, to_id, NULL);
    }
    if (err == 0) {
        err = access_find_writable_article(op, from_id);
    }
    return err != 0 ? err : db_exec(op->db, "DELETE FROM relations WHERE id = ?1", DB_I(params->relation_id));
}
