#include "services/knowledge-store/asked.h"
#include "tests/unit/knowledge-store/fixture.h"

#define DAY_MS INT64_C(86400000)

static struct mirai_search_note note(const char *q, int64_t user_id, int64_t total, int64_t at)
{
    struct mirai_search_note item = {0};
    mirai_set(search_note, &item, q, mirai_str(q));
    mirai_set(search_note, &item, user_id, user_id);
    mirai_set(search_note, &item, total, total);
    mirai_set(search_note, &item, at, at);
    return item;
}

static int append(struct fixture *f, const struct mirai_principal *who, const char *key,
                  struct mirai_search_note *items, size_t count)
{
    struct mirai_search_notes params = {0};
    mirai_set(search_notes, &params, items, ((struct mirai_objects){items, count}));
    return call_keyed(f, who, key, MIRAI_METHOD_ID_asked_append, &params).status;
}

static void asked(struct fixture *f, const char *q, int64_t user_id, int64_t total)
{
    struct mirai_search_note item = note(q, user_id, total, mirai_now_ms());
    assert_int_equal(append(f, &daemon_, "", &item, 1), 0);
}

static int click(struct fixture *f, const struct mirai_principal *who, const char *q, int64_t article_id,
                 int64_t position)
{
    struct mirai_search_click params = {0};
    mirai_set(search_click, &params, q, mirai_str(q));
    mirai_set(search_click, &params, article_id, article_id);
    mirai_set(search_click, &params, position, position);
    return CALL(f, who, asked_click, &params, NULL);
}

static struct mirai_objects list(struct fixture *f, bool zero, int64_t min_users, int64_t limit)
{
    struct mirai_asked_query_list params = {0};
    struct mirai_asked_query_page page;
    if (zero) {
        mirai_set(asked_query_list, &params, zero, true);
    }
    if (min_users > 0) {
        mirai_set(asked_query_list, &params, min_users, min_users);
    }
    if (limit > 0) {
        mirai_set(asked_query_list, &params, limit, limit);
    }
    assert_int_equal(CALL(f, &admin, asked_list, &params, &page), 0);
    return page.items;
}

static const struct mirai_asked_query *query_at(const struct mirai_objects *queries, size_t i)
{
    assert_true(i < queries->count);
    return &MIRAI_ITEMS(asked_query, queries)[i];
}

static void spellings_of_one_query_are_counted_together(void **state)
{
    struct fixture *f = *state;
    asked(f, "VPN 接続", 3, 0);
    asked(f, "ＶＰＮ　接続 ", 3, 0);
    asked(f, "vpn 接続", 2, 4);
    asked(f, "プリンタ", 3, 7);
    asked(f, " \xe3\x80\x80", 3, 7); /* nothing but spaces */
    struct mirai_objects queries = list(f, false, 0, 0);
    assert_int_equal(queries.count, 2);
    const struct mirai_asked_query *vpn = query_at(&queries, 0);
    assert_text(vpn->q, "vpn 接続"); /* as it was asked last */
    assert_int_equal(vpn->count, 3);
    assert_int_equal(vpn->zero_count, 2);
    assert_int_equal(vpn->users, 2);
    assert_int_equal(vpn->clicks, 0);
    assert_false(mirai_has(asked_query, vpn, click_position));
    assert_true(vpn->last_at <= mirai_now_ms() && vpn->last_at > mirai_now_ms() - 60000);
}

static void lists_are_filtered(void **state)
{
    struct fixture *f = *state;
    asked(f, "found", 1, 0);
    asked(f, "found", 2, 3); /* by the last one */
    asked(f, "found", 3, 3);
    asked(f, "lost", 2, 3);
    asked(f, "lost", 2, 0);
    asked(f, "once", 2, 0);
    struct mirai_objects queries = list(f, true, 0, 0);
    assert_int_equal(queries.count, 2);
    assert_text(query_at(&queries, 0)->q, "lost");
    assert_text(query_at(&queries, 1)->q, "once");
    queries = list(f, false, 3, 0);
    assert_int_equal(queries.count, 1);
    assert_text(query_at(&queries, 0)->q, "found");
    assert_int_equal(list(f, false, 4, 0).count, 0);
    queries = list(f, false, 0, 1);
    assert_int_equal(queries.count, 1);
    assert_int_equal(query_at(&queries, 0)->count, 3);
}

