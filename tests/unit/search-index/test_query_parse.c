#include "services/search-index/query/filters.h"
#include "tests/unit/search-index/fixture.h"

static struct query parse(struct fixture *f, const char *q)
{
    struct query query;
    query_parse(f->analyzer, NULL, mirai_str(q), &f->arena, &query);
    return query;
}

static void write_strings(struct mirai_buf *out, const char *name, const struct mirai_strs *strings)
{
    for (size_t i = 0; i < strings->count; i++) {
        mirai_buf_printf(out, "%s%s=%.*s", out->len > 0 ? " " : "", name, MIRAI_STR_ARG(strings->items[i]));
    }
}

/* A query as it was understood, in one line. */
static const char *understood(struct fixture *f, const char *q)
{
    struct query query = parse(f, q);
    const struct mirai_search_understood *u = &query.understood;
    struct mirai_buf out = {0};
    write_strings(&out, "word", &u->words);
    write_strings(&out, "phrase", &u->phrases);
    write_strings(&out, "not", &u->excluded);
    for (size_t i = 0; i < u->filters.count; i++) {
        const struct mirai_search_filter *filter = &MIRAI_ITEMS(search_filter, &u->filters)[i];
        bool excluded = mirai_has(search_filter, filter, excluded);
        mirai_buf_printf(&out, "%s%s%.*s:%.*s", out.len > 0 ? " " : "", excluded ? "-" : "",
                         MIRAI_STR_ARG(filter->name), MIRAI_STR_ARG(filter->value));
    }
    write_strings(&out, "notice", &u->notices);
    struct mirai_str line = mirai_arena_copy(&f->arena, mirai_buf_str(&out));
    mirai_buf_free(&out);
    return line.data;
}

static void test_words_phrases_and_exclusions(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *q;
        const char *line;
    } cases[] = {
        {"", ""},
        {"VPN 接続", "word=vpn word=接続"},
        {"ＶＰＮ　接続", "word=vpn word=接続"},
        {"\"VPN 接続\" 設定", "word=vpn word=接続 word=設定 phrase=vpn 接続"},
        {"“VPN 接続” 設定", "word=vpn word=接続 word=設定 phrase=vpn 接続"},
        {"＂VPN 接続＂", "word=vpn word=接続 phrase=vpn 接続"},
        {"設定 -接続", "word=設定 not=接続"},
        {"設定 －接続", "word=設定 not=接続"},
        {"設定 NOT 接続", "word=設定 not=接続"},
        {"設定 -\"接続 エラー\"", "word=設定 not=接続 エラー"},
        {"設定 AND 接続", "word=設定 word=接続"},
        {"\"設定\" OR \"接続\"", "word=設定 word=接続 phrase=設定 phrase=接続"},
        {"\"設定\"｜\"接続\"", "word=設定 word=接続 phrase=設定 phrase=接続"},
        /* pasted titles and messages are seldom verbatim: corner brackets ask for nothing */
        {"「設定」と「接続」", "word=設定 word=接続"},
        /* an inch, a hyphen, an error code, an option: not operators */
        {"12\" モニター", "word=12 word=モニター"},
        {"設定 -", "word=設定"},
        {"--設定", "word=設定"},
        {"エラー -2147467259", "word=エラー word=2147467259"},
        {"設定 \"接続", "word=設定 word=接続 notice=quote-not-closed"},
        {"OR", "word=or notice=only-common-words"},
        {"the of", "word=the of notice=only-common-words"},
        {"いつ", "word=いつ notice=only-common-words"},
        {"🍣", "word=🍣 notice=only-signs"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_string_equal(understood(f, cases[i].q), cases[i].line);
    }
}

