#include "libcommon/log.h"
#include "libcommon/metrics.h"
#include "libcommon/rpc_internal.h"
#include "libcommon/time.h"

#include <stdio.h>
#include <stdlib.h>

#define IDS_MAX  2000        /* spaces and groups of one principal: 1000 of each */
#define COPY_MAX (16u << 10) /* requests up to here are copied; larger ones keep their frame alive */
#define KEEP_MAX (4u << 10)  /* capacity that a free request keeps */
#define PIPE_QUEUE_MAX                                                                                       \
    (64u << 20)             /* bytes of replies for a peer that does not take them: then it is cut off */
#define LINGER_MS        50 /* time that nng gets for the last replies */
#define PIPE_BUCKETS     64
#define FRAME_MIN        4096
#define FORBIDDEN_LOG_MS 10000 /* between lines about calls without a right */

struct server_method {
    const char *name;
    void (*handle)(struct mirai_rpc_request *request);
    struct mirai_counter *results[MIRAI_ERROR_COUNT];
    struct mirai_histogram *seconds;
    uint32_t as_user;   /* who may call it for a user or no one: a set of peers */
    uint32_t as_system; /* who may call it as the system */
};

/* A received frame that large requests point into. */
struct server_frame {
    nng_msg *msg;
    size_t references;
};

/* A frame of replies that is being filled or waits to be sent. */
struct reply_frame {
    struct rpc_list link; /* server_pipe.frames */
    nng_msg *msg;
    uint64_t replies;
};

/* One connected client. */
struct server_pipe {
    struct rpc_list link;   /* bucket of server.pipes */
    struct rpc_list dirty;  /* server.dirty */
    struct rpc_list frames; /* reply_frame: the last one is open */
    uint32_t id;
    uint32_t peers;        /* who it is: a set, fixed when it connected */
    uint32_t header;       /* the client's nng request id, echoed */
    uint32_t sent;         /* reply frames handed to nng */
    uint32_t acknowledged; /* of these received by the client */
    size_t queued_bytes;
    size_t usual;      /* bytes of a reply frame here: what the next one begins with */
    size_t references; /* requests being served */
    bool gone;
};

struct server_request {
    struct mirai_rpc_request public; /* first: the service's view */
    struct rpc_list link;            /* server.free_requests */
    struct mirai_rpc_server *server;
    struct server_pipe *pipe;
    struct server_method *method;
    struct server_frame *frame; /* NULL: copied */
    struct mirai_buf bytes;     /* the copy */
    int64_t *ids;
    size_t ids_cap;
    uint32_t msgid;
};

struct mirai_rpc_server {
    struct rpc_socket socket;
    uv_idle_t flush; /* active while a reply waits: the loop must not block before it left */
    uv_timer_t linger;
    int open_handles;
    struct rpc_list pipes[PIPE_BUCKETS];
    struct rpc_list dirty;
    struct rpc_list free_requests;
    struct server_method *methods; /* open-addressed by name */
    size_t methods_mask;
    struct server_method unknown;
    const struct mirai_peers *peers; /* NULL: everyone may call everything */
    uint64_t forbidden_ms;           /* when a call without the right to it was last logged */
    struct rpc_frame_metrics metrics;
    struct mirai_gauge *pending_gauge;
    struct mirai_buf scratch;
    int64_t ids[IDS_MAX];
    void *data;
    size_t queue_max;
    size_t pending;
    uint64_t now_us; /* arrival of the frame being read */
    bool draining;
    bool closed;
};

/* The static analyzer does not follow nodes that are parts of other structs. */
/* NOLINTBEGIN(clang-analyzer-unix.Malloc) */

/* ------------------------------------------------------------------ methods */

static size_t hash_name(struct mirai_str name)
{
    uint32_t hash = 2166136261u; /* FNV-1a */
    for (size_t i = 0; i < name.len; i++) {
        hash = (hash ^ (unsigned char)name.data[i]) * 16777619u;
    }
    return hash;
}

