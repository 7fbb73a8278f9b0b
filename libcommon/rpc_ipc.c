#include "libcommon/rpc_ipc_internal.h"

#include "libcommon/log.h"
#include "libcommon/time.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG          128
#define CONNECTIONS_MAX  512
#define RECONNECT_MIN_MS 10
#define RECONNECT_MAX_MS 200
#define GREETING_MS      5000  /* from the beginning of a connection to the peer's greeting */
#define SWEEP_MS         500   /* between looks for connections that do not greet */
#define REFUSED_LOG_MS   10000 /* between lines about those turned away */
#define KEEPALIVE_S      10    /* silence after which TCP asks whether the other host is there */
#define LOST_MS          10000 /* without an acknowledgement: the host is gone (RFC 5482) */

static void dial_later(struct rpc_ipc *ipc);

static void handle_closed(struct rpc_ipc *ipc)
{
    if (--ipc->open_handles > 0) {
        return;
    }
    struct rpc_socket *socket = ipc->socket;
    rpc_tls_context_free(ipc->tls);
    free(ipc->buffer);
    free(ipc);
    socket->events->closed(socket->data);
}

static void on_connection_closed(uv_handle_t *handle)
{
    struct ipc_connection *c = handle->data;
    struct rpc_ipc *ipc = c->ipc;
    struct rpc_socket *socket = ipc->socket;
    rpc_list_remove(&c->link);
    ipc->connections_len--;
    if (c->msg != NULL) {
        nng_msg_free(c->msg);
    }
    rpc_tls_free(c->tls);
    if (c->greeted && !socket->closing) {
        socket->events->pipe(socket->data, c->id, false);
    }
    if (!ipc->server && !socket->closing) {
        dial_later(ipc);
    }
    free(c);
    handle_closed(ipc);
}

/* Its loss is told from the close callback: never inside a send. */
void rpc_ipc_cut(struct ipc_connection *c)
{
    if (!c->closing) {
        c->closing = true;
        uv_close(&c->at.handle, on_connection_closed);
    }
}

/* Turned away at the door. Whoever keeps knocking does not fill the log. */
void rpc_ipc_refuse(struct ipc_connection *c, const char *why, struct mirai_str who)
{
    struct rpc_ipc *ipc = c->ipc;
    uint64_t now_ms = mirai_monotonic_ms();
    mirai_counter_add(ipc->refused, 1);
    if (ipc->refused_ms == 0 || now_ms - ipc->refused_ms >= REFUSED_LOG_MS) {
        ipc->refused_ms = now_ms;
        mirai_log(WARNING, ipc->server ? "connection refused" : "not the daemon that should be there",
                  MIRAI_LOG_Z("socket", ipc->tls != NULL ? ipc->host : ipc->path), MIRAI_LOG_Z("reason", why),
                  MIRAI_LOG_S("peer", who));
    }
    rpc_ipc_cut(c);
}
static struct ipc_connection *add_connection(struct rpc_ipc *ipc)
{
    struct ipc_connection *c = mirai_alloc(sizeof(*c));
    c->ipc = ipc;
    c->id = ++ipc->last_id;
    c->started_ms = mirai_monotonic_ms();
    c->at.handle.data = c;
    if (ipc->tls != NULL) {
        uv_tcp_init(ipc->loop, &c->at.tcp);
    } else {
        uv_pipe_init(ipc->loop, &c->at.pipe, 0);
    }
    rpc_list_append(&ipc->connections, &c->link);
    ipc->connections_len++;
    ipc->open_handles++;
    return c;
}

/* ------------------------------------------------------------------ who is there */

/* UNIX sockets: the kernel says whose process it is. */
static bool known_user(struct ipc_connection *c)
{
    const struct rpc_guard *guard = &c->ipc->socket->guard;
    const struct mirai_peers *peers = guard->security != NULL ? guard->security->peers : NULL;
    char text[24];
    int64_t uid = -1;
    int fd = -1;
    bool known;
    c->peers = MIRAI_PEERS_TRUSTED;
    if (peers == NULL) {
        return true;
    }
    uv_fileno(&c->at.handle, &fd);
    if (c->ipc->server) {
        c->peers = mirai_peers_of_socket(peers, fd, &uid);
        known = c->peers != MIRAI_PEERS_NONE;
    } else {
        known = guard->service == NULL || mirai_peers_expects(peers, guard->service, fd, &uid);
    }
    if (!known) {
        snprintf(text, sizeof(text), "uid %lld", (long long)uid);
        rpc_ipc_refuse(c, "unknown user", mirai_str(text));
    }
    return known;
}

