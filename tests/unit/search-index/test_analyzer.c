#include "services/search-index/analyzer/spelling.h"

#include "tests/unit/search-index/fixture.h"

struct tokens {
    struct mirai_buf all[2]; /* by view: " term term " */
    struct mirai_str text;
    size_t count;
};

static void collect(void *data, const struct analyzer_token *token)
{
    struct tokens *tokens = data;
    assert_true(token->term.len > 0 && token->term.len <= ANALYZER_TERM_MAX);
    assert_true(mirai_utf8_valid(token->term));
    assert_null(memchr(token->term.data, ' ', token->term.len));
    assert_null(memchr(token->term.data, '\n', token->term.len));
    assert_true(token->start < token->end && token->end <= tokens->text.len);
    mirai_buf_append_str(&tokens->all[token->view], token->term);
    mirai_buf_append_char(&tokens->all[token->view], ' ');
    tokens->count++;
}

static struct tokens analyze(struct fixture *f, struct mirai_str in)
{
    static struct normalized text;
    struct tokens tokens = {0};
    normalize(&text, in, false);
    tokens.text = mirai_buf_str(&text.text);
    mirai_buf_append_char(&tokens.all[0], ' ');
    mirai_buf_append_char(&tokens.all[1], ' ');
    analyzer_run(f->analyzer, tokens.text, collect, &tokens);
    mirai_buf_append_char(&tokens.all[0], '\0');
    mirai_buf_append_char(&tokens.all[1], '\0');
    normalized_free(&text);
    return tokens;
}

static void tokens_free(struct tokens *tokens)
{
    mirai_buf_free(&tokens->all[0]);
    mirai_buf_free(&tokens->all[1]);
}

static void expect_view(struct fixture *f, enum analyzer_view view, const char *in, const char *terms)
{
    struct tokens tokens = analyze(f, mirai_str(in));
    assert_string_equal(tokens.all[view].data, terms);
    tokens_free(&tokens);
}

static void expect_term(struct fixture *f, const char *in, const char *term, bool there)
{
    struct tokens tokens = analyze(f, mirai_str(in));
    char padded[128];
    snprintf(padded, sizeof(padded), " %s ", term);
    assert_int_equal(strstr(tokens.all[ANALYZER_WORD].data, padded) != NULL, there);
    tokens_free(&tokens);
}

static void test_words(void **state)
{
    struct fixture *f = *state;
    expect_view(f, ANALYZER_WORD, "パスワードを変更しました。", " パスワド 変更 ");
    expect_view(f, ANALYZER_WORD, "画面が消えた", " 画面 消える ");
    expect_view(f, ANALYZER_WORD, "サーバー", " サーバ ");
    expect_view(f, ANALYZER_WORD, "サーバ", " サーバ ");
    expect_view(f, ANALYZER_WORD, "コピー", " コピー ");
    expect_view(f, ANALYZER_WORD, "ユーザーアカウント", " ユーザ アカウント ");
    expect_view(f, ANALYZER_WORD, "ユーザアカウント", " ユーザ アカウント ");
    expect_view(f, ANALYZER_WORD, "クラウドサーバー クラウドサーバ", " クラウドサバ クラウドサバ ");
    expect_view(f, ANALYZER_WORD, "ヴァイオリン バイオリン", " バイオリン バイオリン ");
    expect_view(f, ANALYZER_WORD, "ウィルス ウイルス", " ウイルス ウイルス ");
    expect_view(f, ANALYZER_WORD, "オン‐プレミス オンプレミス", " オンプレミス オンプレミス ");
    expect_view(f, ANALYZER_WORD, "ビル ビール", " ビル ビール ");
    expect_view(f, ANALYZER_WORD, "Restarting the Printers", " restarting printer ");
    expect_view(f, ANALYZER_WORD, "policies status access dns", " policy status access dns ");
    expect_view(f, ANALYZER_WORD, "これはそのためです", " ");
}

static void test_okurigana(void **state)
{
    struct fixture *f = *state;
    expect_view(f, ANALYZER_WORD, "取り消し 取消し 取消 取り消す", " 取消 取消 取消 取消 ");
    expect_view(f, ANALYZER_WORD, "組み込み 組込み", " 組込 組込 ");
    expect_view(f, ANALYZER_WORD, "打ち合わせ 打合せ", " 打合 打合 ");
    expect_view(f, ANALYZER_WORD, "申し込む 申込", " 申込 申込 ");
    expect_view(f, ANALYZER_WORD, "消す 消える", " 消す 消える "); /* one kanji: another word */
}

