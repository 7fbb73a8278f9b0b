/* Attachments read in the background: a store of this test's own over the real RPC, the real mirai-extract. */
#include "libcommon/metrics.h"
#include "libcommon/time.h"
#include "proto/methods.h"
#include "services/search-index/extract/attachments.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define FILES_MAX 40

/* What the store holds: content by hash. */
struct content {
    char sha256[65];
    struct mirai_buf bytes;
};

struct stage {
    uv_loop_t loop;
    char dir[64];
    char url[128];
    struct mirai_rpc_server *server;
    struct mirai_rpc_client *client;
    struct attachments *attachments;
    struct content contents[FILES_MAX];
    size_t contents_len;
    size_t reads;
    bool silent; /* the store answers no more */
    struct mirai_rpc_request *held[8];
    size_t held_len;
    bool away; /* it says that it is unavailable */
    size_t ready;
    bool seen[10]; /* articles that `ready` came for */
};

/* ------------------------------------------------------------------ the store */

static void attachment_read(struct mirai_rpc_request *request)
{
    struct stage *stage = request->data;
    struct mirai_arena arena = {0};
    struct mirai_attachment_read params;
    struct mirai_bytes result = {0};
    if (!mirai_method_accept(request, MIRAI_METHOD_ID_attachment_read, &arena, &params)) {
        return;
    }
    stage->reads++;
    if (stage->away) {
        mirai_rpc_fail(request, MIRAI_E_UNAVAILABLE, NULL);
        mirai_arena_free(&arena);
        return;
    }
    for (size_t i = 0; i < stage->contents_len; i++) {
        struct mirai_buf *bytes = &stage->contents[i].bytes;
        if (!mirai_str_eq(params.sha256, mirai_str(stage->contents[i].sha256)) || stage->silent) {
            continue;
        }
        size_t from = (size_t)params.offset < bytes->len ? (size_t)params.offset : bytes->len;
        size_t len = bytes->len - from < (size_t)params.length ? bytes->len - from : (size_t)params.length;
        mirai_set(bytes, &result, data, ((struct mirai_str){bytes->data + from, len}));
        mirai_set(bytes, &result, total, (int64_t)bytes->len);
        mirai_reply_message(request, &mirai_message_bytes, &result);
        mirai_arena_free(&arena);
        return;
    }
    if (stage->silent) {
        assert_true(stage->held_len < 8);
        stage->held[stage->held_len++] = request;
    } else {
        mirai_rpc_fail(request, MIRAI_E_NOT_FOUND, NULL);
    }
    mirai_arena_free(&arena);
}

static const struct mirai_rpc_method methods[] = {{"attachment.read", attachment_read}, {NULL, NULL}};

/* ------------------------------------------------------------------ stage */

static void on_ready(void *data, int64_t article_id)
{
    struct stage *stage = data;
    assert_true(article_id > 0 && article_id < 10);
    stage->seen[article_id] = true;
    stage->ready++;
}

static void open_attachments(struct stage *stage, const char *program, int64_t timeout_ms, int64_t size_max)
{
    const struct attachments_options options = {.loop = &stage->loop,
                                                .store = stage->client,
                                                .dir = stage->dir,
                                                .program = program,
                                                .workers = 2,
                                                .cache_bytes = 16 << 20,
                                                .size_max = size_max,
                                                .memory_bytes = 512 << 20,
                                                .timeout_ms = timeout_ms};
    stage->attachments = attachments_new(&options);
    assert_non_null(stage->attachments);
    attachments_on_ready(stage->attachments, on_ready, stage);
}

static void close_attachments(struct stage *stage)
{
    attachments_free(stage->attachments);
    stage->attachments = NULL;
    for (int i = 0; i < 20; i++) {
        uv_run(&stage->loop, UV_RUN_NOWAIT);
    }
}

