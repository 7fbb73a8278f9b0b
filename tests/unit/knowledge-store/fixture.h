/* A store in a directory of its own, called over RPC by people with different rights. */
#ifndef STORE_FIXTURE_H
#define STORE_FIXTURE_H

#include "libcommon/config.h"
#include "libcommon/log.h"
#include "libcommon/time.h"
#include "proto/methods.h"
#include "services/knowledge-store/methods.h"
#include "services/knowledge-store/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define CALLS_MAX 64

struct fixture {
    char dir[64];
    uv_loop_t loop;
    struct mirai_runtime runtime;
    struct store store;
    struct mirai_rpc_server *server;
    struct mirai_rpc_client *client;
    struct mirai_arena arena; /* of the answers of the present test */
};

/* Who calls. Users 1 … 4 are made by fixture_open. */
static const int64_t general[] = {1};
static const int64_t team[] = {2};
#define PERSON(id, r, ...)                                                                                   \
    {                                                                                                        \
        .user_id = (id), .role = MIRAI_ROLE_##r, __VA_ARGS__                                                 \
    }
static const struct mirai_principal admin = PERSON(1, ADMIN, );
static const struct mirai_principal editor = PERSON(2, EDITOR, .spaces = general, .spaces_len = 1);
static const struct mirai_principal viewer = PERSON(3, VIEWER, .spaces = general, .spaces_len = 1);
static const struct mirai_principal member =
    PERSON(4, EDITOR, .spaces = general, .spaces_len = 1, .groups = team, .groups_len = 1);
static const struct mirai_principal daemon_ = PERSON(MIRAI_USER_SYSTEM, ADMIN, );

/* An answer; its bytes live in the fixture's arena. */
struct answer {
    bool done;
    int status;
    struct mirai_str result, error;
    struct fixture *fixture;
};

static inline void on_answer(void *data, const struct mirai_rpc_reply *reply)
{
    struct answer *answer = data;
    answer->done = true;
    answer->status = reply->status;
    answer->result = mirai_arena_copy(&answer->fixture->arena, reply->result);
    answer->error = mirai_arena_copy(&answer->fixture->arena, reply->error);
}

static inline void send_call(struct fixture *f, const struct mirai_principal *who, const char *key,
                             enum mirai_method_id id, const void *params, struct answer *answer)
{
    const struct mirai_context context = {.principal = *who,
                                          .idempotency_key = mirai_str(key),
                                          .deadline_ms = mirai_monotonic_ms() + 10000,
                                          .client_address = MIRAI_STR("192.0.2.7"),
                                          .locale = MIRAI_STR("en")};
    *answer = (struct answer){.fixture = f};
    mirai_method_call(f->client, id, &context, params, on_answer, answer);
}

static inline void wait_for(struct fixture *f, const struct answer *answer)
{
    while (!answer->done) {
        uv_run(&f->loop, UV_RUN_ONCE);
    }
}

static inline struct answer call_keyed(struct fixture *f, const struct mirai_principal *who, const char *key,
                                       enum mirai_method_id id, const void *params)
{
    struct answer answer;
    send_call(f, who, key, id, params, &answer);
    wait_for(f, &answer);
    return answer;
}

/* The status of a call; *result (a struct of the method's result, may be NULL) is filled when it is 0. */
static inline int call(struct fixture *f, const struct mirai_principal *who, enum mirai_method_id id,
                       const void *params, void *result)
{
    struct answer answer = call_keyed(f, who, "", id, params);
    if (answer.status == 0 && result != NULL) {
        struct mirai_faults faults = {.count = 0};
        /* Only daemons may be told what is internal. */
        int err = mirai_message_decode(mirai_methods[id].result, answer.result,
                                       who->user_id == MIRAI_USER_SYSTEM ? MIRAI_INNER : MIRAI_EDGE,
                                       &f->arena, result, &faults);
        if (err != 0 && faults.count > 0) {
            print_error("%s: %s %s\n", mirai_methods[id].name, faults.list[0].path, faults.list[0].problem);
        }
        assert_int_equal(err, 0);
    }
    return answer.status;
}
#define CALL(f, who, method, params, result) call(f, who, MIRAI_METHOD_ID_##method, params, result)

/* ------------------------------------------------------------------ life */

static inline void fixture_start(struct fixture *f)
{
    char url[128];
    assert_int_equal(uv_loop_init(&f->loop), 0);
    f->runtime.loop = &f->loop;
    assert_int_equal(store_open(&f->store, f->dir), 0);
    assert_int_equal(store_start(&f->store, &f->runtime), 0);
    snprintf(url, sizeof(url), "ipc://%s/store.sock", f->dir);
    const struct mirai_rpc_server_options server = {
        .loop = &f->loop, .url = url, .methods = store_rpc_methods, .data = &f->store, .queue_max = 1000};
    f->server = mirai_rpc_server_new(&server);
    assert_non_null(f->server);
    const struct mirai_rpc_client_options client = {.loop = &f->loop,
                                                    .service = "knowledge-store",
                                                    .run_dir = f->dir,
                                                    .endpoints = url,
                                                    .outstanding_max = 1000,
                                                    .deadline_ms = 10000};
    f->client = mirai_rpc_client_new(&client);
}

static inline void fixture_stop(struct fixture *f)
{
    mirai_rpc_client_free(f->client);
    store_stop(&f->store);
    mirai_rpc_server_free(f->server);
    store_close(&f->store);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&f->loop), 0);
    memset(&f->store, 0, sizeof(f->store));
}

