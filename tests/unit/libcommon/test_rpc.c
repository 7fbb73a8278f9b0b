/* Client and server on one loop: batching, errors, deadlines, bounds, cancelling, closing. */
#include "libcommon/log.h"
#include "libcommon/metrics.h"
#include "libcommon/rpc.h"
#include "libcommon/rpc_internal.h"
#include "libcommon/time.h"
#include "tests/unit/libcommon/test.h"

#include <nng/protocol/reqrep0/req.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define HELD_MAX 8192

/* A loop with one server "thing@1" and one client; `held` are requests that the handler "hold" keeps. */
struct fixture {
    uv_loop_t loop;
    uv_timer_t guard; /* ends a test that hangs */
    char dir[32];
    char url[64];
    struct mirai_rpc_server *server;
    struct mirai_rpc_client *client;
    struct mirai_rpc_request *held[HELD_MAX];
    size_t held_len;
    size_t echoed;
    size_t declined;
    size_t probed;
    bool healthy;
    struct mirai_context seen; /* the last echo's, with strings copied below */
    char seen_text[256];
    int64_t seen_ids[4];
};

static struct fixture *fixture; /* of the running test */

static void handle_echo(struct mirai_rpc_request *request)
{
    struct fixture *f = request->data;
    f->echoed++;
    mirai_rpc_reply(request, request->params);
}

static void handle_hold(struct mirai_rpc_request *request)
{
    struct fixture *f = request->data;
    assert_true(f->held_len < HELD_MAX);
    f->held[f->held_len++] = request;
}

static void handle_fail(struct mirai_rpc_request *request)
{
    static const char details[] = "\x81\xa6"
                                  "fields"
                                  "\x81\xa5"
                                  "title"
                                  "\xa8"
                                  "required";
    mirai_rpc_fail_with(request, MIRAI_E_UNPROCESSABLE, "no title",
                        (struct mirai_str){details, sizeof(details) - 1});
}

static void handle_context(struct mirai_rpc_request *request)
{
    struct fixture *f = request->data;
    f->seen = request->context;
    snprintf(f->seen_text, sizeof(f->seen_text), "%.*s|%.*s|%.*s|%.*s|%.*s",
             MIRAI_STR_ARG(request->context.traceparent), MIRAI_STR_ARG(request->context.principal.name),
             MIRAI_STR_ARG(request->context.locale), MIRAI_STR_ARG(request->context.idempotency_key),
             MIRAI_STR_ARG(request->context.client_address));
    for (size_t i = 0; i < 2; i++) {
        f->seen_ids[i] = request->context.principal.spaces[i];
        f->seen_ids[2 + i] = request->context.principal.groups[i];
    }
    mirai_rpc_reply(request, (struct mirai_str){0});
}

static void handle_big(struct mirai_rpc_request *request)
{
    struct mirai_mp mp = mirai_mp(request->params);
    struct mirai_buf buf = {0};
    int64_t size;
    assert_int_equal(mirai_mp_read_int(&mp, &size), 0);
    char *bytes = mirai_alloc((size_t)size);
    memset(bytes, 'x', (size_t)size);
    mirai_mp_write_bin(&buf, (struct mirai_str){bytes, (size_t)size});
    free(bytes);
    mirai_rpc_reply_buf(request, &buf);
    assert_null(buf.data);
}

static const struct mirai_rpc_method methods[] = {
    {"echo", handle_echo},       {"hold", handle_hold}, {"fail", handle_fail},
    {"context", handle_context}, {"big", handle_big},   {NULL, NULL},
};
static const struct mirai_rpc_method more_methods[] = {
    {"service.health", handle_echo},
    {NULL, NULL},
};

static void on_guard(uv_timer_t *timer)
{
    (void)timer;
    fprintf(stderr, "the test hangs\n");
    abort();
}

static void start_server(struct fixture *f, size_t queue_max)
{
    f->server = mirai_rpc_server_new(&(struct mirai_rpc_server_options){.loop = &f->loop,
                                                                        .url = f->url,
                                                                        .methods = methods,
                                                                        .more = more_methods,
                                                                        .data = f,
                                                                        .queue_max = queue_max});
    assert_non_null(f->server);
}

static void start_client(struct fixture *f, size_t outstanding_max)
{
    f->client = mirai_rpc_client_new(&(struct mirai_rpc_client_options){.loop = &f->loop,
                                                                        .service = "thing",
                                                                        .run_dir = f->dir,
                                                                        .outstanding_max = outstanding_max,
                                                                        .deadline_ms = 5000});
    assert_non_null(f->client);
}

