#include "services/knowledge-store/statistics.h"

#include "services/knowledge-store/articles.h"

#include <stdio.h>
#include <time.h>

#define DAY_MS     INT64_C(86400000)
#define VIEW_DAYS  30
#define TAGS_MAX   50 /* the bounds of statistics */
#define RECENT_MAX 10
#define TALLY_MAX  20

/* Visible, outside the bin; binds ACCESS_ARGS(op) first. */
#define VISIBLE "a.deleted_at IS NULL AND " ACCESS_SQL("a")

static void add_tally(struct mirai_tally *tallies, size_t *count, struct mirai_str key, int64_t n)
{
    mirai_set(tally, &tallies[*count], key, key);
    mirai_set(tally, &tallies[*count], count, n);
    ++*count;
}

/* Words of an enum that were counted at all, in the order of their declaration. */
static struct mirai_objects tally_enum(struct op *op, const struct mirai_enum *words, const int64_t *counts)
{
    struct mirai_tally *tallies = mirai_arena_alloc(&op->arena, TALLY_MAX * sizeof(*tallies));
    size_t count = 0;
    for (size_t i = 0; words->values[i] != NULL && i < TALLY_MAX; i++) {
        if (counts[i] > 0) {
            add_tally(tallies, &count, mirai_str(words->values[i]), counts[i]);
        }
    }
    return (struct mirai_objects){tallies, count};
}

static int count_articles(struct op *op, struct mirai_statistics *result)
{
    int64_t types[TALLY_MAX] = {0}, statuses[TALLY_MAX] = {0}, total = 0;
    struct db_rows *rows = db_query(op->db,
                                    "SELECT a.type, a.status, count(*) FROM articles a WHERE " VISIBLE
                                    " GROUP BY a.type, a.status",
                                    ACCESS_ARGS(op));
    while (db_next(rows)) {
        int64_t type = db_int(rows, 0), status = db_int(rows, 1), count = db_int(rows, 2);
        if (type >= 0 && type < TALLY_MAX && status >= 0 && status < TALLY_MAX) {
            types[type] += count;
            statuses[status] += count;
            total += count;
        }
    }
    mirai_set(statistics, result, articles, total);
    mirai_set(statistics, result, by_type, tally_enum(op, &mirai_enum_itsm_type, types));
    mirai_set(statistics, result, by_status, tally_enum(op, &mirai_enum_article_status, statuses));
    return db_end(rows);
}

static int find_top_tags(struct op *op, struct mirai_statistics *result)
{
    struct mirai_tally *tallies = mirai_arena_alloc(&op->arena, TAGS_MAX * sizeof(*tallies));
    size_t count = 0;
    struct db_rows *rows = db_query(op->db,
                                    "SELECT t.name, count(*) AS n FROM article_tags x "
                                    "JOIN articles a ON a.id = x.article_id JOIN tags t ON t.id = x.tag_id "
                                    "WHERE " VISIBLE " GROUP BY x.tag_id ORDER BY n DESC, t.name LIMIT ?5",
                                    ACCESS_ARGS(op), DB_I(TAGS_MAX));
    while (db_next(rows)) {
        add_tally(tallies, &count, db_text_copy(rows, 0, &op->arena), db_int(rows, 1));
    }
    mirai_set(statistics, result, top_tags, ((struct mirai_objects){tallies, count}));
    return db_end(rows);
}

static int find_recent(struct op *op, struct mirai_statistics *result)
{
    struct mirai_article *items = mirai_arena_alloc(&op->arena, RECENT_MAX * sizeof(*items));
    size_t count = 0;
    struct db_rows *rows = db_query(op->db,
                                    "SELECT " ARTICLE_COLUMNS " FROM articles a WHERE " VISIBLE
                                    " ORDER BY a.updated_at DESC, a.id DESC LIMIT ?5",
                                    ACCESS_ARGS(op), DB_I(RECENT_MAX));
    while (db_next(rows)) {
        article_load(op, rows, false, &items[count++]);
    }
    mirai_set(statistics, result, recent, ((struct mirai_objects){items, count}));
    return db_end(rows);
}

static int count_views(struct op *op, struct mirai_statistics *result)
{
    int64_t views = 0;
    int err =
        db_find_int(op->db, &views,
                    "SELECT ifnull(sum(v.count), 0) FROM views v JOIN articles a ON a.id = v.article_id "
                    "WHERE v.day > ?5 AND " VISIBLE,
                    ACCESS_ARGS(op), DB_I(op->now_ms / DAY_MS - VIEW_DAYS));
    mirai_set(statistics, result, views_30_days, views);
    return err;
}

/* Review days are days of the local calendar. */
static int count_review_due(struct op *op, struct mirai_statistics *result)
{
    time_t now = (time_t)(op->now_ms / 1000);
    struct tm local;
    char today[sizeof("2026-01-31")];
    int64_t due = 0;
    (void)localtime_r(&now, &local);
    (void)strftime(today, sizeof(today), "%Y-%m-%d", &local);
    int err = db_find_int(
        op->db, &due,
        "SELECT count(*) FROM articles a WHERE a.review_by IS NOT NULL AND a.review_by < ?5 AND " VISIBLE,
        ACCESS_ARGS(op), DB_S(mirai_str(today)));
    mirai_set(statistics, result, review_due, due);
    return err;
}

static int find_rating(struct op *op, struct mirai_statistics *result)
{
    struct db_rows *rows =
        db_query(op->db,
                 "SELECT avg(f.rating) FROM feedback f JOIN articles a ON a.id = f.article_id "
                 "WHERE f.rating IS NOT NULL AND " VISIBLE,
                 ACCESS_ARGS(op));
    if (db_next(rows) && !db_is_null(rows, 0)) {
        mirai_set(statistics, result, rating_average, db_double(rows, 0));
    }
    return db_end(rows);
}

int statistics_get(struct op *op)
{
    static int (*const parts[])(struct op * op, struct mirai_statistics * result) = {
        count_articles, find_top_tags, find_recent, count_views, count_review_due, find_rating,
    };
    struct mirai_statistics result = {0};
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        int err = parts[i](op, &result);
        if (err != 0) {
            return err;
        }
    }
    return op_result(op, &result);
}
