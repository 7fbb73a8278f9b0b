/* Who is known, and who may call what. Users that every Debian has stand for the daemons' own. */
#include "libcommon/rpc_peers.h"

#include "tests/unit/libcommon/test.h"

#include <pwd.h>
#include <sys/socket.h>
#include <unistd.h>

static const struct mirai_peer table[] = {
    {.name = "gateway", .user = "daemon", .as_user = "*", .as_system = "auth.place directory.*"},
    {.name = "metrics", .user = "games", .as_system = "service.metrics"},
    {.name = "backup", .user = "no-such-user-here", .as_system = "snapshot.* attachment.read"},
    {.name = "operator", .as_user = "*", .as_system = "*"},
    {.name = NULL},
};

#define GATEWAY  1u
#define METRICS  2u
#define BACKUP   4u
#define OPERATOR 8u
#define TRUSTED  (UINT32_C(1) << MIRAI_PEERS_MAX)

static uid_t uid_of(const char *name)
{
    const struct passwd *entry = getpwnam(name);
    assert_non_null(entry);
    return entry->pw_uid;
}

static struct mirai_peers *make(const char *configured)
{
    struct mirai_peers *peers = mirai_peers_new(table, configured, stderr);
    assert_non_null(peers);
    return peers;
}

static void refuse(const char *configured, const char *expected)
{
    char *text = NULL;
    size_t len = 0;
    FILE *errors = open_memstream(&text, &len);
    assert_null(mirai_peers_new(table, configured, errors));
    fclose(errors);
    assert_non_null(strstr(text, expected));
    free(text);
}

static void test_users_are_known_by_the_table(void **state)
{
    (void)state;
    struct mirai_peers *peers = make("");
    assert_int_equal(mirai_peers_of_uid(peers, uid_of("daemon")), GATEWAY);
    assert_int_equal(mirai_peers_of_uid(peers, uid_of("games")), METRICS);
    assert_int_equal(mirai_peers_of_uid(peers, uid_of("mail")), MIRAI_PEERS_NONE);
    assert_int_equal(mirai_peers_of_uid(peers, 0), MIRAI_PEERS_TRUSTED);
    assert_int_equal(mirai_peers_of_uid(peers, geteuid()), MIRAI_PEERS_TRUSTED);
    assert_int_equal(mirai_peers_of_uid(peers, 4000000000u),
                     MIRAI_PEERS_NONE); /* not the -1 of "no such user" */
    assert_int_equal(mirai_peers_of_uid(peers, (uid_t)-1), MIRAI_PEERS_NONE);
    assert_int_equal(mirai_peers_of_uid(peers, 65534), MIRAI_PEERS_NONE);
    mirai_peers_free(peers);
}

static void test_configuration_goes_before_the_table(void **state)
{
    (void)state;
    struct mirai_peers *peers = make("gateway=mail,backup=games");
    assert_int_equal(mirai_peers_of_uid(peers, uid_of("daemon")), MIRAI_PEERS_NONE);
    assert_int_equal(mirai_peers_of_uid(peers, uid_of("mail")), GATEWAY);
    assert_int_equal(mirai_peers_of_uid(peers, uid_of("games")), METRICS | BACKUP); /* the rights of both */
    mirai_peers_free(peers);
    refuse("gateway=no-such-user-here", "no-such-user-here");
    refuse("stranger=mail", "gateway metrics backup operator");
    refuse("=mail", "NAME=USER");
    refuse("gateway", "NAME=USER");
    refuse("gateway=", "no user");
}

static void test_names_are_compared_whole(void **state)
{
    (void)state;
    struct mirai_peers *peers = make("");
    assert_int_equal(mirai_peers_of_name(peers, MIRAI_STR("gateway")), GATEWAY);
    assert_int_equal(mirai_peers_of_name(peers, MIRAI_STR("operator")), OPERATOR);
    assert_int_equal(mirai_peers_of_name(peers, MIRAI_STR("Gateway")), MIRAI_PEERS_NONE);
    assert_int_equal(mirai_peers_of_name(peers, MIRAI_STR("gateway2")), MIRAI_PEERS_NONE);
    assert_int_equal(mirai_peers_of_name(peers, MIRAI_STR("gate")), MIRAI_PEERS_NONE);
    assert_int_equal(mirai_peers_of_name(peers, MIRAI_STR("")), MIRAI_PEERS_NONE);
    mirai_peers_free(peers);
}

static void test_rights_are_what_is_listed(void **state)
{
    (void)state;
    struct mirai_peers *peers = make("");
    assert_int_equal(mirai_peers_allowed(peers, "article.get", false), TRUSTED | GATEWAY | OPERATOR);
    assert_int_equal(mirai_peers_allowed(peers, "article.get", true), TRUSTED | OPERATOR);
    assert_int_equal(mirai_peers_allowed(peers, "directory.claim", true), TRUSTED | GATEWAY | OPERATOR);
    assert_int_equal(mirai_peers_allowed(peers, "auth.place", true), TRUSTED | GATEWAY | OPERATOR);
    assert_int_equal(mirai_peers_allowed(peers, "auth.places", true), TRUSTED | OPERATOR);
    assert_int_equal(mirai_peers_allowed(peers, "auth.plac", true), TRUSTED | OPERATOR);
    assert_int_equal(mirai_peers_allowed(peers, "service.metrics", true), TRUSTED | METRICS | OPERATOR);
    assert_int_equal(mirai_peers_allowed(peers, "snapshot.begin", true), TRUSTED | BACKUP | OPERATOR);
    assert_int_equal(mirai_peers_allowed(peers, "snapshots", true), TRUSTED | OPERATOR);
    mirai_peers_free(peers);
}

static void test_a_socket_shows_whose_it_is(void **state)
{
    (void)state;
    struct mirai_peers *peers = make("");
    int pair[2], tcp = socket(AF_INET, SOCK_STREAM, 0);
    int64_t uid;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    assert_int_equal(mirai_peers_of_socket(peers, pair[0], &uid), MIRAI_PEERS_TRUSTED);
    assert_int_equal(uid, geteuid());
    assert_true(mirai_peers_expects(peers, "gateway", pair[0], &uid)); /* our own user */
    assert_int_equal(mirai_peers_of_socket(peers, -1, &uid), MIRAI_PEERS_NONE);
    assert_int_equal(uid, -1);
    assert_int_equal(mirai_peers_of_socket(peers, tcp, &uid), MIRAI_PEERS_NONE); /* has no user */
    assert_false(mirai_peers_expects(peers, "gateway", tcp, &uid));
    close(pair[0]);
    close(pair[1]);
    close(tcp);
    mirai_peers_free(peers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_users_are_known_by_the_table),
        cmocka_unit_test(test_configuration_goes_before_the_table),
        cmocka_unit_test(test_names_are_compared_whole),
        cmocka_unit_test(test_rights_are_what_is_listed),
        cmocka_unit_test(test_a_socket_shows_whose_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
