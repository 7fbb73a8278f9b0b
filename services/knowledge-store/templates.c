#include "services/knowledge-store/templates.h"

#define TEMPLATES_MAX 100 /* the bound of template_page */

int templates_list(struct op *op)
{
    struct mirai_template_page result = {0};
    struct mirai_article_template *items = mirai_arena_alloc(&op->arena, TEMPLATES_MAX * sizeof(*items));
    size_t count = 0;
    struct db_rows *rows =
        db_query(op->db, "SELECT type, language, title, body FROM templates ORDER BY type, language LIMIT ?1",
                 DB_I(TEMPLATES_MAX));
    while (db_next(rows)) {
        struct mirai_article_template *item = &items[count++];
        mirai_set(article_template, item, type, (int)db_int(rows, 0));
        mirai_set(article_template, item, language, (int)db_int(rows, 1));
        mirai_set(article_template, item, title, db_text_copy(rows, 2, &op->arena));
        mirai_set(article_template, item, body, db_text_copy(rows, 3, &op->arena));
    }
    int err = db_end(rows);
    if (err != 0) {
        return err;
    }
    mirai_set(template_page, &result, items, ((struct mirai_objects){items, count}));
    return op_result(op, &result);
}

int templates_put(struct op *op)
{
    const struct mirai_article_template *params = op->params;
    int err =
        db_exec(op->db,
                "INSERT INTO templates (type, language, title, body) VALUES (?1, ?2, ?3, ?4) "
                "ON CONFLICT (type, language) DO UPDATE SET title = excluded.title, body = excluded.body",
                DB_I(params->type), DB_I(params->language), DB_S(params->title), DB_S(params->body));
    if (err != 0) {
        return err;
    }
    op_object(op, "template", (int64_t)params->type * 10 + params->language);
    return op_result(op, params);
}
