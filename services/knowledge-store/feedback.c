#include "services/knowledge-store/feedback.h"

#include "services/knowledge-store/articles.h"
#include "services/knowledge-store/page.h"

#define FEEDBACK_COLUMNS "id, kind, rating, comment, created_at, " ARTICLE_USER("created_by")

static void read_feedback(struct op *op, struct db_rows *rows, struct mirai_feedback *feedback)
{
    *feedback = (struct mirai_feedback){0};
    mirai_set(feedback, feedback, id, db_int(rows, 0));
    if (!db_is_null(rows, 1)) {
        mirai_set(feedback, feedback, kind, (int)db_int(rows, 1));
    }
    if (!db_is_null(rows, 2)) {
        mirai_set(feedback, feedback, rating, db_int(rows, 2));
    }
    if (db_text(rows, 3).len > 0) {
        mirai_set(feedback, feedback, comment, db_text_copy(rows, 3, &op->arena));
    }
    mirai_set(feedback, feedback, created_at, db_int(rows, 4));
    if (!db_is_null(rows, 5)) {
        mirai_set(feedback, feedback, created_by, db_text_copy(rows, 5, &op->arena));
    }
}

int feedback_list(struct op *op)
{
    const struct mirai_article_children *params = op->params;
    struct mirai_feedback_page result = {0};
    struct page page;
    int err = access_find_article(op, params->id, NULL);
    if (err == 0) {
        err = page_begin_from(op, &page, "feedback", article_children, params);
    }
    if (err != 0) {
        return err;
    }
    struct mirai_feedback *items = mirai_arena_alloc(&op->arena, page.limit * sizeof(*items));
    struct db_rows *rows = db_query(
        op->db,
        "SELECT " FEEDBACK_COLUMNS " FROM feedback WHERE article_id = ?1 AND id < ?2 "
        "ORDER BY id DESC LIMIT ?3",
        DB_I(params->id), DB_I(page.position > 0 ? page.position : INT64_MAX), DB_I((int64_t)page.limit + 1));
    while (page_next(&page, rows)) {
        read_feedback(op, rows, &items[page.count - 1]);
    }
    err = db_end(rows);
    if (err != 0) {
        return err;
    }
    mirai_set(feedback_page, &result, items, ((struct mirai_objects){items, page.count}));
    if (page.more) {
        mirai_set(feedback_page, &result, next_cursor,
                  page_cursor(&op->arena, "feedback", items[page.count - 1].id));
    }
    return op_result(op, &result);
}

static int reply_feedback(struct op *op, int64_t id)
{
    struct mirai_feedback feedback;
    struct db_rows *rows =
        db_query(op->db, "SELECT " FEEDBACK_COLUMNS " FROM feedback WHERE id = ?1", DB_I(id));
    bool found = db_next(rows);
    if (found) {
        read_feedback(op, rows, &feedback);
    }
    int err = db_end(rows);
    return err != 0 ? err : found ? op_result(op, &feedback) : MIRAI_E_NOT_FOUND;
}

int feedback_create(struct op *op)
{
    const struct mirai_feedback_create *params = op->params;
    bool kind = mirai_has(feedback_create, params, kind), rating = mirai_has(feedback_create, params, rating);
    op_object(op, "article", params->id);
    int err = access_find_article(op, params->id, NULL);
    if (err != 0) {
        return err;
    }
    if (!kind && !rating) {
        return op_fault(op, "/kind", "required");
    }
    err = db_exec(op->db,
                  "INSERT INTO feedback (article_id, kind, rating, comment, created_at, created_by) "
                  "VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                  DB_I(params->id), DB_I_IF(kind, params->kind), DB_I_IF(rating, params->rating),
                  DB_S(params->comment), DB_I(op->now_ms), DB_I(op->principal->user_id));
    if (err != 0) {
        return err;
    }
    int64_t id = db_last_id(op->db);
    op_object(op, "feedback", id);
    return reply_feedback(op, id);
}
