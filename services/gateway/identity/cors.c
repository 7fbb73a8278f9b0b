#include "services/gateway/identity/cors.h"

#include "services/gateway/headers.h"

/* Seconds for which a browser remembers a preflight's answer: what is taken from the list ends soon. */
#define PREFLIGHT_AGE "600"

static const char sendable[] =
    "Authorization, Content-Type, Accept-Language, If-Match, If-None-Match, If-Range, Range, "
    "Idempotency-Key, Traceparent";
static const char readable[] =
    "ETag, Link, Location, Content-Disposition, X-Request-Id, RateLimit, RateLimit-Policy, "
    "RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset, Retry-After";

static struct mirai_str list;

void cors_init(struct mirai_str origins)
{
    list = origins;
}

bool cors_allows(struct mirai_str origin)
{
    struct mirai_str rest = list, listed;
    while (header_next(&rest, ',', &listed)) {
        if (origin.len > 0 && mirai_str_eq(listed, origin)) {
            return true;
        }
    }
    return false;
}

static struct mirai_str header_of(const h2o_req_t *req, const char *name)
{
    ssize_t at = h2o_find_header_by_str(&req->headers, name, strlen(name), -1);
    return at < 0
               ? (struct mirai_str){0}
               : (struct mirai_str){req->headers.entries[at].value.base, req->headers.entries[at].value.len};
}

static void add(h2o_req_t *req, const char *name, struct mirai_str value)
{
    h2o_add_header_by_str(&req->pool, &req->res.headers, name, strlen(name), 1, NULL, value.data, value.len);
}

void cors_headers(h2o_req_t *req)
{
    if (list.len == 0) {
        return;
    }
    struct mirai_str origin = header_of(req, "origin");
    add(req, "vary", MIRAI_STR("Origin"));
    if (cors_allows(origin)) {
        add(req, "access-control-allow-origin", origin);
        add(req, "access-control-expose-headers", mirai_str(readable));
    }
}

void cors_preflight(h2o_req_t *req, struct mirai_str methods)
{
    if (list.len > 0 && cors_allows(header_of(req, "origin")) &&
        header_of(req, "access-control-request-method").data != NULL) {
        add(req, "access-control-allow-methods", methods);
        add(req, "access-control-allow-headers", mirai_str(sendable));
        add(req, "access-control-max-age", MIRAI_STR(PREFLIGHT_AGE));
    }
}
