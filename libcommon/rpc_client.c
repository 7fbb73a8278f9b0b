#include "libcommon/rpc_client_internal.h"
#include "libcommon/time.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#define DEADLINE_MAX_MS 3600000
#define BYTES_MAX       (64u << 20) /* of calls that have not ended */
#define KEEP_MAX        (8u << 10)  /* capacity that a free call keeps */
#define PROBE_EVERY_MS  50
#define TRACEPARENT_LEN 55

/* ------------------------------------------------------------------ work at the end of a loop turn */

static void count_result(struct mirai_rpc_client *client, int status)
{
    int index = status <= 0 && -status < MIRAI_ERROR_COUNT ? -status : MIRAI_ERROR_INDEX_INTERNAL;
    if (client->results[index] == NULL) {
        char labels[128];
        snprintf(labels, sizeof(labels), "service=\"%s\",result=\"%s\"", client->service,
                 mirai_error_slug(status));
        client->results[index] =
            mirai_metric_counter("mirai_rpc_client_calls_total", "Calls made, by result", labels);
    }
    mirai_counter_add(client->results[index], 1);
}

static void release(struct mirai_rpc_call *call)
{
    call->state = CALL_FREE;
    call->wire.len = 0;
    if (call->wire.cap > KEEP_MAX) {
        mirai_buf_free(&call->wire);
    }
    rpc_list_append(&call->client->free_calls, &call->link);
}

static void run_callback(struct mirai_rpc_call *call, const struct mirai_rpc_reply *reply)
{
    if (!call->quiet) {
        count_result(call->client, reply->status);
    }
    call->state = CALL_RUNNING;
    call->callback(call->data, reply);
    release(call);
}

static void run_ended(struct mirai_rpc_client *client)
{
    while (!rpc_list_empty(&client->ended)) {
        struct mirai_rpc_call *call = RPC_LIST_OWNER(client->ended.next, struct mirai_rpc_call, link);
        rpc_list_remove(&call->link);
        run_callback(call, &(struct mirai_rpc_reply){.status = call->status,
                                                     .uncertain = call->uncertain,
                                                     .unready = call->unready});
    }
}

/* All calls begun in one turn of the loop leave here, in one frame to each instance. An idle handle, not a
 * prepare handle: while it is active the loop does not block, so calls begun by any other handle's callback,
 * in any phase, leave at once. */
static void on_work(uv_idle_t *idle)
{
    struct mirai_rpc_client *client = idle->data;
    run_ended(client);
    while (!rpc_list_empty(&client->dirty)) {
        rpc_instance_flush(RPC_LIST_OWNER(client->dirty.next, struct rpc_instance, dirty));
    }
    if (rpc_list_empty(&client->ended)) {
        uv_idle_stop(idle);
    }
}

void rpc_client_want_work(struct mirai_rpc_client *client)
{
    if (!client->closing) {
        uv_idle_start(&client->work, on_work);
    }
}

/* ------------------------------------------------------------------ the life of a call */

void rpc_client_detach(struct mirai_rpc_call *call)
{
    struct rpc_instance *instance = call->instance;
    rpc_list_remove(&call->link);
    if (call->state == CALL_SENT) {
        rpc_calls_forget(&call->client->calls, call);
    }
    call->state = CALL_WAITING; /* for whoever routes or ends it: detaching again does no harm */
    call->instance = NULL;
    if (instance != NULL && --instance->outstanding == 0 && instance->retired) {
        rpc_instance_close(instance);
    }
}

/* Out of everything: only its callback is left. */
static void settle(struct mirai_rpc_call *call)
{
    struct mirai_rpc_client *client = call->client;
    rpc_client_detach(call);
    if (call->heap_at != 0) {
        rpc_calls_unschedule(&client->calls, call);
        client->outstanding--;
        client->outstanding_bytes -= call->wire.len;
        mirai_gauge_add(client->outstanding_gauge, -1);
    }
}

void rpc_client_end(struct mirai_rpc_call *call, int status)
{
    call->uncertain = call->uncertain || (call->state == CALL_SENT && !call->retriable);
    settle(call);
    call->state = CALL_ENDED;
    call->status = status;
    rpc_list_append(&call->client->ended, &call->link);
    rpc_client_want_work(call->client);
}

