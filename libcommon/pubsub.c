#include "libcommon/pubsub.h"

#include "libcommon/log.h"
#include "libcommon/rpc_internal.h"
#include "libcommon/time.h"

#include <nng/protocol/pubsub0/pub.h>
#include <stdlib.h>

#define QUEUE_MAX 128  /* messages for one slow subscriber; then it loses some */
#define CHECK_MS  1000 /* between looks at the listener */

/* ------------------------------------------------------------------ publisher */

struct mirai_publisher {
    const struct mirai_rpc_security *security;
    nng_socket nng;
    nng_listener listener;
    char *url;
    struct remote *remote; /* NULL: nobody listens for other hosts */
    uv_mutex_t lock;       /* guards what follows and the listener */
    uint64_t checked_ms;
    bool listening;
};

/* On a thread of nng, before the subscriber takes part. */
static void on_subscriber(nng_pipe pipe, nng_pipe_ev event, void *data)
{
    const struct mirai_publisher *publisher = data;
    uint64_t uid;
    (void)event;
    if (nng_pipe_get_uint64(pipe, NNG_OPT_IPC_PEER_UID, &uid) != 0 ||
        mirai_peers_of_uid(publisher->security->peers, (uid_t)uid) == MIRAI_PEERS_NONE) {
        nng_pipe_close(pipe);
    }
}

/* Accepts that ended with an error, as nng's statistics have it. */
static uint64_t listener_faults(nng_listener listener)
{
    nng_stat *stats;
    uint64_t faults = 0;
    if (nng_stats_get(&stats) != 0) {
        return 0;
    }
    nng_stat *own = nng_stat_find_listener(stats, listener);
    nng_stat *other = own != NULL ? nng_stat_find(own, "other") : NULL;
    if (other != NULL) {
        faults = nng_stat_value(other);
    }
    nng_stats_free(stats);
    return faults;
}

/* A listener of nng 1.5.2 accepts no one any more after a peer has left during the greeting (EPIPE becomes
 * NNG_ECLOSED; mended in 1.6). Listening anew cuts the subscribers off, who come back and pull. */
static void check_listener(struct mirai_publisher *publisher)
{
    uint64_t now_ms = mirai_monotonic_ms();
    uv_mutex_lock(&publisher->lock);
    if (now_ms - publisher->checked_ms >= CHECK_MS) {
        publisher->checked_ms = now_ms;
        if (publisher->listening && listener_faults(publisher->listener) > 0) {
            nng_listener_close(publisher->listener);
            publisher->listening = false;
        }
        publisher->listening =
            publisher->listening || rpc_listen(publisher->nng, publisher->url, &publisher->listener) == 0;
    }
    uv_mutex_unlock(&publisher->lock);
}

struct mirai_publisher *mirai_publisher_new(const char *url, const struct mirai_rpc_security *security)
{
    struct mirai_publisher *publisher = mirai_alloc(sizeof(*publisher));
    int err = nng_pub0_open(&publisher->nng);
    publisher->security = security;
    if (err == 0 && security != NULL && security->peers != NULL) {
        err = nng_pipe_notify(publisher->nng, NNG_PIPE_EV_ADD_PRE, on_subscriber, publisher);
    }
    if (err == 0) {
        nng_socket_set_int(publisher->nng, NNG_OPT_SENDBUF, QUEUE_MAX);
        err = rpc_listen(publisher->nng, url, &publisher->listener);
        if (err != 0) {
            nng_close(publisher->nng);
        }
    }
    if (err != 0) {
        mirai_log(ERROR, "cannot publish", MIRAI_LOG_Z("url", url), MIRAI_LOG_Z("reason", nng_strerror(err)));
        free(publisher);
        return NULL;
    }
    uv_mutex_init(&publisher->lock);
    publisher->url = mirai_str_dup(mirai_str(url));
    publisher->listening = true;
    return publisher;
}

/* ------------------------------------------------------------------ other hosts */

#define REMOTE_QUEUE_MAX (1u << 20) /* bytes of messages on their way to the loop */