static struct server_method *find_method(struct mirai_rpc_server *server, struct mirai_str name)
{
    for (size_t i = hash_name(name);; i++) {
        struct server_method *method = &server->methods[i & server->methods_mask];
        if (method->name == NULL || mirai_str_eq(mirai_str(method->name), name)) {
            return method;
        }
    }
}

static size_t count_methods(const struct mirai_rpc_method *methods)
{
    size_t n = 0;
    while (methods != NULL && methods[n].name != NULL) {
        n++;
    }
    return n;
}

static void method_init(struct mirai_rpc_server *server, struct server_method *method, const char *name,
                        void (*handle)(struct mirai_rpc_request *))
{
    char labels[128];
    snprintf(labels, sizeof(labels), "method=\"%s\"", name);
    method->name = name;
    method->handle = handle;
    method->as_user = server->peers != NULL ? mirai_peers_allowed(server->peers, name, false) : UINT32_MAX;
    method->as_system = server->peers != NULL ? mirai_peers_allowed(server->peers, name, true) : UINT32_MAX;
    method->seconds = mirai_metric_histogram("mirai_rpc_seconds", "Time from arrival to reply", labels);
}

static void add_methods(struct mirai_rpc_server *server, const struct mirai_rpc_method *methods)
{
    for (size_t i = 0; methods != NULL && methods[i].name != NULL; i++) {
        struct server_method *method = find_method(server, mirai_str(methods[i].name));
        if (method->name == NULL) { /* the first table wins */
            method_init(server, method, methods[i].name, methods[i].handle);
        }
    }
}

static void count_result(struct server_method *method, int err)
{
    int index = err <= 0 && -err < MIRAI_ERROR_COUNT ? -err : MIRAI_ERROR_INDEX_INTERNAL;
    if (method->results[index] == NULL) {
        char labels[128];
        snprintf(labels, sizeof(labels), "method=\"%s\",result=\"%s\"", method->name, mirai_error_slug(err));
        method->results[index] =
            mirai_metric_counter("mirai_rpc_requests_total", "Requests served, by result", labels);
    }
    mirai_counter_add(method->results[index], 1);
}

/* ------------------------------------------------------------------ pipes and their replies */

static struct server_pipe *find_pipe(struct mirai_rpc_server *server, uint32_t id)
{
    struct rpc_list *bucket = &server->pipes[id % PIPE_BUCKETS];
    for (struct rpc_list *node = bucket->next; node != bucket; node = node->next) {
        struct server_pipe *pipe = RPC_LIST_OWNER(node, struct server_pipe, link);
        if (pipe->id == id) {
            return pipe;
        }
    }
    return NULL;
}

static struct server_pipe *add_pipe(struct mirai_rpc_server *server, uint32_t id)
{
    struct server_pipe *pipe = mirai_alloc(sizeof(*pipe));
    pipe->id = id;
    pipe->peers = rpc_socket_peers(&server->socket, id);
    pipe->usual = FRAME_MIN;
    rpc_list_init(&pipe->dirty);
    rpc_list_init(&pipe->frames);
    rpc_list_append(&server->pipes[id % PIPE_BUCKETS], &pipe->link);
    return pipe;
}

static void free_reply_frame(struct server_pipe *pipe, struct reply_frame *frame)
{
    pipe->queued_bytes -= nng_msg_len(frame->msg);
    rpc_list_remove(&frame->link);
    nng_msg_free(frame->msg);
    free(frame);
}

static void drop_replies(struct server_pipe *pipe)
{
    while (!rpc_list_empty(&pipe->frames)) {
        free_reply_frame(pipe, RPC_LIST_OWNER(pipe->frames.next, struct reply_frame, link));
    }
    rpc_list_remove(&pipe->dirty);
}

/* The peer is away: what was meant for it goes; requests being served keep the struct. */
static void remove_pipe(struct server_pipe *pipe)
{
    pipe->gone = true;
    drop_replies(pipe);
    rpc_list_remove(&pipe->link);
    if (pipe->references == 0) {
        free(pipe);
    }
}

static void release_pipe(struct server_pipe *pipe)
{
    if (--pipe->references == 0 && pipe->gone) {
        free(pipe);
    }
}

