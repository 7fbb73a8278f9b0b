#include "libcommon/rpc_ipc_internal.h"

#include <stdlib.h>

/* The wire of nng's ipc transport, spoken on the loop's own thread: each side first sends 8 bytes {0 'S' 'P'
 * 0, protocol, 0 0}, then messages of {1, 64-bit length, payload}; a payload of REQ/REP begins with the
 * 32-bit request id (https://nng.nanomsg.org/man/v1.5.0/nng_ipc.7.html, nanomsg's rfc/sp-ipc-mapping). Peers
 * may be libnng sockets. tls+tcp:// carries the same bytes inside TLS. */
#define PLAIN_SIZE     16384     /* of a TLS record (RFC 8446 §5.1) */
#define SUBSCRIBER_MAX (1 << 20) /* bytes for a subscriber that does not read; then it misses some */

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

struct ipc_write {
    uv_write_t request;
    struct ipc_connection *connection;
    nng_msg *msg; /* whose bytes are written, or NULL: */
    char bytes[]; /* these */
};

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
        rpc_ipc_cut(c);
    } else if (socket->waiting && !socket->closing && !c->closing) {
        socket->waiting = false;
        if (socket->events->writable != NULL) {
            socket->events->writable(socket->data);
        }
    }
}

/* Write what TLS has made: now what the kernel takes, later the rest. */
void rpc_ipc_flush_tls(struct ipc_connection *c)
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
        rpc_ipc_cut(c);
    }
}

static void write_tls(struct ipc_connection *c, const uv_buf_t *bufs, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (!rpc_tls_write(c->tls, bufs[i].base, bufs[i].len)) {
            rpc_ipc_cut(c);
            return;
        }
    }
    rpc_ipc_flush_tls(c);
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
        rpc_ipc_cut(c);
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

struct ipc_connection *rpc_ipc_find(struct rpc_ipc *ipc, uint32_t id)
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
    struct ipc_connection *c = rpc_ipc_find(ipc, 0);
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
    struct ipc_connection *c = rpc_ipc_find(ipc, pipe);
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

void rpc_ipc_greet(struct ipc_connection *c)
{
    unsigned char greeting[GREETING_SIZE] = {0, 'S', 'P', 0, 0, protocols[c->ipc->socket->protocol].own};
    uv_buf_t buf = uv_buf_init((char *)greeting, sizeof(greeting));
    if (c->tls != NULL) {
        write_tls(c, &buf, 1);
        return;
    }
    if (uv_try_write(&c->at.stream, &buf, 1) != GREETING_SIZE) { /* nothing was written before: it fits */
        rpc_ipc_cut(c);
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
        rpc_ipc_cut(c);
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
            rpc_ipc_cut(c);
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
        rpc_ipc_refuse(c, "the certificate has another name", mirai_str(name));
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
        rpc_ipc_flush_tls(c); /* also the alert that says why not */
        if (result == RPC_TLS_FAILED) {
            rpc_ipc_refuse(c, why, (struct mirai_str){0});
        }
        if (result != RPC_TLS_DONE || c->closing || !known_certificate(c)) {
            return;
        }
        c->secure = true;
        rpc_ipc_greet(c);
    }
    while (!c->closing && !c->ipc->socket->closing) {
        enum rpc_tls_result result = rpc_tls_read(c->tls, plain, sizeof(plain), &n);
        if (result == RPC_TLS_FAILED) {
            rpc_ipc_cut(c);
        }
        if (result != RPC_TLS_DONE) {
            break;
        }
        take_bytes(c, plain, n);
    }
    rpc_ipc_flush_tls(c); /* such as a key update's answer */
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct ipc_connection *c = stream->data;
    if (n < 0) {
        rpc_ipc_cut(c);
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

int rpc_ipc_read(struct ipc_connection *c)
{
    return uv_read_start(&c->at.stream, on_alloc, on_read);
}
