#include "services/knowledge-store/asked.h"

#include "libcommon/config.h"
#include "services/knowledge-store/fold.h"
#include "services/knowledge-store/store.h"

#define DAY_MS       INT64_C(86400000)
#define DAYS_DEFAULT 30
#define LIST_DEFAULT 100
#define LIST_MAX     1000 /* the bound of asked_query_page */
/* New rows of one day: of one user and of all. What comes on top is not noted; what has a row is counted on. */
#define DAY_ROWS_OF_ONE 500
#define DAY_ROWS_OF_ALL 50000

static int64_t days_kept(void)
{
    return mirai_config_int(MIRAI_CONFIG_SEARCH_LOG_DAYS);
}

#define KEY_CONTEXT "asked.by" /* crypto_kdf_CONTEXTBYTES */

/* A keyed hash: without the key of the data directory nobody finds the user to a number. */
static int64_t who_is(const struct op *op, int64_t user_id)
{
    unsigned char key[crypto_kdf_KEYBYTES];
    int64_t who = 0;
    crypto_kdf_derive_from_key(key, sizeof(key), 1, KEY_CONTEXT, op->store->seal_key);
    crypto_generichash_blake2b_salt_personal((unsigned char *)&who, sizeof(who), (unsigned char *)&user_id,
                                             sizeof(user_id), key, sizeof(key), NULL, NULL);
    sodium_memzero(key, sizeof(key));
    return who;
}

/* ------------------------------------------------------------------ noting */

/* Rows of the day in a table, of one user (or of all, when who is NULL). */
#define COUNT_OF_ALL(table) "SELECT count(*) FROM " table " WHERE day = ?1"
#define COUNT_OF_ONE(table) "SELECT count(*) FROM " table " WHERE day = ?1 AND who = ?2"

/* MIRAI_E_OVERLOADED when the day has no room for one more row. */
static int check_room(struct op *op, const char *of_all, const char *of_one, int64_t day, int64_t who)
{
    int64_t rows = 0;
    int err = db_find_int(op->db, &rows, of_one, DB_I(day), DB_I(who));
    if (err == 0 && rows >= DAY_ROWS_OF_ONE) {
        return MIRAI_E_OVERLOADED;
    }
    if (err == 0) {
        err = db_find_int(op->db, &rows, of_all, DB_I(day));
    }
    return err == 0 && rows >= DAY_ROWS_OF_ALL ? MIRAI_E_OVERLOADED : err;
}

/* Count one more search on its row. False in *found when it has none. */
static int count_on(struct op *op, const struct mirai_search_note *note, int64_t who, struct mirai_str key,
                    struct mirai_str q, bool *found)
{
    int err =
        db_exec(op->db,
                "UPDATE asked SET count = count + 1, zero_count = zero_count + (?4 = 0),"
                " q = iif(?6 >= last_at, ?5, q), last_total = iif(?6 >= last_at, ?4, last_total),"
                " last_at = max(?6, last_at) WHERE day = ?1 AND who = ?2 AND key = ?3",
                DB_I(note->at / DAY_MS), DB_I(who), DB_S(key), DB_I(note->total), DB_S(q), DB_I(note->at));
    *found = err == 0 && db_rows_changed(op->db) > 0;
    return err;
}

static int note_search(struct op *op, const struct mirai_search_note *note)
{
    struct mirai_str q = fold_tidy(&op->arena, note->q), key = fold_key(&op->arena, q);
    int64_t day = note->at / DAY_MS, who = who_is(op, note->user_id);
    bool found;
    if (key.len == 0 || day <= op->now_ms / DAY_MS - days_kept()) {
        return 0;
    }
    int err = count_on(op, note, who, key, q, &found);
    if (err != 0 || found) {
        return err;
    }
    err = check_room(op, COUNT_OF_ALL("asked"), COUNT_OF_ONE("asked"), day, who);
    if (err == MIRAI_E_OVERLOADED) {
        return 0;
    }
    return err != 0 ? err
                    : db_exec(op->db,
                              "INSERT INTO asked (day, who, key, q, count, zero_count, last_total, last_at)"
                              " VALUES (?1, ?2, ?3, ?4, 1, ?5, ?6, ?7)",
                              DB_I(day), DB_I(who), DB_S(key), DB_S(q), DB_I(note->total == 0),
                              DB_I(note->total), DB_I(note->at));
}

int asked_append(struct op *op)
{
    const struct mirai_search_notes *params = op->params;
    int err = 0;
    for (size_t i = 0; err == 0 && days_kept() > 0 && i < params->items.count; i++) {
        struct mirai_search_note note = MIRAI_ITEMS(search_note, &params->items)[i];
        note.at = note.at > op->now_ms ? op->now_ms : note.at; /* another host's clock */
        err = note_search(op, &note);
    }
    return err;
}

