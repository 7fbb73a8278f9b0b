#include "services/gateway/addresses.h"

#include "tests/unit/gateway/test.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#define MOST 10

static struct addresses *addresses;

static int fresh(void **state)
{
    (void)state;
    addresses = addresses_new(MOST);
    return 0;
}

static int end(void **state)
{
    (void)state;
    addresses_free(addresses);
    return 0;
}

static int enter(const char *text, uint64_t now_ms)
{
    struct sockaddr_in6 six = {.sin6_family = AF_INET6};
    struct sockaddr_in four = {.sin_family = AF_INET};
    if (inet_pton(AF_INET, text, &four.sin_addr) == 1) {
        return addresses_enter(addresses, (const struct sockaddr *)&four, now_ms);
    }
    assert_int_equal(inet_pton(AF_INET6, text, &six.sin6_addr), 1);
    return addresses_enter(addresses, (const struct sockaddr *)&six, now_ms);
}

static void one_address_has_so_many_at_most(void **state)
{
    (void)state;
    int place = -1;
    for (int i = 0; i < MOST; i++) {
        place = enter("192.0.2.1", 0);
        assert_true(place >= 0);
    }
    assert_int_equal(enter("192.0.2.1", 0), -1);
    assert_int_equal(enter("::ffff:192.0.2.1", 0), -1); /* the same client on a socket of both */
    addresses_leave(addresses, place);
    assert_int_equal(enter("192.0.2.1", 0), place);
}

static void a_network_of_ipv6_is_one_address(void **state)
{
    (void)state;
    int place = enter("2001:db8:1:2::1", 0);
    assert_int_equal(enter("2001:db8:1:2:ffff::9", 0), place);
    for (int i = 2; i < MOST; i++) {
        assert_int_equal(enter("2001:db8:1:2::1", 0), place);
    }
    assert_int_equal(enter("2001:db8:1:2:3::", 0), -1);
    int others = 0; /* one may share the place by chance, not all */
    others += enter("2001:db8:1:3::1", 0) >= 0;
    others += enter("2001:db8:1:4::1", 0) >= 0;
    others += enter("2001:db8:1:5::1", 0) >= 0;
    assert_true(others > 0);
}

static int entered(const char *text, uint64_t now_ms, int tries)
{
    int n = 0;
    for (int i = 0; i < tries; i++) {
        int place = enter(text, now_ms);
        if (place >= 0) {
            addresses_leave(addresses, place);
            n++;
        }
    }
    return n;
}

static void who_floods_comes_back_slowly(void **state)
{
    (void)state;
    uint64_t now = 1000000;
    int place = enter("192.0.2.1", now);
    addresses_flooded(addresses, place, now);
    addresses_flooded(addresses, place, now);
    assert_int_equal(entered("192.0.2.1", now, 100), 100); /* twice may be an accident */
    addresses_flooded(addresses, place, now);
    assert_int_equal(entered("192.0.2.1", now, 100), 5);
    assert_int_equal(entered("192.0.2.1", now + 999, 100), 0);
    assert_int_equal(entered("192.0.2.1", now + 1000, 100), 5); /* never shut out */
    assert_int_equal(entered("192.0.2.1", now + 10001, 100), 100);
    addresses_flooded(addresses, place, now + 20002); /* long ago: counted anew */
    assert_int_equal(entered("192.0.2.1", now + 20002, 100), 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(one_address_has_so_many_at_most, fresh, end),
        cmocka_unit_test_setup_teardown(a_network_of_ipv6_is_one_address, fresh, end),
        cmocka_unit_test_setup_teardown(who_floods_comes_back_slowly, fresh, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
