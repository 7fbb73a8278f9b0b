/* MessagePack-RPC between daemons, many calls to a frame, over raw nng REQ/REP sockets. */
#ifndef MIRAI_RPC_H
#define MIRAI_RPC_H

#include "libcommon/error.h"
#include "libcommon/mp.h"
#include "libcommon/str.h"

#include <uv.h>

/* Wire (https://github.com/msgpack-rpc/msgpack-rpc/blob/master/spec.md): one nng message carries one or more of
 *   request  [0, msgid, method, [context, params]]
 *   response [1, msgid, error, result]   error: nil or {code: slug, message?, fields?: {path: slug}, …}
 * back to back: all that became ready in one turn of the loop leaves in one message per peer.
 * context: map with short keys; unknown keys are ignored:
 *   d deadline (ms left)  t traceparent  u user id  r role  n user name  s readable spaces  g groups  l locale
 *   k idempotency key  a client address  e end of the API token  i id of the token or session */

#define MIRAI_RPC_FRAME_MAX (8u << 20)   /* bytes of one nng message; larger bodies travel as chunks */
#define MIRAI_RPC_CHUNK     (256u << 10) /* bytes of one chunk of a large body */

enum mirai_role {
    MIRAI_ROLE_NONE,
    MIRAI_ROLE_VIEWER,
    MIRAI_ROLE_EDITOR,
    MIRAI_ROLE_ADMIN,
};

/* Who asks. Made by the gateway (or miraictl) after authentication; daemons obey it. */
struct mirai_principal {
    int64_t user_id; /* 0: no one; -1: the system (a daemon or the operator on this host) */
    enum mirai_role role;
    struct mirai_str name;
    int64_t expires_at;    /* end of the API token that it came with, ms since 1970; 0: came with none */
    int64_t token_id;      /* the API token or session that it came with; 0: none */
    const int64_t *spaces; /* ids of the spaces that it may read, ascending */
    size_t spaces_len;
    const int64_t *groups; /* ids of its groups, ascending */
    size_t groups_len;
};

struct mirai_context {
    uint64_t
        deadline_ms; /* mirai_monotonic_ms() by which the answer is worthless; 0: the configured default */
    struct mirai_str traceparent; /* W3C Trace Context; made up by the client library when empty */
    struct mirai_principal principal;
    struct mirai_str locale;          /* "ja" or "en" */
    struct mirai_str idempotency_key; /* empty: none */
    struct mirai_str client_address;  /* for the audit log */
};

/* With whom sockets talk, and how they show who they are. Lent: lives as long as the socket; one serves many. */
struct mirai_peers;
struct mirai_rpc_security {
    const struct mirai_peers
        *peers;              /* rights by UNIX user and by certificate; NULL: everyone may do everything */
    const char *certificate; /* PEM files for tls+tcp:// URLs: ours with its chain, */
    const char *private_key; /* its key, */
    const char *authority;   /* and who signs for all daemons; NULL: none */
};

/* ------------------------------------------------------------------ server */

struct mirai_rpc_server;

/* A call being served. Lives until reply or fail; both may be called on the loop thread only, exactly one of them, once. */
struct mirai_rpc_request {
    struct mirai_context context; /* its memory lives as long as the request */
    struct mirai_str method;
    struct mirai_str params; /* raw MessagePack of the params member (a map, or nil) */
    void *data;              /* the service's state (options.data) */
    uint64_t started_us;     /* mirai_monotonic_us() on arrival */
};

struct mirai_rpc_method {
    const char *name; /* "article.get" */
    void (*handle)(struct mirai_rpc_request *request);
};

struct mirai_rpc_server_options {
    uv_loop_t *loop;
    const char *url; /* "ipc:///run/mirai/knowledge-store@1.sock", "tls+tcp://10.0.0.1:7700" or "tcp://…" */
    const struct mirai_rpc_security *security; /* NULL: whoever connects may call everything */
    const struct mirai_rpc_method *methods;    /* ends with {NULL}; lives as long as the server */
    const struct mirai_rpc_method *more;       /* a second such table (the runtime's own methods), or NULL */
    void *data;
    size_t queue_max; /* requests held at once; above it the answer is MIRAI_E_OVERLOADED */
};

/* Listen. The socket's file gets mode 0660 before it accepts. NULL with the reason logged. */
struct mirai_rpc_server *mirai_rpc_server_new(const struct mirai_rpc_server_options *options);

/* Answer with `result` = bytes of one MessagePack value (copied). Requests whose deadline has passed are dropped. */
void mirai_rpc_reply(struct mirai_rpc_request *request, struct mirai_str result);
/* The same, taking over the buffer's memory where that saves a copy; buf is empty afterwards. */
void mirai_rpc_reply_buf(struct mirai_rpc_request *request, struct mirai_buf *buf);
/* Answer with an error. `message`: a short English text for developers without internals, or NULL. */
void mirai_rpc_fail(struct mirai_rpc_request *request, int err, const char *message);
/* The same with extra members: `details` = bytes of a MessagePack map whose pairs are added to the error. */
void mirai_rpc_fail_with(struct mirai_rpc_request *request, int err, const char *message,
                         struct mirai_str details);
