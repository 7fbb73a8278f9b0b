#include "libcommon/log.h"
#include "libcommon/metrics.h"
#include "libcommon/rpc_internal.h"
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

/* The wire of nng's ipc transport, spoken on the loop's own thread: each side first sends 8 bytes {0 'S' 'P'
 * 0, protocol, 0 0}, then messages of {1, 64-bit length, payload}; a payload of REQ/REP begins with the
 * 32-bit request id (https://nng.nanomsg.org/man/v1.5.0/nng_ipc.7.html, nanomsg's rfc/sp-ipc-mapping). Peers
 * may be libnng sockets. tls+tcp:// carries the same bytes inside TLS. */
#define GREETING_SIZE    8
#define HEAD_SIZE        9
#define BACKLOG          128
#define CONNECTIONS_MAX  512
#define READ_SIZE        (256u << 10)
#define RECONNECT_MIN_MS 10
#define RECONNECT_MAX_MS 200
#define GREETING_MS      5000      /* from the beginning of a connection to the peer's greeting */
#define SWEEP_MS         500       /* between looks for connections that do not greet */
#define REFUSED_LOG_MS   10000     /* between lines about those turned away */
#define PLAIN_SIZE       16384     /* of a TLS record (RFC 8446 §5.1) */
#define KEEPALIVE_S      10        /* silence after which TCP asks whether the other host is there */
#define LOST_MS          10000     /* without an acknowledgement: the host is gone (RFC 5482) */
#define SUBSCRIBER_MAX   (1 << 20) /* bytes for a subscriber that does not read; then it misses some */

/* Numbers of the greeting, by our side's protocol. */
static const struct {
    unsigned char own;
    unsigned char peer;
} protocols[] = {
    [RPC_PROTOCOL_REQ] = {0x30, 0x31},
    [RPC_PROTOCOL_REP] = {0x31, 0x30},
    [RPC_PROTOCOL_SUB] = {0x21, 0x20},
    [RPC_PROTOCOL_PUB] = {0x20, 0x21},
};

struct ipc_connection {
    struct rpc_list link; /* rpc_ipc.connections */
    struct rpc_ipc *ipc;
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_pipe_t pipe;
        uv_tcp_t tcp;
    } at;
    uv_connect_t connect;
    struct rpc_tls *tls; /* NULL: ipc */
    uint64_t started_ms;
    uint32_t id;
    uint32_t peers; /* who it is: a set of rpc_peers.h */
    bool secure;    /* the handshake went well */
    bool greeted;   /* both greetings went well: `pipe` was told */
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
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_pipe_t pipe;
        uv_tcp_t tcp;
    } listener;                  /* server */
    uv_timer_t timer;            /* server: sweeps; client: until the next try, then until the greeting */
    uint64_t reconnect_ms;       /* the next wait; 0 after a connection that went well */
    struct rpc_tls_context *tls; /* NULL: ipc */
    uv_getaddrinfo_t resolve;
    bool resolving;
    char host[256]; /* tls+tcp */
    char port[6];
    char path[sizeof(((struct sockaddr_un *)NULL)->sun_path)]; /* ipc */
    uint64_t refused_ms;                                       /* when a refusal was last logged */
    struct mirai_counter *refused;
    struct rpc_list connections;
    size_t connections_len;
    uint32_t last_id;
    int open_handles;
    char *buffer; /* READ_SIZE; used within one read callback */
};

struct ipc_write {
    uv_write_t request;
    struct ipc_connection *connection;
    nng_msg *msg; /* whose bytes are written, or NULL: */
    char bytes[]; /* these */
};

static void dial_later(struct rpc_ipc *ipc);
static void greet(struct ipc_connection *c);

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
static void close_connection(struct ipc_connection *c)
{
    if (!c->closing) {
        c->closing = true;
        uv_close(&c->at.handle, on_connection_closed);
    }
}

/* Turned away at the door. Whoever keeps knocking does not fill the log. */
static void refuse(struct ipc_connection *c, const char *why, struct mirai_str who)
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
    close_connection(c);
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

