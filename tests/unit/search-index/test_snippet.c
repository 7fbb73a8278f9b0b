#include "tests/unit/search-index/fixture.h"

static void expect(struct fixture *f, const char *q, const char *body, const char *snippet)
{
    struct query query;
    query_parse(f->analyzer, NULL, mirai_str(q), &f->arena, &query);
    struct mirai_str made = snippet_make(&query, mirai_str(body), &f->arena);
    assert_string_equal(mirai_arena_copy(&f->arena, made).data, snippet);
}

static void test_marks_the_original_text(void **state)
{
    struct fixture *f = *state;
    expect(f, "サーバー", "このｻｰﾊﾞｰは", "この<mark>ｻｰﾊﾞｰ</mark>は");
    expect(f, "サーバ", "サーバーの再起動", "<mark>サーバー</mark>の再起動");
    expect(f, "vpn 接続", "ＶＰＮに接続する", "<mark>ＶＰＮ</mark>に<mark>接続</mark>する");
    expect(f, "ad", "read AD address", "read <mark>AD</mark> address");
    expect(f, "connect", "Connecting fails", "<mark>Connecting</mark> fails");
    expect(f, "切り替える", "回線を切り替えた。", "回線を<mark>切り替え</mark>た。");
    expect(f, "\"電源を確認\"", "電源を確認する", "<mark>電源を確認</mark>する");
    expect(f, "電源", "関係ない本文", "関係ない本文");
    expect(f, "", "本文", "本文");
    expect(f, "電源", "", "");
}

static void test_html_is_escaped_and_markdown_hidden(void **state)
{
    struct fixture *f = *state;
    expect(f, "script", "a < b & \"script\" > c", "a &lt; b &amp; &quot;<mark>script</mark>&quot; &gt; c");
    expect(f, "電源", "<script>alert(1)</script>電源", "alert(1)<mark>電源</mark>");
    expect(f, "電源", "<img src=x onerror=alert(1) 電源", "&lt;img src=x onerror=alert(1) <mark>電源</mark>");
    expect(f, "手順", "# 手順\n\n**強調** と [文書](https://example.com/手順)",
           "<mark>手順</mark> 強調 と 文書");
    expect(f, "項目", "| 項目 | 値 |\n| --- | :-: |\n| 電源 | 二重 |\n\n---\n\n```sh\nreboot - now\n```\n",
           "<mark>項目</mark> 値 電源 二重 reboot - now");
    expect(f, "mark", "<mark>x</mark>", "x");
}

static void test_markdown_as_people_read_it(void **state)
{
    struct fixture *f = *state;
    expect(f, "電源", "1. **電源**を*切る*\n2. 待つ", "1. <mark>電源</mark>を切る 2. 待つ");
    expect(f, "電源", "* 電源\n- [ ] 回線\n> ### 注意", "<mark>電源</mark> [ ] 回線 注意");
    expect(f, "journal", "`rm *.journal | wc` と 2 * 3", "rm *.<mark>journal</mark> | wc と 2 * 3");
    expect(f, "電源", "```sh\n# 電源 *a* [b](c)\n```\n**後**", "# <mark>電源</mark> *a* [b](c) 後");
    expect(f, "error", "[ERROR] a_b \\*c\\*", "[<mark>ERROR</mark>] a_b *c*");
    expect(f, "電源", "<https://example.com/> ![電源](a.png) a|b",
           "&lt;https://example.com/&gt; <mark>電源</mark> a|b");
    /* found in what is not shown: then it is */
    expect(f, "dc01", "[文書](https://dc01.corp.local/)", "[文書](https://<mark>dc01</mark>.corp.local/)");
}

static void test_titles_are_marked(void **state)
{
    struct fixture *f = *state;
    struct query query;
    query_parse(f->analyzer, NULL, MIRAI_STR("vpn 接続"), &f->arena, &query);
    struct mirai_str made = snippet_title(&query, MIRAI_STR("<ＶＰＮ> の接続 *"), &f->arena);
    assert_string_equal(made.data, "&lt;<mark>ＶＰＮ</mark>&gt; の<mark>接続</mark> *");
    made = snippet_title(&query, MIRAI_STR(""), &f->arena);
    assert_int_equal(made.len, 0);
}

