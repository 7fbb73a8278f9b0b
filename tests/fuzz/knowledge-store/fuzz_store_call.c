/* Calls to a real store, as its clients could make them: the first byte chooses the method, the second who
 * asks and whether the rest is taken as the parameters' bytes or as the choices of which valid parameters are
 * made. The store answers each, never with an internal error, and what it answers keeps its declaration. */
#include "services/knowledge-store/methods.h"
#include "services/knowledge-store/store.h"

#include "libcommon/config.h"
#include "libcommon/log.h"
#include "libcommon/time.h"
#include "proto/methods.h"
#include "tests/fuzz/fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static uv_loop_t loop;
static struct store store;
static struct mirai_runtime runtime = {.loop = &loop};
static struct mirai_rpc_server *server;
static struct mirai_rpc_client *client;
static char directory[] = "/tmp/mirai-fuzz-store-XXXXXX";

/* ------------------------------------------------------------------ the store */

static void remove_directory(void)
{
    char command[64];
    snprintf(command, sizeof(command), "rm -rf %s", directory);
    expect(system(command) == 0);
}

static void open_store(void)
{
    char run_dir[64], url[64];
    expect(mkdtemp(directory) != NULL);
    atexit(remove_directory);
    snprintf(run_dir, sizeof(run_dir), "MIRAI_RUN_DIR=%s", directory);
    snprintf(url, sizeof(url), "ipc://%s/store.sock", directory);
    char *environment[] = {run_dir, "MIRAI_PASSWORD_MEMORY_KIB=8192", "MIRAI_PASSWORD_PASSES=1", NULL};
    expect(mirai_config_load(environment, stderr) == 0);
    mirai_log_set_level(MIRAI_LOG_FATAL);
    expect(store_open(&store, directory) == 0);
    expect(
        db_run_script(
            store.writer.db,
            "INSERT INTO users (id, name, name_key, role, created_at) VALUES"
            " (1, 'admin', 'admin', 3, 0), (2, 'editor', 'editor', 2, 0), (3, 'viewer', 'viewer', 1, 0);"
            /* Of the directory, so that its second factor needs no slow hash; the seal of that is of another key. */
            "UPDATE users SET source = 1, directory_name = 'CN=viewer' WHERE id = 3;"
            "INSERT INTO second_factors (user_id, secret, active, created_at) VALUES (3, zeroblob(60), 1, 0);"
            "INSERT INTO groups (id, name, created_at, directory) VALUES (2, 'team', 0, 'a');"
            "INSERT INTO spaces (id, name, created_at) VALUES (2, 'secret', 0);") == 0);
    store_close(&store);
    memset(&store, 0, sizeof(store));
    expect(uv_loop_init(&loop) == 0 && store_open(&store, directory) == 0 &&
           store_start(&store, &runtime) == 0);
    server = mirai_rpc_server_new(&(struct mirai_rpc_server_options){
        .loop = &loop, .url = url, .methods = store_rpc_methods, .data = &store, .queue_max = 100});
    client = mirai_rpc_client_new(&(struct mirai_rpc_client_options){.loop = &loop,
                                                                     .service = "knowledge-store",
                                                                     .run_dir = directory,
                                                                     .endpoints = url,
                                                                     .outstanding_max = 100,
                                                                     .deadline_ms = 8000});
    expect(server != NULL && client != NULL);
}

/* Not those that hash passwords on purpose slowly, copy the database or stop the process. */
static enum mirai_method_id method_of(uint8_t choice)
{
    static enum mirai_method_id ids[MIRAI_METHOD_ID_COUNT];
    static size_t count; /* 0: not yet made */
    bool made = count > 0;
    static const char *const left_out[] = {"auth.login",    "user.create",   "user.patch",
                                           "user.password", "store.restart", "snapshot.begin"};
    for (int i = 0; !made && i < MIRAI_METHOD_ID_COUNT; i++) {
        bool takes = strcmp(mirai_methods[i].service, "knowledge-store") == 0;
        for (size_t k = 0; k < sizeof(left_out) / sizeof(left_out[0]); k++) {
            takes = takes && strcmp(mirai_methods[i].name, left_out[k]) != 0;
        }
        if (takes) {
            ids[count++] = (enum mirai_method_id)i;
        }
    }
    return ids[choice % count];
}

