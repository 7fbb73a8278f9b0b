#include "libcommon/thread.h"
#include "services/gateway/tickets.h"
#include "tests/unit/gateway/peer.h"

#define SECONDS 10

static struct peer_certificate certificate;
static struct tickets *tickets;

static SSL_CTX *server_new(void)
{
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    assert_int_equal(SSL_CTX_use_certificate(context, certificate.certificate), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(context, certificate.key), 1);
    assert_true(tickets_use(tickets, context));
    return context;
}

/* Shake hands with the server, in memory; *session: to be resumed, then the one to resume next. Whether it was resumed. */
static bool meet(SSL_CTX *server, SSL_CTX *client, SSL_SESSION **session)
{
    BIO *near, *far;
    char byte = 'x';
    SSL *from = SSL_new(client), *to = SSL_new(server);
    BIO_new_bio_pair(&near, 0, &far, 0);
    SSL_set_bio(from, near, near);
    SSL_set_bio(to, far, far);
    SSL_set_connect_state(from);
    SSL_set_accept_state(to);
    if (*session != NULL) {
        SSL_set_session(from, *session);
        SSL_SESSION_free(*session);
    }
    for (int turn = 0; turn < 10; turn++) {
        SSL_do_handshake(from);
        SSL_do_handshake(to);
    }
    SSL_write(to, &byte, 1);
    bool good = SSL_read(from, &byte, 1) == 1; /* the ticket comes before it */
    bool resumed = SSL_session_reused(from) == 1;
    *session = SSL_get1_session(from);
    SSL_shutdown(from); /* else its session counts as broken */
    SSL_free(from);
    SSL_free(to);
    return good && resumed;
}

static void a_session_is_resumed_at_any_loop_until_its_key_is_gone(void **state)
{
    (void)state;
    uint64_t now = 1000;
    tickets = tickets_new(SECONDS, now);
    SSL_CTX *one = server_new(), *other = server_new(), *client = SSL_CTX_new(TLS_client_method());
    SSL_SESSION *session = NULL;
    assert_false(meet(one, client, &session));
    assert_true(meet(other, client, &session));
    tickets_rotate(tickets, now += SECONDS * 1000);
    assert_true(meet(one, client, &session));
    assert_true(meet(other, client, &session));
    tickets_rotate(tickets, now += SECONDS * 1000);
    tickets_rotate(tickets, now += SECONDS * 1000);
    assert_false(meet(one, client, &session));
    assert_true(meet(one, client, &session));
    tickets_forget(tickets);
    assert_false(meet(one, client, &session));
    SSL_SESSION_free(session);
    SSL_CTX_free(client);
    SSL_CTX_free(one);
    SSL_CTX_free(other);
    tickets_free(tickets);
}

static void *meet_often(void *data)
{
    SSL_CTX *server = server_new(), *client = SSL_CTX_new(TLS_client_method());
    SSL_SESSION *session = NULL;
    (void)data;
    for (int i = 0; i < 100; i++) {
        meet(server, client, &session);
    }
    SSL_SESSION_free(session);
    SSL_CTX_free(client);
    SSL_CTX_free(server);
    return NULL;
}

/* Its worth is under ThreadSanitizer. */
static void keys_change_while_loops_use_them(void **state)
{
    pthread_t loops[3];
    (void)state;
    tickets = tickets_new(1, 0);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(mirai_thread_start(&loops[i], "loop", meet_often, NULL), 0);
    }
    for (uint64_t second = 1; second < 2000; second++) {
        tickets_rotate(tickets, second * 1000);
        if (second % 100 == 0) {
            tickets_forget(tickets);
        }
    }
    for (size_t i = 0; i < 3; i++) {
        pthread_join(loops[i], NULL);
    }
    tickets_free(tickets);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_session_is_resumed_at_any_loop_until_its_key_is_gone),
        cmocka_unit_test(keys_change_while_loops_use_them),
    };
    certificate = peer_certificate_new("DNS:localhost", 3600);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    peer_certificate_free(&certificate);
    return failed;
}