/* The best passage of a long text lies far behind one that has less of the query. */
static void test_long_bodies(void **state)
{
    struct fixture *f = *state;
    struct mirai_buf body = {0};
    struct query query;
    query_parse(f->analyzer, NULL, MIRAI_STR("電源 回線"), &f->arena, &query);
    while (body.len < 150000) {
        mirai_buf_append_str(&body, MIRAI_STR("電源の話が続きます。"));
    }
    mirai_buf_append_str(&body, MIRAI_STR("電源と回線。"));
    while (body.len < (1u << 20)) {
        mirai_buf_append_str(&body, MIRAI_STR("まだ続きます。"));
    }
    struct mirai_str made = snippet_make(&query, mirai_buf_str(&body), &f->arena);
    assert_non_null(memmem(made.data, made.len, "<mark>回線</mark>", strlen("<mark>回線</mark>")));
    mirai_buf_free(&body);
}

static void test_picks_the_best_passage(void **state)
{
    struct fixture *f = *state;
    struct mirai_buf body = {0};
    mirai_buf_append_str(&body, MIRAI_STR("電源の話。"));
    for (int i = 0; i < 100; i++) {
        mirai_buf_append_str(&body, MIRAI_STR("長い説明が続きます。"));
    }
    mirai_buf_append_str(&body, MIRAI_STR("電源と回線を再起動する。"));
    for (int i = 0; i < 100; i++) {
        mirai_buf_append_str(&body, MIRAI_STR("まだ続きます。"));
    }
    mirai_buf_append_char(&body, '\0');
    struct query query;
    query_parse(f->analyzer, NULL, MIRAI_STR("電源 回線"), &f->arena, &query);
    struct mirai_str made = snippet_make(&query, mirai_str(body.data), &f->arena);
    static const char start[] = "…<mark>電源</mark>と<mark>回線</mark>を再起動する。";
    assert_true(made.len > sizeof(start) && made.len < 800);
    assert_memory_equal(made.data, start, sizeof(start) - 1);
    assert_memory_equal(made.data + made.len - 3, "…", 3);
    mirai_buf_free(&body);
}

static void test_every_cut_is_valid(void **state)
{
    struct fixture *f = *state;
    static const char unit[] = "漢<b>&a\xF0\x9F\x98\x80[x](y)\xE3\x81\x8B\xE3\x82\x99㍿\n# 電源**";
    struct query query;
    struct mirai_buf body = {0};
    query_parse(f->analyzer, NULL, MIRAI_STR("電源 が 会社 漢"), &f->arena, &query);
    for (int i = 0; i < 40; i++) {
        mirai_buf_append_str(&body, mirai_str(unit));
    }
    for (size_t skip = 0; skip < sizeof(unit); skip++) {
        for (size_t len = 0; len < 600; len += 7) {
            struct mirai_str cut =
                mirai_utf8_prefix((struct mirai_str){body.data, body.len}, body.len - skip);
            cut = mirai_utf8_prefix(cut, len);
            struct mirai_str made = snippet_make(&query, cut, &f->arena);
            assert_true(mirai_utf8_valid(made));
            int depth = 0;
            for (size_t i = 0; i + 6 < made.len; i++) {
                depth += memcmp(made.data + i, "<mark>", 6) == 0;
                depth -= memcmp(made.data + i, "</mark>", 7) == 0;
                assert_in_range(depth, 0, 1);
            }
            assert_int_equal(depth, 0);
        }
    }
    mirai_buf_free(&body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SEARCH_TEST(test_marks_the_original_text),    SEARCH_TEST(test_html_is_escaped_and_markdown_hidden),
        SEARCH_TEST(test_markdown_as_people_read_it), SEARCH_TEST(test_titles_are_marked),
        SEARCH_TEST(test_picks_the_best_passage),     SEARCH_TEST(test_long_bodies),
        SEARCH_TEST(test_every_cut_is_valid),
    };
    return cmocka_run_group_tests_name("search snippet", tests, NULL, NULL);
}
