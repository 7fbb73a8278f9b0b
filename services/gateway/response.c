#include "libcommon/log.h"
#include "services/gateway/gateway.h"
#include "services/gateway/identity/cors.h"

/* ------------------------------------------------------------------ headers */

#define NAME(literal)                                                                                        \
    {                                                                                                        \
        H2O_STRLIT(literal)                                                                                  \
    }

static h2o_iovec_t name_request_id = NAME("x-request-id");
static h2o_iovec_t name_options = NAME("x-content-type-options");
static h2o_iovec_t name_frame = NAME("x-frame-options");
static h2o_iovec_t name_policy = NAME("content-security-policy");
static h2o_iovec_t name_referrer = NAME("referrer-policy");
static h2o_iovec_t name_resource = NAME("cross-origin-resource-policy");
static h2o_iovec_t name_opener = NAME("cross-origin-opener-policy");
static h2o_iovec_t name_permissions = NAME("permissions-policy");

static const char policy_page[] =
    "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'";
static const char policy_permissions[] = "camera=(), geolocation=(), microphone=(), payment=(), usb=()";
/* Data is no page: should a browser show it as one, it may do nothing at all. */
static const char policy_data[] = "default-src 'none'; frame-ancestors 'none'; sandbox";

static const h2o_mime_attributes_t compressible = {.is_compressible = 1};
static const h2o_mime_attributes_t incompressible = {.is_compressible = 0};

static void put(h2o_req_t *req, h2o_iovec_t *name, const char *value, size_t len)
{
    h2o_vector_reserve(&req->pool, &req->res.headers, req->res.headers.size + 1);
    req->res.headers.entries[req->res.headers.size++] =
        (h2o_header_t){.name = name, .orig_name = NULL, .value = h2o_iovec_init(value, len)};
}

#define PUT(req, name, literal)        put(req, name, literal, sizeof(literal) - 1)
#define PUT_TOKEN(req, token, literal) put(req, (h2o_iovec_t *)&(token)->buf, literal, sizeof(literal) - 1)

/* Browsers take no HSTS from an address (RFC 6797 §8.1.1); one that learns it for localhost would break every other
 * program that serves there. */
static bool is_address_or_local(h2o_iovec_t authority)
{
    static const char local[] = "localhost";
    size_t len = 0, local_len = sizeof(local) - 1;
    bool is_address = true; /* digits and dots, or brackets: names do not end in a number */
    for (; len < authority.len && authority.base[len] != ':'; len++) {
        char c = authority.base[len];
        if (c == '[') {
            return true;
        }
        is_address = is_address && (c == '.' || (c >= '0' && c <= '9'));
    }
    return is_address ||
           (len >= local_len && strncasecmp(authority.base + len - local_len, local, local_len) == 0 &&
            (len == local_len || authority.base[len - local_len - 1] == '.'));
}

static void put_common(h2o_req_t *req, struct mirai_str id, enum response_cache cache, bool page)
{
    h2o_vector_reserve(&req->pool, &req->res.headers, 16);
    put(req, &name_request_id, id.data, id.len);
    if (cache != RESPONSE_REVALIDATE) {
        PUT_TOKEN(req, H2O_TOKEN_CACHE_CONTROL, "no-store");
    } else {
        PUT_TOKEN(req, H2O_TOKEN_CACHE_CONTROL, "private, no-cache");
    }
    PUT(req, &name_options, "nosniff");
    if (page) {
        PUT(req, &name_policy, policy_page);
        PUT(req, &name_frame, "DENY"); /* for browsers that do not know frame-ancestors */
        PUT(req, &name_opener, "same-origin");
        PUT(req, &name_permissions, policy_permissions);
    } else {
        PUT(req, &name_policy, policy_data);
    }
    PUT(req, &name_referrer, "no-referrer");
    PUT(req, &name_resource, "same-origin"); /* other sites' pages may not embed it */
    struct mirai_str hsts = gateway_loop_of(req)->gateway->settings.hsts;
    if (hsts.len > 0 && !is_address_or_local(req->authority)) {
        put(req, (h2o_iovec_t *)&H2O_TOKEN_STRICT_TRANSPORT_SECURITY->buf, hsts.data, hsts.len);
    }
    cors_headers(req);
}

void response_common_headers(struct exchange *exchange, enum response_cache cache, bool page)
{
    put_common(exchange->req, exchange_id(exchange), cache, page);
}

void response_header(struct exchange *exchange, const h2o_token_t *token, struct mirai_str value)
{
    put(exchange->req, (h2o_iovec_t *)&token->buf, value.data, value.len);
}

