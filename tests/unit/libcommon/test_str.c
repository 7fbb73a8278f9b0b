#include "libcommon/str.h"

#include "libcommon/error.h"
#include "tests/unit/libcommon/test.h"

#include <jansson.h>

static void test_utf8_valid(void **state)
{
    (void)state;
    static const struct mirai_str valid[] = {
        MIRAI_STR(""),
        MIRAI_STR("ascii"),
        MIRAI_STR("exactly8"),
        MIRAI_STR("日本語の記事、障害対応"),
        MIRAI_STR("\x7F\xC2\x80\xDF\xBF\xE0\xA0\x80\xED\x9F\xBF\xEE\x80\x80\xEF\xBF\xBF\xF0\x90\x80\x80\xF4"
                  "\x8F\xBF\xBF"),
        {"\0", 1},
    };
    for (size_t i = 0; i < ARRAY_LEN(valid); i++) {
        assert_true(mirai_utf8_valid(valid[i]));
    }
    assert_true(mirai_utf8_valid((struct mirai_str){NULL, 0}));
}

static void test_utf8_invalid(void **state)
{
    (void)state;
    static const struct mirai_str invalid[] = {
        MIRAI_STR("\x80"),             /* continuation without a head */
        MIRAI_STR("\xC0\x80"),         /* overlong NUL */
        MIRAI_STR("\xC1\xBF"),         /* overlong */
        MIRAI_STR("\xE0\x9F\xBF"),     /* overlong */
        MIRAI_STR("\xF0\x8F\xBF\xBF"), /* overlong */
        MIRAI_STR("\xED\xA0\x80"),     /* surrogate */
        MIRAI_STR("\xED\xBF\xBF"),     /* surrogate */
        MIRAI_STR("\xF4\x90\x80\x80"), /* above U+10FFFF */
        MIRAI_STR("\xF5\x80\x80\x80"),
        MIRAI_STR("\xFF"),
        MIRAI_STR("\xC3"), /* cut */
        MIRAI_STR("\xE3\x81"),
        MIRAI_STR("\xF0\x9F\x98"),
        MIRAI_STR("\xC3("),
        MIRAI_STR("\xE3\x28\xA1"),
        MIRAI_STR("12345678\xE3\x81"), /* after the fast path */
        MIRAI_STR("1234567\xFF"),
    };
    for (size_t i = 0; i < ARRAY_LEN(invalid); i++) {
        struct mirai_str copy = test_exact_copy(invalid[i].data, invalid[i].len);
        assert_false(mirai_utf8_valid(copy));
        free((void *)copy.data);
    }
}

/* Every code point, written by the rules of RFC 3629 §3. */
static void test_utf8_all_code_points(void **state)
{
    (void)state;
    for (uint32_t c = 0; c <= 0x110000; c++) {
        char b[4];
        size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
        static const unsigned char heads[] = {0, 0, 0xC0, 0xE0, 0xF0};
        for (size_t i = n; i-- > 0;) {
            unsigned bits = (c >> (6 * (n - 1 - i))) & (i == 0 ? 0xFF : 0x3F);
            b[i] = (char)(bits | (i == 0 ? heads[n] : 0x80));
        }
        bool expected = c <= 0x10FFFF && !(c >= 0xD800 && c <= 0xDFFF);
        struct mirai_str s = {b, n};
        if (mirai_utf8_valid(s) != expected) {
            fail_msg("U+%04X", (unsigned)c);
        }
    }
}

static void test_utf8_length_and_prefix(void **state)
{
    (void)state;
    struct mirai_str s = MIRAI_STR("aé日😀"); /* 1 + 2 + 3 + 4 bytes */
    static const size_t expected[] = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 10};
    assert_int_equal(mirai_utf8_length(s), 4);
    assert_int_equal(mirai_utf8_length((struct mirai_str){NULL, 0}), 0);
    for (size_t max = 0; max < ARRAY_LEN(expected); max++) {
        assert_int_equal(mirai_utf8_prefix(s, max).len, expected[max]);
    }
}

static void test_buf_grows(void **state)
{
    (void)state;
    struct mirai_buf buf = {0};
    struct mirai_buf expected = {0};
    for (int i = 0; i < 1000; i++) {
        mirai_buf_printf(&buf, "%d,", i);
        char text[16];
        snprintf(text, sizeof(text), "%d", i);
        mirai_buf_append_str(&expected, mirai_str(text));
        mirai_buf_append_char(&expected, ',');
    }
    mirai_buf_append(&buf, NULL, 0);
    assert_int_equal(buf.len, expected.len);
    assert_memory_equal(buf.data, expected.data, buf.len);
    assert_true(buf.cap >= buf.len);
    mirai_buf_free(&buf);
    mirai_buf_free(&expected);
    assert_null(buf.data);
    assert_int_equal(buf.len + buf.cap, 0);
    mirai_buf_free(&buf);
}