/* Notice a host that is gone, and leave at once. */
static void tune_tcp(struct ipc_connection *c)
{
    unsigned lost_ms = LOST_MS;
    int fd = -1;
    uv_tcp_nodelay(&c->at.tcp, 1);
    uv_tcp_keepalive(&c->at.tcp, 1, KEEPALIVE_S);
    if (uv_fileno(&c->at.handle, &fd) == 0) {
        setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &lost_ms, sizeof(lost_ms));
    }
}

static void begin_tls(struct ipc_connection *c)
{
    const char *why = "";
    tune_tcp(c);
    c->tls = rpc_tls_new(c->ipc->tls);
    if (c->tls == NULL) {
        rpc_ipc_cut(c);
        return;
    }
    rpc_tls_handshake(c->tls, &why); /* a client's first flight */
    rpc_ipc_flush_tls(c);
}

static void begin_talk(struct ipc_connection *c)
{
    if (c->ipc->tls != NULL) {
        begin_tls(c);
    } else if (known_user(c)) {
        rpc_ipc_greet(c);
    }
    if (!c->closing && rpc_ipc_read(c) != 0) {
        rpc_ipc_cut(c);
    }
}

/* ------------------------------------------------------------------ client */

static void on_connected(uv_connect_t *request, int status)
{
    struct ipc_connection *c = request->data;
    if (c->closing) {
        return;
    }
    if (status == 0) {
        begin_talk(c);
    } else {
        rpc_ipc_cut(c);
    }
}

/* The newest connection has not come to a greeting in time. */
static void on_silence(uv_timer_t *timer)
{
    struct rpc_ipc *ipc = timer->data;
    for (struct rpc_list *node = ipc->connections.next; node != &ipc->connections; node = node->next) {
        struct ipc_connection *c = RPC_LIST_OWNER(node, struct ipc_connection, link);
        if (!c->greeted) {
            rpc_ipc_cut(c);
        }
    }
}

static struct ipc_connection *begin_connection(struct rpc_ipc *ipc)
{
    struct ipc_connection *c = add_connection(ipc);
    c->connect.data = c;
    uv_timer_start(&ipc->timer, on_silence, GREETING_MS, 0);
    return c;
}

static void on_resolved(uv_getaddrinfo_t *request, int status, struct addrinfo *found)
{
    struct rpc_ipc *ipc = request->data;
    ipc->resolving = false;
    if (!ipc->socket->closing && status == 0) {
        struct ipc_connection *c = begin_connection(ipc);
        if (uv_tcp_connect(&c->connect, &c->at.tcp, found->ai_addr, on_connected) != 0) {
            rpc_ipc_cut(c);
        }
    } else if (!ipc->socket->closing) {
        dial_later(ipc);
    }
    uv_freeaddrinfo(found);
    handle_closed(ipc);
}

static void dial_host(struct rpc_ipc *ipc)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    ipc->resolve.data = ipc;
    if (uv_getaddrinfo(ipc->loop, &ipc->resolve, on_resolved, ipc->host, ipc->port, &hints) == 0) {
        ipc->resolving = true;
        ipc->open_handles++;
    } else {
        dial_later(ipc);
    }
}

static void on_reconnect(uv_timer_t *timer)
{
    struct rpc_ipc *ipc = timer->data;
    if (ipc->tls != NULL) {
        dial_host(ipc);
        return;
    }
    struct ipc_connection *c = begin_connection(ipc);
    uv_pipe_connect(&c->connect, &c->at.pipe, ipc->path, on_connected);
}

