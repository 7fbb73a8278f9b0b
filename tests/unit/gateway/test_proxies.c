#include "services/gateway/proxies.h"

#include "libcommon/error.h"
#include "tests/unit/gateway/test.h"

static struct proxies proxies;

static struct address at(const char *text)
{
    struct address address = {{0}};
    assert_true(address_parse(mirai_str(text), &address));
    return address;
}

static int parse(const char *list)
{
    struct mirai_str fault;
    return proxies_parse(mirai_str(list), &proxies, &fault);
}

static bool trusts(const char *address)
{
    struct address parsed = at(address);
    return proxies_trust(&proxies, &parsed);
}

static const char *client(const char *peer, const char *forwarded_for)
{
    static char text[ADDRESS_TEXT_MAX];
    struct address from = at(peer);
    struct address found = proxies_client(&proxies, &from, mirai_str(forwarded_for));
    address_print(&found, text);
    return text;
}

static void nobody_is_trusted_by_default(void **state)
{
    (void)state;
    assert_int_equal(parse(""), 0);
    assert_false(trusts("127.0.0.1"));
    assert_false(trusts("::1"));
    assert_string_equal(client("127.0.0.1", "192.0.2.1"), "127.0.0.1");
}

static void addresses_and_networks(void **state)
{
    (void)state;
    assert_int_equal(parse("10.0.0.5, 192.168.0.0/16 ,2001:db8::/33,,fd00::1,172.16.0.0/12"), 0);
    assert_int_equal(proxies.count, 5);
    assert_true(trusts("10.0.0.5"));
    assert_false(trusts("10.0.0.4"));
    assert_true(trusts("192.168.255.1"));
    assert_false(trusts("192.169.0.1"));
    assert_true(trusts("172.31.255.255"));
    assert_false(trusts("172.32.0.0"));
    assert_true(trusts("2001:db8:7fff::1"));
    assert_false(trusts("2001:db8:8000::1"));
    assert_true(trusts("::ffff:10.0.0.5")); /* the same address on a socket for both families */
    assert_int_equal(parse("0.0.0.0/0"), 0);
    assert_true(trusts("255.255.255.255"));
    assert_false(trusts("2001:db8::1"));
}

static void faults_are_found(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "10.0.0.5/33", "10.0.0.5/24", "10.0.0.0/-1",       "10.0.0.0/",    "10.0.0",    "fd00::/129",
        "fd00::1/64",  "localhost",   "10.0.0.1;10.0.0.2", "10.0.0.0/8/8", "[fd00::1]", "/8"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_int_equal(parse(wrong[i]), MIRAI_E_INVALID);
    }
    char many[PROXIES_MAX * 9 + 16] = "";
    for (size_t i = 0; i < PROXIES_MAX; i++) {
        strcat(many, "10.0.0.1,");
    }
    assert_int_equal(parse(many), 0);
    strcat(many, "10.0.0.1");
    assert_int_equal(parse(many), MIRAI_E_INVALID);
}

static void the_rightmost_that_is_no_proxy_is_the_client(void **state)
{
    (void)state;
    assert_int_equal(parse("10.0.0.0/8,fd00::/8"), 0);
    assert_string_equal(client("10.0.0.1", "192.0.2.7"), "192.0.2.7");
    assert_string_equal(client("10.0.0.1", "198.51.100.1, 192.0.2.7"), "192.0.2.7");
    assert_string_equal(client("10.0.0.1", "198.51.100.1, 192.0.2.7, 10.0.0.2"), "192.0.2.7");
    assert_string_equal(client("10.0.0.1", "192.0.2.7,fd00::2 ,\t10.0.0.2"), "192.0.2.7");
    assert_string_equal(client("fd00::1", "2001:db8::1"), "2001:db8::1");
    assert_string_equal(client("10.0.0.1", "10.0.0.9"), "10.0.0.9"); /* a proxy asks for itself */
    assert_string_equal(client("10.0.0.1", ""), "10.0.0.1");
    assert_string_equal(client("192.0.2.1", "10.0.0.1"), "192.0.2.1"); /* not a proxy: not believed */
}

static void ports_are_put_aside(void **state)
{
    (void)state;
    assert_int_equal(parse("10.0.0.0/8"), 0);
    assert_string_equal(client("10.0.0.1", "192.0.2.7:4711"), "192.0.2.7");
    assert_string_equal(client("10.0.0.1", "[2001:db8::1]:4711"), "2001:db8::1");
    assert_string_equal(client("10.0.0.1", "[2001:db8::1]"), "2001:db8::1");
}

static void what_is_no_address_makes_it_the_peer(void **state)
{
    (void)state;
    static const char *const wrong[] = {"unknown",        "192.0.2.7, ,", ",",           "192.0.2.7,",
                                        "_hidden",        "[2001:db8::1", "192.0.2.300", "\xe3\x81\x82",
                                        "2001:db8::1:zz", "' OR 1=1 --"};
    assert_int_equal(parse("10.0.0.0/8"), 0);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_string_equal(client("10.0.0.1", wrong[i]), "10.0.0.1");
    }
    /* nobody looks so far to the left */
    assert_string_equal(client("10.0.0.1", "unknown, 192.0.2.7"), "192.0.2.7");
    char chain[400] = "192.0.2.7";
    for (size_t i = 0; i < PROXIES_HOPS_MAX; i++) {
        strcat(chain, ",10.0.0.1");
    }
    assert_string_equal(client("10.0.0.1", chain), "10.0.0.1");
}

static void one_client_is_an_address_or_a_64(void **state)
{
    (void)state;
    struct address a = at("2001:db8:1:2:3:4:5:6"), b = at("2001:db8:1:2:ffff::1"), c = at("2001:db8:1:3::1");
    struct address v4 = at("192.0.2.1"), other = at("192.0.2.2");
    a = address_client(&a);
    b = address_client(&b);
    c = address_client(&c);
    assert_true(address_eq(&a, &b));
    assert_false(address_eq(&a, &c));
    v4 = address_client(&v4);
    other = address_client(&other);
    assert_false(address_eq(&v4, &other));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_is_trusted_by_default),
        cmocka_unit_test(addresses_and_networks),
        cmocka_unit_test(faults_are_found),
        cmocka_unit_test(the_rightmost_that_is_no_proxy_is_the_client),
        cmocka_unit_test(ports_are_put_aside),
        cmocka_unit_test(what_is_no_address_makes_it_the_peer),
        cmocka_unit_test(one_client_is_an_address_or_a_64),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