void response_header_named(struct exchange *exchange, h2o_iovec_t *name, struct mirai_str value)
{
    put(exchange->req, name, value.data, value.len);
}

void response_etag(struct exchange *exchange, struct mirai_str etag)
{
    char *quoted = h2o_mem_alloc_pool(&exchange->req->pool, etag.len + 2);
    quoted[0] = '"';
    memcpy(quoted + 1, etag.data, etag.len);
    quoted[etag.len + 1] = '"';
    response_header(exchange, H2O_TOKEN_ETAG, (struct mirai_str){quoted, etag.len + 2});
}

/* ------------------------------------------------------------------ sending */

static h2o_generator_t finished = {NULL, NULL};

/* The words after the status in HTTP/1.1; nothing but people read them. */
static const char *reason_of(int status)
{
    static const struct {
        int status;
        const char *reason;
    } reasons[] = {
        {201, "Created"},
        {202, "Accepted"},
        {204, "No Content"},
        {206, "Partial Content"},
        {304, "Not Modified"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {406, "Not Acceptable"},
        {409, "Conflict"},
        {411, "Length Required"},
        {412, "Precondition Failed"},
        {413, "Content Too Large"},
        {415, "Unsupported Media Type"},
        {416, "Range Not Satisfiable"},
        {417, "Expectation Failed"},
        {422, "Unprocessable Content"},
        {428, "Precondition Required"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {503, "Service Unavailable"},
        {507, "Insufficient Storage"},
    };
    for (size_t i = 0; status != 200 && i < sizeof(reasons) / sizeof(reasons[0]); i++) {
        if (reasons[i].status == status) {
            return reasons[i].reason;
        }
    }
    return "OK";
}

void response_start(struct exchange *exchange, int status, size_t length, h2o_generator_t *generator)
{
    h2o_req_t *req = exchange->req;
    exchange->answered = true;
    req->res.status = status;
    req->res.reason = reason_of(status);
    req->res.content_length = length;
    traffic_answered(exchange, length == SIZE_MAX ? 0 : length);
    h2o_start_response(req, generator);
}

void response_send(struct exchange *exchange, int status, struct mirai_str body)
{
    h2o_req_t *req = exchange->req;
    h2o_iovec_t bytes = h2o_iovec_init(body.data, body.len);
    bool has_body = status != 204 && status != 304;
    response_start(exchange, status, has_body ? body.len : SIZE_MAX, &finished);
    if (exchange->is_head || !has_body || body.len == 0) {
        h2o_send(req, NULL, 0, H2O_SEND_STATE_FINAL);
    } else {
        h2o_send(req, &bytes, 1, H2O_SEND_STATE_FINAL);
    }
}

void response_empty(struct exchange *exchange, int status, enum response_cache cache)
{
    response_common_headers(exchange, cache, false);
    response_send(exchange, status, (struct mirai_str){0});
}

void response_json_lent(struct exchange *exchange, int status, struct mirai_str json,
                        enum response_cache cache)
{
    PUT_TOKEN(exchange->req, H2O_TOKEN_CONTENT_TYPE, "application/json");
    response_common_headers(exchange, cache, false);
    exchange->req->res.mime_attr =
        (h2o_mime_attributes_t *)(cache == RESPONSE_SECRET ? &incompressible : &compressible);
    response_send(exchange, status, json);
}

void response_json_text(struct exchange *exchange, int status, struct mirai_str json)
{
    response_json_lent(exchange, status, exchange_keep(exchange, json), RESPONSE_NO_STORE);
}

int response_transcode(struct exchange *exchange, struct mirai_str mp)
{
    struct mirai_buf *json = &exchange->loop->json;
    json->len = 0;
    int err = mirai_mp_to_json(mp, json);
    if (err != 0) {
        mirai_log(ERROR, "a daemon's answer is not readable",
                  MIRAI_LOG_S("request_id", exchange_id(exchange)));
        response_problem(exchange, PROBLEM_INTERNAL, NULL, (struct mirai_str){0});
    }
    return err;
}

void response_json(struct exchange *exchange, int status, struct mirai_str mp, enum response_cache cache)
{
    if (response_transcode(exchange, mp) == 0) {
        struct mirai_str json = exchange_keep(exchange, mirai_buf_str(&exchange->loop->json));
        response_json_lent(exchange, status, json, cache);
    }
}

/* ------------------------------------------------------------------ results */

struct mirai_str response_text_of(struct mirai_str result, const char *key)
{
    struct mirai_str raw, text = {0};
    if (mirai_mp_find(result, key, &raw) == 0) {
        struct mirai_mp mp = mirai_mp(raw);
        if (mirai_mp_read_str(&mp, &text) != 0) {
            text = (struct mirai_str){0};
        }
    }
    return text;
}

bool response_not_modified(struct exchange *exchange, struct mirai_str etag)
{
    struct mirai_str condition = exchange_header_list(exchange, H2O_TOKEN_IF_NONE_MATCH);
    if (condition.len == 0 || !header_none_match_has(condition, etag)) {
        return false;
    }
    response_etag(exchange, etag);
    response_empty(exchange, 304, RESPONSE_REVALIDATE);
    return true;
}

bool response_etag_of(struct exchange *exchange, struct mirai_str etag, enum response_cache *cache)
{
    if (etag.len == 0) {
        return false;
    }
    if (exchange->route->method == ROUTE_GET) {
        *cache = RESPONSE_REVALIDATE;
        if (response_not_modified(exchange, etag)) {
            return true;
        }
    }
    response_etag(exchange, etag);
    return false;
}

/* ------------------------------------------------------------------ problems */

static void put_retry_after(struct exchange *exchange)
{
    char *seconds = h2o_mem_alloc_pool(&exchange->req->pool, 12);
    int len = snprintf(seconds, 12, "%u", exchange->retry_after_s > 0 ? exchange->retry_after_s : 1);
    response_header(exchange, H2O_TOKEN_RETRY_AFTER, (struct mirai_str){seconds, (size_t)len});
}

void response_problem(struct exchange *exchange, enum problem problem, const char *detail,
                      struct mirai_str errors)
{
    struct mirai_buf *json = &exchange->loop->json;
    int status = problem_texts[problem].status;
    json->len = 0;
    problem_write(json, problem, exchange->context.locale, exchange_id(exchange), mirai_str(detail), errors);
    h2o_req_t *req = exchange->req;
    PUT_TOKEN(req, H2O_TOKEN_CONTENT_TYPE, "application/problem+json");
    response_header(exchange, H2O_TOKEN_CONTENT_LANGUAGE, exchange->context.locale);
    if (status == 401) {
        PUT_TOKEN(req, H2O_TOKEN_WWW_AUTHENTICATE, "Bearer realm=\"mirai\"");
    } else if (status == 503 || status == 429) {
        put_retry_after(exchange);
    }
    response_common_headers(exchange, RESPONSE_NO_STORE, false);
    response_send(exchange, status, exchange_keep(exchange, mirai_buf_str(json)));
}

void response_fault(struct exchange *exchange, int err, const struct mirai_faults *faults)
{
    struct mirai_buf errors = {0};
    if (faults != NULL && faults->count > 0) {
        mirai_faults_encode(faults, &errors);
    }
    response_problem(exchange, problem_of_error(err), NULL, mirai_buf_str(&errors));
    mirai_buf_free(&errors);
}

/* The problem that a daemon's error is. A login that needs more says what. */
static enum problem problem_of_reply(const struct mirai_rpc_reply *reply)
{
    struct mirai_str need = response_text_of(reply->error, "need");
    if (reply->status == MIRAI_E_UNAUTHENTICATED && mirai_str_eq(need, MIRAI_STR("otp"))) {
        return PROBLEM_SECOND_FACTOR;
    }
    if (reply->status == MIRAI_E_FORBIDDEN && mirai_str_eq(need, MIRAI_STR("new_password"))) {
        return PROBLEM_MUST_CHANGE_PASSWORD;
    }
    if (reply->unready) { /* only search-index has work to do before it can answer */
        return PROBLEM_SEARCH_REBUILDING;
    }
    return problem_of_error(reply->status == MIRAI_E_CANCELLED ? MIRAI_E_UNAVAILABLE : reply->status);
}

void response_rpc_error(struct exchange *exchange, const struct mirai_rpc_reply *reply)
{
    struct mirai_str raw, text = {0}, errors = {0};
    struct mirai_buf detail = {0};
    enum problem problem = problem_of_reply(reply);
    if (reply->error.len == 0) {
        exchange_unsettled(exchange); /* not the store's own word */
    }
    if (reply->uncertain) {
        static const char unknown[] =
            "it may have been done: look before you repeat it, or send an Idempotency-Key";
        mirai_buf_append(&detail, unknown, sizeof(unknown));
    }
    if (problem != PROBLEM_INTERNAL && reply->error.len > 0) {
        if (mirai_mp_find(reply->error, "message", &raw) == 0) {
            struct mirai_mp mp = mirai_mp(raw);
            if (mirai_mp_read_str(&mp, &text) == 0) {
                mirai_buf_append_str(&detail, text);
                mirai_buf_append_char(&detail, '\0');
            }
        }
        if (mirai_mp_find(reply->error, "errors", &raw) == 0) {
            errors = raw;
        }
    }
    response_problem(exchange, problem, detail.data, errors);
    mirai_buf_free(&detail);
}

void response_not_allowed(struct exchange *exchange, unsigned methods)
{
    struct mirai_buf allow = {0};
    for (enum route_method method = 0; method < ROUTE_METHODS; method++) {
        if ((methods >> method & 1) != 0) {
            mirai_buf_printf(&allow, "%s, ", route_method_names[method]);
            mirai_buf_append_str(&allow, method == ROUTE_GET ? MIRAI_STR("HEAD, ") : MIRAI_STR(""));
        }
    }
    mirai_buf_append_str(&allow, MIRAI_STR("OPTIONS"));
    struct mirai_str names = exchange_keep(exchange, mirai_buf_str(&allow));
    mirai_buf_free(&allow);
    response_header(exchange, H2O_TOKEN_ALLOW, names);
    if (h2o_memis(exchange->req->method.base, exchange->req->method.len, H2O_STRLIT("OPTIONS"))) {
        cors_preflight(exchange->req, names);
        response_empty(exchange, 204, RESPONSE_NO_STORE);
    } else {
        response_problem(exchange, PROBLEM_METHOD, NULL, (struct mirai_str){0});
    }
}

/* ------------------------------------------------------------------ what h2o refuses by itself */

struct rewritten {
    h2o_ostream_t super;
    h2o_iovec_t body;
};

static void send_rewritten(h2o_ostream_t *self, h2o_req_t *req, h2o_iovec_t *bufs, size_t count,
                           h2o_send_state_t state)
{
    struct rewritten *rewritten = (struct rewritten *)self;
    (void)bufs;
    h2o_ostream_send_next(self, req, &rewritten->body, count > 0 ? 1 : 0, state);
}

/* h2o's own errors have exactly one header, which none of ours has. */
static bool is_from_h2o(const h2o_req_t *req)
{
    return req->res.status >= 400 && req->res.headers.size == 1;
}

/* Other bytes than the plain answer's, so another strong tag. The filter that compresses has run before. */
static void tag_encoding(h2o_req_t *req)
{
    ssize_t at = h2o_find_header(&req->res.headers, H2O_TOKEN_ETAG, -1);
    if (at >= 0 && h2o_find_header(&req->res.headers, H2O_TOKEN_CONTENT_ENCODING, -1) >= 0) {
        h2o_iovec_t *value = &req->res.headers.entries[at].value;
        *value = h2o_concat(&req->pool, h2o_iovec_init(value->base, value->len - 1),
                            h2o_iovec_init(H2O_STRLIT(HEADER_GZIP_SUFFIX "\"")));
    }
}

static void on_setup_ostream(h2o_filter_t *self, h2o_req_t *req, h2o_ostream_t **slot)
{
    (void)self;
    if (is_from_h2o(req)) {
        struct gateway_loop *loop = gateway_loop_of(req);
        struct exchange *exchange = exchange_new(loop, req);
        enum problem problem = problem_of_status(req->res.status);
        loop->json.len = 0;
        problem_write(&loop->json, problem, exchange->context.locale, exchange_id(exchange),
                      (struct mirai_str){0}, (struct mirai_str){0});
        struct mirai_str body = exchange_keep(exchange, mirai_buf_str(&loop->json));
        struct rewritten *rewritten = (struct rewritten *)h2o_add_ostream(req, sizeof(*rewritten), slot);
        rewritten->super.do_send = send_rewritten;
        rewritten->body = h2o_iovec_init(body.data, body.len);
        slot = &rewritten->super.next;
        req->res.headers.size = 0;
        req->res.content_length = body.len;
        PUT_TOKEN(req, H2O_TOKEN_CONTENT_TYPE, "application/problem+json");
        put_common(req, exchange_id(exchange), RESPONSE_NO_STORE, false);
        traffic_answered(exchange, body.len);
    }
    tag_encoding(req);
    h2o_setup_next_ostream(req, slot);
}

void response_register_filter(struct gateway *gateway, h2o_pathconf_t *path)
{
    (void)gateway;
    h2o_filter_t *filter = h2o_create_filter(path, sizeof(*filter));
    filter->on_setup_ostream = on_setup_ostream;
}
