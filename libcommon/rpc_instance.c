#include "libcommon/log.h"
#include "libcommon/rpc_client_internal.h"
#include "libcommon/time.h"

#include <stdlib.h>

#define STRIKES_MAX 3           /* deadlines in a row without any answer: the instance is ejected */
#define PROBE_MS    1000        /* deadline of a probe */
#define LOSSES_MAX  5           /* a call that loses so many pipes is taken for the cause */
#define RAW_HEADER  0x80000001u /* any id with the high bit; our own message ids do the matching */

/* ------------------------------------------------------------------ balancing */

/* Fewest outstanding calls by weight; but an instance that is owed a whole call by its weight goes first as
 * long as it holds no more than its share, so that a canary of 10 % gets its calls on a quiet system too. */
struct rpc_instance *rpc_instance_pick(struct mirai_rpc_client *client)
{
    struct rpc_instance *best = NULL;
    struct rpc_instance *owed = NULL;
    int64_t weights = 0;
    uint64_t outstanding = 0;
    struct rpc_list *node;
    for (node = client->instances.next; node != &client->instances; node = node->next) {
        struct rpc_instance *it = RPC_LIST_OWNER(node, struct rpc_instance, link);
        if (rpc_instance_usable(it)) {
            weights += it->endpoint.weight;
            outstanding += it->outstanding;
        }
    }
    for (node = client->instances.next; node != &client->instances; node = node->next) {
        struct rpc_instance *it = RPC_LIST_OWNER(node, struct rpc_instance, link);
        if (!rpc_instance_usable(it)) {
            continue;
        }
        it->credit += it->endpoint.weight;
        if (it->credit > 2 * weights) {
            it->credit = 2 * weights;
        }
        if (it->credit >= weights &&
            it->outstanding * (uint64_t)weights <= outstanding * it->endpoint.weight &&
            (owed == NULL || it->credit > owed->credit)) {
            owed = it;
        }
        if (best == NULL || (it->outstanding + 1) * (uint64_t)best->endpoint.weight <
                                (best->outstanding + 1) * (uint64_t)it->endpoint.weight) {
            best = it;
        }
    }
    if (owed != NULL) {
        best = owed;
    }
    if (best != NULL) {
        best->credit -= weights;
        if (best->credit < -2 * weights) {
            best->credit = -2 * weights;
        }
    }
    return best;
}

/* ------------------------------------------------------------------ sending */

static void mark_dirty(struct rpc_instance *instance)
{
    if (rpc_list_empty(&instance->dirty)) {
        rpc_list_append(&instance->client->dirty, &instance->dirty);
    }
    rpc_client_want_work(instance->client);
}

void rpc_instance_enqueue(struct rpc_instance *instance, struct mirai_rpc_call *call)
{
    call->instance = instance;
    call->state = CALL_QUEUED;
    rpc_list_append(&instance->queued, &call->link);
    instance->outstanding++;
    mark_dirty(instance);
}

/* The longest run of queued calls that fits one frame; calls whose time is over end instead of leaving. */
static size_t frame_size(struct rpc_instance *instance, uint64_t now_ms, size_t *count)
{
    size_t size = 0;
    struct rpc_list *node = instance->queued.next;
    *count = 0;
    while (node != &instance->queued) {
        struct mirai_rpc_call *call = RPC_LIST_OWNER(node, struct mirai_rpc_call, link);
        node = node->next;
        if (call->deadline_ms <= now_ms) {
            rpc_client_end(call, MIRAI_E_DEADLINE);
            continue;
        }
        if (*count > 0 && size + call->wire.len > RPC_FRAME_TARGET) {
            break;
        }
        size += call->wire.len;
        (*count)++;
    }
    return size;
}

static void append_call(struct rpc_instance *instance, nng_msg *msg, struct mirai_rpc_call *call,
                        uint64_t now_ms)
{
    rpc_calls_assign(&instance->client->calls, call);
    call->state = CALL_SENT;
    rpc_list_remove(&call->link);
    rpc_list_append(&instance->sent, &call->link);
    rpc_request_stamp(&call->wire, call->head, call->msgid, (uint32_t)(call->deadline_ms - now_ms));
    nng_msg_append(msg, call->wire.data, call->wire.len);
}

/* nng did not take the frame after all: as if nothing had left. */
static void take_back(struct rpc_instance *instance, size_t count)
{
    for (; count > 0; count--) {
        struct mirai_rpc_call *call = RPC_LIST_OWNER(instance->sent.prev, struct mirai_rpc_call, link);
        rpc_calls_forget(&instance->client->calls, call);
        call->state = CALL_QUEUED;
        rpc_list_remove(&call->link);
        call->link.prev = &instance->queued; /* to the front */
        call->link.next = instance->queued.next;
        instance->queued.next->prev = &call->link;
        instance->queued.next = &call->link;
    }
}

