#include "services/gateway/identity/ldap.h"

#include "libcommon/time.h"
#include "tests/unit/gateway/peer.h"

/* A server that answers with the bytes that a test has prepared: after each request the next piece. */
struct script {
    struct mirai_str pieces[8];
    size_t count;
    bool byte_by_byte;
};

static void serve_script(struct peer *peer, int fd)
{
    const struct script *script = peer->data;
    char request[4096];
    for (size_t i = 0; i < script->count && read(fd, request, sizeof(request)) > 0; i++) {
        struct mirai_str piece = script->pieces[i];
        size_t step = script->byte_by_byte ? 1 : piece.len;
        for (size_t at = 0; at < piece.len; at += step) {
            if (write(fd, piece.data + at, step) != (ssize_t)step) {
                return;
            }
        }
    }
    peer_wait(peer, fd);
}

struct client {
    uv_loop_t loop;
    struct ldap_link *link;
    int ready, ended, answered, err, code;
    size_t entries, values;
    char reason[200], diagnostic[200], text[200];
    bool search, close_in_callback;
    size_t entries_max;
};

static void on_answer(void *data, const struct ldap_link_answer *answer)
{
    struct client *client = data;
    client->answered++;
    client->code = answer->code;
    client->entries = answer->count;
    snprintf(client->diagnostic, sizeof(client->diagnostic), "%s", answer->diagnostic);
    for (const struct ldap_link_entry *entry = answer->entries; entry != NULL; entry = entry->next) {
        const struct ldap_link_attribute *uid = ldap_entry_attribute(entry, "UID");
        client->values += uid != NULL ? uid->count : 0;
        snprintf(client->text, sizeof(client->text), "%.*s", MIRAI_STR_ARG(ldap_entry_text(entry, "uid")));
    }
    if (client->close_in_callback) {
        ldap_link_close(client->link);
        client->link = NULL;
    }
}

static void on_ready(void *data)
{
    static const char *const attributes[] = {"uid", NULL};
    struct client *client = data;
    uint64_t deadline = mirai_monotonic_ms() + 5000;
    client->ready++;
    if (client->search) {
        const struct ldap_link_search search = {.base = "dc=kb",
                                                .subtree = true,
                                                .filter = "(uid=a)",
                                                .attributes = attributes,
                                                .entries_max = client->entries_max};
        assert_non_null(ldap_link_search(client->link, &search, deadline, on_answer, client));
    } else {
        assert_null(ldap_link_bind(client->link, "cn=a", MIRAI_STR(""), false, deadline, on_answer, client));
        assert_null(ldap_link_bind(client->link, "", MIRAI_STR("x"), false, deadline, on_answer, client));
        assert_non_null(
            ldap_link_bind(client->link, "cn=a", MIRAI_STR("secret"), true, deadline, on_answer, client));
    }
}

static void on_ended(void *data, int err, const char *reason)
{
    struct client *client = data;
    client->ended++;
    client->err = err;
    snprintf(client->reason, sizeof(client->reason), "%s", reason);
}

static void talk(struct client *client, struct script *script, enum ldap_link_security security)
{
    struct peer_certificate certificate = peer_certificate_new("IP:127.0.0.1", 3600);
    struct peer peer = {.serve = serve_script, .data = script, .certificate = &certificate};
    SSL_CTX *tls = stream_tls_new(certificate.file);
    peer_start(&peer);
    uv_loop_init(&client->loop);
    client->entries_max = client->entries_max == 0 ? 2 : client->entries_max;
    client->link = ldap_link_open(&(struct ldap_link_options){.loop = &client->loop,
                                                              .host = MIRAI_STR("127.0.0.1"),
                                                              .port = peer.port,
                                                              .security = security,
                                                              .tls = tls,
                                                              .deadline_ms = mirai_monotonic_ms() + 5000,
                                                              .ready = on_ready,
                                                              .ended = on_ended,
                                                              .data = client});
    while (client->answered == 0 && client->ended == 0) {
        uv_run(&client->loop, UV_RUN_ONCE);
    }
    ldap_link_close(client->link);
    uv_run(&client->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&client->loop), 0);
    peer_stop(&peer);
    SSL_CTX_free(tls);
    peer_certificate_free(&certificate);
}

