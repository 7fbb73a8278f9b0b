#include "services/ctl/naming.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct mirai_arena arena;

static int teardown(void **state)
{
    (void)state;
    mirai_arena_free(&arena);
    return 0;
}

static void assert_str(struct mirai_str s, const char *expected)
{
    char *copy = mirai_str_dup(s);
    assert_string_equal(copy, expected);
    free(copy);
}

static void assert_slug(const char *path, const char *expected)
{
    assert_str(naming_slug(mirai_str(path), &arena), expected);
}

static void makes_slugs_of_paths(void **state)
{
    (void)state;
    assert_slug("VPN setup.md", "vpn-setup");
    assert_slug("guides/VPN setup.md", "guides--vpn-setup");
    assert_slug("a/b.md", "a--b");
    assert_slug("a-b.md", "a-b");
    assert_slug("./Change-your-password-in-Outlook.com.md", "change-your-password-in-outlook-com");
    assert_slug("手順/パスワード 変更.md", "手順--パスワード-変更");
    assert_slug("--- x ---.md", "x");
    assert_slug("a//b/!/c.md", "a--b--c");
    assert_slug("障害（重要）・第1回「DB」.md", "障害-重要-第1回-db");
    assert_slug("ネットワーク 設定／手順.md", "ネットワーク-設定-手順");
    assert_slug("2026.md", "article-2026");
    assert_slug("x\xff"
                "y\xe3\x81.md",
                "x-y");
}

static void makes_a_slug_of_anything(void **state)
{
    struct mirai_buf path = {0};
    (void)state;
    assert_int_equal(naming_slug(MIRAI_STR("!!!.md"), &arena).len, strlen("article-") + 8);
    assert_int_equal(naming_slug(MIRAI_STR(""), &arena).len, strlen("article-") + 8);
    for (int i = 0; i < 300; i++) {
        mirai_buf_append_str(&path, MIRAI_STR("あ"));
    }
    struct mirai_str one = naming_slug(mirai_buf_str(&path), &arena);
    mirai_buf_append_str(&path, MIRAI_STR("い"));
    struct mirai_str other = naming_slug(mirai_buf_str(&path), &arena);
    assert_int_equal(mirai_utf8_length(one), 200);
    assert_true(mirai_utf8_valid(one));
    assert_false(mirai_str_eq(one, other));
    mirai_buf_free(&path);
}

static void tells_equal_slugs_apart_by_hash(void **state)
{
    (void)state;
    struct mirai_str a = naming_slug_hashed(MIRAI_STR("Foo.md"), &arena);
    struct mirai_str b = naming_slug_hashed(MIRAI_STR("foo.md"), &arena);
    assert_false(mirai_str_eq(a, b));
    assert_true(mirai_str_eq(a, naming_slug_hashed(MIRAI_STR("Foo.md"), &arena)));
}

static void assert_heading(const char *body, const char *expected)
{
    assert_str(naming_heading(mirai_str(body), &arena), expected);
}

static void finds_the_heading(void **state)
{
    (void)state;
    assert_heading("# <a name=\"x-y\"></a>ライブ キャプションを管理する\n", "ライブ キャプションを管理する");
    assert_heading("text\n\n#  The `code` and **bold** #\n", "The code and bold");
    assert_heading("# [VPN](https://example.com/) の手順\r\n", "VPN の手順");
    assert_heading("## two\n# one\n", "one");
    assert_heading("```\n# comment\n```\n# real\n", "real");
    assert_heading("# C\\# と 1 < 2\n", "C# と 1 < 2");
    assert_heading("#no\n#\n# \n", "");
    assert_heading("", "");
}

static void cleans_lines(void **state)
{
    static const struct {
        const char *line;
        const char *clean;
    } cases[] = {
        {"  a \t b\r\n", "a b"},
        {"\xe2\x80\x8e"
         "Azure AD\xe2\x80\x8e \xe2\x80\x8b と",
         "Azure AD と"},
        {"\xe3\x80\x80全角\xe3\x80\x80空白\xe3\x80\x80", "全角\xe3\x80\x80空白"},
        {"\x01\x7f\xc2\x9f", ""},
        {"", ""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_str(naming_clean(mirai_str(cases[i].line), &arena), cases[i].clean);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(makes_slugs_of_paths, teardown),
        cmocka_unit_test_teardown(makes_a_slug_of_anything, teardown),
        cmocka_unit_test_teardown(tells_equal_slugs_apart_by_hash, teardown),
        cmocka_unit_test_teardown(finds_the_heading, teardown),
        cmocka_unit_test_teardown(cleans_lines, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
