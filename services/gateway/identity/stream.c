#include "services/gateway/identity/stream.h"

#include "libcommon/log.h"
#include "libcommon/time.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#define READ_SIZE ((size_t)16 * 1024)

/* One try to reach one address. Closing it takes a turn of the loop, so it lives apart from the stream. */
struct attempt {
    union {
        uv_tcp_t tcp;
        uv_pipe_t pipe; /* port 0 */
    };
    uv_connect_t connect;
    struct stream *stream; /* NULL: given up */
    char buffer[READ_SIZE];
};

struct stream {
    struct stream_options options;
    char *host;
    uv_timer_t timer; /* the deadline; at once when a failure waits to be told */
    uv_getaddrinfo_t resolve;
    struct addrinfo *addresses; /* all found, or NULL */
    struct addrinfo *next;      /* to be tried when this one fails */
    struct attempt *attempt;
    uint64_t deadline_ms;
    SSL *ssl; /* NULL: plaintext */
    BIO *in;  /* from the peer */
    BIO *out; /* to the peer */
    bool resolving;
    bool ready;
    bool secured; /* the handshake is over */
    bool in_call; /* called by its owner: failures wait for a turn of the loop */
    bool ended;
    bool closed;
    bool freed_timer;
    int failed; /* to be told by the timer */
    char reason[200];
};

struct outgoing {
    uv_write_t request;
    size_t len;
    char bytes[];
};

/* ------------------------------------------------------------------ trust */

SSL_CTX *stream_tls_new(const char *ca_file)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    bool system = ca_file == NULL || ca_file[0] == '\0';
    if (context == NULL || SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) != 1 ||
        (system ? SSL_CTX_set_default_verify_paths(context)
                : SSL_CTX_load_verify_locations(context, ca_file, NULL)) != 1) {
        char reason[200];
        ERR_error_string_n(ERR_peek_last_error(), reason, sizeof(reason));
        ERR_clear_error();
        mirai_log(ERROR, "cannot read the trusted certificates",
                  MIRAI_LOG_Z("file", system ? "of the system" : ca_file), MIRAI_LOG_Z("reason", reason));
        SSL_CTX_free(context);
        return NULL;
    }
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_cipher_list(context, "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:DHE+CHACHA20");
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    return context;
}

/* ------------------------------------------------------------------ end */

static void on_tcp_closed(uv_handle_t *tcp)
{
    struct attempt *attempt = tcp->data;
    sodium_memzero(attempt->buffer, sizeof(attempt->buffer));
    free(attempt);
}

static void give_up_attempt(struct stream *stream)
{
    if (stream->attempt != NULL) {
        stream->attempt->stream = NULL;
        uv_close((uv_handle_t *)&stream->attempt->tcp, on_tcp_closed);
        stream->attempt = NULL;
    }
}

static void free_when_unused(struct stream *stream)
{
    if (!stream->closed || !stream->freed_timer || stream->resolving) {
        return;
    }
    SSL_free(stream->ssl); /* and its BIOs */
    SSL_CTX_free(stream->options.tls);
    if (stream->addresses != NULL) {
        uv_freeaddrinfo(stream->addresses);
    }
    free(stream->host);
    free(stream);
}

static void on_timer(uv_timer_t *timer);

static void fail(struct stream *stream, int err, const char *reason)
{
    if (stream->ended || stream->closed || stream->failed != 0) {
        return;
    }
    snprintf(stream->reason, sizeof(stream->reason), "%s", reason);
    give_up_attempt(stream);
    if (stream->in_call) {
        stream->failed = err;
        uv_timer_start(&stream->timer, on_timer, 0, 0);
        return;
    }
    stream->ended = true;
    uv_timer_stop(&stream->timer);
    stream->options.ended(stream->options.data, err, stream->reason);
}

static void fail_tls(struct stream *stream)
{
    char reason[200] = "TLS failed";
    long verify = SSL_get_verify_result(stream->ssl);
    unsigned long code = ERR_peek_last_error();
    if (verify != X509_V_OK) {
        snprintf(reason, sizeof(reason), "certificate: %s", X509_verify_cert_error_string(verify));
    } else if (code != 0) {
        const char *text = ERR_reason_error_string(code);
        snprintf(reason, sizeof(reason), "TLS: %s", text != NULL ? text : "protocol error");
    }
    ERR_clear_error();
    fail(stream, MIRAI_E_INVALID, reason);
}

