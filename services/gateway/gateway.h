/* What the files of the gateway share: the process, its loops, and one HTTP exchange on its way through. */
#ifndef GATEWAY_GATEWAY_H
#define GATEWAY_GATEWAY_H

#include "libcommon/metrics.h"
#include "libcommon/service.h"
#include "proto/methods.h"
#include "services/gateway/h2_frames.h"
#include "services/gateway/headers.h"
#include "services/gateway/problem.h"
#include "services/gateway/proxies.h"
#include "services/gateway/routes.h"
#include "services/gateway/target.h"

#include <h2o.h>
#include <stdatomic.h>
#include <uv.h>

enum upstream {
    UPSTREAM_STORE,
    UPSTREAM_SEARCH,
    UPSTREAM_BACKUP,
    UPSTREAM_METRICS,
    UPSTREAM_GATEWAY,
    UPSTREAM_COUNT,
};

/* Settings that the request path reads, taken from the configuration once. */
struct gateway_settings {
    size_t body_max;       /* bytes of a JSON body */
    size_t attachment_max; /* bytes of an upload */
    int uploads_max;       /* uploads in flight in the whole process */
    int connections_max;   /* open connections in the whole process */
    int address_max;       /* open connections of one client address */
    int64_t http2_resets;  /* a second on one HTTP/2 connection: h2_frames_init() */
    int64_t http2_frames;
    size_t held_max;  /* bytes of unfinished requests in the whole process */
    size_t cache_max; /* bytes of kept answers in the whole process */
    uint64_t rpc_deadline_ms;
    uint64_t scan_ms; /* longer, when an upload is looked at by a virus scanner */
    uint64_t auth_cache_ms;
    uint64_t request_timeout_ms;
    uint64_t idle_timeout_ms;
    uint64_t drain_ms;
    uint64_t login_failure_ms;
    uint64_t directory_check_ms;
    struct mirai_str locale; /* "ja" or "en" */
    struct mirai_str cookie; /* name of the session cookie */
    struct mirai_str hsts;   /* value of Strict-Transport-Security; empty: not sent */
    struct proxies proxies;  /* that are trusted */
    bool proxy_protocol;     /* connections come from them, with a PROXY header */
};

/* What becomes of a new connection. */
enum gateway_refusal {
    GATEWAY_ADMITTED,
    GATEWAY_REFUSED_GONE,       /* the client has left again */
    GATEWAY_REFUSED_FULL,       /* connections_max */
    GATEWAY_REFUSED_HANDSHAKES, /* too many have not finished theirs */
    GATEWAY_REFUSED_ADDRESS,    /* address_max, or it has flooded and comes back too fast */
    GATEWAY_REFUSED_PROXY,      /* not from a trusted proxy, or without its PROXY header */
    GATEWAY_REFUSALS,
};

/* Bytes of the largest body that any route takes. */
static inline size_t gateway_largest_body(const struct gateway_settings *settings)
{
    return settings->attachment_max > settings->body_max ? settings->attachment_max : settings->body_max;
}

/* The process. Made before the loops start; what changes later is atomic. */
struct gateway {
    struct gateway_settings settings;
    h2o_globalconf_t config;
    struct gateway_loop *loops;
    size_t loops_count;
    _Atomic int connections;            /* open, over all loops */
    _Atomic int handshakes;             /* of them: TLS is not yet agreed upon */
    _Atomic int requests;               /* being worked on, over all loops */
    _Atomic int uploads;                /* in flight, over all loops */
    _Atomic size_t held;                /* bytes of unfinished requests at the last looks of all loops */
    _Atomic unsigned access_generation; /* counts changes of tokens, users, groups, spaces: caches of an older
                                           one are void */
    struct tls *tls;
    struct directory_settings *directory;  /* NULL: none is configured */
    _Atomic int64_t certificate_expires_s; /* Unix time */
    struct addresses *addresses;
    struct {
        struct mirai_counter *kept_hits, *kept_misses;
        struct mirai_counter *floods[H2_VERDICTS];       /* connections ended */
        struct mirai_counter *refused[GATEWAY_REFUSALS]; /* connections */
    } metrics;
};

