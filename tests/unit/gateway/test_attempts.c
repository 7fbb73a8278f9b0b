#include "services/gateway/identity/attempts.h"

#include "tests/unit/gateway/test.h"

#include <stdio.h>

#define FREE   5
#define WAIT   UINT64_C(300000)
#define SECOND UINT64_C(1000)
#define MINUTE (60 * SECOND)
#define DAY    (24 * 60 * MINUTE)

static uint64_t now;

static int set_up(void **state)
{
    (void)state;
    attempts_configure(FREE, WAIT);
    now = 1000 * DAY;
    return 0;
}

static struct address at(const char *text)
{
    struct address address = {{0}};
    assert_true(address_parse(mirai_str(text), &address));
    return address;
}

/* Try once; true when it was let through. */
static bool tries(const char *name, const char *from, enum attempt_outcome outcome)
{
    struct attempt attempt;
    struct address client = at(from);
    if (attempts_begin(&attempt, mirai_str(name), &client, now).ms > 0) {
        return false;
    }
    attempts_end(&attempt, outcome, now);
    return true;
}

static struct attempt_wait wait_of(const char *name, const char *from)
{
    struct attempt attempt;
    struct address client = at(from);
    struct attempt_wait wait = attempts_begin(&attempt, mirai_str(name), &client, now);
    if (wait.ms == 0) {
        attempts_end(&attempt, ATTEMPT_OPEN, now);
    }
    return wait;
}

/* A failure, with a number in the name or address where the patterns have a %u; or the wait before it. */
static uint64_t try_next(const char *name, const char *from, unsigned number)
{
    char here[64], whom[64];
    snprintf(here, sizeof(here), from, number >> 8 & 255, number & 255);
    snprintf(whom, sizeof(whom), name, number);
    return tries(whom, here, ATTEMPT_FAILED) ? 0 : wait_of(whom, here).ms;
}

/* Guesses that an attacker gets in within a day, who tries as soon as it may. */
static unsigned guesses_a_day(const char *name, const char *from)
{
    unsigned guesses = 0, address = 0;
    uint64_t end = now + DAY;
    while (now < end) {
        uint64_t wait = try_next(name, from, address);
        guesses += wait == 0;
        now += wait;
        address++;
    }
    while (try_next(name, from, address++) == 0) { /* and goes on */
    }
    return guesses;
}

static void waits_double_up_to_the_longest(void **state)
{
    (void)state;
    for (int i = 0; i < FREE; i++) {
        assert_true(tries("admin", "192.0.2.1", ATTEMPT_FAILED));
        assert_int_equal(wait_of("admin", "192.0.2.1").ms, 0);
    }
    for (uint64_t wait = SECOND; wait < 2 * WAIT; wait *= 2) {
        uint64_t expected = wait < WAIT ? wait : WAIT;
        assert_true(tries("admin", "192.0.2.1", ATTEMPT_FAILED));
        assert_int_equal(wait_of("admin", "192.0.2.1").ms, expected);
        assert_int_equal(wait_of("admin", "192.0.2.1").brake, ATTEMPTS_PAIR);
        now += expected - 1;
        assert_false(tries("admin", "192.0.2.1", ATTEMPT_FAILED));
        now += 1;
    }
}

/* Nobody is told a name by how it is braked: attempts know no accounts. */
static void refusals_count_nothing_and_are_news_once(void **state)
{
    (void)state;
    while (tries("admin", "192.0.2.1", ATTEMPT_FAILED)) {
    }
    assert_false(wait_of("admin", "192.0.2.1").is_news); /* the loop above was told */
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(wait_of("admin", "192.0.2.1").ms, SECOND);
    }
}

static void many_at_once_are_no_way_around(void **state)
{
    (void)state;
    struct attempt attempts[100];
    struct address client = at("192.0.2.1");
    unsigned begun = 0;
    for (size_t i = 0; i < 100; i++) {
        begun += attempts_begin(&attempts[begun], MIRAI_STR("admin"), &client, now).ms == 0;
    }
    assert_int_equal(begun, FREE + 1);
}

/* Loops and queues: a request that came first may be looked at last. */
static void who_came_before_a_failure_does_not_wait_for_it(void **state)
{
    (void)state;
    assert_true(tries("taro", "192.0.2.1", ATTEMPT_FAILED));
    now -= 10;
    assert_int_equal(wait_of("hana", "192.0.2.1").ms, 0);
    assert_int_equal(wait_of("taro", "192.0.2.1").ms, 0);
    assert_int_equal(wait_of("taro", "192.0.2.2").ms, 0);
}

