/* A request target (RFC 9112 §3.2) taken apart and decoded: path segments and query pairs. */
#ifndef GATEWAY_TARGET_H
#define GATEWAY_TARGET_H

#include "libcommon/str.h"

#define TARGET_BYTES_MAX    16384
#define TARGET_SEGMENTS_MAX 10
#define TARGET_QUERY_MAX    32

struct target_pair {
    struct mirai_str name;
    struct mirai_str value;
};

/* Everything is valid UTF-8 without NUL. */
struct target {
    struct mirai_str path;  /* as sent, without query */
    struct mirai_str query; /* as sent, without "?" */
    struct mirai_str segments[TARGET_SEGMENTS_MAX];
    size_t segments_count;     /* 0: "/" */
    struct target_pair *pairs; /* the caller's room for TARGET_QUERY_MAX; NULL: no query is expected */
    size_t pairs_count;
    bool asterisk; /* OPTIONS * */
};

/* Take `raw` apart (target->pairs is set); segments and pairs point into it, or into `scratch` (raw.len
 * bytes) where something was encoded. 0; MIRAI_E_INVALID: bad escapes, encoded slash, NUL, malformed UTF-8,
 * too long, too many pairs; MIRAI_E_NOT_FOUND: a path that no route can have (empty or dot segments, too
 * deep). */
int target_parse(struct mirai_str raw, char *scratch, struct target *target);

/* Append `s` percent-encoded (RFC 3986 unreserved characters stay). */
void target_escape(struct mirai_buf *buf, struct mirai_str s);

#endif