static void test_filters(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *q;
        const char *line;
    } cases[] = {
        {"設定 tag:VPN", "word=設定 tag:VPN"},
        {"タグ：VPN", "tag:VPN"},
        {"ﾀｸﾞ:VPN", "tag:VPN"},
        {"TAG:\"Active Directory\"", "tag:Active Directory"},
        {"タグ:「共有 フォルダー」", "tag:共有 フォルダー"},
        {"-tag:VPN", "-tag:VPN"},
        {"type:incident", "type:incident"},
        {"種類:障害", "type:incident"},
        {"type:incident,変更", "type:incident type:change"},
        {"status:公開 状態:下書き", "status:published status:draft"},
        {"author:\"山田 太郎\" 著者:鈴木", "author:山田 太郎 author:鈴木"},
        {"title:接続", "word=接続 title:接続"},
        {"-題名:\"接続 エラー\"", "-title:接続 エラー"},
        {"(tag:a OR tag:b) 設定", "word=設定 tag:a tag:b"},
        {"after:2026-01-31T10:00:00Z", "after:2026-01-31T10:00:00.000Z"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_string_equal(understood(f, cases[i].q), cases[i].line);
    }
}

static void test_a_colon_alone_makes_no_filter(void **state)
{
    struct fixture *f = *state;
    static const char *const queries[] = {"https://example.com/設定",
                                          "title://設定",
                                          "10:30 設定",
                                          "C:\\Windows\\設定",
                                          "foo:bar",
                                          "tag: 設定",
                                          "設定 tag:",
                                          "std::vector",
                                          "fe80::1%eth0",
                                          "ERROR: 設定",
                                          ":設定",
                                          "mytag:設定"};
    for (size_t i = 0; i < ARRAY_LEN(queries); i++) {
        struct query query = parse(f, queries[i]);
        assert_int_equal(query.filters_len, 0);
        assert_int_equal(query.groups_len, 0);
        assert_int_equal(query.understood.notices.count, 0);
        assert_true(query.terms_len > 0);
    }
}

static void test_values_that_are_not_understood_are_words(void **state)
{
    struct fixture *f = *state;
    static const char *const queries[] = {"status:404", "type:電話", "before:そのうち", "after:2026-02-30",
                                          "type:incident,電話"};
    for (size_t i = 0; i < ARRAY_LEN(queries); i++) {
        struct query query = parse(f, queries[i]);
        assert_int_equal(query.filters_len, 0);
        assert_true(query.terms_len > 0);
        assert_int_equal(query.understood.notices.count, 1);
        assert_string_equal(query.understood.notices.items[0].data, "value-not-understood");
    }
}

static void test_alternatives(void **state)
{
    struct fixture *f = *state;
    struct query query = parse(f, "tag:a OR tag:b tag:c");
    assert_int_equal(query.filters_len, 3);
    assert_int_equal(query.filters[0].set, query.filters[1].set);
    assert_int_not_equal(query.filters[1].set, query.filters[2].set);
    query = parse(f, "type:incident status:draft type:change -type:other -type:release");
    assert_int_equal(query.filters_len, 5);
    assert_int_equal(query.filters[0].set, query.filters[1].set); /* both types */
    assert_int_not_equal(query.filters[3].set, query.filters[4].set);
    assert_true(query.filters[3].excluded && query.filters[4].excluded);
    query = parse(f, "\"接続 エラー\" OR title:設定 OR 電源");
    assert_int_equal(query.groups_len, 1);
    assert_int_equal(query.groups[0].phrases_len, 3);
    assert_true(query.groups[0].phrases[1].title_only && !query.groups[0].phrases[2].title_only);
    query = parse(f, "接続 または 設定");
    assert_int_equal(query.groups_len, 0);
    assert_string_equal(understood(f, "tag:a OR -設定"), "not=設定 tag:a notice=alternatives-not-understood");
}

static void test_phrases_in_parts(void **state)
{
    struct fixture *f = *state;
    struct query query = parse(f, "\"電源回線\"");
    const struct query_phrase *phrase = &query.groups[0].phrases[0];
    assert_int_equal(phrase->parts_len, 3);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(phrase->parts[i].offset, i);
    }
    assert_true(phrase->exact);
    query = parse(f, "\"KB 5034441 の 対処\"");
    assert_false(query.groups[0].phrases[0].exact); /* letters are stemmed */
    query = parse(f, "\"電源をいれた\"");
    assert_false(query.groups[0].phrases[0].exact); /* hiragana has no pairs */
    query = parse(f, "\"8020 電源\"");
    assert_true(query.groups[0].phrases[0].exact);
}

