#include "libcommon/pubsub.h"

#include "libcommon/log.h"
#include "libcommon/rpc_internal.h"

#include <nng/protocol/pubsub0/pub.h>
#include <nng/protocol/pubsub0/sub.h>
#include <stdlib.h>

#define MESSAGE_MAX      (1u << 20)
#define QUEUE_MAX        128 /* messages for one slow subscriber; then it loses some */
#define RECONNECT_MIN_MS 20
#define RECONNECT_MAX_MS 200
#define DIALERS_MAX      64

struct mirai_publisher {
    nng_socket nng;
};

struct mirai_publisher *mirai_publisher_new(const char *url)
{
    struct mirai_publisher *publisher = mirai_alloc(sizeof(*publisher));
    int err = nng_pub0_open(&publisher->nng);
    if (err == 0) {
        nng_socket_set_int(publisher->nng, NNG_OPT_SENDBUF, QUEUE_MAX);
        err = rpc_listen(publisher->nng, url);
        if (err != 0) {
            nng_close(publisher->nng);
        }
    }
    if (err != 0) {
        mirai_log(ERROR, "cannot publish", MIRAI_LOG_Z("url", url), MIRAI_LOG_Z("reason", nng_strerror(err)));
        free(publisher);
        return NULL;
    }
    return publisher;
}

void mirai_publish(struct mirai_publisher *publisher, struct mirai_str message)
{
    nng_msg *msg;
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
    free(publisher);
}

struct subscriber_dialer {
    char url[256];
    nng_dialer dialer;
};

struct mirai_subscriber {
    struct rpc_socket socket;
    struct rpc_discovery *discovery;
    mirai_subscriber_cb callback;
    void *data;
    struct subscriber_dialer dialers[DIALERS_MAX];
    size_t dialers_len;
    int open_parts; /* socket, discovery */
};

static void on_message(void *data, nng_msg *msg)
{
    struct mirai_subscriber *subscriber = data;
    struct mirai_str message = {nng_msg_body(msg), nng_msg_len(msg)};
    if (message.len > 0) {
        subscriber->callback(subscriber->data, message);
    }
    nng_msg_free(msg);
}

static void on_pipe(void *data, uint32_t pipe, bool connected)
{
    struct mirai_subscriber *subscriber = data;
    (void)pipe;
    if (connected) {
        subscriber->callback(subscriber->data, (struct mirai_str){0});
    }
}

static void on_part_closed(void *data)
{
    struct mirai_subscriber *subscriber = data;
    if (--subscriber->open_parts == 0) {
        free(subscriber);
    }
}

static const struct rpc_socket_events socket_events = {
    .message = on_message,
    .pipe = on_pipe,
    .closed = on_part_closed,
};

static void on_appeared(void *data, const struct rpc_endpoint *endpoint)
{
    struct mirai_subscriber *subscriber = data;
    if (subscriber->dialers_len == DIALERS_MAX) {
        return;
    }
    struct subscriber_dialer *slot = &subscriber->dialers[subscriber->dialers_len];
    int err = nng_dial(subscriber->socket.nng, endpoint->url, &slot->dialer, NNG_FLAG_NONBLOCK);
    if (err != 0) {
        mirai_log(ERROR, "cannot dial", MIRAI_LOG_Z("url", endpoint->url),
                  MIRAI_LOG_Z("reason", nng_strerror(err)));
        return;
    }
    memcpy(slot->url, endpoint->url, sizeof(slot->url));
    subscriber->dialers_len++;
}

static void on_vanished(void *data, const char *url)
{
    struct mirai_subscriber *subscriber = data;
    for (size_t i = 0; i < subscriber->dialers_len; i++) {
        if (strcmp(subscriber->dialers[i].url, url) == 0) {
            nng_dialer_close(subscriber->dialers[i].dialer);
            subscriber->dialers[i] = subscriber->dialers[--subscriber->dialers_len];
            return;
        }
    }
}

static int open_socket(struct mirai_subscriber *subscriber, uv_loop_t *loop)
{
    nng_socket nng;
    int err = nng_sub0_open(&nng);
    if (err != 0) {
        return err;
    }
    nng_socket_set(nng, NNG_OPT_SUB_SUBSCRIBE, "", 0);
    nng_socket_set_size(nng, NNG_OPT_RECVMAXSZ, MESSAGE_MAX);
    nng_socket_set_int(nng, NNG_OPT_RECVBUF, QUEUE_MAX);
    nng_socket_set_ms(nng, NNG_OPT_RECONNMINT, RECONNECT_MIN_MS);
    nng_socket_set_ms(nng, NNG_OPT_RECONNMAXT, RECONNECT_MAX_MS);
    return rpc_socket_open(&subscriber->socket, loop, nng, &socket_events, subscriber) == 0 ? 0
                                                                                            : NNG_EINTERNAL;
}

struct mirai_subscriber *mirai_subscriber_new(uv_loop_t *loop, const char *service, const char *run_dir,
                                              const char *endpoints, mirai_subscriber_cb callback, void *data)
{
    struct mirai_subscriber *subscriber = mirai_alloc(sizeof(*subscriber));
    int err = open_socket(subscriber, loop);
    if (err != 0) {
        mirai_log(ERROR, "cannot subscribe", MIRAI_LOG_Z("reason", nng_strerror(err)));
        free(subscriber);
        return NULL;
    }
    subscriber->callback = callback;
    subscriber->data = data;
    subscriber->open_parts = 2;
    subscriber->discovery = rpc_discovery_new(&(struct rpc_discovery_options){
        .loop = loop,
        .service = service,
        .run_dir = run_dir != NULL ? run_dir : "",
        .suffix = ".pub",
        .endpoints = endpoints,
        .appeared = on_appeared,
        .vanished = on_vanished,
        .closed = on_part_closed,
        .data = subscriber,
    });
    return subscriber;
}

void mirai_subscriber_free(struct mirai_subscriber *subscriber)
{
    rpc_socket_close(&subscriber->socket);
    rpc_discovery_free(subscriber->discovery);
}