int asked_click(struct op *op)
{
    const struct mirai_search_click *params = op->params;
    struct mirai_str key = fold_key(&op->arena, params->q);
    int64_t day = op->now_ms / DAY_MS;
    int err = access_find_article(op, params->article_id, NULL);
    if (err != 0 || days_kept() == 0 || key.len == 0) {
        return err;
    }
    int64_t who = who_is(op, op->principal->user_id);
    err = check_room(op, COUNT_OF_ALL("clicks"), COUNT_OF_ONE("clicks"), day, who);
    if (err == MIRAI_E_OVERLOADED) {
        return 0;
    }
    return err != 0
               ? err
               : db_exec(op->db,
                         "INSERT OR IGNORE INTO clicks (day, who, key, article_id, position)"
                         " VALUES (?1, ?2, ?3, ?4, ?5)",
                         DB_I(day), DB_I(who), DB_S(key), DB_I(params->article_id), DB_I(params->position));
}

/* ------------------------------------------------------------------ reading */

static void read_query(struct op *op, struct db_rows *rows, struct mirai_asked_query *query)
{
    *query = (struct mirai_asked_query){0};
    mirai_set(asked_query, query, q, db_text_copy(rows, 0, &op->arena));
    mirai_set(asked_query, query, count, db_int(rows, 1));
    mirai_set(asked_query, query, zero_count, db_int(rows, 2));
    mirai_set(asked_query, query, users, db_int(rows, 3));
    mirai_set(asked_query, query, last_at, db_int(rows, 4));
    mirai_set(asked_query, query, clicks, db_int(rows, 5));
    if (!db_is_null(rows, 6)) {
        mirai_set(asked_query, query, click_position, db_double(rows, 6));
    }
}

int asked_list(struct op *op)
{
    const struct mirai_asked_query_list *params = op->params;
    struct mirai_asked_query_page result = {0};
    int64_t days = mirai_has(asked_query_list, params, days) ? params->days : DAYS_DEFAULT;
    int64_t limit = mirai_has(asked_query_list, params, limit) ? params->limit : LIST_DEFAULT;
    struct mirai_asked_query *items = mirai_arena_alloc(&op->arena, LIST_MAX * sizeof(*items));
    size_t count = 0;
    /* q and last_total come from the row with the greatest last_at: https://www.sqlite.org/lang_select.html#bareagg */
    struct db_rows *rows =
        db_query(op->db,
                 "WITH queries AS (SELECT key, q, last_total, sum(count) AS times, sum(zero_count) AS zeros,"
                 " count(DISTINCT who) AS users, max(last_at) AS at FROM asked WHERE day > ?1 GROUP BY key),"
                 " opened AS (SELECT key, count(*) AS clicks, avg(position) AS position FROM clicks"
                 " WHERE day > ?1 GROUP BY key)"
                 " SELECT q.q, q.times, q.zeros, q.users, q.at, ifnull(o.clicks, 0), o.position"
                 " FROM queries q LEFT JOIN opened o ON o.key = q.key"
                 " WHERE q.users >= ?2 AND (?3 = 0 OR q.last_total = 0)"
                 " ORDER BY q.times DESC, q.at DESC, q.key LIMIT ?4",
                 DB_I(op->now_ms / DAY_MS - days), DB_I(params->min_users), DB_I(params->zero), DB_I(limit));
    while (count < LIST_MAX && db_next(rows)) {
        read_query(op, rows, &items[count++]);
    }
    int err = db_end(rows);
    if (err != 0) {
        return err;
    }
    mirai_set(asked_query_page, &result, items, ((struct mirai_objects){items, count}));
    return op_result(op, &result);
}

/* ------------------------------------------------------------------ forgetting */

int asked_expire(struct db *db, int64_t now_ms, int64_t limit)
{
    int64_t last = now_ms / DAY_MS - days_kept(); /* the newest day that goes */
    int err = db_exec(db,
                      "DELETE FROM asked WHERE (day, who, key) IN"
                      " (SELECT day, who, key FROM asked WHERE day <= ?1 ORDER BY day LIMIT ?2)",
                      DB_I(last), DB_I(limit));
    return err != 0 ? err
                    : db_exec(db,
                              "DELETE FROM clicks WHERE (day, who, key, article_id) IN"
                              " (SELECT day, who, key, article_id FROM clicks WHERE day <= ?1"
                              " ORDER BY day LIMIT ?2)",
                              DB_I(last), DB_I(limit));
}
