/* What the RPC client, the RPC server and pub/sub share: lists, messages, sockets on a loop, discovery. */
#ifndef MIRAI_RPC_INTERNAL_H
#define MIRAI_RPC_INTERNAL_H

#include "libcommon/rpc.h"
#include "libcommon/rpc_peers.h"

#include <nng/nng.h>

/* ------------------------------------------------------------------ intrusive lists */

struct rpc_list {
    struct rpc_list *prev;
    struct rpc_list *next;
};

#define RPC_LIST_OWNER(node, type, member) ((type *)(void *)((char *)(node)-offsetof(type, member)))

/* The static analyzer does not follow nodes that are parts of other structs: it takes removed ones for linked. */
/* NOLINTBEGIN(clang-analyzer-core.NullDereference,clang-analyzer-unix.Malloc) */
static inline void rpc_list_init(struct rpc_list *list)
{
    list->prev = list;
    list->next = list;
}

static inline bool rpc_list_empty(const struct rpc_list *list)
{
    return list->next == list;
}

static inline void rpc_list_append(struct rpc_list *list, struct rpc_list *node)
{
    node->prev = list->prev;
    node->next = list;
    list->prev->next = node;
    list->prev = node;
}

/* The node may be removed again without harm. */
static inline void rpc_list_remove(struct rpc_list *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    rpc_list_init(node);
}

/* Move all nodes of `from` to the end of `list`. */
static inline void rpc_list_splice(struct rpc_list *list, struct rpc_list *from)
{
    while (!rpc_list_empty(from)) {
        struct rpc_list *node = from->next;
        rpc_list_remove(node);
        rpc_list_append(list, node);
    }
}
/* NOLINTEND(clang-analyzer-core.NullDereference,clang-analyzer-unix.Malloc) */

/* ------------------------------------------------------------------ messages (rpc_frame.c) */

enum rpc_message_type {
    RPC_REQUEST,
    RPC_RESPONSE,
    RPC_NOTIFICATION,
};

struct rpc_message {
    enum rpc_message_type type;
    uint32_t msgid;           /* request, response */
    struct mirai_str method;  /* request, notification */
    struct mirai_str context; /* request: raw map */
    struct mirai_str params;  /* request: raw value; notification: raw array */
    struct mirai_str error;   /* response: raw map; empty: nil */
    struct mirai_str result;  /* response: raw value */
};

/* Take the next message of a frame. 0 or MIRAI_E_INVALID (the rest of the frame is then worthless). */
int rpc_message_read(struct mirai_mp *frame, struct rpc_message *message);

/* A request whose message id and remaining time are patched in when it is sent: both have fixed places. */
struct rpc_request_head {
    size_t deadline_at; /* offset of the big-endian 32-bit number of ms */
};
struct rpc_request_head rpc_request_write(struct mirai_buf *buf, struct mirai_str method,
                                          const struct mirai_context *context, uint64_t now_ms,
                                          struct mirai_str params);
void rpc_request_stamp(struct mirai_buf *buf, struct rpc_request_head head, uint32_t msgid, uint32_t left_ms);

/* [1, msgid, error: nil, … : the result follows. */
#define RPC_RESPONSE_HEAD 8
void rpc_response_head(unsigned char out[RPC_RESPONSE_HEAD], uint32_t msgid);
/* Why an instance did not look at a call that another may answer; one of these names is in the error, with
 * true. */
enum rpc_elsewhere {
    RPC_HERE,     /* an answer as any other */
    RPC_DRAINING, /* it is going away */
    RPC_UNREADY,  /* it has yet to become able to answer */
};
extern const char *const rpc_elsewhere_names[];

/* [1, msgid, {code, message?, details…}, nil]; elsewhere other than RPC_HERE: adds its name. */
void rpc_response_error(struct mirai_buf *buf, uint32_t msgid, int err, const char *message,
                        struct mirai_str details, enum rpc_elsewhere elsewhere);

/* Flow control: the client tells the server how many reply frames it has received on this pipe, as the
 * notification [2, "ack", [count]] (32 bits, wrapping), because nng drops a reply in silence when 64 are
 * queued for one pipe. */
