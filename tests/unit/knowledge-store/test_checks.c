#include "services/knowledge-store/checks.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static void names(void **state)
{
    (void)state;
    assert_true(check_name(MIRAI_STR("情報システム部 一課")));
    assert_true(check_name(MIRAI_STR("a")));
    assert_false(check_name(MIRAI_STR("")));
    assert_false(check_name(MIRAI_STR(" a")));
    assert_false(check_name(MIRAI_STR("a\xE3\x80\x80"))); /* ideographic space */
    assert_false(check_name(MIRAI_STR("a\nb")));
    assert_false(check_name(MIRAI_STR("a\xC2\x85")));         /* C1 control */
    assert_false(check_name(MIRAI_STR("admi\xE2\x80\x8Bn"))); /* zero width space */
}

static void file_names(void **state)
{
    (void)state;
    assert_true(check_file_name(MIRAI_STR("構成図 (最新).png")));
    assert_true(check_file_name(MIRAI_STR("..hidden")));
    assert_false(check_file_name(MIRAI_STR("..")));
    assert_false(check_file_name(MIRAI_STR(".")));
    assert_false(check_file_name(MIRAI_STR("../../etc/passwd")));
    assert_false(check_file_name(MIRAI_STR("C:\\boot.ini")));
    assert_false(check_file_name(MIRAI_STR("a\r\nSet-Cookie: b")));
    assert_false(check_file_name(MIRAI_STR("invoice\xE2\x80\xAE"
                                           "fdp.exe"))); /* right-to-left override */
}

static void colors(void **state)
{
    (void)state;
    assert_true(check_color(MIRAI_STR("#12aBff")));
    assert_false(check_color(MIRAI_STR("12aBff0")));
    assert_false(check_color(MIRAI_STR("#12aBfg")));
    assert_false(check_color(MIRAI_STR("#12aBf")));
    assert_false(check_color(MIRAI_STR("#12aBff0")));
}

static void media_types(void **state)
{
    (void)state;
    assert_true(check_media_type(MIRAI_STR("application/vnd.ms-excel")));
    assert_true(check_media_type(MIRAI_STR("text/plain; charset=utf-8")));
    assert_true(check_media_type(MIRAI_STR("text/plain ; charset=utf-8")));
    assert_false(check_media_type(MIRAI_STR("text/plain text/html")));
    assert_false(check_media_type(MIRAI_STR("text/plain ,text/html")));
    assert_false(check_media_type(MIRAI_STR("text/plain ")));
    assert_false(check_media_type(MIRAI_STR("text")));
    assert_false(check_media_type(MIRAI_STR("/plain")));
    assert_false(check_media_type(MIRAI_STR("text/")));
    assert_false(check_media_type(MIRAI_STR("text/html\r\nX: y")));
    assert_false(check_media_type(MIRAI_STR("text/plain, text/html")));
    assert_false(check_media_type(MIRAI_STR("文書/pdf")));
}

static void emails(void **state)
{
    (void)state;
    assert_true(check_email(MIRAI_STR("")));
    assert_true(check_email(MIRAI_STR("hanako@example.jp")));
    assert_false(check_email(MIRAI_STR("@example.jp")));
    assert_false(check_email(MIRAI_STR("hanako@")));
    assert_false(check_email(MIRAI_STR("hanako")));
    assert_false(check_email(MIRAI_STR("hana ko@example.jp")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names),       cmocka_unit_test(file_names), cmocka_unit_test(colors),
        cmocka_unit_test(media_types), cmocka_unit_test(emails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