static void a_success_clears_the_pair_only(void **state)
{
    (void)state;
    char from[64];
    for (unsigned i = 0; i < 4 * FREE + 3; i++) {
        snprintf(from, sizeof(from), "198.51.100.%u", i);
        tries("hana", from, ATTEMPT_FAILED);
    }
    assert_int_equal(wait_of("hana", "203.0.113.1").brake, ATTEMPTS_ACCOUNT);
    now += 30 * SECOND;
    for (int i = 0; i < FREE - 1; i++) {
        tries("taro", "192.0.2.1", ATTEMPT_FAILED);
    }
    assert_true(tries("taro", "192.0.2.1", ATTEMPT_GOOD));
    for (int i = 0; i < FREE; i++) {
        assert_int_equal(wait_of("taro", "192.0.2.1").ms, 0);
        assert_true(tries("taro", "192.0.2.1", ATTEMPT_FAILED));
    }
    /* hana's own success somewhere does not take the brake off for strangers */
    assert_true(tries("hana", "192.0.2.9", ATTEMPT_GOOD));
    assert_true(tries("hana", "203.0.113.2", ATTEMPT_FAILED));
    assert_int_equal(wait_of("hana", "203.0.113.3").brake, ATTEMPTS_ACCOUNT);
}

/* Nor a success at a known address the way of strangers. */
static void a_success_lets_no_stranger_through(void **state)
{
    (void)state;
    assert_true(tries("taro", "192.0.2.1", ATTEMPT_GOOD));
    for (int i = 0; i < 100; i++) {
        char from[32];
        snprintf(from, sizeof(from), "198.51.100.%d", i);
        tries("taro", from, ATTEMPT_FAILED);
    }
    uint64_t before = wait_of("taro", "203.0.113.1").ms;
    assert_true(before > 0);
    assert_true(tries("taro", "192.0.2.1", ATTEMPT_GOOD));
    assert_int_equal(wait_of("taro", "203.0.113.1").ms, before);
    assert_true(tries("taro", "192.0.2.1", ATTEMPT_OPEN));
    assert_int_equal(wait_of("taro", "203.0.113.1").ms, before);
}

static void what_is_neither_counts_for_nothing(void **state)
{
    (void)state;
    for (int i = 0; i < 1000; i++) {
        assert_true(tries("admin", "192.0.2.1", ATTEMPT_OPEN));
    }
    for (int i = 0; i < FREE; i++) {
        assert_true(tries("admin", "192.0.2.1", ATTEMPT_FAILED));
    }
}

/* The numbers of docs/adr/0014. */
static void guesses_of_an_attacker_at_one_address(void **state)
{
    (void)state;
    unsigned guesses = guesses_a_day("admin", "192.0.2.1");
    assert_in_range(guesses, 250, 310);
}

static void guesses_of_an_attacker_at_ever_new_addresses(void **state)
{
    (void)state;
    unsigned guesses = guesses_a_day("admin", "198.18.%u.%u");
    assert_in_range(guesses, 2800, 2910);
}

static void guesses_at_all_accounts_from_one_address(void **state)
{
    (void)state;
    unsigned guesses = guesses_a_day("user%u", "192.0.2.1");
    assert_in_range(guesses, 2800, 2910);
}

static void the_owner_gets_in_while_an_attacker_hammers(void **state)
{
    (void)state;
    assert_true(tries("hana", "203.0.113.5", ATTEMPT_GOOD)); /* some day before */
    now += DAY;
    guesses_a_day("hana", "198.18.%u.%u");
    assert_int_not_equal(wait_of("hana", "203.0.113.6").ms, 0);         /* a stranger waits, */
    assert_in_range(wait_of("hana", "203.0.113.6").ms, 1, 30 * SECOND); /* but never longer than this */
    assert_true(tries("hana", "203.0.113.5", ATTEMPT_GOOD));
    now += 31 * DAY;
    guesses_a_day("hana", "198.18.%u.%u");
    assert_int_not_equal(wait_of("hana", "203.0.113.5").ms, 0); /* not seen there for a month */
}

static void colleagues_get_in_while_one_address_is_braked(void **state)
{
    (void)state;
    assert_true(tries("taro", "192.0.2.1", ATTEMPT_GOOD));
    guesses_a_day("user%u", "192.0.2.1");
    assert_int_equal(wait_of("hana", "192.0.2.1").brake, ATTEMPTS_ADDRESS);
    assert_true(tries("taro", "192.0.2.1", ATTEMPT_GOOD));
}

static void all_is_forgotten_in_time(void **state)
{
    (void)state;
    guesses_a_day("admin", "192.0.2.1");
    now += DAY;
    for (int i = 0; i < FREE; i++) {
        assert_true(tries("admin", "192.0.2.1", ATTEMPT_FAILED));
    }
    assert_int_equal(wait_of("admin", "192.0.2.1").ms, 0);
}

