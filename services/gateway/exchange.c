#include "libcommon/log.h"
#include "libcommon/time.h"
#include "services/gateway/gateway.h"
#include "services/gateway/identity/redis.h"

/* Only who is known changes anyone's access. If anybody could void what is kept, nobody could search while the store is
 * away; the session that a login ends is one of the client's own. */
void exchange_unsettled(const struct exchange *exchange)
{
    if (exchange->identity != NULL && (exchange->route->flags & ROUTE_ACCESS) != 0) {
        auth_changed(exchange->loop->gateway);
    }
}

/* h2o ends the request: the client is gone, or the answer has been sent. */
static void dispose(void *data)
{
    struct exchange *exchange = *(struct exchange **)data;
    if (exchange->call != NULL) {
        mirai_rpc_cancel(exchange->call);
        exchange->call = NULL;
        exchange_unsettled(exchange);
    }
    if (exchange->command != NULL) {
        redis_cancel(exchange->command);
        exchange->command = NULL;
        exchange_unsettled(exchange);
    }
    if (exchange->abandon != NULL) {
        exchange->abandon(exchange);
    }
    if (exchange->identity != NULL) { /* after abandon(), which may still call in its name */
        h2o_mem_release_shared(exchange->identity);
    }
    atomic_fetch_sub_explicit(&exchange->loop->gateway->requests, 1, memory_order_relaxed);
}

/* xorshift128+ (Vigna 2014): trace ids need to be different, not secret. */
static uint64_t next_random(struct gateway_loop *loop)
{
    uint64_t a = loop->random[0], b = loop->random[1];
    loop->random[0] = b;
    a ^= a << 23;
    loop->random[1] = a ^ b ^ (a >> 18) ^ (b >> 5);
    return loop->random[1] + b;
}

static void make_trace(struct exchange *exchange)
{
    uint64_t random[3] = {next_random(exchange->loop), next_random(exchange->loop),
                          next_random(exchange->loop)};
    header_traceparent_make(exchange->traceparent, exchange_header_by_name(exchange, "traceparent"),
                            (const unsigned char *)random);
    exchange->context.traceparent = (struct mirai_str){exchange->traceparent, TRACEPARENT_LEN};
}

const struct address *exchange_peer(struct exchange *exchange)
{
    struct sockaddr_storage address;
    const struct proxies *proxies = &exchange->loop->gateway->settings.proxies;
    h2o_conn_t *conn = exchange->req->conn;
    if (address_known(&exchange->peer) ||
        conn->callbacks->get_peername(conn, (struct sockaddr *)&address) == 0) {
        return &exchange->peer;
    }
    exchange->peer = address_of_socket((struct sockaddr *)&address);
    if (proxies->count > 0 && proxies_trust(proxies, &exchange->peer)) {
        exchange->peer = proxies_client(proxies, &exchange->peer,
                                        exchange_header_list(exchange, H2O_TOKEN_X_FORWARDED_FOR));
    }
    address_print(&exchange->peer, exchange->address);
    exchange->context.client_address = mirai_str(exchange->address);
    return &exchange->peer;
}

struct mirai_str exchange_address(struct exchange *exchange)
{
    exchange_peer(exchange);
    return mirai_str(exchange->address);
}