static int stage_open(void **state)
{
    struct stage *stage = mirai_alloc(sizeof(*stage));
    signal(SIGPIPE, SIG_IGN); /* as the runtime does */
    snprintf(stage->dir, sizeof(stage->dir), "/tmp/mirai-extractor-XXXXXX");
    assert_non_null(mkdtemp(stage->dir));
    snprintf(stage->url, sizeof(stage->url), "ipc://%s/store.sock", stage->dir);
    uv_loop_init(&stage->loop);
    const struct mirai_rpc_server_options server = {
        .loop = &stage->loop, .url = stage->url, .methods = methods, .data = stage, .queue_max = 100};
    stage->server = mirai_rpc_server_new(&server);
    const struct mirai_rpc_client_options client = {.loop = &stage->loop,
                                                    .service = "knowledge-store",
                                                    .run_dir = stage->dir,
                                                    .endpoints = stage->url,
                                                    .outstanding_max = 100,
                                                    .deadline_ms = 2000};
    stage->client = mirai_rpc_client_new(&client);
    assert_non_null(stage->server);
    assert_non_null(stage->client);
    *state = stage;
    return 0;
}

static int stage_close(void **state)
{
    struct stage *stage = *state;
    char command[128];
    attachments_free(stage->attachments);
    for (size_t i = 0; i < stage->held_len; i++) {
        mirai_rpc_fail(stage->held[i], MIRAI_E_UNAVAILABLE, NULL);
    }
    mirai_rpc_client_free(stage->client);
    mirai_rpc_server_free(stage->server);
    uv_run(&stage->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&stage->loop), 0);
    for (size_t i = 0; i < stage->contents_len; i++) {
        mirai_buf_free(&stage->contents[i].bytes);
    }
    snprintf(command, sizeof(command), "rm -rf '%s'", stage->dir);
    free(stage);
    return system(command);
}

static struct mirai_buf *store_file(struct stage *stage, unsigned number)
{
    struct content *content = &stage->contents[stage->contents_len++];
    snprintf(content->sha256, sizeof(content->sha256), "%064x", number);
    return &content->bytes;
}

static void store_text(struct stage *stage, unsigned number, const char *text)
{
    mirai_buf_append_str(store_file(stage, number), mirai_str(text));
}

/* What the index would get for an article with these files, of which what is not known is asked for. */
struct view {
    struct mirai_arena arena;
    struct mirai_attachment files[4];
    struct mirai_article article;
    struct index_change change;
};

