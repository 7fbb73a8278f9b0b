#include "libcommon/log.h"
#include "services/gateway/gateway.h"
#include "services/gateway/identity/attempts.h"
#include "services/gateway/identity/held.h"
#include "services/gateway/identity/own_password.h"

#include <sodium.h>
#include <stdalign.h>

/* Room for the params of any method: the biggest are a few hundred bytes (checked in forward_params). */
#define PARAMS_MAX 2048

/* ------------------------------------------------------------------ answer */

/* Location of what was made: below the path that it was posted to. */
static void put_location(struct exchange *exchange, struct mirai_str result)
{
    struct mirai_str raw;
    int64_t id;
    if (mirai_mp_find(result, "id", &raw) != 0) {
        return;
    }
    struct mirai_mp mp = mirai_mp(raw);
    if (mirai_mp_read_int(&mp, &id) != 0) {
        return;
    }
    struct mirai_str path = exchange->target.path;
    char *location = h2o_mem_alloc_pool(&exchange->req->pool, path.len + 24);
    int len = snprintf(location, path.len + 24, "%.*s/%lld", MIRAI_STR_ARG(path), (long long)id);
    response_header(exchange, H2O_TOKEN_LOCATION, (struct mirai_str){location, (size_t)len});
}

/* Link to the next page (RFC 8288): this request with another cursor. */
static void put_next_link(struct exchange *exchange, struct mirai_str result)
{
    struct mirai_str cursor = response_text_of(result, "next_cursor");
    if (cursor.len == 0) {
        return;
    }
    struct mirai_buf link = {0};
    mirai_buf_printf(&link, "<%.*s?", MIRAI_STR_ARG(exchange->target.path));
    for (size_t i = 0; i < exchange->target.pairs_count; i++) {
        const struct target_pair *pair = &exchange->target.pairs[i];
        if (!mirai_str_eq(pair->name, MIRAI_STR("cursor"))) {
            target_escape(&link, pair->name);
            mirai_buf_append_char(&link, '=');
            target_escape(&link, pair->value);
            mirai_buf_append_char(&link, '&');
        }
    }
    mirai_buf_append_str(&link, MIRAI_STR("cursor="));
    target_escape(&link, cursor);
    mirai_buf_append_str(&link, MIRAI_STR(">; rel=\"next\""));
    response_header(exchange, H2O_TOKEN_LINK, exchange_keep(exchange, mirai_buf_str(&link)));
    mirai_buf_free(&link);
}

static void on_reply(void *data, const struct mirai_rpc_reply *reply)
{
    struct exchange *exchange = exchange_called(data);
    const struct route *route = exchange->route;
    enum response_cache cache = RESPONSE_NO_STORE;
    if (exchange->attempt != NULL) {
        attempts_note(exchange, reply);
    }
    if (reply->status != 0) {
        response_rpc_error(exchange, reply);
        return;
    }
    if ((route->flags & ROUTE_ACCESS) != 0) {
        auth_changed(exchange->loop->gateway);
    }
    if (exchange->kept_id != 0) {
        kept_put_and_send(exchange, reply->result);
        return;
    }
    if ((route->flags & ROUTE_ETAG) != 0 &&
        response_etag_of(exchange, response_text_of(reply->result, "etag"), &cache)) {
        return;
    }
    if (route->status == 201) {
        put_location(exchange, reply->result);
    } else if (route->method == ROUTE_GET && (route->flags & ROUTE_ETAG) == 0) {
        put_next_link(exchange, reply->result);
    }
    if (route->status == 204) {
        response_empty(exchange, 204, RESPONSE_NO_STORE);
    } else {
        response_json(exchange, route->status, reply->result, cache);
    }
}

/* ------------------------------------------------------------------ request */

static bool is_json(const struct exchange *exchange)
{
    struct mirai_str type = header_media_type(exchange_header(exchange, H2O_TOKEN_CONTENT_TYPE));
    return header_is(type, "application/json") ||
           (exchange->route->method == ROUTE_PATCH && header_is(type, "application/merge-patch+json"));
}

