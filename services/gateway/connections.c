#include "libcommon/log.h"
#include "libcommon/time.h"
#include "services/gateway/addresses.h"
#include "services/gateway/gateway.h"
#include "services/gateway/h2_guard.h"
#include "services/gateway/proxied.h"
#include "services/gateway/tcp.h"

#include <h2o/http1.h>
#include <h2o/http2.h>
#include <h2o/http2_internal.h>
#include <stdlib.h>

/* h2o 2.2 has one timer for a whole HTTP/1 request and none for bodies on HTTP/2 streams or for answers that nobody
 * reads, it waits for ever for writes that libuv refused because the peer had reset the connection, and it takes whole
 * bodies before any handler sees the request. This file watches each connection from outside instead: what TCP has
 * moved (TCP_INFO), whether half a request lies in the buffer, how long the oldest stream's body takes, how many
 * bytes of unfinished requests there are, and how many of answers that nobody takes. */

/* A body may come as slowly as this: bytes per millisecond. */
#define SLOWEST     16

#define HELD_SPARE  (size_t)(16u << 20)  /* bytes that a connection may hold beyond its largest request */
#define HELD_SMALL  (size_t)(256u << 10) /* who holds no more goes on when all together hold too much */

#define FAREWELL_MS 100  /* between the GOAWAY for a flood and the end */
#define LOG_MS      1000 /* floods are logged at most so often on each loop */

struct connection {
    h2o_linklist_t link;
    uv_tcp_t tcp;       /* its data is h2o's */
    h2o_socket_t *sock; /* h2o's; valid while tcp is not closing; NULL while the PROXY header has not come */
    struct proxied *proxied;   /* waits for it; or NULL */
    h2o_timeout_entry_t begin; /* then HTTP begins in the next turn of the loop */
    struct gateway_loop *loop;
    struct sockaddr_storage peer; /* or whom the PROXY header names, … */
    socklen_t proxied_len;        /* … and then its size */
    int place;                    /* of the peer in gateway->addresses, -1: not counted */
    struct timeval accepted_at;
    uint64_t accepted_ms;
    SSL_CTX *tls; /* h2o keeps a pointer to it until the first bytes come: a reload must not free it */
    bool handshaking;
    bool http2;
    struct h2_guard guard; /* when http2 */
    uint64_t moved;        /* bytes received and acknowledged at the last look */
    uint64_t moved_at_ms;
    bool refused;           /* at the last look h2o waited for a write that was never queued */
    uint64_t partial_at_ms; /* since when half a request waits for its rest; 0: none does */
    const char *partial;    /* where it begins: moves when h2o has consumed something */
    size_t held;            /* bytes of unfinished requests and unread answers */
    uint32_t stream;        /* HTTP/2: the oldest stream whose request is not complete; 0: there is none */
    size_t stream_held;     /* bytes of its body */
    uint32_t stream_before; /* the same at the look before */
    uint64_t stream_at_ms;  /* since when it is the oldest */
    size_t unread;          /* HTTP/2: bytes of answers that wait for the client to make room … */
    size_t unread_before;   /* … at the look before */
    uint64_t unread_at_ms;  /* since when they are the same */
};

/* ------------------------------------------------------------------ coming and going */

static void log_flood(struct connection *connection)
{
    struct gateway_loop *loop = connection->loop;
    uint64_t now = mirai_monotonic_ms();
    loop->floods++;
    if (loop->flood_logged_ms != 0 && now - loop->flood_logged_ms < LOG_MS) {
        return;
    }
    char address[INET6_ADDRSTRLEN];
    uv_ip_name((const struct sockaddr *)&connection->peer, address, sizeof(address));
    mirai_log(WARNING, "ended HTTP/2 connections for a flood", MIRAI_LOG_Z("address", address),
              MIRAI_LOG_Z("kind", h2_verdict_name(connection->guard.verdict)),
              MIRAI_LOG_I("connections", loop->floods));
    loop->flood_logged_ms = now;
    loop->floods = 0;
}

static void end_handshake(struct connection *connection)
{
    if (connection->handshaking) {
        connection->handshaking = false;
        atomic_fetch_sub_explicit(&connection->loop->gateway->handshakes, 1, memory_order_relaxed);
    }
}

