#include "services/search-index/help/lexicon.h"
#include "services/search-index/help/suggest.h"
#include "tests/unit/search-index/fixture.h"

static struct lexicon *make_lexicon(struct fixture *f)
{
    const struct index_view *view = index_view_enter(f->reader);
    struct lexicon *lexicon = lexicon_build(view->segments, view->count, f->analyzer, NULL);
    index_view_leave(f->reader);
    assert_non_null(lexicon);
    return lexicon;
}

/* The proposal for a query; "" when there is none. */
static const char *corrected(struct fixture *f, const struct lexicon *lexicon, const char *q,
                             const struct mirai_principal *principal)
{
    struct mirai_search_query query = {0};
    struct mirai_search_result result;
    const struct query_help help = {.lexicon = lexicon};
    query_workspace_help(f->workspace, &help);
    mirai_set(search_query, &query, q, mirai_str(q));
    assert_int_equal(search_as(f, &query, principal, &result), 0);
    return mirai_has(search_result, &result, did_you_mean) ? result.did_you_mean.data : "";
}

static void fill(struct fixture *f)
{
    static const char *const rows[][2] = {
        {"パスワードの変更手順", "パスワードを設定する。初期設定を確認する。"},
        {"サーバーの設定", "プリンターとスキャナーの設定手順。"},
        {"Restart the printer server", "The password manager and the certificate authority."},
        {"ネットワークの障害", "回線を切り替える。認証基盤を確認する。"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct mirai_article article = article_make((int64_t)i + 1, rows[i][0], rows[i][1]);
        put(f, &article);
    }
}

static void test_slips(void **state)
{
    struct fixture *f = *state;
    static const char *const cases[][2] = {
        /* letters */
        {"pasword", "password"},
        {"passwrod", "password"},
        {"certifcate", "certificate"},
        {"certficiate autority", "certificate authority"},
        /* kana */
        {"パスワート", "パスワード"},
        {"プリンタア", "プリンター"},
        {"ネツトワーク", "ネットワーク"},
        /* not converted, converted wrongly, typed in Roman letters */
        {"ぱすわーど", "パスワード"},
        {"接定", "設定"},
        {"pasuwa-do", "パスワード"},
        {"ｐａｓｕｗａ－ｄｏ", "パスワード"},
        /* the rest of the query stays as it was typed */
        {"pasword type:incident", "password type:incident"},
        {"ＶＰＮ pasword -電源", "ＶＰＮ password -電源"},
        /* nothing to correct */
        {"パスワード", ""},
        {"password", ""},
        {"設定", ""},
        {"設計", ""},
        {"まったく別の話", ""},
        {"KB5034441", ""},
        {"xyzzyqwerty", ""},
        {"", ""},
    };
    fill(f);
    struct lexicon *lexicon = make_lexicon(f);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const char *made = corrected(f, lexicon, cases[i][0], admin());
        if (strcmp(made, cases[i][1]) != 0) {
            fail_msg("%s: %s instead of %s", cases[i][0], made, cases[i][1]);
        }
    }
    lexicon_release(lexicon);
}

/* What only others may see is not proposed, and a word that stands there only counts as one that does not exist. */
static void test_corrections_leak_nothing(void **state)
{
    struct fixture *f = *state;
    static const int64_t spaces[] = {1};
    const struct mirai_principal reader = {
        .user_id = 5, .role = MIRAI_ROLE_VIEWER, .spaces = spaces, .spaces_len = 1};
    struct mirai_article article = article_make(1, "merger", "秘密");
    mirai_set(article, &article, space_id, 2);
    put(f, &article);
    article = article_make(2, "merged", "公開");
    put(f, &article);
    struct lexicon *lexicon = make_lexicon(f);
    assert_string_equal(corrected(f, lexicon, "mergr", admin()), "merger");
    assert_string_equal(corrected(f, lexicon, "mergr", &reader), "");
    assert_string_equal(corrected(f, lexicon, "merger", admin()), "");
    assert_string_equal(corrected(f, lexicon, "merger", &reader), "merged");
    lexicon_release(lexicon);
}

static void test_a_replaced_word_is_not_proposed(void **state)
{
    struct fixture *f = *state;
    struct mirai_article article = article_make(1, "certificate", "");
    put(f, &article);
    struct lexicon *lexicon = make_lexicon(f);
    assert_string_equal(corrected(f, lexicon, "certifcate", admin()), "certificate");
    article = article_make(1, "別の話", "");
    put(f, &article);
    assert_string_equal(corrected(f, lexicon, "certifcate", admin()), "");
    lexicon_release(lexicon);
}

static void test_distance(void **state)
{
    (void)state;
    static const struct {
        const char *a;
        const char *b;
        unsigned distance;
    } cases[] = {{"", "", 0},       {"abc", "abc", 0},   {"abc", "abd", 1},   {"abc", "acb", 1},
                 {"abc", "ab", 1},  {"abc", "xabc", 1},  {"abcd", "badc", 2}, {"abc", "cba", 2},
                 {"abc", "xyz", 3}, {"abcdef", "abc", 3}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        unsigned distance = lexicon_distance(mirai_str(cases[i].a), mirai_str(cases[i].b), 2);
        assert_int_equal(distance, cases[i].distance);
        assert_int_equal(lexicon_distance(mirai_str(cases[i].b), mirai_str(cases[i].a), 2), distance);
    }
    assert_int_equal(lexicon_distance(MIRAI_STR("a"), MIRAI_STR("b"), 0), 1);
}

