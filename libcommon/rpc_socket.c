#include "libcommon/log.h"
#include "libcommon/rpc_internal.h"

#include <nng/protocol/pubsub0/sub.h>
#include <nng/protocol/reqrep0/rep.h>
#include <nng/protocol/reqrep0/req.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#define FRAMES_PER_TURN  64 /* taken before other handles of the loop have their turn */
#define FRAMES_PENDING   64 /* replies for all pipes that nng holds before it hands them to their pipes */
#define RECEIVE_BUFFER   4  /* frames that nng reads ahead */
#define RECONNECT_MIN_MS 20
#define RECONNECT_MAX_MS 200
#define REDIAL_MS        500 /* longest time that a dialer is trusted to try by itself */

static void socket_receive(struct rpc_socket *socket, size_t max)
{
    for (size_t i = 0; i < max && !socket->closing; i++) {
        nng_msg *msg;
        if (nng_recvmsg(socket->nng, &msg, NNG_FLAG_NONBLOCK) != 0) {
            return;
        }
        socket->events->message(socket->data, msg);
    }
}

static void on_readable(uv_poll_t *handle, int status, int events)
{
    (void)status;
    (void)events;
    socket_receive(handle->data, FRAMES_PER_TURN);
}

static void on_writable(uv_poll_t *handle, int status, int events)
{
    struct rpc_socket *socket = handle->data;
    (void)status;
    (void)events;
    socket->waiting = false;
    uv_poll_stop(handle);
    socket->events->writable(socket->data);
}

/* On a thread of nng. */
static void on_pipe(nng_pipe pipe, nng_pipe_ev event, void *data)
{
    struct rpc_socket *socket = data;
    uv_mutex_lock(&socket->lock);
    if (socket->changes_len == socket->changes_cap) {
        socket->changes_cap = socket->changes_cap > 0 ? 2 * socket->changes_cap : 4;
        socket->changes = mirai_realloc(socket->changes, socket->changes_cap * sizeof(*socket->changes));
    }
    socket->changes[socket->changes_len++] =
        (struct rpc_pipe_event){(uint32_t)nng_pipe_id(pipe), event == NNG_PIPE_EV_ADD_POST};
    uv_mutex_unlock(&socket->lock);
    uv_async_send(&socket->pipes_changed);
}

static void on_pipes_changed(uv_async_t *handle)
{
    struct rpc_socket *socket = handle->data;
    uv_mutex_lock(&socket->lock);
    struct rpc_pipe_event *changes = socket->changes;
    size_t len = socket->changes_len;
    socket->changes = NULL;
    socket->changes_len = 0;
    socket->changes_cap = 0;
    uv_mutex_unlock(&socket->lock);

    /* What a lost pipe had delivered stands in nng's queue by now; its answers count. */
    socket_receive(socket, SIZE_MAX);
    for (size_t i = 0; i < len && !socket->closing; i++) {
        socket->pipes += changes[i].connected ? 1 : (size_t)-1;
        socket->events->pipe(socket->data, changes[i].pipe, changes[i].connected);
    }
    free(changes);
}

static int poll_open(struct rpc_socket *socket, uv_poll_t *poll, uv_loop_t *loop, int fd)
{
    if (uv_poll_init(loop, poll, fd) != 0) {
        return MIRAI_E_INTERNAL;
    }
    poll->data = socket;
    socket->open_handles++;
    return 0;
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct rpc_socket *socket = handle->data;
    if (--socket->open_handles == 0) {
        uv_mutex_destroy(&socket->lock);
        free(socket->changes);
        socket->events->closed(socket->data);
    }
}

