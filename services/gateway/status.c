#include "libcommon/time.h"
#include "services/gateway/gateway.h"

#include <stdlib.h>

void handle_health(struct exchange *exchange)
{
    response_json_text(exchange, 200, MIRAI_STR("{\"status\":\"ok\"}"));
}

/* ------------------------------------------------------------------ /ready */

/* A daemon that has not answered by then is not ready. */
#define READY_MS 900

static const struct needed {
    enum upstream upstream;
    const char *name;
} needed[] = {{UPSTREAM_STORE, "knowledge-store"}, {UPSTREAM_SEARCH, "search-index"}};
#define NEEDED (sizeof(needed) / sizeof(needed[0]))

/* In the request's pool. */
struct ready {
    struct exchange *exchange;
    size_t left;
    struct ready_call {
        struct ready *ready;
        struct mirai_rpc_call *call;
        char state[40];
    } calls[NEEDED];
};

static void abandon_ready(struct exchange *exchange)
{
    struct ready *ready = exchange->state;
    for (size_t i = 0; i < NEEDED; i++) {
        if (ready->calls[i].call != NULL) {
            mirai_rpc_cancel(ready->calls[i].call);
        }
    }
}

static void answer_ready(struct ready *ready)
{
    struct mirai_buf *json = &ready->exchange->loop->json;
    bool ok = !atomic_load(&ready->exchange->loop->drain);
    for (size_t i = 0; i < NEEDED; i++) {
        ok = ok && strcmp(ready->calls[i].state, "ok") == 0;
    }
    json->len = 0;
    mirai_buf_printf(json, "{\"status\":\"%s\"", ok ? "ok" : "unavailable");
    for (size_t i = 0; i < NEEDED; i++) {
        mirai_buf_printf(json, ",\"%s\":", needed[i].name);
        mirai_buf_append_json(json, mirai_str(ready->calls[i].state));
    }
    mirai_buf_append_char(json, '}');
    if (!ok) {
        response_header(ready->exchange, H2O_TOKEN_RETRY_AFTER, MIRAI_STR("1"));
    }
    response_json_text(ready->exchange, ok ? 200 : 503, mirai_buf_str(json));
}

static void on_health(void *data, const struct mirai_rpc_reply *reply)
{
    struct ready_call *one = data;
    struct mirai_str state = response_text_of(reply->result, "status");
    one->call = NULL;
    if (reply->status != 0) {
        state = mirai_str(mirai_error_slug(reply->status));
    }
    snprintf(one->state, sizeof(one->state), "%.*s", MIRAI_STR_ARG(state));
    if (--one->ready->left == 0) {
        answer_ready(one->ready);
    }
}

void handle_ready(struct exchange *exchange)
{
    struct mirai_context context = mirai_context_system();
    struct ready *ready = h2o_mem_alloc_pool(&exchange->req->pool, sizeof(*ready));
    *ready = (struct ready){.exchange = exchange, .left = NEEDED};
    exchange->state = ready;
    exchange->abandon = abandon_ready;
    context.traceparent = exchange->context.traceparent;
    context.deadline_ms = mirai_monotonic_ms() + READY_MS;
    for (size_t i = 0; i < NEEDED; i++) {
        ready->calls[i].ready = ready;
        ready->calls[i].call =
            mirai_rpc_call(exchange->loop->clients[needed[i].upstream], "service.health", MIRAI_RPC_READ,
                           &context, (struct mirai_str){0}, on_health, &ready->calls[i]);
    }
}

/* ------------------------------------------------------------------ /api/v1/status */

/* Calls to all instances cannot be taken back: this outlives a request that ends early. */
struct gather {
    struct exchange *exchange; /* NULL: the client is gone */
    struct mirai_buf daemons;
    size_t count;
    size_t left; /* daemons that have not all answered */
    struct gather_service {
        struct gather *gather;
        const char *name;
    } services[UPSTREAM_COUNT];
};

