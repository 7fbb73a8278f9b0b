#include "services/knowledge-store/articles.h"

#include "services/knowledge-store/cache.h"
#include "services/knowledge-store/store.h"
#include "services/knowledge-store/views.h"

#include <stdio.h>
#include <time.h>

#define LIST_LIMIT 20
#define DAY_MS     86400000
#define VIEW_DAYS  30

/* ------------------------------------------------------------------ one */

/* {id} or {id, count_view: bool} and nothing else: what readers ask all the time. */
static bool parse_simple_get(struct mirai_str params, int64_t *id, bool *count_view)
{
    struct mirai_mp mp = mirai_mp(params);
    uint32_t pairs;
    *id = 0;
    *count_view = false;
    if (mirai_mp_read_map(&mp, &pairs) != 0 || pairs > 2) {
        return false;
    }
    while (pairs-- > 0) {
        struct mirai_str key;
        struct mirai_mp_value value;
        if (mirai_mp_read_str(&mp, &key) != 0 || mirai_mp_read(&mp, &value) != 0) {
            return false;
        }
        if (value.type == MIRAI_MP_INT && mirai_str_eq(key, MIRAI_STR("id"))) {
            *id = value.integer;
        } else if (value.type == MIRAI_MP_BOOL && mirai_str_eq(key, MIRAI_STR("count_view"))) {
            *count_view = value.boolean;
        } else {
            return false;
        }
    }
    return *id > 0;
}

bool article_get_quick(struct store *store, struct mirai_rpc_request *request)
{
    const struct mirai_principal *principal = &request->context.principal;
    struct access_fields fields;
    struct mirai_str encoded;
    int64_t id;
    bool count_view;
    if (principal->user_id == 0 || principal->role < MIRAI_ROLE_VIEWER ||
        !parse_simple_get(request->params, &id, &count_view) ||
        !cache_find(store->cache, id, &encoded, &fields)) {
        return false;
    }
    mirai_counter_add(store->metrics.cache_hits, 1);
    if (!access_may_read(principal, &fields)) {
        mirai_rpc_fail(request, MIRAI_E_NOT_FOUND, NULL);
        return true;
    }
    if (count_view) {
        views_count(store->views, id);
    }
    mirai_rpc_reply(request, encoded);
    return true;
}

static struct db_rows *query_one(struct op *op, const struct mirai_article_get *params)
{
    if (mirai_has(article_get, params, id)) {
        return db_query(
            op->db, "SELECT " ARTICLE_COLUMNS ", r.body FROM articles a" ARTICLE_BODY_JOIN " WHERE a.id = ?1",
            DB_I(params->id));
    }
    return db_query(
        op->db, "SELECT " ARTICLE_COLUMNS ", r.body FROM articles a" ARTICLE_BODY_JOIN " WHERE a.slug = ?1",
        DB_S(params->slug));
}

int article_get(struct op *op)
{
    const struct mirai_article_get *params = op->params;
    struct mirai_article *article = mirai_arena_alloc(&op->arena, sizeof(*article));
    if (mirai_has(article_get, params, id) == mirai_has(article_get, params, slug)) {
        return op_fault(op, "/id", "required");
    }
    if (params->deleted && op->principal->role < MIRAI_ROLE_EDITOR) {
        return MIRAI_E_FORBIDDEN;
    }
    struct db_rows *rows = query_one(op, params);
    bool found = db_next(rows);
    if (found) {
        article_load(op, rows, true, article);
    }
    int err = db_end(rows);
    if (err != 0) {
        return err;
    }
    struct access_fields fields = article_access(article);
    if (!found || !access_may_read(op->principal, &fields) ||
        mirai_has(article, article, deleted_at) != params->deleted) {
        return MIRAI_E_NOT_FOUND;
    }
    op->state = article;
    return op_result(op, article);
}

void article_get_finish(struct op *op)
{
    const struct mirai_article_get *params = op->params;
    const struct mirai_article *article = op->state;
    mirai_counter_add(op->store->metrics.cache_misses, 1);
    if (op->err != 0 || mirai_has(article, article, deleted_at)) {
        return;
    }
    struct access_fields fields = article_access(article);
    cache_fill(op->store->cache, op->cache_ticket, article->id, mirai_buf_str(&op->result), &fields);
    if (params->count_view) {
        views_count(op->store->views, article->id);
    }
}