/* Grow at once, shrink slowly. */
static void learn_usual(struct server_pipe *pipe, size_t bytes)
{
    size_t usual = bytes > pipe->usual ? bytes : pipe->usual - (pipe->usual - bytes) / 8;
    pipe->usual = usual < FRAME_MIN ? FRAME_MIN : usual > RPC_FRAME_TARGET ? RPC_FRAME_TARGET : usual;
}

/* Hand the first frame of the pipe to the socket. False: not now. */
static bool send_frame(struct mirai_rpc_server *server, struct server_pipe *pipe)
{
    struct reply_frame *frame = RPC_LIST_OWNER(pipe->frames.next, struct reply_frame, link);
    size_t bytes = nng_msg_len(frame->msg);
    nng_msg_header_clear(frame->msg);
    nng_msg_header_append_u32(frame->msg, pipe->id);
    nng_msg_header_append_u32(frame->msg, pipe->header);
    if (rpc_socket_send(&server->socket, frame->msg) != 0) {
        return false;
    }
    pipe->sent++;
    learn_usual(pipe, bytes);
    pipe->queued_bytes -= bytes;
    mirai_counter_add(server->metrics.frames_sent, 1);
    mirai_counter_add(server->metrics.messages_sent, frame->replies);
    rpc_list_remove(&frame->link);
    free(frame);
    return true;
}

/* Send what may be sent; pipes whose window is full stay out of the dirty list until they acknowledge. */
static void flush_pipes(struct mirai_rpc_server *server)
{
    while (!rpc_list_empty(&server->dirty)) {
        struct server_pipe *pipe = RPC_LIST_OWNER(server->dirty.next, struct server_pipe, dirty);
        while (!rpc_list_empty(&pipe->frames) && pipe->sent - pipe->acknowledged < RPC_WINDOW) {
            if (server->socket.waiting || !send_frame(server, pipe)) {
                return; /* writable comes */
            }
        }
        rpc_list_remove(&pipe->dirty);
    }
}

static void on_flush(uv_idle_t *idle)
{
    uv_idle_stop(idle);
    flush_pipes(idle->data);
}

static void mark_dirty(struct mirai_rpc_server *server, struct server_pipe *pipe)
{
    if (rpc_list_empty(&pipe->dirty)) {
        rpc_list_append(&server->dirty, &pipe->dirty);
    }
    if (!server->socket.waiting && !server->socket.closing) {
        uv_idle_start(&server->flush, on_flush);
    }
}

static struct reply_frame *new_reply_frame(struct server_pipe *pipe, size_t size)
{
    struct reply_frame *frame = mirai_alloc(sizeof(*frame));
    if (nng_msg_alloc(&frame->msg, 0) != 0 || nng_msg_reserve(frame->msg, size) != 0) {
        abort(); /* as every allocation */
    }
    rpc_list_append(&pipe->frames, &frame->link);
    return frame;
}

/* Append one response, in two pieces, to the pipe's open frame. */
static void queue_response(struct mirai_rpc_server *server, struct server_pipe *pipe, struct mirai_str head,
                           struct mirai_str body)
{
    size_t size = head.len + body.len;
    struct reply_frame *frame = NULL;
    if (!rpc_list_empty(&pipe->frames)) {
        frame = RPC_LIST_OWNER(pipe->frames.prev, struct reply_frame, link);
    }
    if (frame == NULL || nng_msg_len(frame->msg) + size > RPC_FRAME_TARGET) {
        frame = new_reply_frame(pipe, size > pipe->usual ? size : pipe->usual);
    } else if (nng_msg_capacity(frame->msg) < nng_msg_len(frame->msg) + size) {
        nng_msg_reserve(frame->msg,
                        2 * (nng_msg_len(frame->msg) + size)); /* nng itself grows by what is asked */
    }
    if (nng_msg_append(frame->msg, head.data, head.len) != 0 ||
        nng_msg_append(frame->msg, body.data, body.len) != 0) {
        abort();
    }
    frame->replies++;
    pipe->queued_bytes += size;
    if (pipe->queued_bytes > PIPE_QUEUE_MAX) {
        mirai_log(WARNING, "client does not take its replies: cut off", MIRAI_LOG_I("pipe", pipe->id));
        drop_replies(pipe);
        rpc_socket_drop(&server->socket, pipe->id);
        return;
    }
    mark_dirty(server, pipe);
}

