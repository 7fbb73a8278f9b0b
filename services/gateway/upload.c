#include "libcommon/time.h"
#include "services/gateway/gateway.h"

/* An attachment's content goes on to the store in chunks, one call at a time: begin, chunks, commit. */

struct upload {
    size_t offset;         /* bytes that the store has */
    struct mirai_str name; /* of the upload; empty before begin was answered */
    bool committing;
};

static void next_chunk(struct exchange *exchange);

static void on_nothing(void *data, const struct mirai_rpc_reply *reply)
{
    (void)data, (void)reply;
}

/* The store need not wait for the rest. What it does not hear of vanishes there by itself. */
static void abort_upload(struct exchange *exchange, const struct upload *upload)
{
    struct gateway_loop *loop = exchange->loop;
    struct mirai_upload_ref ref = {0};
    if (upload->name.len == 0 || upload->committing || loop->clients[UPSTREAM_STORE] == NULL) {
        return;
    }
    struct mirai_buf params = {0};
    mirai_set(upload_ref, &ref, upload, upload->name);
    mirai_message_encode(&mirai_message_upload_ref, &ref, &params);
    exchange->context.deadline_ms = mirai_monotonic_ms() + loop->gateway->settings.rpc_deadline_ms;
    mirai_rpc_call(loop->clients[UPSTREAM_STORE], mirai_methods[MIRAI_METHOD_ID_upload_abort].name,
                   MIRAI_RPC_WRITE, &exchange->context, mirai_buf_str(&params), on_nothing, NULL);
    mirai_buf_free(&params);
}

/* The request ends: answered, or its client is gone. */
static void abandon(struct exchange *exchange)
{
    const struct upload *upload = exchange->state;
    atomic_fetch_sub(&exchange->loop->gateway->uploads, 1);
    if (!exchange->answered) {
        abort_upload(exchange, upload);
    }
}

static void fail(struct exchange *exchange, const struct mirai_rpc_reply *reply)
{
    abort_upload(exchange, exchange->state);
    response_rpc_error(exchange, reply);
}

/* Each call has the whole deadline for itself: a large file takes many. */
static void call(struct exchange *exchange, enum mirai_method_id id, const void *params,
                 mirai_rpc_cb callback)
{
    struct mirai_buf *buf = &exchange->loop->params;
    buf->len = 0;
    mirai_message_encode(mirai_methods[id].params, params, buf);
    const struct gateway_settings *settings = &exchange->loop->gateway->settings;
    uint64_t scan_ms = id == MIRAI_METHOD_ID_upload_commit ? settings->scan_ms : 0;
    exchange->context.deadline_ms = mirai_monotonic_ms() + settings->rpc_deadline_ms + scan_ms;
    exchange_call(exchange, id, mirai_buf_str(buf), callback);
}

static void on_commit(void *data, const struct mirai_rpc_reply *reply)
{
    struct exchange *exchange = exchange_called(data);
    struct mirai_str raw;
    int64_t id = 0;
    if (reply->status != 0) {
        struct upload *upload = exchange->state;
        upload->committing = false; /* a store that waits for another commit need not */
        fail(exchange, reply);
        return;
    }
    if (mirai_mp_find(reply->result, "id", &raw) == 0) {
        struct mirai_mp mp = mirai_mp(raw);
        (void)mirai_mp_read_int(&mp, &id);
    }
    struct mirai_buf location = {0};
    mirai_buf_printf(&location, "%.*s/%lld", MIRAI_STR_ARG(exchange->target.path), (long long)id);
    response_header(exchange, H2O_TOKEN_LOCATION, exchange_keep(exchange, mirai_buf_str(&location)));
    mirai_buf_free(&location);
    response_json(exchange, 201, reply->result, RESPONSE_NO_STORE);
}