/* Write what TLS has made: now what the kernel takes, later the rest. */
static void flush_tls(struct ipc_connection *c)
{
    size_t len = rpc_tls_pending(c->tls);
    if (len == 0 || c->closing) {
        return;
    }
    struct ipc_write *write = mirai_alloc(sizeof(*write) + len);
    rpc_tls_take(c->tls, write->bytes, len);
    uv_buf_t buf = uv_buf_init(write->bytes, (unsigned)len);
    if (uv_stream_get_write_queue_size(&c->at.stream) == 0) {
        int n = uv_try_write(&c->at.stream, &buf, 1);
        buf.base += n > 0 ? n : 0;
        buf.len -= n > 0 ? (size_t)n : 0;
    }
    if (buf.len == 0) {
        free(write);
        return;
    }
    write->connection = c;
    write->request.data = write;
    if (uv_write(&write->request, &c->at.stream, &buf, 1, on_written) != 0) {
        free(write);
        close_connection(c);
    }
}

static void write_tls(struct ipc_connection *c, const uv_buf_t *bufs, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (!rpc_tls_write(c->tls, bufs[i].base, bufs[i].len)) {
            close_connection(c);
            return;
        }
    }
    flush_tls(c);
}

/* Write now what the kernel takes, later the rest. The buffers' bytes live in msg. */
static void write_all(struct ipc_connection *c, uv_buf_t *bufs, unsigned count, nng_msg *msg)
{
    size_t done = 0;
    if (c->tls != NULL) {
        write_tls(c, bufs, count);
        nng_msg_free(msg);
        return;
    }
    if (uv_stream_get_write_queue_size(&c->at.stream) == 0) {
        int n = uv_try_write(&c->at.stream, bufs, count);
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
    if (uv_write(&write->request, &c->at.stream, bufs, count, on_written) != 0) {
        nng_msg_free(msg);
        free(write);
        close_connection(c);
    }
}

static void put_head(unsigned char head[HEAD_SIZE], uint64_t len)
{
    head[0] = 1;
    rpc_put_u32(head + 1, (uint32_t)(len >> 32));
    rpc_put_u32(head + 5, (uint32_t)len);
}

/* The message's header holds what precedes its body: the length goes before it there, so that all bytes live
 * in msg. */
static void send_message(struct ipc_connection *c, nng_msg *msg, uint32_t request_id)
{
    unsigned char head[HEAD_SIZE + 4];
    put_head(head, nng_msg_len(msg) + 4);
    rpc_put_u32(head + HEAD_SIZE, request_id);
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
    if (c != NULL && uv_stream_get_write_queue_size(&c->at.stream) == 0) {
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

static void publish_to(struct ipc_connection *c, struct mirai_str bytes)
{
    unsigned char head[HEAD_SIZE];
    nng_msg *msg;
    if (uv_stream_get_write_queue_size(&c->at.stream) > SUBSCRIBER_MAX) {
        return;
    }
    put_head(head, bytes.len);
    if (nng_msg_alloc(&msg, 0) != 0 || nng_msg_append(msg, bytes.data, bytes.len) != 0 ||
        nng_msg_header_append(msg, head, sizeof(head)) != 0) {
        abort(); /* as every allocation */
    }
    uv_buf_t bufs[2] = {uv_buf_init(nng_msg_header(msg), sizeof(head)),
                        uv_buf_init(nng_msg_body(msg), (unsigned)nng_msg_len(msg))};
    write_all(c, bufs, 2, msg);
}

void rpc_ipc_broadcast(struct rpc_ipc *ipc, struct mirai_str bytes)
{
    for (struct rpc_list *node = ipc->connections.next; node != &ipc->connections; node = node->next) {
        struct ipc_connection *c = RPC_LIST_OWNER(node, struct ipc_connection, link);
        if (c->greeted && !c->closing) {
            publish_to(c, bytes);
        }
    }
}

uint32_t rpc_ipc_peers(const struct rpc_ipc *ipc, uint32_t pipe)
{
    for (struct rpc_list *node = ipc->connections.next; node != &ipc->connections; node = node->next) {
        const struct ipc_connection *c = RPC_LIST_OWNER(node, struct ipc_connection, link);
        if (c->id == pipe) {
            return c->peers;
        }
    }
    return MIRAI_PEERS_NONE;
}

/* ------------------------------------------------------------------ receiving */

static void greet(struct ipc_connection *c)
{
    unsigned char greeting[GREETING_SIZE] = {0, 'S', 'P', 0, 0, protocols[c->ipc->socket->protocol].own};
    uv_buf_t buf = uv_buf_init((char *)greeting, sizeof(greeting));
    if (c->tls != NULL) {
        write_tls(c, &buf, 1);
        return;
    }
    if (uv_try_write(&c->at.stream, &buf, 1) != GREETING_SIZE) { /* nothing was written before: it fits */
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
    if (c->ipc->socket->protocol == RPC_PROTOCOL_PUB) { /* subscribers have nothing to say */
        return false;
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
            if (!c->ipc->server) {
                uv_timer_stop(&c->ipc->timer);
            }
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
    if (c->tls == NULL && c->msg != NULL && nng_msg_len(c->msg) - c->msg_len >= READ_SIZE) {
        *buf = uv_buf_init((char *)nng_msg_body(c->msg) + c->msg_len,
                           (unsigned)(nng_msg_len(c->msg) - c->msg_len));
    } else {
        *buf = uv_buf_init(c->ipc->buffer, READ_SIZE);
    }
}

static void take_bytes(struct ipc_connection *c, const char *bytes, size_t len)
{
    for (size_t at = 0; at < len && !c->closing && !c->ipc->socket->closing;) {
        size_t used = consume(c, bytes + at, len - at);
        if (used == SIZE_MAX) {
            close_connection(c);
            return;
        }
        at += used;
    }
}

/* The certificate is good; whose is it? A client wants the service that it dialed. */
static bool known_certificate(struct ipc_connection *c)
{
    const struct rpc_guard *guard = &c->ipc->socket->guard;
    char name[RPC_TLS_NAME_SIZE];
    rpc_tls_peer(c->tls, name);
    bool known = true;
    if (c->ipc->server) {
        c->peers = guard->security->peers != NULL
                       ? mirai_peers_of_name(guard->security->peers, mirai_str(name))
                       : MIRAI_PEERS_TRUSTED;
        known = c->peers != MIRAI_PEERS_NONE;
    } else {
        known = guard->service == NULL || strcmp(name, guard->service) == 0;
    }
    if (!known) {
        refuse(c, "the certificate has another name", mirai_str(name));
    }
    return known;
}

static void take_ciphertext(struct ipc_connection *c, const char *bytes, size_t len)
{
    char plain[PLAIN_SIZE];
    size_t n;
    rpc_tls_feed(c->tls, bytes, len);
    if (!c->secure) {
        const char *why = "";
        enum rpc_tls_result result = rpc_tls_handshake(c->tls, &why);
        flush_tls(c); /* also the alert that says why not */
        if (result == RPC_TLS_FAILED) {
            refuse(c, why, (struct mirai_str){0});
        }
        if (result != RPC_TLS_DONE || c->closing || !known_certificate(c)) {
            return;
        }
        c->secure = true;
        greet(c);
    }
    while (!c->closing && !c->ipc->socket->closing) {
        enum rpc_tls_result result = rpc_tls_read(c->tls, plain, sizeof(plain), &n);
        if (result == RPC_TLS_FAILED) {
            close_connection(c);
        }
        if (result != RPC_TLS_DONE) {
            break;
        }
        take_bytes(c, plain, n);
    }
    flush_tls(c); /* such as a key update's answer */
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
    if (c->tls != NULL) {
        take_ciphertext(c, buf->base, (size_t)n);
    } else {
        take_bytes(c, buf->base, (size_t)n);
    }
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
        refuse(c, "unknown user", mirai_str(text));
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
        close_connection(c);
        return;
    }
    rpc_tls_handshake(c->tls, &why); /* a client's first flight */
    flush_tls(c);
}

static void begin_talk(struct ipc_connection *c)
{
    if (c->ipc->tls != NULL) {
        begin_tls(c);
    } else if (known_user(c)) {
        greet(c);
    }
    if (!c->closing && uv_read_start(&c->at.stream, on_alloc, on_read) != 0) {
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

/* The newest connection has not come to a greeting in time. */
static void on_silence(uv_timer_t *timer)
{
    struct rpc_ipc *ipc = timer->data;
    for (struct rpc_list *node = ipc->connections.next; node != &ipc->connections; node = node->next) {
        struct ipc_connection *c = RPC_LIST_OWNER(node, struct ipc_connection, link);
        if (!c->greeted) {
            close_connection(c);
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
            close_connection(c);
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
                close_connection(c);
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
        close_connection(c);
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
    if (ipc->resolving) {
        uv_cancel((uv_req_t *)&ipc->resolve);
    }
    uv_close(&ipc->listener.handle, on_handle_closed); /* removes the file */
    uv_close((uv_handle_t *)&ipc->timer, on_handle_closed);
}