static struct fixture *new_fixture(void)
{
    struct fixture *f = mirai_alloc(sizeof(*f));
    fixture = f;
    strcpy(f->dir, "/tmp/mirai-rpc-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    snprintf(f->url, sizeof(f->url), "ipc://%s/thing@1.sock", f->dir);
    mirai_log_set_level(MIRAI_LOG_FATAL);
    uv_loop_init(&f->loop);
    uv_timer_init(&f->loop, &f->guard);
    uv_timer_start(&f->guard, on_guard, 30000, 0);
    return f;
}

static int setup(void **state)
{
    *state = new_fixture();
    start_server(*state, 4096);
    start_client(*state, 4096);
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    if (f->client != NULL) {
        mirai_rpc_client_free(f->client);
    }
    if (f->server != NULL) {
        mirai_rpc_server_free(f->server);
    }
    uv_close((uv_handle_t *)&f->guard, NULL);
    assert_int_equal(uv_run(&f->loop, UV_RUN_DEFAULT), 0);
    assert_int_equal(uv_loop_close(&f->loop), 0);
    assert_int_equal(rmdir(f->dir), 0); /* the socket's file is gone too */
    free(f);
    return 0;
}

/* What came back for one call. */
struct answer {
    int calls;
    int status;
    bool unready;
    size_t order; /* among all answers */
    struct mirai_buf result;
    struct mirai_buf error;
};

static size_t answers;

static void on_answer(void *data, const struct mirai_rpc_reply *reply)
{
    struct answer *answer = data;
    answer->calls++;
    answer->status = reply->status;
    answer->unready = reply->unready;
    answer->order = answers++;
    mirai_buf_append_str(&answer->result, reply->result);
    mirai_buf_append_str(&answer->error, reply->error);
}

static void clear_answer(struct answer *answer)
{
    mirai_buf_free(&answer->result);
    mirai_buf_free(&answer->error);
    *answer = (struct answer){0};
}

static void run_until(struct fixture *f, const size_t *counter, size_t value)
{
    while (*counter < value) {
        uv_run(&f->loop, UV_RUN_ONCE);
    }
}

static void run_until_called(struct fixture *f, const struct answer *answer)
{
    while (answer->calls == 0) {
        uv_run(&f->loop, UV_RUN_ONCE);
    }
}

static void run_for(struct fixture *f, uint64_t ms)
{
    uint64_t end = mirai_monotonic_ms() + ms;
    while (mirai_monotonic_ms() < end) {
        uv_run(&f->loop, UV_RUN_NOWAIT);
        usleep(500);
    }
}

static int call_status(struct fixture *f, const char *method, struct mirai_str params)
{
    struct answer answer = {0};
    mirai_rpc_call(f->client, method, MIRAI_RPC_READ, NULL, params, on_answer, &answer);
    assert_int_equal(answer.calls, 0); /* never before it returned */
    run_until_called(f, &answer);
    int status = answer.status;
    clear_answer(&answer);
    return status;
}

static uint64_t metric(const char *name, const char *labels)
{
    return atomic_load(&mirai_metric_counter(name, "", labels)->value);
}

static void test_echo(void **state)
{
    struct fixture *f = *state;
    struct answer answer = {0};
    mirai_rpc_call(f->client, "echo", MIRAI_RPC_READ, NULL, MIRAI_STR("\xa5hello"), on_answer, &answer);
    run_until_called(f, &answer);
    assert_int_equal(answer.status, 0);
    assert_true(mirai_str_eq(mirai_buf_str(&answer.result), MIRAI_STR("\xa5hello")));
    assert_true(mirai_rpc_client_connected(f->client));
    clear_answer(&answer);
}

/* 200 calls of one turn leave in one frame, come back in one, in order. */
static void test_calls_of_a_turn_share_a_frame(void **state)
{
    struct fixture *f = *state;
    struct answer list[200] = {0};
    assert_int_equal(call_status(f, "echo", MIRAI_STR("\x01")), 0);
    uint64_t sent = metric("mirai_rpc_frames_total", "side=\"client\",direction=\"sent\"");
    uint64_t replied = metric("mirai_rpc_frames_total", "side=\"server\",direction=\"sent\"");
    size_t before = answers;
    for (size_t i = 0; i < 200; i++) {
        char params[3] = {(char)0xcd, 0, (char)i};
        mirai_rpc_call(f->client, "echo", MIRAI_RPC_READ, NULL, (struct mirai_str){params, 3}, on_answer,
                       &list[i]);
    }
    run_until(f, &answers, before + 200);
    for (size_t i = 0; i < 200; i++) {
        assert_int_equal(list[i].status, 0);
        assert_int_equal(list[i].order, before + i);
        assert_int_equal((unsigned char)list[i].result.data[2], i);
        clear_answer(&list[i]);
    }
    assert_int_equal(metric("mirai_rpc_frames_total", "side=\"client\",direction=\"sent\"") - sent, 1);
    assert_int_equal(metric("mirai_rpc_frames_total", "side=\"server\",direction=\"sent\"") - replied, 1);
}

/* More frames than nng queues for a pipe before it drops replies in silence. */
static void test_no_reply_is_lost_when_each_is_a_frame(void **state)
{
    struct fixture *f = *state;
    struct answer list[300] = {0};
    struct mirai_buf params = {0};
    char *bytes = mirai_alloc(200000); /* two do not fit a frame's target size */
    mirai_mp_write_bin(&params, (struct mirai_str){bytes, 200000});
    size_t before = answers;
    /* 120 MB take their time under a sanitizer on a busy machine. */
    const struct mirai_context patient = {.deadline_ms = mirai_monotonic_ms() + 20000};
    for (size_t i = 0; i < 300; i++) {
        mirai_rpc_call(f->client, "echo", MIRAI_RPC_READ, &patient, mirai_buf_str(&params), on_answer,
                       &list[i]);
    }
    run_until(f, &answers, before + 300);
    for (size_t i = 0; i < 300; i++) {
        assert_int_equal(list[i].status, 0);
        assert_int_equal(list[i].result.len, params.len);
        clear_answer(&list[i]);
    }
    mirai_buf_free(&params);
    free(bytes);
}

static void test_answers_come_in_any_order(void **state)
{
    struct fixture *f = *state;
    struct answer first = {0};
    struct answer second = {0};
    mirai_rpc_call(f->client, "hold", MIRAI_RPC_READ, NULL, MIRAI_STR("\x01"), on_answer, &first);
    mirai_rpc_call(f->client, "hold", MIRAI_RPC_READ, NULL, MIRAI_STR("\x02"), on_answer, &second);
    run_until(f, &f->held_len, 2);
    assert_int_equal(mirai_rpc_server_pending(f->server), 2);
    mirai_rpc_reply(f->held[1], f->held[1]->params);
    run_until_called(f, &second);
    assert_int_equal(first.calls, 0);
    assert_int_equal(second.result.data[0], 2);
    mirai_rpc_reply(f->held[0], f->held[0]->params);
    run_until_called(f, &first);
    assert_int_equal(first.result.data[0], 1);
    clear_answer(&first);
    clear_answer(&second);
}

static void test_errors_carry_code_message_and_details(void **state)
{
    struct fixture *f = *state;
    struct answer answer = {0};
    struct mirai_str raw;
    mirai_rpc_call(f->client, "fail", MIRAI_RPC_READ, NULL, (struct mirai_str){0}, on_answer, &answer);
    run_until_called(f, &answer);
    assert_int_equal(answer.status, MIRAI_E_UNPROCESSABLE);
    assert_int_equal(mirai_mp_find(mirai_buf_str(&answer.error), "message", &raw), 0);
    assert_true(mirai_str_eq(raw, MIRAI_STR("\xa8no title")));
    assert_int_equal(mirai_mp_find(mirai_buf_str(&answer.error), "fields", &raw), 0);
    assert_int_equal(mirai_mp_find(raw, "title", &raw), 0);
    assert_true(mirai_str_eq(raw, MIRAI_STR("\xa8required")));
    clear_answer(&answer);
    assert_int_equal(call_status(f, "no.such", (struct mirai_str){0}), MIRAI_E_NOT_FOUND);
}

static void test_context_arrives(void **state)
{
    struct fixture *f = *state;
    struct answer answer = {0};
    int64_t spaces[] = {3, 70000};
    int64_t groups[] = {-5, 9};
    struct mirai_context context = {
        .deadline_ms = mirai_monotonic_ms() + 1500,
        .traceparent = MIRAI_STR("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        .principal = {.user_id = 42,
                      .role = MIRAI_ROLE_EDITOR,
                      .name = MIRAI_STR("山田"),
                      .spaces = spaces,
                      .spaces_len = 2,
                      .groups = groups,
                      .groups_len = 2},
        .locale = MIRAI_STR("ja"),
        .idempotency_key = MIRAI_STR("key-1"),
        .client_address = MIRAI_STR("192.0.2.7"),
    };
    mirai_rpc_call(f->client, "context", MIRAI_RPC_WRITE, &context, (struct mirai_str){0}, on_answer,
                   &answer);
    run_until_called(f, &answer);
    assert_int_equal(answer.status, 0);
    assert_string_equal(f->seen_text,
                        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01|山田|ja|key-1|192.0.2.7");
    assert_int_equal(f->seen.principal.user_id, 42);
    assert_int_equal(f->seen.principal.role, MIRAI_ROLE_EDITOR);
    assert_memory_equal(f->seen_ids, ((int64_t[]){3, 70000, -5, 9}), sizeof(f->seen_ids));
    assert_in_range(f->seen.deadline_ms, context.deadline_ms - 500, context.deadline_ms + 5);
    clear_answer(&answer);
}

static void test_deadline_ends_the_call_and_the_request(void **state)
{
    struct fixture *f = *state;
    struct answer answer = {0};
    struct mirai_context context = {.deadline_ms = mirai_monotonic_ms() + 60};
    uint64_t begun = mirai_monotonic_ms();
    mirai_rpc_call(f->client, "hold", MIRAI_RPC_READ, &context, (struct mirai_str){0}, on_answer, &answer);
    run_until_called(f, &answer);
    assert_int_equal(answer.status, MIRAI_E_DEADLINE);
    assert_in_range(mirai_monotonic_ms() - begun, 58, 200);
    mirai_rpc_reply(f->held[0], MIRAI_STR("\x01")); /* dead: not sent */
    run_for(f, 30);
    assert_int_equal(answer.calls, 1);
    assert_int_equal(mirai_rpc_server_pending(f->server), 0);
    clear_answer(&answer);
    context.deadline_ms = mirai_monotonic_ms() - 1;
    mirai_rpc_call(f->client, "echo", MIRAI_RPC_READ, &context, (struct mirai_str){0}, on_answer, &answer);
    run_until_called(f, &answer);
    assert_int_equal(answer.status, MIRAI_E_DEADLINE);
    clear_answer(&answer);
}

static void test_deadlines_of_many_calls_end_in_their_order(void **state)
{
    struct fixture *f = *state;
    struct answer list[50] = {0};
    uint64_t now = mirai_monotonic_ms();
    size_t before = answers;
    for (size_t i = 0; i < 50; i++) {
        struct mirai_context context = {.deadline_ms = now + 30 + (i * 37 % 50) * 3};
        mirai_rpc_call(f->client, "hold", MIRAI_RPC_WRITE, &context, (struct mirai_str){0}, on_answer,
                       &list[i]);
    }
    run_until(f, &answers, before + 50);
    for (size_t i = 0; i < 50; i++) {
        assert_int_equal(list[i].status, MIRAI_E_DEADLINE);
        assert_int_equal(list[i].order - before, i * 37 % 50);
        clear_answer(&list[i]);
    }
    for (size_t i = 0; i < f->held_len; i++) {
        mirai_rpc_fail(f->held[i], MIRAI_E_INTERNAL, NULL);
    }
}

static void test_no_instance_is_unavailable_at_the_deadline(void **state)
{
    struct fixture *f = *state;
    struct answer answer = {0};
    struct mirai_context context = {.deadline_ms = mirai_monotonic_ms() + 50};
    start_client(f, 16);
    mirai_rpc_call(f->client, "echo", MIRAI_RPC_WRITE, &context, (struct mirai_str){0}, on_answer, &answer);
    run_until_called(f, &answer);
    assert_int_equal(answer.status, MIRAI_E_UNAVAILABLE);
    clear_answer(&answer);
}

static void test_calls_wait_for_an_instance_that_appears(void **state)
{
    struct fixture *f = *state;
    struct answer answer = {0};
    start_client(f, 16);
    mirai_rpc_call(f->client, "echo", MIRAI_RPC_WRITE, NULL, MIRAI_STR("\x07"), on_answer, &answer);
    run_for(f, 50);
    assert_int_equal(answer.calls, 0);
    uint64_t begun = mirai_monotonic_ms();
    start_server(f, 16);
    run_until_called(f, &answer);
    assert_int_equal(answer.status, 0);
    assert_in_range(mirai_monotonic_ms() - begun, 0,
                    900); /* by the watch, not by the rescan of each second */
    clear_answer(&answer);
}

static void test_server_over_its_queue_says_overloaded(void **state)
{
    struct fixture *f = *state;
    struct answer list[20] = {0};
    size_t before = answers;
    start_server(f, 16);
    start_client(f, 64);
    for (size_t i = 0; i < 20; i++) {
        mirai_rpc_call(f->client, "hold", MIRAI_RPC_READ, NULL, (struct mirai_str){0}, on_answer, &list[i]);
    }
    run_until(f, &answers, before + 4);
    assert_int_equal(f->held_len, 16);
    for (size_t i = 16; i < 20; i++) {
        assert_int_equal(list[i].status, MIRAI_E_OVERLOADED);
    }
    for (size_t i = 0; i < 16; i++) {
        mirai_rpc_reply(f->held[i], MIRAI_STR("\x01"));
    }
    run_until(f, &answers, before + 20);
    for (size_t i = 0; i < 20; i++) {
        assert_int_equal(list[i].calls, 1);
        clear_answer(&list[i]);
    }
}

static void test_client_over_its_bound_says_overloaded(void **state)
{
    struct fixture *f = *state;
    struct answer list[5] = {0};
    start_client(f, 4); /* no server: four calls wait */
    for (size_t i = 0; i < 5; i++) {
        mirai_rpc_call(f->client, "echo", MIRAI_RPC_READ, NULL, (struct mirai_str){0}, on_answer, &list[i]);
    }
    assert_int_equal(list[4].calls, 0);
    run_until_called(f, &list[4]);
    assert_int_equal(list[4].status, MIRAI_E_OVERLOADED);
    assert_int_equal(list[3].calls, 0);
    mirai_rpc_client_free(f->client);
    f->client = NULL;
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(list[i].status, MIRAI_E_CANCELLED);
        assert_int_equal(list[i].calls, 1);
    }
}

static void test_large_frames_and_too_large_ones(void **state)
{
    struct fixture *f = *state;
    struct mirai_buf params = {0};
    struct answer answer = {0};
    char *bytes = mirai_alloc(MIRAI_RPC_FRAME_MAX);
    mirai_mp_write_bin(&params, (struct mirai_str){bytes, MIRAI_RPC_FRAME_MAX - 1024});
    mirai_rpc_call(f->client, "echo", MIRAI_RPC_READ, NULL, mirai_buf_str(&params), on_answer, &answer);
    run_until_called(f, &answer);
    assert_int_equal(answer.status, 0);
    assert_int_equal(answer.result.len, params.len);
    clear_answer(&answer);

    params.len = 0;
    mirai_mp_write_bin(&params, (struct mirai_str){bytes, MIRAI_RPC_FRAME_MAX});
    assert_int_equal(call_status(f, "echo", mirai_buf_str(&params)), MIRAI_E_TOO_LARGE);

    params.len = 0;
    mirai_mp_write_int(&params, MIRAI_RPC_FRAME_MAX - 64);
    assert_int_equal(call_status(f, "big", mirai_buf_str(&params)), 0);
    params.len = 0;
    mirai_mp_write_int(&params, MIRAI_RPC_FRAME_MAX);
    assert_int_equal(call_status(f, "big", mirai_buf_str(&params)), MIRAI_E_TOO_LARGE);
    assert_int_equal(call_status(f, "echo", MIRAI_STR("\x01")), 0);
    mirai_buf_free(&params);
    free(bytes);
}

struct canceller {
    struct fixture *f;
    struct mirai_rpc_call *self;
    struct mirai_rpc_call *other;
    struct answer again;
    int calls;
};

static void on_cancel_others(void *data, const struct mirai_rpc_reply *reply)
{
    struct canceller *c = data;
    (void)reply;
    c->calls++;
    mirai_rpc_cancel(c->other); /* its answer stands in the same frame */
    mirai_rpc_cancel(c->self);  /* harmless */
    mirai_rpc_call(c->f->client, "echo", MIRAI_RPC_READ, NULL, MIRAI_STR("\x03"), on_answer, &c->again);
}

static void test_cancel_and_call_inside_a_callback(void **state)
{
    struct fixture *f = *state;
    struct canceller c = {.f = f};
    struct answer other = {0};
    c.self = mirai_rpc_call(f->client, "echo", MIRAI_RPC_READ, NULL, MIRAI_STR("\x01"), on_cancel_others, &c);
    c.other = mirai_rpc_call(f->client, "echo", MIRAI_RPC_READ, NULL, MIRAI_STR("\x02"), on_answer, &other);
    run_until_called(f, &c.again);
    assert_int_equal(c.calls, 1);
    assert_int_equal(other.calls, 0);
    assert_int_equal(c.again.result.data[0], 3);
    clear_answer(&c.again);
}

static void test_cancel_before_and_after_sending(void **state)
{
    struct fixture *f = *state;
    struct answer answer = {0};
    assert_int_equal(call_status(f, "echo", MIRAI_STR("\x01")), 0);
    size_t echoed = f->echoed;
    mirai_rpc_cancel(
        mirai_rpc_call(f->client, "echo", MIRAI_RPC_READ, NULL, MIRAI_STR("\x01"), on_answer, &answer));
    struct mirai_rpc_call *call =
        mirai_rpc_call(f->client, "hold", MIRAI_RPC_READ, NULL, MIRAI_STR("\x01"), on_answer, &answer);
    run_until(f, &f->held_len, 1);
    mirai_rpc_cancel(call);
    mirai_rpc_reply(f->held[0], MIRAI_STR("\x01"));
    run_for(f, 20);
    assert_int_equal(answer.calls, 0);
    assert_int_equal(f->echoed, echoed);
}

static void on_answer_free_client(void *data, const struct mirai_rpc_reply *reply)
{
    struct fixture *f = fixture;
    on_answer(data, reply);
    if (f->client != NULL) {
        struct mirai_rpc_client *client = f->client;
        f->client = NULL;
        mirai_rpc_client_free(client);
    }
}

static void test_free_client_inside_a_callback(void **state)
{
    struct fixture *f = *state;
    struct answer list[30] = {0};
    size_t before = answers;
    for (size_t i = 0; i < 30; i++) {
        mirai_rpc_call(f->client, i % 3 == 2 ? "hold" : "echo", MIRAI_RPC_READ, NULL, MIRAI_STR("\x01"),
                       on_answer_free_client, &list[i]);
    }
    run_until(f, &answers, before + 30);
    assert_int_equal(list[0].status, 0);
    for (size_t i = 1; i < 30; i++) {
        assert_int_equal(list[i].status, MIRAI_E_CANCELLED);
        assert_int_equal(list[i].calls, 1);
        clear_answer(&list[i]);
    }
    clear_answer(&list[0]);
    run_for(f, 20);
    for (size_t i = 0; i < f->held_len; i++) {
        mirai_rpc_reply(f->held[i], MIRAI_STR("\x01")); /* to a pipe that is gone */
    }
}

static void test_server_freed_with_requests_pending(void **state)
{
    struct fixture *f = *state;
    struct answer answer = {0};
    struct mirai_context context = {.deadline_ms = mirai_monotonic_ms() + 300};
    mirai_rpc_call(f->client, "hold", MIRAI_RPC_WRITE, &context, MIRAI_STR("\x01"), on_answer, &answer);
    run_until(f, &f->held_len, 1);
    mirai_rpc_server_free(f->server);
    f->server = NULL;
    run_until_called(f, &answer);
    assert_int_equal(answer.status, MIRAI_E_UNAVAILABLE);
    run_for(f, 20);
    mirai_rpc_reply(f->held[0], MIRAI_STR("\x01")); /* frees the rest of the server */
    clear_answer(&answer);
}

static void test_replies_given_before_free_are_delivered(void **state)
{
    struct fixture *f = *state;
    struct answer answer = {0};
    mirai_rpc_call(f->client, "hold", MIRAI_RPC_WRITE, NULL, MIRAI_STR("\x01"), on_answer, &answer);
    run_until(f, &f->held_len, 1);
    mirai_rpc_reply(f->held[0], MIRAI_STR("\x09"));
    mirai_rpc_server_free(f->server);
    f->server = NULL;
    run_until_called(f, &answer);
    assert_int_equal(answer.status, 0);
    clear_answer(&answer);
}

/* A draining instance did not look at the call: even a write goes to the other one. */
static void test_draining_instance_loses_no_call(void **state)
{
    struct fixture *f = *state;
    struct answer answer = {0};
    struct mirai_rpc_server *first = f->server;
    char url[64];
    assert_int_equal(call_status(f, "echo", MIRAI_STR("\x01")), 0);
    mirai_rpc_server_drain(first);
    mirai_rpc_call(f->client, "echo", MIRAI_RPC_WRITE, NULL, MIRAI_STR("\x05"), on_answer, &answer);
    run_for(f, 30);
    assert_int_equal(answer.calls, 0); /* waits for an instance */
    snprintf(url, sizeof(url), "ipc://%s/thing@2.sock", f->dir);
    memcpy(f->url, url, sizeof(url));
    start_server(f, 64);
    run_until_called(f, &answer);
    assert_int_equal(answer.status, 0);
    mirai_rpc_server_free(first);
    clear_answer(&answer);
}

/* Declines until it is healthy. */
static void handle_not_yet(struct mirai_rpc_request *request)
{
    struct fixture *f = request->data;
    if (f->healthy) {
        mirai_rpc_reply(request, request->params);
    } else {
        f->declined++;
        mirai_rpc_decline(request, "not yet");
    }
}

static void handle_health(struct mirai_rpc_request *request)
{
    struct fixture *f = request->data;
    struct mirai_buf result = {0};
    f->probed++;
    mirai_mp_write_map(&result, 1);
    mirai_mp_write_cstr(&result, "status");
    mirai_mp_write_cstr(&result, f->healthy ? "ok" : "unavailable");
    mirai_rpc_reply_buf(request, &result);
}

/* An instance that is not ready is as good as away until its health is good. */
static void test_unready_instance_is_asked_when_it_is_ready(void **state)
{
    static const struct mirai_rpc_method unready[] = {
        {"echo", handle_not_yet}, {"service.health", handle_health}, {NULL, NULL}};
    struct fixture *f = *state;
    struct answer answer = {0}, late = {0};
    struct mirai_context context = {.deadline_ms = mirai_monotonic_ms() + 500};
    mirai_rpc_server_free(f->server);
    f->server = mirai_rpc_server_new(&(struct mirai_rpc_server_options){
        .loop = &f->loop, .url = f->url, .methods = unready, .data = f, .queue_max = 64});
    assert_non_null(f->server);
    mirai_rpc_call(f->client, "echo", MIRAI_RPC_READ, NULL, MIRAI_STR("\x05"), on_answer, &answer);
    run_until(f, &f->declined, 1);
    run_for(f, 20);
    mirai_rpc_call(f->client, "echo", MIRAI_RPC_READ, &context, MIRAI_STR("\x05"), on_answer, &late);
    run_until_called(f, &late);
    assert_int_equal(late.status, MIRAI_E_UNAVAILABLE);
    assert_true(late.unready);
    assert_int_equal(f->declined, 1); /* asked for its health only */
    assert_true(f->probed >= 2);
    assert_int_equal(answer.calls, 0);

    struct mirai_rpc_server *first = f->server; /* another one answers what waits, and all that comes */
    snprintf(f->url, sizeof(f->url), "ipc://%s/thing@2.sock", f->dir);
    start_server(f, 64);
    run_until_called(f, &answer);
    assert_int_equal(answer.status, 0);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(call_status(f, "echo", MIRAI_STR("\x01")), 0);
    }
    assert_int_equal(f->declined, 1);
    assert_int_equal(f->echoed, 11);