/* ------------------------------------------------------------------ parameters made by choices */

struct choices {
    const uint8_t *data;
    size_t left;
    struct mirai_arena arena;
};

static unsigned take(struct choices *c)
{
    if (c->left == 0) {
        return 0;
    }
    c->left--;
    return *c->data++;
}

static int64_t choose_int(struct choices *c, const struct mirai_field *field)
{
    unsigned choice = take(c);
    int64_t value = choice < 250 ? (int64_t)(choice % 12) : choice < 253 ? field->min : field->max;
    return value < field->min ? field->min : value > field->max ? field->max : value;
}

static struct mirai_str choose_text(struct choices *c, int64_t min, int64_t max)
{
    static const char *const words[] = {
        "a",       "障害",       "*", "%",      "_",      "\"",      "'; DROP TABLE x; --",
        "e-1",     "..",         "/", "\n",     "😀",      "general", "A",
        "#12aBff", "text/plain", "0", "a@b.jp", "\x01\t", "-",       "\xe2\x80\xae",
        "article"};
    struct mirai_buf buf = {0};
    size_t points = 0;
    for (unsigned n = take(c) % 6; n > 0 || (int64_t)points<min; n -= n> 0) {
        const char *word = words[take(c) % (sizeof(words) / sizeof(words[0]))];
        size_t more = mirai_utf8_length(mirai_str(word));
        if ((int64_t)(points + more) > max) {
            word = "x";
            more = 1;
        }
        if ((int64_t)(points + more) > max) {
            break;
        }
        mirai_buf_append_str(&buf, mirai_str(word));
        points += more;
    }
    struct mirai_str text = mirai_arena_copy(&c->arena, mirai_buf_str(&buf));
    mirai_buf_free(&buf);
    return text;
}

static void choose_message(struct choices *c, const struct mirai_message *message, void *out);

static void choose_list(struct choices *c, const struct mirai_field *field, void *member)
{
    size_t count = take(c) % 4;
    count = (int64_t)count > field->max ? (size_t)field->max : count;
    if (field->kind == MIRAI_FIELD_STRS) {
        struct mirai_strs *strs = member;
        *strs = (struct mirai_strs){mirai_arena_alloc(&c->arena, count * sizeof(*strs->items)), count};
        for (size_t i = 0; i < count; i++) {
            strs->items[i] = choose_text(
                c, 1, (field->flags & MIRAI_LONG_ITEMS) != 0 ? MIRAI_LONG_ITEM_MAX : MIRAI_ITEM_MAX);
        }
    } else if (field->kind == MIRAI_FIELD_INTS) {
        struct mirai_ints *ints = member;
        *ints = (struct mirai_ints){mirai_arena_alloc(&c->arena, count * sizeof(*ints->items)), count};
        for (size_t i = 0; i < count; i++) {
            ints->items[i] = (int64_t)take(c) - 2;
        }
    } else {
        struct mirai_objects *objects = member;
        char *items = mirai_arena_alloc(&c->arena, count * field->message->size);
        *objects = (struct mirai_objects){items, count};
        for (size_t i = 0; i < count; i++) {
            choose_message(c, field->message, items + i * field->message->size);
        }
    }
}

static void choose_field(struct choices *c, const struct mirai_field *field, void *member)
{
    static const char *const days[] = {"2026-01-31", "0000-01-01", "9999-12-31"};
    unsigned count = 0;
    switch (field->kind) {
    case MIRAI_FIELD_BOOL:
        *(bool *)member = (take(c) & 1) != 0;
        break;
    case MIRAI_FIELD_INT:
        *(int64_t *)member = choose_int(c, field);
        break;
    case MIRAI_FIELD_DOUBLE:
        *(double *)member = take(c);
        break;
    case MIRAI_FIELD_STR:
    case MIRAI_FIELD_BIN:
        *(struct mirai_str *)member = choose_text(c, field->min, field->max);
        break;
    case MIRAI_FIELD_ENUM:
        while (field->enumeration->values[count] != NULL) {
            count++;
        }
        *(int *)member = (int)(take(c) % count);
        break;
    case MIRAI_FIELD_TIME:
        *(int64_t *)member = (int64_t)take(c) * INT64_C(1000000000);
        break;
    case MIRAI_FIELD_DATE:
        *(struct mirai_str *)member = mirai_str(days[take(c) % 3]);
        break;
    case MIRAI_FIELD_RAW:
        *(struct mirai_str *)member = MIRAI_STR("\xc0");
        break;
    case MIRAI_FIELD_OBJECT:
        choose_message(c, field->message, member);
        break;
    case MIRAI_FIELD_STRS:
    case MIRAI_FIELD_INTS:
    case MIRAI_FIELD_OBJECTS:
        choose_list(c, field, member);
        break;
    }
}