/* What the route adds to the parameters by itself. */
static void set_defaults(const struct exchange *exchange, void *params)
{
    if ((exchange->route->flags & ROUTE_COUNTS_VIEWS) != 0) {
        struct mirai_article_get *get = params;
        if (exchange->by_session && !exchange->is_head && !mirai_has(article_get, get, count_view)) {
            mirai_set(article_get, get, count_view, true);
        }
    }
    if ((exchange->route->flags & ROUTE_IN_BIN) != 0) {
        if (exchange->route->rpc == MIRAI_METHOD_ID_article_list) {
            mirai_set(article_list, (struct mirai_article_list *)params, deleted, true);
        } else {
            mirai_set(article_get, (struct mirai_article_get *)params, deleted, true);
        }
    }
}

/* Tell the store that the directory has found the password good. Clients cannot: the field is internal. */
static int add_checked(struct exchange *exchange, const struct mirai_message *message)
{
    struct mirai_buf *out = &exchange->loop->params;
    alignas(max_align_t) char params[PARAMS_MAX];
    struct mirai_buf marked = {0};
    int err =
        mirai_message_decode(message, mirai_buf_str(out), MIRAI_INNER, &exchange->loop->arena, params, NULL);
    if (err != 0) {
        response_fault(exchange, MIRAI_E_INTERNAL, NULL);
        return err;
    }
    if (message == &mirai_message_second_factor_begin) {
        mirai_set(second_factor_begin, (struct mirai_second_factor_begin *)params, checked, true);
    } else if (message == &mirai_message_second_factor_end) {
        mirai_set(second_factor_end, (struct mirai_second_factor_end *)params, checked, true);
    }
    mirai_buf_reserve(&marked, out->len + 64);
    mirai_message_encode(message, params, &marked);
    out->len = 0;
    mirai_buf_append_str(out, mirai_buf_str(&marked));
    sodium_memzero(marked.data, marked.cap);
    mirai_buf_free(&marked);
    return 0;
}

static bool takes_body(const struct route *route)
{
    return route->method != ROUTE_GET && (route->method != ROUTE_DELETE || (route->flags & ROUTE_BODY) != 0);
}

/* What belongs into a body does not come from the query: URLs end up in logs and histories, secrets with them. */
static int refuse_query(struct exchange *exchange)
{
    const struct target *target = &exchange->target;
    struct mirai_faults faults = {.count = 0};
    for (size_t i = 0; i < target->pairs_count; i++) {
        mirai_message_set_text(&mirai_message_empty, target->pairs[i].name, target->pairs[i].value,
                               &exchange->loop->arena, &(struct mirai_empty){0}, &faults);
    }
    if (faults.count == 0) {
        return 0;
    }
    response_fault(exchange, MIRAI_E_UNPROCESSABLE, &faults);
    return MIRAI_E_UNPROCESSABLE;
}

int forward_params(struct exchange *exchange, const struct mirai_message *message)
{
    alignas(max_align_t) char extra[PARAMS_MAX];
    struct mirai_buf *out = &exchange->loop->params;
    struct mirai_str body = exchange_body(exchange);
    out->len = 0;
    if (message->size > sizeof(extra)) {
        response_fault(exchange, MIRAI_E_INTERNAL, NULL);
        return MIRAI_E_INTERNAL;
    }
    bool with_body = takes_body(exchange->route);
    int err = with_body ? refuse_query(exchange) : 0;
    if (err == 0) {
        err = exchange_params(exchange, message, extra);
    }
    if (err != 0) {
        return err;
    }
    set_defaults(exchange, extra);
    if (!with_body || body.len == 0) {
        mirai_message_encode(message, extra, out);
        return 0;
    }
    struct mirai_faults faults = {.count = 0};
    err =
        is_json(exchange) ? mirai_message_from_json(message, body, extra, out, &faults) : MIRAI_E_MEDIA_TYPE;
    if (err != 0) {
        response_fault(exchange, err, &faults);
        return err;
    }
    return exchange->password_checked ? add_checked(exchange, message) : 0;
}

void forward_call(struct exchange *exchange)
{
    enum mirai_method_id id = (enum mirai_method_id)exchange->route->rpc;
    if (held_spares(exchange)) {
        held_rpc(exchange);
        return;
    }
    if (forward_params(exchange, mirai_methods[id].params) == 0) {
        exchange_call(exchange, id, mirai_buf_str(&exchange->loop->params), on_reply);
    }
    mirai_arena_free(&exchange->loop->arena);
}

void handle_rpc(struct exchange *exchange)
{
    if (own_password_asked(exchange)) {
        own_password_check(exchange);
    } else if (!kept_send(exchange)) {
        forward_call(exchange);
    }
}
