/* The follower against a store of this test's own: the real RPC over a socket, articles and a change feed in
 * memory. */
#include "services/search-index/follower.h"

#include "proto/methods.h"
#include "tests/unit/search-index/fixture.h"

#define ARTICLES_MAX 600
#define CHANGES_MAX  4000

struct store {
    char epoch[16];
    struct mirai_article articles[ARTICLES_MAX]; /* by id; id 0: none */
    struct mirai_change changes[CHANGES_MAX];
    size_t changes_len;
    int64_t forgotten; /* changes up to this number are no longer known */
    bool export_slowly;
    bool exported;    /* the last page was asked for */
    bool goes_away;   /* the feed, once all is exported */
    bool is_restored; /* the same: with another epoch */
    size_t exports;
    struct mirai_rpc_server *server;
};

struct stage {
    uv_loop_t loop;
    char dir[64];
    char url[128];
    struct store store;
    struct analyzer_model *model;
    struct analyzer *analyzer;
    struct query_workspace *workspace;
    struct generations *generations;
    struct mirai_rpc_client *client;
    struct follower *follower;
};

/* ------------------------------------------------------------------ the store */

static void changes_since(struct mirai_rpc_request *request)
{
    struct store *store = request->data;
    struct mirai_arena arena = {0};
    struct mirai_changes_since params;
    if (store->goes_away && store->exported) {
        mirai_rpc_fail(request, MIRAI_E_UNAVAILABLE, NULL);
        return;
    }
    if (!mirai_method_accept(request, MIRAI_METHOD_ID_changes_since, &arena, &params)) {
        return;
    }
    struct mirai_changes page = {0};
    bool reset = !mirai_str_eq(params.epoch, mirai_str(store->epoch)) || params.seq < store->forgotten;
    mirai_set(changes, &page, epoch, mirai_str(store->epoch));
    mirai_set(changes, &page, reset, reset);
    mirai_set(changes, &page, last_seq, (int64_t)store->changes_len);
    size_t from = reset ? store->changes_len : (size_t)params.seq;
    size_t count = store->changes_len - from;
    count = count > (size_t)params.limit ? (size_t)params.limit : count;
    struct mirai_change *items = mirai_arena_alloc(&arena, (count + 1) * sizeof(*items));
    for (size_t i = 0; i < count; i++) {
        items[i] = store->changes[from + i];
        const struct mirai_article *now = &store->articles[items[i].id];
        if (now->id != 0) {
            mirai_set(change, &items[i], article, *now);
        }
    }
    mirai_set(changes, &page, items, ((struct mirai_objects){items, count}));
    mirai_reply_message(request, &mirai_message_changes, &page);
    mirai_arena_free(&arena);
}

static void article_export(struct mirai_rpc_request *request)
{
    struct store *store = request->data;
    struct mirai_arena arena = {0};
    struct mirai_article_export params;
    if (!mirai_method_accept(request, MIRAI_METHOD_ID_article_export, &arena, &params)) {
        return;
    }
    struct mirai_article_export_page page = {0};
    int64_t limit = store->export_slowly ? 10 : params.limit;
    struct mirai_article *items = mirai_arena_alloc(&arena, (size_t)limit * sizeof(*items));
    size_t count = 0;
    store->exports++;
    for (int64_t id = params.after_id + 1; id < ARTICLES_MAX && (int64_t)count < limit; id++) {
        if (store->articles[id].id != 0) {
            items[count++] = store->articles[id];
        }
    }
    store->exported = count == 0;
    mirai_set(article_export_page, &page, epoch, mirai_str(store->epoch));
    mirai_set(article_export_page, &page, seq, (int64_t)store->changes_len);
    mirai_set(article_export_page, &page, items, ((struct mirai_objects){items, count}));
    mirai_reply_message(request, &mirai_message_article_export_page, &page);
    mirai_arena_free(&arena);
    if (store->is_restored && store->exported) {
        strcpy(store->epoch, "two");
    }
}

static const struct mirai_rpc_method store_methods[] = {
    {"changes.since", changes_since},
    {"article.export", article_export},
    {NULL, NULL},
};

