#include "services/knowledge-store/feed.h"

#include "libcommon/config.h"
#include "services/knowledge-store/articles.h"
#include "services/knowledge-store/attachments.h"
#include "services/knowledge-store/store.h"

#define PAGE_LIMIT 200
#define PAGE_BYTES (2 << 20) /* texts in a page; a frame between daemons may have 8 MiB */
#define FILE_BYTES 400       /* of an attachment beside its name */
#define DAY_MS     86400000

void feed_publish(struct store *store, int64_t seq)
{
    struct mirai_feed_hint hint = {0};
    struct mirai_buf message = {0};
    if (store->publisher == NULL) {
        return;
    }
    mirai_set(feed_hint, &hint, epoch, mirai_str(store->epoch));
    mirai_set(feed_hint, &hint, seq, seq);
    mirai_message_encode(&mirai_message_feed_hint, &hint, &message);
    mirai_publish(store->publisher, mirai_buf_str(&message));
    mirai_buf_free(&message);
}

int feed_expire(struct db *db, int64_t now_ms, int64_t limit)
{
    return db_exec(db,
                   "DELETE FROM changes WHERE seq IN"
                   " (SELECT seq FROM changes WHERE at < ?1 AND seq < (SELECT max(seq) FROM changes)"
                   " ORDER BY seq LIMIT ?2)",
                   DB_I(now_ms - mirai_config_int(MIRAI_CONFIG_FEED_KEEP_DAYS) * DAY_MS), DB_I(limit));
}

static int read_bounds(struct op *op, int64_t *first, int64_t *last)
{
    struct db_rows *rows = db_query(
        op->db,
        "SELECT ifnull((SELECT min(seq) FROM changes), 1), ifnull((SELECT max(seq) FROM changes), 0)");
    if (db_next(rows)) {
        *first = db_int(rows, 0);
        *last = db_int(rows, 1);
    }
    return db_end(rows);
}

/* Whether the same article comes again later among these changes. */
static bool comes_again(const struct mirai_change *items, size_t at, size_t count)
{
    for (size_t i = at + 1; i < count; i++) {
        if (items[i].id == items[at].id &&
            (items[i].kind == MIRAI_CHANGE_ARTICLE || items[i].kind == MIRAI_CHANGE_ARTICLE_GONE)) {
            return true;
        }
    }
    return false;
}

/* What an article with its files needs of a page. */
static size_t bytes_of(const struct mirai_article *article)
{
    size_t bytes = article->body.len;
    for (size_t i = 0; i < article->attachments.count; i++) {
        bytes += FILE_BYTES + MIRAI_ITEMS(attachment, &article->attachments)[i].name.len;
    }
    return bytes;
}

/* Give the changes their articles. Returns how many fit into a page, at least one, or an error. What is in
 * the bin or purged by now is gone, whatever the change said. */
static int attach_articles(struct op *op, struct mirai_change *items, size_t *count)
{
    size_t bytes = 0, filled = 0;
    for (; filled < *count && bytes < PAGE_BYTES; filled++) {
        struct mirai_change *change = &items[filled];
        if (change->kind != MIRAI_CHANGE_ARTICLE || comes_again(items, filled, *count)) {
            continue;
        }
        int err = article_find(op, change->id, &change->article);
        if (err != 0 && err != MIRAI_E_NOT_FOUND) {
            return err;
        }
        if (err == MIRAI_E_NOT_FOUND || mirai_has(article, &change->article, deleted_at)) {
            change->kind = MIRAI_CHANGE_ARTICLE_GONE;
            continue;
        }
        err = attachments_load(op, &change->article);
        if (err != 0) {
            return err;
        }
        mirai_mark(change, change, article);
        bytes += bytes_of(&change->article);
    }
    if (filled < *count) { /* a text that was left for a change beyond the page's end must come at the next */
        *count = filled;
    }
    return 0;
}

static int read_changes(struct op *op, int64_t after, size_t limit, struct mirai_changes *page)
{
    struct mirai_change *items = mirai_arena_alloc(&op->arena, limit * sizeof(*items));
    size_t count = 0;
    struct db_rows *rows =
        db_query(op->db, "SELECT seq, kind, object_id, at FROM changes WHERE seq > ?1 ORDER BY seq LIMIT ?2",
                 DB_I(after), DB_I((int64_t)limit));
    while (count < limit && db_next(rows)) {
        struct mirai_change *change = &items[count++];
        mirai_set(change, change, seq, db_int(rows, 0));
        mirai_set(change, change, kind, (int)db_int(rows, 1));
        mirai_set(change, change, id, db_int(rows, 2));
        mirai_set(change, change, at, db_int(rows, 3));
    }
    int err = db_end(rows);
    if (err == 0) {
        err = attach_articles(op, items, &count);
    }
    page->items.items = items;
    page->items.count = count;
    return err;
}

int feed_changes_since(struct op *op)
{
    const struct mirai_changes_since *params = op->params;
    struct mirai_changes page = {0};
    size_t limit = mirai_has(changes_since, params, limit) ? (size_t)params->limit : PAGE_LIMIT;
    int64_t first = 0, last = 0;
    int err = read_bounds(op, &first, &last);
    if (err != 0) {
        return err;
    }
    bool reset = !mirai_str_eq(params->epoch, mirai_str(op->store->epoch)) || params->seq < first - 1 ||
                 params->seq > last;
    mirai_set(changes, &page, epoch, mirai_str(op->store->epoch));
    mirai_set(changes, &page, reset, reset);
    mirai_set(changes, &page, last_seq, last);
    mirai_mark(changes, &page, items);
    if (!reset) {
        err = read_changes(op, params->seq, limit, &page);
    }
    return err == 0 ? op_result(op, &page) : err;
}

int feed_article_export(struct op *op)
{
    const struct mirai_article_export *params = op->params;
    struct mirai_article_export_page page = {0};
    size_t limit = mirai_has(article_export, params, limit) ? (size_t)params->limit : PAGE_LIMIT;
    struct mirai_article *items = mirai_arena_alloc(&op->arena, limit * sizeof(*items));
    size_t bytes = 0;
    int64_t first = 0, last = 0;
    int err = read_bounds(op, &first, &last);
    if (err != 0) {
        return err;
    }
    struct db_rows *rows = db_query(op->db,
                                    "SELECT " ARTICLE_COLUMNS ", r.body FROM articles a" ARTICLE_BODY_JOIN
                                    " WHERE a.id > ?1 AND a.deleted_at IS NULL ORDER BY a.id LIMIT ?2",
                                    DB_I(params->after_id), DB_I((int64_t)limit));
    while (err == 0 && page.items.count < limit && bytes < PAGE_BYTES && db_next(rows)) {
        struct mirai_article *article = &items[page.items.count++];
        article_load(op, rows, true, article);
        err = attachments_load(op, article);
        bytes += bytes_of(article);
    }
    int end = db_end(rows);
    err = err != 0 ? err : end;
    page.items.items = items;
    mirai_mark(article_export_page, &page, items);
    mirai_set(article_export_page, &page, epoch, mirai_str(op->store->epoch));
    mirai_set(article_export_page, &page, seq, last);
    return err == 0 ? op_result(op, &page) : err;
}
