/* One end of nng's ipc transport, between its two halves: rpc_ipc.c connects and listens, and sees who is there;
 * rpc_ipc_frames.c sends and receives. Everything on the loop's thread. */
#ifndef MIRAI_RPC_IPC_INTERNAL_H
#define MIRAI_RPC_IPC_INTERNAL_H

#include "libcommon/metrics.h"
#include "libcommon/rpc_internal.h"

#include <sys/un.h>

#define GREETING_SIZE 8
#define HEAD_SIZE     9
#define READ_SIZE     (256u << 10)

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

/* ------------------------------------------------------------------ rpc_ipc.c */

/* End it. Its loss is told from the close callback: never inside a send. */
void rpc_ipc_cut(struct ipc_connection *c);
/* End it because of who is at its other end; counted and, now and then, logged. */
void rpc_ipc_refuse(struct ipc_connection *c, const char *why, struct mirai_str who);

/* ------------------------------------------------------------------ rpc_ipc_frames.c */

/* Send our greeting: the first bytes of each side. */
void rpc_ipc_greet(struct ipc_connection *c);
/* Take what comes from now on. 0 or an error of libuv. */
int rpc_ipc_read(struct ipc_connection *c);
/* Send what TLS has to say. */
void rpc_ipc_flush_tls(struct ipc_connection *c);
/* The open connection of this id (0: any), or NULL. */
struct ipc_connection *rpc_ipc_find(struct rpc_ipc *ipc, uint32_t id);

#endif
