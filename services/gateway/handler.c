#include "services/gateway/gateway.h"
#include "services/gateway/identity/attempts.h"
#include "services/gateway/throttle.h"

static enum route_method method_of(const h2o_req_t *req)
{
    struct mirai_str method = {req->method.base, req->method.len};
    if (mirai_str_eq(method, MIRAI_STR("HEAD"))) {
        return ROUTE_GET;
    }
    enum route_method known = 0;
    while (known < ROUTE_METHODS && !mirai_str_eq(method, mirai_str(route_method_names[known]))) {
        known++;
    }
    return known;
}

static int parse_target(struct exchange *exchange)
{
    h2o_req_t *req = exchange->req;
    struct mirai_str raw = {req->input.path.base, req->input.path.len};
    bool encoded = memchr(raw.data, '%', raw.len) != NULL || memchr(raw.data, '+', raw.len) != NULL;
    char *scratch = encoded ? h2o_mem_alloc_pool(&req->pool, raw.len) : NULL;
    bool query = memchr(raw.data, '?', raw.len) != NULL;
    size_t pairs = TARGET_QUERY_MAX * sizeof(struct target_pair);
    exchange->target.pairs = query ? h2o_mem_alloc_pool(&req->pool, pairs) : NULL;
    return target_parse(raw, scratch, &exchange->target);
}

/* RFC 9112 §3.2: a request of HTTP/1.1 without Host is malformed. h2o puts the default name in its place. */
static bool lacks_host(const h2o_req_t *req)
{
    return req->version == 0x101 && req->input.authority.base == req->hostconf->authority.hostport.base;
}

/* Fields of a head that say where it goes and where its body ends. */
struct framing {
    unsigned hosts;
    unsigned lengths;
    unsigned encodings;
};

static void count_field(struct mirai_str line, struct framing *framing)
{
    const char *colon = line.len > 0 ? memchr(line.data, ':', line.len) : NULL;
    struct mirai_str name = {line.data, colon != NULL ? (size_t)(colon - line.data) : 0};
    framing->hosts += header_is(name, "host");
    framing->lengths += header_is(name, "content-length");
    framing->encodings += header_is(name, "transfer-encoding");
}

/* h2o keeps these fields for itself, takes the first Content-Length of several and the last Host, and Transfer-Encoding
 * before Content-Length; whoever stands in front may read them another way, and see another request begin (request
 * smuggling, RFC 9112 §6.3, §11.2). The bytes of the head still stand at the beginning of the connection's input. */
static struct framing framing_of(h2o_req_t *req)
{
    struct framing framing = {0};
    const h2o_buffer_t *input = req->conn->callbacks->get_socket(req->conn)->input;
    struct mirai_str line, rest = {input->bytes, input->size};
    bool begun = false; /* an empty line before the request is let through by h2o (RFC 9112 §2.2) */
    while (header_next_line(&rest, &line) && (line.len > 0 || !begun)) {
        begun = begun || line.len > 0;
        count_field(line, &framing);
    }
    return framing;
}

/* HTTP/1 only. After a refusal, and after a chunked body, of whose form h2o takes more than the standard does, the
 * connection ends: nothing that follows can be taken for a request. */
static bool is_ambiguous(h2o_req_t *req)
{
    struct framing framing = framing_of(req);
    bool ambiguous = framing.hosts > 1 || framing.lengths + framing.encodings > 1;
    if (ambiguous || framing.encodings > 0) {
        req->http1_is_persistent = 0;
    }
    return ambiguous;
}

/* All header fields together; h2o itself takes some 400 KiB. */
#define HEAD_MAX (64u << 10)

/* What is wrong with the head as a whole. A folded line arrives as a header without a name (RFC 9112 §5.2).
 */
static enum problem check_head(h2o_req_t *req)
{
    size_t bytes = 0;
    if (req->version < 0x200 && is_ambiguous(req)) {
        return PROBLEM_INVALID;
    }
    for (size_t i = 0; i < req->headers.size; i++) {
        const h2o_header_t *header = &req->headers.entries[i];
        if (header->name->len == 0) {
            req->http1_is_persistent = 0;
            return PROBLEM_INVALID;
        }
        bytes += header->name->len + header->value.len;
    }
    return lacks_host(req) ? PROBLEM_INVALID : bytes > HEAD_MAX ? PROBLEM_HEAD_TOO_LARGE : PROBLEM_NONE;
}