static void dial_later(struct rpc_ipc *ipc)
{
    uint64_t ms = ipc->reconnect_ms;
    ipc->reconnect_ms = ms == 0 ? RECONNECT_MIN_MS : 2 * ms < RECONNECT_MAX_MS ? 2 * ms : RECONNECT_MAX_MS;
    uv_timer_start(&ipc->timer, on_reconnect, ms, 0);
}

/* ------------------------------------------------------------------ server */

/* Cut off who has connected and does not greet: places are few. */
static void on_sweep(uv_timer_t *timer)
{
    struct rpc_ipc *ipc = timer->data;
    uint64_t now_ms = mirai_monotonic_ms();
    bool more = false;
    for (struct rpc_list *node = ipc->connections.next; node != &ipc->connections; node = node->next) {
        struct ipc_connection *c = RPC_LIST_OWNER(node, struct ipc_connection, link);
        if (!c->greeted && !c->closing) {
            more = true;
            if (now_ms - c->started_ms > GREETING_MS) {
                rpc_ipc_cut(c);
            }
        }
    }
    if (!more) {
        uv_timer_stop(timer);
    }
}

static void on_incoming(uv_stream_t *listener, int status)
{
    struct rpc_ipc *ipc = listener->data;
    if (status < 0) {
        return; /* such as out of descriptors: libuv tries again */
    }
    struct ipc_connection *c = add_connection(ipc);
    if (uv_accept(listener, &c->at.stream) != 0 || ipc->connections_len > CONNECTIONS_MAX) {
        rpc_ipc_cut(c);
        return;
    }
    begin_talk(c);
    if (!c->closing && !uv_is_active((uv_handle_t *)&ipc->timer)) {
        uv_timer_start(&ipc->timer, on_sweep, SWEEP_MS, SWEEP_MS);
    }
}

/* Whether nobody listens at the path any more: its daemon was killed. */
static bool is_stale(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    bool stale =
        fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0 && errno == ECONNREFUSED;
    if (fd >= 0) {
        close(fd);
    }
    return stale;
}

/* The mode is set before listen(2): no one else can connect in between. */
static int bind_path(struct rpc_ipc *ipc)
{
    int err = uv_pipe_bind(&ipc->listener.pipe, ipc->path);
    if (err == UV_EADDRINUSE && is_stale(ipc->path)) {
        unlink(ipc->path);
        err = uv_pipe_bind(&ipc->listener.pipe, ipc->path);
    }
    if (err == 0 && chmod(ipc->path, 0660) != 0) {
        err = uv_translate_sys_error(errno);
    }
    return err;
}

static int bind_address(struct rpc_ipc *ipc)
{
    struct sockaddr_storage address;
    int64_t number;
    if (ipc->socket->guard.security == NULL || !rpc_tls_context_usable(ipc->tls)) {
        return UV_EINVAL;
    }
    if (mirai_parse_int(mirai_str(ipc->port), 1, 65535, &number) != 0) {
        return UV_EADDRNOTAVAIL;
    }
    int port = (int)number;
    if (uv_ip4_addr(ipc->host, port, (struct sockaddr_in *)&address) != 0 &&
        uv_ip6_addr(ipc->host, port, (struct sockaddr_in6 *)&address) != 0) {
        return UV_EADDRNOTAVAIL;
    }
    return uv_tcp_bind(&ipc->listener.tcp, (struct sockaddr *)&address, 0);
}

static int listen_at(struct rpc_ipc *ipc)
{
    int err = ipc->tls != NULL ? bind_address(ipc) : bind_path(ipc);
    return err == 0 ? uv_listen(&ipc->listener.stream, BACKLOG, on_incoming) : err;
}

/* ------------------------------------------------------------------ life */

#define IPC_SCHEME "ipc://"
#define TLS_SCHEME "tls+tcp://"

static bool begins_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

bool rpc_ipc_speaks(const char *url)
{
    return begins_with(url, IPC_SCHEME) || begins_with(url, TLS_SCHEME);
}

