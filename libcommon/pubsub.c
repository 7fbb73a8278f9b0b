#include "libcommon/pubsub.h"

#include "libcommon/log.h"
#include "libcommon/rpc_internal.h"

#include <stdlib.h>

#define QUEUE_MAX   (1u << 20) /* bytes of messages on their way to the loop */
#define SOCKETS_MAX 2

/* ------------------------------------------------------------------ publisher */

/* Served on a loop; messages come from any thread. */
struct mirai_publisher {
    const struct mirai_rpc_security *security;
    uv_loop_t *loop;
    struct rpc_socket sockets[SOCKETS_MAX];
    size_t sockets_len;
    uv_async_t wake;
    uv_mutex_t lock; /* guards `queue`: lengths of 32 bits and messages */
    struct mirai_buf queue;
    size_t open_parts; /* sockets and wake */
};

static void publisher_part_closed(void *data)
{
    struct mirai_publisher *publisher = data;
    if (--publisher->open_parts == 0) {
        uv_mutex_destroy(&publisher->lock);
        mirai_buf_free(&publisher->queue);
        free(publisher);
    }
}

static void on_wake_closed(uv_handle_t *wake)
{
    publisher_part_closed(wake->data);
}

static void on_subscriber(void *data, uint32_t pipe, bool connected)
{
    (void)data;
    (void)pipe;
    (void)connected;
}

static const struct rpc_socket_events publisher_events = {.pipe = on_subscriber,
                                                          .closed = publisher_part_closed};

static void broadcast(const struct mirai_publisher *publisher, struct mirai_str message)
{
    for (size_t i = 0; i < publisher->sockets_len; i++) {
        if (!publisher->sockets[i].closing) {
            rpc_ipc_broadcast(publisher->sockets[i].ipc, message);
        }
    }
}

static void on_wake(uv_async_t *wake)
{
    struct mirai_publisher *publisher = wake->data;
    uv_mutex_lock(&publisher->lock);
    struct mirai_buf queue = publisher->queue;
    publisher->queue = (struct mirai_buf){0};
    uv_mutex_unlock(&publisher->lock);
    for (size_t at = 0; at < queue.len;) {
        uint32_t len;
        memcpy(&len, queue.data + at, sizeof(len));
        at += sizeof(len);
        broadcast(publisher, (struct mirai_str){queue.data + at, len});
        at += len;
    }
    mirai_buf_free(&queue);
}

struct mirai_publisher *mirai_publisher_new(uv_loop_t *loop, const struct mirai_rpc_security *security)
{
    struct mirai_publisher *publisher = mirai_alloc(sizeof(*publisher));
    publisher->security = security;
    publisher->loop = loop;
    publisher->open_parts = 1;
    uv_mutex_init(&publisher->lock);
    uv_async_init(loop, &publisher->wake, on_wake);
    publisher->wake.data = publisher;
    return publisher;
}

int mirai_publisher_listen(struct mirai_publisher *publisher, const char *url)
{
    if (publisher->sockets_len == SOCKETS_MAX) {
        return MIRAI_E_CONFLICT;
    }
    struct rpc_socket *socket = &publisher->sockets[publisher->sockets_len];
    int err =
        rpc_socket_listen(socket, publisher->loop, RPC_PROTOCOL_PUB, url,
                          (struct rpc_guard){.security = publisher->security}, &publisher_events, publisher);
    if (rpc_socket_is_open(
            socket)) { /* it may be open although it does not listen: then it is closed with all */
        publisher->sockets_len++;
        publisher->open_parts++;
    }
    return err;
}

void mirai_publish(struct mirai_publisher *publisher, struct mirai_str message)
{
    uint32_t len = (uint32_t)message.len;
    uv_mutex_lock(&publisher->lock);
    if (publisher->queue.len + sizeof(len) + len <= QUEUE_MAX) { /* a lost hint is allowed */
        mirai_buf_append(&publisher->queue, &len, sizeof(len));
        mirai_buf_append_str(&publisher->queue, message);
    }
    uv_mutex_unlock(&publisher->lock);
    uv_async_send(&publisher->wake);
}

void mirai_publisher_free(struct mirai_publisher *publisher)
{
    for (size_t i = 0; i < publisher->sockets_len; i++) {
        rpc_socket_close(&publisher->sockets[i]);
    }
    uv_close((uv_handle_t *)&publisher->wake, on_wake_closed);
}

