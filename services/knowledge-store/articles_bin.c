#include "services/knowledge-store/articles.h"

#include "services/knowledge-store/article_state.h"
#include "services/knowledge-store/attachments.h"

int article_delete(struct op *op)
{
    const struct mirai_article_delete *params = op->params;
    struct mirai_article current;
    int err = article_find_for_write(op, params->id, params->if_match, &current);
    if (err == 0) {
        err = db_exec(op->db, "UPDATE articles SET deleted_at = ?2 WHERE id = ?1", DB_I(params->id),
                      DB_I(op->now_ms));
    }
    if (err == 0) {
        op->articles_delta--;
        err = op_change(op, MIRAI_CHANGE_ARTICLE_GONE, params->id);
    }
    return err;
}

/* An article that must be in the bin. */
static int find_in_bin(struct op *op, int64_t id)
{
    struct mirai_article current;
    int err = article_find(op, id, &current);
    if (err != 0) {
        return err;
    }
    op_object(op, "article", id);
    struct access_fields fields = article_access(&current);
    err = access_check_write(op, &fields);
    if (err == 0 && !mirai_has(article, &current, deleted_at)) {
        err = op_fail(op, MIRAI_E_CONFLICT, "the article is not in the bin");
    }
    return err;
}

int article_restore(struct op *op)
{
    const struct mirai_by_id *params = op->params;
    int err = find_in_bin(op, params->id);
    if (err == 0) {
        err = db_exec(op->db, "UPDATE articles SET deleted_at = NULL WHERE id = ?1", DB_I(params->id));
    }
    if (err == 0) {
        op->articles_delta++;
        err = op_change(op, MIRAI_CHANGE_ARTICLE, params->id);
    }
    return err == 0 ? article_answer(op, params->id) : err;
}

int article_purge(struct op *op)
{
    const struct mirai_by_id *params = op->params;
    int err = find_in_bin(op, params->id);
    if (err == 0) {
        err = attachments_removing(op, params->id, 0);
    }
    if (err == 0) {
        err = db_exec(op->db, "DELETE FROM articles WHERE id = ?1", DB_I(params->id));
    }
    return err == 0 ? op_change(op, MIRAI_CHANGE_ARTICLE_GONE, params->id) : err;
}