#define RPC_ACK_SIZE  12
#define RPC_ACK_EVERY 16 /* frames received before an acknowledgement leaves alone */
#define RPC_WINDOW    48 /* reply frames in flight on one pipe */
/* A frame that has grown to this many bytes leaves, the next begins. Below malloc's threshold for mmap (128
 * KiB). */
#define RPC_FRAME_TARGET (96u << 10)
void rpc_ack_write(unsigned char out[RPC_ACK_SIZE], uint32_t count);
int rpc_ack_read(const struct rpc_message *message, uint32_t *count);

static inline void rpc_put_u32(unsigned char *at, uint32_t value)
{
    at[0] = (unsigned char)(value >> 24);
    at[1] = (unsigned char)(value >> 16);
    at[2] = (unsigned char)(value >> 8);
    at[3] = (unsigned char)value;
}

/* Counters of one side ("client", "server"). */
struct rpc_frame_metrics {
    struct mirai_counter *frames_sent;
    struct mirai_counter *frames_received;
    struct mirai_counter *messages_sent;
    struct mirai_counter *messages_received;
    struct mirai_counter *malformed; /* frames given up at a byte that makes no sense */
};
void rpc_frame_metrics_init(struct rpc_frame_metrics *metrics, const char *side);

/* ------------------------------------------------------------------ a socket on a loop (rpc_socket.c,
 * rpc_ipc.c) */

/* A raw REQ or REP socket. ipc:// endpoints are spoken on the loop's own thread (rpc_ipc.c): a call alone
 * costs five times less than with libnng, whose threads hand each message on some fifteen times
 * (tests/bench/rpc.c). So are tls+tcp:// endpoints, because libnng 1.5.2 does not tell whose certificate it has
 * seen. All others belong to libnng. */

enum rpc_protocol {
    RPC_PROTOCOL_REQ,
    RPC_PROTOCOL_REP,
    RPC_PROTOCOL_SUB, /* to everything */
    RPC_PROTOCOL_PUB, /* on the loop only */
};

struct rpc_socket_events {
    void (*message)(void *data, nng_msg *msg); /* owns msg; its header as in nng's raw mode */
    void (*pipe)(void *data, uint32_t pipe,
                 bool connected); /* all messages of a lost pipe were delivered before */
    void (*writable)(void *data); /* after a send was refused; NULL: never sends */
    void (*closed)(void *data);   /* the last event */
};

/* Whom a socket talks to. */
struct rpc_guard {
    const struct mirai_rpc_security *security; /* NULL: to everyone */
    const char *service;                       /* dialing: the daemon that must answer; NULL: any */
};

struct rpc_pipe_event {
    uint32_t pipe;
    bool connected;
};

struct rpc_socket {
    const struct rpc_socket_events *events;
    void *data;
    enum rpc_protocol protocol;
    struct rpc_guard guard;
    bool waiting; /* for writable */
    bool closing;
    struct rpc_ipc *ipc; /* NULL: libnng, and the rest of the fields is in use */
    char url[256];       /* to dial */
    nng_dialer dialer;
    size_t pipes;
    nng_socket nng;
    uv_poll_t readable;
    uv_poll_t writable;
    uv_async_t pipes_changed;
    uv_timer_t redial;
    int send_fd; /* -1: never sends */
    int open_handles;
    uv_mutex_t lock; /* guards what follows: written by nng's threads */
    struct rpc_pipe_event *changes;
    size_t changes_len;
    size_t changes_cap;
};

/* Accept calls at, or keep connecting to, `url`. 0, or an error with its reason logged: then
 * rpc_socket_is_open tells whether it is to be closed. */
int rpc_socket_listen(struct rpc_socket *socket, uv_loop_t *loop, enum rpc_protocol protocol, const char *url,
                      struct rpc_guard guard, const struct rpc_socket_events *events, void *data);
int rpc_socket_dial(struct rpc_socket *socket, uv_loop_t *loop, enum rpc_protocol protocol, const char *url,
                    struct rpc_guard guard, const struct rpc_socket_events *events, void *data);
