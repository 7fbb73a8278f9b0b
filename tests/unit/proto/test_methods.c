/* The guard before every handler, asked by a real client: one server that has every declared method. */
#include "proto/methods.h"

#include "libcommon/log.h"
#include "libcommon/time.h"
#include "tests/unit/libcommon/test.h"

#include <unistd.h>

struct fixture {
    uv_loop_t loop;
    uv_timer_t guard; /* ends a test that hangs */
    char dir[32];
    struct mirai_rpc_method methods[MIRAI_METHOD_ID_COUNT + 1];
    struct mirai_rpc_server *server;
    struct mirai_rpc_client *client;
};

/* Whoever is let in is told so. */
static void handle(struct mirai_rpc_request *request)
{
    struct mirai_arena arena = {0};
    const struct mirai_method *method = mirai_method_find(request->method);
    assert_non_null(method);
    void *params = mirai_arena_alloc(&arena, method->params->size);
    if (mirai_method_accept(request, (enum mirai_method_id)(method - mirai_methods), &arena, params)) {
        if (method->params == &mirai_message_by_id) {
            struct mirai_id_result result = {0};
            mirai_set(id_result, &result, id, ((const struct mirai_by_id *)params)->id + 1);
            mirai_reply_message(request, &mirai_message_id_result, &result);
        } else {
            mirai_reply_message(request, &mirai_message_empty, &(struct mirai_empty){0});
        }
    }
    mirai_arena_free(&arena);
}

static void on_guard(uv_timer_t *timer)
{
    (void)timer;
    fprintf(stderr, "the test hangs\n");
    abort();
}

static int open_fixture(void **state)
{
    struct fixture *f = mirai_alloc(sizeof(*f));
    char url[64];
    *state = f;
    strcpy(f->dir, "/tmp/mirai-methods-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    snprintf(url, sizeof(url), "ipc://%s/thing@1.sock", f->dir);
    mirai_log_set_level(MIRAI_LOG_FATAL);
    uv_loop_init(&f->loop);
    uv_timer_init(&f->loop, &f->guard);
    uv_timer_start(&f->guard, on_guard, 30000, 0);
    for (size_t i = 0; i < MIRAI_METHOD_ID_COUNT; i++) {
        f->methods[i] = (struct mirai_rpc_method){mirai_methods[i].name, handle};
    }
    f->server = mirai_rpc_server_new(&(struct mirai_rpc_server_options){
        .loop = &f->loop, .url = url, .methods = f->methods, .data = f, .queue_max = 4096});
    f->client = mirai_rpc_client_new(&(struct mirai_rpc_client_options){.loop = &f->loop,
                                                                        .service = "thing",
                                                                        .run_dir = f->dir,
                                                                        .outstanding_max = 4096,
                                                                        .deadline_ms = 20000});
    assert_true(f->server != NULL && f->client != NULL);
    return 0;
}

static int close_fixture(void **state)
{
    struct fixture *f = *state;
    mirai_rpc_client_free(f->client);
    mirai_rpc_server_free(f->server);
    uv_close((uv_handle_t *)&f->guard, NULL);
    assert_int_equal(uv_run(&f->loop, UV_RUN_DEFAULT), 0);
    assert_int_equal(uv_loop_close(&f->loop), 0);
    assert_int_equal(rmdir(f->dir), 0);
    free(f);
    return 0;
}

struct answer {
    bool done;
    int status;
    struct mirai_buf result;
    struct mirai_buf error;
};

static void on_answer(void *data, const struct mirai_rpc_reply *reply)
{
    struct answer *answer = data;
    answer->done = true;
    answer->status = reply->status;
    mirai_buf_append_str(&answer->result, reply->result);
    mirai_buf_append_str(&answer->error, reply->error);
}

static void forget(struct answer *answer)
{
    mirai_buf_free(&answer->result);
    mirai_buf_free(&answer->error);
}

static void wait_for(struct fixture *f, const struct answer *answer)
{
    while (!answer->done) {
        uv_run(&f->loop, UV_RUN_ONCE);
    }
}

/* Whether the principal may call the method: 0, or why not. Without parameters, what comes after the check of
 * the role may be that some are required. */
static int ask(struct fixture *f, enum mirai_method_id id, int64_t user_id, enum mirai_role role)
{
    struct answer answer = {0};
    struct mirai_context context = {.principal = {.user_id = user_id, .role = role}};
    mirai_method_call(f->client, id, &context, NULL, on_answer, &answer);
    wait_for(f, &answer);
    forget(&answer);
    return answer.status == MIRAI_E_UNPROCESSABLE ? 0 : answer.status;
}

static const enum mirai_role roles[] = {MIRAI_ROLE_NONE, MIRAI_ROLE_VIEWER, MIRAI_ROLE_EDITOR,
                                        MIRAI_ROLE_ADMIN};

static void a_user_needs_the_role_of_the_method(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < MIRAI_METHOD_ID_COUNT; i++) {
        for (size_t r = 0; r < ARRAY_LEN(roles); r++) {
            bool allowed =
                mirai_methods[i].role == MIRAI_METHOD_NONE ||
                (mirai_methods[i].role != MIRAI_METHOD_SYSTEM && (int)roles[r] >= (int)mirai_methods[i].role);
            assert_int_equal(ask(f, (enum mirai_method_id)i, 7, roles[r]), allowed ? 0 : MIRAI_E_FORBIDDEN);
        }
    }
}