/* What the route does not take by its size or Accept. 0 or an error. */
static int check_form(const struct exchange *exchange)
{
    const struct gateway_settings *settings = &exchange->loop->gateway->settings;
    bool is_file = (exchange->route->flags & ROUTE_ANY_BODY) != 0;
    if (exchange->req->entity.len > (is_file ? settings->attachment_max : settings->body_max)) {
        return MIRAI_E_TOO_LARGE;
    }
    if (exchange->route->handle == handle_rpc && exchange->route->status != 204 &&
        !header_accepts(exchange_header_list(exchange, H2O_TOKEN_ACCEPT), "application", "json")) {
        return MIRAI_E_NOT_ACCEPTABLE;
    }
    if (exchange->route->method != ROUTE_GET) {
        struct mirai_str key = exchange_header_by_name(exchange, "idempotency-key");
        if (key.data != NULL && !header_idempotency_key_valid(key)) {
            return MIRAI_E_INVALID;
        }
    }
    return 0;
}

static int on_request(h2o_handler_t *self, h2o_req_t *req)
{
    (void)self;
    struct exchange *exchange = exchange_new(gateway_loop_of(req), req);
    unsigned allowed = 0;
    if (exchange->loop->stopping) {
        response_problem(exchange, PROBLEM_UNAVAILABLE, NULL, (struct mirai_str){0});
        return 0;
    }
    enum problem broken = check_head(req);
    if (broken != PROBLEM_NONE) {
        response_problem(exchange, broken, NULL, (struct mirai_str){0});
        return 0;
    }
    int err = parse_target(exchange);
    if (err == 0 && exchange->target.asterisk) {
        response_not_allowed(exchange, (1u << ROUTE_METHODS) - 1);
        return 0;
    }
    if (err == 0) {
        exchange->route = route_match(&exchange->target, method_of(req), exchange->path_values, &allowed);
        err = exchange->route == NULL ? MIRAI_E_NOT_FOUND : check_form(exchange);
    }
    bool anonymous = exchange->route == NULL || exchange->route->role == MIRAI_ROLE_NONE;
    if (anonymous && !throttle_address(exchange, exchange->route != NULL ? throttle_rate_of(exchange->route)
                                                                         : RATE_ANONYMOUS)) {
        return 0;
    }
    if (allowed != 0 && exchange->route == NULL) {
        response_not_allowed(exchange, allowed);
    } else if (err != 0) {
        response_fault(exchange, err, NULL);
    } else if (exchange->route->role > MIRAI_ROLE_NONE) {
        auth_check(exchange);
    } else {
        handler_authorized(exchange);
    }
    return 0;
}

void handler_authorized(struct exchange *exchange)
{
    const struct route *route = exchange->route;
    if (route->method != ROUTE_GET) {
        exchange->context.idempotency_key = exchange_header_by_name(exchange, "idempotency-key");
    }
    if ((route->flags & ROUTE_SLOW) != 0 &&
        mirai_rpc_client_connected(exchange->loop->clients[UPSTREAM_STORE])) {
        exchange->context.deadline_ms += 15 * exchange->loop->gateway->settings.rpc_deadline_ms;
    }
    if ((route->flags & ROUTE_TRIES_PASSWORD) != 0 && exchange->identity != NULL) {
        /* a stolen session is no way to find out the password */
        attempts_allow(exchange, exchange->context.principal.name, route->handle);
    } else {
        route->handle(exchange);
    }
}

void handler_register(struct gateway *gateway, h2o_pathconf_t *path)
{
    h2o_compress_args_t compress = {.min_size = 2048, .gzip = {.quality = 4}, .brotli = {.quality = -1}};
    h2o_handler_t *handler = h2o_create_handler(path, sizeof(*handler));
    handler->on_req = on_request;
    response_register_filter(gateway, path); /* the last one that is registered runs first */
    h2o_compress_register(path, &compress);
}
