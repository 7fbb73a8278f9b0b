#include "services/gateway/identity/stream.h"

#include "libcommon/time.h"
#include "tests/unit/gateway/peer.h"

/* One stream and what was told of it. */
struct client {
    uv_loop_t loop;
    struct stream *stream;
    struct mirai_buf got;
    int ready;   /* times */
    int ends;    /* times */
    int err;     /* of the end */
    bool inside; /* a function of the stream runs: no callback may */
    bool close_on_ready, close_on_received, tls_on_received;
    size_t enough; /* bytes after which to stop waiting; 0: wait for the end */
    bool reached;  /* enough */
    char reason[200];
};

static void on_ready(void *data)
{
    struct client *client = data;
    assert_false(client->inside);
    assert_int_equal(client->ends, 0);
    client->ready++;
    if (client->close_on_ready) {
        stream_close(client->stream);
        client->stream = NULL;
        return;
    }
    client->inside = true;
    assert_int_equal(stream_write(client->stream, MIRAI_STR("hello")), 0);
    client->inside = false;
}

static void on_received(void *data, struct mirai_str bytes)
{
    struct client *client = data;
    assert_false(client->inside);
    mirai_buf_append_str(&client->got, bytes);
    if (client->close_on_received) {
        stream_close(client->stream);
        client->stream = NULL;
    } else if (client->tls_on_received) {
        client->tls_on_received = false;
        client->inside = true;
        stream_start_tls(client->stream);
        client->inside = false;
    }
}

static void on_ended(void *data, int err, const char *reason)
{
    struct client *client = data;
    assert_false(client->inside);
    client->ends++;
    client->err = err;
    snprintf(client->reason, sizeof(client->reason), "%s", reason);
}

static void run(struct client *client, const char *host, int port, SSL_CTX *tls, bool tls_later,
                uint64_t within_ms)
{
    struct stream_options options = {.loop = &client->loop,
                                     .host = mirai_str(host),
                                     .port = port,
                                     .tls = tls,
                                     .tls_later = tls_later,
                                     .deadline_ms = mirai_monotonic_ms() + within_ms,
                                     .ready = on_ready,
                                     .received = on_received,
                                     .ended = on_ended,
                                     .data = client};
    uv_loop_init(&client->loop);
    client->inside = true;
    client->stream = stream_open(&options);
    client->inside = false;
    while (client->ends == 0 && client->stream != NULL &&
           (client->enough == 0 || client->got.len < client->enough) &&
           uv_run(&client->loop, UV_RUN_ONCE) != 0) {
    }
    client->reached = client->enough > 0 && client->got.len >= client->enough;
    stream_close(client->stream);
    uv_run(&client->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&client->loop), 0); /* nothing is left */
    assert_true(client->ends <= 1);
    mirai_buf_free(&client->got);
}

/* ------------------------------------------------------------------ behaviours */

static void serve_silent(struct peer *peer, int fd)
{
    peer_wait(peer, fd);
}

static void serve_nothing(struct peer *peer, int fd)
{
    char hello[16];
    (void)peer;
    (void)!read(fd, hello, sizeof(hello)); /* some of the handshake, then hang up */
}

static void serve_garbage(struct peer *peer, int fd)
{
    (void)!write(fd, "HTTP/1.1 400 Bad Request\r\n\r\n", 28);
    peer_wait(peer, fd);
}

static void serve_echo(struct peer *peer, int fd)
{
    char bytes[64];
    SSL *ssl = peer_tls(peer, fd);
    if (ssl != NULL) {
        int len = SSL_read(ssl, bytes, sizeof(bytes));
        if (len > 0) {
            SSL_write(ssl, bytes, len);
        }
        SSL_shutdown(ssl);
        SSL_free(ssl);
    }
}

static void serve_start_tls(struct peer *peer, int fd)
{
    char hello[5];
    (void)!recv(fd, hello, 5, MSG_WAITALL);
    (void)!write(fd, "go", 2);
    serve_echo(peer, fd);
}

/* One byte at a time. */
static void serve_slowly(struct peer *peer, int fd)
{
    (void)peer;
    char bytes[5];
    (void)!recv(fd, bytes, 5, MSG_WAITALL);
    for (size_t i = 0; i < 5; i++) {
        (void)!write(fd, &bytes[i], 1);
        usleep(2000);
    }
}