struct auth_cache;
struct notes;
struct directory;
struct directory_settings;
struct recheck;
struct redis;
struct redis_command;
struct shared_rates;

/* One thread: an event loop with its own listener, HTTP context, RPC clients and caches. Nothing in it is
 * locked. */
struct gateway_loop {
    struct gateway *gateway;
    uv_loop_t uv;
    pthread_t thread;
    h2o_context_t http;
    h2o_accept_ctx_t accept;
    uv_tcp_t listener;
    uv_async_t wake;  /* commands below changed */
    uv_timer_t sweep; /* looks for connections that hold too much or stopped moving */
    unsigned sweeps;
    _Atomic bool drain;         /* stop accepting, finish what runs */
    _Atomic bool stop;          /* close everything, end the thread */
    _Atomic(SSL_CTX *) new_tls; /* to be used from now on; taken over */
    _Atomic uint64_t beaten_ms; /* when the sweep last ran, monotonic: a loop that hangs shows */
    bool listening;
    bool stopping; /* no new requests: what they would need is going away */
    bool stopped;
    h2o_linklist_t connections; /* of struct connection */
    uint64_t flood_logged_ms;   /* when a flood was last logged … */
    int64_t floods;             /* … and how many there were since */
    struct mirai_rpc_client *clients[UPSTREAM_COUNT];
    struct auth_cache *auth;
    struct redis *redis; /* NULL: the configuration names none */
    SSL_CTX *redis_tls;
    struct shared_rates *shared_rates; /* on the first loop only; NULL: limits are this gateway's own */
    struct answers *answers;
    struct notes *notes; /* refusals for the audit log; NULL: none yet */
    struct mirai_pool *renderers;
    struct directory *directory; /* NULL: none */
    struct recheck *recheck;     /* on the first loop only */
    struct mirai_stamps *stamps; /* the store's; NULL: none that could be used */
    uint64_t stamps_due_ms;      /* when to look for them again */
    struct mirai_arena arena;    /* lists of parameters; emptied after each use */
    struct mirai_buf params;     /* a call's parameters while they are made */
    struct mirai_buf json;       /* an answer while it is made */
    uint64_t random[2];          /* state of the generator of trace ids */
};

/* One HTTP request while the gateway works on it. Lives in the request's pool; h2o frees it with the request
 * at any time (stream reset, connection lost), and then the call in flight is cancelled. */
struct exchange {
    h2o_req_t *req;
    struct gateway_loop *loop;
    const struct route *route;          /* NULL: none matched */
    struct mirai_rpc_call *call;        /* in flight, or NULL */
    struct redis_command *command;      /* in flight, or NULL */
    void (*abandon)(struct exchange *); /* undo what a handler holds when the request ends; may be NULL */
    void *state;                        /* the handler's */
    uint64_t started_us;
    struct mirai_context context; /* principal, locale, deadline, trace of the calls */
    struct identity *identity;    /* identity/auth.c's, counted: what context.principal points into */
    struct mirai_str secret;      /* the client's token */
    bool by_cookie;               /* the token came from the session cookie */
    bool by_session;              /* the token is a session's, not an API token */
    bool password_checked;        /* the directory has found the password in the body good */
    bool is_head;
    bool answered;
    bool access_vouched;        /* identity was asked for under access_stamp */
    unsigned access_generation; /* and under this generation */
    uint64_t access_stamp;
    unsigned retry_after_s;        /* of a refusal; 0: soon */
    struct login_attempt *attempt; /* a login that is being tried (identity/login_brake.c); NULL: none */
    struct address peer;           /* of the client; unknown until exchange_peer() was called */
    int64_t kept_id;               /* the answer may be kept as this object's, 0: it may not */
    uint64_t kept_stamp;           /* under this stamp */
    struct target target;
    const struct mirai_str *path_values[ROUTE_PARAMS_MAX];
    unsigned char digest[32]; /* SHA-256 of secret */
    char traceparent[TRACEPARENT_LEN + 1];
    char address[ADDRESS_TEXT_MAX]; /* peer as text */
};