static int64_t moment(const char *rfc3339)
{
    int64_t ms;
    assert_int_equal(mirai_rfc3339_parse(mirai_str(rfc3339), &ms), 0);
    return ms;
}

static void test_moments(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *from;
        const char *to;
    } cases[] = {
        {"2026-01-31", "2026-01-31T00:00:00+09:00", "2026-02-01T00:00:00+09:00"},
        {"2026/1/31", "2026-01-31T00:00:00+09:00", "2026-02-01T00:00:00+09:00"},
        {"2026年1月31日", "2026-01-31T00:00:00+09:00", "2026-02-01T00:00:00+09:00"},
        {"2026-02", "2026-02-01T00:00:00+09:00", "2026-03-01T00:00:00+09:00"},
        {"2026年2月", "2026-02-01T00:00:00+09:00", "2026-03-01T00:00:00+09:00"},
        {"2026", "2026-01-01T00:00:00+09:00", "2027-01-01T00:00:00+09:00"},
        {"2026年", "2026-01-01T00:00:00+09:00", "2027-01-01T00:00:00+09:00"},
        {"2026-01-31t10:00:00z", "2026-01-31T10:00:00Z", "2026-01-31T10:00:00Z"},
        {"今日", "2026-11-25T00:00:00+09:00", "2026-11-26T00:00:00+09:00"},
        {"yesterday", "2026-11-24T00:00:00+09:00", "2026-11-25T00:00:00+09:00"},
        {"last week", "2026-11-16T00:00:00+09:00", "2026-11-23T00:00:00+09:00"},
        {"先週", "2026-11-16T00:00:00+09:00", "2026-11-23T00:00:00+09:00"},
        {"last-month", "2026-10-01T00:00:00+09:00", "2026-11-01T00:00:00+09:00"},
        {"昨年", "2025-01-01T00:00:00+09:00", "2026-01-01T00:00:00+09:00"},
        {"7d", "2026-11-18T08:30:00+09:00", "2026-11-18T08:30:00+09:00"},
        {"2週間前", "2026-11-11T08:30:00+09:00", "2026-11-11T08:30:00+09:00"},
        {"3か月", "2026-08-25T08:30:00+09:00", "2026-08-25T08:30:00+09:00"},
        {"24 hours ago", "2026-11-24T08:30:00+09:00", "2026-11-24T08:30:00+09:00"},
    };
    static const char *const odd[] = {"",      "2026-13", "2026-02-29", "2026-1-31x", "2026-1/31",
                                      "31",    "7",       "d",          "1月",        "2026-",
                                      "20260", "99999d",  "そのうち",   "-7d",        "t"};
    struct filter_period period;
    int64_t now = moment("2026-11-25T08:30:00+09:00"); /* a Wednesday; still the day before in UTC */
    setenv("TZ", "Asia/Tokyo", 1);
    tzset();
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_true(filter_period(mirai_str(cases[i].text), now, &period));
        assert_int_equal(period.from, moment(cases[i].from));
        assert_int_equal(period.to, moment(cases[i].to));
    }
    for (size_t i = 0; i < ARRAY_LEN(odd); i++) {
        assert_false(filter_period(mirai_str(odd[i]), now, &period));
    }
}

/* before: ends where the day begins, 以前 where it ends; leaving out what is before keeps what is after. */
static void test_before_and_after(void **state)
{
    struct fixture *f = *state;
    setenv("TZ", "Asia/Tokyo", 1);
    tzset();
    struct query query = parse(f, "before:2026-01-31");
    assert_int_equal(query.filters[0].kind, QUERY_FILTER_BEFORE);
    assert_int_equal(query.filters[0].value, moment("2026-01-31T00:00:00+09:00"));
    query = parse(f, "以前:2026-01-31");
    assert_int_equal(query.filters[0].value, moment("2026-02-01T00:00:00+09:00"));
    query = parse(f, "以降：2026年1月");
    assert_int_equal(query.filters[0].kind, QUERY_FILTER_AFTER);
    assert_int_equal(query.filters[0].value, moment("2026-01-01T00:00:00+09:00"));
    query = parse(f, "-before:2026");
    assert_int_equal(query.filters[0].kind, QUERY_FILTER_AFTER);
    assert_false(query.filters[0].excluded);
}