static bool acknowledgement_due(const struct rpc_instance *instance)
{
    return instance->received - instance->acknowledged >= RPC_ACK_EVERY;
}

/* One frame: an acknowledgement, then calls. False when nng does not take it now. */
static bool send_frame(struct rpc_instance *instance)
{
    uint64_t now_ms = mirai_monotonic_ms();
    unsigned char ack[RPC_ACK_SIZE];
    nng_msg *msg;
    size_t count;
    size_t size = frame_size(instance, now_ms, &count);
    if (count == 0 && !acknowledgement_due(instance)) {
        return true;
    }
    if (nng_msg_alloc(&msg, 0) != 0 || nng_msg_reserve(msg, size + sizeof(ack)) != 0) {
        abort(); /* as every allocation */
    }
    nng_msg_header_append_u32(msg, RAW_HEADER);
    rpc_ack_write(ack, instance->received);
    nng_msg_append(msg, ack, sizeof(ack));
    for (size_t i = 0; i < count; i++) {
        append_call(instance, msg, RPC_LIST_OWNER(instance->queued.next, struct mirai_rpc_call, link),
                    now_ms);
    }
    if (rpc_socket_send(&instance->socket, msg) != 0) {
        nng_msg_free(msg);
        take_back(instance, count);
        return false;
    }
    instance->acknowledged = instance->received;
    mirai_counter_add(instance->client->metrics.frames_sent, 1);
    mirai_counter_add(instance->client->metrics.messages_sent, count);
    return true;
}

void rpc_instance_flush(struct rpc_instance *instance)
{
    rpc_list_remove(&instance->dirty);
    while (instance->pipe != 0 && (!rpc_list_empty(&instance->queued) || acknowledgement_due(instance))) {
        if (!rpc_socket_ready(&instance->socket) || !send_frame(instance)) {
            return; /* writable comes */
        }
    }
}

/* ------------------------------------------------------------------ health */

void rpc_instance_move_calls(struct rpc_instance *instance, bool lost)
{
    struct rpc_list moved;
    rpc_list_init(&moved);
    rpc_list_splice(&moved, &instance->sent);
    rpc_list_splice(&moved, &instance->queued);
    rpc_list_remove(&instance->dirty);
    while (!rpc_list_empty(&moved)) {
        struct mirai_rpc_call *call = RPC_LIST_OWNER(moved.next, struct mirai_rpc_call, link);
        bool sent = call->state == CALL_SENT;
        if (sent && !lost &&
            (!call->retriable || call->pinned != NULL || rpc_instance_pick(instance->client) == NULL)) {
            rpc_list_remove(&call->link);
            rpc_list_append(&instance->sent, &call->link);
            continue;
        }
        if (call->pinned != NULL && !lost) {
            rpc_list_remove(&call->link);
            rpc_list_append(&instance->queued, &call->link);
            continue;
        }
        rpc_client_detach(call);
        call->uncertain = sent && !call->retriable;
        call->losses += sent && lost;
        if (call->pinned != NULL || (sent && (!call->retriable || call->losses >= LOSSES_MAX))) {
            rpc_client_end(call, MIRAI_E_UNAVAILABLE);
        } else {
            rpc_client_route(call);
        }
    }
    if (!rpc_list_empty(&instance->queued)) {
        mark_dirty(instance);
    }
}

static void eject(struct rpc_instance *instance)
{
    struct mirai_rpc_client *client = instance->client;
    mirai_log(WARNING, "instance does not answer: ejected", MIRAI_LOG_Z("upstream", client->service),
              MIRAI_LOG_Z("upstream_instance", instance->endpoint.name));
    instance->ejected = true;
    mirai_counter_add(client->ejections, 1);
    rpc_instance_move_calls(instance, false);
    rpc_client_want_probes(client);
}

void rpc_instance_strike(struct rpc_instance *instance)
{
    if (++instance->strikes >= STRIKES_MAX && rpc_instance_usable(instance)) {
        eject(instance);
    }
}

/* Any frame that comes back un-ejects: see on_message. Being ready takes an answer that says so. */
static void on_probe_reply(void *data, const struct mirai_rpc_reply *reply)
{
    struct rpc_instance *instance = data; /* is there as long as it answers */
    struct mirai_str raw, status = {0};
    if (reply->status != 0) {
        return;
    }
    instance->probe_until_ms = 0;
    if (!instance->unready || mirai_mp_find(reply->result, "status", &raw) != 0) {
        return;
    }
    struct mirai_mp mp = mirai_mp(raw);
    if (mirai_mp_read_str(&mp, &status) == 0 && mirai_str_eq(status, mirai_str(mirai_error_slug(0)))) {
        instance->unready = false;
        mirai_log(INFO, "instance is ready", MIRAI_LOG_Z("upstream", instance->client->service),
                  MIRAI_LOG_Z("upstream_instance", instance->endpoint.name));
        rpc_client_wake_waiting(instance->client);
    }
}