static void on_closed(uv_handle_t *handle)
{
    struct connection *connection = H2O_STRUCT_FROM_MEMBER(struct connection, tcp, handle);
    struct gateway *gateway = connection->loop->gateway;
    end_handshake(connection);
    if (connection->guard.verdict != H2_FINE) {
        mirai_counter_add(gateway->metrics.floods[connection->guard.verdict], 1);
        log_flood(connection);
    }
    if (connection->place >= 0) {
        if (connection->guard.verdict != H2_FINE) {
            addresses_flooded(gateway->addresses, connection->place, mirai_monotonic_ms());
        }
        addresses_leave(gateway->addresses, connection->place);
    }
    atomic_fetch_sub_explicit(&gateway->held, connection->held, memory_order_relaxed);
    h2o_linklist_unlink(&connection->link);
    proxied_free(connection->proxied);
    h2o_timeout_unlink(&connection->begin);
    SSL_CTX_free(connection->tls);
    atomic_fetch_sub_explicit(&gateway->connections, 1, memory_order_relaxed);
    free(connection);
}

static bool selected_http2(h2o_socket_t *sock)
{
    h2o_iovec_t protocol = h2o_socket_ssl_get_selected_protocol(sock);
    return protocol.len == 2 && memcmp(protocol.base, "h2", 2) == 0;
}

static void on_handshake(h2o_socket_t *sock, const char *err)
{
    struct connection *connection = sock->data;
    struct gateway_loop *loop = connection->loop;
    const struct gateway_settings *settings = &loop->gateway->settings;
    end_handshake(connection);
    if (err != NULL) {
        h2o_socket_close(sock);
        return;
    }
    connection->http2 = selected_http2(sock);
    if (connection->http2) {
        h2_guard_accept(&connection->guard, &loop->accept, sock, connection->accepted_at,
                        settings->http2_resets, settings->http2_frames);
    } else {
        h2o_http1_accept(&loop->accept, sock, connection->accepted_at);
    }
}

/* As h2o_accept() does it, but to be seen from here: handshakes are counted, and HTTP/2 begins behind the guard. */
static void start_handshake(struct connection *connection)
{
    struct gateway_loop *loop = connection->loop;
    connection->sock = h2o_uv_socket_create((uv_stream_t *)&connection->tcp, on_closed);
    if (connection->proxied_len > 0) {
        h2o_socket_setpeername(connection->sock, (struct sockaddr *)&connection->peer,
                               connection->proxied_len);
    }
    connection->handshaking = true;
    connection->accepted_ms = mirai_monotonic_ms();
    atomic_fetch_add_explicit(&loop->gateway->handshakes, 1, memory_order_relaxed);
    connection->tls = loop->accept.ssl_ctx;
    SSL_CTX_up_ref(connection->tls);
    connection->sock->data = connection;
    h2o_socket_ssl_handshake(connection->sock, connection->tls, NULL, on_handshake);
}

static void refuse(struct connection *connection, enum gateway_refusal refusal)
{
    mirai_counter_add(connection->loop->gateway->metrics.refused[refusal], 1);
    if (uv_tcp_close_reset(&connection->tcp, on_closed) != 0) { /* leaves nothing behind in the kernel */
        uv_close((uv_handle_t *)&connection->tcp, on_closed);
    }
}

static enum gateway_refusal count_peer(struct connection *connection)
{
    connection->place = addresses_enter(connection->loop->gateway->addresses,
                                        (const struct sockaddr *)&connection->peer, mirai_monotonic_ms());
    return connection->place >= 0 ? GATEWAY_ADMITTED : GATEWAY_REFUSED_ADDRESS;
}

/* Whether there is room for one more. Those that have not shown who they are may take half of it. */
static enum gateway_refusal admit(struct connection *connection, int open)
{
    struct gateway *gateway = connection->loop->gateway;
    const struct gateway_settings *settings = &gateway->settings;
    int size = sizeof(connection->peer);
    if (uv_accept((uv_stream_t *)&connection->loop->listener, (uv_stream_t *)&connection->tcp) != 0 ||
        uv_tcp_getpeername(&connection->tcp, (struct sockaddr *)&connection->peer, &size) != 0) {
        return GATEWAY_REFUSED_GONE;
    }
    if (open >= settings->connections_max) {
        return GATEWAY_REFUSED_FULL;
    }
    if (atomic_load_explicit(&gateway->handshakes, memory_order_relaxed) >=
        (settings->connections_max + 1) / 2) {
        return GATEWAY_REFUSED_HANDSHAKES;
    }
    struct address peer = address_of_socket((const struct sockaddr *)&connection->peer);
    if (proxies_trust(&settings->proxies, &peer)) {
        return GATEWAY_ADMITTED; /* brings many clients */
    }
    /* Anyone else could say whatever address. */
    return settings->proxy_protocol ? GATEWAY_REFUSED_PROXY : count_peer(connection);
}