static char *repeated(const char *unit, size_t bytes)
{
    struct mirai_buf buf = {0};
    while (buf.len < bytes) {
        mirai_buf_append_str(&buf, mirai_str(unit));
    }
    mirai_buf_append_char(&buf, '\0');
    return buf.data;
}

static void test_bounds(void **state)
{
    struct fixture *f = *state;
    static const char *const units[] = {
        "\"",     "“",   "(",  "-",       "|",  "OR ", "NOT -", "tag:", "tag:a ",       "tag:\"",
        "\"a\" ", "-a ", "a|", "type:a,", "電", "🍣",   "the ",  "x1 ",  "before:2026 ", "「"};
    for (size_t i = 0; i < ARRAY_LEN(units); i++) {
        char *text = repeated(units[i], 100000);
        struct query query = parse(f, text);
        assert_true(query.terms_len <= 2 * QUERY_TERMS_MAX && query.groups_len <= QUERY_GROUPS_MAX);
        assert_true(query.filters_len <= QUERY_FILTERS_MAX && query.marks_len <= QUERY_MARKS_MAX);
        assert_string_equal(query.understood.notices.items[0].data, "query-cut");
        free(text);
    }
    struct mirai_buf many = {0};
    for (int i = 100; i < 200; i++) {
        mirai_buf_printf(&many, "w%d ", i);
    }
    mirai_buf_append_char(&many, '\0');
    struct query query = parse(f, many.data);
    assert_string_equal(query.understood.notices.items[0].data, "terms-cut");
    mirai_buf_free(&many);
}

/* What means the same is an alternative of the word, and the answer names it. */
static void test_synonyms(void **state)
{
    struct fixture *f = *state;
    struct mirai_str terms[] = {MIRAI_STR("pc"), MIRAI_STR("パソコン"), MIRAI_STR("クライアント端末")};
    struct mirai_synonyms set = {0};
    struct mirai_synonyms_page page = {0};
    struct query query;
    mirai_set(synonyms, &set, terms, ((struct mirai_strs){terms, 3}));
    mirai_set(synonyms_page, &page, items, ((struct mirai_objects){&set, 1}));
    struct vocabulary_snapshot *vocabulary = vocabulary_snapshot_new(f->analyzer, &page, NULL);
    query_parse(f->analyzer, vocabulary, MIRAI_STR("ＰＣ 起動"), &f->arena, &query);
    assert_int_equal(query.understood.synonyms.count, 2);
    const struct query_term *term = &query.terms[0];
    assert_true(term->alternatives_len >= 3);
    assert_false(term->alternatives[0].synonym);
    assert_true(term->alternatives[1].synonym && term->alternatives[1].weight < 1);
    bool marked = false;
    for (size_t i = 0; i < query.marks_len; i++) {
        marked |= mirai_str_eq(query.marks[i], MIRAI_STR("クライアント端末"));
    }
    assert_true(marked);
    vocabulary_snapshot_free(vocabulary);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SEARCH_TEST(test_words_phrases_and_exclusions),
        SEARCH_TEST(test_filters),
        SEARCH_TEST(test_a_colon_alone_makes_no_filter),
        SEARCH_TEST(test_values_that_are_not_understood_are_words),
        SEARCH_TEST(test_alternatives),
        SEARCH_TEST(test_phrases_in_parts),
        cmocka_unit_test(test_moments),
        SEARCH_TEST(test_before_and_after),
        SEARCH_TEST(test_synonyms),
        SEARCH_TEST(test_bounds),
    };
    return cmocka_run_group_tests_name("search query language", tests, NULL, NULL);
}