void rpc_instance_probe_all(struct mirai_rpc_client *client)
{
    uint64_t now_ms = mirai_monotonic_ms();
    bool more = false;
    for (struct rpc_list *node = client->instances.next; node != &client->instances; node = node->next) {
        struct rpc_instance *instance = RPC_LIST_OWNER(node, struct rpc_instance, link);
        if (!instance->ejected && !instance->unready) {
            continue;
        }
        more = true;
        if (instance->probe_until_ms <= now_ms) {
            struct mirai_context context = {.deadline_ms = now_ms + PROBE_MS, .principal = {.user_id = -1}};
            instance->probe_until_ms = context.deadline_ms;
            rpc_client_call_pinned(instance, "service.health", &context, (struct mirai_str){0},
                                   on_probe_reply, instance);
        }
    }
    if (!more) {
        uv_timer_stop(&client->probe);
    }
}

bool rpc_instance_all_unready(const struct mirai_rpc_client *client)
{
    bool unready = false;
    const struct rpc_list *node;
    for (node = client->instances.next; node != &client->instances; node = node->next) {
        const struct rpc_instance *it = RPC_LIST_OWNER(node, struct rpc_instance, link);
        if (rpc_instance_usable(it)) {
            return false;
        }
        unready = unready || (it->pipe != 0 && it->unready);
    }
    return unready;
}

static void answered(struct rpc_instance *instance)
{
    instance->strikes = 0;
    if (instance->ejected) {
        instance->ejected = false;
        instance->probe_until_ms = 0;
        mirai_log(INFO, "instance answers again", MIRAI_LOG_Z("upstream", instance->client->service),
                  MIRAI_LOG_Z("upstream_instance", instance->endpoint.name));
        rpc_client_wake_waiting(instance->client);
    }
}

/* ------------------------------------------------------------------ receiving */

static bool has_flag(struct mirai_str error, enum rpc_elsewhere flag)
{
    struct mirai_str raw;
    return mirai_mp_find(error, rpc_elsewhere_names[flag], &raw) == 0 && raw.len == 1 &&
           (unsigned char)raw.data[0] == 0xc3;
}

/* What the error map says: the status, and why the instance did not look at the call, if it did not. */
static int read_error(struct mirai_str error, enum rpc_elsewhere *elsewhere)
{
    struct mirai_str raw;
    struct mirai_str code = {0};
    *elsewhere = RPC_HERE;
    if (mirai_mp_find(error, "code", &raw) == 0) {
        struct mirai_mp mp = mirai_mp(raw);
        if (mirai_mp_read_str(&mp, &code) != 0) {
            code.len = 0;
        }
    }
    int status = mirai_error_from_slug(code.data != NULL ? code.data : "", code.len);
    if (status == 0 || status == MIRAI_E_CANCELLED) {
        status = MIRAI_E_INTERNAL;
    }
    if (status == MIRAI_E_UNAVAILABLE) {
        *elsewhere = has_flag(error, RPC_DRAINING)  ? RPC_DRAINING
                     : has_flag(error, RPC_UNREADY) ? RPC_UNREADY
                                                    : RPC_HERE;
    }
    return status;
}

/* Whether the call goes on to another instance, or waits for one. */
static bool ask_elsewhere(struct rpc_instance *instance, struct mirai_rpc_call *call,
                          enum rpc_elsewhere elsewhere)
{
    if (elsewhere == RPC_DRAINING) {
        instance->draining = true;
    } else if (elsewhere == RPC_UNREADY && !instance->unready) {
        instance->unready = true;
        rpc_client_want_probes(instance->client);
    }
    if (elsewhere == RPC_HERE || call->pinned != NULL) {
        return false;
    }
    rpc_client_detach(call);
    rpc_client_route(call);
    return true;
}

static void on_response(struct rpc_instance *instance, const struct rpc_message *message)
{
    struct mirai_rpc_call *call = rpc_calls_find(&instance->client->calls, message->msgid);
    if (call == NULL || call->instance != instance) {
        return; /* too late, cancelled, or asked again elsewhere */
    }
    struct mirai_rpc_reply reply = {.result = message->result};
    if (message->error.len > 0) {
        enum rpc_elsewhere elsewhere;
        reply.status = read_error(message->error, &elsewhere);
        reply.error = message->error;
        reply.result.len = 0;
        if (ask_elsewhere(instance, call, elsewhere)) {
            return;
        }
    }
    rpc_client_complete(call, &reply);
}