void rpc_client_complete(struct mirai_rpc_call *call, const struct mirai_rpc_reply *reply)
{
    settle(call);
    run_callback(call, reply);
}

void rpc_client_route(struct mirai_rpc_call *call)
{
    struct rpc_instance *instance = call->pinned != NULL ? call->pinned : rpc_instance_pick(call->client);
    if (instance != NULL) {
        rpc_instance_enqueue(instance, call);
    } else {
        call->state = CALL_WAITING;
        rpc_list_append(&call->client->waiting, &call->link);
    }
}

void rpc_client_wake_waiting(struct mirai_rpc_client *client)
{
    struct rpc_list waiting;
    rpc_list_init(&waiting);
    rpc_list_splice(&waiting, &client->waiting);
    while (!rpc_list_empty(&waiting)) {
        struct mirai_rpc_call *call = RPC_LIST_OWNER(waiting.next, struct mirai_rpc_call, link);
        rpc_list_remove(&call->link);
        rpc_client_route(call);
    }
}

void mirai_rpc_cancel(struct mirai_rpc_call *call)
{
    switch (call->state) {
    case CALL_WAITING:
    case CALL_QUEUED:
    case CALL_SENT:
        settle(call);
        break;
    case CALL_ENDED:
        rpc_list_remove(&call->link);
        break;
    case CALL_FREE:
    case CALL_RUNNING:
        return;
    }
    count_result(call->client, MIRAI_E_CANCELLED);
    release(call);
}

/* ------------------------------------------------------------------ deadlines */

static void on_expiry(uv_timer_t *timer);

static void arm_expiry(struct mirai_rpc_client *client, uint64_t now_ms)
{
    const struct mirai_rpc_call *first = rpc_calls_first(&client->calls);
    if (first == NULL || client->closing ||
        (client->expiry_at != 0 && client->expiry_at <= first->deadline_ms)) {
        return; /* an early expiry finds nothing and looks again: cheaper than moving the timer with each call
                 */
    }
    uint64_t left = first->deadline_ms > now_ms ? first->deadline_ms - now_ms : 0;
    client->expiry_at = first->deadline_ms;
    uv_timer_start(&client->expiry, on_expiry, left, 0);
}

static void expire(struct mirai_rpc_call *call)
{
    struct rpc_instance *instance = call->instance;
    if (call->state == CALL_SENT) {
        bool quiet = call->quiet;
        rpc_client_end(call, MIRAI_E_DEADLINE);
        if (!quiet) {
            rpc_instance_strike(instance);
        }
    } else {
        call->unready = rpc_instance_all_unready(call->client);
        bool late = mirai_rpc_client_connected(call->client) && !call->unready;
        rpc_client_end(call, late ? MIRAI_E_DEADLINE : MIRAI_E_UNAVAILABLE);
    }
}

static void on_expiry(uv_timer_t *timer)
{
    struct mirai_rpc_client *client = timer->data;
    uint64_t now_ms = mirai_monotonic_ms();
    struct mirai_rpc_call *call;
    client->expiry_at = 0;
    uv_update_time(client->loop); /* the next timeout counts from here */
    while ((call = rpc_calls_first(&client->calls)) != NULL && call->deadline_ms <= now_ms) {
        expire(call);
    }
    run_ended(client);
    arm_expiry(client, now_ms);
}

static void on_probe(uv_timer_t *timer)
{
    rpc_instance_probe_all(timer->data);
}

void rpc_client_want_probes(struct mirai_rpc_client *client)
{
    if (!client->closing && !uv_is_active((uv_handle_t *)&client->probe)) {
        uv_timer_start(&client->probe, on_probe, 0, PROBE_EVERY_MS);
    }
}

/* ------------------------------------------------------------------ calling */

/* xorshift128+ (Vigna 2014): trace ids must differ, not be secret. */
static uint64_t next_random(struct mirai_rpc_client *client)
{
    uint64_t a = client->random[0];
    uint64_t b = client->random[1];
    client->random[0] = b;
    a ^= a << 23;
    client->random[1] = a ^ b ^ (a >> 17) ^ (b >> 26);
    return client->random[1] + b;
}

