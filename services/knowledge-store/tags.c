#include "services/knowledge-store/tags.h"

#include "services/knowledge-store/checks.h"

#define TAGS_MAX    10000 /* the bound of tag_page */

#define TAG_COLUMNS "t.id, t.name, t.color, t.category"
/* A name may tell what an article is about: listed are those of visible articles, and of none at all. */
#define TAG_LISTED                                                                                           \
    "ON c.tag_id = t.id WHERE ?1 OR c.articles > 0 "                                                         \
    "OR NOT EXISTS (SELECT 1 FROM article_tags x WHERE x.tag_id = t.id)"

static void read_tag(struct op *op, struct db_rows *rows, struct mirai_tag *tag)
{
    *tag = (struct mirai_tag){0};
    mirai_set(tag, tag, id, db_int(rows, 0));
    mirai_set(tag, tag, name, db_text_copy(rows, 1, &op->arena));
    if (db_text(rows, 2).len > 0) {
        mirai_set(tag, tag, color, db_text_copy(rows, 2, &op->arena));
    }
    if (db_text(rows, 3).len > 0) {
        mirai_set(tag, tag, category, db_text_copy(rows, 3, &op->arena));
    }
    mirai_set(tag, tag, article_count, db_int(rows, 4));
}

int tags_check_room(struct op *op)
{
    int64_t count;
    int err = db_find_int(op->db, &count, "SELECT count(*) FROM tags");
    return err == 0 && count >= TAGS_MAX ? op_fail(op, MIRAI_E_CONFLICT, "there are too many tags") : err;
}

int tags_list(struct op *op)
{
    struct mirai_tag_page result = {0};
    struct mirai_tag *items = mirai_arena_alloc(&op->arena, TAGS_MAX * sizeof(*items));
    size_t count = 0;
    struct db_rows *rows = db_query(
        op->db,
        "SELECT " TAG_COLUMNS ", coalesce(c.articles, 0) FROM tags t LEFT JOIN "
        "(SELECT x.tag_id, count(*) AS articles FROM article_tags x JOIN articles a ON a.id = x.article_id "
        "WHERE a.deleted_at IS NULL AND " ACCESS_SQL("a") " GROUP BY x.tag_id) c " TAG_LISTED
                                                          " ORDER BY t.name LIMIT ?5",
        ACCESS_ARGS(op), DB_I(TAGS_MAX));
    while (db_next(rows)) {
        read_tag(op, rows, &items[count++]);
    }
    int err = db_end(rows);
    if (err != 0) {
        return err;
    }
    mirai_set(tag_page, &result, items, ((struct mirai_objects){items, count}));
    return op_result(op, &result);
}

static int reply_tag(struct op *op, int64_t id)
{
    struct mirai_tag tag;
    struct db_rows *rows = db_query(
        op->db,
        "SELECT " TAG_COLUMNS ", (SELECT count(*) FROM article_tags x JOIN articles a ON a.id = x.article_id "
        "WHERE x.tag_id = t.id AND a.deleted_at IS NULL AND " ACCESS_SQL("a") ") FROM tags t WHERE t.id = ?5",
        ACCESS_ARGS(op), DB_I(id));
    bool found = db_next(rows);
    if (found) {
        read_tag(op, rows, &tag);
    }
    int err = db_end(rows);
    return err != 0 ? err : found ? op_result(op, &tag) : MIRAI_E_NOT_FOUND;
}

/* The name keeps the rule and no other tag (than `id`) has it. */
static int check_tag_name(struct op *op, struct mirai_str name, int64_t id)
{
    int64_t other;
    if (!check_name(name)) {
        return op_fault(op, "/name", "format");
    }
    int err = db_find_int(op->db, &other, "SELECT id FROM tags WHERE lower(name) = lower(?1) AND id <> ?2",
                          DB_S(name), DB_I(id));
    return err == 0 ? op_fail(op, MIRAI_E_CONFLICT, "the name is taken") : err == MIRAI_E_NOT_FOUND ? 0 : err;
}

static int check_tag_color(struct op *op, struct mirai_str color)
{
    return color.len > 0 && !check_color(color) ? op_fault(op, "/color", "format") : 0;
}

int tags_create(struct op *op)
{
    const struct mirai_tag_create *params = op->params;
    int err = check_tag_name(op, params->name, 0);
    if (err == 0) {
        err = check_tag_color(op, params->color);
    }
    if (err == 0) {
        err = tags_check_room(op);
    }
    if (err == 0) {
        err = db_exec(op->db, "INSERT INTO tags (name, color, category, created_at) VALUES (?1, ?2, ?3, ?4)",
                      DB_S(params->name), DB_S(params->color), DB_S(params->category), DB_I(op->now_ms));
    }
    if (err != 0) {
        return err;
    }
    int64_t id = db_last_id(op->db);
    op_object(op, "tag", id);
    err = op_change(op, MIRAI_CHANGE_TAG, id);
    return err != 0 ? err : reply_tag(op, id);
}

/* The next version of one article: the name of the tag in its list is replaced (by nothing when `replacement` is
 * empty). */