static void nobody_gets_in_only_where_no_role_is_needed(void **state)
{
    struct fixture *f = *state;
    static const int64_t nobodies[] = {0, -2, INT64_MIN}; /* -1 is the system */
    for (size_t i = 0; i < MIRAI_METHOD_ID_COUNT; i++) {
        for (size_t n = 0; n < ARRAY_LEN(nobodies); n++) {
            int expected = mirai_methods[i].role == MIRAI_METHOD_NONE ? 0 : MIRAI_E_UNAUTHENTICATED;
            assert_int_equal(ask(f, (enum mirai_method_id)i, nobodies[n], MIRAI_ROLE_ADMIN), expected);
        }
    }
}

static void the_system_may_do_everything(void **state)
{
    struct fixture *f = *state;
    struct mirai_context context = mirai_context_system();
    assert_int_equal(context.principal.user_id, MIRAI_USER_SYSTEM);
    assert_int_equal(context.principal.role, MIRAI_ROLE_ADMIN);
    for (size_t i = 0; i < MIRAI_METHOD_ID_COUNT; i++) {
        assert_int_equal(ask(f, (enum mirai_method_id)i, MIRAI_USER_SYSTEM, MIRAI_ROLE_NONE), 0);
    }
}

static void what_needs_which_role(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(ask(f, MIRAI_METHOD_ID_article_create, 1, MIRAI_ROLE_VIEWER), MIRAI_E_FORBIDDEN);
    assert_int_equal(ask(f, MIRAI_METHOD_ID_article_create, 1, MIRAI_ROLE_EDITOR), 0);
    assert_int_equal(ask(f, MIRAI_METHOD_ID_user_create, 1, MIRAI_ROLE_EDITOR), MIRAI_E_FORBIDDEN);
    assert_int_equal(ask(f, MIRAI_METHOD_ID_user_create, 1, MIRAI_ROLE_ADMIN), 0);
    assert_int_equal(ask(f, MIRAI_METHOD_ID_snapshot_read, 1, MIRAI_ROLE_ADMIN), MIRAI_E_FORBIDDEN);
    assert_int_equal(ask(f, MIRAI_METHOD_ID_store_restart, 1, MIRAI_ROLE_ADMIN), MIRAI_E_FORBIDDEN);
    assert_int_equal(ask(f, MIRAI_METHOD_ID_auth_login, 0, MIRAI_ROLE_NONE), 0);
    assert_int_equal(ask(f, MIRAI_METHOD_ID_backup_run, 1, MIRAI_ROLE_EDITOR), MIRAI_E_FORBIDDEN);
}