/* HOST:PORT; a literal IPv6 address stands in brackets. */
static bool split_address(struct rpc_ipc *ipc, const char *address)
{
    const char *colon = strrchr(address, ':');
    if (colon == NULL || colon == address || strlen(colon + 1) >= sizeof(ipc->port)) {
        return false;
    }
    struct mirai_str host = {address, (size_t)(colon - address)};
    if (host.len > 2 && host.data[0] == '[' && host.data[host.len - 1] == ']') {
        host = (struct mirai_str){host.data + 1, host.len - 2};
    }
    snprintf(ipc->host, sizeof(ipc->host), "%.*s", MIRAI_STR_ARG(host));
    snprintf(ipc->port, sizeof(ipc->port), "%s", colon + 1);
    return host.len < sizeof(ipc->host);
}

static int set_address(struct rpc_ipc *ipc, const char *url)
{
    if (begins_with(url, TLS_SCHEME)) {
        return split_address(ipc, url + strlen(TLS_SCHEME)) ? 0 : UV_EINVAL;
    }
    const char *path = url + strlen(IPC_SCHEME);
    if (strlen(path) >= sizeof(ipc->path)) {
        return UV_ENAMETOOLONG;
    }
    strcpy(ipc->path, path);
    return 0;
}

static void on_handle_closed(uv_handle_t *handle)
{
    handle_closed(handle->data);
}

/* libuv writes without MSG_NOSIGNAL: a peer that has gone would end the program. */
static void ignore_broken_pipes(void)
{
    struct sigaction action;
    if (sigaction(SIGPIPE, NULL, &action) == 0 && action.sa_handler == SIG_DFL) {
        signal(SIGPIPE, SIG_IGN);
    }
}

static void init_handles(struct rpc_ipc *ipc)
{
    if (ipc->tls != NULL) {
        uv_tcp_init(ipc->loop, &ipc->listener.tcp);
    } else {
        uv_pipe_init(ipc->loop, &ipc->listener.pipe, 0);
    }
    uv_timer_init(ipc->loop, &ipc->timer);
    ipc->listener.handle.data = ipc;
    ipc->timer.data = ipc;
    ipc->open_handles = 2;
}

int rpc_ipc_open(struct rpc_socket *socket, uv_loop_t *loop, const char *url)
{
    const struct mirai_rpc_security *security = socket->guard.security;
    struct rpc_ipc *ipc = mirai_alloc(sizeof(*ipc));
    int err = set_address(ipc, url);
    if (err == 0 && begins_with(url, TLS_SCHEME) && security == NULL) {
        err = UV_EINVAL;
    }
    if (err != 0) {
        free(ipc);
        return err;
    }
    ignore_broken_pipes();
    ipc->socket = socket;
    ipc->loop = loop;
    ipc->server = socket->protocol == RPC_PROTOCOL_REP || socket->protocol == RPC_PROTOCOL_PUB;
    ipc->tls = begins_with(url, TLS_SCHEME) ? rpc_tls_context_new(security, ipc->server) : NULL;
    ipc->buffer = mirai_alloc(READ_SIZE);
    ipc->refused =
        mirai_metric_counter("mirai_rpc_refused_total", "Connections refused for who was at the other end",
                             ipc->server ? "side=\"server\"" : "side=\"client\"");
    rpc_list_init(&ipc->connections);
    init_handles(ipc);
    socket->ipc = ipc;
    if (ipc->server) {
        return listen_at(ipc);
    }
    dial_later(ipc);
    return 0;
}

void rpc_ipc_drop(struct rpc_ipc *ipc, uint32_t pipe)
{
    struct ipc_connection *c = rpc_ipc_find(ipc, pipe);
    if (c != NULL) {
        rpc_ipc_cut(c);
    }
}

void rpc_ipc_close(struct rpc_ipc *ipc)
{
    for (struct rpc_list *node = ipc->connections.next; node != &ipc->connections; node = node->next) {
        rpc_ipc_cut(RPC_LIST_OWNER(node, struct ipc_connection, link));
    }
    if (ipc->resolving) {
        uv_cancel((uv_req_t *)&ipc->resolve);
    }
    uv_close(&ipc->listener.handle, on_handle_closed); /* removes the file */
    uv_close((uv_handle_t *)&ipc->timer, on_handle_closed);
}