/* LDAP messages (RFC 4511), number 1 unless said. */
#define BIND_OK      "\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x00\x04\x00\x04\x00"
#define BIND_WRONG   "\x30\x0f\x02\x01\x01\x61\x0a\x0a\x01\x31\x04\x00\x04\x03no!"
#define NUMBER_9_OK  "\x30\x0c\x02\x01\x09\x61\x07\x0a\x01\x00\x04\x00\x04\x00"
#define NOTICE       "\x30\x0c\x02\x01\x00\x78\x07\x0a\x01\x34\x04\x00\x04\x00"
#define START_TLS_OK "\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x00\x04\x00\x04\x00"
#define START_TLS_NO "\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x02\x04\x00\x04\x00"
#define SEARCH_DONE  "\x30\x0c\x02\x01\x01\x65\x07\x0a\x01\x00\x04\x00\x04\x00"
#define REFERENCE    "\x30\x0d\x02\x01\x01\x73\x08\x04\x06ldap:/"
/* dn "cn=a", uid: ana, ben */
#define ENTRY                                                                                                \
    "\x30\x22\x02\x01\x01\x64\x1d\x04\x04"                                                                   \
    "cn=a"                                                                                                   \
    "\x30\x15\x30\x13\x04\x03"                                                                               \
    "uid"                                                                                                    \
    "\x31\x0c\x04\x03"                                                                                       \
    "ana"                                                                                                    \
    "\x04\x03"                                                                                               \
    "ben"                                                                                                    \
    "\x04\x00"

static void bind_expecting(struct mirai_str answer, int code, int err, const char *reason)
{
    for (int byte_by_byte = 0; byte_by_byte < 2; byte_by_byte++) {
        struct script script = {.pieces = {answer}, .count = 1, .byte_by_byte = byte_by_byte != 0};
        struct client client = {0};
        talk(&client, &script, LDAP_LINK_PLAIN);
        assert_int_equal(client.ready, 1);
        if (err == 0) {
            assert_int_equal(client.ended, 0);
            assert_int_equal(client.code, code);
        } else {
            assert_int_equal(client.answered, 0);
            assert_int_equal(client.err, err);
            assert_non_null(strstr(client.reason, reason));
        }
    }
}

static void test_binds(void **state)
{
    (void)state;
    bind_expecting(MIRAI_STR(BIND_OK), 0, 0, NULL);
    bind_expecting(MIRAI_STR(BIND_WRONG), 49, 0, NULL);
    bind_expecting(MIRAI_STR(NUMBER_9_OK BIND_OK), 0, 0, NULL); /* an answer to no question */
}

static void test_ends_what_is_no_ldap(void **state)
{
    (void)state;
    bind_expecting(MIRAI_STR("HTTP/1.1 400"), 0, MIRAI_E_INVALID, "LDAP");
    bind_expecting(MIRAI_STR(SEARCH_DONE), 0, MIRAI_E_INVALID, "LDAP"); /* not what was asked */
    bind_expecting(MIRAI_STR("\x30\x80\x02\x01\x01"), 0, MIRAI_E_INVALID, "LDAP");
    bind_expecting(MIRAI_STR("\x30\x84\x7f\xff\xff\xff\x02\x01\x01\x61"), 0, MIRAI_E_INVALID, "LDAP");
    bind_expecting(MIRAI_STR("\x30\x85\x01\x00\x00\x00\x00\x02"), 0, MIRAI_E_INVALID, "LDAP");
    bind_expecting(MIRAI_STR("\x30\x05\x02\x01\x01\x61\x00"), 0, MIRAI_E_INVALID, "LDAP");
    bind_expecting(MIRAI_STR("\x30\x03\x02\x01\x01"), 0, MIRAI_E_INVALID, "LDAP");
}

static void test_notices_say_goodbye(void **state)
{
    (void)state;
    bind_expecting(MIRAI_STR(NOTICE), 0, MIRAI_E_UNAVAILABLE, "closes");
}

static void test_searches(void **state)
{
    (void)state;
    for (int byte_by_byte = 0; byte_by_byte < 2; byte_by_byte++) {
        struct script script = {.pieces = {MIRAI_STR(ENTRY REFERENCE SEARCH_DONE)},
                                .count = 1,
                                .byte_by_byte = byte_by_byte != 0};
        struct client client = {.search = true, .close_in_callback = byte_by_byte != 0};
        talk(&client, &script, LDAP_LINK_PLAIN);
        assert_int_equal(client.ended, 0);
        assert_int_equal(client.entries, 1);
        assert_int_equal(client.values, 3);
        assert_string_equal(client.text, "ana");
    }
}