int rpc_socket_open(struct rpc_socket *socket, uv_loop_t *loop, nng_socket nng,
                    const struct rpc_socket_events *events, void *data)
{
    int receive_fd;
    *socket = (struct rpc_socket){.nng = nng, .events = events, .data = data, .send_fd = -1};
    if (nng_socket_get_int(nng, NNG_OPT_RECVFD, &receive_fd) != 0 ||
        (events->writable != NULL && nng_socket_get_int(nng, NNG_OPT_SENDFD, &socket->send_fd) != 0) ||
        uv_mutex_init(&socket->lock) != 0) {
        nng_close(nng);
        return MIRAI_E_INTERNAL;
    }
    uv_async_init(loop, &socket->pipes_changed,
                  on_pipes_changed); /* fails only without memory or descriptors */
    socket->pipes_changed.data = socket;
    uv_timer_init(loop, &socket->redial);
    socket->redial.data = socket;
    socket->open_handles = 2;
    if (poll_open(socket, &socket->readable, loop, receive_fd) != 0 ||
        (socket->send_fd >= 0 && poll_open(socket, &socket->writable, loop, socket->send_fd) != 0)) {
        abort(); /* out of descriptors at start: nothing sensible is left to do */
    }
    uv_poll_start(&socket->readable, UV_READABLE, on_readable);
    nng_pipe_notify(nng, NNG_PIPE_EV_ADD_POST, on_pipe, socket);
    nng_pipe_notify(nng, NNG_PIPE_EV_REM_POST, on_pipe, socket);
    return 0;
}

static void wait_writable(struct rpc_socket *socket)
{
    if (!socket->waiting) {
        socket->waiting = true;
        uv_poll_start(&socket->writable, UV_READABLE,
                      on_writable); /* SENDFD is readable when a send would be taken */
    }
}

bool rpc_socket_ready(struct rpc_socket *socket)
{
    struct pollfd pollfd = {.fd = socket->send_fd, .events = POLLIN};
    if (socket->waiting || socket->closing) {
        return false;
    }
    if (socket->ipc != NULL) {
        return rpc_ipc_ready(socket->ipc);
    }
    if (poll(&pollfd, 1, 0) == 1) {
        return true;
    }
    wait_writable(socket);
    return false;
}

int rpc_socket_send(struct rpc_socket *socket, nng_msg *msg)
{
    if (socket->closing) {
        return MIRAI_E_UNAVAILABLE;
    }
    if (socket->ipc != NULL) {
        return rpc_ipc_send(socket->ipc, msg);
    }
    if (nng_sendmsg(socket->nng, msg, NNG_FLAG_NONBLOCK) != 0) {
        wait_writable(socket);
        return MIRAI_E_OVERLOADED;
    }
    return 0;
}

void rpc_socket_drop(struct rpc_socket *socket, uint32_t pipe)
{
    if (socket->ipc != NULL) {
        rpc_ipc_drop(socket->ipc, pipe);
    } else {
        nng_pipe_close((nng_pipe){.id = pipe});
    }
}

void rpc_socket_close(struct rpc_socket *socket)
{
    if (socket->closing) {
        return;
    }
    socket->closing = true;
    if (socket->ipc != NULL) {
        rpc_ipc_close(socket->ipc);
        return;
    }
    /* nng owns the descriptors: the loop lets go of them first. */
    uv_close((uv_handle_t *)&socket->readable, on_handle_closed);
    if (socket->send_fd >= 0) {
        uv_close((uv_handle_t *)&socket->writable, on_handle_closed);
    }
    nng_close(socket->nng);
    uv_close((uv_handle_t *)&socket->redial, on_handle_closed);
    uv_close((uv_handle_t *)&socket->pipes_changed, on_handle_closed);
}

/* ------------------------------------------------------------------ URLs */

static int open_nng(struct rpc_socket *socket, uv_loop_t *loop, enum rpc_protocol protocol,
                    const struct rpc_socket_events *events, void *data)
{
    static int (*const openers[])(nng_socket *) = {
        [RPC_PROTOCOL_REQ] = nng_req0_open_raw,
        [RPC_PROTOCOL_REP] = nng_rep0_open_raw,
        [RPC_PROTOCOL_SUB] = nng_sub0_open,
    };
    nng_socket nng;
    int err = openers[protocol](&nng);
    if (err != 0) {
        mirai_log(ERROR, "cannot open a socket", MIRAI_LOG_Z("reason", nng_strerror(err)));
        return MIRAI_E_INTERNAL;
    }
    nng_socket_set_size(nng, NNG_OPT_RECVMAXSZ, MIRAI_RPC_FRAME_MAX + 4096);
    switch (protocol) {
    case RPC_PROTOCOL_REQ: /* send buffer 0: a frame that nng has taken belongs to a pipe */
        nng_socket_set_int(nng, NNG_OPT_SENDBUF, 0);
        nng_socket_set_int(nng, NNG_OPT_RECVBUF, RECEIVE_BUFFER);
        break;
    case RPC_PROTOCOL_REP:
        nng_socket_set_int(nng, NNG_OPT_SENDBUF, FRAMES_PENDING);
        break;
    case RPC_PROTOCOL_PUB:
        break; /* has no opener */
    case RPC_PROTOCOL_SUB:
        nng_socket_set(nng, NNG_OPT_SUB_SUBSCRIBE, "", 0);
        break;
    }
    nng_socket_set_ms(nng, NNG_OPT_RECONNMINT, RECONNECT_MIN_MS);
    nng_socket_set_ms(nng, NNG_OPT_RECONNMAXT, RECONNECT_MAX_MS);
    err = rpc_socket_open(socket, loop, nng, events, data);
    socket->protocol = protocol;
    return err;
}