/* ------------------------------------------------------------------ exchange.c */

/* Start to work on `req`. */
struct exchange *exchange_new(struct gateway_loop *loop, h2o_req_t *req);

/* Where the request came from, as trusted proxies tell it; from then on also in the context of calls. */
const struct address *exchange_peer(struct exchange *exchange);

/* Value of a request header, empty when absent; by_name for headers without an h2o token (lower case). */
struct mirai_str exchange_header(const struct exchange *exchange, const h2o_token_t *token);
/* Value of a header that is a list, its lines joined (RFC 9110 §5.3). */
struct mirai_str exchange_header_list(const struct exchange *exchange, const h2o_token_t *token);
struct mirai_str exchange_header_by_name(const struct exchange *exchange, const char *name);

/* Whether a page of ours has sent it, as its browser tells. */
bool exchange_same_origin(const struct exchange *exchange);

/* The body; empty when there is none. */
struct mirai_str exchange_body(const struct exchange *exchange);

/* Trace id (32 hexadecimal digits): X-Request-Id. */
struct mirai_str exchange_id(const struct exchange *exchange);

/* Address of the client, for the audit log; empty when it is not known. Looked up when it is needed. */
struct mirai_str exchange_address(struct exchange *exchange);

/* Copy into the request's pool. */
struct mirai_str exchange_keep(struct exchange *exchange, struct mirai_str bytes);

/* Call the method's daemon for this exchange; callback(exchange, reply) must begin with exchange_called(). */
void exchange_call(struct exchange *exchange, enum mirai_method_id id, struct mirai_str params,
                   mirai_rpc_cb callback);
/* Nobody knows whether the store did what it was called for: what is kept of rights may be old. */
void exchange_unsettled(const struct exchange *exchange);
static inline struct exchange *exchange_called(void *data)
{
    struct exchange *exchange = data;
    exchange->call = NULL;
    return exchange;
}

/* Path and query parameters as the method's params struct in `out` (of message->size, zeroed here). 0, or an
 * error that was answered. */
int exchange_params(struct exchange *exchange, const struct mirai_message *message, void *out);

/* ------------------------------------------------------------------ response.c: each answers once */

/* How the client and caches may keep an answer. */
enum response_cache {
    RESPONSE_NO_STORE,
    RESPONSE_REVALIDATE, /* has an ETag */
    RESPONSE_SECRET, /* no-store, and not compressed either: its length would tell of what it holds (BREACH) */
};

/* Add a header; the value must live as long as the request. */
void response_header(struct exchange *exchange, const h2o_token_t *token, struct mirai_str value);
/* A header that h2o has no token for; `name` in lower case, for ever. */
void response_header_named(struct exchange *exchange, h2o_iovec_t *name, struct mirai_str value);
/* ETag: "…" of an opaque tag without quotes. */
void response_etag(struct exchange *exchange, struct mirai_str etag);
/* The headers that stand on every answer; `page` for what a browser shows as a page. */
void response_common_headers(struct exchange *exchange, enum response_cache cache, bool page);

/* Begin an answer whose body comes from `generator`; length SIZE_MAX: it has none. */
void response_start(struct exchange *exchange, int status, size_t length, h2o_generator_t *generator);
/* Send a body that lives as long as the request (empty: none). The caller has set its own headers and
 * res.mime_attr. */