/* Subscribers over TLS, served on a loop; messages come from any thread. */
struct remote {
    struct rpc_socket socket;
    uv_async_t wake;
    uv_mutex_t lock; /* guards `queue`: lengths of 32 bits and messages */
    struct mirai_buf queue;
    int open_parts;
};

static void remote_part_closed(struct remote *remote)
{
    if (--remote->open_parts == 0) {
        uv_mutex_destroy(&remote->lock);
        mirai_buf_free(&remote->queue);
        free(remote);
    }
}

static void on_remote_closed(void *data)
{
    remote_part_closed(data);
}

static void on_wake_closed(uv_handle_t *handle)
{
    remote_part_closed(handle->data);
}

static void on_remote_pipe(void *data, uint32_t pipe, bool connected)
{
    (void)data;
    (void)pipe;
    (void)connected;
}

static const struct rpc_socket_events remote_events = {.pipe = on_remote_pipe, .closed = on_remote_closed};

static void on_wake(uv_async_t *wake)
{
    struct remote *remote = wake->data;
    struct mirai_buf queue;
    uv_mutex_lock(&remote->lock);
    queue = remote->queue;
    remote->queue = (struct mirai_buf){0};
    uv_mutex_unlock(&remote->lock);
    for (size_t at = 0; at < queue.len && !remote->socket.closing;) {
        uint32_t len;
        memcpy(&len, queue.data + at, sizeof(len));
        rpc_ipc_broadcast(remote->socket.ipc, (struct mirai_str){queue.data + at + sizeof(len), len});
        at += sizeof(len) + len;
    }
    mirai_buf_free(&queue);
}

static void publish_remote(struct remote *remote, struct mirai_str message)
{
    uint32_t len = (uint32_t)message.len;
    uv_mutex_lock(&remote->lock);
    if (remote->queue.len + len < REMOTE_QUEUE_MAX) { /* a lost hint is allowed */
        mirai_buf_append(&remote->queue, &len, sizeof(len));
        mirai_buf_append_str(&remote->queue, message);
    }
    uv_mutex_unlock(&remote->lock);
    uv_async_send(&remote->wake);
}

static void close_remote(struct remote *remote)
{
    if (rpc_socket_is_open(&remote->socket)) {
        rpc_socket_close(&remote->socket);
    } else {
        remote_part_closed(remote);
    }
    uv_close((uv_handle_t *)&remote->wake, on_wake_closed);
}

int mirai_publisher_listen(struct mirai_publisher *publisher, uv_loop_t *loop, const char *url)
{
    struct remote *remote = mirai_alloc(sizeof(*remote));
    uv_mutex_init(&remote->lock);
    uv_async_init(loop, &remote->wake, on_wake);
    remote->wake.data = remote;
    remote->open_parts = 2;
    int err = rpc_socket_listen(&remote->socket, loop, RPC_PROTOCOL_PUB, url,
                                (struct rpc_guard){.security = publisher->security}, &remote_events, remote);
    if (err != 0) {
        close_remote(remote);
        return err;
    }
    publisher->remote = remote;
    return 0;
}

/* ------------------------------------------------------------------ publishing */

void mirai_publish(struct mirai_publisher *publisher, struct mirai_str message)
{
    nng_msg *msg;
    check_listener(publisher);
    if (publisher->remote != NULL) {
        publish_remote(publisher->remote, message);
    }
    if (nng_msg_alloc(&msg, 0) != 0) {
        return; /* a lost hint is allowed */
    }
    if (nng_msg_append(msg, message.data, message.len) != 0 ||
        nng_sendmsg(publisher->nng, msg, NNG_FLAG_NONBLOCK) != 0) {
        nng_msg_free(msg);
    }
}

void mirai_publisher_free(struct mirai_publisher *publisher)
{
    nng_close(publisher->nng);
    if (publisher->remote != NULL) {
        close_remote(publisher->remote);
    }
    uv_mutex_destroy(&publisher->lock);
    free(publisher->url);
    free(publisher);
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
