#include "services/gateway/target.h"

#include "libcommon/error.h"
#include "tests/unit/gateway/test.h"

static char scratch[TARGET_BYTES_MAX + 16];
static struct target_pair pairs[TARGET_QUERY_MAX];
static struct target target = {.pairs = pairs};

static int parse(const char *raw)
{
    return target_parse(mirai_str(raw), scratch, &target);
}

static void path_becomes_segments(void **state)
{
    (void)state;
    assert_int_equal(parse("/"), 0);
    assert_int_equal(target.segments_count, 0);
    assert_int_equal(parse("/api/v1/articles/7"), 0);
    assert_int_equal(target.segments_count, 4);
    assert_str(target.segments[3], "7");
    assert_str(target.path, "/api/v1/articles/7");
    assert_int_equal(parse("/tags/%E6%89%8B+1"), 0);
    assert_str(target.segments[1], "\xe6\x89\x8b+1");
}

static void query_becomes_pairs(void **state)
{
    (void)state;
    assert_int_equal(parse("/search?q=a+b%26c&tag=%e3%81%82&&flag&=x&e="), 0);
    assert_int_equal(target.pairs_count, 5);
    assert_str(target.pairs[0].name, "q");
    assert_str(target.pairs[0].value, "a b&c");
    assert_str(target.pairs[1].value, "\xe3\x81\x82");
    assert_str(target.pairs[2].name, "flag");
    assert_str(target.pairs[2].value, "");
    assert_str(target.pairs[3].name, "");
    assert_str(target.pairs[4].value, "");
    assert_str(target.path, "/search");
}

static void absolute_form_and_asterisk_are_taken(void **state)
{
    (void)state;
    assert_int_equal(parse("https://host:1/a?b=c"), 0);
    assert_str(target.path, "/a");
    assert_int_equal(target.pairs_count, 1);
    assert_int_equal(parse("http://host"), 0);
    assert_int_equal(target.segments_count, 0);
    assert_int_equal(parse("*"), 0);
    assert_true(target.asterisk);
}

static void hostile_bytes_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"",        "a",      "host:80", "/%",      "/%4",       "/%zz",
                                      "/a%2Fb",  "/a%2fb", "/%00",    "/%ff",    "/\xff",     "/?a=%00",
                                      "/?%ff=a", "/?a=%f", "/?a=%",   "/%c0%af", "/%ed%a0%80"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(parse(bad[i]), MIRAI_E_INVALID);
    }
}

static void odd_paths_are_unknown(void **state)
{
    (void)state;
    static const char *const odd[] = {
        "//", "/a//b", "/a/", "/./a", "/a/..", "/%2e%2e/a", "/a/%2E", "/a/?x=1", "/a/b/c/d/e/f/g/h/i/j/k"};
    for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
        assert_int_equal(parse(odd[i]), MIRAI_E_NOT_FOUND);
    }
}

static void sizes_are_bounded(void **state)
{
    (void)state;
    static char raw[TARGET_BYTES_MAX + 2];
    memset(raw, 'a', sizeof(raw));
    raw[0] = '/';
    struct mirai_str longest = {raw, TARGET_BYTES_MAX}, longer = {raw, TARGET_BYTES_MAX + 1};
    assert_int_equal(target_parse(longest, scratch, &target), 0);
    assert_int_equal(target_parse(longer, scratch, &target), MIRAI_E_INVALID);
    struct mirai_buf many = {0};
    mirai_buf_append_str(&many, MIRAI_STR("/?"));
    for (int i = 0; i < TARGET_QUERY_MAX; i++) {
        mirai_buf_append_str(&many, MIRAI_STR("a=b&"));
    }
    assert_int_equal(target_parse(mirai_buf_str(&many), scratch, &target), 0);
    mirai_buf_append_str(&many, MIRAI_STR("a=b"));
    assert_int_equal(target_parse(mirai_buf_str(&many), scratch, &target), MIRAI_E_INVALID);
    mirai_buf_free(&many);
}

static void escaping_is_undone_by_parsing(void **state)
{
    (void)state;
    struct mirai_buf out = {0};
    mirai_buf_append_str(&out, MIRAI_STR("/?x="));
    target_escape(&out, MIRAI_STR("a+b/\xe6\x89\x8b &=%~"));
    assert_str(mirai_buf_str(&out), "/?x=a%2Bb%2F%E6%89%8B%20%26%3D%25~");
    assert_int_equal(target_parse(mirai_buf_str(&out), scratch, &target), 0);
    assert_str(target.pairs[0].value, "a+b/\xe6\x89\x8b &=%~");
    mirai_buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(path_becomes_segments),
        cmocka_unit_test(query_becomes_pairs),
        cmocka_unit_test(absolute_form_and_asterisk_are_taken),
        cmocka_unit_test(hostile_bytes_are_refused),
        cmocka_unit_test(odd_paths_are_unknown),
        cmocka_unit_test(sizes_are_bounded),
        cmocka_unit_test(escaping_is_undone_by_parsing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