static void serve_much(struct peer *peer, int fd)
{
    static char zeros[300000];
    SSL *ssl = peer_tls(peer, fd);
    if (ssl != NULL) {
        SSL_write(ssl, zeros, sizeof(zeros));
        SSL_free(ssl);
    }
    peer_wait(peer, fd);
}

/* ------------------------------------------------------------------ tests */

static void meet(struct client *client, void (*serve)(struct peer *, int), const char *san, bool trusted,
                 long not_after_s, bool tls, uint64_t within_ms)
{
    struct peer_certificate certificate = peer_certificate_new(san, not_after_s);
    struct peer_certificate other = peer_certificate_new(san, 3600);
    struct peer peer = {.serve = serve, .certificate = &certificate};
    SSL_CTX *context = tls ? stream_tls_new(trusted ? certificate.file : other.file) : NULL;
    peer_start(&peer);
    run(client, "127.0.0.1", peer.port, context, client->tls_on_received, within_ms);
    peer_stop(&peer);
    SSL_CTX_free(context);
    peer_certificate_free(&certificate);
    peer_certificate_free(&other);
}

static void test_talks_tls(void **state)
{
    (void)state;
    struct client client = {.enough = 5};
    meet(&client, serve_echo, "IP:127.0.0.1", true, 3600, true, 10000);
    assert_int_equal(client.ready, 1);
    assert_true(client.reached);
}

static void test_hears_the_end_of_tls(void **state)
{
    (void)state;
    struct client client = {0};
    meet(&client, serve_echo, "IP:127.0.0.1", true, 3600, true, 10000);
    assert_int_equal(client.err, MIRAI_E_UNAVAILABLE);
    assert_string_equal(client.reason, "closed by the server");
}

static void test_starts_tls_later(void **state)
{
    (void)state;
    struct client client = {.enough = 7, .tls_on_received = true};
    meet(&client, serve_start_tls, "IP:127.0.0.1", true, 3600, true, 10000);
    assert_int_equal(client.ready, 2);
    assert_true(client.reached);
}

static void test_gets_much(void **state)
{
    (void)state;
    struct client client = {.enough = 300000};
    meet(&client, serve_much, "IP:127.0.0.1", true, 3600, true, 10000);
    assert_true(client.reached);
}

static void test_plaintext_byte_by_byte(void **state)
{
    (void)state;
    struct client client = {.enough = 5};
    meet(&client, serve_slowly, "IP:127.0.0.1", true, 3600, false, 10000);
    assert_int_equal(client.ready, 1);
    assert_true(client.reached);
}

static void test_refuses_unknown_certificate(void **state)
{
    (void)state;
    struct client client = {0};
    meet(&client, serve_echo, "IP:127.0.0.1", false, 3600, true, 10000);
    assert_int_equal(client.ready, 0);
    assert_int_equal(client.err, MIRAI_E_INVALID);
    assert_non_null(strstr(client.reason, "certificate"));
}

static void test_refuses_other_name(void **state)
{
    (void)state;
    static const char *const sans[] = {"IP:127.0.0.2", "DNS:127.0.0.1", "DNS:localhost", "DNS:*.0.0.1"};
    for (size_t i = 0; i < 4; i++) {
        struct client client = {0};
        meet(&client, serve_echo, sans[i], true, 3600, true, 10000);
        assert_int_equal(client.ready, 0);
        assert_int_equal(client.err, MIRAI_E_INVALID);
        assert_non_null(strstr(client.reason, "mismatch"));
    }
}

static void test_refuses_expired_certificate(void **state)
{
    (void)state;
    struct client client = {0};
    meet(&client, serve_echo, "IP:127.0.0.1", true, -3600, true, 10000);
    assert_int_equal(client.ready, 0);
    assert_int_equal(client.err, MIRAI_E_INVALID);
    assert_non_null(strstr(client.reason, "expired"));
}

static void test_gives_a_silent_server_up(void **state)
{
    (void)state;
    for (int tls = 0; tls < 2; tls++) {
        struct client client = {0};
        uint64_t begun = mirai_monotonic_ms();
        meet(&client, serve_silent, "IP:127.0.0.1", true, 3600, tls == 1, 100);
        assert_int_equal(client.err, MIRAI_E_DEADLINE);
        assert_true(mirai_monotonic_ms() - begun >= 100);
    }
}

static void test_server_hangs_up_in_handshake(void **state)
{
    (void)state;
    struct client client = {0};
    meet(&client, serve_nothing, "IP:127.0.0.1", true, 3600, true, 10000);
    assert_int_equal(client.ready, 0);
    assert_int_equal(client.err, MIRAI_E_UNAVAILABLE);
}

