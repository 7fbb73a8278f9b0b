#include "services/gateway/identity/redis_url.h"

#include "libcommon/error.h"
#include "tests/unit/gateway/test.h"

static struct redis_url parse(const char *text)
{
    struct redis_url url;
    assert_int_equal(redis_url_parse(mirai_str(text), &url), 0);
    return url;
}

static void all_parts(void **state)
{
    (void)state;
    struct redis_url url = parse("rediss://kb:p%40ss%2Fw%3Ard@redis.example:6380/15");
    assert_string_equal(url.user, "kb");
    assert_string_equal(url.password, "p@ss/w:rd");
    assert_string_equal(url.host, "redis.example");
    assert_int_equal(url.port, 6380);
    assert_int_equal(url.db, 15);
    assert_true(url.tls);
}

static void what_may_be_left_out(void **state)
{
    (void)state;
    struct redis_url url = parse("redis://127.0.0.1");
    assert_string_equal(url.host, "127.0.0.1");
    assert_int_equal(url.port, 6379);
    assert_int_equal(url.db, 0);
    assert_false(url.tls);
    assert_string_equal(url.password, "");
    assert_string_equal(parse("redis://:secret@[::1]:7000/").host, "::1");
    assert_int_equal(parse("redis://:secret@[::1]:7000/").port, 7000);
    assert_int_equal(parse("redis://[::1]").port, 6379);
    assert_string_equal(parse("redis://:a@b@host").password, "a@b");
    url = parse("unix://:secret@/run/redis/redis.sock?db=2");
    assert_string_equal(url.host, "/run/redis/redis.sock");
    assert_int_equal(url.port, 0);
    assert_int_equal(url.db, 2);
    assert_string_equal(url.password, "secret");
    assert_string_equal(parse("unix:///tmp/x").host, "/tmp/x");
}

static void what_is_no_address(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "redis",
        "redis://",
        "redis:/host",
        "http://host",
        "redis://host:",
        "redis://host:0",
        "redis://host:65536",
        "redis://host:1:2",
        "redis://host/x",
        "redis://host/-1",
        "redis://host/1024",
        "redis://user@host",
        "redis://user:@host",
        "redis://:p@",
        "redis://:%4@host",
        "redis://:%zz@host",
        "redis://:%00@host",
        "redis://[::1",
        "redis://[::1]x",
        "redis://[]",
        "unix://",
        "unix:///",
        "unix://relative",
        "unix:///x?db=",
        "unix:///x?db=a",
        "unix:///x?y",
        "REDIS://host",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct redis_url url, empty = {.port = 0};
        assert_int_equal(redis_url_parse(mirai_str(bad[i]), &url), MIRAI_E_INVALID);
        assert_memory_equal(url.password, empty.password, sizeof(url.password));
    }
    char path[200] = "unix:///";
    memset(path + 8, 'x', 120);
    struct redis_url url;
    assert_int_equal(redis_url_parse(mirai_str(path), &url), MIRAI_E_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_parts),
        cmocka_unit_test(what_may_be_left_out),
        cmocka_unit_test(what_is_no_address),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
