#include "services/knowledge-store/fold.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void assert_same(struct mirai_str got, const char *expected)
{
    assert_int_equal(got.len, strlen(expected));
    assert_memory_equal(got.data, expected, got.len);
}

static void white_space_of_any_kind_is_tidied(void **state)
{
    static const struct {
        const char *given, *tidy;
    } rows[] = {
        {"", ""},
        {" \t\r\n\xe3\x80\x80\xc2\xa0", ""},
        {"\xe3\x80\x80 VPN \t 接続\xe3\x80\x80できない ", "VPN 接続 できない"},
        {"a\xe2\x80\x83\xe2\x80\xa8z", "a z"}, /* an em space and a line separator */
        {"絵 😀", "絵 😀"},
        {"\xe3\x80\x81", "、"}, /* shares its first bytes with the ideographic space */
    };
    struct mirai_arena arena = {0};
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_same(fold_tidy(&arena, mirai_str(rows[i].given)), rows[i].tidy);
    }
    mirai_arena_free(&arena);
}

static void what_looks_the_same_has_one_key(void **state)
{
    static const struct {
        const char *given, *key;
    } rows[] = {
        {"ＶＰＮ", "vpn"},
        {" vPn ", "vpn"},
        {"ｻｰﾊﾞｰ", "サーバー"},
        {"が", "が"},
        {"か\xe3\x82\x99", "が"},
        {"STRASSE", "strasse"},
        {"straße", "strasse"},
        {"vp\xe2\x80\x8bn", "vpn"},
        {"①", "1"},
        {"㍿", "株式会社"},
        {"\xc2\xb4", "\xcc\x81"}, /* an acute accent with its space */
        {"\xe2\x80\x8b", ""},
        {"😀", "😀"},
    };
    struct mirai_arena arena = {0};
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct mirai_str key = fold_key(&arena, mirai_str(rows[i].given));
        assert_same(key, rows[i].key);
        assert_same(fold_key(&arena, key), rows[i].key);
    }
    mirai_arena_free(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(white_space_of_any_kind_is_tidied),
        cmocka_unit_test(what_looks_the_same_has_one_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
