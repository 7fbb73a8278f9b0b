#include "services/search-index/analyzer/romaji.h"

#include "tests/unit/search-index/fixture.h"

static void expect_kana(const char *typed, const char *kana)
{
    struct mirai_buf out = {0};
    romaji_to_kana(mirai_str(typed), &out);
    mirai_buf_append_char(&out, '\0');
    assert_string_equal(out.data, kana);
    mirai_buf_free(&out);
}

static void test_romaji_becomes_kana(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"pasuwa-do", "パスワード"},
        {"pasuwaado", "パスワード"},
        {"pasuwādo", "パスワード"},
        {"pasuwâdo", "パスワード"},
        {"sâba", "サーバ"},
        {"pasuw", "パスw"},
        {"shinbun", "シンブン"},
        {"shimbun", "シンブン"},
        {"sinbun", "シンブン"},
        {"konnichiwa", "コンニチワ"},
        {"konnnitiha", "コンニチハ"},
        {"kin'en", "キンエン"},
        {"kinen", "キネン"},
        {"purinta", "プリンタ"},
        {"setto", "セット"},
        {"matchi", "マッチ"},
        {"macchi", "マッチ"},
        {"mattyi", "マッティ"},
        {"fairu", "ファイル"},
        {"jyouhou", "ジョウホウ"},
        {"zyouhou", "ジョウホウ"},
        {"dhisuku", "ディスク"},
        {"disuku", "ディスク"},
        {"tuduku", "ツヅク"},
        {"xtu", "ッ"},
        {"roguin", "ログイン"},
        {"ra-ku", "ラーク"},
        {"ぱすわーど", "パスワード"},
        {"ko-hi-", "コーヒー"},
        {"kyouyuu", "キョウユー"},
        {"-", "-"},
        {"pc 1", "pc 1"},
        {"", ""},
        {"tchū", "ッチュー"},
        {"nn", "ン"},
        {"an", "アン"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        expect_kana(rows[i][0], rows[i][1]);
    }
    struct mirai_buf out = {0};
    assert_true(romaji_to_kana(MIRAI_STR("saaba"), &out));
    assert_false(romaji_to_kana(MIRAI_STR("server"), &out));
    assert_false(romaji_to_kana(MIRAI_STR("漢"), &out));
    mirai_buf_free(&out);
}

static void expect_romaji(const char *kana, enum romaji_system system, const char *romaji)
{
    struct mirai_buf out = {0};
    kana_to_romaji(mirai_str(kana), system, &out);
    mirai_buf_append_char(&out, '\0');
    assert_string_equal(out.data, romaji);
    mirai_buf_free(&out);
}

static void test_kana_becomes_romaji(void **state)
{
    (void)state;
    expect_romaji("パスワード", ROMAJI_HEPBURN, "pasuwaado");
    expect_romaji("しゅっちょう", ROMAJI_HEPBURN, "shutchou");
    expect_romaji("しゅっちょう", ROMAJI_KUNREI, "syuttyou");
    expect_romaji("ジショ", ROMAJI_HEPBURN, "jisho");
    expect_romaji("ジショ", ROMAJI_KUNREI, "zisyo");
    expect_romaji("フォルダ", ROMAJI_HEPBURN, "foruda");
    expect_romaji("きんえん", ROMAJI_HEPBURN, "kin'en");
    expect_romaji("VPN接続", ROMAJI_HEPBURN, "VPN接続");
    expect_romaji("ッ", ROMAJI_HEPBURN, "");
}

static void key_of(const char *text, struct mirai_buf *out)
{
    out->len = 0;
    romaji_key(mirai_str(text), out);
    mirai_buf_append_char(out, '\0');
}