static const char *const service_names[UPSTREAM_COUNT] = {
    [UPSTREAM_STORE] = "knowledge-store", [UPSTREAM_SEARCH] = "search-index", [UPSTREAM_BACKUP] = "backup",
    [UPSTREAM_METRICS] = "metrics",       [UPSTREAM_GATEWAY] = "gateway",
};

static void add_daemon(struct gather *gather, const char *service, struct mirai_str instance,
                       struct mirai_str state, struct mirai_str details)
{
    struct mirai_buf *out = &gather->daemons;
    mirai_mp_write_map(out, details.len > 0 ? 4 : 3);
    mirai_mp_write_cstr(out, "service");
    mirai_mp_write_cstr(out, service);
    mirai_mp_write_cstr(out, "instance");
    mirai_mp_write_str(out, instance);
    mirai_mp_write_cstr(out, "state");
    mirai_mp_write_str(out, state);
    if (details.len > 0) {
        mirai_mp_write_cstr(out, "details");
        mirai_buf_append_str(out, details);
    }
    gather->count++;
}

/* Instances that are known but away, or none at all. */
static void add_missing(struct gather *gather, const char *service, const struct mirai_rpc_client *client)
{
    struct mirai_rpc_instance_info rows[32];
    size_t known = mirai_rpc_client_instances(client, rows, 32);
    for (size_t i = 0; i < known && i < 32; i++) {
        if (!rows[i].connected) {
            add_daemon(gather, service, mirai_str(rows[i].name), MIRAI_STR("unavailable"),
                       (struct mirai_str){0});
        }
    }
    if (known == 0) {
        add_daemon(gather, service, MIRAI_STR("-"), MIRAI_STR("unavailable"), (struct mirai_str){0});
    }
}

static void answer_status(struct gather *gather)
{
    struct mirai_buf result = {0};
    mirai_mp_write_map(&result, 2);
    mirai_mp_write_cstr(&result, "version");
    mirai_mp_write_cstr(&result, mirai_version());
    mirai_mp_write_cstr(&result, "daemons");
    mirai_mp_write_array(&result, gather->count);
    mirai_buf_append_str(&result, mirai_buf_str(&gather->daemons));
    gather->exchange->abandon = NULL;
    response_json(gather->exchange, 200, mirai_buf_str(&result), RESPONSE_NO_STORE);
    mirai_buf_free(&result);
}

static void on_status(void *data, struct mirai_str instance, const struct mirai_rpc_reply *reply)
{
    struct gather_service *one = data;
    struct gather *gather = one->gather;
    if (instance.len > 0) {
        struct mirai_str state = reply->status == 0 ? response_text_of(reply->result, "status")
                                                    : mirai_str(mirai_error_slug(reply->status));
        add_daemon(gather, one->name, instance, state,
                   reply->status == 0 ? reply->result : (struct mirai_str){0});
        return;
    }
    if (--gather->left > 0) {
        return;
    }
    if (gather->exchange != NULL) {
        answer_status(gather);
    }
    mirai_buf_free(&gather->daemons);
    free(gather);
}

static void abandon_status(struct exchange *exchange)
{
    struct gather *gather = exchange->state;
    gather->exchange = NULL;
}

void handle_status(struct exchange *exchange)
{
    struct mirai_context context = mirai_context_system();
    struct gather *gather = mirai_alloc(sizeof(*gather));
    gather->exchange = exchange;
    gather->left = UPSTREAM_COUNT;
    exchange->state = gather;
    exchange->abandon = abandon_status;
    context.traceparent = exchange->context.traceparent;
    context.deadline_ms = exchange->context.deadline_ms;
    for (enum upstream upstream = 0; upstream < UPSTREAM_COUNT; upstream++) {
        struct mirai_rpc_client *client = exchange->loop->clients[upstream];
        gather->services[upstream] = (struct gather_service){gather, service_names[upstream]};
        add_missing(gather, service_names[upstream], client);
        mirai_rpc_call_each(client, "service.status", &context, (struct mirai_str){0}, on_status,
                            &gather->services[upstream]);
    }
}
