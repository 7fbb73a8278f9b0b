/* Which other origins' pages may read answers (Fetch standard, "CORS protocol"): none, unless the configuration lists
 * them. They act with a bearer token only: no answer ever allows credentials, so the session's cookie is of no use. */
#ifndef GATEWAY_CORS_H
#define GATEWAY_CORS_H

#include "libcommon/str.h"

#include <h2o.h>

/* Take the list of origins, comma-separated as the configuration has checked it; lent for ever. Once, before threads. */
void cors_init(struct mirai_str origins);
/* Whether a page of this origin may read answers: it is in the list, byte by byte. */
bool cors_allows(struct mirai_str origin);
/* The headers of every answer: to a listed origin that it may read this one, to caches that others may not. */
void cors_headers(h2o_req_t *req);
/* The additional headers of the answer to a preflight request. methods: as Allow names them, living as long as the
 * request. */
void cors_preflight(h2o_req_t *req, struct mirai_str methods);

#endif