static void queue_error(struct mirai_rpc_server *server, struct server_pipe *pipe, uint32_t msgid, int err,
                        const char *message, struct mirai_str details, enum rpc_elsewhere elsewhere)
{
    server->scratch.len = 0;
    rpc_response_error(&server->scratch, msgid, err, message, details, elsewhere);
    queue_response(server, pipe, mirai_buf_str(&server->scratch), (struct mirai_str){0});
}

/* ------------------------------------------------------------------ requests */

static struct server_request *take_request(struct mirai_rpc_server *server)
{
    if (rpc_list_empty(&server->free_requests)) {
        return mirai_alloc(sizeof(struct server_request));
    }
    struct server_request *request = RPC_LIST_OWNER(server->free_requests.next, struct server_request, link);
    rpc_list_remove(&request->link);
    return request;
}

static void release_frame(struct server_frame *frame)
{
    if (--frame->references == 0) {
        nng_msg_free(frame->msg);
        free(frame);
    }
}

static void free_request(struct server_request *request)
{
    mirai_buf_free(&request->bytes);
    free(request->ids);
    free(request);
}

static void free_server(struct mirai_rpc_server *server)
{
    while (!rpc_list_empty(&server->free_requests)) {
        struct server_request *request =
            RPC_LIST_OWNER(server->free_requests.next, struct server_request, link);
        rpc_list_remove(&request->link);
        free_request(request);
    }
    mirai_buf_free(&server->scratch);
    free(server->methods);
    free(server);
}

/* The request was answered or dropped: its memory is for the next one. */
static void end_request(struct server_request *request, int err)
{
    struct mirai_rpc_server *server = request->server;
    count_result(request->method, err);
    mirai_histogram_observe(request->method->seconds, mirai_monotonic_us() - request->public.started_us);
    server->pending--;
    mirai_gauge_add(server->pending_gauge, -1);
    release_pipe(request->pipe);
    if (request->frame != NULL) {
        release_frame(request->frame);
    }
    if (request->bytes.cap > KEEP_MAX) {
        mirai_buf_free(&request->bytes);
    }
    request->bytes.len = 0;
    rpc_list_append(&server->free_requests, &request->link);
    if (server->closed && server->pending == 0) {
        free_server(server);
    }
}

/* Whether someone still waits for the answer; otherwise the request has ended. */
static bool wanted(struct server_request *request)
{
    const struct mirai_context *context = &request->public.context;
    if (request->pipe->gone || request->server->closed) {
        end_request(request, MIRAI_E_CANCELLED);
        return false;
    }
    if (context->deadline_ms != 0 && mirai_monotonic_ms() >= context->deadline_ms) {
        end_request(request, MIRAI_E_DEADLINE);
        return false;
    }
    return true;
}

void mirai_rpc_reply(struct mirai_rpc_request *public, struct mirai_str result)
{
    struct server_request *request = RPC_LIST_OWNER(public, struct server_request, public);
    unsigned char head[RPC_RESPONSE_HEAD];
    if (result.len > MIRAI_RPC_FRAME_MAX - RPC_RESPONSE_HEAD) {
        mirai_rpc_fail(public, MIRAI_E_TOO_LARGE, "the result is larger than a frame");
        return;
    }
    if (!wanted(request)) {
        return;
    }
    if (result.len == 0) {
        result = MIRAI_STR("\xc0");
    }
    rpc_response_head(head, request->msgid);
    queue_response(request->server, request->pipe, (struct mirai_str){(const char *)head, sizeof(head)},
                   result);
    end_request(request, 0);
}

void mirai_rpc_reply_buf(struct mirai_rpc_request *request, struct mirai_buf *buf)
{
    mirai_rpc_reply(request, mirai_buf_str(buf));
    mirai_buf_free(buf);
}