static void choose_message(struct choices *c, const struct mirai_message *message, void *out)
{
    struct mirai_message_head *head = out;
    for (size_t i = 0; i < message->count; i++) {
        const struct mirai_field *field = &message->fields[i];
        if ((field->flags & MIRAI_REQUIRED) != 0 || (take(c) & 1) != 0) {
            head->present |= UINT64_C(1) << i;
            choose_field(c, field, (char *)out + field->offset);
        }
    }
}

/* ------------------------------------------------------------------ a call */

struct answer {
    const struct mirai_method *method;
    enum mirai_strictness strictness; /* only daemons may be told what is internal */
    bool done;
};

static void on_answer(void *data, const struct mirai_rpc_reply *reply)
{
    struct answer *answer = data;
    answer->done = true;
    expect(reply->status != MIRAI_E_INTERNAL && reply->status != MIRAI_E_DEADLINE &&
           reply->status != MIRAI_E_UNAVAILABLE);
    struct mirai_buf json = {0};
    if (reply->status == 0) {
        struct mirai_arena arena = {0};
        void *result = mirai_arena_alloc(&arena, answer->method->result->size);
        expect(mirai_message_decode(answer->method->result, reply->result, answer->strictness, &arena, result,
                                    NULL) == 0);
        expect(mirai_mp_to_json(reply->result, &json) == 0);
        mirai_arena_free(&arena);
    } else if (reply->error.len > 0) {
        expect(mirai_mp_to_json(reply->error, &json) == 0);
    }
    mirai_buf_free(&json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const int64_t spaces[] = {1};
    static const struct mirai_principal people[] = {
        {.user_id = 1, .role = MIRAI_ROLE_ADMIN, .name = MIRAI_STR("admin")},
        {.user_id = 2,
         .role = MIRAI_ROLE_EDITOR,
         .name = MIRAI_STR("editor"),
         .spaces = spaces,
         .spaces_len = 1},
        {.user_id = 3,
         .role = MIRAI_ROLE_VIEWER,
         .name = MIRAI_STR("viewer"),
         .spaces = spaces,
         .spaces_len = 1},
        {.user_id = MIRAI_USER_SYSTEM, .role = MIRAI_ROLE_ADMIN, .name = MIRAI_STR("system")},
    };
    if (client == NULL) {
        open_store();
    }
    if (size < 2) {
        return 0;
    }
    enum mirai_method_id id = method_of(data[0]);
    bool daemon = people[data[1] & 3].user_id == MIRAI_USER_SYSTEM;
    struct answer answer = {.method = &mirai_methods[id], .strictness = daemon ? MIRAI_INNER : MIRAI_EDGE};
    struct mirai_context context = {.principal = people[data[1] & 3],
                                    .idempotency_key = (data[1] & 8) != 0 ? MIRAI_STR("key") : MIRAI_STR(""),
                                    .locale = (data[1] & 16) != 0 ? MIRAI_STR("en") : MIRAI_STR("ja")};
    if ((data[1] & 4) != 0) {
        struct mirai_str bytes = {(const char *)data + 2, size - 2};
        struct mirai_mp mp = mirai_mp(bytes);
        if (mirai_mp_skip(&mp) != 0 || mp.at != mp.end) {
            return 0; /* frames of other bytes are for fuzz_rpc_frame */
        }
        mirai_rpc_call(client, answer.method->name, answer.method->kind, &context, bytes, on_answer, &answer);
    } else {
        struct choices choices = {.data = data + 2, .left = size - 2};
        void *params = mirai_arena_alloc(&choices.arena, answer.method->params->size);
        choose_message(&choices, answer.method->params, params);
        mirai_method_call(client, id, &context, params, on_answer, &answer);
        mirai_arena_free(&choices.arena);
    }
    while (!answer.done) {
        uv_run(&loop, UV_RUN_ONCE);
    }
    return 0;
}
