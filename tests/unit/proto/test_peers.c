/* The table of rights names what exists, and gives no more than is meant. */
#include "proto/peers.h"

#include "proto/methods.h"
#include "tests/unit/proto/fixture.h"

static const char *const own[] = {"service.health", "service.metrics", "service.status", "service.log_level"};
#define OWN_COUNT (sizeof(own) / sizeof(own[0]))

static const char *name_of(size_t i)
{
    return i < OWN_COUNT ? own[i] : mirai_methods[i - OWN_COUNT].name;
}

/* Whether any method is meant by the pattern. */
static bool means_something(struct mirai_str pattern)
{
    for (size_t i = 0; i < OWN_COUNT + MIRAI_METHOD_ID_COUNT; i++) {
        struct mirai_str name = mirai_str(name_of(i));
        bool open = pattern.data[pattern.len - 1] == '*';
        size_t len = open ? pattern.len - 1 : pattern.len;
        if (name.len >= len && memcmp(name.data, pattern.data, len) == 0 && (open || name.len == len)) {
            return true;
        }
    }
    return false;
}

static void check_list(const char *list)
{
    while (list != NULL && *list != '\0') {
        size_t len = strcspn(list, " ");
        if (!means_something((struct mirai_str){list, len})) {
            fail_msg("no method is meant by %.*s", (int)len, list);
        }
        list += len + (list[len] == ' ');
    }
}

static void test_every_right_means_a_method(void **state)
{
    (void)state;
    size_t rows = 0;
    for (const struct mirai_peer *peer = mirai_peer_table; peer->name != NULL; peer++, rows++) {
        check_list(peer->as_user);
        check_list(peer->as_system);
    }
    assert_in_range(rows, 1, MIRAI_PEERS_MAX);
}

static uint32_t rights(const struct mirai_peers *peers, const char *peer, size_t method, bool as_system)
{
    return mirai_peers_of_name(peers, mirai_str(peer)) &
           mirai_peers_allowed(peers, name_of(method), as_system);
}

/* Only the gateway speaks for users; of the others each has the few methods that it needs as the system. */
static void test_who_may_do_how_much(void **state)
{
    static const struct {
        const char *name;
        size_t as_user;
        size_t as_system_max;
    } expected[] = {
        {"gateway", OWN_COUNT + MIRAI_METHOD_ID_COUNT, 10},
        {"search-index", 0, 9},
        {"backup", 0, 6},
        {"metrics", 0, 3},
        {"knowledge-store", 0, 0},
    };
    (void)state;
    struct mirai_peers *peers = mirai_peers_new(mirai_peer_table, "", stderr);
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
        size_t as_user = 0, as_system = 0;
        for (size_t method = 0; method < OWN_COUNT + MIRAI_METHOD_ID_COUNT; method++) {
            as_user += rights(peers, expected[i].name, method, false) != 0;
            as_system += rights(peers, expected[i].name, method, true) != 0;
        }
        assert_int_equal(as_user, expected[i].as_user);
        assert_in_range(as_system, 0, expected[i].as_system_max);
    }
    mirai_peers_free(peers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_right_means_a_method),
        cmocka_unit_test(test_who_may_do_how_much),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
