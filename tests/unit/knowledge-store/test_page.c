#include "services/knowledge-store/page.h"

#include "libcommon/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void a_cursor_comes_back(void **state)
{
    (void)state;
    static const int64_t positions[] = {0, 1, 42, INT64_MAX};
    struct mirai_arena arena = {0};
    for (size_t i = 0; i < sizeof(positions) / sizeof(positions[0]); i++) {
        int64_t position = -1;
        assert_int_equal(page_position(page_cursor(&arena, "user", positions[i]), "user", &position), 0);
        assert_int_equal(position, positions[i]);
    }
    mirai_arena_free(&arena);
}

static void a_foreign_cursor_is_refused(void **state)
{
    (void)state;
    struct mirai_arena arena = {0};
    int64_t position;
    static const struct mirai_str hostile[] = {
        MIRAI_STR("!"),
        MIRAI_STR("dXNlcg"),                                  /* user */
        MIRAI_STR("dXNlci4"),                                 /* user. */
        MIRAI_STR("dXNlci4tMQ"),                              /* user.-1 */
        MIRAI_STR("dXNlci45OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk"), /* user.99999… */
        MIRAI_STR("QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFB"
                  "QUFBQUFBQUFBQUFBQUFBQUFBQUFB"),
    };
    assert_int_equal(page_position(page_cursor(&arena, "token", 7), "user", &position),
                     MIRAI_E_UNPROCESSABLE);
    for (size_t i = 0; i < sizeof(hostile) / sizeof(hostile[0]); i++) {
        assert_int_equal(page_position(hostile[i], "user", &position), MIRAI_E_UNPROCESSABLE);
    }
    mirai_arena_free(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cursor_comes_back),
        cmocka_unit_test(a_foreign_cursor_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
