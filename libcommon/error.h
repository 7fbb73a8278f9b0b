/* The one list of failures that cross functions, processes and the HTTP edge. */
#ifndef MIRAI_ERROR_H
#define MIRAI_ERROR_H

/* Each row: name, wire slug (stable; also the last part of a problem+json `type`), HTTP status.
 * Functions return 0 or a negative `enum mirai_error`; the text for people is made at the edge (gateway, miraictl). */
#define MIRAI_ERRORS(E)                                                                                      \
    E(INVALID, "invalid-request", 400)           /* bytes or values that can never be accepted */            \
    E(UNAUTHENTICATED, "unauthenticated", 401)   /* no, expired or revoked credentials */                    \
    E(FORBIDDEN, "forbidden", 403)               /* known principal, not allowed */                          \
    E(NOT_FOUND, "not-found", 404)               /* does not exist, or may not be seen */                    \
    E(METHOD, "method-not-allowed", 405)         /* unknown method of a known resource */                    \
    E(NOT_ACCEPTABLE, "not-acceptable", 406)     /* no representation that the client accepts */             \
    E(CONFLICT, "conflict", 409)                 /* a unique value is taken, a state forbids it */           \
    E(PRECONDITION, "precondition-failed", 412)  /* If-Match does not hold */                                \
    E(TOO_LARGE, "too-large", 413)               /* over a configured bound */                               \
    E(MEDIA_TYPE, "unsupported-media-type", 415) /* body of a type that the route does not take */           \
    E(UNPROCESSABLE, "validation-failed", 422)   /* well-formed, but a field breaks its declaration */       \
    E(INFECTED, "attachment-infected", 422)      /* the virus scanner found something in it */               \
    E(PRECONDITION_REQUIRED, "precondition-required", 428) /* If-Match is missing */                         \
    E(THROTTLED, "too-many-requests", 429)                 /* rate limit */                                  \
    E(INTERNAL, "internal", 500)             /* a bug or a broken machine; details only in the log */        \
    E(UNAVAILABLE, "unavailable", 503)       /* the daemon that should answer is away */                     \
    E(OVERLOADED, "overloaded", 503)         /* a bounded queue is full */                                   \
    E(DEADLINE, "deadline-exceeded", 503)    /* the call's deadline passed */                                \
    E(SCANNER, "scanner-unavailable", 503)   /* the virus scanner gives no verdict */                        \
    E(NO_SPACE, "insufficient-storage", 507) /* disk full */                                                 \
    E(CANCELLED, "cancelled", 499)           /* the caller gave up; never leaves the process */

enum mirai_error_index {
    MIRAI_ERROR_INDEX_NONE,
#define MIRAI_ERROR_INDEX(name, slug, http) MIRAI_ERROR_INDEX_##name,
    MIRAI_ERRORS(MIRAI_ERROR_INDEX)
#undef MIRAI_ERROR_INDEX
        MIRAI_ERROR_COUNT
};

enum mirai_error {
    MIRAI_OK = 0,
#define MIRAI_ERROR_VALUE(name, slug, http) MIRAI_E_##name = -MIRAI_ERROR_INDEX_##name,
    MIRAI_ERRORS(MIRAI_ERROR_VALUE)
#undef MIRAI_ERROR_VALUE
};

/* The stable slug of `err` ("not-found"), "ok" for 0, "internal" for anything else. Static storage, any thread. */
const char *mirai_error_slug(int err);

/* The HTTP status of `err` (404), 200 for 0, 500 for anything else. */
int mirai_error_http(int err);

/* The error of a slug received from a peer; MIRAI_E_INTERNAL when this program does not know it. */
int mirai_error_from_slug(const char *data, unsigned long len);

#endif