void response_send(struct exchange *exchange, int status, struct mirai_str body);
/* A MessagePack value as JSON in loop->json. 0, or an error that was answered. */
int response_transcode(struct exchange *exchange, struct mirai_str mp);
/* A MessagePack value as JSON. Adds common headers. */
void response_json(struct exchange *exchange, int status, struct mirai_str mp, enum response_cache cache);
/* A JSON text that lives as long as the request. */
void response_json_lent(struct exchange *exchange, int status, struct mirai_str json,
                        enum response_cache cache);
/* A finished JSON text (copied). */
void response_json_text(struct exchange *exchange, int status, struct mirai_str json);
/* 204 or 304. */
void response_empty(struct exchange *exchange, int status, enum response_cache cache);
/* application/problem+json. detail: for developers, may be NULL; errors: MessagePack array of {path,
 * problem}, or empty. */
void response_problem(struct exchange *exchange, enum problem problem, const char *detail,
                      struct mirai_str errors);
void response_fault(struct exchange *exchange, int err, const struct mirai_faults *faults);
/* What a daemon answered instead of a result. */
void response_rpc_error(struct exchange *exchange, const struct mirai_rpc_reply *reply);
/* 405 with Allow. */
void response_not_allowed(struct exchange *exchange, unsigned methods);

/* String member of a daemon's result, empty when it has none. */
struct mirai_str response_text_of(struct mirai_str result, const char *key);
/* Whether If-None-Match says that the client has this already: then it was told so. */
bool response_not_modified(struct exchange *exchange, struct mirai_str etag);
/* ETag (copied; nothing when empty), and for a GET also If-None-Match: true when the client has this already
 * and was told so. */
bool response_etag_of(struct exchange *exchange, struct mirai_str etag, enum response_cache *cache);

/* Turns h2o's own error texts (broken requests that no handler sees) into problem+json. */
void response_register_filter(struct gateway *gateway, h2o_pathconf_t *path);

/* The loop of a request. */
static inline struct gateway_loop *gateway_loop_of(h2o_req_t *req)
{
    return H2O_STRUCT_FROM_MEMBER(struct gateway_loop, http, req->conn->ctx);
}

/* ------------------------------------------------------------------ handler.c */

/* Register the one handler of all paths. */
void handler_register(struct gateway *gateway, h2o_pathconf_t *path);
/* Go on after authentication. */
void handler_authorized(struct exchange *exchange);

/* ------------------------------------------------------------------ route handlers */

void handle_rpc(struct exchange *exchange); /* forward.c */
/* The params of a call from path, query, headers and JSON body, encoded into loop->params. 0, or an error
 * that was answered. */
int forward_params(struct exchange *exchange, const struct mirai_message *message);
/* The second half of handle_rpc: nothing stands in the way of the call any more. */
void forward_call(struct exchange *exchange);
void handle_login(struct exchange *exchange);   /* identity/login.c */
void handle_session(struct exchange *exchange); /* identity/session.c */
void handle_session_list(struct exchange *exchange);
void handle_session_delete(struct exchange *exchange);
void handle_session_end_all(struct exchange *exchange);
void handle_logout(struct exchange *exchange);
void handle_render(struct exchange *exchange);       /* render.c */
void handle_upload(struct exchange *exchange);       /* upload.c */
void handle_download(struct exchange *exchange);     /* download.c */
void handle_audit_export(struct exchange *exchange); /* audit_export.c */
void handle_health(struct exchange *exchange);       /* status.c */
void handle_ready(struct exchange *exchange);
void handle_status(struct exchange *exchange);
void handle_openapi(struct exchange *exchange); /* openapi.c */
void handle_page(struct exchange *exchange);    /* static.c */

/* What the store is told of the client that logs in: its User-Agent, and which session ends with the login because
 * the browser presents it. Lives as long as the exchange. */
void session_client(struct exchange *exchange, struct mirai_session_client *client);
/* Answer a login: the daemon's reply to auth.login or auth.directory becomes the session cookie, or the error.
 */