static void store_open(struct stage *stage)
{
    const struct mirai_rpc_server_options options = {.loop = &stage->loop,
                                                     .url = stage->url,
                                                     .methods = store_methods,
                                                     .data = &stage->store,
                                                     .queue_max = 100};
    stage->store.server = mirai_rpc_server_new(&options);
    assert_non_null(stage->store.server);
}

static void store_close(struct stage *stage)
{
    mirai_rpc_server_free(stage->store.server);
    stage->store.server = NULL;
    unlink(stage->url + strlen("ipc://"));
}

static void note_change(struct store *store, int64_t id, enum mirai_change_kind kind)
{
    assert_true(store->changes_len < CHANGES_MAX);
    struct mirai_change *change = &store->changes[store->changes_len++];
    *change = (struct mirai_change){0};
    mirai_set(change, change, seq, (int64_t)store->changes_len);
    mirai_set(change, change, kind, (int)kind);
    mirai_set(change, change, id, id);
    mirai_set(change, change, at, mirai_now_ms());
}

static void store_put(struct store *store, int64_t id, const char *title)
{
    store->articles[id] = article_make(id, title, "本文");
    mirai_set(article, &store->articles[id], created_at, 1000);
    mirai_set(article, &store->articles[id], version, 1);
    mirai_set(article, &store->articles[id], etag, MIRAI_STR("e-1"));
    note_change(store, id, MIRAI_CHANGE_ARTICLE);
}

static void store_delete(struct store *store, int64_t id)
{
    store->articles[id] = (struct mirai_article){0};
    note_change(store, id, MIRAI_CHANGE_ARTICLE_GONE);
}

/* ------------------------------------------------------------------ stage */

static void follow(struct stage *stage)
{
    const struct mirai_rpc_client_options options = {.loop = &stage->loop,
                                                     .service = "knowledge-store",
                                                     .run_dir = stage->dir,
                                                     .endpoints = stage->url,
                                                     .outstanding_max = 100,
                                                     .deadline_ms = 2000};
    char dir[128];
    snprintf(dir, sizeof(dir), "%s/index", stage->dir);
    stage->generations = generations_open(dir, stage->model);
    assert_non_null(stage->generations);
    stage->client = mirai_rpc_client_new(&options);
    assert_non_null(stage->client);
    stage->follower = follower_new(&stage->loop, stage->generations, stage->client);
    assert_non_null(stage->follower);
    follower_set_period(stage->follower, 20);
}

static void unfollow(struct stage *stage)
{
    follower_free(stage->follower);
    mirai_rpc_client_free(stage->client);
    generations_close(stage->generations);
    for (int i = 0; i < 20; i++) {
        uv_run(&stage->loop, UV_RUN_NOWAIT);
    }
}

static int stage_open(void **state)
{
    struct stage *stage = mirai_alloc(sizeof(*stage));
    snprintf(stage->dir, sizeof(stage->dir), "/tmp/mirai-follower-test-XXXXXX");
    assert_non_null(mkdtemp(stage->dir));
    snprintf(stage->url, sizeof(stage->url), "ipc://%s/store.sock", stage->dir);
    strcpy(stage->store.epoch, "one");
    uv_loop_init(&stage->loop);
    stage->model = analyzer_model_open();
    stage->analyzer = analyzer_new(stage->model);
    stage->workspace = query_workspace_new();
    *state = stage;
    return 0;
}

static int stage_close(void **state)
{
    struct stage *stage = *state;
    char command[128];
    if (stage->store.server != NULL) {
        store_close(stage);
    }
    uv_run(&stage->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&stage->loop), 0);
    query_workspace_free(stage->workspace);
    analyzer_free(stage->analyzer);
    analyzer_model_close(stage->model);
    snprintf(command, sizeof(command), "rm -rf '%s'", stage->dir);
    int status = system(command);
    free(stage);
    return status;
}

static void stop_timer(uv_timer_t *timer)
{
    uv_stop(timer->loop);
}

