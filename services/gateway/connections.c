#include "libcommon/time.h"
#include "services/gateway/gateway.h"
#include "services/gateway/tcp.h"

#include <stdlib.h>

/* h2o 2.2 has one timer for a whole HTTP/1 request and none for answers that nobody reads, and it waits for
 * ever for writes that libuv refused because the peer had reset the connection. This file watches each
 * connection from outside instead: what TCP has moved (TCP_INFO), and whether half a request lies in the
 * buffer. */

/* A body may come as slowly as this: bytes per millisecond. */
#define SLOWEST 16

struct connection {
    h2o_linklist_t link;
    uv_tcp_t tcp;       /* its data is h2o's */
    h2o_socket_t *sock; /* h2o's; valid while tcp is not closing */
    struct gateway_loop *loop;
    uint64_t moved; /* bytes received and acknowledged at the last look */
    uint64_t moved_at_ms;
    bool refused;           /* at the last look h2o waited for a write that was never queued */
    uint64_t partial_at_ms; /* since when half a request waits for its rest; 0: none does */
};

static void on_closed(uv_handle_t *handle)
{
    struct connection *connection = H2O_STRUCT_FROM_MEMBER(struct connection, tcp, handle);
    h2o_linklist_unlink(&connection->link);
    atomic_fetch_sub_explicit(&connection->loop->gateway->connections, 1, memory_order_relaxed);
    free(connection);
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
    connection->sock = h2o_uv_socket_create((uv_stream_t *)&connection->tcp, on_closed);
    h2o_accept(&loop->accept, connection->sock);
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

static bool is_overdue(struct connection *connection, uint64_t now)
{
    const struct gateway_settings *settings = &connection->loop->gateway->settings;
    h2o_socket_t *sock = connection->sock;
    uint64_t still_ms = now - connection->moved_at_ms;
    bool reading = sock->_cb.read != NULL, writing = sock->_cb.write != NULL;
    size_t waiting = reading ? sock->input->size : 0;
    if (waiting == 0) {
        connection->partial_at_ms = 0;
    } else if (connection->partial_at_ms == 0) {
        connection->partial_at_ms = now;
    } else if (now - connection->partial_at_ms > settings->request_timeout_ms + waiting / SLOWEST ||
               still_ms > settings->request_timeout_ms) {
        return true;
    }
    bool waits_for_client = writing || (reading && !is_http2(sock)); /* h2o has a timer for idle HTTP/2 */
    uint64_t patience = waits_for_client ? settings->idle_timeout_ms
                                         : settings->idle_timeout_ms + 20 * settings->rpc_deadline_ms;
    return still_ms > patience;
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

void connections_sweep(struct gateway_loop *loop)
{
    uint64_t now = mirai_monotonic_ms();
    for (h2o_linklist_t *node = loop->connections.next; node != &loop->connections; node = node->next) {
        struct connection *connection = H2O_STRUCT_FROM_MEMBER(struct connection, link, node);
        int fd = descriptor(connection);
        if (fd >= 0 && connection->sock != NULL) {
            look_at_bytes(connection, fd, now);
            if (is_overdue(connection, now)) {
                cut(connection);
            }
            end_refused_write(connection); /* may end it: its memory stays until libuv has closed it */
        }
    }
}

void connections_close(struct gateway_loop *loop)
{
    for (h2o_linklist_t *node = loop->connections.next; node != &loop->connections; node = node->next) {
        cut(H2O_STRUCT_FROM_MEMBER(struct connection, link, node));
    }
}