void session_opened(struct exchange *exchange, const struct mirai_rpc_reply *reply);
/* The secret as the session cookie, `user` and `expires_at` (MessagePack values) as the answer. */
void session_answer(struct exchange *exchange, struct mirai_str secret, int64_t expires_at_ms,
                    struct mirai_str user, struct mirai_str expires_at);
/* Answer that this browser is logged out. */
void session_closed(struct exchange *exchange);

/* Prepared once at start. cookie: name of the session's cookie. */
void openapi_init(struct mirai_str cookie);
/* The document; valid after openapi_init. */
struct mirai_str openapi_text(void);
void static_init(void);
void render_init(void);
/* The worker that renders what is asked for on this loop. NULL when it cannot be made. */
struct mirai_pool *render_pool_new(uv_loop_t *loop);
/* Markdown as safe HTML, zero-terminated; free() it. What would cost too much time or memory comes as it was written, in
 * <pre>. Any thread; one text at a time. */
char *render_html(struct mirai_str markdown);

/* ------------------------------------------------------------------ identity/auth.c */

struct auth_cache *auth_cache_new(void);
void auth_cache_free(struct auth_cache *cache);
/* Find out who asks, check the role of the route, then handler_authorized(); or answer 401, 403, 503. */
void auth_check(struct exchange *exchange);
/* Find the session cookie and its digest; false when there is none that could be a session's. */
bool auth_find_cookie(struct exchange *exchange);
/* Hash of the rights that the principal has (ANSWERS_RIGHTS_SIZE bytes), once it is known. */
const unsigned char *auth_rights(const struct exchange *exchange);
/* Tokens, users, groups or spaces have changed: forget who may do what. */
void auth_changed(struct gateway *gateway);

/* ------------------------------------------------------------------ vouch.c */

/* Whether loop->stamps can be trusted now: their publisher lives, and it is the store that would be asked. now_ms =
 * mirai_monotonic_ms(). */
bool vouch_usable(struct gateway_loop *loop, uint64_t now_ms);

/* ------------------------------------------------------------------ kept.c */

/* Answer from what is kept. False: the store must be asked; exchange->kept_id says whether its answer may be kept. */
bool kept_send(struct exchange *exchange);
/* Keep the store's answer under kept_id, unless it is too large, and send it. */
void kept_put_and_send(struct exchange *exchange, struct mirai_str result);

/* ------------------------------------------------------------------ traffic.c: metrics and access log */

void traffic_init(struct gateway *gateway);
/* now_us = mirai_monotonic_us(). */
void traffic_user_seen(int64_t user_id, uint64_t now_us);
/* One answer is on its way: bytes of its body. */
void traffic_answered(struct exchange *exchange, size_t bytes);

/* ------------------------------------------------------------------ listener.c, connections.c, tls.c */

/* Start all loops. 0, or an error that was logged. */
int listener_start(struct gateway *gateway);
void listener_drain(struct gateway *gateway);
bool listener_busy(const struct gateway *gateway);
/* A loop has not come round for seconds. */
bool listener_hangs(const struct gateway *gateway);
void listener_stop(struct gateway *gateway); /* blocks until the threads have ended */
/* All loops use new certificates for new connections. */
void listener_set_tls(struct gateway *gateway);

/* A new connection of the listener of `loop`. */
void connections_accept(struct gateway_loop *loop);
/* End what holds too much and, when looking closely, what has not moved for too long. */
void connections_sweep(struct gateway_loop *loop, bool closely);
/* End all. */
void connections_close(struct gateway_loop *loop);

/* Certificate and key from the configuration, read again when their files change. NULL with the reason
 * logged. */
struct tls *tls_new(struct gateway *gateway, uv_loop_t *loop);
void tls_free(struct tls *tls);
/* A context of the files as they were last read well: one per loop, because a shared one has locks. */
SSL_CTX *tls_context_new(struct tls *tls);

#endif