static void test_keys_agree(void **state)
{
    (void)state;
    static const char *const groups[][8] = {
        {"パスワード", "ぱすわーど", "pasuwa-do", "pasuwaado", "pasuwādo", "pasuwado", "パス・ワード"},
        {"シャットダウン", "shattodaun", "syattodaun", "しゃっとだうん"},
        {"じょうほう", "jouhou", "zyouhou", "jyouhou", "jōhō", "joho"},
        {"つづく", "tsuzuku", "tuduku", "tuzuku"},
        {"コンニチハ", "konnichiha", "konnnitiha", "kon'nitiha"},
        {"ファイル", "fairu", "fwairu", "ふぁいる"},
        {"ウィンドウ", "ウインドウ", "uindou", "windou", "windou"},
        {"ディスク", "disuku", "dhisuku"},
        {"メール", "meeru", "meiru", "me-ru", "めーる"},
        {"ワーク", "wa-ku", "waaku"},
    };
    struct mirai_buf first = {0};
    struct mirai_buf other = {0};
    for (size_t i = 0; i < ARRAY_LEN(groups); i++) {
        key_of(groups[i][0], &first);
        for (size_t j = 1; j < 8 && groups[i][j] != NULL; j++) {
            key_of(groups[i][j], &other);
            assert_string_equal(other.data, first.data);
        }
    }
    mirai_buf_free(&first);
    mirai_buf_free(&other);
}

/* As letters are typed, the key grows towards that of the whole. */
static void test_key_of_a_beginning_is_a_beginning(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"pasuwa-do", "パスワード"},
        {"shattodaun", "シャットダウン"},
        {"tsuuchi", "ツウチ"},
        {"fairu", "ファイル"},
        {"jouhou", "ジョウホウ"},
        {"chekku", "チェック"},
        {"cchi", "ッチ"},
        {"matchi", "マッチ"},
        {"kyouyuu", "キョウユウ"},
        {"windou", "ウィンドウ"},
        {"number", "number"},
        {"outcome", "outcome"},
        {"server", "server"},
        {"windows", "windows"},
        {"simple", "simple"},
        {"kon'nichiha", "コンニチハ"},
    };
    struct mirai_buf whole = {0};
    struct mirai_buf typed = {0};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        key_of(rows[i][1], &whole);
        for (size_t n = 1; n <= strlen(rows[i][0]); n++) {
            typed.len = 0;
            romaji_key((struct mirai_str){rows[i][0], n}, &typed);
            if (typed.len > whole.len || memcmp(typed.data, whole.data, typed.len) != 0) {
                fail_msg("%.*s of %s", (int)n, rows[i][0], rows[i][1]);
            }
        }
    }
    mirai_buf_free(&whole);
    mirai_buf_free(&typed);
}

static void expect_reading(struct fixture *f, const char *text, const char *reading)
{
    struct normalized normal = {0};
    struct mirai_buf out = {0};
    normalize(&normal, mirai_str(text), false);
    analyzer_reading(f->analyzer, mirai_buf_str(&normal.text), &out);
    mirai_buf_append_char(&out, '\0');
    assert_string_equal(out.data, reading);
    mirai_buf_free(&out);
    normalized_free(&normal);
}

static void test_readings(void **state)
{
    struct fixture *f = *state;
    expect_reading(f, "共有フォルダの作成", "キョウユウフォルダノサクセイ");
    expect_reading(f, "VPN接続、できない！", "vpnセツゾク デキナイ");
    expect_reading(f, "ぱすわーど", "パスワード");
    expect_reading(f, "  ", "");
    expect_reading(f, "😀再起動", "サイキドウ");
}

static void test_hostile(void **state)
{
    (void)state;
    static const char *const units[] = {"n", "ー", "ッ", "tch", "a-", "\xC4\x81", "ン", "x", "漢", "nn'"};
    size_t len = 1u << 18;
    char *text = mirai_alloc(len);
    struct mirai_buf out = {0};
    for (size_t i = 0; i < ARRAY_LEN(units); i++) {
        size_t unit = strlen(units[i]);
        size_t used = 0;
        for (; used + unit <= len; used += unit) {
            memcpy(text + used, units[i], unit);
        }
        out.len = 0;
        romaji_to_kana((struct mirai_str){text, used}, &out);
        romaji_key((struct mirai_str){text, used}, &out);
        kana_to_romaji((struct mirai_str){text, used}, ROMAJI_KUNREI, &out);
        assert_true(mirai_utf8_valid(mirai_buf_str(&out)));
    }
    mirai_buf_free(&out);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_romaji_becomes_kana),
        cmocka_unit_test(test_kana_becomes_romaji),
        cmocka_unit_test(test_keys_agree),
        cmocka_unit_test(test_key_of_a_beginning_is_a_beginning),
        SEARCH_TEST(test_readings),
        cmocka_unit_test(test_hostile),
    };
    return cmocka_run_group_tests_name("search romaji", tests, NULL, NULL);
}
