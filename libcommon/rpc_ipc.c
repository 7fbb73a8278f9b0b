#include "libcommon/log.h"
#include "libcommon/rpc_internal.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* The wire of nng's ipc transport, spoken on the loop's own thread: each side first sends 8 bytes {0 'S' 'P'
 * 0, protocol, 0 0}, then messages of {1, 64-bit length, payload}; a payload of REQ/REP begins with the
 * 32-bit request id (https://nng.nanomsg.org/man/v1.5.0/nng_ipc.7.html, nanomsg's rfc/sp-ipc-mapping). Peers
 * may be libnng sockets. */
#define GREETING_SIZE    8
#define HEAD_SIZE        9
#define BACKLOG          128
#define CONNECTIONS_MAX  512
#define READ_SIZE        (256u << 10)
#define RECONNECT_MIN_MS 10
#define RECONNECT_MAX_MS 200

/* Numbers of the greeting, by our side's protocol. */
static const struct {
    unsigned char own;
    unsigned char peer;
} protocols[] = {
    [RPC_PROTOCOL_REQ] = {0x30, 0x31},
    [RPC_PROTOCOL_REP] = {0x31, 0x30},
    [RPC_PROTOCOL_SUB] = {0x21, 0x20},
};

struct ipc_connection {
    struct rpc_list link; /* rpc_ipc.connections */
    struct rpc_ipc *ipc;
    uv_pipe_t pipe;
    uv_connect_t connect;
    uint32_t id;
    bool greeted; /* both greetings went well: `pipe` was told */
    bool closing;
    unsigned char head[GREETING_SIZE + HEAD_SIZE]; /* of what is being received */
    size_t head_len;
    nng_msg *msg;   /* being received */
    size_t msg_len; /* of its bytes are here */
};

struct rpc_ipc {
    struct rpc_socket *socket;
    uv_loop_t *loop;
    bool server;
    uv_pipe_t listener;    /* server */
    uv_timer_t reconnect;  /* client */
    uint64_t reconnect_ms; /* the next wait; 0 after a connection that went well */
    char path[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
    struct rpc_list connections;
    size_t connections_len;
    uint32_t last_id;
    int open_handles;
    char *buffer; /* READ_SIZE; used within one read callback */
};

struct ipc_write {
    uv_write_t request;
    struct ipc_connection *connection;
    nng_msg *msg; /* NULL: greeting */
};

static void dial_later(struct rpc_ipc *ipc);

static void handle_closed(struct rpc_ipc *ipc)
{
    if (--ipc->open_handles > 0) {
        return;
    }
    struct rpc_socket *socket = ipc->socket;
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
static void close_connection(struct ipc_connection *c)
{
    if (!c->closing) {
        c->closing = true;
        uv_close((uv_handle_t *)&c->pipe, on_connection_closed);
    }
}

/* ------------------------------------------------------------------ sending */

static void on_written(uv_write_t *request, int status)
{
    struct ipc_write *write = request->data;
    struct ipc_connection *c = write->connection;
    struct rpc_socket *socket = c->ipc->socket;
    if (write->msg != NULL) {
        nng_msg_free(write->msg);
    }
    free(write);
    if (status < 0) {
        close_connection(c);
    } else if (socket->waiting && !socket->closing && !c->closing) {
        socket->waiting = false;
        if (socket->events->writable != NULL) {
            socket->events->writable(socket->data);
        }
    }
}

/* Write now what the kernel takes, later the rest. The buffers' bytes live in msg, but for the first `copied`
 * bytes. */
static void write_all(struct ipc_connection *c, uv_buf_t *bufs, unsigned count, nng_msg *msg)
{
    size_t done = 0;
    if (uv_stream_get_write_queue_size((uv_stream_t *)&c->pipe) == 0) {
        int n = uv_try_write((uv_stream_t *)&c->pipe, bufs, count);
        done = n > 0 ? (size_t)n : 0;
    }
    while (count > 0 && done >= bufs->len) {
        done -= bufs->len;
        bufs++;
        count--;
    }
    if (count == 0) {
        nng_msg_free(msg);
        return;
    }
    bufs->base += done;
    bufs->len -= done;
    struct ipc_write *write = mirai_alloc(sizeof(*write));
    write->connection = c;
    write->msg = msg;
    write->request.data = write;
    if (uv_write(&write->request, (uv_stream_t *)&c->pipe, bufs, count, on_written) != 0) {
        nng_msg_free(msg);
        free(write);
        close_connection(c);
    }
}

/* The message's header holds what precedes its body: the length goes before it there, so that all bytes live
 * in msg. */
static void send_message(struct ipc_connection *c, nng_msg *msg, uint32_t request_id)
{
    unsigned char head[HEAD_SIZE + 4];
    uint64_t len = nng_msg_len(msg) + 4;
    head[0] = 1;
    rpc_put_u32(head + 1, (uint32_t)(len >> 32));
    rpc_put_u32(head + 5, (uint32_t)len);
    rpc_put_u32(head + 9, request_id);
    nng_msg_header_clear(msg);
    if (nng_msg_header_append(msg, head, sizeof(head)) != 0) {
        abort(); /* nng keeps 64 bytes for headers */
    }
    uv_buf_t bufs[2] = {uv_buf_init(nng_msg_header(msg), sizeof(head)),
                        uv_buf_init(nng_msg_body(msg), (unsigned)nng_msg_len(msg))};
    write_all(c, bufs, 2, msg);
}

static struct ipc_connection *find_connection(struct rpc_ipc *ipc, uint32_t id)
{
    for (struct rpc_list *node = ipc->connections.next; node != &ipc->connections; node = node->next) {
        struct ipc_connection *c = RPC_LIST_OWNER(node, struct ipc_connection, link);
        if (c->greeted && !c->closing && (id == 0 || c->id == id)) {
            return c;
        }
    }
    return NULL;
}

bool rpc_ipc_ready(struct rpc_ipc *ipc)
{
    struct ipc_connection *c = find_connection(ipc, 0);
    if (c != NULL && uv_stream_get_write_queue_size((uv_stream_t *)&c->pipe) == 0) {
        return true;
    }
    ipc->socket->waiting = c != NULL; /* a new connection begins with nothing queued */
    return false;
}

int rpc_ipc_send(struct rpc_ipc *ipc, nng_msg *msg)
{
    uint32_t pipe = 0;
    uint32_t request_id;
    if (ipc->server) {
        nng_msg_header_trim_u32(msg, &pipe);
    }
    nng_msg_header_trim_u32(msg, &request_id);
    struct ipc_connection *c = find_connection(ipc, pipe);
    if (c == NULL && !ipc->server) {
        return MIRAI_E_UNAVAILABLE;
    }
    if (c == NULL) {
        nng_msg_free(msg); /* to a client that has just gone */
        return 0;
    }
    send_message(c, msg, request_id);
    return 0;
}

/* ------------------------------------------------------------------ receiving */

static void greet(struct ipc_connection *c)
{
    unsigned char greeting[GREETING_SIZE] = {0, 'S', 'P', 0, 0, protocols[c->ipc->socket->protocol].own};
    uv_buf_t buf = uv_buf_init((char *)greeting, sizeof(greeting));
    if (uv_try_write((uv_stream_t *)&c->pipe, &buf, 1) !=
        GREETING_SIZE) { /* nothing was written before: it fits */
        close_connection(c);
    }
}

static bool greeting_valid(const struct ipc_connection *c)
{
    const unsigned char expected[GREETING_SIZE] = {0, 'S', 'P',
                                                   0, 0,   protocols[c->ipc->socket->protocol].peer};
    return memcmp(c->head, expected, GREETING_SIZE) == 0;
}

/* Header as a raw socket of nng gives it: {pipe, id} (REP) or {id} (REQ). False: the peer talks nonsense. */
static bool take_header(struct ipc_connection *c, nng_msg *msg)
{
    uint32_t id;
    if (c->ipc->socket->protocol == RPC_PROTOCOL_SUB) {
        return true;
    }
    if (nng_msg_trim_u32(msg, &id) != 0 || (id & 0x80000000u) == 0) { /* without: came through a device */
        return false;
    }
    if (c->ipc->server) {
        nng_msg_header_append_u32(msg, c->id);
    }
    nng_msg_header_append_u32(msg, id);
    return true;
}

static void deliver(struct ipc_connection *c)
{
    struct rpc_socket *socket = c->ipc->socket;
    nng_msg *msg = c->msg;
    c->msg = NULL;
    c->msg_len = 0;
    if (!take_header(c, msg)) {
        nng_msg_free(msg);
        close_connection(c);
        return;
    }
    nng_msg_set_pipe(msg, (nng_pipe){.id = c->id});
    socket->events->message(socket->data, msg);
}

/* The head is complete: the message begins. False: the peer talks nonsense. */
static bool begin_message(struct ipc_connection *c)
{
    uint64_t len = 0;
    for (size_t i = 1; i < HEAD_SIZE; i++) {
        len = len << 8 | c->head[i];
    }
    if (c->head[0] != 1 || len > MIRAI_RPC_FRAME_MAX + 4096) {
        return false;
    }
    if (nng_msg_alloc(&c->msg, len) != 0) {
        abort(); /* as every allocation */
    }
    c->head_len = 0;
    c->msg_len = 0;
    if (len == 0) {
        deliver(c);
    }
    return true;
}

static size_t take_head(struct ipc_connection *c, size_t size, const char *bytes, size_t len)
{
    size_t n = size - c->head_len < len ? size - c->head_len : len;
    memcpy(c->head + c->head_len, bytes, n);
    c->head_len += n;
    return n;
}

/* Consume bytes up to the next border. Returns how many, or SIZE_MAX when the connection is to be closed. */
static size_t consume(struct ipc_connection *c, const char *bytes, size_t len)
{
    struct rpc_socket *socket = c->ipc->socket;
    if (!c->greeted) {
        size_t n = take_head(c, GREETING_SIZE, bytes, len);
        if (c->head_len == GREETING_SIZE) {
            if (!greeting_valid(c)) {
                return SIZE_MAX;
            }
            c->head_len = 0;
            c->greeted = true;
            c->ipc->reconnect_ms = 0;
            socket->waiting = false;
            socket->events->pipe(socket->data, c->id, true);
        }
        return n;
    }
    if (c->msg == NULL) {
        size_t n = take_head(c, HEAD_SIZE, bytes, len);
        return c->head_len < HEAD_SIZE || begin_message(c) ? n : SIZE_MAX;
    }
    size_t left = nng_msg_len(c->msg) - c->msg_len;
    size_t n = left < len ? left : len;
    memcpy((char *)nng_msg_body(c->msg) + c->msg_len, bytes, n);
    c->msg_len += n;
    if (n == left) {
        deliver(c);
    }
    return n;
}

/* What is left of a large message is read into its place. */
static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct ipc_connection *c = handle->data;
    (void)suggested;
    if (c->msg != NULL && nng_msg_len(c->msg) - c->msg_len >= READ_SIZE) {
        *buf = uv_buf_init((char *)nng_msg_body(c->msg) + c->msg_len,
                           (unsigned)(nng_msg_len(c->msg) - c->msg_len));
    } else {
        *buf = uv_buf_init(c->ipc->buffer, READ_SIZE);
    }
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct ipc_connection *c = stream->data;
    if (n < 0) {
        close_connection(c);
        return;
    }
    if (buf->base != c->ipc->buffer) {
        c->msg_len += (size_t)n;
        if (c->msg_len == nng_msg_len(c->msg)) {
            deliver(c);
        }
        return;
    }
    for (size_t at = 0; at < (size_t)n && !c->closing && !c->ipc->socket->closing;) {
        size_t used = consume(c, buf->base + at, (size_t)n - at);
        if (used == SIZE_MAX) {
            close_connection(c);
            return;
        }
        at += used;
    }
}

static struct ipc_connection *add_connection(struct rpc_ipc *ipc)
{
    struct ipc_connection *c = mirai_alloc(sizeof(*c));
    c->ipc = ipc;
    c->id = ++ipc->last_id;
    c->pipe.data = c;
    uv_pipe_init(ipc->loop, &c->pipe, 0);
    rpc_list_append(&ipc->connections, &c->link);
    ipc->connections_len++;
    ipc->open_handles++;
    return c;
}

static void begin_talk(struct ipc_connection *c)
{
    greet(c);
    if (!c->closing && uv_read_start((uv_stream_t *)&c->pipe, on_alloc, on_read) != 0) {
        close_connection(c);
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
        close_connection(c);
    }
}

static void on_reconnect(uv_timer_t *timer)
{
    struct rpc_ipc *ipc = timer->data;
    struct ipc_connection *c = add_connection(ipc);
    c->connect.data = c;
    uv_pipe_connect(&c->connect, &c->pipe, ipc->path, on_connected);
}

static void dial_later(struct rpc_ipc *ipc)
{
    uint64_t ms = ipc->reconnect_ms;
    ipc->reconnect_ms = ms == 0 ? RECONNECT_MIN_MS : 2 * ms < RECONNECT_MAX_MS ? 2 * ms : RECONNECT_MAX_MS;
    uv_timer_start(&ipc->reconnect, on_reconnect, ms, 0);
}

/* ------------------------------------------------------------------ server */

static void on_incoming(uv_stream_t *listener, int status)
{
    struct rpc_ipc *ipc = listener->data;
    if (status < 0) {
        return; /* such as out of descriptors: libuv tries again */
    }
    struct ipc_connection *c = add_connection(ipc);
    if (uv_accept(listener, (uv_stream_t *)&c->pipe) != 0 || ipc->connections_len > CONNECTIONS_MAX) {
        close_connection(c);
        return;
    }
    begin_talk(c);
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

/* bind(2), then the mode, then listen(2): no one else can connect in between. */
static int listen_at(struct rpc_ipc *ipc)
{
    int err = uv_pipe_bind(&ipc->listener, ipc->path);
    if (err == UV_EADDRINUSE && is_stale(ipc->path)) {
        unlink(ipc->path);
        err = uv_pipe_bind(&ipc->listener, ipc->path);
    }
    if (err == 0 && chmod(ipc->path, 0660) != 0) {
        err = uv_translate_sys_error(errno);
    }
    if (err == 0) {
        err = uv_listen((uv_stream_t *)&ipc->listener, BACKLOG, on_incoming);
    }
    return err;
}

/* ------------------------------------------------------------------ life */

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

int rpc_ipc_open(struct rpc_socket *socket, uv_loop_t *loop, const char *path)
{
    struct rpc_ipc *ipc = mirai_alloc(sizeof(*ipc));
    if (strlen(path) >= sizeof(ipc->path)) {
        free(ipc);
        return UV_ENAMETOOLONG;
    }
    ignore_broken_pipes();
    strcpy(ipc->path, path);
    ipc->socket = socket;
    ipc->loop = loop;
    ipc->server = socket->protocol == RPC_PROTOCOL_REP;
    ipc->buffer = mirai_alloc(READ_SIZE);
    rpc_list_init(&ipc->connections);
    uv_pipe_init(loop, &ipc->listener, 0);
    uv_timer_init(loop, &ipc->reconnect);
    ipc->listener.data = ipc;
    ipc->reconnect.data = ipc;
    ipc->open_handles = 2;
    socket->ipc = ipc;
    if (ipc->server) {
        return listen_at(ipc);
    }
    dial_later(ipc);
    return 0;
}

void rpc_ipc_drop(struct rpc_ipc *ipc, uint32_t pipe)
{
    struct ipc_connection *c = find_connection(ipc, pipe);
    if (c != NULL) {
        close_connection(c);
    }
}

void rpc_ipc_close(struct rpc_ipc *ipc)
{
    for (struct rpc_list *node = ipc->connections.next; node != &ipc->connections; node = node->next) {
        close_connection(RPC_LIST_OWNER(node, struct ipc_connection, link));
    }
    uv_close((uv_handle_t *)&ipc->listener, on_handle_closed); /* removes the file */
    uv_close((uv_handle_t *)&ipc->reconnect, on_handle_closed);
}
