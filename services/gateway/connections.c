#include "libcommon/time.h"
#include "services/gateway/gateway.h"
#include "services/gateway/proxied.h"
#include "services/gateway/tcp.h"

#include <h2o/http2.h>
#include <h2o/http2_internal.h>
#include <stdlib.h>

/* h2o 2.2 has one timer for a whole HTTP/1 request and none for bodies on HTTP/2 streams or for answers that nobody
 * reads, it waits for ever for writes that libuv refused because the peer had reset the connection, and it takes whole
 * bodies before any handler sees the request. This file watches each connection from outside instead: what TCP has
 * moved (TCP_INFO), whether half a request lies in the buffer, how long the oldest stream's body takes, and how many
 * bytes of unfinished requests there are. */

/* A body may come as slowly as this: bytes per millisecond. */
#define SLOWEST    16

#define HELD_SPARE (size_t)(16u << 20)  /* bytes that a connection may hold beyond its largest request */
#define HELD_SMALL (size_t)(256u << 10) /* who holds no more goes on when all together hold too much */

struct connection {
    h2o_linklist_t link;
    uv_tcp_t tcp;       /* its data is h2o's */
    h2o_socket_t *sock; /* h2o's; valid while tcp is not closing; NULL while the PROXY header has not come */
    struct proxied *proxied;   /* waits for it; or NULL */
    h2o_timeout_entry_t begin; /* then HTTP begins in the next turn of the loop, */
    struct address client;     /* with this client */
    struct gateway_loop *loop;
    uint64_t moved; /* bytes received and acknowledged at the last look */
    uint64_t moved_at_ms;
    bool refused;           /* at the last look h2o waited for a write that was never queued */
    uint64_t partial_at_ms; /* since when half a request waits for its rest; 0: none does */
    const char *partial;    /* where it begins: moves when h2o has consumed something */
    size_t held;            /* bytes of unfinished requests */
    uint32_t stream;        /* HTTP/2: the oldest stream whose request is not complete; 0: there is none */
    size_t stream_held;     /* bytes of its body */
    uint32_t stream_before; /* the same at the look before */
    uint64_t stream_at_ms;  /* since when it is the oldest */
};

static void on_closed(uv_handle_t *handle)
{
    struct connection *connection = H2O_STRUCT_FROM_MEMBER(struct connection, tcp, handle);
    atomic_fetch_sub_explicit(&connection->loop->gateway->held, connection->held, memory_order_relaxed);
    h2o_linklist_unlink(&connection->link);
    proxied_free(connection->proxied);
    h2o_timeout_unlink(&connection->begin);
    atomic_fetch_sub_explicit(&connection->loop->gateway->connections, 1, memory_order_relaxed);
    free(connection);
}

static void speak_http(struct connection *connection, const struct address *client)
{
    connection->sock = h2o_uv_socket_create((uv_stream_t *)&connection->tcp, on_closed);
    connection->sock->on_close.data = connection; /* without a callback of its own: for look_at_streams */
    if (client != NULL && address_known(client)) {
        struct sockaddr_storage name;
        socklen_t len = address_to_socket(client, &name);
        h2o_socket_setpeername(connection->sock, (struct sockaddr *)&name, len);
    }
    h2o_accept(&connection->loop->accept, connection->sock);
}

static void on_begin(h2o_timeout_entry_t *begin)
{
    struct connection *connection = H2O_STRUCT_FROM_MEMBER(struct connection, begin, begin);
    speak_http(connection, &connection->client);
}

static void on_proxied(void *data, const struct address *client)
{
    struct connection *connection = data;
    struct gateway_loop *loop = connection->loop;
    struct proxied *proxied = connection->proxied;
    connection->proxied = NULL;
    if (client == NULL) {
        uv_close((uv_handle_t *)&connection->tcp, on_closed);
    } else {
        /* Not within libuv's reading: it would go on, find nothing yet, and h2o takes a read of 0 bytes for the end. */
        connection->client = *client;
        connection->begin.cb = on_begin;
        h2o_timeout_link(loop->http.loop, &loop->http.zero_timeout, &connection->begin);
    }
    proxied_free(proxied);
}

/* With the PROXY protocol connections come from trusted proxies only: anyone else could say whatever address. */
static void await_proxy_header(struct connection *connection)
{
    struct sockaddr_storage name = {0};
    int size = sizeof(name);
    uv_tcp_getpeername(&connection->tcp, (struct sockaddr *)&name, &size);
    struct address peer = address_of_socket((struct sockaddr *)&name);
    if (proxies_trust(&connection->loop->gateway->settings.proxies, &peer)) {
        connection->proxied = proxied_read(&connection->tcp, on_proxied, connection);
    }
    if (connection->proxied == NULL) {
        uv_close((uv_handle_t *)&connection->tcp, on_closed);
    }
}