/* ------------------------------------------------------------------ bytes out */

static void on_written(uv_write_t *request, int status)
{
    struct attempt *attempt = request->handle->data;
    struct outgoing *outgoing = request->data;
    sodium_memzero(outgoing->bytes, outgoing->len);
    free(outgoing);
    if (status != 0 && attempt->stream != NULL) {
        fail(attempt->stream, MIRAI_E_UNAVAILABLE, uv_strerror(status));
    }
}

/* Into the socket what it takes now, the rest when it takes more. */
static void send_bytes(struct stream *stream, const char *data, size_t len)
{
    uv_stream_t *tcp = (uv_stream_t *)&stream->attempt->tcp;
    if (uv_stream_get_write_queue_size(tcp) == 0) {
        uv_buf_t now = uv_buf_init((char *)data, (unsigned)len);
        int sent = uv_try_write(tcp, &now, 1);
        if (sent > 0) {
            data += sent;
            len -= (size_t)sent;
        }
    }
    if (len == 0) {
        return;
    }
    struct outgoing *outgoing = mirai_alloc(sizeof(*outgoing) + len);
    outgoing->request.data = outgoing;
    outgoing->len = len;
    memcpy(outgoing->bytes, data, len);
    uv_buf_t later = uv_buf_init(outgoing->bytes, (unsigned)len);
    int err = uv_write(&outgoing->request, tcp, &later, 1, on_written);
    if (err != 0) {
        sodium_memzero(outgoing->bytes, len);
        free(outgoing);
        fail(stream, MIRAI_E_UNAVAILABLE, uv_strerror(err));
    }
}

static void send_records(struct stream *stream)
{
    char *data;
    long len = BIO_get_mem_data(stream->out, &data);
    if (len > 0 && stream->attempt != NULL) {
        send_bytes(stream, data, (size_t)len);
    }
    (void)BIO_reset(stream->out);
}

int stream_write(struct stream *stream, struct mirai_str bytes)
{
    if (!stream->ready || stream->attempt == NULL) {
        return MIRAI_E_UNAVAILABLE;
    }
    if (bytes.len > STREAM_OUT_MAX ||
        uv_stream_get_write_queue_size((uv_stream_t *)&stream->attempt->tcp) + bytes.len > STREAM_OUT_MAX) {
        return MIRAI_E_OVERLOADED;
    }
    if (bytes.len == 0) {
        return 0;
    }
    stream->in_call = true;
    if (stream->ssl == NULL) {
        send_bytes(stream, bytes.data, bytes.len);
    } else {
        ERR_clear_error();
        if (SSL_write(stream->ssl, bytes.data, (int)bytes.len) == (int)bytes.len) {
            send_records(stream);
        } else {
            fail_tls(stream);
        }
    }
    stream->in_call = false;
    return 0;
}

/* ------------------------------------------------------------------ TLS */

static bool is_address(const char *host)
{
    struct sockaddr_in6 address;
    return uv_ip4_addr(host, 0, (struct sockaddr_in *)&address) == 0 || uv_ip6_addr(host, 0, &address) == 0;
}

/* The peer must prove to be `host` (RFC 6125): an address by the certificate's addresses, a name by its names. */
static bool expect_host(SSL *ssl, const char *host)
{
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    if (is_address(host)) {
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1;
    }
    return SSL_set1_host(ssl, host) == 1 && SSL_set_tlsext_host_name(ssl, host) == 1;
}

/* Go on with the handshake. False: it is not over yet, or it failed. */
static bool shake_hands(struct stream *stream)
{
    int result = SSL_do_handshake(stream->ssl);
    int error = SSL_get_error(stream->ssl, result);
    send_records(stream); /* an alert, too */
    if (result == 1) {
        stream->secured = true;
        stream->ready = true;
        stream->options.ready(stream->options.data);
        return !stream->ended && !stream->closed && stream->failed == 0;
    }
    if (error != SSL_ERROR_WANT_READ) {
        fail_tls(stream);
    }
    return false;
}

