/* The table of all routes: what is served where, to whom, by which method. */
#ifndef GATEWAY_ROUTES_H
#define GATEWAY_ROUTES_H

#include "proto/methods.h"

#define ROUTE_PARAMS_MAX 3

struct exchange;

enum route_method {
    ROUTE_GET, /* answers HEAD too */
    ROUTE_POST,
    ROUTE_PUT,
    ROUTE_PATCH,
    ROUTE_DELETE,
    ROUTE_METHODS,
};

extern const char *const route_method_names[ROUTE_METHODS];

enum route_flag {
    ROUTE_ETAG = 1,          /* the result has an etag: ETag, If-None-Match */
    ROUTE_IF_MATCH = 2,      /* If-Match goes into the params' if_match; without it any version will do */
    ROUTE_MUST_MATCH = 4,    /* and without it the answer is 428 */
    ROUTE_ACCESS = 8,        /* success changes who may do what */
    ROUTE_COUNTS_VIEWS = 16, /* a session's read counts as a view */
    ROUTE_SLOW = 32,         /* may take far longer than the usual deadline */
    ROUTE_IN_BIN = 64,       /* reads what is deleted */
    ROUTE_ANY_BODY = 128,    /* the body is a file, not JSON */
    ROUTE_HIDDEN = 256,      /* not part of the API's description */
    ROUTE_KEPT = 512,        /* the answer may be given again while the store's stamp of {id} stands */
    ROUTE_BODY = 1024,       /* a DELETE whose parameters are a JSON body: secrets do not belong into a URL */
    /* Its class of rate limits (throttle.h), where method and role do not say it. */
    ROUTE_SEARCHES = 1 << 16,
    ROUTE_PROBE = 1 << 18,
    ROUTE_TRIES_PASSWORD = 1 << 17, /* and failures slow down further ones */
};

struct route {
    enum route_method method;
    const char *pattern;  /* "/api/v1/articles/{id}": names are fields of the method's params */
    enum mirai_role role; /* NONE: without credentials */
    void (*handle)(struct exchange *exchange);
    int rpc;    /* enum mirai_method_id, or -1 */
    int status; /* of success */
    unsigned flags;
    const char *summary; /* where the method's own description does not fit; may be NULL */
};

extern const struct route routes[];
extern const size_t routes_count;

/* What is made of a route at start. */
struct route_plan {
    struct mirai_str params[ROUTE_PARAMS_MAX]; /* names in the pattern */
    size_t params_count;
};

/* Build the tree that route_match walks. Call once before threads. 0, or MIRAI_E_INVALID when a pattern is
 * ill-formed or given twice. */
int routes_init(void);
const struct route_plan *route_plan(const struct route *route);

struct target;

/* Find the route of a target. Returns it, or NULL: then *allowed has a bit for each method that the path
 * knows (0: unknown path). values[n]: the n-th parameter. Literal segments win over parameters. method
 * ROUTE_METHODS: only *allowed. */
const struct route *route_match(const struct target *target, enum route_method method,
                                const struct mirai_str *values[ROUTE_PARAMS_MAX], unsigned *allowed);

#endif