static inline void make_people(struct fixture *f)
{
    assert_int_equal(
        db_run_script(f->store.writer.db,
                      "INSERT OR IGNORE INTO users (id, name, name_key, role, created_at) VALUES"
                      " (1, 'admin', 'admin', 3, 0), (2, 'editor', 'editor', 2, 0),"
                      " (3, 'viewer', 'viewer', 1, 0), (4, 'member', 'member', 2, 0);"
                      "INSERT OR IGNORE INTO groups (id, name, created_at) VALUES (2, 'team', 0);"
                      "INSERT OR IGNORE INTO spaces (id, name, created_at) VALUES (2, 'secret', 0);"),
        0);
}

static inline int fixture_open(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    snprintf(f->dir, sizeof(f->dir), "/tmp/mirai-store-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    char run_dir[128];
    snprintf(run_dir, sizeof(run_dir), "MIRAI_RUN_DIR=%s", f->dir);
    char *environment[] = {run_dir, "MIRAI_PASSWORD_MEMORY_KIB=8192", "MIRAI_PASSWORD_PASSES=1", NULL};
    assert_int_equal(mirai_config_load(environment, stderr), 0);
    mirai_log_set_level(MIRAI_LOG_ERROR);
    /* Before the threads start, because then the connection is the writer's. */
    assert_int_equal(store_open(&f->store, f->dir), 0);
    make_people(f);
    store_close(&f->store);
    memset(&f->store, 0, sizeof(f->store));
    fixture_start(f);
    *state = f;
    return 0;
}

static inline int fixture_close(void **state)
{
    struct fixture *f = *state;
    char command[128];
    fixture_stop(f);
    snprintf(command, sizeof(command), "rm -rf '%s'", f->dir);
    int result = system(command);
    mirai_arena_free(&f->arena);
    free(f);
    return result;
}

/* As after a clean stop and a new start. */
static inline void restart(struct fixture *f)
{
    fixture_stop(f);
    fixture_start(f);
}

/* ------------------------------------------------------------------ sentences */

static inline struct mirai_article_create new_article(const char *title)
{
    struct mirai_article_create params = {0};
    mirai_set(article_create, &params, title, mirai_str(title));
    mirai_set(article_create, &params, type, MIRAI_ITSM_TYPE_INCIDENT);
    mirai_set(article_create, &params, body, MIRAI_STR("# Text\n\nbody\n"));
    return params;
}

static inline struct mirai_article create(struct fixture *f, const struct mirai_principal *who,
                                          const char *title)
{
    struct mirai_article_create params = new_article(title);
    struct mirai_article article;
    assert_int_equal(CALL(f, who, article_create, &params, &article), 0);
    return article;
}

static inline int get(struct fixture *f, const struct mirai_principal *who, int64_t id,
                      struct mirai_article *article)
{
    struct mirai_article_get params = {0};
    mirai_set(article_get, &params, id, id);
    return CALL(f, who, article_get, &params, article);
}

static inline int patch_title(struct fixture *f, const struct mirai_principal *who, int64_t id,
                              struct mirai_str etag, const char *title, struct mirai_article *article)
{
    struct mirai_article_patch params = {0};
    mirai_set(article_patch, &params, id, id);
    if (etag.len > 0) {
        mirai_set(article_patch, &params, if_match, etag);
    }
    mirai_set(article_patch, &params, title, mirai_str(title));
    return CALL(f, who, article_patch, &params, article);
}

static inline int delete_article(struct fixture *f, const struct mirai_principal *who, int64_t id)
{
    struct mirai_article_delete params = {0};
    mirai_set(article_delete, &params, id, id);
    mirai_set(article_delete, &params, if_match, MIRAI_STR("*"));
    return CALL(f, who, article_delete, &params, NULL);
}

/* Attach a file of this content; by the editor. */
static inline struct mirai_attachment attach(struct fixture *f, int64_t article, const char *data)
{
    struct mirai_upload_begin begin = {0};
    struct mirai_upload_begin_result upload;
    struct mirai_upload_chunk chunk = {0};
    struct mirai_upload_ref commit = {0};
    struct mirai_attachment attachment;
    mirai_set(upload_begin, &begin, id, article);
    mirai_set(upload_begin, &begin, name, MIRAI_STR("a.txt"));
    mirai_set(upload_begin, &begin, size, (int64_t)strlen(data));
    assert_int_equal(CALL(f, &editor, upload_begin, &begin, &upload), 0);
    mirai_set(upload_chunk, &chunk, upload, upload.upload);
    mirai_set(upload_chunk, &chunk, offset, 0);
    mirai_set(upload_chunk, &chunk, data, mirai_str(data));
    assert_int_equal(CALL(f, &editor, upload_chunk, &chunk, NULL), 0);
    mirai_set(upload_ref, &commit, upload, upload.upload);
    assert_int_equal(CALL(f, &editor, upload_commit, &commit, &attachment), 0);
    return attachment;
}

/* Until the store has nothing left to do, also what nobody waits for. */
static inline void settle(struct fixture *f)
{
    while (f->store.ops > 0) {
        uv_run(&f->loop, UV_RUN_ONCE);
    }
}

#define assert_text(s, expected)                                                                             \
    do {                                                                                                     \
        struct mirai_str text_ = (s);                                                                        \
        char *copy_ = mirai_str_dup(text_);                                                                  \
        assert_string_equal(copy_, expected);                                                                \
        free(copy_);                                                                                         \
    } while (0)

#endif
