#include "services/knowledge-store/signals.h"

#define LIMIT_DEFAULT 1000
#define DAYS          30
#define DAY_MS        INT64_C(86400000)

static void read_signal(struct db_rows *rows, struct mirai_article_signal *signal)
{
    mirai_set(article_signal, signal, id, db_int(rows, 0));
    mirai_set(article_signal, signal, views, db_int(rows, 1));
    if (!db_is_null(rows, 2)) {
        mirai_set(article_signal, signal, rating_average, db_double(rows, 2));
    }
    mirai_set(article_signal, signal, rating_count, db_int(rows, 3));
    mirai_set(article_signal, signal, clicks, db_int(rows, 4));
}

/* Each of the three indexes is walked from `after_id` only as far as the page goes: the parts of a UNION with ORDER BY
 * are merged in their order. */
#define SIGNAL_IDS                                                                                           \
    "SELECT article_id AS id FROM views WHERE article_id > ?1 AND day > ?2"                                  \
    " UNION SELECT article_id FROM feedback WHERE article_id > ?1 AND rating IS NOT NULL"                    \
    " UNION SELECT article_id FROM clicks WHERE article_id > ?1 AND day > ?2 ORDER BY 1 LIMIT ?3"

int signals_list(struct op *op)
{
    const struct mirai_article_signal_list *params = op->params;
    struct mirai_article_signals result = {0};
    size_t limit = mirai_has(article_signal_list, params, limit) ? (size_t)params->limit : LIMIT_DEFAULT;
    struct mirai_article_signal *items = mirai_arena_alloc(&op->arena, limit * sizeof(*items));
    size_t count = 0;
    struct db_rows *rows =
        db_query(op->db,
                 "SELECT i.id,"
                 " (SELECT ifnull(sum(count), 0) FROM views WHERE article_id = i.id AND day > ?2),"
                 " (SELECT avg(rating) FROM feedback WHERE article_id = i.id AND rating IS NOT NULL),"
                 " (SELECT count(*) FROM feedback WHERE article_id = i.id AND rating IS NOT NULL),"
                 " (SELECT count(*) FROM clicks WHERE article_id = i.id AND day > ?2)"
                 " FROM (" SIGNAL_IDS ") i ORDER BY i.id",
                 DB_I(params->after_id), DB_I(op->now_ms / DAY_MS - DAYS), DB_I((int64_t)limit));
    while (count < limit && db_next(rows)) {
        read_signal(rows, &items[count++]);
    }
    int err = db_end(rows);
    if (err != 0) {
        return err;
    }
    mirai_set(article_signals, &result, items, ((struct mirai_objects){items, count}));
    return op_result(op, &result);
}