/* Who is at the other end: a set of peers (rpc_peers.h). */
uint32_t rpc_socket_peers(const struct rpc_socket *socket, uint32_t pipe);
/* Whether a send would be taken now; if not, `writable` or another pipe comes later. */
bool rpc_socket_ready(struct rpc_socket *socket);
/* 0: msg is gone; otherwise it is still the caller's, and `writable` comes later. */
int rpc_socket_send(struct rpc_socket *socket, nng_msg *msg);
/* Cut off a peer. */
void rpc_socket_drop(struct rpc_socket *socket, uint32_t pipe);
void rpc_socket_close(struct rpc_socket *socket);
bool rpc_socket_is_open(const struct rpc_socket *socket);

/* rpc_ipc.c: the same verbs for ipc:// and tls+tcp:// URLs. open: 0 or a libuv error, after which it is to be
 * closed all the same. */
bool rpc_ipc_speaks(const char *url);
int rpc_ipc_open(struct rpc_socket *socket, uv_loop_t *loop, const char *url);
bool rpc_ipc_ready(struct rpc_ipc *ipc);
int rpc_ipc_send(struct rpc_ipc *ipc, nng_msg *msg);
/* To every subscriber; one that does not take what it was sent misses it. The bytes are copied. */
void rpc_ipc_broadcast(struct rpc_ipc *ipc, struct mirai_str bytes);
uint32_t rpc_ipc_peers(const struct rpc_ipc *ipc, uint32_t pipe);
void rpc_ipc_drop(struct rpc_ipc *ipc, uint32_t pipe);
void rpc_ipc_close(struct rpc_ipc *ipc);

/* ------------------------------------------------------------------ TLS without a socket (rpc_tls.c) */

/* Keys and certificates of a socket; files that change are read again with the next connection. */
struct rpc_tls_context;
struct rpc_tls_context *rpc_tls_context_new(const struct mirai_rpc_security *security, bool server);
void rpc_tls_context_free(struct rpc_tls_context *context);
bool rpc_tls_context_usable(struct rpc_tls_context *context); /* false: the reason was logged */

enum rpc_tls_result {
    RPC_TLS_DONE,
    RPC_TLS_MORE, /* when more was fed */
    RPC_TLS_FAILED,
};

#define RPC_TLS_NAME_SIZE 64

/* One connection: ciphertext is fed and taken, plain bytes are read and written. Whatever may have been made for
 * the peer (rpc_tls_pending) is taken and sent after each of these calls. */
struct rpc_tls;
struct rpc_tls *rpc_tls_new(struct rpc_tls_context *context); /* NULL: the reason was logged */
void rpc_tls_free(struct rpc_tls *tls);
void rpc_tls_feed(struct rpc_tls *tls, const char *bytes, size_t len);
enum rpc_tls_result rpc_tls_handshake(struct rpc_tls *tls, const char **why); /* why: after FAILED */
enum rpc_tls_result rpc_tls_read(struct rpc_tls *tls, char *out, size_t size, size_t *len);
bool rpc_tls_write(struct rpc_tls *tls, const char *bytes, size_t len); /* after the handshake */
size_t rpc_tls_pending(const struct rpc_tls *tls);
void rpc_tls_take(struct rpc_tls *tls, char *out, size_t len);
/* The common name in the peer's verified certificate; "" when there is not exactly one that can be used. */
void rpc_tls_peer(const struct rpc_tls *tls, char name[RPC_TLS_NAME_SIZE]);

/* ------------------------------------------------------------------ discovery (rpc_discovery.c) */

struct rpc_endpoint {
    char name[64]; /* "2" of search-index@2.sock, or the URL's beginning */
    char url[256];
    unsigned weight;
};

struct rpc_discovery_options {
    uv_loop_t *loop;
    const char *service;
    const char *run_dir;
    const char *suffix;    /* ".sock" */
    const char *endpoints; /* not empty: these and no others */
    void (*appeared)(void *data, const struct rpc_endpoint *endpoint);
    void (*vanished)(void *data, const char *url);
    void (*closed)(void *data);
    void *data;
};

struct rpc_discovery;
/* Calls `appeared` for what is there before it returns. */
struct rpc_discovery *rpc_discovery_new(const struct rpc_discovery_options *options);
void rpc_discovery_free(struct rpc_discovery *discovery); /* `closed` comes later */

#endif
