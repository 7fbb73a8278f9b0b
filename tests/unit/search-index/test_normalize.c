#include "tests/unit/search-index/fixture.h"

static void expect(const char *in, const char *out)
{
    struct normalized text = {0};
    normalize(&text, mirai_str(in), true);
    mirai_buf_append_char(&text.text, '\0');
    assert_string_equal(text.text.data, out);
    normalized_free(&text);
}

static void test_one_spelling(void **state)
{
    (void)state;
    expect("ＡＢＣ１２３", "abc123");
    expect("Windows SERVER", "windows server");
    expect("ｻｰﾊﾞｰ", "サーバー");
    expect("ﾊﾟｽﾜｰﾄﾞ", "パスワード");
    expect("か\xE3\x82\x99", "が"); /* combining voiced mark */
    expect("サ−バ−", "サーバー");   /* U+2212 */
    expect("サ‐バ", "サーバ");      /* U+2010 */
    expect("a−b", "a-b");
    expect("９：００〜１７：００", "9:00~17:00");
    expect("9:00～17:00", "9:00~17:00");
    expect("國學會", "国学会");
    expect("髙橋﨑", "高橋崎");
    expect("㍿", "株式会社");
    expect("①", "1");
    expect("Straße", "strasse");
    expect("É", "é");
    expect("a\xC2\xAD"
           "b",
           "ab"); /* soft hyphen */
    expect("全角　空白", "全角 空白");
    expect("いすゞ", "いすず");
    expect("こゝろ", "こころ");
    expect("バナヽ", "バナナ");
    expect("つゞく", "つづく");
    expect("ゝ", "ゝ");
    expect("Ｃ：￥Windows", "c:\\windows");
}

static void test_capitals_are_remembered(void **state)
{
    (void)state;
    struct normalized text = {0};
    normalize(&text, MIRAI_STR("あgetADUser"), false);
    for (size_t i = 0; i < text.text.len; i++) {
        bool was = i / 8 < text.upper.len && (text.upper.data[i / 8] >> i % 8 & 1) != 0;
        assert_int_equal(was, i == 6 || i == 7 || i == 8);
    }
    normalize(&text, MIRAI_STR("abcdefghij"), false); /* nothing is left of the text before */
    assert_int_equal(text.upper.len, 0);
    normalized_free(&text);
}

static void test_outside_bytes_become_spaces(void **state)
{
    (void)state;
    struct normalized text = {0};
    normalize(&text,
              (struct mirai_str){"a\0b\x01"
                                 "c\xFF\xC0\xAF"
                                 "d\xE3\x81",
                                 11},
              true);
    assert_int_equal(text.text.len, 11);
    assert_memory_equal(text.text.data, "a b c   d  ", 11);
    normalize(&text, MIRAI_STR("\xED\xA0\x80"), true); /* a surrogate */
    assert_memory_equal(text.text.data, "   ", 3);
    normalize(&text, (struct mirai_str){NULL, 0}, true);
    assert_int_equal(text.text.len, 0);
    assert_int_equal(text.origin[0], 0);
    normalized_free(&text);
}

/* The original bytes of the first place of `needle` in the normalised text. */
static void expect_origin(const char *in, const char *needle, const char *original)
{
    struct normalized text = {0};
    size_t from;
    size_t to;
    normalize(&text, mirai_str(in), true);
    const char *at = memmem(text.text.data, text.text.len, needle, strlen(needle));
    assert_non_null(at);
    size_t start = (size_t)(at - text.text.data);
    normalized_span(&text, start, start + strlen(needle), &from, &to);
    assert_int_equal(to - from, strlen(original));
    assert_memory_equal(in + from, original, to - from);
    normalized_free(&text);
}

static void test_offsets_lead_back(void **state)
{
    (void)state;
    expect_origin("管理者はｻｰﾊﾞｰを再起動", "サーバー", "ｻｰﾊﾞｰ");
    expect_origin("ＶＰＮ接続", "vpn", "ＶＰＮ");
    expect_origin("㍿テスト", "株式", "㍿");
    expect_origin("㍿テスト", "会社テ", "㍿テ");
    expect_origin("か\xE3\x82\x99く", "が", "か\xE3\x82\x99");
    expect_origin("x\xFFy", "y", "y");
    expect_origin("末尾Ａ", "a", "Ａ");
}

/* Offsets never decrease and stay inside of the text. */
static void check_offsets(struct mirai_str in)
{
    struct normalized text = {0};
    normalize(&text, in, true);
    assert_true(mirai_utf8_valid(mirai_buf_str(&text.text)));
    for (size_t i = 0; i < text.text.len; i++) {
        assert_true(text.origin[i] <= text.origin[i + 1]);
    }
    assert_int_equal(text.origin[text.text.len], in.len < NORMALIZE_TEXT_MAX ? in.len : NORMALIZE_TEXT_MAX);
    normalized_free(&text);
}

static void test_hostile_texts(void **state)
{
    (void)state;
    size_t len = 2u << 20;
    char *text = mirai_alloc(len);
    for (size_t i = 0; i + 1 < len; i += 2) { /* nothing but combining marks */
        memcpy(text + i, "\xCC\x81", 2);
    }
    check_offsets((struct mirai_str){text, 100001});
    check_offsets((struct mirai_str){text, len});
    for (size_t i = 0; i + 2 < len; i += 3) { /* the longest expansion */
        memcpy(text + i, "\xEF\xB7\xBA", 3);
    }
    check_offsets((struct mirai_str){text, 300000});
    for (size_t i = 0; i < len; i++) {
        text[i] = (char)(i * 2654435761u >> 13);
    }
    check_offsets((struct mirai_str){text, len});
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_spelling),
        cmocka_unit_test(test_capitals_are_remembered),
        cmocka_unit_test(test_outside_bytes_become_spaces),
        cmocka_unit_test(test_offsets_lead_back),
        cmocka_unit_test(test_hostile_texts),
    };
    return cmocka_run_group_tests_name("search normalize", tests, NULL, NULL);
}