/* Acknowledgements count the frames of one pipe; its first frame may come before the news of it. */
static void count_frame(struct rpc_instance *instance, uint32_t pipe)
{
    if (instance->counted_pipe != pipe) {
        instance->counted_pipe = pipe;
        instance->received = 0;
        instance->acknowledged = 0;
    }
    instance->received++;
}

static void on_message(void *data, nng_msg *msg)
{
    struct rpc_instance *instance = data;
    struct rpc_frame_metrics *metrics = &instance->client->metrics;
    struct mirai_mp mp = mirai_mp((struct mirai_str){nng_msg_body(msg), nng_msg_len(msg)});
    uint64_t count = 0;
    mirai_counter_add(metrics->frames_received, 1);
    count_frame(instance, (uint32_t)nng_pipe_id(nng_msg_get_pipe(msg)));
    answered(instance);
    while (mp.at < mp.end && !instance->socket.closing) {
        struct rpc_message message;
        if (rpc_message_read(&mp, &message) != 0 || message.type == RPC_REQUEST) {
            mirai_counter_add(metrics->malformed, 1);
            break;
        }
        if (message.type == RPC_RESPONSE) {
            count++;
            on_response(instance, &message);
        }
    }
    mirai_counter_add(metrics->messages_received, count);
    nng_msg_free(msg);
    if (!instance->socket.closing && acknowledgement_due(instance)) {
        mark_dirty(instance);
    }
}

/* ------------------------------------------------------------------ life */

static void on_pipe(void *data, uint32_t pipe, bool connected)
{
    struct rpc_instance *instance = data;
    struct mirai_rpc_client *client = instance->client;
    if (!connected && pipe != instance->pipe) {
        return;
    }
    if (instance->pipe != 0) {
        instance->pipe = 0;
        rpc_instance_move_calls(instance, true);
    }
    if (instance->retired) {
        rpc_instance_close(instance);
        return;
    }
    instance->pipe = connected ? pipe : 0;
    if (connected && instance->counted_pipe != pipe) {
        instance->counted_pipe = pipe;
        instance->received = 0;
        instance->acknowledged = 0;
    }
    instance->strikes = 0;
    instance->ejected = false;
    instance->draining = false;
    instance->unready = false;
    instance->probe_until_ms = 0;
    if (connected) {
        rpc_client_wake_waiting(client);
    }
}

static void on_writable(void *data)
{
    rpc_instance_flush(data);
}

static void on_closed(void *data)
{
    struct rpc_instance *instance = data;
    struct mirai_rpc_client *client = instance->client;
    free(instance);
    rpc_client_part_closed(client);
}

static const struct rpc_socket_events socket_events = {
    .message = on_message,
    .pipe = on_pipe,
    .writable = on_writable,
    .closed = on_closed,
};

void rpc_instance_add(struct mirai_rpc_client *client, const struct rpc_endpoint *endpoint)
{
    struct rpc_instance *instance = mirai_alloc(sizeof(*instance));
    instance->client = client;
    instance->endpoint = *endpoint;
    rpc_list_init(&instance->dirty);
    rpc_list_init(&instance->queued);
    rpc_list_init(&instance->sent);
    rpc_list_append(&client->instances, &instance->link);
    client->instances_len++;
    client->open_parts++;
    if (rpc_socket_dial(&instance->socket, client->loop, RPC_PROTOCOL_REQ, endpoint->url,
                        (struct rpc_guard){client->security, client->service}, &socket_events,
                        instance) != 0) {
        if (rpc_socket_is_open(&instance->socket)) {
            rpc_instance_close(instance);
            return;
        }
        rpc_list_remove(&instance->link);
        client->instances_len--;
        client->open_parts--;
        free(instance);
    }
}

void rpc_instance_close(struct rpc_instance *instance)
{
    if (!instance->socket.closing) {
        rpc_list_remove(&instance->link);
        rpc_list_remove(&instance->dirty);
        instance->client->instances_len--;
        rpc_socket_close(&instance->socket);
    }
}

void rpc_instance_retire(struct mirai_rpc_client *client, const char *url)
{
    for (struct rpc_list *node = client->instances.next; node != &client->instances; node = node->next) {
        struct rpc_instance *instance = RPC_LIST_OWNER(node, struct rpc_instance, link);
        if (instance->retired || strcmp(instance->endpoint.url, url) != 0) {
            continue;
        }
        instance->retired = true;
        rpc_instance_move_calls(instance, false);
        if (instance->outstanding == 0 || instance->pipe == 0) {
            rpc_instance_close(instance);
        }
        return;
    }
}