void mirai_rpc_fail_with(struct mirai_rpc_request *public, int err, const char *message,
                         struct mirai_str details)
{
    struct server_request *request = RPC_LIST_OWNER(public, struct server_request, public);
    if (details.len > MIRAI_RPC_FRAME_MAX / 2) {
        details.len = 0;
    }
    if (wanted(request)) {
        queue_error(request->server, request->pipe, request->msgid, err, message, details, RPC_HERE);
        end_request(request, err);
    }
}

void mirai_rpc_fail(struct mirai_rpc_request *request, int err, const char *message)
{
    mirai_rpc_fail_with(request, err, message, (struct mirai_str){0});
}

void mirai_rpc_decline(struct mirai_rpc_request *public, const char *message)
{
    struct server_request *request = RPC_LIST_OWNER(public, struct server_request, public);
    if (wanted(request)) {
        queue_error(request->server, request->pipe, request->msgid, MIRAI_E_UNAVAILABLE, message,
                    (struct mirai_str){0}, RPC_UNREADY);
        end_request(request, MIRAI_E_UNAVAILABLE);
    }
}

/* ------------------------------------------------------------------ receiving */

static void refuse(struct mirai_rpc_server *server, struct server_pipe *pipe,
                   const struct rpc_message *message, struct server_method *method, int err, const char *text)
{
    count_result(method, err);
    queue_error(server, pipe, message->msgid, err, text, (struct mirai_str){0},
                server->draining ? RPC_DRAINING : RPC_HERE);
}

/* Copy the message's bytes, or keep the frame; then the message's strings may be used as long as the request
 * lives. */
static void hold_bytes(struct server_request *request, struct rpc_message *message,
                       struct server_frame **frame, nng_msg *msg)
{
    const char *begin = message->method.data;
    size_t len = (size_t)(message->params.data + message->params.len - begin);
    if (len > COPY_MAX) {
        if (*frame == NULL) {
            *frame = mirai_alloc(sizeof(**frame));
            (*frame)->msg = msg;
            (*frame)->references = 1; /* of receive_frame */
        }
        (*frame)->references++;
        request->frame = *frame;
        return;
    }
    request->frame = NULL;
    mirai_buf_append(&request->bytes, begin, len);
    message->method.data = request->bytes.data;
    message->context.data = request->bytes.data + (message->context.data - begin);
    message->params.data = request->bytes.data + (message->params.data - begin);
}

static void hold_ids(struct server_request *request)
{
    struct mirai_principal *who = &request->public.context.principal;
    size_t len = who->spaces_len + who->groups_len;
    if (len == 0) {
        return;
    }
    if (request->ids_cap < len) {
        request->ids = mirai_realloc(request->ids, len * sizeof(*request->ids));
        request->ids_cap = len;
    }
    /* Two copies, because either may come first. */
    if (who->spaces_len > 0) {
        memcpy(request->ids, who->spaces, who->spaces_len * sizeof(*request->ids));
        who->spaces = request->ids;
    }
    if (who->groups_len > 0) {
        memcpy(request->ids + who->spaces_len, who->groups, who->groups_len * sizeof(*request->ids));
        who->groups = request->ids + who->spaces_len;
    }
}

/* Whether the daemon at the other end has the right to this method for this principal. */
static bool permitted(struct mirai_rpc_server *server, const struct server_request *request)
{
    const struct server_method *method = request->method;
    const struct mirai_principal *who = &request->public.context.principal;
    if ((request->pipe->peers & (who->user_id < 0 ? method->as_system : method->as_user)) != 0) {
        return true;
    }
    if (server->forbidden_ms == 0 || server->now_us / 1000 - server->forbidden_ms >= FORBIDDEN_LOG_MS) {
        server->forbidden_ms = server->now_us / 1000;
        mirai_log(WARNING, "a daemon called what it has no right to", MIRAI_LOG_Z("method", method->name),
                  MIRAI_LOG_I("user_id", who->user_id), MIRAI_LOG_I("peers", request->pipe->peers));
    }
    return false;
}