/* ------------------------------------------------------------------ many */

/* How each order reads on: by (key, id) below or above the last row of the page before. */
struct order {
    const char *column; /* NULL: the id alone */
    bool descending;
};
static const struct order orders[] = {
    [MIRAI_SORT_UPDATED_DESC] = {"a.updated_at", true},
    [MIRAI_SORT_UPDATED_ASC] = {"a.updated_at", false},
    [MIRAI_SORT_CREATED_DESC] = {"a.created_at", true},
    [MIRAI_SORT_CREATED_ASC] = {"a.created_at", false},
    [MIRAI_SORT_ID_DESC] = {NULL, true},
    [MIRAI_SORT_ID_ASC] = {NULL, false},
};

/* Cursor: "<order>.<key>.<id>", the last two in hexadecimal. */
struct position {
    int64_t key;
    int64_t id;
};

/* "." and 1 to 16 hexadecimal digits from the front of *rest. */
static bool take_hex(struct mirai_str *rest, uint64_t *value)
{
    static const char digits[] = "0123456789abcdef";
    size_t n = 1;
    *value = 0;
    for (const char *digit;
         n < rest->len && n <= 16 && rest->data[n] != '\0' && (digit = strchr(digits, rest->data[n])) != NULL;
         n++) {
        *value = *value << 4 | (uint64_t)(digit - digits);
    }
    if (n < 2 || rest->data[0] != '.') {
        return false;
    }
    rest->data += n;
    rest->len -= n;
    return true;
}

static int parse_cursor(struct op *op, struct mirai_str cursor, int sort, struct position *position)
{
    struct mirai_str rest = {cursor.data + 1, cursor.len - 1};
    uint64_t key, id;
    if (cursor.len == 0 || cursor.data[0] != '0' + sort || !take_hex(&rest, &key) || !take_hex(&rest, &id) ||
        rest.len > 0) {
        return op_fault(op, "/cursor", "format");
    }
    *position = (struct position){(int64_t)key, (int64_t)id};
    return 0;
}

static struct mirai_str make_cursor(struct op *op, int sort, const struct mirai_article *last)
{
    const char *column = orders[sort].column;
    int64_t key = column == NULL                        ? 0
                  : strcmp(column, "a.updated_at") == 0 ? last->updated_at
                                                        : last->created_at;
    return mirai_arena_printf(&op->arena, "%d.%llx.%llx", sort, (unsigned long long)key,
                              (unsigned long long)last->id);
}

static struct mirai_str today(struct op *op)
{
    char text[16];
    time_t now = (time_t)(op->now_ms / 1000);
    struct tm local;
    localtime_r(&now, &local);
    strftime(text, sizeof(text), "%Y-%m-%d", &local);
    return mirai_arena_copy(&op->arena, mirai_str(text));
}

/* The statement of this combination of filters: there are few, and db keeps them prepared. Parameters: ?1…?4
 * access, ?5 type, ?6 status, ?7 tag, ?8 owner, ?9 space, ?10 today, ?11 key, ?12 id, ?13 limit. */
static void build_list(const struct mirai_article_list *params, int sort, bool from_cursor,
                       struct mirai_buf *sql)
{
    const struct order *order = &orders[sort];
    const char *direction = order->descending ? "DESC" : "ASC";
    const char *beyond = order->descending ? "<" : ">";
    mirai_buf_printf(sql, "SELECT %s FROM articles a WHERE %s AND a.deleted_at IS %s", ARTICLE_COLUMNS,
                     ACCESS_SQL("a"), params->deleted ? "NOT NULL" : "NULL");
    static const struct {
        uint64_t bit;
        const char *condition;
    } filters[] = {
        {mirai_bit(article_list, type), " AND a.type = ?5"},
        {mirai_bit(article_list, status), " AND a.status = ?6"},
        {mirai_bit(article_list, tag), " AND a.id IN (SELECT t.article_id FROM article_tags t"
                                       " WHERE t.tag_id = (SELECT id FROM tags WHERE name = ?7))"},
        {mirai_bit(article_list, owner_id), " AND a.owner_id = ?8"},
        {mirai_bit(article_list, space_id), " AND a.space_id = ?9"},
    };
    for (size_t i = 0; i < sizeof(filters) / sizeof(filters[0]); i++) {
        if ((params->present & filters[i].bit) != 0) {
            mirai_buf_append_str(sql, mirai_str(filters[i].condition));
        }
    }
    if (params->review_due) {
        mirai_buf_printf(sql, " AND a.review_by <= ?10");
    }
    if (order->column == NULL) {
        mirai_buf_printf(sql, "%s%s%s ORDER BY a.id %s", from_cursor ? " AND a.id " : "",
                         from_cursor ? beyond : "", from_cursor ? " ?12" : "", direction);
    } else {
        if (from_cursor) {
            mirai_buf_printf(sql, " AND (%s, a.id) %s (?11, ?12)", order->column, beyond);
        }
        mirai_buf_printf(sql, " ORDER BY %s %s, a.id %s", order->column, direction, direction);
    }
    mirai_buf_append_str(sql, MIRAI_STR(" LIMIT ?13\0"));
}

