#include "libcommon/error.h"

#include "tests/unit/libcommon/test.h"

static void test_zero_is_ok(void **state)
{
    (void)state;
    assert_string_equal(mirai_error_slug(0), "ok");
    assert_int_equal(mirai_error_http(0), 200);
    assert_int_equal(mirai_error_from_slug("ok", 2), 0);
}

static void test_rows_are_found_both_ways(void **state)
{
    (void)state;
    static const int all[] = {
#define VALUE(name, slug, http) MIRAI_E_##name,
        MIRAI_ERRORS(VALUE)
#undef VALUE
    };
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        const char *slug = mirai_error_slug(all[i]);
        assert_true(all[i] < 0);
        assert_int_equal(mirai_error_from_slug(slug, strlen(slug)), all[i]);
        assert_in_range(mirai_error_http(all[i]), 400, 599);
        for (size_t k = 0; k < i; k++) {
            assert_string_not_equal(slug, mirai_error_slug(all[k]));
        }
    }
    assert_string_equal(mirai_error_slug(MIRAI_E_NOT_FOUND), "not-found");
    assert_int_equal(mirai_error_http(MIRAI_E_NO_SPACE), 507);
}

static void test_unknown_numbers_are_internal(void **state)
{
    (void)state;
    static const int unknown[] = {1, 200, -MIRAI_ERROR_COUNT, -1000000, INT32_MIN, INT32_MAX};
    for (size_t i = 0; i < ARRAY_LEN(unknown); i++) {
        assert_string_equal(mirai_error_slug(unknown[i]), "internal");
        assert_int_equal(mirai_error_http(unknown[i]), 500);
    }
}

static void test_unknown_slugs_are_internal(void **state)
{
    (void)state;
    assert_int_equal(mirai_error_from_slug("not-foun", 8), MIRAI_E_INTERNAL);
    assert_int_equal(mirai_error_from_slug("not-found-at-all", 16), MIRAI_E_INTERNAL);
    assert_int_equal(mirai_error_from_slug("", 0), MIRAI_E_INTERNAL);
    assert_int_equal(mirai_error_from_slug("from-the-future", 15), MIRAI_E_INTERNAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_zero_is_ok),
        cmocka_unit_test(test_rows_are_found_both_ways),
        cmocka_unit_test(test_unknown_numbers_are_internal),
        cmocka_unit_test(test_unknown_slugs_are_internal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