static void serve(struct mirai_rpc_server *server, struct server_pipe *pipe, struct rpc_message *message,
                  struct server_frame **frame, nng_msg *msg)
{
    struct server_method *method = find_method(server, message->method);
    if (method->name == NULL) {
        refuse(server, pipe, message, &server->unknown, MIRAI_E_NOT_FOUND, "unknown method");
        return;
    }
    if (server->draining) {
        refuse(server, pipe, message, method, MIRAI_E_UNAVAILABLE, "stopping");
        return;
    }
    if (server->pending >= server->queue_max) {
        refuse(server, pipe, message, method, MIRAI_E_OVERLOADED, NULL);
        return;
    }
    struct server_request *request = take_request(server);
    hold_bytes(request, message, frame, msg);
    request->server = server;
    request->pipe = pipe;
    request->method = method;
    request->msgid = message->msgid;
    request->public.method = message->method;
    request->public.params = message->params;
    request->public.data = server->data;
    request->public.started_us = server->now_us;
    pipe->references++;
    server->pending++;
    mirai_gauge_add(server->pending_gauge, 1);
    uint64_t now_ms = server->now_us / 1000;
    struct mirai_context *context = &request->public.context;
    if (mirai_context_decode(message->context, now_ms, context, server->ids, IDS_MAX) != 0) {
        context->deadline_ms = 0;
        mirai_rpc_fail(&request->public, MIRAI_E_INVALID, "context");
        return;
    }
    if (!permitted(server, request)) {
        mirai_rpc_fail(&request->public, MIRAI_E_FORBIDDEN, "this daemon has no right to it");
        return;
    }
    if (context->deadline_ms != 0 && context->deadline_ms <= now_ms) {
        end_request(request, MIRAI_E_DEADLINE);
        return;
    }
    hold_ids(request);
    method->handle(&request->public);
}

static void acknowledge(struct mirai_rpc_server *server, struct server_pipe *pipe,
                        const struct rpc_message *message)
{
    uint32_t count;
    if (rpc_ack_read(message, &count) != 0 || pipe->sent - count > pipe->sent - pipe->acknowledged) {
        return; /* another notification, or more than was sent */
    }
    pipe->acknowledged = count;
    if (!rpc_list_empty(&pipe->frames)) {
        mark_dirty(server, pipe);
    }
}

static void read_frame(struct mirai_rpc_server *server, struct server_pipe *pipe, nng_msg *msg)
{
    struct mirai_mp mp = mirai_mp((struct mirai_str){nng_msg_body(msg), nng_msg_len(msg)});
    struct server_frame *frame = NULL;
    struct rpc_message message;
    uint64_t requests = 0;
    pipe->references++; /* a handler may lose the pipe */
    while (mp.at < mp.end && !server->socket.closing && !pipe->gone) {
        if (rpc_message_read(&mp, &message) != 0 || message.type == RPC_RESPONSE) {
            mirai_counter_add(server->metrics.malformed, 1);
            break;
        }
        if (message.type == RPC_REQUEST) {
            requests++;
            serve(server, pipe, &message, &frame, msg);
        } else {
            acknowledge(server, pipe, &message);
        }
    }
    mirai_counter_add(server->metrics.messages_received, requests);
    release_pipe(pipe);
    if (frame != NULL) {
        release_frame(frame);
    } else {
        nng_msg_free(msg);
    }
}

static void on_message(void *data, nng_msg *msg)
{
    struct mirai_rpc_server *server = data;
    mirai_counter_add(server->metrics.frames_received, 1);
    if (nng_msg_header_len(msg) != 8) { /* {pipe, id}; longer after a device, which we do not use */
        mirai_counter_add(server->metrics.malformed, 1);
        nng_msg_free(msg);
        return;
    }
    uint32_t pipe_id;
    uint32_t header;
    nng_msg_header_trim_u32(msg, &pipe_id);
    nng_msg_header_trim_u32(msg, &header);
    struct server_pipe *pipe = find_pipe(server, pipe_id);
    if (pipe == NULL) { /* its message overtook the news of the connection */
        pipe = add_pipe(server, pipe_id);
    }
    pipe->header = header;
    server->now_us = mirai_monotonic_us();
    read_frame(server, pipe, msg);
}

static void on_pipe(void *data, uint32_t id, bool connected)
{
    struct server_pipe *pipe = find_pipe(data, id);
    if (!connected && pipe != NULL) {
        remove_pipe(pipe);
    }
}