static struct index_change *fill(struct stage *stage, struct view *view, int64_t article,
                                 const unsigned *numbers, size_t count, int64_t size)
{
    mirai_arena_free(&view->arena);
    memset(view, 0, sizeof(*view));
    for (size_t i = 0; i < count; i++) {
        mirai_set(attachment, &view->files[i], id, 100 + (int64_t)i);
        mirai_set(attachment, &view->files[i], name, MIRAI_STR("手順.txt"));
        mirai_set(attachment, &view->files[i], media_type, MIRAI_STR("text/plain"));
        mirai_set(attachment, &view->files[i], size, size);
        mirai_set(attachment, &view->files[i], sha256, mirai_arena_printf(&view->arena, "%064x", numbers[i]));
    }
    mirai_set(article, &view->article, attachments, ((struct mirai_objects){view->files, count}));
    view->change = (struct index_change){.id = article, .article = &view->article};
    attachments_fill(stage->attachments, &view->change, &view->arena);
    attachments_ask(stage->attachments);
    return &view->change;
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

static void settle(struct stage *stage)
{
    uint64_t until = mirai_monotonic_ms() + 60000;
    while (attachments_pending(stage->attachments) > 0 && mirai_monotonic_ms() < until) {
        run_for(stage, 5);
    }
    assert_int_equal(attachments_pending(stage->attachments), 0);
}

/* How reading this content ended, from the cache. */
static const char *outcome(struct stage *stage, unsigned number)
{
    char path[128];
    char limits[64];
    char hash[65];
    static const char *name;
    struct extracts *extracts;
    struct mirai_arena arena = {0};
    struct extracts_text text;
    snprintf(path, sizeof(path), "%s/extracts.db", stage->dir);
    snprintf(hash, sizeof(hash), "%064x", number);
    snprintf(limits, sizeof(limits), "%d %d %d", 4 << 20, 512 << 20, 20000);
    assert_int_equal(extracts_open(path, 16 << 20, limits, &extracts), 0);
    name = extracts_find(extracts, mirai_str(hash), &arena, &text) == 0 ? extract_outcome_name(text.outcome)
                                                                        : "unknown";
    extracts_close(extracts);
    mirai_arena_free(&arena);
    return name;
}

/* ------------------------------------------------------------------ tests */

static void test_text_comes_and_is_kept(void **state)
{
    struct stage *stage = *state;
    struct view view = {0};
    const unsigned numbers[] = {1, 2};
    store_text(stage, 1, "電源を入れる手順");
    store_text(stage, 2, "回線の手順");
    open_attachments(stage, MIRAI_EXTRACT, 20000, 4 << 20);
    assert_int_equal(fill(stage, &view, 7, numbers, 2, 20)->files_len, 0);
    assert_true(view.change.has_files);
    fill(stage, &view, 8, numbers, 1, 20); /* the same content: read once */
    settle(stage);
    assert_int_equal(stage->reads, 2);
    assert_true(stage->ready >= 3);
    assert_true(stage->seen[7] && stage->seen[8]);
    const struct index_change *change = fill(stage, &view, 7, numbers, 2, 20);
    assert_int_equal(change->files_len, 2);
    assert_int_equal(change->files[0].id, 100);
    assert_int_equal(change->files[0].pages_len, 1);
    assert_int_equal(change->files[0].pages[0].number, 0);
    assert_true(mirai_str_eq(change->files[0].pages[0].text, MIRAI_STR("電源を入れる手順")));
    assert_true(mirai_str_eq(change->files[1].pages[0].text, MIRAI_STR("回線の手順")));
    close_attachments(stage);
    open_attachments(stage, MIRAI_EXTRACT, 20000, 4 << 20); /* after a restart */
    assert_int_equal(fill(stage, &view, 7, numbers, 2, 20)->files_len, 2);
    assert_int_equal(attachments_pending(stage->attachments), 0);
    assert_int_equal(stage->reads, 2);
    mirai_arena_free(&view.arena);
}

/* Three chunks, of which one is in memory at a time. */
static void test_large_files_are_streamed(void **state)
{
    struct stage *stage = *state;
    struct view view = {0};
    const unsigned number = 1;
    struct mirai_buf *bytes = store_file(stage, number);
    while (bytes->len < (2u << 20) + 1000) {
        mirai_buf_append_str(bytes, MIRAI_STR("同じ行が続く\n"));
    }
    mirai_buf_append_str(bytes, MIRAI_STR("最後の行"));
    open_attachments(stage, MIRAI_EXTRACT, 20000, 4 << 20);
    fill(stage, &view, 1, &number, 1, (int64_t)bytes->len);
    settle(stage);
    assert_int_equal(stage->reads, 3);
    const struct index_change *change = fill(stage, &view, 1, &number, 1, (int64_t)bytes->len);
    assert_int_equal(change->files_len, 1);
    struct mirai_str text = change->files[0].pages[0].text;
    assert_true(text.len == bytes->len && memcmp(text.data, bytes->data, text.len) == 0);
    mirai_arena_free(&view.arena);
}

static void test_failures_are_remembered(void **state)
{
    struct stage *stage = *state;
    struct view view = {0};
    const unsigned numbers[] = {1, 2, 3, 4};
    mirai_buf_append(store_file(stage, 1), "\x89PNG\r\n\x1a\n\0\0\0", 11);
    mirai_buf_append(store_file(stage, 2), "PK\3\4 this is no archive", 22);
    struct mirai_buf *large = store_file(stage, 3);
    while (large->len <= 4u << 20) {
        mirai_buf_append_str(large, MIRAI_STR("larger than allowed, although it was said to be small\n"));
    }
    store_file(stage, 4); /* empty */
    open_attachments(stage, MIRAI_EXTRACT, 20000, 4 << 20);
    fill(stage, &view, 1, numbers, 4, 20);
    settle(stage);
    size_t reads = stage->reads;
    assert_int_equal(fill(stage, &view, 1, numbers, 4, 20)->files_len, 0);
    assert_int_equal(attachments_pending(stage->attachments), 0);
    assert_int_equal(stage->reads, reads);
    close_attachments(stage);
    assert_string_equal(outcome(stage, 1), "unsupported");
    assert_string_equal(outcome(stage, 2), "damaged");
    assert_string_equal(outcome(stage, 3), "too-large");
    assert_string_equal(outcome(stage, 4), "done");
    mirai_arena_free(&view.arena);
}

static void test_what_the_store_does_not_give_is_tried_again(void **state)
{
    struct stage *stage = *state;
    struct view view = {0};
    const unsigned numbers[] = {1, 9};
    store_text(stage, 1, "後で読める");
    stage->away = true;
    open_attachments(stage, MIRAI_EXTRACT, 20000, 4 << 20);
    fill(stage, &view, 1, numbers, 2, 20); /* the second is gone */
    uint64_t until = mirai_monotonic_ms() + 30000;
    while (stage->reads < 3 && mirai_monotonic_ms() < until) {
        run_for(stage, 10);
    }
    assert_true(stage->reads >= 3);
    stage->away = false;
    settle(stage);
    assert_int_equal(fill(stage, &view, 1, numbers, 1, 20)->files_len, 1);
    close_attachments(stage);
    assert_string_equal(outcome(stage, 9), "unknown");
    mirai_arena_free(&view.arena);
}

static void test_the_deadline_ends_it(void **state)
{
    struct stage *stage = *state;
    struct view view = {0};
    const unsigned number = 1;
    store_text(stage, 1, "never read");
    stage->silent = true;
    open_attachments(stage, MIRAI_EXTRACT, 300, 4 << 20);
    fill(stage, &view, 1, &number, 1, 20);
    settle(stage);
    assert_int_equal(fill(stage, &view, 1, &number, 1, 20)->files_len, 0);
    assert_int_equal(attachments_pending(stage->attachments), 0); /* and is not tried again */
    mirai_arena_free(&view.arena);
}

static void test_stops_in_the_middle(void **state)
{
    struct stage *stage = *state;
    struct view view = {0};
    const unsigned numbers[] = {1, 2, 3};
    for (unsigned i = 1; i <= 3; i++) {
        store_text(stage, i, "text");
    }
    stage->silent = true;
    open_attachments(stage, MIRAI_EXTRACT, 20000, 4 << 20);
    fill(stage, &view, 1, numbers, 3, 20);
    while (stage->reads < 2) {
        run_for(stage, 5);
    }
    attachments_stop(stage->attachments);
    close_attachments(stage);
    assert_int_equal(stage->ready, 0);
    mirai_arena_free(&view.arena);
}

/* Programs that do not do what mirai-extract does. */
static void test_other_programs(void **state)
{
    struct stage *stage = *state;
    struct view view = {0};
    const unsigned numbers[] = {1, 2};
    store_text(stage, 1, "text");
    store_text(stage, 2, "text");
    open_attachments(stage, "/bin/echo", 20000, 4 << 20);
    fill(stage, &view, 1, numbers, 1, 20);
    settle(stage);
    close_attachments(stage);
    assert_string_equal(outcome(stage, 1), "protocol");
    open_attachments(stage, "/does/not/exist", 20000, 4 << 20);
    fill(stage, &view, 1, &numbers[1], 1, 20);
    run_for(stage, 100);
    assert_int_equal(attachments_pending(stage->attachments), 1); /* someone may install it */
    close_attachments(stage);
    assert_string_equal(outcome(stage, 2), "unknown");
    mirai_arena_free(&view.arena);
}

static void test_without_attachments_there_are_no_files(void **state)
{
    struct stage *stage = *state;
    struct view view = {0};
    const unsigned number = 1;
    const struct index_change *change = fill(stage, &view, 1, &number, 1, 20);
    assert_true(change->has_files);
    assert_int_equal(change->files_len, 0);
    mirai_arena_free(&view.arena);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, stage_open, stage_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_text_comes_and_is_kept),  TEST(test_large_files_are_streamed),
        TEST(test_failures_are_remembered), TEST(test_what_the_store_does_not_give_is_tried_again),
        TEST(test_the_deadline_ends_it),    TEST(test_stops_in_the_middle),
        TEST(test_other_programs),          TEST(test_without_attachments_there_are_no_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