static void test_json_is_what_jansson_reads(void **state)
{
    (void)state;
    uint64_t random = 7;
    for (int round = 0; round < 2000; round++) {
        char text[64];
        struct mirai_buf json = {0};
        size_t len = test_random(&random) % sizeof(text);
        for (size_t i = 0; i < len; i++) {
            text[i] = (char)test_random(&random);
        }
        struct mirai_str s = test_exact_copy(text, len);
        mirai_buf_append_json(&json, s);
        assert_true(mirai_utf8_valid(mirai_buf_str(&json)));
        json_t *value = json_loadb(json.data, json.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
        assert_non_null(value);
        if (mirai_utf8_valid(s)) {
            assert_int_equal(json_string_length(value), s.len);
            assert_memory_equal(json_string_value(value), s.data, s.len);
        }
        json_decref(value);
        mirai_buf_free(&json);
        free((void *)s.data);
    }
}

static void test_json_escapes(void **state)
{
    (void)state;
    static const struct {
        struct mirai_str text;
        const char *json;
    } cases[] = {
        {{"", 0}, "\"\""},
        {{NULL, 0}, "\"\""},
        {{"a\"b\\c", 5}, "\"a\\\"b\\\\c\""},
        {{"\b\t\n\f\r", 5}, "\"\\b\\t\\n\\f\\r\""},
        {{"\0\x1f", 2}, "\"\\u0000\\u001f\""},
        {{"\x7f", 1}, "\"\x7f\""},
        {{"\xff", 1}, "\"\xEF\xBF\xBD\""},
        {{"\xE3\x81", 2}, "\"\xEF\xBF\xBD\xEF\xBF\xBD\""},
        {{"日本", 6}, "\"日本\""},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct mirai_buf json = {0};
        mirai_buf_append_json(&json, cases[i].text);
        assert_int_equal(json.len, strlen(cases[i].json));
        assert_memory_equal(json.data, cases[i].json, json.len);
        mirai_buf_free(&json);
    }
}

static void test_hex(void **state)
{
    (void)state;
    unsigned char bytes[256], back[256];
    char hex[513];
    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (unsigned char)i;
    }
    mirai_hex(hex, bytes, sizeof(bytes));
    assert_int_equal(strlen(hex), 512);
    assert_memory_equal(hex + 2 * 0xAB, "ab", 2);
    assert_int_equal(mirai_unhex(back, sizeof(back), mirai_str(hex)), 0);
    assert_memory_equal(back, bytes, sizeof(bytes));
    assert_int_equal(mirai_unhex(back, 2, MIRAI_STR("DeAd")), 0);
    assert_memory_equal(back, "\xDE\xAD", 2);
    assert_int_equal(mirai_unhex(back, 2, MIRAI_STR("dea")), MIRAI_E_INVALID);
    assert_int_equal(mirai_unhex(back, 2, MIRAI_STR("deadb")), MIRAI_E_INVALID);
    assert_int_equal(mirai_unhex(back, 2, MIRAI_STR("deag")), MIRAI_E_INVALID);
    assert_int_equal(mirai_unhex(back, 2, MIRAI_STR("de@d")), MIRAI_E_INVALID);
    assert_int_equal(mirai_unhex(back, 2, MIRAI_STR("0x12")), MIRAI_E_INVALID);
    assert_int_equal(mirai_unhex(back, 0, MIRAI_STR("")), 0);
}

static void test_equal_constant_time(void **state)
{
    (void)state;
    assert_true(mirai_equal_constant_time("secret", 6, "secret", 6));
    assert_false(mirai_equal_constant_time("secret", 6, "secreT", 6));
    assert_false(mirai_equal_constant_time("Secret", 6, "secret", 6));
    assert_false(mirai_equal_constant_time("secret", 6, "secret", 5));
    assert_true(mirai_equal_constant_time("", 0, "", 0));
}

static void test_parse_int(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t value;
    } good[] = {
        {"0", 0},
        {"-0", 0},
        {"7", 7},
        {"-7", -7},
        {"007", 7},
        {"9223372036854775807", INT64_MAX},
        {"-9223372036854775808", INT64_MIN},
    };
    static const char *const bad[] = {
        "",
        "-",
        "+1",
        " 1",
        "1 ",
        "1.0",
        "0x10",
        "1e3",
        "--1",
        "9223372036854775808",
        "-9223372036854775809",
        "99999999999999999999",
        "１",
    };
    int64_t value = 0;
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        assert_int_equal(mirai_parse_int(mirai_str(good[i].text), INT64_MIN, INT64_MAX, &value), 0);
        assert_int_equal(value, good[i].value);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        value = 42;
        assert_int_equal(mirai_parse_int(mirai_str(bad[i]), INT64_MIN, INT64_MAX, &value), MIRAI_E_INVALID);
        assert_int_equal(value, 42);
    }
    assert_int_equal(mirai_parse_int(MIRAI_STR("10"), 1, 10, &value), 0);
    assert_int_equal(mirai_parse_int(MIRAI_STR("11"), 1, 10, &value), MIRAI_E_INVALID);
    assert_int_equal(mirai_parse_int(MIRAI_STR("0"), 1, 10, &value), MIRAI_E_INVALID);
    assert_int_equal(mirai_parse_int(BYTES("1\0"), 1, 10, &value), MIRAI_E_INVALID);
}

static void test_dup_and_eq(void **state)
{
    (void)state;
    char *copy = mirai_str_dup((struct mirai_str){"abcdef", 3});
    assert_string_equal(copy, "abc");
    free(copy);
    copy = mirai_str_dup((struct mirai_str){NULL, 0});
    assert_string_equal(copy, "");
    free(copy);
    assert_true(mirai_str_eq(mirai_str(NULL), MIRAI_STR("")));
    assert_false(mirai_str_eq(MIRAI_STR("a"), MIRAI_STR("b")));
    assert_false(mirai_str_eq(MIRAI_STR("a"), MIRAI_STR("ab")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_utf8_valid),
        cmocka_unit_test(test_utf8_invalid),
        cmocka_unit_test(test_utf8_all_code_points),
        cmocka_unit_test(test_utf8_length_and_prefix),
        cmocka_unit_test(test_buf_grows),
        cmocka_unit_test(test_json_is_what_jansson_reads),
        cmocka_unit_test(test_json_escapes),
        cmocka_unit_test(test_hex),
        cmocka_unit_test(test_equal_constant_time),
        cmocka_unit_test(test_parse_int),
        cmocka_unit_test(test_dup_and_eq),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