static void test_bounds_entries(void **state)
{
    (void)state;
    struct script script = {.pieces = {MIRAI_STR(ENTRY ENTRY ENTRY SEARCH_DONE)}, .count = 1};
    struct client client = {.search = true};
    talk(&client, &script, LDAP_LINK_PLAIN);
    assert_int_equal(client.answered, 0);
    assert_int_equal(client.err, MIRAI_E_INVALID);
}

static void test_start_tls_before_anything_else(void **state)
{
    (void)state;
    /* The consent, and what an attacker on the way adds to it. */
    struct script injected = {.pieces = {MIRAI_STR(START_TLS_OK BIND_OK)}, .count = 1};
    struct script refused = {.pieces = {MIRAI_STR(START_TLS_NO)}, .count = 1};
    struct script no_tls = {.pieces = {MIRAI_STR(START_TLS_OK), MIRAI_STR(BIND_OK)}, .count = 2};
    struct client clients[3];
    memset(clients, 0, sizeof(clients));
    talk(&clients[0], &injected, LDAP_LINK_START_TLS);
    assert_non_null(strstr(clients[0].reason, "between StartTLS and TLS"));
    talk(&clients[1], &refused, LDAP_LINK_START_TLS);
    assert_non_null(strstr(clients[1].reason, "refuses StartTLS"));
    talk(&clients[2], &no_tls, LDAP_LINK_START_TLS);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(clients[i].ready, 0); /* no password was sent */
        assert_int_equal(clients[i].err, MIRAI_E_INVALID);
    }
}

/* ------------------------------------------------------------------ text */

static void test_escapes_values(void **state)
{
    (void)state;
    static const struct {
        struct mirai_str value;
        const char *escaped;
    } rows[] = {
        {MIRAI_STR("ana"), "ana"},
        {MIRAI_STR("*)(uid=*"), "\\2a\\29\\28uid=\\2a"},
        {MIRAI_STR("a\\b\0c"), "a\\5cb\\00c"},
        {MIRAI_STR("花"), "\\e8\\8a\\b1"},
        {MIRAI_STR(""), ""},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct mirai_buf filter = {0};
        ldap_escape_value(&filter, rows[i].value);
        assert_str(mirai_buf_str(&filter), rows[i].escaped);
        struct mirai_buf whole = {0};
        mirai_buf_printf(&whole, "(uid=%.*s)", MIRAI_STR_ARG(mirai_buf_str(&filter)));
        assert_true(ldap_filter_valid(whole.data));
        mirai_buf_free(&filter);
        mirai_buf_free(&whole);
    }
    assert_false(ldap_filter_valid("(uid=a"));
    assert_false(ldap_filter_valid("(uid=a))("));
}

static void test_compares_names(void **state)
{
    (void)state;
    struct mirai_arena arena = {0};
    struct mirai_str key = ldap_dn_key(&arena, MIRAI_STR("cn=kb-admins,ou=groups,dc=kb,dc=test"));
    assert_true(mirai_str_eq(key, ldap_dn_key(&arena, MIRAI_STR("CN=KB-Admins, OU=groups,DC=KB,DC=test"))));
    assert_true(mirai_str_eq(ldap_dn_key(&arena, MIRAI_STR("cn=a\\,b,dc=kb")),
                             ldap_dn_key(&arena, MIRAI_STR("cn=a\\2Cb,dc=kb"))));
    assert_false(mirai_str_eq(key, ldap_dn_key(&arena, MIRAI_STR("cn=kb-admins\\,ou=groups,dc=kb,dc=test"))));
    assert_int_equal(ldap_dn_key(&arena, MIRAI_STR("kb-admins")).len, 0);
    assert_int_equal(ldap_dn_key(&arena, MIRAI_STR("cn=a\0,dc=kb")).len, 0);
    assert_int_equal(ldap_dn_key(&arena, MIRAI_STR("")).len, 0);
    assert_str(ldap_dn_name(&arena, MIRAI_STR("CN=運用\\, 基盤,DC=kb")), "運用, 基盤");
    assert_int_equal(ldap_dn_name(&arena, MIRAI_STR("no dn")).len, 0);
    mirai_arena_free(&arena);
}

int main(void)
{
    ldap_link_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_binds),
        cmocka_unit_test(test_ends_what_is_no_ldap),
        cmocka_unit_test(test_notices_say_goodbye),
        cmocka_unit_test(test_searches),
        cmocka_unit_test(test_bounds_entries),
        cmocka_unit_test(test_start_tls_before_anything_else),
        cmocka_unit_test(test_escapes_values),
        cmocka_unit_test(test_compares_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