/* Do what the records that have come allow. */
static void move_records(struct stream *stream)
{
    ERR_clear_error();
    if (!stream->secured && !shake_hands(stream)) {
        return;
    }
    for (;;) {
        char bytes[READ_SIZE];
        int len = SSL_read(stream->ssl, bytes, sizeof(bytes));
        int error = SSL_get_error(stream->ssl, len);
        if (len > 0) {
            stream->options.received(stream->options.data, (struct mirai_str){bytes, (size_t)len});
            sodium_memzero(bytes, (size_t)len);
        }
        if (stream->ended || stream->closed || stream->failed != 0) {
            return;
        }
        if (len > 0) {
            continue;
        }
        send_records(stream); /* a change of keys is answered */
        if (error == SSL_ERROR_ZERO_RETURN) {
            fail(stream, MIRAI_E_UNAVAILABLE, "closed by the server");
        } else if (error != SSL_ERROR_WANT_READ) {
            fail_tls(stream);
        }
        return;
    }
}

void stream_start_tls(struct stream *stream)
{
    if (stream->attempt == NULL || stream->ssl != NULL) {
        return;
    }
    bool in_call = stream->in_call;
    stream->in_call = true;
    stream->ready = false;
    stream->ssl = SSL_new(stream->options.tls);
    stream->in = BIO_new(BIO_s_mem());
    stream->out = BIO_new(BIO_s_mem());
    if (stream->ssl == NULL || stream->in == NULL || stream->out == NULL ||
        !expect_host(stream->ssl, stream->host)) {
        BIO_free(stream->in);
        BIO_free(stream->out);
        SSL_free(stream->ssl);
        stream->ssl = NULL;
        fail(stream, MIRAI_E_INVALID, "TLS cannot be prepared");
    } else {
        SSL_set_bio(stream->ssl, stream->in, stream->out);
        SSL_set_connect_state(stream->ssl);
        move_records(stream);
    }
    stream->in_call = in_call;
}

/* ------------------------------------------------------------------ bytes in */

static void on_alloc(uv_handle_t *tcp, size_t size, uv_buf_t *buf)
{
    struct attempt *attempt = tcp->data;
    (void)size;
    *buf = uv_buf_init(attempt->buffer, sizeof(attempt->buffer));
}

static void on_read(uv_stream_t *tcp, ssize_t len, const uv_buf_t *buf)
{
    struct stream *stream = ((struct attempt *)tcp->data)->stream;
    if (stream == NULL || len == 0) {
        return;
    }
    if (len < 0) {
        fail(stream, MIRAI_E_UNAVAILABLE, len == UV_EOF ? "closed by the server" : uv_strerror((int)len));
    } else if (stream->ssl == NULL) {
        stream->options.received(stream->options.data, (struct mirai_str){buf->base, (size_t)len});
    } else if (BIO_write(stream->in, buf->base, (int)len) != (int)len) {
        fail(stream, MIRAI_E_INVALID, "out of memory");
    } else {
        move_records(stream);
    }
}

/* ------------------------------------------------------------------ connecting */

static void try_next(struct stream *stream, const struct sockaddr *address, int last_err);

static void on_connect(uv_connect_t *connect, int status)
{
    struct stream *stream = ((struct attempt *)connect->data)->stream;
    if (stream == NULL) {
        return;
    }
    if (status != 0 || (status = uv_read_start(connect->handle, on_alloc, on_read)) != 0) {
        give_up_attempt(stream);
        try_next(stream, NULL, status);
        return;
    }
    if (stream->options.port != 0) {
        uv_tcp_nodelay(&stream->attempt->tcp, 1);
    }
    if (stream->options.tls != NULL && !stream->options.tls_later) {
        stream_start_tls(stream);
    } else {
        stream->ready = true;
        stream->options.ready(stream->options.data);
    }
}

static struct attempt *attempt_new(struct stream *stream)
{
    struct attempt *attempt = mirai_alloc(sizeof(*attempt));
    if (stream->options.port == 0) {
        uv_pipe_init(stream->options.loop, &attempt->pipe, 0);
        attempt->pipe.data = attempt;
    } else {
        uv_tcp_init(stream->options.loop, &attempt->tcp);
        attempt->tcp.data = attempt;
    }
    attempt->connect.data = attempt;
    attempt->stream = stream;
    stream->attempt = attempt;
    return attempt;
}

static void try_path(struct stream *stream)
{
    struct attempt *attempt = attempt_new(stream);
    uv_pipe_connect(&attempt->connect, &attempt->pipe, stream->host, on_connect);
}

static int try_address(struct stream *stream, const struct sockaddr *address)
{
    struct attempt *attempt = attempt_new(stream);
    int err = uv_tcp_connect(&attempt->connect, &attempt->tcp, address, on_connect);
    if (err != 0) {
        give_up_attempt(stream);
    }
    return err;
}