/* https://www.w3.org/TR/trace-context/#traceparent-header */
static struct mirai_str make_traceparent(struct mirai_rpc_client *client, char out[TRACEPARENT_LEN + 2])
{
    uint64_t ids[3] = {next_random(client), next_random(client), next_random(client) | 1};
    memcpy(out, "00-", 3);
    mirai_hex(out + 3, ids, 16);
    out[35] = '-';
    mirai_hex(out + 36, &ids[2], 8);
    memcpy(out + 52, "-01", 3);
    return (struct mirai_str){out, TRACEPARENT_LEN};
}

static struct mirai_rpc_call *take_call(struct mirai_rpc_client *client)
{
    struct mirai_rpc_call *call;
    if (rpc_list_empty(&client->free_calls)) {
        call = mirai_alloc(sizeof(*call));
        rpc_list_init(&call->link);
        return call;
    }
    call = RPC_LIST_OWNER(client->free_calls.prev, struct mirai_rpc_call, link); /* the warmest */
    rpc_list_remove(&call->link);
    struct mirai_buf wire = call->wire;
    *call = (struct mirai_rpc_call){.wire = wire};
    rpc_list_init(&call->link);
    return call;
}

/* Why the call cannot even be tried, or 0. */
static int admission(const struct mirai_rpc_client *client, const struct mirai_rpc_call *call,
                     uint64_t now_ms)
{
    if (client->closing) {
        return MIRAI_E_CANCELLED;
    }
    if (call->wire.len > MIRAI_RPC_FRAME_MAX) {
        return MIRAI_E_TOO_LARGE;
    }
    if (call->deadline_ms <= now_ms) {
        return MIRAI_E_DEADLINE;
    }
    if (call->quiet) {
        return 0;
    }
    bool full = client->outstanding >= client->outstanding_max ||
                (client->outstanding > 0 && client->outstanding_bytes + call->wire.len > BYTES_MAX);
    return full ? MIRAI_E_OVERLOADED : 0;
}

static struct mirai_rpc_call *prepare(struct mirai_rpc_client *client, const char *method,
                                      const struct mirai_context *context, struct mirai_str params,
                                      uint64_t now_ms)
{
    char traceparent[TRACEPARENT_LEN + 2];
    struct mirai_context effective = context != NULL ? *context : (struct mirai_context){0};
    struct mirai_rpc_call *call = take_call(client);
    if (effective.deadline_ms == 0) {
        effective.deadline_ms = now_ms + client->default_ms;
    } else if (effective.deadline_ms > now_ms + DEADLINE_MAX_MS) {
        effective.deadline_ms = now_ms + DEADLINE_MAX_MS;
    }
    if (effective.traceparent.len == 0) {
        effective.traceparent = make_traceparent(client, traceparent);
    }
    call->client = client;
    call->deadline_ms = effective.deadline_ms;
    call->head = rpc_request_write(&call->wire, mirai_str(method), &effective, now_ms, params);
    return call;
}

static void start(struct mirai_rpc_call *call, uint64_t now_ms)
{
    struct mirai_rpc_client *client = call->client;
    int err = admission(client, call, now_ms);
    if (err != 0) {
        rpc_client_end(call, err);
        return;
    }
    client->outstanding++;
    client->outstanding_bytes += call->wire.len;
    mirai_gauge_add(client->outstanding_gauge, 1);
    rpc_calls_schedule(&client->calls, call);
    arm_expiry(client, now_ms);
    rpc_client_route(call);
}

struct mirai_rpc_call *mirai_rpc_call(struct mirai_rpc_client *client, const char *method,
                                      enum mirai_rpc_kind kind, const struct mirai_context *context,
                                      struct mirai_str params, mirai_rpc_cb callback, void *data)
{
    uint64_t now_ms = mirai_monotonic_ms();
    struct mirai_rpc_call *call = prepare(client, method, context, params, now_ms);
    bool keyed = context != NULL && context->idempotency_key.len > 0;
    call->retriable = kind == MIRAI_RPC_READ || (kind == MIRAI_RPC_WRITE && keyed);
    call->callback = callback;
    call->data = data;
    start(call, now_ms);
    return call;
}

struct mirai_rpc_call *rpc_client_call_pinned(struct rpc_instance *instance, const char *method,
                                              const struct mirai_context *context, struct mirai_str params,
                                              mirai_rpc_cb callback, void *data)
{
    uint64_t now_ms = mirai_monotonic_ms();
    struct mirai_rpc_call *call = prepare(instance->client, method, context, params, now_ms);
    call->pinned = instance;
    call->quiet = true;
    call->callback = callback;
    call->data = data;
    start(call, now_ms);
    return call;
}