static void test_numbers(void **state)
{
    struct fixture *f = *state;
    expect_view(f, ANALYZER_WORD, "第三", " 3 ");
    expect_view(f, ANALYZER_WORD, "第3", " 3 ");
    expect_view(f, ANALYZER_WORD, "二十三人", " 23 人 ");
    expect_view(f, ANALYZER_WORD, "二〇二四年", " 2024 年 ");
    expect_view(f, ANALYZER_WORD, "三千五百円", " 3500 円 ");
    expect_view(f, ANALYZER_WORD, "二要素認証", " 2 要素 認証 ");
    expect_view(f, ANALYZER_WORD, "一般", " 一般 ");
}

static void test_spelling_of_numbers(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"二十三", "23"},
        {"十", "10"},
        {"百五", "105"},
        {"三千五百", "3500"},
        {"〇", "0"},
        {"二〇二四", "2024"},
        {"一万二千", "12000"},
        {"三億", "300000000"},
        {"十十", ""},
        {"万", ""},
        {"一二十", ""},
        {"千百十一", "1111"},
        {"漢", ""},
        {"", ""},
        {"千万億", ""},
    };
    char out[SPELLING_MAX];
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct mirai_str number = spelling_number(mirai_str(rows[i][0]), out);
        assert_int_equal(number.len, strlen(rows[i][1]));
        assert_memory_equal(number.data, rows[i][1], number.len);
    }
}

static void test_identifiers(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *text;
        const char *term;
    } rows[] = {
        {"更新KB5034441を適用", "kb5034441"},
        {"更新KB5034441を適用", "5034441"},
        {"エラー 0x80070005", "0x80070005"},
        {"エラー 0x8007000E", "8007000e"},
        {"ERR_CONNECTION_RESET が出る", "err_connection_reset"},
        {"ERR_CONNECTION_RESET が出る", "connection"},
        {"192.168.0.1へ", "192.168.0.1"},
        {"192.168.0.1へ", "192"},
        {"v2.3.1", "v2.3.1"},
        {"v2.3.1", "2.3.1"},
        {"dc01.corp.local に接続", "dc01.corp.local"},
        {"dc01.corp.local に接続", "dc01"},
        {"dc01.corp.local に接続", "corp"},
        {"https://wiki.example.com/a/b", "wiki.example.com"},
        {"c:\\users\\taro", "c:\\users\\taro"},
        {"/etc/ssh/sshd_config", "sshd_config"},
        {"taro@example.com", "taro@example.com"},
        {"C# と C++", "c#"},
        {"C# と C++", "c++"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        expect_term(f, rows[i].text, rows[i].term, true);
    }
    expect_term(f, "v2.3.1", "v2.3", false);
    expect_term(f, "end. Start", "end.", false);
}

static void test_bigrams(void **state)
{
    struct fixture *f = *state;
    expect_view(f, ANALYZER_BIGRAM, "設定変更", " 設定 定変 変更 更 ");
    expect_view(f, ANALYZER_BIGRAM, "消えました", " 消え ");
    expect_view(f, ANALYZER_BIGRAM, "鍵", " 鍵 ");
    expect_view(f, ANALYZER_BIGRAM, "電源、ランプ", " 電源 源 ラン ンプ プ ");
    expect_view(f, ANALYZER_BIGRAM, "English only", " ");
    expect_view(f, ANALYZER_BIGRAM, "한국어", " 한국 국어 어 ");
}

static void test_hostile_texts_end(void **state)
{
    struct fixture *f = *state;
    static const char *const units[] = {
        "a",    "あ",  "漢", "ア", "ー",           "\xCC\x81", "\xF0\x9F\x98\x80", "\xFF",
        ".",    "a.",  "1",  "/",  "\xE0\xB8\x81", "-_",       "\xF0\xA0\xAE\xB7", "0x",
        "c:\\", "漢a1"};
    size_t len = 1u << 20;
    char *text = mirai_alloc(len);
    for (size_t i = 0; i < ARRAY_LEN(units); i++) {
        size_t unit = strlen(units[i]);
        for (size_t at = 0; at + unit <= len; at += unit) {
            memcpy(text + at, units[i], unit);
        }
        struct tokens tokens = analyze(f, (struct mirai_str){text, len});
        assert_true(tokens.count < 4 * len);
        tokens_free(&tokens);
    }
    free(text);
    struct tokens tokens = analyze(f, (struct mirai_str){"\0\0漢\0", 6});
    assert_string_equal(tokens.all[ANALYZER_BIGRAM].data, " 漢 ");
    tokens_free(&tokens);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SEARCH_TEST(test_words),
        SEARCH_TEST(test_okurigana),
        SEARCH_TEST(test_numbers),
        cmocka_unit_test(test_spelling_of_numbers),
        SEARCH_TEST(test_identifiers),
        SEARCH_TEST(test_bigrams),
        SEARCH_TEST(test_hostile_texts_end),
    };
    return cmocka_run_group_tests_name("search analyzer", tests, NULL, NULL);
}