static int replace_in_article(struct op *op, int64_t article_id, struct mirai_str name,
                              struct mirai_str replacement, struct mirai_str reason)
{
    int err = db_exec(op->db,
                      "UPDATE articles SET tags = trim(replace(char(10) || tags || char(10), "
                      "char(10) || ?2 || char(10), char(10) || iif(?3 = '', '', ?3 || char(10))), char(10)), "
                      "version = version + 1, updated_at = ?4, updated_by = ?5 WHERE id = ?1",
                      DB_I(article_id), DB_S(name), DB_S(replacement), DB_I(op->now_ms),
                      DB_I(op->principal->user_id));
    if (err == 0) {
        err = db_exec(
            op->db,
            "INSERT INTO revisions (article_id, version, created_at, created_by, reason, title, type, "
            "status, "
            "language, summary_technical, summary_non_technical, tags, review_by, body) "
            "SELECT a.id, a.version, a.updated_at, a.updated_by, ?2, a.title, a.type, a.status, a.language, "
            "a.summary_technical, a.summary_non_technical, a.tags, a.review_by, r.body "
            "FROM articles a JOIN revisions r ON r.article_id = a.id AND r.version = a.version - 1 "
            "WHERE a.id = ?1",
            DB_I(article_id), DB_S(reason));
    }
    return err;
}

/* Whoever read an article before holds an etag that this must end: else a save would bring the old names back. Also
 * in the bin. */
static int replace_in_articles(struct op *op, int64_t id, struct mirai_str name, struct mirai_str replacement,
                               struct mirai_str reason)
{
    int64_t count = 0;
    size_t found = 0;
    int err = db_find_int(op->db, &count, "SELECT count(*) FROM article_tags WHERE tag_id = ?1", DB_I(id));
    int64_t *articles = mirai_arena_alloc(&op->arena, ((size_t)count + 1) * sizeof(*articles));
    struct db_rows *rows = db_query(
        op->db, "SELECT article_id FROM article_tags WHERE tag_id = ?1 ORDER BY article_id", DB_I(id));
    while (found < (size_t)count && db_next(rows)) {
        articles[found++] = db_int(rows, 0);
    }
    int end = db_end(rows);
    err = err != 0 ? err : end;
    for (size_t i = 0; err == 0 && i < found; i++) {
        err = replace_in_article(op, articles[i], name, replacement, reason);
    }
    if (err == 0) {
        err = db_exec(
            op->db,
            "INSERT INTO changes (kind, object_id, at) SELECT ?2, x.article_id, ?3 FROM article_tags x "
            "JOIN articles a ON a.id = x.article_id WHERE x.tag_id = ?1 AND a.deleted_at IS NULL "
            "ORDER BY x.article_id",
            DB_I(id), DB_I(MIRAI_CHANGE_ARTICLE), DB_I(op->now_ms));
    }
    op->touched_all = true;
    return err;
}

static int find_tag_name(struct op *op, int64_t id, struct mirai_str *name)
{
    struct db_rows *rows = db_query(op->db, "SELECT name FROM tags WHERE id = ?1", DB_I(id));
    bool found = db_next(rows);
    if (found) {
        *name = db_text_copy(rows, 0, &op->arena);
    }
    int err = db_end(rows);
    return err == 0 && !found ? MIRAI_E_NOT_FOUND : err;
}

int tags_patch(struct op *op)
{
    const struct mirai_tag_patch *params = op->params;
    bool rename = mirai_has(tag_patch, params, name);
    struct mirai_str name = {0};
    op_object(op, "tag", params->id);
    int err = find_tag_name(op, params->id, &name);
    if (err == 0 && rename) {
        err = check_tag_name(op, params->name, params->id);
    }
    if (err == 0) {
        err = check_tag_color(op, params->color);
    }
    if (err == 0 && rename && !mirai_str_eq(name, params->name)) {
        err = replace_in_articles(op, params->id, name, params->name, MIRAI_STR("tag renamed"));
    }
    if (err == 0) {
        err = db_exec(op->db,
                      "UPDATE tags SET name = coalesce(?2, name), color = coalesce(?3, color), "
                      "category = coalesce(?4, category) WHERE id = ?1",
                      DB_I(params->id), DB_S_IF(rename, params->name),
                      DB_S_IF(mirai_has(tag_patch, params, color), params->color),
                      DB_S_IF(mirai_has(tag_patch, params, category), params->category));
    }
    if (err == 0) {
        err = op_change(op, MIRAI_CHANGE_TAG, params->id);
    }
    return err != 0 ? err : reply_tag(op, params->id);
}

int tags_delete(struct op *op)
{
    const struct mirai_by_id *params = op->params;
    struct mirai_str name = {0};
    op_object(op, "tag", params->id);
    int err = find_tag_name(op, params->id, &name);
    if (err == 0) {
        err =
            replace_in_articles(op, params->id, name, (struct mirai_str){NULL, 0}, MIRAI_STR("tag removed"));
    }
    if (err == 0) {
        err = db_exec(op->db, "DELETE FROM article_tags WHERE tag_id = ?1", DB_I(params->id));
    }
    if (err == 0) {
        err = db_exec(op->db, "DELETE FROM tags WHERE id = ?1", DB_I(params->id));
    }
    return err != 0 ? err : op_change(op, MIRAI_CHANGE_TAG, params->id);
}