static void test_server_speaks_no_tls(void **state)
{
    (void)state;
    struct client client = {0};
    meet(&client, serve_garbage, "IP:127.0.0.1", true, 3600, true, 10000);
    assert_int_equal(client.ready, 0);
    assert_int_equal(client.err, MIRAI_E_INVALID);
}

static void test_closes_within_callbacks(void **state)
{
    (void)state;
    struct client ready = {.close_on_ready = true}, received = {.close_on_received = true};
    meet(&ready, serve_echo, "IP:127.0.0.1", true, 3600, true, 10000);
    assert_int_equal(ready.ends, 0);
    meet(&received, serve_much, "IP:127.0.0.1", true, 3600, true, 10000);
    assert_int_equal(received.ends, 0);
}

static void test_connection_refused(void **state)
{
    (void)state;
    struct peer peer = {.serve = serve_silent};
    struct client client = {0};
    peer_start(&peer);
    peer_stop(&peer); /* its port is free now */
    run(&client, "127.0.0.1", peer.port, NULL, false, 10000);
    assert_int_equal(client.err, MIRAI_E_UNAVAILABLE);
    assert_int_equal(client.ready, 0);
}

static void test_finds_a_name(void **state)
{
    (void)state;
    struct peer peer = {.serve = serve_slowly};
    struct client client = {.enough = 5};
    peer_start(&peer);
    run(&client, "localhost", peer.port, NULL, false, 10000);
    peer_stop(&peer);
    assert_int_equal(client.ready, 1);
}

static void test_no_such_name(void **state)
{
    (void)state;
    struct client bad = {0}, deadline = {0};
    run(&bad, "no such name", 389, NULL, false, 20000);
    assert_int_equal(bad.ends, 1);
    run(&deadline, "name.invalid", 389, NULL, false, 1); /* closed while the name is looked for */
    assert_int_equal(deadline.ends, 1);
}

static void test_bounds_what_waits(void **state)
{
    (void)state;
    static char much[STREAM_OUT_MAX];
    struct peer peer = {.serve = serve_silent};
    struct client client = {0};
    uv_loop_init(&client.loop);
    peer_start(&peer);
    struct stream_options options = {.loop = &client.loop,
                                     .host = MIRAI_STR("127.0.0.1"),
                                     .port = peer.port,
                                     .ready = on_ready,
                                     .received = on_received,
                                     .ended = on_ended,
                                     .data = &client};
    client.stream = stream_open(&options);
    assert_int_equal(stream_write(client.stream, MIRAI_STR("early")), MIRAI_E_UNAVAILABLE);
    while (client.ready == 0) {
        uv_run(&client.loop, UV_RUN_ONCE);
    }
    int err = 0;
    for (int i = 0; i < 100 && err == 0; i++) { /* the loop does not run: nothing leaves */
        err = stream_write(client.stream, (struct mirai_str){much, sizeof(much)});
    }
    assert_int_equal(err, MIRAI_E_OVERLOADED);
    stream_close(client.stream);
    uv_run(&client.loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&client.loop), 0);
    peer_stop(&peer);
}

static void test_needs_readable_trust(void **state)
{
    (void)state;
    assert_null(stream_tls_new("/nonexistent.pem"));
    SSL_CTX *system = stream_tls_new("");
    assert_non_null(system);
    SSL_CTX_free(system);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_talks_tls),
        cmocka_unit_test(test_hears_the_end_of_tls),
        cmocka_unit_test(test_starts_tls_later),
        cmocka_unit_test(test_gets_much),
        cmocka_unit_test(test_plaintext_byte_by_byte),
        cmocka_unit_test(test_refuses_unknown_certificate),
        cmocka_unit_test(test_refuses_other_name),
        cmocka_unit_test(test_refuses_expired_certificate),
        cmocka_unit_test(test_gives_a_silent_server_up),
        cmocka_unit_test(test_server_hangs_up_in_handshake),
        cmocka_unit_test(test_server_speaks_no_tls),
        cmocka_unit_test(test_closes_within_callbacks),
        cmocka_unit_test(test_connection_refused),
        cmocka_unit_test(test_finds_a_name),
        cmocka_unit_test(test_no_such_name),
        cmocka_unit_test(test_bounds_what_waits),
        cmocka_unit_test(test_needs_readable_trust),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
