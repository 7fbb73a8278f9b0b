/* Near-duplicates reach the mark, articles of the same form do not. bench-duplicates measures it over many texts. */
#include "services/search-index/insight/similarity.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const char original[] =
    "## 影響\n\n2026-09-14 07:00 から 08:55 まで、在宅勤務の約 180 名が VPN "
    "に接続できなかった。本社内の利用者には影響なし。\n\n"
    "## 原因\n\nVPN ゲートウェイ vpn01 "
    "のサーバー証明書が期限切れになっていた。更新通知メールの宛先が退職者のままだった。\n\n"
    "## 対応\n\n新しい証明書を取得して vpn01 に適用し、サービスを再起動した。接続試験を 3 "
    "台で行い、復旧を確認した。\n\n"
    "## 再発防止\n\n証明書の期限を監視に追加し、30 日前に担当グループへ通知する。\n";

static const char other_of_the_form[] =
    "## 影響\n\n2026-04-06 09:30 から 11:15 まで、本社の Wi-Fi に新しくつなぐ端末、約 60 "
    "台が使えなかった。有線 LAN は影響なし。\n\n"
    "## 原因\n\nDHCP スコープの番号が足りなくなった。入社した人の PC とスマートフォンが増え、リース期間が 8 "
    "日のままだった。\n\n"
    "## 対応\n\nリース期間を 8 時間に短縮し、応答のない古いリースを解放した。翌日に VLAN 40 "
    "の範囲を拡張した。\n\n"
    "## 再発防止\n\n使用率 80 % で警告する監視を追加した。\n";

static double compare(const char *title_a, const char *a, const char *title_b, const char *b)
{
    struct similarity_workspace workspace = {0};
    struct similarity_profile x = {0};
    struct similarity_profile y = {0};
    similarity_profile_make(&workspace, mirai_str(title_a), mirai_str(a), &x);
    similarity_profile_make(&workspace, mirai_str(title_b), mirai_str(b), &y);
    double forth = similarity(&x, &y);
    double back = similarity(&y, &x);
    assert_true(forth == back && forth >= 0 && forth <= 1.0000001);
    similarity_profile_free(&x);
    similarity_profile_free(&y);
    similarity_workspace_free(&workspace);
    return forth;
}

static char *replaced(const char *text, const char *from, const char *to)
{
    struct mirai_buf out = {0};
    for (const char *p; (p = strstr(text, from)) != NULL; text = p + strlen(from)) {
        mirai_buf_append(&out, text, (size_t)(p - text));
        mirai_buf_append_str(&out, mirai_str(to));
    }
    mirai_buf_append_str(&out, mirai_str(text));
    mirai_buf_append_char(&out, '\0');
    return out.data;
}

static void expect_duplicate(const char *edited, bool duplicate)
{
    double value = compare("VPN に接続できない", original, "VPN に接続できない", edited);
    assert_true((value >= SIMILARITY_DUPLICATE) == duplicate);
}

static void the_same_is_one(void **state)
{
    (void)state;
    assert_true(compare("VPN", original, "VPN", original) > 0.9999);
    assert_true(compare("VPN", "", "VPN", "") > 0.9999);
    assert_true(compare("", "", "", "") < 0.0001);
    assert_true(compare("VPN", original, "プリンター", "") < 0.0001);
}

static void edits_keep_it_a_duplicate(void **state)
{
    static const char *const edits[][2] = {
        {"2026-09-14 07:00", "2027-01-05 10:30"},
        {"vpn01", "vpn02"},
        {"VPN", "ＶＰＮ"},
        {"約 180 名", "１８０名ほど"},
        {"サーバー", "ｻｰﾊﾞｰ"},
        {"。", "。\n\n"},
        {"## ", "### "},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(edits) / sizeof(edits[0]); i++) {
        char *edited = replaced(original, edits[i][0], edits[i][1]);
        expect_duplicate(edited, true);
        free(edited);
    }
}

static void order_does_not_matter(void **state)
{
    char edited[sizeof(original) + 1];
    const char *middle = strstr(original, "## 対応");
    (void)state;
    snprintf(edited, sizeof(edited), "%s%.*s", middle, (int)(middle - original), original);
    expect_duplicate(edited, true);
}

static void a_form_makes_no_duplicates(void **state)
{
    (void)state;
    expect_duplicate(other_of_the_form, false);
    assert_true(compare("VPN に接続できない", original, "Wi-Fi に接続できない", other_of_the_form) < 0.5);
}

static void a_title_alone_makes_no_duplicate(void **state)
{
    double value = compare("VPN に接続できない", original, "VPN に接続できない", "");
    (void)state;
    assert_true(value > 0.5 && value < SIMILARITY_DUPLICATE);
}

static void long_texts_are_bounded(void **state)
{
    size_t len = 4u << 20;
    char *text = mirai_alloc(len + 1);
    (void)state;
    for (size_t i = 0; i < len; i++) {
        text[i] = (char)('a' + (i * 7 + i / 11) % 26);
    }
    assert_true(compare("a", text, "a", text) > 0.9999);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_is_one),
        cmocka_unit_test(edits_keep_it_a_duplicate),
        cmocka_unit_test(order_does_not_matter),
        cmocka_unit_test(a_form_makes_no_duplicates),
        cmocka_unit_test(a_title_alone_makes_no_duplicate),
        cmocka_unit_test(long_texts_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