static void on_writable(void *data)
{
    flush_pipes(data);
}

/* ------------------------------------------------------------------ life */

static void on_handle_closed(uv_handle_t *handle)
{
    struct mirai_rpc_server *server = handle->data;
    if (--server->open_handles > 0) {
        return;
    }
    for (size_t i = 0; i < PIPE_BUCKETS; i++) {
        while (!rpc_list_empty(&server->pipes[i])) {
            remove_pipe(RPC_LIST_OWNER(server->pipes[i].next, struct server_pipe, link));
        }
    }
    server->closed = true;
    if (server->pending == 0) {
        free_server(server);
    }
}

static void on_socket_closed(void *data)
{
    struct mirai_rpc_server *server = data;
    uv_close((uv_handle_t *)&server->flush, on_handle_closed);
    uv_close((uv_handle_t *)&server->linger, on_handle_closed);
}

static const struct rpc_socket_events socket_events = {
    .message = on_message,
    .pipe = on_pipe,
    .writable = on_writable,
    .closed = on_socket_closed,
};

struct mirai_rpc_server *mirai_rpc_server_new(const struct mirai_rpc_server_options *options)
{
    struct mirai_rpc_server *server = mirai_alloc(sizeof(*server));
    size_t slots = 16;
    while (slots < 2 * (count_methods(options->methods) + count_methods(options->more)) + 1) {
        slots *= 2;
    }
    server->methods = mirai_alloc(slots * sizeof(*server->methods));
    server->methods_mask = slots - 1;
    server->data = options->data;
    server->queue_max = options->queue_max;
    server->peers = options->security != NULL ? options->security->peers : NULL;
    add_methods(server, options->methods);
    add_methods(server, options->more);
    server->unknown.name = "unknown";
    rpc_frame_metrics_init(&server->metrics, "server");
    server->pending_gauge = mirai_metric_gauge("mirai_rpc_pending", "Requests not yet answered", NULL);
    rpc_list_init(&server->dirty);
    rpc_list_init(&server->free_requests);
    for (size_t i = 0; i < PIPE_BUCKETS; i++) {
        rpc_list_init(&server->pipes[i]);
    }
    uv_idle_init(options->loop, &server->flush);
    uv_timer_init(options->loop, &server->linger);
    server->flush.data = server;
    server->linger.data = server;
    server->open_handles = 2;
    if (rpc_socket_listen(&server->socket, options->loop, RPC_PROTOCOL_REP, options->url,
                          (struct rpc_guard){.security = options->security}, &socket_events, server) != 0) {
        if (rpc_socket_is_open(&server->socket)) {
            rpc_socket_close(&server->socket);
        } else {
            on_socket_closed(server);
        }
        return NULL;
    }
    return server;
}

size_t mirai_rpc_server_pending(const struct mirai_rpc_server *server)
{
    return server->pending;
}

void mirai_rpc_server_drain(struct mirai_rpc_server *server)
{
    server->draining = true;
}

static void on_linger(uv_timer_t *timer)
{
    struct mirai_rpc_server *server = timer->data;
    rpc_socket_close(&server->socket);
}

static bool all_received(struct mirai_rpc_server *server)
{
    for (size_t i = 0; i < PIPE_BUCKETS; i++) {
        struct rpc_list *bucket = &server->pipes[i];
        for (struct rpc_list *node = bucket->next; node != bucket; node = node->next) {
            struct server_pipe *pipe = RPC_LIST_OWNER(node, struct server_pipe, link);
            if (pipe->sent != pipe->acknowledged || !rpc_list_empty(&pipe->frames)) {
                return false;
            }
        }
    }
    return true;
}

void mirai_rpc_server_free(struct mirai_rpc_server *server)
{
    server->draining = true; /* closing the listener now would close its pipes */
    flush_pipes(server);
    if (all_received(server)) {
        rpc_socket_close(&server->socket);
    } else {
        /* nng gives up what it holds when its socket is closed. */
        uv_timer_start(&server->linger, on_linger, LINGER_MS, 0);
    }
}
/* NOLINTEND(clang-analyzer-unix.Malloc) */