static void days_are_apart_and_late_notes_change_no_later_one(void **state)
{
    struct fixture *f = *state;
    int64_t now = mirai_now_ms();
    struct mirai_search_note notes[] = {
        note("old", 2, 5, now - 40 * DAY_MS),
        note("both", 2, 5, now - 2 * DAY_MS),
        note("both", 2, 0, now),
        note("order", 2, 0, now - 10),
        note("ORDER", 2, 9, now - 20),
        note("ahead", 2, 1, now + DAY_MS),
        note("gone", 2, 1, now - 400 * DAY_MS),
    };
    assert_int_equal(append(f, &daemon_, "", notes, sizeof(notes) / sizeof(notes[0])), 0);
    struct mirai_objects queries = list(f, true, 0, 0);
    assert_int_equal(queries.count, 2);
    assert_int_equal(query_at(&queries, 0)->count, 2);
    assert_int_equal(query_at(&queries, 0)->users, 1); /* the same on both days */
    assert_text(query_at(&queries, 1)->q, "order");
    struct mirai_asked_query_list params = {0};
    struct mirai_asked_query_page page;
    mirai_set(asked_query_list, &params, days, 60);
    assert_int_equal(CALL(f, &admin, asked_list, &params, &page), 0);
    assert_int_equal(page.items.count, 4); /* both, order, ahead, old */
    mirai_set(asked_query_list, &params, days, 1);
    assert_int_equal(CALL(f, &daemon_, asked_list, &params, &page), 0);
    assert_true(page.items.count >= 2 && page.items.count <= 3);
}

static void a_batch_that_is_sent_again_counts_once(void **state)
{
    struct fixture *f = *state;
    struct mirai_search_note item = note("again", 2, 1, mirai_now_ms());
    assert_int_equal(append(f, &daemon_, "batch-1", &item, 1), 0);
    assert_int_equal(append(f, &daemon_, "batch-1", &item, 1), 0);
    struct mirai_objects queries = list(f, false, 0, 0);
    assert_int_equal(query_at(&queries, 0)->count, 1);
    assert_int_equal(append(f, &daemon_, "batch-2", &item, 1), 0);
    queries = list(f, false, 0, 0);
    assert_int_equal(query_at(&queries, 0)->count, 2);
}

static void people_note_nothing_and_read_nothing(void **state)
{
    struct fixture *f = *state;
    struct mirai_search_note item = note("mine", 2, 1, mirai_now_ms());
    assert_int_equal(append(f, &admin, "", &item, 1), MIRAI_E_FORBIDDEN);
    assert_int_equal(CALL(f, &editor, asked_list, NULL, NULL), MIRAI_E_FORBIDDEN);
    assert_int_equal(CALL(f, &admin, signal_list, NULL, NULL), MIRAI_E_FORBIDDEN);
}

/* One user fills neither the disk nor the list. */
static void one_user_has_an_end_in_a_day(void **state)
{
    struct fixture *f = *state;
    static struct mirai_search_note notes[1000];
    static char texts[1000][16];
    for (int i = 0; i < 1000; i++) {
        snprintf(texts[i], sizeof(texts[i]), "query %d", i);
        notes[i] = note(texts[i], 2, 1, mirai_now_ms() / DAY_MS * DAY_MS);
    }
    assert_int_equal(append(f, &daemon_, "", notes, 1000), 0);
    assert_int_equal(list(f, false, 0, 1000).count, 500);
    assert_int_equal(append(f, &daemon_, "", notes, 1), 0); /* what has a row is counted on */
    struct mirai_objects queries = list(f, false, 0, 1);
    assert_int_equal(query_at(&queries, 0)->count, 2);
    notes[999].user_id = 3; /* another's has room */
    assert_int_equal(append(f, &daemon_, "", &notes[999], 1), 0);
    assert_int_equal(list(f, false, 0, 1000).count, 501);
}

