#include "services/gateway/h2_guard.h"

#include <h2o/http2.h>
#include <h2o/http2_internal.h>

static struct h2_guard *guard_of(const h2o_http2_conn_t *conn)
{
    return conn->sock->on_close.data;
}

/* RST_STREAM frames that h2o has sent by itself on this loop: each adds one to one of these. */
static uint64_t resets_made(const h2o_http2_conn_t *conn)
{
    const uint64_t *errors = conn->super.ctx->http2.events.protocol_level_errors;
    return errors[-H2O_HTTP2_ERROR_PROTOCOL] + errors[-H2O_HTTP2_ERROR_FLOW_CONTROL] +
           errors[-H2O_HTTP2_ERROR_STREAM_CLOSED] + errors[-H2O_HTTP2_ERROR_REFUSED_STREAM];
}

/* What has been sent whole and waits for the write to end gets no more window: h2o asserts that such a stream does not
 * become writable again, and ends the process (update_stream_output_window). */
static void settle_sent_streams(h2o_http2_conn_t *conn)
{
    const h2o_linklist_t *sent = &conn->_write.streams_to_proceed;
    for (h2o_linklist_t *node = sent->next; node != sent; node = node->next) {
        h2o_http2_stream_t *stream = H2O_STRUCT_FROM_MEMBER(h2o_http2_stream_t, _refs.link, node);
        if (stream->state >= H2O_HTTP2_STREAM_STATE_SEND_BODY_IS_FINAL && stream->output_window._avail <= 0) {
            stream->output_window._avail = 1;
        }
    }
}

/* A header block that goes on after GOAWAY: h2o would read its first part again for ever. What is opened after GOAWAY
 * is not served anyway. */
static void drop_block(struct h2_guard *guard, h2o_http2_conn_t *conn)
{
    guard->inner = guard->normal;
    if (conn->_headers_unparsed != NULL) {
        h2o_buffer_dispose(&conn->_headers_unparsed);
        conn->_headers_unparsed = NULL;
    }
}

/* GOAWAY, and no byte more is read; connections.c cuts off who does not go. */
static ssize_t end(struct h2_guard *guard, h2o_http2_conn_t *conn, enum h2_verdict verdict,
                   const char **err_desc)
{
    guard->verdict = verdict;
    guard->ended_ms = h2o_now(conn->super.ctx->loop);
    *err_desc = h2_verdict_name(verdict);
    h2o_socket_read_stop(conn->sock);
    return H2O_HTTP2_ERROR_ENHANCE_YOUR_CALM;
}

static ssize_t pass_on(struct h2_guard *guard, h2o_http2_conn_t *conn, const uint8_t *src, size_t len,
                       const char **err_desc);

static ssize_t guarded(h2o_http2_conn_t *conn, const uint8_t *src, size_t len, const char **err_desc)
{
    struct h2_guard *guard = guard_of(conn);
    if (guard->normal == NULL) { /* the preface */
        ssize_t taken = pass_on(guard, conn, src, len, err_desc);
        guard->normal = taken > 0 ? guard->inner : NULL;
        return taken;
    }
    size_t length = len < H2_FRAME_HEAD ? 0 : h2_frame_length(src);
    if (len < H2_FRAME_HEAD || (length <= H2_FRAME_MAX && len < H2_FRAME_HEAD + length)) {
        return H2O_HTTP2_ERROR_INCOMPLETE;
    }
    if (length > H2_FRAME_MAX) {
        return pass_on(guard, conn, src, len, err_desc);
    }
    uint8_t type = src[3];
    uint64_t now_ms = h2o_now(conn->super.ctx->loop);
    bool was_in_block = guard->frames.in_block;
    enum h2_verdict verdict = h2_frames_count(&guard->frames, src, length, now_ms);
    if (verdict != H2_FINE) {
        return end(guard, conn, verdict, err_desc);
    }
    if (type == H2_CONTINUATION && was_in_block && conn->state >= H2O_HTTP2_CONN_STATE_HALF_CLOSED) {
        drop_block(guard, conn);
        return (ssize_t)(H2_FRAME_HEAD + length);
    }
    if (type >= H2_FRAME_TYPES && !was_in_block) { /* h2o would write a line to standard error */
        return (ssize_t)(H2_FRAME_HEAD + length);
    }
    if (type == H2_WINDOW_UPDATE || type == H2_SETTINGS) {
        settle_sent_streams(conn);
    }
    uint64_t made = resets_made(conn);
    uint32_t open = conn->num_streams.pull.open;
    ssize_t taken = pass_on(guard, conn, src, len, err_desc);
    if (taken > 0 && resets_made(conn) != made) {
        bool live = type == H2_HEADERS || type == H2_CONTINUATION || conn->num_streams.pull.open < open;
        verdict = h2_frames_made_reset(&guard->frames, live, now_ms);
        return verdict == H2_FINE ? taken : end(guard, conn, verdict, err_desc);
    }
    return taken;
}

/* h2o goes on to its next reader by setting the pointer: keep what it wants, and stay in front. */
static ssize_t pass_on(struct h2_guard *guard, h2o_http2_conn_t *conn, const uint8_t *src, size_t len,
                       const char **err_desc)
{
    ssize_t taken = guard->inner(conn, src, len, err_desc);
    if (conn->_read_expect != guarded) {
        guard->inner = conn->_read_expect;
        conn->_read_expect = guarded;
    }
    return taken;
}

void h2_guard_accept(struct h2_guard *guard, h2o_accept_ctx_t *accept, h2o_socket_t *sock,
                     struct timeval connected_at, int64_t resets, int64_t control)
{
    /* h2o_http2_accept() reads at once what has come with the end of the handshake: not before the guard stands. */
    h2o_buffer_t *early = sock->input;
    h2o_buffer_init(&sock->input, &h2o_socket_buffer_prototype);
    h2o_http2_accept(accept, sock, connected_at);
    h2o_buffer_dispose(&sock->input);
    sock->input = early;

    h2o_http2_conn_t *conn = sock->data;
    *guard = (struct h2_guard){.inner = conn->_read_expect};
    h2_frames_init(&guard->frames, resets, control, h2o_now(accept->ctx->loop));
    conn->_read_expect = guarded;
    sock->on_close.data = guard;
    if (sock->input->size > 0) {
        sock->_cb.read(sock, NULL);
    }
}