static void parameters_arrive_and_the_answer_returns(void **state)
{
    struct fixture *f = *state;
    struct answer answer = {0};
    struct mirai_arena arena = {0};
    struct mirai_context context = mirai_context_system();
    struct mirai_by_id params = {0};
    struct mirai_id_result result;
    mirai_set(by_id, &params, id, 41);
    mirai_method_call(f->client, MIRAI_METHOD_ID_article_stats, &context, &params, on_answer, &answer);
    assert_false(answer.done); /* never before the call returned */
    wait_for(f, &answer);
    assert_int_equal(answer.status, 0);
    assert_int_equal(mirai_message_decode(&mirai_message_id_result, mirai_buf_str(&answer.result),
                                          MIRAI_INNER, &arena, &result, NULL),
                     0);
    assert_int_equal(result.id, 42);
    forget(&answer);
    mirai_arena_free(&arena);
}

/* Call article.stats with parameters as they are. */
static void call_raw(struct fixture *f, struct mirai_str params, struct answer *answer)
{
    struct mirai_context context = mirai_context_system();
    *answer = (struct answer){0};
    mirai_rpc_call(f->client, "article.stats", MIRAI_RPC_READ, &context, params, on_answer, answer);
    wait_for(f, answer);
}

static void broken_parameters_are_answered_with_their_faults(void **state)
{
    struct fixture *f = *state;
    struct answer answer;
    struct mirai_str errors;
    struct mirai_buf json = {0};
    call_raw(f, BYTES("\x81\xa2id\x00"), &answer);
    assert_int_equal(answer.status, MIRAI_E_UNPROCESSABLE);
    assert_int_equal(mirai_mp_find(mirai_buf_str(&answer.error), "errors", &errors), 0);
    assert_int_equal(mirai_mp_to_json(errors, &json), 0);
    assert_str(mirai_buf_str(&json), "[{\"path\":\"/id\",\"problem\":\"too-small\"}]");
    forget(&answer);
    mirai_buf_free(&json);

    call_raw(f, BYTES("\x01"), &answer);
    assert_int_equal(answer.status, MIRAI_E_INVALID);
    forget(&answer);
}

/* Two versions side by side: a newer caller's additional member does no harm. */
static void a_newer_caller_is_served(void **state)
{
    struct fixture *f = *state;
    struct answer answer;
    call_raw(f, BYTES("\x82\xa2id\x07\xa3new\x91\xc0"), &answer);
    assert_int_equal(answer.status, 0);
    assert_str(mirai_buf_str(&answer.result), "\x81\xa2id\x08");
    forget(&answer);
}

static void methods_are_found_by_name(void **state)
{
    (void)state;
    assert_null(mirai_method_find(MIRAI_STR("article")));
    assert_null(mirai_method_find(MIRAI_STR("article.gett")));
    assert_null(mirai_method_find(MIRAI_STR("article.ge")));
    assert_null(mirai_method_find((struct mirai_str){NULL, 0}));
    for (size_t i = 0; i < MIRAI_METHOD_ID_COUNT; i++) {
        const struct mirai_method *method = mirai_method_find(mirai_str(mirai_methods[i].name));
        assert_ptr_equal(method, &mirai_methods[i]); /* names are unique */
        assert_true(strcmp(method->service, "knowledge-store") == 0 ||
                    strcmp(method->service, "search-index") == 0 || strcmp(method->service, "backup") == 0);
        assert_true(method->doc[0] != '\0');
    }
    assert_ptr_equal(mirai_method_find(MIRAI_STR("article.get")),
                     &mirai_methods[MIRAI_METHOD_ID_article_get]);
}

#define test_with_peers(test) cmocka_unit_test_setup_teardown(test, open_fixture, close_fixture)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test_with_peers(a_user_needs_the_role_of_the_method),
        test_with_peers(nobody_gets_in_only_where_no_role_is_needed),
        test_with_peers(the_system_may_do_everything),
        test_with_peers(what_needs_which_role),
        test_with_peers(parameters_arrive_and_the_answer_returns),
        test_with_peers(broken_parameters_are_answered_with_their_faults),
        test_with_peers(a_newer_caller_is_served),
        cmocka_unit_test(methods_are_found_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