int article_list(struct op *op)
{
    const struct mirai_article_list *params = op->params;
    int sort = mirai_has(article_list, params, sort) ? params->sort : MIRAI_SORT_UPDATED_DESC;
    bool from_cursor = mirai_has(article_list, params, cursor);
    int64_t limit = mirai_has(article_list, params, limit) ? params->limit : LIST_LIMIT;
    struct position from = {0};
    if (params->deleted && op->principal->role < MIRAI_ROLE_EDITOR) {
        return MIRAI_E_FORBIDDEN;
    }
    int err = from_cursor ? parse_cursor(op, params->cursor, sort, &from) : 0;
    if (err != 0) {
        return err;
    }
    struct mirai_article_page page = {0};
    struct mirai_article *items = mirai_arena_alloc(&op->arena, (size_t)limit * sizeof(*items));
    bool more = false;
    struct mirai_buf sql = {0};
    build_list(params, sort, from_cursor, &sql);
    struct db_rows *rows =
        db_query(op->db, sql.data, ACCESS_ARGS(op), DB_I(params->type), DB_I(params->status),
                 DB_S(params->tag), DB_I(params->owner_id), DB_I(params->space_id), DB_S(today(op)),
                 DB_I(from.key), DB_I(from.id), DB_I(limit + 1));
    while (!more && db_next(rows)) {
        more = page.items.count == (size_t)limit;
        if (!more) {
            article_load(op, rows, false, &items[page.items.count++]);
        }
    }
    err = db_end(rows);
    mirai_buf_free(&sql);
    if (err != 0) {
        return err;
    }
    page.items.items = items;
    mirai_mark(article_page, &page, items);
    if (more) {
        mirai_set(article_page, &page, next_cursor, make_cursor(op, sort, &items[limit - 1]));
    }
    return op_result(op, &page);
}

/* ------------------------------------------------------------------ figures */

int article_stats(struct op *op)
{
    const struct mirai_by_id *params = op->params;
    struct mirai_article_stats stats = {0};
    int err = access_find_article(op, params->id, NULL);
    if (err != 0) {
        return err;
    }
    struct db_rows *rows =
        db_query(op->db,
                 "SELECT (SELECT ifnull(sum(count), 0) FROM views WHERE article_id = ?1),"
                 " (SELECT ifnull(sum(count), 0) FROM views WHERE article_id = ?1 AND day > ?2),"
                 " (SELECT count(*) FROM feedback WHERE article_id = ?1),"
                 " (SELECT avg(rating) FROM feedback WHERE article_id = ?1),"
                 " (SELECT count(rating) FROM feedback WHERE article_id = ?1),"
                 " (SELECT count(*) FROM comments WHERE article_id = ?1)",
                 DB_I(params->id), DB_I(op->now_ms / DAY_MS - VIEW_DAYS));
    if (db_next(rows)) {
        mirai_set(article_stats, &stats, id, params->id);
        mirai_set(article_stats, &stats, views, db_int(rows, 0));
        mirai_set(article_stats, &stats, views_30_days, db_int(rows, 1));
        mirai_set(article_stats, &stats, feedback_count, db_int(rows, 2));
        if (!db_is_null(rows, 3)) {
            mirai_set(article_stats, &stats, rating_average, db_double(rows, 3));
        }
        mirai_set(article_stats, &stats, rating_count, db_int(rows, 4));
        mirai_set(article_stats, &stats, comment_count, db_int(rows, 5));
    }
    err = db_end(rows);
    return err != 0 ? err : op_result(op, &stats);
}