static void on_chunk(void *data, const struct mirai_rpc_reply *reply)
{
    struct exchange *exchange = exchange_called(data);
    struct upload *upload = exchange->state;
    size_t left = exchange->req->entity.len - upload->offset;
    if (reply->status != 0) {
        fail(exchange, reply);
        return;
    }
    upload->offset += left < MIRAI_RPC_CHUNK ? left : MIRAI_RPC_CHUNK;
    next_chunk(exchange);
}

static void next_chunk(struct exchange *exchange)
{
    struct upload *upload = exchange->state;
    size_t left = exchange->req->entity.len - upload->offset;
    if (left == 0) {
        struct mirai_upload_ref ref = {0};
        mirai_set(upload_ref, &ref, upload, upload->name);
        upload->committing = true;
        call(exchange, MIRAI_METHOD_ID_upload_commit, &ref, on_commit);
        return;
    }
    struct mirai_upload_chunk chunk = {0};
    mirai_set(upload_chunk, &chunk, upload, upload->name);
    mirai_set(upload_chunk, &chunk, offset, (int64_t)upload->offset);
    mirai_set(upload_chunk, &chunk, data,
              ((struct mirai_str){exchange->req->entity.base + upload->offset,
                                  left < MIRAI_RPC_CHUNK ? left : MIRAI_RPC_CHUNK}));
    call(exchange, MIRAI_METHOD_ID_upload_chunk, &chunk, on_chunk);
}

static void on_begin(void *data, const struct mirai_rpc_reply *reply)
{
    struct exchange *exchange = exchange_called(data);
    struct upload *upload = exchange->state;
    if (reply->status != 0) {
        response_rpc_error(exchange, reply);
        return;
    }
    upload->name = exchange_keep(exchange, response_text_of(reply->result, "upload"));
    next_chunk(exchange);
}

/* Room among the uploads in flight; given back by abandon(). */
static bool take_place(struct exchange *exchange)
{
    struct gateway *gateway = exchange->loop->gateway;
    if (atomic_fetch_add(&gateway->uploads, 1) >= gateway->settings.uploads_max) {
        atomic_fetch_sub(&gateway->uploads, 1);
        return false;
    }
    struct upload *upload = h2o_mem_alloc_pool(&exchange->req->pool, sizeof(*upload));
    *upload = (struct upload){.offset = 0};
    exchange->state = upload;
    exchange->abandon = abandon;
    return true;
}

/* type/subtype of a Content-Type; parameters such as a charset are not kept. */
static struct mirai_str media_type(const struct exchange *exchange)
{
    struct mirai_str type = header_media_type(exchange_header(exchange, H2O_TOKEN_CONTENT_TYPE));
    bool ok = type.len > 2 && type.len <= 127 && memchr(type.data, '/', type.len) != NULL;
    for (size_t i = 0; ok && i < type.len; i++) {
        ok = type.data[i] > ' ' && type.data[i] < 0x7f;
    }
    return ok ? type : MIRAI_STR("application/octet-stream");
}

void handle_upload(struct exchange *exchange)
{
    struct mirai_upload_begin begin;
    if (exchange->req->entity.base == NULL) {
        response_problem(exchange, PROBLEM_LENGTH_REQUIRED, NULL, (struct mirai_str){0});
        return;
    }
    if (exchange_params(exchange, &mirai_message_upload_begin, &begin) != 0) {
        mirai_arena_free(&exchange->loop->arena);
        return;
    }
    if (!take_place(exchange)) {
        response_fault(exchange, MIRAI_E_OVERLOADED, NULL);
        return;
    }
    if (!mirai_has(upload_begin, &begin, media_type)) {
        mirai_set(upload_begin, &begin, media_type, media_type(exchange));
    }
    mirai_set(upload_begin, &begin, size, (int64_t)exchange->req->entity.len);
    exchange->context.idempotency_key = (struct mirai_str){0}; /* is not one write but many */
    call(exchange, MIRAI_METHOD_ID_upload_begin, &begin, on_begin);
    mirai_arena_free(&exchange->loop->arena);
}
