/* Markdown, sentences and phrases: what the checks of a draft stand on. */
#include "services/search-index/insight/markdown.h"
#include "services/search-index/insight/phrases.h"
#include "services/search-index/insight/sentence.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static void expect_block(const struct markdown *markdown, size_t at, enum markdown_kind kind,
                         const char *text)
{
    assert_true(at < markdown->count);
    struct mirai_str found = markdown_text(markdown, at);
    assert_int_equal(found.len, strlen(text));
    assert_memory_equal(found.data, text, found.len);
    assert_int_equal(markdown->blocks[at].kind, kind);
}

static void reads_what_people_see(void **state)
{
    static const char source[] = "# 障害 **報告** #\n\n最初の行は\n続く。\nEnglish goes\non `a_b` here.\n\n"
                                 "- [x] 項目 [文書](https://example.com/a_(b)) です\n2) 番号\n・点\n"
                                 "| 影響 | ログイン不可 |\n| --- | --- |\n```sh\n# no heading\n```\n"
                                 "見出し\n===\n【対応】\n■ 原因\n**恒久対応**\n> 引用 <br>\\*印\n\n---\n";
    struct markdown markdown = {0};
    (void)state;
    markdown_read(&markdown, mirai_str(source));
    expect_block(&markdown, 0, MARKDOWN_HEADING, "障害 報告");
    expect_block(&markdown, 1, MARKDOWN_PARAGRAPH, "最初の行は続く。 English goes on a_b here.");
    expect_block(&markdown, 2, MARKDOWN_ITEM, "項目 文書) です");
    expect_block(&markdown, 3, MARKDOWN_ITEM, "番号");
    expect_block(&markdown, 4, MARKDOWN_ITEM, "点");
    expect_block(&markdown, 5, MARKDOWN_ROW, "影響 | ログイン不可");
    expect_block(&markdown, 6, MARKDOWN_CODE, "# no heading\n");
    expect_block(&markdown, 7, MARKDOWN_HEADING, "見出し");
    expect_block(&markdown, 8, MARKDOWN_HEADING, "対応");
    expect_block(&markdown, 9, MARKDOWN_HEADING, "原因");
    expect_block(&markdown, 10, MARKDOWN_HEADING, "恒久対応");
    expect_block(&markdown, 11, MARKDOWN_PARAGRAPH, "引用 *印");
    assert_int_equal(markdown.count, 12);
    assert_int_equal(markdown.blocks[0].level, 1);
    assert_int_equal(markdown.blocks[3].level, 1);
    markdown_free(&markdown);
}

static void survives_odd_texts(void **state)
{
    static const char *const sources[] = {
        "",   "\n\n", "```",   "```\n", "|",   "||", "](",   "[](", "<", "<a", "#",    "######", "#######",
        "**", "****", "> > >", "1.",    "1. ", "- ", "【】", "■",   "`", "\\", "=\n=", "|a",     "a\n--"};
    struct markdown markdown = {0};
    (void)state;
    for (size_t i = 0; i < COUNT(sources); i++) {
        markdown_read(&markdown, mirai_str(sources[i]));
        for (size_t at = 0; at < markdown.count; at++) {
            assert_true(markdown_text(&markdown, at).len > 0);
        }
    }
    markdown_free(&markdown);
}

static void tells_labels(void **state)
{
    (void)state;
    assert_int_equal(markdown_label(MIRAI_STR("影響 | 不可"), MARKDOWN_ROW), strlen("影響 | "));
    assert_int_equal(markdown_label(MIRAI_STR("影響: 不可"), MARKDOWN_ITEM), strlen("影響: "));
    assert_int_equal(markdown_label(MIRAI_STR("影響：不可"), MARKDOWN_PARAGRAPH), strlen("影響："));
    assert_int_equal(markdown_label(MIRAI_STR("10:20 に再起動"), MARKDOWN_ITEM), 0);
}

static void parts_sentences(void **state)
{
    static const struct {
        const char *text;
        const char *first;
    } rows[] = {
        {"停止した。復旧した。", "停止した。"},
        {"「開始。終了。」と表示される。次", "「開始。終了。」と表示される。"},
        {"Use v2.3.1 on dc01.corp.local. Then restart.", "Use v2.3.1 on dc01.corp.local. "},
        {"See e.g. the log. Done.", "See e.g. the log. "},
        {"Is it up? Yes.", "Is it up? "},
        {"設定は \"corp.example.\" とする。次", "設定は \"corp.example.\" とする。"},
        {"終わりがない", "終わりがない"},
        {"", ""},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        assert_int_equal(sentence_length(mirai_str(rows[i].text)), strlen(rows[i].first));
    }
}

struct found {
    uint32_t ids[16];
    size_t count;
};

static void note(void *data, const struct phrase_match *match)
{
    struct found *found = data;
    assert_true(found->count < COUNT(found->ids));
    found->ids[found->count++] = match->id;
}

static void finds_the_longest_phrase(void **state)
{
    struct phrase_set *set = phrase_set_new();
    struct found found = {.count = 0};
    (void)state;
    phrase_set_add(set, "原因|cause", 1);
    phrase_set_add(set, "根本原因|root cause", 2);
    phrase_set_add(set, "migrat*", 3);
    phrase_set_add(set, "ＲＦＣ", 4);
    phrase_set_find(set, MIRAI_STR("根本原因と原因, because root cause. causes migration rfc rfcs"), note,
                    &found);
    static const uint32_t expected[] = {2, 1, 2, 3, 4};
    assert_int_equal(found.count, COUNT(expected));
    assert_memory_equal(found.ids, expected, sizeof(expected));
    phrase_set_free(set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_people_see),
        cmocka_unit_test(survives_odd_texts),
        cmocka_unit_test(tells_labels),
        cmocka_unit_test(parts_sentences),
        cmocka_unit_test(finds_the_longest_phrase),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