static void run_for(struct stage *stage, uint64_t ms)
{
    uv_timer_t timer;
    uv_timer_init(&stage->loop, &timer);
    uv_timer_start(&timer, stop_timer, ms, 0);
    uv_run(&stage->loop, UV_RUN_DEFAULT);
    uv_close((uv_handle_t *)&timer, NULL);
    uv_run(&stage->loop, UV_RUN_NOWAIT);
}

/* Number of articles found, in what answers now. */
static int64_t found(struct stage *stage, const char *q)
{
    struct mirai_arena arena = {0};
    struct mirai_search_query query = {0};
    struct mirai_search_result result = {0};
    struct generation *generation = generations_acquire(stage->generations);
    struct index_reader *reader = NULL;
    assert_int_equal(index_reader_open(generation_index(generation), &reader), 0);
    mirai_set(search_query, &query, q, mirai_str(q));
    assert_int_equal(query_run(reader, stage->workspace, stage->analyzer, &query, admin(),
                               mirai_monotonic_us() + 10000000, &arena, &result),
                     0);
    index_reader_close(reader);
    generation_release(generation);
    mirai_arena_free(&arena);
    return result.total;
}

/* Run until `q` finds `count` articles; fails after 10 s. */
static void await(struct stage *stage, const char *q, int64_t count)
{
    uint64_t until = mirai_monotonic_ms() + 10000;
    int64_t now;
    while ((now = found(stage, q)) != count && mirai_monotonic_ms() < until) {
        run_for(stage, 10);
    }
    assert_int_equal(now, count);
}

static bool stands_at(struct stage *stage, const char *epoch, int64_t seq)
{
    struct follower_status status = follower_status(stage->follower);
    return status.position.seq == seq && strcmp(status.position.epoch, epoch) == 0;
}

/* The follower tells its position a moment after the index that has it answers. */
static void await_position(struct stage *stage, const char *epoch, int64_t seq)
{
    uint64_t until = mirai_monotonic_ms() + 10000;
    while (!stands_at(stage, epoch, seq) && mirai_monotonic_ms() < until) {
        run_for(stage, 10);
    }
    assert_true(stands_at(stage, epoch, seq));
}

static void await_seq(struct stage *stage, int64_t seq)
{
    await_position(stage, stage->store.epoch, seq);
}

/* ------------------------------------------------------------------ tests */

static void test_builds_and_follows(void **state)
{
    struct stage *stage = *state;
    for (int64_t id = 1; id <= 450; id++) {
        store_put(&stage->store, id, "電源");
    }
    store_open(stage);
    follow(stage);
    assert_false(follower_status(stage->follower).complete);
    await(stage, "電源", 450);
    await_seq(stage, 450);
    assert_true(follower_status(stage->follower).complete);
    assert_int_equal(follower_status(stage->follower).documents, 450);
    store_put(&stage->store, 451, "回線");
    store_put(&stage->store, 1, "回線");
    store_delete(&stage->store, 2);
    follower_hint(stage->follower);
    await(stage, "回線", 2);
    assert_int_equal(found(stage, "電源"), 448);
    await_seq(stage, 453);
    for (int round = 0; round < 3; round++) { /* more than one page */
        for (int64_t id = 1; id <= 450; id++) {
            store_put(&stage->store, id, round == 2 ? "再開" : "途中");
        }
    }
    await(stage, "再開", 450);
    await_seq(stage, 453 + 1350);
    unfollow(stage);
}

static void test_goes_on_where_it_stopped(void **state)
{
    struct stage *stage = *state;
    store_put(&stage->store, 1, "電源");
    store_open(stage);
    follow(stage);
    await(stage, "電源", 1);
    await_seq(stage, 1);
    unfollow(stage);
    store_put(&stage->store, 2, "電源");
    size_t exports = stage->store.exports;
    follow(stage);
    assert_int_equal(found(stage, "電源"), 1);
    assert_true(follower_status(stage->follower).complete);
    assert_false(follower_status(stage->follower).caught_up);
    await(stage, "電源", 2);
    await_seq(stage, 2);
    assert_true(follower_status(stage->follower).caught_up);
    assert_int_equal(stage->store.exports, exports);
    unfollow(stage);
}