/* ------------------------------------------------------------------ suggestions */

static const char *suggested(struct fixture *f, const char *q, const struct asked *asked,
                             const struct mirai_principal *principal)
{
    struct mirai_suggest_query query = {0};
    struct mirai_suggest_result result = {0};
    struct mirai_buf out = {0};
    const struct suggest_request request = {.reader = f->reader,
                                            .analyzer = f->analyzer,
                                            .asked = asked,
                                            .principal = principal,
                                            .query = &query};
    mirai_set(suggest_query, &query, q, mirai_str(q));
    assert_int_equal(suggest_run(&request, &f->arena, &result), 0);
    for (size_t i = 0; i < result.items.count; i++) {
        const struct mirai_suggestion *item = &MIRAI_ITEMS(suggestion, &result.items)[i];
        mirai_buf_printf(&out, "%s%.*s %.*s", i > 0 ? ", " : "", MIRAI_STR_ARG(item->kind),
                         MIRAI_STR_ARG(item->text));
    }
    struct mirai_str line = mirai_arena_copy(&f->arena, mirai_buf_str(&out));
    mirai_buf_free(&out);
    return line.data;
}

static void test_suggestions_by_reading(void **state)
{
    struct fixture *f = *state;
    fill(f);
    static const char *const typed[] = {"ぱ", "ぱす", "ぱすわ", "パスワ",   "ﾊﾟｽﾜ",
                                        "p",  "pasu", "pasuw",  "pasuwa-d", "ｐａｓｕ"};
    for (size_t i = 0; i < ARRAY_LEN(typed); i++) {
        assert_string_equal(suggested(f, typed[i], NULL, admin()),
                            typed[i][0] == 'p' && typed[i][1] == '\0'
                                ? "title パスワードの変更手順, title Restart the printer server"
                                : "title パスワードの変更手順");
    }
    assert_string_equal(suggested(f, "せってい", NULL, admin()), "title サーバーの設定");
    assert_string_equal(suggested(f, "さーば", NULL, admin()), "title サーバーの設定");
    assert_string_equal(suggested(f, "せつぞく", NULL, admin()), "");
    assert_string_equal(suggested(f, "restart  the p", NULL, admin()), "title Restart the printer server");
}

static void test_tags_by_reading(void **state)
{
    struct fixture *f = *state;
    struct mirai_str tags[] = {MIRAI_STR("認証基盤"), MIRAI_STR("Active Directory")};
    struct mirai_article article = article_make(1, "x", "");
    article_tag(&article, tags, 2);
    put(f, &article);
    assert_string_equal(suggested(f, "認証", NULL, admin()), "tag 認証基盤");
    assert_string_equal(suggested(f, "ninsho", NULL, admin()), "tag 認証基盤");
    assert_string_equal(suggested(f, "active d", NULL, admin()), "tag Active Directory");
}

static struct asked *make_asked(struct fixture *f)
{
    static const struct {
        const char *q;
        int64_t users;
        int64_t zero;
    } rows[] = {{"パスワード 変更", 5, 0},
                {"パスワード 秘密計画", 9, 0},
                {"パスワードだけ", 2, 0},
                {"パスワード 手順", 4, 7}};
    struct mirai_asked_query items[ARRAY_LEN(rows)] = {0};
    struct mirai_asked_query_page page = {0};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        mirai_set(asked_query, &items[i], q, mirai_str(rows[i].q));
        mirai_set(asked_query, &items[i], users, rows[i].users);
        mirai_set(asked_query, &items[i], count, 7);
        mirai_set(asked_query, &items[i], zero_count, rows[i].zero);
    }
    mirai_set(asked_query_page, &page, items, ((struct mirai_objects){items, ARRAY_LEN(rows)}));
    return asked_new(f->analyzer, &page);
}

/* Only queries of several people, and only what finds all its words where the asking user may look. */
static void test_popular_queries(void **state)
{
    struct fixture *f = *state;
    static const int64_t spaces[] = {1};
    const struct mirai_principal reader = {
        .user_id = 5, .role = MIRAI_ROLE_VIEWER, .spaces = spaces, .spaces_len = 1};
    struct asked *asked = make_asked(f);
    assert_string_equal(suggested(f, "ぱす", asked, admin()), "");
    fill(f);
    struct mirai_article article = article_make(9, "別", "パスワード 秘密計画");
    mirai_set(article, &article, space_id, 2);
    put(f, &article);
    assert_string_equal(suggested(f, "ぱす", asked, &reader),
                        "title パスワードの変更手順, query パスワード 変更");
    assert_string_equal(suggested(f, "パス", asked, admin()),
                        "title パスワードの変更手順, query パスワード 変更, query パスワード 秘密計画");
    asked_release(asked);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SEARCH_TEST(test_slips),
        SEARCH_TEST(test_corrections_leak_nothing),
        SEARCH_TEST(test_a_replaced_word_is_not_proposed),
        cmocka_unit_test(test_distance),
        SEARCH_TEST(test_suggestions_by_reading),
        SEARCH_TEST(test_tags_by_reading),
        SEARCH_TEST(test_popular_queries),
    };
    return cmocka_run_group_tests_name("search help", tests, NULL, NULL);
}