void connections_accept(struct gateway_loop *loop)
{
    struct gateway *gateway = loop->gateway;
    struct connection *connection = mirai_alloc(sizeof(*connection));
    int open = atomic_fetch_add_explicit(&gateway->connections, 1, memory_order_relaxed);
    connection->loop = loop;
    connection->moved_at_ms = mirai_monotonic_ms();
    uv_tcp_init(&loop->uv, &connection->tcp);
    h2o_linklist_insert(&loop->connections, &connection->link);
    if (uv_accept((uv_stream_t *)&loop->listener, (uv_stream_t *)&connection->tcp) != 0 ||
        open >= gateway->settings.connections_max) {
        uv_close((uv_handle_t *)&connection->tcp, on_closed);
        return;
    }
    uv_tcp_nodelay(&connection->tcp, 1);
    if (gateway->settings.proxy_protocol) {
        await_proxy_header(connection);
    } else {
        speak_http(connection, NULL);
    }
}

/* The file descriptor, -1 when the connection is being closed. */
static int descriptor(const struct connection *connection)
{
    uv_os_fd_t fd;
    return uv_is_closing((const uv_handle_t *)&connection->tcp) ||
                   uv_fileno((const uv_handle_t *)&connection->tcp, &fd) != 0
               ? -1
               : fd;
}

/* h2o sees the end of the stream, or fails to write, and closes by itself. */
static void cut(const struct connection *connection)
{
    int fd = descriptor(connection);
    if (fd >= 0) {
        shutdown(fd, SHUT_RDWR);
    }
}

static void look_at_bytes(struct connection *connection, int fd, uint64_t now)
{
    uint64_t moved = tcp_bytes_moved(fd);
    if (moved != connection->moved) {
        connection->moved = moved;
        connection->moved_at_ms = now;
    }
}

/* h2o makes the TLS state with the first bytes: before, it may not be asked for the protocol. */
static bool is_http2(h2o_socket_t *sock)
{
    if (h2o_socket_get_ssl_protocol_version(sock) == NULL) {
        return false;
    }
    h2o_iovec_t protocol = h2o_socket_ssl_get_selected_protocol(sock);
    return protocol.len == 2 && memcmp(protocol.base, "h2", 2) == 0;
}

/* A request on an HTTP/2 stream: what there is of it while it is not complete. */
static int look_at_stream(h2o_req_t *req, void *data)
{
    const h2o_http2_stream_t *stream = H2O_STRUCT_FROM_MEMBER(h2o_http2_stream_t, req, req);
    struct connection *connection = req->conn->callbacks->get_socket(req->conn)->on_close.data;
    (void)data;
    if (stream->state > H2O_HTTP2_STREAM_STATE_RECV_BODY) {
        return 0;
    }
    size_t held = stream->_req_body != NULL ? stream->_req_body->size : 0;
    connection->held += held;
    if (connection->stream == 0 || stream->stream_id < connection->stream) {
        connection->stream = stream->stream_id;
        connection->stream_held = held;
    }
    return 0;
}

static void look_at_streams(struct gateway_loop *loop)
{
    loop->gateway->config.http2.callbacks.foreach_request(&loop->http, look_at_stream, NULL);
}

/* Since when has half a request been waiting for its rest? A frame of HTTP/2 that is always half there because frames
 * and TLS records are cut differently begins anew with each one that h2o consumes. */
static void look_at_input(struct connection *connection, uint64_t now)
{
    h2o_socket_t *sock = connection->sock;
    size_t waiting = sock->_cb.read != NULL ? sock->input->size : 0;
    bool anew =
        connection->partial_at_ms == 0 || (is_http2(sock) && sock->input->bytes != connection->partial);
    if (waiting == 0) {
        connection->partial_at_ms = 0;
    } else if (anew) {
        connection->partial_at_ms = now;
        connection->partial = sock->input->bytes;
    }
    connection->held += waiting;
}

/* Whether what began at `since_ms` and has brought `bytes` takes too long. */
static bool is_slow(const struct connection *connection, uint64_t since_ms, size_t bytes, uint64_t now)
{
    return now - since_ms > connection->loop->gateway->settings.request_timeout_ms + bytes / SLOWEST;
}