    f->healthy = true; /* it gets its share again */
    run_until(f, &f->probed, f->probed + 1);
    run_for(f, 20);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(call_status(f, "echo", MIRAI_STR("\x01")), 0);
    }
    assert_int_equal(f->declined, 1);
    assert_in_range(f->echoed, 14, 18);
    mirai_rpc_server_free(first);
    clear_answer(&answer);
    clear_answer(&late);
}

struct each_answers {
    size_t instances;
    size_t ends;
    char names[4][64];
};

static void on_each(void *data, struct mirai_str instance, const struct mirai_rpc_reply *reply)
{
    struct each_answers *each = data;
    assert_int_equal(reply->status, 0);
    if (instance.len == 0) {
        each->ends++;
        return;
    }
    assert_int_equal(each->ends, 0);
    snprintf(each->names[each->instances++], 64, "%.*s", MIRAI_STR_ARG(instance));
}

static void test_call_each_asks_every_instance(void **state)
{
    struct fixture *f = *state;
    struct each_answers each = {0};
    struct mirai_rpc_instance_info rows[4];
    start_client(f, 64);
    mirai_rpc_call_each(f->client, "echo", NULL, (struct mirai_str){0}, on_each, &each);
    run_until(f, &each.ends, 1);
    assert_int_equal(each.instances, 0);
    start_server(f, 64);
    struct mirai_rpc_server *first = f->server;
    snprintf(f->url, sizeof(f->url), "ipc://%s/thing@b-2.sock", f->dir);
    start_server(f, 64);
    while (mirai_rpc_client_instances(f->client, rows, 4) < 2 || !rows[0].connected || !rows[1].connected) {
        uv_run(&f->loop, UV_RUN_ONCE);
    }
    each = (struct each_answers){0};
    mirai_rpc_call_each(f->client, "echo", NULL, (struct mirai_str){0}, on_each, &each);
    run_until(f, &each.ends, 1);
    assert_int_equal(each.instances, 2);
    assert_true((strcmp(each.names[0], "1") == 0 && strcmp(each.names[1], "b-2") == 0) ||
                (strcmp(each.names[0], "b-2") == 0 && strcmp(each.names[1], "1") == 0));
    mirai_rpc_server_free(first);
}

