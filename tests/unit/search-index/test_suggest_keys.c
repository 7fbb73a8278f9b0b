#include "services/search-index/help/suggest_keys.h"
#include "services/search-index/postings/build.h"
#include "tests/unit/search-index/fixture.h"

static struct segment *make(struct fixture *f, const char *title, const char *tags)
{
    struct suggest_keys *keys = suggest_keys_new(f->analyzer);
    struct segment_builder *builder = segment_builder_new();
    struct segment_sink sink = {.fd = -1};
    struct mirai_buf encoded = {0};
    struct segment *segment = NULL;
    suggest_keys_append(keys, mirai_str(title), mirai_str(tags), &encoded);
    assert_int_equal(segment_builder_add(builder, (struct segment_doc){1, 1}, mirai_buf_str(&encoded)), 0);
    assert_int_equal(segment_builder_finish(builder, &sink), 0);
    assert_int_equal(segment_from_buffer(&sink.bytes, &segment), 0);
    mirai_buf_free(&encoded);
    segment_builder_free(builder);
    suggest_keys_free(keys);
    return segment;
}

static bool count_term(void *data, struct mirai_str key, const struct segment_term *term)
{
    (void)key;
    *(unsigned *)data = *(unsigned *)data > term->max_level ? *(unsigned *)data : term->max_level;
    return true;
}

/* Level of the best term that begins with what was typed; 0: none. */
static unsigned level_of(struct fixture *f, const struct segment *segment, char mark, enum suggest_form form,
                         const char *typed)
{
    struct mirai_buf key = {0};
    struct normalized text = {0};
    unsigned level = 0;
    mirai_buf_append_char(&key, mark);
    mirai_buf_append_char(&key, (char)form);
    normalize(&text, mirai_str(typed), false);
    suggest_key(f->analyzer, form, mirai_buf_str(&text.text), &key);
    segment_each_term(segment, mirai_buf_str(&key), count_term, &level);
    mirai_buf_free(&key);
    normalized_free(&text);
    return level;
}

static void test_titles_by_text_and_reading(void **state)
{
    struct fixture *f = *state;
    struct segment *segment = make(f, "VPN のパスワードを変更する", "");
    unsigned whole = level_of(f, segment, SUGGEST_TITLE_MARK, SUGGEST_TEXT, "vpn");
    unsigned word = level_of(f, segment, SUGGEST_TITLE_MARK, SUGGEST_TEXT, "ﾊﾟｽﾜ");
    assert_true(whole > word && word > 0);
    assert_int_equal(level_of(f, segment, SUGGEST_TITLE_MARK, SUGGEST_TEXT, "VPNのパス"), whole);
    assert_int_equal(level_of(f, segment, SUGGEST_TITLE_MARK, SUGGEST_TEXT, "ワード"), 0);
    static const char *const typed[] = {"ぱす",      "パスワー", "pasuw",  "pasuwa-d", "ｐａｓｕ",
                                        "pasuwaado", "へんこう", "henkou", "hennk",    "変更"};
    for (size_t i = 0; i < ARRAY_LEN(typed); i++) {
        assert_int_equal(level_of(f, segment, SUGGEST_TITLE_MARK, SUGGEST_READING, typed[i]), word);
    }
    assert_int_equal(level_of(f, segment, SUGGEST_TITLE_MARK, SUGGEST_READING, "さば"), 0);
    segment_release(segment);
}

static void test_edges(void **state)
{
    struct fixture *f = *state;
    struct segment *segment = make(f, "電源 回線", "");
    struct segment_term term;
    assert_true(segment_find(segment,
                             MIRAI_STR("\x03"
                                       "e電"),
                             &term));
    assert_true(segment_find(segment,
                             MIRAI_STR("\x03"
                                       "e電源"),
                             &term));
    assert_false(segment_find(segment,
                              MIRAI_STR("\x03"
                                        "e電源回"),
                              &term));
    assert_true(segment_find(segment,
                             MIRAI_STR("\x03"
                                       "e回"),
                             &term));
    assert_true(segment_find(segment,
                             MIRAI_STR("\x03"
                                       "fden"),
                             &term));
    segment_release(segment);
}

static void test_tags_carry_their_names(void **state)
{
    struct fixture *f = *state;
    struct segment *segment = make(f, "", "Active Directory\n共有フォルダー");
    struct segment_term term;
    assert_true(segment_find(segment,
                             MIRAI_STR("\x04"
                                       "tactivedirectory\x01"
                                       "active directory"),
                             &term));
    assert_true(level_of(f, segment, SUGGEST_TAG_MARK, SUGGEST_READING, "きょうゆう") > 0);
    assert_true(level_of(f, segment, SUGGEST_TAG_MARK, SUGGEST_TEXT, "共有フォ") > 0);
    segment_release(segment);
}

/* Whatever a title is, its terms fit a segment. */
static void test_odd_titles(void **state)
{
    struct fixture *f = *state;
    static const char *const titles[] = {
        "", " ", "🍣", "。。。", "a", "々", "\x01\x02\x03", "ーーーー", "a b c d e f g h i j"};
    for (size_t i = 0; i < ARRAY_LEN(titles); i++) {
        segment_release(make(f, titles[i], titles[i]));
    }
    struct mirai_buf title = {0};
    struct mirai_buf tags = {0};
    for (int i = 0; i < 60; i++) {
        mirai_buf_printf(&title, "電源%d回線", i);
        mirai_buf_printf(&tags, "長い名前の付いた札であってまだ続くもの%d\n", i);
    }
    mirai_buf_append_char(&title, '\0');
    mirai_buf_append_char(&tags, '\0');
    segment_release(make(f, title.data, tags.data));
    mirai_buf_free(&title);
    mirai_buf_free(&tags);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SEARCH_TEST(test_titles_by_text_and_reading),
        SEARCH_TEST(test_edges),
        SEARCH_TEST(test_tags_carry_their_names),
        SEARCH_TEST(test_odd_titles),
    };
    return cmocka_run_group_tests_name("search suggestion keys", tests, NULL, NULL);
}