static int failed(const char *what, const char *url, const char *reason)
{
    mirai_log(ERROR, what, MIRAI_LOG_Z("url", url), MIRAI_LOG_Z("reason", reason));
    return MIRAI_E_INTERNAL;
}

/* Without TLS nobody at the other end can be told from anybody. */
static bool is_anonymous(struct rpc_guard guard, const char *url)
{
    return guard.security != NULL && guard.security->peers != NULL && !rpc_ipc_speaks(url);
}

int rpc_socket_listen(struct rpc_socket *socket, uv_loop_t *loop, enum rpc_protocol protocol, const char *url,
                      struct rpc_guard guard, const struct rpc_socket_events *events, void *data)
{
    *socket = (struct rpc_socket){.events = events, .data = data, .protocol = protocol, .guard = guard};
    if (rpc_ipc_speaks(url)) {
        int err = rpc_ipc_open(socket, loop, url);
        return err == 0 ? 0 : failed("cannot listen for calls", url, uv_strerror(err));
    }
    if (is_anonymous(guard, url) || protocol != RPC_PROTOCOL_REP) {
        return failed("cannot listen for calls", url, "only ipc:// and tls+tcp:// say who connects");
    }
    int err = open_nng(socket, loop, protocol, events, data);
    if (err == 0 && (err = nng_listen(socket->nng, url, NULL, 0)) != 0) {
        return failed("cannot listen for calls", url, nng_strerror(err));
    }
    return err;
}

/* A dialer of nng 1.5.2 gives up for ever when its peer leaves during the greeting (EPIPE becomes
 * NNG_ECLOSED). */
static void on_redial(uv_timer_t *timer)
{
    struct rpc_socket *socket = timer->data;
    if (socket->pipes == 0) {
        nng_dialer_close(socket->dialer);
        nng_dial(socket->nng, socket->url, &socket->dialer, NNG_FLAG_NONBLOCK);
    }
}

int rpc_socket_dial(struct rpc_socket *socket, uv_loop_t *loop, enum rpc_protocol protocol, const char *url,
                    struct rpc_guard guard, const struct rpc_socket_events *events, void *data)
{
    *socket = (struct rpc_socket){.events = events, .data = data, .protocol = protocol, .guard = guard};
    if (rpc_ipc_speaks(url)) {
        int err = rpc_ipc_open(socket, loop, url);
        return err == 0 ? 0 : failed("cannot dial", url, uv_strerror(err));
    }
    int err = open_nng(socket, loop, protocol, events, data);
    if (err != 0) {
        return err;
    }
    snprintf(socket->url, sizeof(socket->url), "%s", url);
    err = nng_dial(socket->nng, url, &socket->dialer, NNG_FLAG_NONBLOCK);
    if (err != 0) {
        return failed("cannot dial", url, nng_strerror(err));
    }
    uv_timer_start(&socket->redial, on_redial, REDIAL_MS, REDIAL_MS);
    return 0;
}

uint32_t rpc_socket_peers(const struct rpc_socket *socket, uint32_t pipe)
{
    return socket->ipc != NULL ? rpc_ipc_peers(socket->ipc, pipe) : MIRAI_PEERS_TRUSTED;
}

bool rpc_socket_is_open(const struct rpc_socket *socket)
{
    return socket->ipc != NULL || socket->open_handles > 0;
}
