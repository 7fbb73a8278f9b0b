/* The HTTP side of the metrics daemon: GET /metrics, by h2o. */
#ifndef METRICS_HTTP_H
#define METRICS_HTTP_H

#include "services/metrics/collect.h"

struct http;

/* Listen on METRICS_LISTEN. NULL with the reason logged. `collector` outlives it. */
struct http *http_new(uv_loop_t *loop, struct collector *collector);
/* Stop listening, close what is open. */
void http_free(struct http *http);

/* Format that an Accept header asks for (RFC 9110 §12.5.1, only the types matter). */
enum exposition_format http_format(struct mirai_str accept);

/* Whether an Authorization header carries the token (constant time). */
bool http_authorized(struct mirai_str authorization, struct mirai_str token);

#endif