static void test_rebuilds_after_a_restore_of_the_store(void **state)
{
    struct stage *stage = *state;
    for (int64_t id = 1; id <= 100; id++) {
        store_put(&stage->store, id, "電源");
    }
    store_open(stage);
    follow(stage);
    await(stage, "電源", 100);
    await_seq(stage, 100);
    /* the restored store knows fewer articles, and numbers repeat */
    memset(stage->store.articles, 0, sizeof(stage->store.articles));
    stage->store.changes_len = 0;
    strcpy(stage->store.epoch, "two");
    for (int64_t id = 1; id <= 100; id++) {
        store_put(&stage->store, id, id <= 40 ? "電源" : "回線");
    }
    await(stage, "電源", 40);
    await(stage, "回線", 60);
    await_position(stage, "two", 100);
    unfollow(stage);
}

static void test_rebuilds_after_a_gap(void **state)
{
    struct stage *stage = *state;
    store_put(&stage->store, 1, "電源");
    store_open(stage);
    follow(stage);
    await(stage, "電源", 1);
    await_seq(stage, 1);
    unfollow(stage);
    store_delete(&stage->store, 1);
    store_put(&stage->store, 2, "回線");
    stage->store.forgotten = 2;
    follow(stage);
    await(stage, "回線", 1);
    assert_int_equal(found(stage, "電源"), 0);
    unfollow(stage);
}

static void test_answers_and_stays_fresh_while_rebuilding(void **state)
{
    struct stage *stage = *state;
    for (int64_t id = 1; id <= 500; id++) {
        store_put(&stage->store, id, "電源");
    }
    store_open(stage);
    follow(stage);
    await(stage, "電源", 500);
    await_seq(stage, 500);
    stage->store.export_slowly = true;
    follower_rebuild(stage->follower);
    bool fresh = false;
    for (int round = 0; round < 1000; round++) {
        run_for(stage, 1);
        bool rebuilding = follower_status(stage->follower).rebuilding;
        if (round == 5) {
            assert_true(rebuilding);
            store_put(&stage->store, 501, "電源と回線");
            follower_hint(stage->follower);
        }
        assert_in_range(found(stage, "電源"), 500, 501);
        fresh |= rebuilding && found(stage, "回線") == 1;
        if (round > 5 && !rebuilding) {
            break;
        }
    }
    assert_true(fresh);
    assert_false(follower_status(stage->follower).rebuilding);
    await(stage, "電源", 501);
    await_seq(stage, 501);
    unfollow(stage);
}

/* Run until the rebuild is at its end (all exported) or over. */
static void await_exported(struct stage *stage)
{
    uint64_t until = mirai_monotonic_ms() + 10000;
    while (!stage->store.exported && mirai_monotonic_ms() < until) {
        run_for(stage, 1);
    }
    assert_true(stage->store.exported);
}

/* What was seen of an article that the export has passed stays seen, also when the store goes away just before
 * the new index could catch up. */
static void test_a_rebuild_takes_nothing_back(void **state)
{
    struct stage *stage = *state;
    for (int64_t id = 1; id <= 300; id++) {
        store_put(&stage->store, id, "電源");
    }
    store_open(stage);
    follow(stage);
    await(stage, "電源", 300);
    await_seq(stage, 300);
    stage->store.export_slowly = true;
    stage->store.exported = false;
    stage->store.goes_away = true;
    size_t exports = stage->store.exports;
    follower_rebuild(stage->follower);
    while (stage->store.exports < exports + 3) {
        run_for(stage, 1);
    }
    store_put(&stage->store, 1, "回線");
    store_delete(&stage->store, 2);
    follower_hint(stage->follower);
    await(stage, "回線", 1);
    assert_false(stage->store.exported);
    await_exported(stage);
    for (int round = 0; round < 50; round++) {
        run_for(stage, 10);
        assert_int_equal(found(stage, "電源"), 298);
        assert_int_equal(found(stage, "回線"), 1);
    }
    assert_true(follower_status(stage->follower).rebuilding);
    stage->store.goes_away = false;
    for (int round = 0; round < 1000 && follower_status(stage->follower).rebuilding; round++) {
        run_for(stage, 10);
        assert_int_equal(found(stage, "電源"), 298);
        assert_int_equal(found(stage, "回線"), 1);
    }
    assert_false(follower_status(stage->follower).rebuilding);
    await_seq(stage, 302);
    unfollow(stage);
}