static bool is_overdue(struct connection *connection, uint64_t now)
{
    const struct gateway_settings *settings = &connection->loop->gateway->settings;
    h2o_socket_t *sock = connection->sock;
    uint64_t still_ms = now - connection->moved_at_ms;
    bool reading = sock->_cb.read != NULL, writing = sock->_cb.write != NULL;
    if (connection->partial_at_ms != 0 &&
        (is_slow(connection, connection->partial_at_ms, sock->input->size, now) ||
         still_ms > settings->request_timeout_ms)) {
        return true;
    }
    if (connection->stream != 0 &&
        is_slow(connection, connection->stream_at_ms, connection->stream_held, now)) {
        return true;
    }
    bool waits_for_client = writing || (reading && !is_http2(sock)); /* h2o has a timer for idle HTTP/2 */
    uint64_t patience = waits_for_client ? settings->idle_timeout_ms
                                         : settings->idle_timeout_ms + 20 * settings->rpc_deadline_ms;
    return still_ms > patience;
}

/* One connection may hold what its largest request needs; all together, in this process, what is configured. */
static bool holds_too_much(const struct connection *connection, bool crowded)
{
    const struct gateway_settings *settings = &connection->loop->gateway->settings;
    return connection->held > gateway_largest_body(settings) + HELD_SPARE ||
           (crowded && connection->held > HELD_SMALL);
}

/* After a read error uv_write() fails at once, without the callback that h2o has been promised. Give it at
 * the second look: by then a callback that libuv still had to run has been run. */
static void end_refused_write(struct connection *connection)
{
    h2o_socket_t *sock = connection->sock;
    bool refused = sock->_cb.write != NULL && !uv_is_writable((uv_stream_t *)&connection->tcp) &&
                   uv_stream_get_write_queue_size((uv_stream_t *)&connection->tcp) == 0;
    if (refused && connection->refused) {
        h2o_socket_cb callback = sock->_cb.write;
        sock->_cb.write = NULL;
        connection->refused = false;
        callback(sock, h2o_socket_error_io);
        return;
    }
    connection->refused = refused;
}

/* Count anew what all connections hold; `closely`: and what they have moved, which costs a system call for each. */
static void look(struct gateway_loop *loop, uint64_t now, bool closely)
{
    size_t before = 0, after = 0;
    for (h2o_linklist_t *node = loop->connections.next; node != &loop->connections; node = node->next) {
        struct connection *connection = H2O_STRUCT_FROM_MEMBER(struct connection, link, node);
        before += connection->held;
        connection->held = 0;
        connection->stream = 0;
        int fd = descriptor(connection);
        if (fd >= 0 && connection->sock != NULL) {
            if (closely) {
                look_at_bytes(connection, fd, now);
            }
            look_at_input(connection, now);
        }
    }
    look_at_streams(loop);
    for (h2o_linklist_t *node = loop->connections.next; node != &loop->connections; node = node->next) {
        struct connection *connection = H2O_STRUCT_FROM_MEMBER(struct connection, link, node);
        after += connection->held;
        if (connection->stream != connection->stream_before) {
            connection->stream_before = connection->stream;
            connection->stream_at_ms = now;
        }
    }
    atomic_fetch_add_explicit(&loop->gateway->held, after - before,
                              memory_order_relaxed); /* may wrap: a difference */
}

void connections_sweep(struct gateway_loop *loop, bool closely)
{
    uint64_t now = mirai_monotonic_ms();
    look(loop, now, closely);
    bool crowded =
        atomic_load_explicit(&loop->gateway->held, memory_order_relaxed) > loop->gateway->settings.held_max;
    for (h2o_linklist_t *node = loop->connections.next; node != &loop->connections; node = node->next) {
        struct connection *connection = H2O_STRUCT_FROM_MEMBER(struct connection, link, node);
        if (connection->sock == NULL &&
            now - connection->moved_at_ms > loop->gateway->settings.request_timeout_ms) {
            cut(connection); /* the PROXY header does not come */
        }
        if (descriptor(connection) >= 0 && connection->sock != NULL) {
            if ((closely && is_overdue(connection, now)) || holds_too_much(connection, crowded)) {
                cut(connection);
            }
            if (closely) {
                end_refused_write(connection); /* may end it: its memory stays until libuv has closed it */
            }
        }
    }
}

void connections_close(struct gateway_loop *loop)
{
    for (h2o_linklist_t *node = loop->connections.next; node != &loop->connections; node = node->next) {
        cut(H2O_STRUCT_FROM_MEMBER(struct connection, link, node));
    }
}