/* Nothing was done because this instance cannot answer yet: the client asks another one, or waits for one until the call's
 * deadline, and takes this one for away until its service.health says "ok". */
void mirai_rpc_decline(struct mirai_rpc_request *request, const char *message);

size_t mirai_rpc_server_pending(const struct mirai_rpc_server *server); /* requests not yet answered */
void mirai_rpc_server_drain(
    struct mirai_rpc_server *server); /* no new requests (they get UNAVAILABLE); pending ones finish */
void mirai_rpc_server_free(struct mirai_rpc_server *server); /* closes after flushing what is answered */

/* ------------------------------------------------------------------ client */

struct mirai_rpc_client;

struct mirai_rpc_client_options {
    uv_loop_t *loop;
    const char
        *service; /* "knowledge-store": finds <run_dir>/<service>@*.sock, also ones that appear later */
    const struct mirai_rpc_security *security; /* NULL: whoever listens there is taken for the service */
    const char *run_dir; /* watched with uv_fs_event and looked through again each second */
    const char *
        endpoints; /* "ipc:///a.sock,tls+tcp://10.0.0.1:7700#10" (weight 1..1000, default 100); not empty: run_dir is not looked at */
    size_t outstanding_max; /* over all instances; above it calls end with MIRAI_E_OVERLOADED */
    uint64_t deadline_ms;   /* default for calls without one */
};

/* Loop thread only, as everything of a client: one client per loop and upstream service. */
struct mirai_rpc_client *mirai_rpc_client_new(const struct mirai_rpc_client_options *options);
/* Ends every call in flight with MIRAI_E_CANCELLED, then closes; memory goes when the loop has run its close callbacks. */
void mirai_rpc_client_free(struct mirai_rpc_client *client);

enum mirai_rpc_kind {
    MIRAI_RPC_READ,  /* may be asked again on another instance when its own is lost */
    MIRAI_RPC_WRITE, /* sent at most once, unless it carries an idempotency key */
    MIRAI_RPC_ONCE, /* a write with a secret in its parameters: no key is kept for it, so it is sent at most once */
};

/* The answer. `status` 0: result holds one MessagePack value. Otherwise `error` holds the error map (may be empty).
 * Bytes are lent for the callback's time. */
struct mirai_rpc_reply {
    int status; /* 0 or a negative mirai_error: what the service said, or UNAVAILABLE, OVERLOADED, DEADLINE, CANCELLED */
    bool uncertain; /* a write without an idempotency key was sent and not answered: it may have been done */
    bool unready; /* UNAVAILABLE because each instance that could be asked declined (mirai_rpc_decline) until the deadline */
    struct mirai_str result;
    struct mirai_str error;
};

typedef void (*mirai_rpc_cb)(void *data, const struct mirai_rpc_reply *reply);

struct mirai_rpc_call; /* opaque handle; valid until the callback has run or cancel was called */

/* Start a call. context and params are copied before it returns. The callback runs exactly once on the loop, never before
 * this returned, also for every failure. NULL data is fine. Never returns NULL.
 * No instance known or connected: waits for one until the deadline when `kind` is READ or keyed; a WRITE that was not yet sent waits too. */
struct mirai_rpc_call *mirai_rpc_call(struct mirai_rpc_client *client, const char *method,
                                      enum mirai_rpc_kind kind, const struct mirai_context *context,
                                      struct mirai_str params, mirai_rpc_cb callback, void *data);
/* Forget the call: its callback will not run. */
void mirai_rpc_cancel(struct mirai_rpc_call *call);

/* One call to every connected instance (for metrics, status): each answers on its own through `callback` with the
 * instance's name; then once more with instance.len == 0 and status 0 when all have answered or timed out. */
typedef void (*mirai_rpc_each_cb)(void *data, struct mirai_str instance, const struct mirai_rpc_reply *reply);
void mirai_rpc_call_each(struct mirai_rpc_client *client, const char *method,
                         const struct mirai_context *context, struct mirai_str params,
                         mirai_rpc_each_cb callback, void *data);

struct mirai_rpc_instance_info {
    char name[64]; /* "1" of knowledge-store@1.sock, or the URL */
    bool connected;
    bool ejected;
    size_t outstanding;
    unsigned weight;
};
/* Fill at most `max` rows; returns the number of instances known. */
size_t mirai_rpc_client_instances(const struct mirai_rpc_client *client, struct mirai_rpc_instance_info *rows,
                                  size_t max);
bool mirai_rpc_client_connected(const struct mirai_rpc_client *client); /* at least one instance is */

/* ------------------------------------------------------------------ context codec (also fuzzed on its own) */

/* Append the context map. `now_ms` = mirai_monotonic_ms(). */
void mirai_context_encode(struct mirai_buf *buf, const struct mirai_context *context, uint64_t now_ms);
/* Decode into *context; strings point into `bytes`; spaces and groups are written to `ids` (room for ids_max, extra: INVALID). */
int mirai_context_decode(struct mirai_str bytes, uint64_t now_ms, struct mirai_context *context, int64_t *ids,
                         size_t ids_max);

#endif
