/* Stands in front of h2o's HTTP/2 parser on one connection: h2o 2.2 counts nothing of what a client may flood it with.
 * h2o reads a connection's frames through a function pointer; the guard puts itself there, looks at each whole frame,
 * and passes on what is within the limits. docs/adr/0015 says why so. Only for the connection's own loop. */
#ifndef GATEWAY_H2_GUARD_H
#define GATEWAY_H2_GUARD_H

#include "services/gateway/h2_frames.h"

#include <h2o.h>

struct st_h2o_http2_conn_t;

/* h2o's readers: preface, any frame, CONTINUATION. */
typedef ssize_t (*h2_reader)(struct st_h2o_http2_conn_t *conn, const uint8_t *src, size_t len,
                             const char **err_desc);

struct h2_guard {
    h2_reader inner;  /* what h2o would read with now */
    h2_reader normal; /* its reader of any frame; NULL before the preface has come */
    struct h2_frames frames;
    enum h2_verdict verdict; /* not H2_FINE: the connection is being ended for it … */
    uint64_t ended_ms;       /* … since then, by the loop's clock */
};

/* Take `sock` over from TLS as HTTP/2 with the guard in front. resets, control: see h2_frames_init(). From now on the
 * socket's on_close.data is the guard, which must live until the socket is closed. */
void h2_guard_accept(struct h2_guard *guard, h2o_accept_ctx_t *accept, h2o_socket_t *sock,
                     struct timeval connected_at, int64_t resets, int64_t control);

#endif
