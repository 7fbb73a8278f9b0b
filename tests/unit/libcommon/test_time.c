#include "libcommon/time.h"

#include "libcommon/error.h"
#include "tests/unit/libcommon/test.h"

#include <time.h>

static void test_format(void **state)
{
    (void)state;
    static const struct {
        int64_t ms;
        const char *text;
    } cases[] = {
        {0, "1970-01-01T00:00:00.000Z"},
        {-1, "1969-12-31T23:59:59.999Z"},
        {951782400000, "2000-02-29T00:00:00.000Z"},
        {4107542399999, "2100-02-28T23:59:59.999Z"},
        {4107542400000, "2100-03-01T00:00:00.000Z"},
        {253402300799999, "9999-12-31T23:59:59.999Z"},
        {253402300800000, "9999-12-31T23:59:59.999Z"},
        {INT64_MAX, "9999-12-31T23:59:59.999Z"},
        {-62167219200000, "0000-01-01T00:00:00.000Z"},
        {-62167219200001, "0000-01-01T00:00:00.000Z"},
        {INT64_MIN, "0000-01-01T00:00:00.000Z"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char out[MIRAI_RFC3339_SIZE];
        mirai_rfc3339_format(out, cases[i].ms);
        assert_string_equal(out, cases[i].text);
    }
}

/* glibc's gmtime_r knows the calendar as well as we do. */
static void test_format_agrees_with_libc(void **state)
{
    (void)state;
    uint64_t random = 1;
    for (int i = 0; i < 20000; i++) {
        int64_t s = (int64_t)(test_random(&random) % UINT64_C(315569520000)) - INT64_C(62167219200);
        char ours[MIRAI_RFC3339_SIZE], theirs[64];
        struct tm tm;
        time_t t = (time_t)s;
        mirai_rfc3339_format(ours, s * 1000 + 7);
        assert_non_null(gmtime_r(&t, &tm));
        snprintf(theirs, sizeof(theirs), "%04d-%02d-%02dT%02d:%02d:%02d.007Z", tm.tm_year + 1900,
                 tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
        assert_string_equal(ours, theirs);

        int64_t back;
        assert_int_equal(mirai_rfc3339_parse(mirai_str(ours), &back), 0);
        assert_int_equal(back, s * 1000 + 7);
    }
}

static void test_parse(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ms;
    } cases[] = {
        {"1970-01-01", 0},
        {"2024-02-29", 1709164800000},
        {"1970-01-01T00:00:00Z", 0},
        {"1970-01-01t00:00:00z", 0},
        {"1970-01-01 00:00:00Z", 0},
        {"1970-01-01T09:00:00+09:00", 0},
        {"1969-12-31T23:30:00-00:30", 0},
        {"1970-01-01T00:00:00.5Z", 500},
        {"1970-01-01T00:00:00.123999999Z", 123},
        {"1990-12-31T23:59:60Z", 662688000000},
        {"9999-12-31T23:59:59.999Z", 253402300799999},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int64_t ms = -7;
        assert_int_equal(mirai_rfc3339_parse(mirai_str(cases[i].text), &ms), 0);
        assert_int_equal(ms, cases[i].ms);
    }
}

static void test_parse_refuses(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "",
        "1970",
        "1970-1-01",
        "1970-01-1",
        "1970-00-01",
        "1970-13-01",
        "1970-01-00",
        "1970-01-32",
        "2023-02-29",
        "1900-02-29",
        "-970-01-01",
        "1970-01-01T",
        "1970-01-01T00:00",
        "1970-01-01T00:00:00",
        "1970-01-01T24:00:00Z",
        "1970-01-01T00:60:00Z",
        "1970-01-01T00:00:61Z",
        "1970-01-01T00:00:00.Z",
        "1970-01-01T00:00:00.5",
        "1970-01-01T00:00:00+24:00",
        "1970-01-01T00:00:00+00:60",
        "1970-01-01T00:00:00+0900",
        "1970-01-01T00:00:00Zx",
        "1970-01-01T-1:00:00Z",
        "+1970-01-01",
        " 1970-01-01",
        "1970-01-01Z",
        "１９７０-01-01",
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int64_t ms = 42;
        struct mirai_str copy = test_exact_copy(cases[i], strlen(cases[i]));
        assert_int_equal(mirai_rfc3339_parse(copy, &ms), MIRAI_E_INVALID);
        assert_int_equal(ms, 42);
        free((void *)copy.data);
    }
    int64_t ms = 42;
    assert_int_equal(mirai_rfc3339_parse(BYTES("1970-01-01T00:00:00\0"), &ms), MIRAI_E_INVALID);
}

static void test_every_truncation_is_refused_or_a_date(void **state)
{
    (void)state;
    static const char text[] = "2026-01-31T23:59:59.123+09:00";
    for (size_t len = 0; len < sizeof(text) - 1; len++) {
        int64_t ms;
        struct mirai_str copy = test_exact_copy(text, len);
        assert_int_equal(mirai_rfc3339_parse(copy, &ms), len == 10 ? 0 : MIRAI_E_INVALID);
        free((void *)copy.data);
    }
}

static void test_clocks(void **state)
{
    (void)state;
    uint64_t before = mirai_monotonic_us();
    int64_t now = mirai_now_ms();
    assert_true(now / 1000 - (int64_t)time(NULL) <= 1 && (int64_t)time(NULL) - now / 1000 <= 1);
    assert_true(mirai_monotonic_us() >= before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_format),
        cmocka_unit_test(test_format_agrees_with_libc),
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_parse_refuses),
        cmocka_unit_test(test_every_truncation_is_refused_or_a_date),
        cmocka_unit_test(test_clocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
