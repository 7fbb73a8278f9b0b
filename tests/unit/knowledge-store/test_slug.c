#include "services/knowledge-store/slug.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static void assert_slug(const char *title, const char *expected)
{
    struct mirai_arena arena = {0};
    struct mirai_str slug = slug_from_title(&arena, mirai_str(title));
    if (!mirai_str_eq(slug, mirai_str(expected))) {
        fail_msg("\"%s\" becomes \"%.*s\"", title, MIRAI_STR_ARG(slug));
    }
    assert_true(slug_valid(slug));
    mirai_arena_free(&arena);
}

static void titles_become_slugs(void **state)
{
    (void)state;
    assert_slug("VPN Setup Guide", "vpn-setup-guide");
    assert_slug("VPN の設定（2026年版）", "vpn-の設定-2026年版");
    assert_slug("ネットワーク障害", "ネットワーク障害");
    assert_slug("  a -- b__c..d / e  ", "a-b-c-d-e");
    assert_slug("Über Größe", "Über-größe"); /* only ASCII becomes small */
    assert_slug("🔥 fire 🔥", "fire");
    assert_slug("<script>alert(1)</script>", "script-alert-1-script");
    assert_slug("../../etc/passwd", "etc-passwd");
}

static void something_is_always_left(void **state)
{
    (void)state;
    assert_slug("", "article");
    assert_slug("!?", "article");
    assert_slug("！？…", "article");
    assert_slug("42", "article-42");
    assert_slug("4 2", "4-2");
}

static void long_titles_are_cut_between_or_in_words(void **state)
{
    char title[200], expected[200];
    (void)state;
    memset(title, 'a', sizeof(title));
    title[199] = '\0';
    memset(expected, 'a', SLUG_LENGTH_MAX);
    expected[SLUG_LENGTH_MAX] = '\0';
    assert_slug(title, expected);
    title[78] = ' '; /* one character of the next word has room */
    expected[78] = '-';
    assert_slug(title, expected);
    title[78] = 'a';
    title[79] = ' '; /* only the hyphen would have */
    expected[78] = 'a';
    expected[79] = '\0';
    assert_slug(title, expected);
}

static void what_may_be_a_slug(void **state)
{
    (void)state;
    static const char *const good[] = {"a", "a-b", "a_b.c", "_", "障害-対応", "42a", "4-2"};
    static const char *const bad[] = {"",    "42",  "-a",   "a-",   ".a",   "a.",  "a b", "a/b", "a\nb",
                                      "a%b", "a?b", "a、b", "a　b", "a\tb", "a#b", "😀",   "\x7f"};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_true(slug_valid(mirai_str(good[i])));
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_false(slug_valid(mirai_str(bad[i])));
    }
    assert_false(slug_valid((struct mirai_str){"a\0b", 3}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(titles_become_slugs),
        cmocka_unit_test(something_is_always_left),
        cmocka_unit_test(long_titles_are_cut_between_or_in_words),
        cmocka_unit_test(what_may_be_a_slug),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