struct exchange *exchange_new(struct gateway_loop *loop, h2o_req_t *req)
{
    /* In the pool, whose chunks h2o reuses; the small counted block is there for its dispose function, which h2o calls
     * before the pool's memory goes. */
    struct exchange *exchange = h2o_mem_alloc_pool(&req->pool, sizeof(*exchange));
    *(struct exchange **)h2o_mem_alloc_shared(&req->pool, sizeof(exchange), dispose) = exchange;
    /* The big members are written before they are read. */
    memset(exchange, 0, offsetof(struct exchange, target));
    exchange->traceparent[0] = '\0';
    exchange->address[0] = '\0';
    exchange->req = req;
    exchange->loop = loop;
    exchange->started_us = mirai_monotonic_us();
    exchange->is_head = h2o_memis(req->method.base, req->method.len, H2O_STRLIT("HEAD"));
    exchange->context.deadline_ms = exchange->started_us / 1000 + loop->gateway->settings.rpc_deadline_ms;
    struct mirai_str language = exchange_header_list(exchange, H2O_TOKEN_ACCEPT_LANGUAGE);
    struct mirai_str locale = loop->gateway->settings.locale;
    exchange->context.locale = language.len > 0 ? header_language(language, locale) : locale;
    make_trace(exchange);
    if (!exchange->is_head && !h2o_memis(req->method.base, req->method.len, H2O_STRLIT("GET"))) {
        exchange_peer(exchange); /* the audit log tells where changes came from */
    }
    atomic_fetch_add_explicit(&loop->gateway->requests, 1, memory_order_relaxed);
    return exchange;
}

struct mirai_str exchange_header(const struct exchange *exchange, const h2o_token_t *token)
{
    ssize_t at = h2o_find_header(&exchange->req->headers, token, -1);
    return at < 0 ? (struct mirai_str){0}
                  : (struct mirai_str){exchange->req->headers.entries[at].value.base,
                                       exchange->req->headers.entries[at].value.len};
}

struct mirai_str exchange_header_list(const struct exchange *exchange, const h2o_token_t *token)
{
    const h2o_headers_t *headers = &exchange->req->headers;
    struct mirai_str list = exchange_header(exchange, token);
    ssize_t at = list.data != NULL ? h2o_find_header(headers, token, -1) : -1;
    while (at >= 0 && (at = h2o_find_header(headers, token, at)) >= 0) {
        h2o_iovec_t more = headers->entries[at].value;
        h2o_iovec_t joined = h2o_concat(&exchange->req->pool, h2o_iovec_init(list.data, list.len),
                                        h2o_iovec_init(H2O_STRLIT(", ")), more);
        list = (struct mirai_str){joined.base, joined.len};
    }
    return list;
}

struct mirai_str exchange_header_by_name(const struct exchange *exchange, const char *name)
{
    ssize_t at = h2o_find_header_by_str(&exchange->req->headers, name, strlen(name), -1);
    return at < 0 ? (struct mirai_str){0}
                  : (struct mirai_str){exchange->req->headers.entries[at].value.base,
                                       exchange->req->headers.entries[at].value.len};
}

bool exchange_same_origin(const struct exchange *exchange)
{
    return header_same_origin(
        exchange_header_by_name(exchange, "sec-fetch-site"), exchange_header_by_name(exchange, "origin"),
        (struct mirai_str){exchange->req->authority.base, exchange->req->authority.len});
}

struct mirai_str exchange_body(const struct exchange *exchange)
{
    return (struct mirai_str){exchange->req->entity.base, exchange->req->entity.len};
}

struct mirai_str exchange_id(const struct exchange *exchange)
{
    return (struct mirai_str){exchange->traceparent + 3, 32};
}

struct mirai_str exchange_keep(struct exchange *exchange, struct mirai_str bytes)
{
    char *copy = h2o_mem_alloc_pool(&exchange->req->pool, bytes.len + 1);
    if (bytes.len > 0) {
        memcpy(copy, bytes.data, bytes.len);
    }
    copy[bytes.len] = '\0';
    return (struct mirai_str){copy, bytes.len};
}

static struct mirai_rpc_client *client_of(struct gateway_loop *loop, enum mirai_method_id id)
{
    /* The methods stand in the order of their daemons. */
    enum upstream upstream = id < MIRAI_METHOD_ID_search_query ? UPSTREAM_STORE
                             : id < MIRAI_METHOD_ID_backup_run ? UPSTREAM_SEARCH
                                                               : UPSTREAM_BACKUP;
    return loop->clients[upstream];
}

void exchange_call(struct exchange *exchange, enum mirai_method_id id, struct mirai_str params,
                   mirai_rpc_cb callback)
{
    struct mirai_rpc_client *client = client_of(exchange->loop, id);
    exchange->call = mirai_rpc_call(client, mirai_methods[id].name, mirai_methods[id].kind,
                                    &exchange->context, params, callback, exchange);
}