static void clicks_are_of_visible_articles_and_count_once(void **state)
{
    struct fixture *f = *state;
    struct mirai_article_create hidden = new_article("Hidden");
    struct mirai_article article = create(f, &editor, "Open"), secret;
    mirai_set(article_create, &hidden, visibility, MIRAI_VISIBILITY_PRIVATE);
    assert_int_equal(CALL(f, &editor, article_create, &hidden, &secret), 0);
    asked(f, "vpn", 3, 2);
    assert_int_equal(click(f, &viewer, "VPN", article.id, 3), 0);
    assert_int_equal(click(f, &viewer, "vpn", article.id, 9), 0); /* the same once more */
    assert_int_equal(click(f, &editor, "vpn", article.id, 4), 0);
    assert_int_equal(click(f, &viewer, "vpn", secret.id, 1), MIRAI_E_NOT_FOUND);
    assert_int_equal(click(f, &viewer, "vpn", 999999, 1), MIRAI_E_NOT_FOUND);
    struct mirai_objects queries = list(f, false, 0, 0);
    assert_int_equal(query_at(&queries, 0)->clicks, 2);
    assert_true(query_at(&queries, 0)->click_position == 3.5);
    /* A click is in no audit row. */
    struct mirai_audit_list params = {0};
    struct mirai_audit_page page;
    mirai_set(audit_list, &params, action, MIRAI_STR("asked.click"));
    assert_int_equal(CALL(f, &admin, audit_list, &params, &page), 0);
    assert_int_equal(page.items.count, 0);
}

static void the_log_names_no_user(void **state)
{
    struct fixture *f = *state;
    int64_t found;
    asked(f, "who", 2, 1);
    fixture_stop(f);
    assert_int_equal(store_open(&f->store, f->dir), 0);
    assert_int_equal(db_find_int(f->store.writer.db, &found, "SELECT who FROM asked"), 0);
    assert_true(found < -1000 || found > 1000);
    store_close(&f->store);
    memset(&f->store, 0, sizeof(f->store));
    fixture_start(f);
    asked(f, "who", 2, 1); /* the same number after a restart */
    struct mirai_objects queries = list(f, false, 0, 0);
    assert_int_equal(query_at(&queries, 0)->users, 1);
    assert_int_equal(query_at(&queries, 0)->count, 2);
}

static void load_days(struct fixture *f, const char *days)
{
    char run_dir[128];
    snprintf(run_dir, sizeof(run_dir), "MIRAI_RUN_DIR=%s", f->dir);
    char *environment[] = {run_dir, (char *)days, NULL};
    assert_int_equal(mirai_config_load(environment, stderr), 0);
}

static void old_rows_go_and_zero_days_note_nothing(void **state)
{
    struct fixture *f = *state;
    int64_t now = mirai_now_ms(), found;
    struct mirai_article article = create(f, &editor, "Open");
    struct mirai_search_note notes[] = {note("new", 2, 1, now), note("old", 2, 1, now - 50 * DAY_MS)};
    assert_int_equal(append(f, &daemon_, "", notes, 2), 0);
    assert_int_equal(click(f, &viewer, "new", article.id, 1), 0);
    fixture_stop(f);
    load_days(f, "MIRAI_SEARCH_LOG_DAYS=30");
    assert_int_equal(store_open(&f->store, f->dir), 0);
    struct db *db = f->store.writer.db;
    assert_int_equal(asked_expire(db, now, 1000), 0);
    assert_int_equal(db_find_int(db, &found, "SELECT count(*) FROM asked"), 0);
    assert_int_equal(found, 1);
    load_days(f, "MIRAI_SEARCH_LOG_DAYS=0");
    assert_int_equal(asked_expire(db, now, 1000), 0);
    assert_int_equal(
        db_find_int(db, &found, "SELECT (SELECT count(*) FROM asked) + (SELECT count(*) FROM clicks)"), 0);
    assert_int_equal(found, 0);
    store_close(&f->store);
    memset(&f->store, 0, sizeof(f->store));
    fixture_start(f);
    asked(f, "nothing", 2, 1);
    assert_int_equal(click(f, &viewer, "nothing", article.id, 1), 0);
    assert_int_equal(click(f, &viewer, "nothing", 999999, 1), MIRAI_E_NOT_FOUND);
    assert_int_equal(list(f, false, 0, 0).count, 0);
}