static void test_socket_file_is_closed_to_others(void **state)
{
    struct fixture *f = *state;
    struct stat st;
    assert_int_equal(stat(f->url + strlen("ipc://"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0660);
}

static void test_second_server_on_a_live_socket_is_refused(void **state)
{
    struct fixture *f = *state;
    struct mirai_rpc_server *second = mirai_rpc_server_new(&(struct mirai_rpc_server_options){
        .loop = &f->loop, .url = f->url, .methods = methods, .queue_max = 4});
    assert_null(second);
    assert_int_equal(call_status(f, "echo", MIRAI_STR("\x01")), 0);
}

/* ------------------------------------------------------------------ hostile peers */

static void send_raw(nng_socket nng, const void *bytes, size_t len)
{
    nng_msg *msg;
    assert_int_equal(nng_msg_alloc(&msg, 0), 0);
    assert_int_equal(nng_msg_append(msg, bytes, len), 0);
    nng_msg_header_append_u32(msg, 0x80000001u);
    assert_int_equal(nng_sendmsg(nng, msg, 0), 0);
}

static void test_hostile_frames_are_counted_and_dropped(void **state)
{
    struct fixture *f = *state;
    static const struct mirai_str frames[] = {
        {"", 0},
        {"\xc1", 1},
        {"\x94", 1},
        {"\x94\x00\x01", 3},
        {"\x94\x01\x01\xc0\xc0", 5}, /* a response to a server */
        {"\x94\x00\xd0\xff\xa4"
         "echo\x92\x80\xc0",
         12},                                /* negative id */
        {"\x94\x00\x01\x05\x92\x80\xc0", 7}, /* method is a number */
        {"\x94\x00\x01\xa4"
         "echo\x91\x80",
         10}, /* no params */
        {"\xdd\xff\xff\xff\xff\x00\x00", 7},
        {"\x94\x00\x01\xdb\xff\xff\xff\xff"
         "echo",
         12},
        {"\x93\x02\xa3"
         "ack\x91\xce\xff\xff\xff\xff",
         12}, /* well-formed, a lie */
        {"\x93\x02\xa3"
         "ack\x90",
         7},
        {"\x93\x02\xa4none\x90", 8},
    };
    uint64_t malformed = metric("mirai_rpc_malformed_total", "side=\"server\"");
    nng_socket nng;
    assert_int_equal(nng_req0_open_raw(&nng), 0);
    assert_int_equal(nng_dial(nng, f->url, NULL, NNG_FLAG_NONBLOCK), 0);
    run_for(f, 100);
    for (size_t i = 0; i < sizeof(frames) / sizeof(frames[0]); i++) {
        send_raw(nng, frames[i].data, frames[i].len);
        run_for(f, 2);
    }
    char deep[64];
    memset(deep, '\x91', sizeof(deep));
    send_raw(nng, deep, sizeof(deep));
    /* A good request after a bad one's frame, and a context that is wrong. */
    send_raw(nng,
             "\x94\x00\x01\xa4"
             "echo\x92\x81\xa1"
             "d\xa1"
             "x\xc0",
             16);
    send_raw(nng,
             "\x94\x00\x02\xa4"
             "echo\x92\x80\x07",
             12);
    run_for(f, 20);
    nng_msg *msg;
    assert_int_equal(nng_recvmsg(nng, &msg, NNG_FLAG_NONBLOCK), 0);
    nng_msg_free(msg);
    assert_true(metric("mirai_rpc_malformed_total", "side=\"server\"") - malformed >= 9);
    nng_close(nng);
    run_for(f, 10);
    assert_int_equal(call_status(f, "echo", MIRAI_STR("\x01")), 0);
    assert_int_equal(mirai_rpc_server_pending(f->server), 0);
}

/* It asks and asks and never acknowledges: its replies stop at the window, others are served. */
static void test_peer_that_never_acknowledges_gets_a_window(void **state)
{
    struct fixture *f = *state;
    nng_socket nng;
    size_t replies = 0;
    nng_msg *msg;
    assert_int_equal(nng_req0_open_raw(&nng), 0);
    nng_socket_set_int(nng, NNG_OPT_RECVBUF, 256);
    assert_int_equal(nng_dial(nng, f->url, NULL, NNG_FLAG_NONBLOCK), 0);
    run_for(f, 100);
    for (size_t i = 0; i < 100; i++) {
        send_raw(nng,
                 "\x94\x00\x02\xa4"
                 "echo\x92\x80\x07",
                 12);
        run_for(f, 2);
    }
    while (nng_recvmsg(nng, &msg, NNG_FLAG_NONBLOCK) == 0) {
        replies++;
        nng_msg_free(msg);
    }
    assert_in_range(replies, 10, RPC_WINDOW);
    assert_int_equal(call_status(f, "echo", MIRAI_STR("\x01")), 0);
    nng_close(nng);
}

static int setup_bare(void **state)
{
    *state = new_fixture();
    return 0;
}

#define TEST(name)      cmocka_unit_test_setup_teardown(name, setup, teardown)
#define TEST_BARE(name) cmocka_unit_test_setup_teardown(name, setup_bare, teardown)

int main(int argc, char **argv)
{
    if (argc > 1) {
        cmocka_set_test_filter(argv[1]);
    }
    const struct CMUnitTest tests[] = {
        TEST(test_echo),
        TEST(test_calls_of_a_turn_share_a_frame),
        TEST(test_no_reply_is_lost_when_each_is_a_frame),
        TEST(test_answers_come_in_any_order),
        TEST(test_errors_carry_code_message_and_details),
        TEST(test_context_arrives),
        TEST(test_deadline_ends_the_call_and_the_request),
        TEST(test_deadlines_of_many_calls_end_in_their_order),
        TEST_BARE(test_no_instance_is_unavailable_at_the_deadline),
        TEST_BARE(test_calls_wait_for_an_instance_that_appears),
        TEST_BARE(test_server_over_its_queue_says_overloaded),
        TEST_BARE(test_client_over_its_bound_says_overloaded),
        TEST(test_large_frames_and_too_large_ones),
        TEST(test_cancel_and_call_inside_a_callback),
        TEST(test_cancel_before_and_after_sending),
        TEST(test_free_client_inside_a_callback),
        TEST(test_server_freed_with_requests_pending),
        TEST(test_replies_given_before_free_are_delivered),
        TEST(test_draining_instance_loses_no_call),
        TEST(test_unready_instance_is_asked_when_it_is_ready),
        TEST_BARE(test_call_each_asks_every_instance),
        TEST(test_socket_file_is_closed_to_others),
        TEST(test_second_server_on_a_live_socket_is_refused),
        TEST(test_hostile_frames_are_counted_and_dropped),
        TEST(test_peer_that_never_acknowledges_gets_a_window),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