/* Random names take no more memory than there is, and do not make an attacker's own failures forgotten. */
static void a_flood_of_names_frees_nobody(void **state)
{
    (void)state;
    char name[64], from[64];
    for (int i = 0; i < 12; i++) {
        tries("admin", "192.0.2.1", ATTEMPT_FAILED);
        now += wait_of("admin", "192.0.2.1").ms;
    }
    now -= WAIT;
    tries("admin", "192.0.2.1", ATTEMPT_FAILED);
    for (unsigned i = 0; i < 200000; i++) {
        snprintf(name, sizeof(name), "nobody-%u", i);
        snprintf(from, sizeof(from), "2001:db8:%x:%x::1", i >> 12, i & 0xfff);
        tries(name, from, ATTEMPT_FAILED);
    }
    assert_int_equal(wait_of("admin", "192.0.2.1").brake, ATTEMPTS_PAIR);
}

static void one_64_is_one_address(void **state)
{
    (void)state;
    char from[64];
    unsigned guesses = 0;
    for (unsigned i = 0; i < 1000; i++) {
        snprintf(from, sizeof(from), "2001:db8:1:2::%x", i);
        guesses += tries("admin", from, ATTEMPT_FAILED);
    }
    assert_int_equal(guesses, FREE + 1);
}

static void nothing_waits_when_switched_off(void **state)
{
    (void)state;
    attempts_configure(0, WAIT);
    for (int i = 0; i < 1000; i++) {
        assert_true(tries("admin", "192.0.2.1", ATTEMPT_FAILED));
    }
}

static void spellings_fall_together(void **state)
{
    (void)state;
    static const struct {
        const char *name, *whole, *bare;
    } rows[] = {
        {"Admin", "admin", "admin"},
        {" a d\tmin\xc2\xa0", "admin", "admin"},
        {"\xef\xbc\xa1\xef\xbd\x84min", "admin", "admin"}, /* full width */
        {"\xc3\x84\xc4\x8f"
         "m\xc4\xb1n",
         "admin", "admin"}, /* Ä ď ı */
        {"a\xcc\x88"
         "dmi\xe2\x80\x8bn\xef\xbb\xbf",
         "admin", "admin"}, /* combining, invisible */
        {"CORP\\Admin", "corp\\admin", "admin"},
        {"admin@Corp.Example", "admin@corp.example", "admin"},
        {"a\\b\\admin@x@y", "a\\b\\admin@x@y", "admin"},
        {"@x", "@x", "@x"},
        {"x\\", "x\\", "x\\"},
        {"\xe7\x94\xb0\xe4\xb8\xad", "\xe7\x94\xb0\xe4\xb8\xad", "\xe7\x94\xb0\xe4\xb8\xad"},
        {"\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80"},
        {"", "", ""},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct mirai_buf out = {0};
        attempts_fold(mirai_str(rows[i].name), false, &out);
        assert_str(mirai_buf_str(&out), rows[i].whole);
        out.len = 0;
        attempts_fold(mirai_str(rows[i].name), true, &out);
        assert_str(mirai_buf_str(&out), rows[i].bare);
        mirai_buf_free(&out);
    }
}

/* Other spellings are no other account for the brake that all addresses share. */
static void domains_are_no_way_around(void **state)
{
    (void)state;
    char name[64], from[64];
    unsigned guesses = 0;
    for (unsigned i = 0; i < 100; i++) {
        snprintf(name, sizeof(name), i % 2 ? "D%u\\Admin" : "admin@d%u", i);
        snprintf(from, sizeof(from), "192.0.2.%u", i);
        guesses += tries(name, from, ATTEMPT_FAILED);
    }
    assert_int_equal(guesses, 4 * FREE + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(waits_double_up_to_the_longest, set_up),
        cmocka_unit_test_setup(refusals_count_nothing_and_are_news_once, set_up),
        cmocka_unit_test_setup(many_at_once_are_no_way_around, set_up),
        cmocka_unit_test_setup(who_came_before_a_failure_does_not_wait_for_it, set_up),
        cmocka_unit_test_setup(a_success_clears_the_pair_only, set_up),
        cmocka_unit_test_setup(a_success_lets_no_stranger_through, set_up),
        cmocka_unit_test_setup(what_is_neither_counts_for_nothing, set_up),
        cmocka_unit_test_setup(guesses_of_an_attacker_at_one_address, set_up),
        cmocka_unit_test_setup(guesses_of_an_attacker_at_ever_new_addresses, set_up),
        cmocka_unit_test_setup(guesses_at_all_accounts_from_one_address, set_up),
        cmocka_unit_test_setup(the_owner_gets_in_while_an_attacker_hammers, set_up),
        cmocka_unit_test_setup(colleagues_get_in_while_one_address_is_braked, set_up),
        cmocka_unit_test_setup(all_is_forgotten_in_time, set_up),
        cmocka_unit_test_setup(a_flood_of_names_frees_nobody, set_up),
        cmocka_unit_test_setup(one_64_is_one_address, set_up),
        cmocka_unit_test_setup(nothing_waits_when_switched_off, set_up),
        cmocka_unit_test_setup(spellings_fall_together, set_up),
        cmocka_unit_test_setup(domains_are_no_way_around, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