/* ------------------------------------------------------------------ subscriber */

/* One publisher that is followed. */
struct source {
    struct rpc_list link; /* subscriber.sources */
    struct mirai_subscriber *subscriber;
    struct rpc_socket socket;
    char url[256];
};

struct mirai_subscriber {
    uv_loop_t *loop;
    char *service;
    const struct mirai_rpc_security *security;
    struct rpc_discovery *discovery;
    struct rpc_list sources;
    mirai_subscriber_cb callback;
    void *data;
    size_t open_parts; /* sources and discovery */
    bool closing;
};

static void part_closed(void *data)
{
    struct mirai_subscriber *subscriber = data;
    if (--subscriber->open_parts == 0) {
        free(subscriber->service);
        free(subscriber);
    }
}

static void on_message(void *data, nng_msg *msg)
{
    struct source *source = data;
    struct mirai_str message = {nng_msg_body(msg), nng_msg_len(msg)};
    if (message.len > 0 && !source->subscriber->closing) {
        source->subscriber->callback(source->subscriber->data, message);
    }
    nng_msg_free(msg);
}

static void on_pipe(void *data, uint32_t pipe, bool connected)
{
    struct source *source = data;
    (void)pipe;
    if (connected && !source->subscriber->closing) {
        source->subscriber->callback(source->subscriber->data, (struct mirai_str){0});
    }
}

static void on_closed(void *data)
{
    struct source *source = data;
    struct mirai_subscriber *subscriber = source->subscriber;
    free(source);
    part_closed(subscriber);
}

static const struct rpc_socket_events socket_events = {
    .message = on_message,
    .pipe = on_pipe,
    .closed = on_closed,
};

static void close_source(struct source *source)
{
    rpc_list_remove(&source->link);
    rpc_socket_close(&source->socket);
}

static void on_appeared(void *data, const struct rpc_endpoint *endpoint)
{
    struct mirai_subscriber *subscriber = data;
    if (subscriber->closing) {
        return;
    }
    struct source *source = mirai_alloc(sizeof(*source));
    source->subscriber = subscriber;
    memcpy(source->url, endpoint->url, sizeof(source->url));
    rpc_list_append(&subscriber->sources, &source->link);
    subscriber->open_parts++;
    if (rpc_socket_dial(&source->socket, subscriber->loop, RPC_PROTOCOL_SUB, endpoint->url,
                        (struct rpc_guard){subscriber->security, subscriber->service}, &socket_events,
                        source) == 0) {
        return;
    }
    if (rpc_socket_is_open(&source->socket)) {
        close_source(source);
    } else {
        rpc_list_remove(&source->link);
        on_closed(source);
    }
}

static void on_vanished(void *data, const char *url)
{
    struct mirai_subscriber *subscriber = data;
    struct rpc_list *node = subscriber->sources.next;
    while (node != &subscriber->sources) {
        struct source *source = RPC_LIST_OWNER(node, struct source, link);
        node = node->next;
        if (strcmp(source->url, url) == 0) {
            close_source(source);
        }
    }
}

struct mirai_subscriber *mirai_subscriber_new(uv_loop_t *loop, const char *service, const char *run_dir,
                                              const char *endpoints,
                                              const struct mirai_rpc_security *security,
                                              mirai_subscriber_cb callback, void *data)
{
    struct mirai_subscriber *subscriber = mirai_alloc(sizeof(*subscriber));
    subscriber->service = mirai_str_dup(mirai_str(service));
    subscriber->security = security;
    subscriber->loop = loop;
    subscriber->callback = callback;
    subscriber->data = data;
    subscriber->open_parts = 1;
    rpc_list_init(&subscriber->sources);
    subscriber->discovery = rpc_discovery_new(&(struct rpc_discovery_options){
        .loop = loop,
        .service = service,
        .run_dir = run_dir != NULL ? run_dir : "",
        .suffix = ".pub",
        .endpoints = endpoints,
        .appeared = on_appeared,
        .vanished = on_vanished,
        .closed = part_closed,
        .data = subscriber,
    });
    return subscriber;
}

void mirai_subscriber_free(struct mirai_subscriber *subscriber)
{
    subscriber->closing = true;
    while (!rpc_list_empty(&subscriber->sources)) {
        close_source(RPC_LIST_OWNER(subscriber->sources.next, struct source, link));
    }
    rpc_discovery_free(subscriber->discovery);
}
