#include "libcommon/time.h"
#include "services/gateway/gateway.h"

/* An attachment's content comes from the store in chunks; the next is asked for when h2o has sent the last.
 */

struct download {
    h2o_generator_t super;
    struct exchange *exchange;
    struct mirai_attachment_ref ref;
    uint64_t next; /* first byte not yet read */
    uint64_t last; /* last byte wanted */
    char *chunk;   /* the bytes that h2o is sending */
};

static void proceed(h2o_generator_t *self, h2o_req_t *req);

static void fail(struct exchange *exchange)
{
    h2o_send(exchange->req, NULL, 0,
             H2O_SEND_STATE_ERROR); /* too late for a status: the client sees a broken body */
}

static void on_bytes(void *data, const struct mirai_rpc_reply *reply)
{
    struct exchange *exchange = exchange_called(data);
    struct download *download = exchange->state;
    uint64_t left = download->last - download->next + 1;
    struct mirai_str bytes = response_text_of(reply->result, "data");
    if (reply->status != 0 || bytes.len == 0 || bytes.len > left || bytes.len > MIRAI_RPC_CHUNK) {
        fail(exchange);
        return;
    }
    memcpy(download->chunk, bytes.data, bytes.len);
    download->next += bytes.len;
    h2o_iovec_t buf = h2o_iovec_init(download->chunk, bytes.len);
    h2o_send(exchange->req, &buf, 1, bytes.len == left ? H2O_SEND_STATE_FINAL : H2O_SEND_STATE_IN_PROGRESS);
}

static void proceed(h2o_generator_t *self, h2o_req_t *req)
{
    struct download *download = (struct download *)self;
    struct exchange *exchange = download->exchange;
    struct gateway_loop *loop = exchange->loop;
    uint64_t left = download->last - download->next + 1;
    struct mirai_attachment_read read = {0};
    (void)req;
    if (loop->clients[UPSTREAM_STORE] == NULL) {
        fail(exchange);
        return;
    }
    mirai_set(attachment_read, &read, id, download->ref.id);
    mirai_set(attachment_read, &read, attachment_id, download->ref.attachment_id);
    mirai_set(attachment_read, &read, offset, (int64_t)download->next);
    mirai_set(attachment_read, &read, length, (int64_t)(left < MIRAI_RPC_CHUNK ? left : MIRAI_RPC_CHUNK));
    loop->params.len = 0;
    mirai_message_encode(&mirai_message_attachment_read, &read, &loop->params);
    exchange->context.deadline_ms = mirai_monotonic_ms() + loop->gateway->settings.rpc_deadline_ms;
    exchange_call(exchange, MIRAI_METHOD_ID_attachment_read, mirai_buf_str(&loop->params), on_bytes);
}

/* part NULL: none that there is (RFC 9110 §15.5.17). */
static void put_content_range(struct exchange *exchange, const struct download *part, uint64_t size)
{
    struct mirai_buf text = {0};
    if (part != NULL) {
        mirai_buf_printf(&text, "bytes %llu-%llu/%llu", (unsigned long long)part->next,
                         (unsigned long long)part->last, (unsigned long long)size);
    } else {
        mirai_buf_printf(&text, "bytes */%llu", (unsigned long long)size);
    }
    response_header(exchange, H2O_TOKEN_CONTENT_RANGE, exchange_keep(exchange, mirai_buf_str(&text)));
    mirai_buf_free(&text);
}

/* The part that the client asked for, as a header. Returns the status, or 416. */
static int choose_range(struct exchange *exchange, struct download *download, uint64_t size,
                        struct mirai_str etag)
{
    struct mirai_str range = exchange_header(exchange, H2O_TOKEN_RANGE);
    struct mirai_str if_range = exchange_header(exchange, H2O_TOKEN_IF_RANGE);
    download->next = 0;
    download->last = size - 1;
    if (range.len == 0 || exchange->is_head || (if_range.len > 0 && !header_if_range(if_range, etag))) {
        return 200;
    }
    int err = header_range(range, size, &download->next, &download->last);
    if (err == MIRAI_E_INVALID) {
        put_content_range(exchange, NULL, size);
        return 416;
    }
    if (err != 0) {
        return 200;
    }
    put_content_range(exchange, download, size);
    return 206;
}

static void put_headers(struct exchange *exchange, const struct mirai_attachment *attachment)
{
    struct mirai_buf disposition = {0};
    header_disposition(attachment->name, &disposition);
    response_header(exchange, H2O_TOKEN_CONTENT_TYPE, exchange_keep(exchange, attachment->media_type));
    response_header(exchange, H2O_TOKEN_CONTENT_DISPOSITION,
                    exchange_keep(exchange, mirai_buf_str(&disposition)));
    response_header(exchange, H2O_TOKEN_ACCEPT_RANGES, MIRAI_STR("bytes"));
    mirai_buf_free(&disposition);
}

static void start(struct exchange *exchange, const struct mirai_attachment *attachment)
{
    struct download *download = exchange->state;
    h2o_req_t *req = exchange->req;
    int status = 200;
    if (response_not_modified(exchange, attachment->sha256)) {
        return;
    }
    if (attachment->size > 0) {
        status = choose_range(exchange, download, (uint64_t)attachment->size, attachment->sha256);
    }
    if (status == 416) {
        response_problem(exchange, PROBLEM_RANGE, NULL, (struct mirai_str){0});
        return;
    }
    response_etag(exchange, attachment->sha256);
    put_headers(exchange, attachment);
    req->compress_hint = H2O_COMPRESS_HINT_DISABLE; /* ranges count the bytes as they are */
    if (attachment->size == 0) {
        response_common_headers(exchange, RESPONSE_REVALIDATE, false);
        response_send(exchange, 200, (struct mirai_str){0});
        return;
    }
    uint64_t length = download->last - download->next + 1;
    response_common_headers(exchange, RESPONSE_REVALIDATE, false);
    download->chunk = h2o_mem_alloc_pool(&req->pool, length < MIRAI_RPC_CHUNK ? length : MIRAI_RPC_CHUNK);
    response_start(exchange, status, length, &download->super);
    if (exchange->is_head) {
        h2o_send(req, NULL, 0, H2O_SEND_STATE_FINAL);
    } else {
        proceed(&download->super, req);
    }
}

static void on_attachment(void *data, const struct mirai_rpc_reply *reply)
{
    struct exchange *exchange = exchange_called(data);
    struct mirai_arena *arena = &exchange->loop->arena;
    struct mirai_attachment attachment;
    if (reply->status != 0) {
        response_rpc_error(exchange, reply);
    } else if (mirai_message_decode(&mirai_message_attachment, reply->result, MIRAI_INNER, arena, &attachment,
                                    NULL) != 0) {
        response_fault(exchange, MIRAI_E_INTERNAL, NULL);
    } else {
        start(exchange, &attachment);
    }
    mirai_arena_free(arena);
}

void handle_download(struct exchange *exchange)
{
    struct download *download = h2o_mem_alloc_pool(&exchange->req->pool, sizeof(*download));
    *download = (struct download){.super = {proceed, NULL}, .exchange = exchange};
    exchange->state = download;
    if (exchange_params(exchange, &mirai_message_attachment_ref, &download->ref) == 0) {
        struct mirai_buf *params = &exchange->loop->params;
        params->len = 0;
        mirai_message_encode(&mirai_message_attachment_ref, &download->ref, params);
        exchange_call(exchange, MIRAI_METHOD_ID_attachment_get, mirai_buf_str(params), on_attachment);
    }
    mirai_arena_free(&exchange->loop->arena);
}
