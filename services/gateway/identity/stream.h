/* A client's connection to another server (directory, Redis): name resolution, TCP and TLS on the event loop,
 * nothing of which ever blocks it. */
#ifndef GATEWAY_STREAM_H
#define GATEWAY_STREAM_H

#include "libcommon/error.h"
#include "libcommon/str.h"

#include <openssl/ssl.h>
#include <uv.h>

/* Bytes that may wait to be sent; above it the stream takes no more. */
#define STREAM_OUT_MAX (1u << 20)

/* A context for TLS 1.2 and later that trusts the certificates of `ca_file` (PEM), or the system's when it is NULL or
 * empty. One for each loop: a shared one has locks. NULL with the reason logged; SSL_CTX_free() it. */
SSL_CTX *stream_tls_new(const char *ca_file);

struct stream;

/* All on the loop, never before the function that led to it has returned, none after stream_close(), which each
 * of them may call. */
struct stream_options {
    uv_loop_t *loop;
    struct mirai_str host; /* name or address (IPv6 without brackets); the certificate must be for it */
    int port;              /* 0: host is the path of a UNIX socket, at most 107 bytes */
    SSL_CTX *tls;          /* NULL: plaintext; the stream counts itself a reference */
    bool tls_later;        /* begin in plaintext, stream_start_tls() follows */
    uint64_t deadline_ms;  /* mirai_monotonic_ms() at which it ends; 0: none. See stream_set_deadline() */
    /* It can be written to: connected, and its peer verified unless TLS comes later; then once more after
     * stream_start_tls(). */
    void (*ready)(void *data);
    /* The peer's bytes, lent, at most 16 KiB of them. */
    void (*received)(void *data, struct mirai_str bytes);
    /* It is over, at most once: MIRAI_E_DEADLINE, MIRAI_E_INVALID (TLS failed: certificate, name, protocol) or
     * MIRAI_E_UNAVAILABLE (all else: name, connection, closed by the peer). reason: for the log, lent. The stream
     * must still be closed. */
    void (*ended)(void *data, int err, const char *reason);
    void *data;
};

/* Start to connect. Options are copied. Never NULL; stream_close() it. */
struct stream *stream_open(const struct stream_options *options);

/* Send a copy of the bytes. 0; MIRAI_E_OVERLOADED when too many wait (nothing was taken); MIRAI_E_UNAVAILABLE when
 * it is not ready or over. */
int stream_write(struct stream *stream, struct mirai_str bytes);

/* From now on TLS. Only once, after ready() of a stream with tls_later. */
void stream_start_tls(struct stream *stream);

/* Move the one deadline: of connecting, of an answer, of idleness. 0: none. */
void stream_set_deadline(struct stream *stream, uint64_t deadline_ms);

/* Hang up at once, whatever state it is in; what waits to be sent is dropped. NULL is fine. */
void stream_close(struct stream *stream);

#endif