/* ------------------------------------------------------------------ life */

static void on_appeared(void *data, const struct rpc_endpoint *endpoint)
{
    struct mirai_rpc_client *client = data;
    if (!client->closing) {
        rpc_instance_add(client, endpoint);
    }
}

static void on_vanished(void *data, const char *url)
{
    rpc_instance_retire(data, url);
}

static void on_discovery_closed(void *data)
{
    rpc_client_part_closed(data);
}

static void on_handle_closed(uv_handle_t *handle)
{
    rpc_client_part_closed(handle->data);
}

struct mirai_rpc_client *mirai_rpc_client_new(const struct mirai_rpc_client_options *options)
{
    struct mirai_rpc_client *client = mirai_alloc(sizeof(*client));
    char labels[128];
    client->loop = options->loop;
    client->service = mirai_str_dup(mirai_str(options->service));
    client->security = options->security;
    client->outstanding_max = options->outstanding_max;
    client->default_ms = options->deadline_ms;
    rpc_list_init(&client->instances);
    rpc_list_init(&client->dirty);
    rpc_list_init(&client->waiting);
    rpc_list_init(&client->ended);
    rpc_list_init(&client->free_calls);
    if (getrandom(client->random, sizeof(client->random), 0) != sizeof(client->random)) {
        client->random[0] = mirai_monotonic_us();
    }
    client->random[1] |= 1; /* never all zero */
    snprintf(labels, sizeof(labels), "service=\"%s\"", client->service);
    rpc_frame_metrics_init(&client->metrics, "client");
    client->outstanding_gauge = mirai_metric_gauge("mirai_rpc_client_outstanding", "Calls in flight", labels);
    client->ejections =
        mirai_metric_counter("mirai_rpc_client_ejections_total", "Instances that stopped answering", labels);
    uv_idle_init(client->loop, &client->work);
    uv_timer_init(client->loop, &client->expiry);
    uv_timer_init(client->loop, &client->probe);
    client->work.data = client;
    client->expiry.data = client;
    client->probe.data = client;
    client->open_parts = 4; /* these handles and the discovery */
    client->discovery = rpc_discovery_new(&(struct rpc_discovery_options){
        .loop = client->loop,
        .service = client->service,
        .run_dir = options->run_dir != NULL ? options->run_dir : "",
        .suffix = ".sock",
        .endpoints = options->endpoints,
        .appeared = on_appeared,
        .vanished = on_vanished,
        .closed = on_discovery_closed,
        .data = client,
    });
    return client;
}

static void cancel_list(struct rpc_list *list)
{
    while (!rpc_list_empty(list)) {
        rpc_client_end(RPC_LIST_OWNER(list->next, struct mirai_rpc_call, link), MIRAI_E_CANCELLED);
    }
}

void mirai_rpc_client_free(struct mirai_rpc_client *client)
{
    client->closing = true;
    cancel_list(&client->waiting);
    struct rpc_list *node = client->instances.next;
    while (node != &client->instances) {
        struct rpc_instance *instance = RPC_LIST_OWNER(node, struct rpc_instance, link);
        node = node->next;
        cancel_list(&instance->queued);
        cancel_list(&instance->sent);
        rpc_instance_close(instance);
    }
    run_ended(client);
    rpc_discovery_free(client->discovery);
    uv_close((uv_handle_t *)&client->work, on_handle_closed);
    uv_close((uv_handle_t *)&client->expiry, on_handle_closed);
    uv_close((uv_handle_t *)&client->probe, on_handle_closed);
}

void rpc_client_part_closed(struct mirai_rpc_client *client)
{
    if (--client->open_parts > 0) {
        return;
    }
    run_ended(client); /* calls begun while it was closing */
    while (!rpc_list_empty(&client->free_calls)) {
        struct mirai_rpc_call *call = RPC_LIST_OWNER(client->free_calls.next, struct mirai_rpc_call, link);
        rpc_list_remove(&call->link);
        mirai_buf_free(&call->wire);
        free(call);
    }
    rpc_calls_free(&client->calls);
    free(client->service);
    free(client);
}