/* The first index is not usable before it has what changed while it was built, be it more than one page. */
static void test_a_first_index_is_up_to_date(void **state)
{
    struct stage *stage = *state;
    for (int64_t id = 1; id <= 300; id++) {
        store_put(&stage->store, id, "電源");
    }
    stage->store.export_slowly = true;
    store_open(stage);
    follow(stage);
    while (stage->store.exports < 29) {
        run_for(stage, 1);
    }
    for (int64_t id = 1; id <= 250; id++) {
        store_put(&stage->store, id, "回線");
    }
    while (!follower_status(stage->follower).complete) {
        run_for(stage, 1);
    }
    assert_int_equal(found(stage, "回線"), 250);
    unfollow(stage);
}

static void test_a_restore_at_the_end_of_a_rebuild(void **state)
{
    struct stage *stage = *state;
    for (int64_t id = 1; id <= 30; id++) {
        store_put(&stage->store, id, "電源");
    }
    store_open(stage);
    follow(stage);
    await(stage, "電源", 30);
    await_seq(stage, 30);
    stage->store.export_slowly = true;
    stage->store.is_restored = true;
    stage->store.exported = false;
    size_t exports = stage->store.exports;
    follower_rebuild(stage->follower);
    while (stage->store.exports < exports + 1) {
        run_for(stage, 1);
    }
    store_put(&stage->store, 1, "電源の確認"); /* so that there is something to catch up with */
    await_exported(stage);
    stage->store.is_restored = false;
    store_put(&stage->store, 1, "回線");
    await_position(stage, "two", 32);
    assert_int_equal(found(stage, "回線"), 1);
    unfollow(stage);
}

static void test_store_away_and_back(void **state)
{
    struct stage *stage = *state;
    store_put(&stage->store, 1, "電源");
    store_open(stage);
    follow(stage);
    await(stage, "電源", 1);
    store_close(stage);
    run_for(stage, 300);
    assert_int_equal(found(stage, "電源"), 1);
    store_put(&stage->store, 2, "電源");
    store_open(stage);
    uint64_t start = mirai_monotonic_ms();
    await(stage, "電源", 2);
    assert_true(mirai_monotonic_ms() - start < 5000);
    unfollow(stage);
}

static void test_a_damaged_file_is_replaced(void **state)
{
    struct stage *stage = *state;
    char path[160];
    store_put(&stage->store, 1, "電源");
    store_open(stage);
    follow(stage);
    await(stage, "電源", 1);
    unfollow(stage);
    for (int i = 1; i < 5; i++) {
        snprintf(path, sizeof(path), "%s/index/index-%d.db", stage->dir, i);
        FILE *file = fopen(path, "r+");
        if (file != NULL) {
            for (int at = 0; at < 30000; at++) {
                fputc('x', file);
            }
            fclose(file);
        }
    }
    follow(stage);
    await(stage, "電源", 1);
    unfollow(stage);
}

#define FOLLOWER_TEST(function) cmocka_unit_test_setup_teardown(function, stage_open, stage_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FOLLOWER_TEST(test_builds_and_follows),
        FOLLOWER_TEST(test_goes_on_where_it_stopped),
        FOLLOWER_TEST(test_rebuilds_after_a_restore_of_the_store),
        FOLLOWER_TEST(test_rebuilds_after_a_gap),
        FOLLOWER_TEST(test_answers_and_stays_fresh_while_rebuilding),
        FOLLOWER_TEST(test_a_rebuild_takes_nothing_back),
        FOLLOWER_TEST(test_a_first_index_is_up_to_date),
        FOLLOWER_TEST(test_a_restore_at_the_end_of_a_rebuild),
        FOLLOWER_TEST(test_store_away_and_back),
        FOLLOWER_TEST(test_a_damaged_file_is_replaced),
    };
    return cmocka_run_group_tests_name("search follower", tests, NULL, NULL);
}