/* Try `address`, or the next ones that the name has; last_err: why the one before failed. */
static void try_next(struct stream *stream, const struct sockaddr *address, int last_err)
{
    if (address != NULL && (last_err = try_address(stream, address)) == 0) {
        return;
    }
    while (stream->next != NULL) {
        const struct addrinfo *next = stream->next;
        stream->next = next->ai_next;
        last_err = try_address(stream, next->ai_addr);
        if (last_err == 0) {
            return;
        }
    }
    fail(stream, MIRAI_E_UNAVAILABLE, uv_strerror(last_err));
}

static void on_resolved(uv_getaddrinfo_t *resolve, int status, struct addrinfo *addresses)
{
    struct stream *stream = resolve->data;
    stream->resolving = false;
    stream->addresses = addresses;
    if (stream->closed) {
        free_when_unused(stream);
    } else if (stream->ended || stream->failed != 0) {
        return;
    } else if (status != 0) {
        fail(stream, MIRAI_E_UNAVAILABLE, uv_strerror(status));
    } else {
        stream->next = addresses;
        try_next(stream, NULL, UV_EAI_NODATA);
    }
}

static void find_host(struct stream *stream)
{
    struct sockaddr_storage address;
    char port[8];
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    if (stream->options.port == 0) {
        try_path(stream);
        return;
    }
    snprintf(port, sizeof(port), "%d", stream->options.port);
    if (uv_ip4_addr(stream->host, stream->options.port, (struct sockaddr_in *)&address) == 0 ||
        uv_ip6_addr(stream->host, stream->options.port, (struct sockaddr_in6 *)&address) == 0) {
        try_next(stream, (struct sockaddr *)&address, 0);
        return;
    }
    int err = uv_getaddrinfo(stream->options.loop, &stream->resolve, on_resolved, stream->host, port, &hints);
    stream->resolving = err == 0;
    if (err != 0) {
        fail(stream, MIRAI_E_UNAVAILABLE, uv_strerror(err));
    }
}

/* ------------------------------------------------------------------ deadline */

static void on_timer(uv_timer_t *timer)
{
    struct stream *stream = timer->data;
    if (stream->failed != 0) {
        stream->ended = true;
        stream->options.ended(stream->options.data, stream->failed, stream->reason);
    } else if (stream->deadline_ms > mirai_monotonic_ms()) {
        stream_set_deadline(stream, stream->deadline_ms); /* the loop's clock is behind */
    } else if (stream->deadline_ms != 0) {
        fail(stream, MIRAI_E_DEADLINE, stream->resolving ? "no answer for its name" : "no answer in time");
    }
}

void stream_set_deadline(struct stream *stream, uint64_t deadline_ms)
{
    uint64_t now_ms = mirai_monotonic_ms();
    stream->deadline_ms = deadline_ms;
    if (stream->failed != 0 || stream->ended || stream->closed) {
        return;
    }
    if (deadline_ms == 0) {
        uv_timer_stop(&stream->timer);
    } else {
        uv_timer_start(&stream->timer, on_timer, deadline_ms > now_ms ? deadline_ms - now_ms : 0, 0);
    }
}

/* ------------------------------------------------------------------ open, close */

struct stream *stream_open(const struct stream_options *options)
{
    struct stream *stream = mirai_alloc(sizeof(*stream));
    stream->options = *options;
    stream->host = mirai_str_dup(options->host);
    stream->resolve.data = stream;
    if (options->tls != NULL) {
        SSL_CTX_up_ref(options->tls);
    }
    uv_timer_init(options->loop, &stream->timer);
    stream->timer.data = stream;
    stream->in_call = true;
    stream_set_deadline(stream, options->deadline_ms);
    find_host(stream);
    stream->in_call = false;
    return stream;
}

static void on_timer_closed(uv_handle_t *timer)
{
    struct stream *stream = timer->data;
    stream->freed_timer = true;
    free_when_unused(stream);
}

void stream_close(struct stream *stream)
{
    if (stream == NULL || stream->closed) {
        return;
    }
    stream->closed = true;
    give_up_attempt(stream);
    if (stream->resolving) {
        uv_cancel((uv_req_t *)&stream->resolve); /* or it ends by itself: then its memory waits for it */
    }
    uv_close((uv_handle_t *)&stream->timer, on_timer_closed);
}