static void on_begin(h2o_timeout_entry_t *begin)
{
    start_handshake(H2O_STRUCT_FROM_MEMBER(struct connection, begin, begin));
}

static void on_proxied(void *data, const struct address *client)
{
    struct connection *connection = data;
    struct gateway_loop *loop = connection->loop;
    struct proxied *proxied = connection->proxied;
    enum gateway_refusal refusal = client == NULL ? GATEWAY_REFUSED_PROXY : GATEWAY_ADMITTED;
    connection->proxied = NULL;
    if (client != NULL && address_known(client)) {
        connection->proxied_len = address_to_socket(client, &connection->peer);
        refusal = count_peer(connection);
    }
    if (refusal != GATEWAY_ADMITTED) {
        refuse(connection, refusal);
    } else {
        /* Not within libuv's reading: it would go on, find nothing yet, and h2o takes a read of 0 bytes for the end. */
        connection->begin.cb = on_begin;
        h2o_timeout_link(loop->http.loop, &loop->http.zero_timeout, &connection->begin);
    }
    proxied_free(proxied);
}

void connections_accept(struct gateway_loop *loop)
{
    struct gateway *gateway = loop->gateway;
    struct connection *connection = mirai_alloc(sizeof(*connection));
    int open = atomic_fetch_add_explicit(&gateway->connections, 1, memory_order_relaxed);
    connection->loop = loop;
    connection->place = -1;
    connection->moved_at_ms = mirai_monotonic_ms();
    connection->accepted_at = *h2o_get_timestamp(&loop->http, NULL, NULL);
    uv_tcp_init(&loop->uv, &connection->tcp);
    h2o_linklist_insert(&loop->connections, &connection->link);
    enum gateway_refusal refusal = admit(connection, open);
    if (refusal != GATEWAY_ADMITTED) {
        refuse(connection, refusal);
        return;
    }
    uv_tcp_nodelay(&connection->tcp, 1);
    if (!gateway->settings.proxy_protocol) {
        start_handshake(connection);
        return;
    }
    connection->proxied = proxied_read(&connection->tcp, on_proxied, connection);
    if (connection->proxied == NULL) {
        refuse(connection, GATEWAY_REFUSED_GONE);
    }
}

/* ------------------------------------------------------------------ looking at them */

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

static size_t size_of_head(const h2o_req_t *req)
{
    size_t size = req->headers.size * sizeof(req->headers.entries[0]);
    for (size_t i = 0; i < req->headers.size; i++) {
        size += req->headers.entries[i].name->len + req->headers.entries[i].value.len;
    }
    return size;
}

static size_t size_of_answer(const h2o_http2_stream_t *stream)
{
    size_t size = 0;
    for (size_t i = 0; i < stream->_data.size; i++) {
        size += stream->_data.entries[i].len;
    }
    return size;
}

/* A request on an HTTP/2 stream: what there is of it while it is not complete, then of its answer. */
static int look_at_stream(h2o_req_t *req, void *data)
{
    const h2o_http2_stream_t *stream = H2O_STRUCT_FROM_MEMBER(h2o_http2_stream_t, req, req);
    struct h2_guard *guard = req->conn->callbacks->get_socket(req->conn)->on_close.data;
    struct connection *connection = H2O_STRUCT_FROM_MEMBER(struct connection, guard, guard);
    (void)data;
    if (stream->state > H2O_HTTP2_STREAM_STATE_RECV_BODY) {
        size_t unread = size_of_answer(stream);
        connection->unread += unread;
        connection->held += unread;
        return 0;
    }
    size_t held = stream->_req_body != NULL ? stream->_req_body->size : 0;
    connection->held += held + size_of_head(req);
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
        connection->partial_at_ms == 0 || (connection->http2 && sock->input->bytes != connection->partial);
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
    if (connection->handshaking) {
        return now - connection->accepted_ms > settings->request_timeout_ms;
    }
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
    if (connection->unread != 0 && now - connection->unread_at_ms > settings->idle_timeout_ms) {
        return true; /* whatever else it sends meanwhile */
    }
    bool waits_for_client = writing || (reading && !connection->http2); /* h2o has a timer for idle HTTP/2 */
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
        connection->unread = 0;
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
        if (connection->unread == 0 || connection->unread != connection->unread_before) {
            connection->unread_before = connection->unread;
            connection->unread_at_ms = now;
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
            bool flooded = connection->guard.verdict != H2_FINE &&
                           uv_now(&loop->uv) - connection->guard.ended_ms > FAREWELL_MS;
            if (flooded || (closely && is_overdue(connection, now)) || holds_too_much(connection, crowded)) {
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
