#include "services/knowledge-store/comments.h"

#include "services/knowledge-store/articles.h"
#include "services/knowledge-store/page.h"

#define COMMENT_COLUMNS "id, body, created_at, created_by, " ARTICLE_USER("created_by")

static void read_comment(struct op *op, struct db_rows *rows, struct mirai_comment *comment)
{
    *comment = (struct mirai_comment){0};
    mirai_set(comment, comment, id, db_int(rows, 0));
    mirai_set(comment, comment, body, db_text_copy(rows, 1, &op->arena));
    mirai_set(comment, comment, created_at, db_int(rows, 2));
    if (db_int(rows, 3) > 0) {
        mirai_set(comment, comment, user_id, db_int(rows, 3));
    }
    if (!db_is_null(rows, 4)) {
        mirai_set(comment, comment, created_by, db_text_copy(rows, 4, &op->arena));
    }
}

int comments_list(struct op *op)
{
    const struct mirai_article_children *params = op->params;
    struct mirai_comment_page result = {0};
    struct page page;
    int err = access_find_article(op, params->id, NULL);
    if (err == 0) {
        err = page_begin_from(op, &page, "comment", article_children, params);
    }
    if (err != 0) {
        return err;
    }
    struct mirai_comment *items = mirai_arena_alloc(&op->arena, page.limit * sizeof(*items));
    struct db_rows *rows =
        db_query(op->db,
                 "SELECT " COMMENT_COLUMNS " FROM comments WHERE article_id = ?1 AND id > ?2 "
                 "ORDER BY id LIMIT ?3",
                 DB_I(params->id), DB_I(page.position), DB_I((int64_t)page.limit + 1));
    while (page_next(&page, rows)) {
        read_comment(op, rows, &items[page.count - 1]);
    }
    err = db_end(rows);
    if (err != 0) {
        return err;
    }
    mirai_set(comment_page, &result, items, ((struct mirai_objects){items, page.count}));
    if (page.more) {
        mirai_set(comment_page, &result, next_cursor,
                  page_cursor(&op->arena, "comment", items[page.count - 1].id));
    }
    return op_result(op, &result);
}

static int reply_comment(struct op *op, int64_t id)
{
    struct mirai_comment comment;
    struct db_rows *rows =
        db_query(op->db, "SELECT " COMMENT_COLUMNS " FROM comments WHERE id = ?1", DB_I(id));
    bool found = db_next(rows);
    if (found) {
        read_comment(op, rows, &comment);
    }
    int err = db_end(rows);
    return err != 0 ? err : found ? op_result(op, &comment) : MIRAI_E_NOT_FOUND;
}

int comments_create(struct op *op)
{
    const struct mirai_comment_create *params = op->params;
    op_object(op, "article", params->id);
    int err = access_find_article(op, params->id, NULL);
    if (err == 0) {
        err = db_exec(
            op->db, "INSERT INTO comments (article_id, body, created_at, created_by) VALUES (?1, ?2, ?3, ?4)",
            DB_I(params->id), DB_S(params->body), DB_I(op->now_ms), DB_I(op->principal->user_id));
    }
    if (err != 0) {
        return err;
    }
    int64_t id = db_last_id(op->db);
    op_object(op, "comment", id);
    return reply_comment(op, id);
}

int comments_delete(struct op *op)
{
    const struct mirai_comment_delete *params = op->params;
    int64_t author;
    op_object(op, "comment", params->comment_id);
    int err = access_find_article(op, params->id, NULL);
    if (err == 0) {
        err = db_find_int(op->db, &author,
                          "SELECT ifnull(created_by, 0) FROM comments WHERE id = ?1 AND article_id = ?2",
                          DB_I(params->comment_id), DB_I(params->id));
    }
    if (err != 0) {
        return err;
    }
    if (author != op->principal->user_id && !op_is_admin(op)) {
        return op_fail(op, MIRAI_E_FORBIDDEN, "the comment is another user's");
    }
    return db_exec(op->db, "DELETE FROM comments WHERE id = ?1", DB_I(params->comment_id));
}
