/* The inside of the RPC client: calls (rpc_client.c), their deadlines and ids (rpc_calls.c), instances
 * (rpc_instance.c). */
#ifndef MIRAI_RPC_CLIENT_INTERNAL_H
#define MIRAI_RPC_CLIENT_INTERNAL_H

#include "libcommon/metrics.h"
#include "libcommon/rpc_internal.h"

enum call_state {
    CALL_FREE,
    CALL_WAITING, /* client.waiting: no instance is there */
    CALL_QUEUED,  /* instance.queued: leaves with the next frame */
    CALL_SENT,    /* instance.sent */
    CALL_ENDED,   /* client.ended: its callback runs in this turn of the loop */
    CALL_RUNNING, /* its callback is running */
};

struct mirai_rpc_call {
    struct rpc_list link; /* of the list that its state names, or client.free_calls */
    struct mirai_rpc_client *client;
    struct rpc_instance *instance; /* queued, sent */
    struct rpc_instance *pinned;   /* may go nowhere else; NULL: anywhere */
    enum call_state state;
    int status;      /* ended */
    bool retriable;  /* may be sent again after it was lost */
    bool uncertain;  /* was sent, may not be sent again, and has no answer */
    bool unready;    /* its time ended while all instances were unready */
    bool quiet;      /* the client's own: not counted, no strikes */
    unsigned losses; /* pipes lost under it */
    uint32_t msgid;  /* sent */
    uint64_t deadline_ms;
    size_t heap_at; /* place in client.calls.heap + 1; 0: none */
    struct mirai_buf wire;
    struct rpc_request_head head;
    mirai_rpc_cb callback;
    void *data;
};

/* ------------------------------------------------------------------ rpc_calls.c */

/* Sent calls by message id and all live calls by deadline. */
struct rpc_calls {
    struct mirai_rpc_call **table; /* slot = msgid & mask: an id whose slot is taken is not given */
    size_t mask;
    size_t sent;
    uint32_t last_id;
    struct mirai_rpc_call **heap; /* binary heap, earliest deadline first */
    size_t heap_len;
    size_t heap_cap;
};

void rpc_calls_free(struct rpc_calls *calls);
void rpc_calls_assign(struct rpc_calls *calls, struct mirai_rpc_call *call); /* gives the msgid */
void rpc_calls_forget(struct rpc_calls *calls, struct mirai_rpc_call *call);
struct mirai_rpc_call *rpc_calls_find(const struct rpc_calls *calls, uint32_t msgid);
void rpc_calls_schedule(struct rpc_calls *calls, struct mirai_rpc_call *call);
void rpc_calls_unschedule(struct rpc_calls *calls, struct mirai_rpc_call *call);
static inline struct mirai_rpc_call *rpc_calls_first(const struct rpc_calls *calls)
{
    return calls->heap_len > 0 ? calls->heap[0] : NULL;
}

/* ------------------------------------------------------------------ rpc_instance.c */

struct rpc_instance {
    struct rpc_list link;  /* client.instances */
    struct rpc_list dirty; /* client.dirty: has calls to send */
    struct mirai_rpc_client *client;
    struct rpc_endpoint endpoint;
    struct rpc_socket socket;
    struct rpc_list queued;
    struct rpc_list sent;
    size_t outstanding;    /* queued and sent */
    int64_t credit;        /* calls owed to it by its weight, times the sum of weights */
    uint32_t pipe;         /* 0: not connected */
    uint32_t counted_pipe; /* whose reply frames these are: */
    uint32_t received;
    uint32_t acknowledged;
    unsigned strikes;        /* deadlines since the last answer */
    uint64_t probe_until_ms; /* a probe is under way */
    bool ejected;
    bool draining; /* said so: no new calls until it is back */
    bool unready;  /* said so: no new calls until a probe finds it well */
    bool retired;  /* its socket has vanished: closed when nothing is outstanding */
};

void rpc_instance_add(struct mirai_rpc_client *client, const struct rpc_endpoint *endpoint);
void rpc_instance_retire(struct mirai_rpc_client *client, const char *url);
/* Close; the struct is freed when the loop has closed its handles. It must hold no calls. */
void rpc_instance_close(struct rpc_instance *instance);
/* The best instance for one more call, or NULL. */
struct rpc_instance *rpc_instance_pick(struct mirai_rpc_client *client);
void rpc_instance_enqueue(struct rpc_instance *instance, struct mirai_rpc_call *call);
void rpc_instance_flush(struct rpc_instance *instance);
/* A call of it passed its deadline. */
void rpc_instance_strike(struct rpc_instance *instance);
/* Give its calls to others: all unsent ones; of the sent ones those that may be repeated, or (lost) every
 * one. */
void rpc_instance_move_calls(struct rpc_instance *instance, bool lost);
void rpc_instance_probe_all(struct mirai_rpc_client *client);
static inline bool rpc_instance_usable(const struct rpc_instance *instance)
{
    return instance->pipe != 0 && !instance->ejected && !instance->draining && !instance->unready &&
           !instance->retired;
}

/* Whether there are connected instances and none of them is ready yet. */
bool rpc_instance_all_unready(const struct mirai_rpc_client *client);

/* ------------------------------------------------------------------ rpc_client.c */

struct mirai_rpc_client {
    uv_loop_t *loop;
    char *service;
    const struct mirai_rpc_security *security;
    size_t outstanding_max;
    uint64_t default_ms;
    struct rpc_discovery *discovery;
    uv_idle_t work; /* active while something waits: the loop must not block before it left */
    uv_timer_t expiry;
    uint64_t expiry_at; /* 0: not running */
    uv_timer_t probe;
    int open_parts; /* handles, discovery and instances that are not yet closed */
    struct rpc_list instances;
    size_t instances_len;
    struct rpc_list dirty;
    struct rpc_list waiting;
    struct rpc_list ended;
    struct rpc_list free_calls;
    struct rpc_calls calls;
    size_t outstanding;
    size_t outstanding_bytes;
    uint64_t random[2]; /* for trace ids */
    struct rpc_frame_metrics metrics;
    struct mirai_counter *results[MIRAI_ERROR_COUNT];
    struct mirai_gauge *outstanding_gauge;
    struct mirai_counter *ejections;
    bool closing;
};

/* Give the call to an instance, or let it wait for one. */
void rpc_client_route(struct mirai_rpc_call *call);
/* The call's callback runs soon with this status. */
void rpc_client_end(struct mirai_rpc_call *call, int status);
/* The reply came: runs the callback. */
void rpc_client_complete(struct mirai_rpc_call *call, const struct mirai_rpc_reply *reply);
/* Take the call out of all lists and tables. */
void rpc_client_detach(struct mirai_rpc_call *call);
/* An instance can take calls (again). */
void rpc_client_wake_waiting(struct mirai_rpc_client *client);
void rpc_client_want_work(struct mirai_rpc_client *client);
void rpc_client_part_closed(struct mirai_rpc_client *client);
void rpc_client_want_probes(struct mirai_rpc_client *client);
/* A call of the client's own to this instance alone. */
struct mirai_rpc_call *rpc_client_call_pinned(struct rpc_instance *instance, const char *method,
                                              const struct mirai_context *context, struct mirai_str params,
                                              mirai_rpc_cb callback, void *data);

#endif