/* ------------------------------------------------------------------ parameters */

/* All values of a name in the query, joined by commas: ?tag=a&tag=b is ?tag=a,b. */
static struct mirai_str joined_values(struct exchange *exchange, const struct target_pair *first)
{
    const struct target *target = &exchange->target;
    struct mirai_str all = first->value;
    for (const struct target_pair *pair = first + 1; pair < target->pairs + target->pairs_count; pair++) {
        if (mirai_str_eq(pair->name, first->name)) {
            char *joined = h2o_mem_alloc_pool(&exchange->req->pool, all.len + 1 + pair->value.len);
            memcpy(joined, all.data, all.len);
            joined[all.len] = ',';
            memcpy(joined + all.len + 1, pair->value.data, pair->value.len);
            all = (struct mirai_str){joined, all.len + 1 + pair->value.len};
        }
    }
    return all;
}

static bool is_repetition(const struct target *target, const struct target_pair *pair)
{
    for (const struct target_pair *before = target->pairs; before < pair; before++) {
        if (mirai_str_eq(before->name, pair->name)) {
            return true;
        }
    }
    return false;
}

/* Parameters that the path or a header has set may not come from the query as well. */
static void set_query(struct exchange *exchange, const struct mirai_message *message, void *out,
                      struct mirai_faults *faults)
{
    const struct target *target = &exchange->target;
    for (size_t i = 0; i < target->pairs_count; i++) {
        const struct target_pair *pair = &target->pairs[i];
        const struct mirai_field *field = mirai_field_find(message, pair->name);
        struct mirai_str value = pair->value;
        if (field != NULL && (field->kind == MIRAI_FIELD_STRS || field->kind == MIRAI_FIELD_INTS)) {
            if (is_repetition(target, pair)) {
                continue;
            }
            value = joined_values(exchange, pair);
        }
        mirai_message_set_text(message, pair->name, value, &exchange->loop->arena, out, faults);
    }
}

/* If-Match as the member if_match. 0 or the error to answer with. */
static int set_if_match(struct exchange *exchange, const struct mirai_message *message, void *out)
{
    struct mirai_str etag, header = exchange_header(exchange, H2O_TOKEN_IF_MATCH);
    if (header.len == 0 && (exchange->route->flags & ROUTE_MUST_MATCH) != 0) {
        return MIRAI_E_PRECONDITION_REQUIRED;
    }
    int err = header_if_match(header.len > 0 ? header : MIRAI_STR("*"), &etag);
    if (err == 0) {
        err = mirai_message_set_text(message, MIRAI_STR("if_match"), etag, &exchange->loop->arena, out, NULL);
    }
    return err;
}

int exchange_params(struct exchange *exchange, const struct mirai_message *message, void *out)
{
    const struct route_plan *plan = route_plan(exchange->route);
    struct mirai_faults faults = {.count = 0};
    memset(out, 0, message->size);
    for (size_t i = 0; i < plan->params_count; i++) {
        if (mirai_message_set_text(message, plan->params[i], *exchange->path_values[i],
                                   &exchange->loop->arena, out, NULL) != 0) {
            response_problem(exchange, PROBLEM_NOT_FOUND, NULL, (struct mirai_str){0});
            return MIRAI_E_NOT_FOUND; /* no such thing can exist */
        }
    }
    if ((exchange->route->flags & ROUTE_IF_MATCH) != 0) {
        int err = set_if_match(exchange, message, out);
        if (err != 0) {
            response_fault(exchange, err, NULL);
            return err;
        }
    }
    if (exchange->target.pairs_count > 0) {
        set_query(exchange, message, out, &faults);
        if (faults.count > 0) {
            response_fault(exchange, MIRAI_E_UNPROCESSABLE, &faults);
            return MIRAI_E_UNPROCESSABLE;
        }
    }
    return 0;
}