static void rate(struct fixture *f, int64_t id, int64_t stars)
{
    struct mirai_feedback_create params = {0};
    mirai_set(feedback_create, &params, id, id);
    mirai_set(feedback_create, &params, rating, stars);
    assert_int_equal(CALL(f, &viewer, feedback_create, &params, NULL), 0);
}

static struct mirai_objects signals(struct fixture *f, int64_t after, int64_t limit)
{
    struct mirai_article_signal_list params = {0};
    struct mirai_article_signals page;
    mirai_set(article_signal_list, &params, after_id, after);
    mirai_set(article_signal_list, &params, limit, limit);
    assert_int_equal(CALL(f, &daemon_, signal_list, &params, &page), 0);
    return page.items;
}

static void signals_are_of_articles_that_were_used(void **state)
{
    struct fixture *f = *state;
    int64_t id[6];
    for (int i = 1; i <= 5; i++) {
        id[i] = create(f, &editor, "used").id;
    }
    rate(f, id[2], 5);
    rate(f, id[2], 2);
    rate(f, id[4], 1);
    assert_int_equal(click(f, &viewer, "used", id[4], 1), 0);
    assert_int_equal(click(f, &viewer, "used", id[5], 2), 0);
    fixture_stop(f);
    assert_int_equal(store_open(&f->store, f->dir), 0);
    assert_int_equal(db_exec(f->store.writer.db,
                             "INSERT INTO views (article_id, day, count) VALUES (?1, ?3, 7), (?1, ?3 - 1, 2),"
                             " (?1, ?3 - 31, 100), (?2, ?3 - 31, 100)",
                             DB_I(id[1]), DB_I(id[3]), DB_I(mirai_now_ms() / DAY_MS)),
                     0);
    store_close(&f->store);
    memset(&f->store, 0, sizeof(f->store));
    fixture_start(f);
    struct mirai_objects all = signals(f, 0, 10);
    const struct mirai_article_signal *items = MIRAI_ITEMS(article_signal, &all);
    assert_int_equal(all.count, 4); /* the third was not opened for a month */
    assert_int_equal(items[0].id, id[1]);
    assert_int_equal(items[0].views, 9);
    assert_false(mirai_has(article_signal, &items[0], rating_average));
    assert_int_equal(items[1].id, id[2]);
    assert_true(items[1].rating_average == 3.5);
    assert_int_equal(items[1].rating_count, 2);
    assert_int_equal(items[2].id, id[4]);
    assert_int_equal(items[2].rating_count, 1);
    assert_int_equal(items[2].clicks, 1);
    assert_int_equal(items[3].id, id[5]);
    assert_int_equal(items[3].clicks, 1);
    int64_t after = 0;
    for (size_t i = 0; i < 4; i++) { /* page by page the same */
        struct mirai_objects page = signals(f, after, 1);
        assert_int_equal(page.count, 1);
        after = MIRAI_ITEMS(article_signal, &page)[0].id;
        assert_int_equal(after, items[i].id);
    }
    assert_int_equal(signals(f, after, 1).count, 0);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, fixture_open, fixture_close)
    const struct CMUnitTest tests[] = {
        TEST(spellings_of_one_query_are_counted_together),
        TEST(lists_are_filtered),
        TEST(days_are_apart_and_late_notes_change_no_later_one),
        TEST(a_batch_that_is_sent_again_counts_once),
        TEST(people_note_nothing_and_read_nothing),
        TEST(one_user_has_an_end_in_a_day),
        TEST(clicks_are_of_visible_articles_and_count_once),
        TEST(the_log_names_no_user),
        TEST(old_rows_go_and_zero_days_note_nothing),
        TEST(signals_are_of_articles_that_were_used),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
