#include "services/gateway/identity/shared_attempts.h"
#include "services/gateway/shared_rates.h"

#include "tests/unit/gateway/test.h"

#include <hiredis/hiredis.h>
#include <stdlib.h>

#define WAIT UINT64_C(300000)

static int set_up(void **state)
{
    (void)state;
    attempts_configure(5, WAIT);
    shared_attempts_init();
    return 0;
}

/* An answer as Redis sends it. */
static redisReply *reply_of(const char *bytes)
{
    void *reply = NULL;
    redisReader *reader = redis_reader_new();
    assert_int_equal(redisReaderFeed(reader, bytes, strlen(bytes)), REDIS_OK);
    assert_int_equal(redisReaderGetReply(reader, &reply), REDIS_OK);
    assert_non_null(reply);
    redisReaderFree(reader);
    return reply;
}

static int read_wait(const char *bytes, struct attempt_wait *wait)
{
    uint64_t due_ms;
    redisReply *reply = reply_of(bytes);
    int err = shared_attempts_read(reply, wait, &due_ms);
    freeReplyObject(reply);
    return err;
}

static int read_rates(const char *bytes, size_t count, uint64_t most_us, uint64_t *missing_us)
{
    redisReply *reply = reply_of(bytes);
    int err = shared_rates_read(reply, count, most_us, missing_us);
    freeReplyObject(reply);
    return err;
}

static void answers_about_attempts(void **state)
{
    (void)state;
    struct attempt_wait wait;
    assert_int_equal(read_wait("*4\r\n:0\r\n:0\r\n:0\r\n:5\r\n", &wait), 0);
    assert_int_equal(wait.brake, ATTEMPTS_NO_BRAKE);
    assert_int_equal(wait.ms, 0);
    assert_int_equal(read_wait("*4\r\n:1\r\n:300000\r\n:1\r\n:5\r\n", &wait), 0);
    assert_int_equal(wait.brake, ATTEMPTS_PAIR);
    assert_int_equal(wait.ms, WAIT);
    assert_true(wait.is_news);
    assert_int_equal(read_wait("*4\r\n:3\r\n:30000\r\n:0\r\n:5\r\n", &wait), 0);
    assert_int_equal(wait.brake, ATTEMPTS_ACCOUNT);
    assert_false(wait.is_news);
}

static void other_answers_about_attempts_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "*4\r\n:1\r\n:300001\r\n:1\r\n:5\r\n", /* longer than any wait */
        "*4\r\n:2\r\n:30001\r\n:1\r\n:5\r\n",  /* than any of an address */
        "*4\r\n:0\r\n:1\r\n:0\r\n:5\r\n",      /* a wait without a reason */
        "*4\r\n:1\r\n:0\r\n:0\r\n:5\r\n",      /* a reason without a wait */
        "*4\r\n:4\r\n:1\r\n:0\r\n:5\r\n",      /* no brake */
        "*4\r\n:-1\r\n:1\r\n:0\r\n:5\r\n",
        "*4\r\n:1\r\n:-1\r\n:0\r\n:5\r\n",
        "*4\r\n:1\r\n:-9223372036854775808\r\n:0\r\n:5\r\n",
        "*4\r\n:9223372036854775807\r\n:1\r\n:0\r\n:5\r\n",
        "*4\r\n:1\r\n:1\r\n:2\r\n:5\r\n",
        "*4\r\n:1\r\n$1\r\n1\r\n:0\r\n:5\r\n", /* a text */
        "*4\r\n:1\r\n$-1\r\n:0\r\n:5\r\n",
        "*2\r\n:0\r\n:0\r\n",
        "*3\r\n:0\r\n:0\r\n:0\r\n",
        "*5\r\n:0\r\n:0\r\n:0\r\n:0\r\n:0\r\n",
        "*4\r\n:0\r\n:0\r\n:0\r\n:-1\r\n",
        "*0\r\n",
        "*-1\r\n",
        "$-1\r\n",
        ":0\r\n",
        "+OK\r\n",
        "*4\r\n*0\r\n*0\r\n*0\r\n:5\r\n",
    };
    struct attempt_wait wait;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(read_wait(bad[i], &wait), MIRAI_E_INVALID);
    }
}

static void answers_about_rates(void **state)
{
    (void)state;
    uint64_t missing[3] = {0};
    assert_int_equal(read_rates("*3\r\n:0\r\n:5\r\n:1000\r\n", 3, 1000, missing), 0);
    assert_int_equal(missing[1], 5);
    assert_int_equal(missing[2], 1000);
    assert_int_equal(read_rates("*0\r\n", 0, 1000, missing), 0);
    static const char *const bad[] = {
        "*3\r\n:0\r\n:5\r\n:1001\r\n",
        "*3\r\n:0\r\n:5\r\n:-1\r\n",
        "*3\r\n:0\r\n:5\r\n$1\r\n1\r\n",
        "*3\r\n:0\r\n:5\r\n*0\r\n",
        "*2\r\n:0\r\n:5\r\n",
        "*4\r\n:0\r\n:5\r\n:1\r\n:1\r\n",
        "*0\r\n",
        "$-1\r\n",
        ":3\r\n",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(read_rates(bad[i], 3, 1000, missing), MIRAI_E_INVALID);
    }
}

static struct shared_attempt named(const char *name, const char *from)
{
    struct shared_attempt attempt;
    struct address client = {{0}};
    assert_true(address_parse(mirai_str(from), &client));
    shared_attempts_name(&attempt, mirai_str(name), &client);
    return attempt;
}

/* As in attempts.c: which of two attempts share which counts. */
static void names_fold_and_tell_nothing(void **state)
{
    (void)state;
    struct shared_attempt here = named("taro", "192.0.2.1"), same = named(" TARO", "192.0.2.1"),
                          there = named("taro", "192.0.2.2"), hana = named("hana", "192.0.2.1"),
                          domain = named("EXAMPLE\\taro", "192.0.2.1");
    assert_memory_equal(&here, &same, sizeof(here));
    const struct {
        const struct shared_attempt *other;
        bool pair, address, account;
    } rows[] = {{&there, false, false, true}, {&hana, false, true, false}, {&domain, false, true, true}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct shared_attempt *other = rows[i].other;
        assert_int_equal(strcmp(here.keys[0], other->keys[0]) == 0, rows[i].pair);
        assert_int_equal(strcmp(here.keys[1], other->keys[1]) == 0, rows[i].address);
        assert_int_equal(strcmp(here.keys[2], other->keys[2]) == 0, rows[i].account);
        assert_int_equal(strcmp(here.keys[3], other->keys[3]) == 0, rows[i].pair);
    }
    for (size_t i = 0; i < SHARED_ATTEMPT_KEYS; i++) {
        assert_null(strstr(here.keys[i], "taro"));
        for (size_t k = 0; k < i; k++) {
            assert_string_not_equal(here.keys[i], here.keys[k]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_about_attempts),
        cmocka_unit_test(other_answers_about_attempts_are_refused),
        cmocka_unit_test(answers_about_rates),
        cmocka_unit_test(names_fold_and_tell_nothing),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
