#include "libcommon/time.h"
#include "services/gateway/gateway.h"

/* The audit log as JSON Lines comes from the store in pages; the next is asked for when h2o has sent the last. */

struct export
{
    h2o_generator_t super;
    struct exchange *exchange;
    struct mirai_audit_export params; /* of the next page */
    bool whole;                       /* no limit was given: to the end */
    bool started;                     /* the head of the answer has left */
    struct mirai_buf lines;           /* what h2o is sending */
};

static void free_export(struct exchange *exchange)
{
    struct export *export = exchange->state;
    mirai_buf_free(&export->lines);
}

static void fail(struct export *export, const struct mirai_rpc_reply *reply)
{
    if (export->started) { /* too late for a status: the client sees a broken body */
        h2o_send(export->exchange->req, NULL, 0, H2O_SEND_STATE_ERROR);
    } else if (reply != NULL && reply->status != 0) {
        response_rpc_error(export->exchange, reply);
    } else {
        response_fault(export->exchange, reply == NULL ? MIRAI_E_UNAVAILABLE : MIRAI_E_INTERNAL, NULL);
    }
}

/* The page as lines, and behind which number the next begins. False when it is not readable. */
static bool read_page(struct export *export, struct mirai_str result, uint32_t *count)
{
    struct mirai_str items, item, id;
    if (mirai_mp_find(result, "items", &items) != 0) {
        return false;
    }
    struct mirai_mp list = mirai_mp(items);
    if (mirai_mp_read_array(&list, count) != 0) {
        return false;
    }
    export->lines.len = 0;
    for (uint32_t i = 0; i < *count; i++) {
        if (mirai_mp_raw(&list, &item) != 0 || mirai_mp_to_json(item, &export->lines) != 0 ||
            mirai_mp_find(item, "id", &id) != 0) {
            return false;
        }
        struct mirai_mp number = mirai_mp(id);
        if (mirai_mp_read_int(&number, &export->params.after_id) != 0) {
            return false;
        }
        mirai_buf_append_char(&export->lines, '\n');
    }
    mirai_mark(audit_export, &export->params, after_id);
    return true;
}

static void start(struct export *export)
{
    struct exchange *exchange = export->exchange;
    export->started = true;
    response_header(exchange, H2O_TOKEN_CONTENT_TYPE, MIRAI_STR("application/jsonl"));
    response_header(exchange, H2O_TOKEN_CONTENT_DISPOSITION,
                    MIRAI_STR("attachment; filename=\"audit.jsonl\""));
    response_common_headers(exchange, RESPONSE_NO_STORE, false);
    response_start(exchange, 200, SIZE_MAX, &export->super);
}

static void on_page(void *data, const struct mirai_rpc_reply *reply)
{
    struct exchange *exchange = exchange_called(data);
    struct export *export = exchange->state;
    uint32_t count = 0;
    if (reply->status != 0 || !read_page(export, reply->result, &count)) {
        fail(export, reply);
        return;
    }
    bool last = !export->whole || count < (uint64_t) export->params.limit;
    if (!export->started) {
        start(export);
    }
    h2o_iovec_t bytes = h2o_iovec_init(export->lines.data, export->lines.len);
    bool empty = exchange->is_head || bytes.len == 0;
    h2o_send(exchange->req, empty ? NULL : &bytes, empty ? 0 : 1,
             last || exchange->is_head ? H2O_SEND_STATE_FINAL : H2O_SEND_STATE_IN_PROGRESS);
}

static void ask(struct export *export)
{
    struct exchange *exchange = export->exchange;
    struct gateway_loop *loop = exchange->loop;
    if (loop->clients[UPSTREAM_STORE] == NULL) {
        fail(export, NULL);
        return;
    }
    loop->params.len = 0;
    mirai_message_encode(&mirai_message_audit_export, &export->params, &loop->params);
    exchange->context.deadline_ms = mirai_monotonic_ms() + loop->gateway->settings.rpc_deadline_ms;
    exchange_call(exchange, MIRAI_METHOD_ID_audit_export, mirai_buf_str(&loop->params), on_page);
}

static void proceed(h2o_generator_t *self, h2o_req_t *req)
{
    (void)req;
    ask((struct export *)self);
}

void handle_audit_export(struct exchange *exchange)
{
    struct export *export = h2o_mem_alloc_pool(&exchange->req->pool, sizeof(*export));
    *export = (struct export){.super = {proceed, NULL}, .exchange = exchange};
    int err = exchange_params(exchange, &mirai_message_audit_export, &export->params);
    mirai_arena_free(&exchange->loop->arena);
    if (err != 0) {
        return;
    }
    exchange->state = export;
    exchange->abandon = free_export;
    export->whole = !mirai_has(audit_export, &export->params, limit);
    if (export->whole) {
        mirai_set(audit_export, &export->params, limit, 500);
    }
    ask(export);
}
