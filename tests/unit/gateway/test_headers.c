#include "services/gateway/headers.h"

#include "libcommon/error.h"
#include "tests/unit/gateway/test.h"

#include <stdlib.h>

static struct mirai_str language(const char *header)
{
    return header_language(mirai_str(header), MIRAI_STR("ja"));
}

static void language_follows_weights(void **state)
{
    (void)state;
    assert_str(language("en"), "en");
    assert_str(language("en-US,en;q=0.9,ja;q=0.8"), "en");
    assert_str(language("ja-JP, en;q=0.5"), "ja");
    assert_str(language("ja;q=0.1, EN;q=0.2"), "en");
    assert_str(language("ja;q=0, *"), "en");
    assert_str(language("ja;q=0.001,en;q=0.002"), "en");
}

static void language_falls_back(void **state)
{
    (void)state;
    assert_str(language(""), "ja");
    assert_str(language("fr, de"), "ja");
    assert_str(language("*"), "ja");
    assert_str(language("en;q=0"), "ja");
    assert_str(language(",,;q=;=,"), "ja");
    assert_str(header_language(MIRAI_STR("fr"), MIRAI_STR("en")), "en");
}

static void accept_takes_the_most_specific_range(void **state)
{
    (void)state;
    assert_true(header_accepts(mirai_str(""), "application", "json"));
    assert_true(header_accepts(mirai_str("*/*"), "application", "json"));
    assert_true(header_accepts(mirai_str("text/html, application/*;q=0.1"), "application", "json"));
    assert_true(header_accepts(mirai_str("Application/JSON"), "application", "json"));
    assert_false(header_accepts(mirai_str("text/html"), "application", "json"));
    assert_false(header_accepts(mirai_str("application/json;q=0, */*"), "application", "json"));
    assert_false(header_accepts(mirai_str("application/jsonx"), "application", "json"));
    assert_false(header_accepts(mirai_str("*/json"), "application", "json"));
}

static void media_type_has_no_parameters(void **state)
{
    (void)state;
    assert_str(header_media_type(mirai_str("application/json; charset=utf-8")), "application/json");
    assert_str(header_media_type(mirai_str(" text/plain ")), "text/plain");
    assert_str(header_media_type(mirai_str("")), "");
}

static void none_match_compares_weakly(void **state)
{
    (void)state;
    struct mirai_str tag = MIRAI_STR("e.3");
    assert_true(header_none_match_has(mirai_str("\"e.3\""), tag));
    assert_true(header_none_match_has(mirai_str("W/\"e.3\""), tag));
    assert_true(header_none_match_has(mirai_str("\"a\" ,  \"b,c\", \"e.3\""), tag));
    assert_true(header_none_match_has(mirai_str(" * "), tag));
    assert_false(header_none_match_has(mirai_str("\"e.4\""), tag));
    assert_false(header_none_match_has(mirai_str("e.3"), tag));
    assert_false(header_none_match_has(mirai_str("\"e.3"), tag));
    assert_false(header_none_match_has(mirai_str(""), tag));
    assert_false(header_none_match_has(mirai_str("\"a\" \"e.3\""), tag));
}

static void compressed_answers_have_the_plain_ones_version(void **state)
{
    (void)state;
    struct mirai_str tag;
    assert_true(header_none_match_has(mirai_str("\"e.3-gzip\""), MIRAI_STR("e.3")));
    assert_int_equal(header_if_match(mirai_str("\"e.3-gzip\""), &tag), 0);
    assert_str(tag, "e.3");
    assert_int_equal(header_if_match(mirai_str("\"-gzip\""), &tag), 0); /* no suffix of anything */
}

static void if_range_is_exactly_the_strong_tag(void **state)
{
    static const char *const others[] = {"W/\"e.3\"",
                                         "*",
                                         "e.3",
                                         "\"e.3\", \"e.3\"",
                                         "\"e.4\"",
                                         "\"\"",
                                         "",
                                         "\"",
                                         "Tue, 15 Nov 1994 12:45:26 GMT"};
    (void)state;
    assert_true(header_if_range(mirai_str(" \"e.3\" "), MIRAI_STR("e.3")));
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        assert_false(header_if_range(mirai_str(others[i]), MIRAI_STR("e.3")));
    }
}

static void if_match_is_one_strong_tag(void **state)
{
    (void)state;
    struct mirai_str tag;
    assert_int_equal(header_if_match(mirai_str("\"e.3\""), &tag), 0);
    assert_str(tag, "e.3");
    assert_int_equal(header_if_match(mirai_str("*"), &tag), 0);
    assert_str(tag, "*");
    assert_int_equal(header_if_match(mirai_str("W/\"e.3\""), &tag), MIRAI_E_PRECONDITION);
    assert_int_equal(header_if_match(mirai_str("\"*\""), &tag), MIRAI_E_PRECONDITION);
    assert_int_equal(header_if_match(mirai_str("e.3"), &tag), MIRAI_E_INVALID);
    assert_int_equal(header_if_match(mirai_str("\"\""), &tag), MIRAI_E_INVALID);
    assert_int_equal(header_if_match(mirai_str("\"a\", \"b\""), &tag), MIRAI_E_INVALID);
    assert_int_equal(header_if_match(mirai_str("\"\xff\""), &tag), MIRAI_E_INVALID);
}

static void cookie_is_found_by_its_whole_name(void **state)
{
    (void)state;
    struct mirai_str value, name = MIRAI_STR("__Host-mirai-1");
    assert_true(header_cookie(mirai_str("a=b; __Host-mirai-1=mks_x; c=d"), name, &value));
    assert_str(value, "mks_x");
    assert_true(header_cookie(mirai_str("__Host-mirai-1="), name, &value));
    assert_str(value, "");
    assert_false(header_cookie(mirai_str("__Host-mirai-12=x"), name, &value));
    assert_false(header_cookie(mirai_str("x__Host-mirai-1=x"), name, &value));
    assert_false(header_cookie(mirai_str("__Host-mirai-1"), name, &value));
    assert_false(header_cookie((struct mirai_str){0}, name, &value));
}

#define SECRET "mkt_abcdefghijklmnopqrst"

static void bearer_takes_our_tokens_only(void **state)
{
    (void)state;
    struct mirai_str token;
    assert_true(header_bearer(mirai_str("Bearer " SECRET), &token));
    assert_str(token, SECRET);
    assert_true(header_bearer(mirai_str("bearer   mks_abcdefghijklmnopqrst"), &token));
    assert_false(header_bearer(mirai_str("Basic " SECRET), &token));
    assert_false(header_bearer(mirai_str("Bearer"), &token));
    assert_false(header_bearer(mirai_str("Bearer mkt_short"), &token));
    assert_false(header_bearer(mirai_str("Bearer xyz_abcdefghijklmnopqrst"), &token));
    assert_false(header_bearer(mirai_str("Bearer " SECRET " x"), &token));
    assert_false(header_bearer(mirai_str("Bearer " SECRET SECRET SECRET SECRET SECRET), &token));
}

static bool same_origin(const char *site, const char *origin)
{
    return header_same_origin(mirai_str(site), mirai_str(origin), MIRAI_STR("kb.example:8443"));
}

static void only_our_own_page_may_change_things(void **state)
{
    (void)state;
    assert_true(same_origin("same-origin", ""));
    assert_true(same_origin("", "https://kb.example:8443"));
    assert_true(same_origin("", "https://KB.example:8443"));
    assert_false(same_origin("", ""));
    assert_false(same_origin("same-site", ""));
    assert_false(same_origin("cross-site", "https://kb.example:8443"));
    assert_false(same_origin("none", ""));
    assert_false(same_origin("", "http://kb.example:8443"));
    assert_false(same_origin("", "https://kb.example"));
    assert_false(same_origin("", "https://kb.example:8443.evil"));
    assert_false(same_origin("", "null"));
}

static void idempotency_keys_are_visible_ascii(void **state)
{
    (void)state;
    char longest[201];
    memset(longest, 'k', sizeof(longest));
    assert_true(header_idempotency_key_valid(mirai_str("a-1_~!")));
    assert_true(header_idempotency_key_valid((struct mirai_str){longest, 200}));
    assert_false(header_idempotency_key_valid((struct mirai_str){longest, 201}));
    assert_false(header_idempotency_key_valid(mirai_str("")));
    assert_false(header_idempotency_key_valid(mirai_str("a b")));
    assert_false(header_idempotency_key_valid(mirai_str("\xc3\xa4")));
    assert_false(header_idempotency_key_valid(mirai_str("a\x7f")));
}

#define TRACE "0af7651916cd43dd8448eb211c80319c"
#define SPAN  "b7ad6b7169203331"

static void traceparent_is_checked(void **state)
{
    (void)state;
    assert_true(header_traceparent_valid(mirai_str("00-" TRACE "-" SPAN "-01")));
    assert_true(header_traceparent_valid(mirai_str("01-" TRACE "-" SPAN "-01-more")));
    static const char *const bad[] = {
        "",
        "00-" TRACE "-" SPAN,
        "00-" TRACE "-" SPAN "-01-more",
        "00-" TRACE "-" SPAN "-01x",
        "01-" TRACE "-" SPAN "-01x",
        "ff-" TRACE "-" SPAN "-01",
        "00-00000000000000000000000000000000-" SPAN "-01",
        "00-" TRACE "-0000000000000000-01",
        "00-0AF7651916CD43DD8448EB211C80319C-" SPAN "-01",
        "00_" TRACE "-" SPAN "-01",
        "00-" TRACE "-" SPAN "-0g",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_false(header_traceparent_valid(mirai_str(bad[i])));
    }
}

static void traceparent_keeps_the_callers_trace(void **state)
{
    (void)state;
    unsigned char random[24];
    char made[TRACEPARENT_LEN + 1];
    memset(random, 0xab, sizeof(random));
    header_traceparent_make(made, mirai_str("00-" TRACE "-" SPAN "-00"), random);
    assert_string_equal(made, "00-" TRACE "-abababababababab-00");
    header_traceparent_make(made, mirai_str("nonsense"), random);
    assert_string_equal(made, "00-abababababababababababababababab-abababababababab-01");
    assert_true(header_traceparent_valid(mirai_str(made)));
}

static void range_is_one_part_of_the_content(void **state)
{
    (void)state;
    uint64_t first, last;
    assert_int_equal(header_range(mirai_str("bytes=0-9"), 100, &first, &last), 0);
    assert_int_equal(first, 0);
    assert_int_equal(last, 9);
    assert_int_equal(header_range(mirai_str("bytes=90-200"), 100, &first, &last), 0);
    assert_int_equal(last, 99);
    assert_int_equal(header_range(mirai_str("bytes=95-"), 100, &first, &last), 0);
    assert_int_equal(first, 95);
    assert_int_equal(header_range(mirai_str("bytes=-5"), 100, &first, &last), 0);
    assert_int_equal(first, 95);
    assert_int_equal(header_range(mirai_str("bytes=-500"), 100, &first, &last), 0);
    assert_int_equal(first, 0);
    assert_int_equal(header_range(mirai_str("bytes=100-"), 100, &first, &last), MIRAI_E_INVALID);
    assert_int_equal(header_range(mirai_str("bytes=-0"), 100, &first, &last), MIRAI_E_INVALID);
    assert_int_equal(header_range(mirai_str("bytes=0-1,3-4"), 100, &first, &last), MIRAI_E_NOT_FOUND);
    assert_int_equal(header_range(mirai_str("bytes=9-1"), 100, &first, &last), MIRAI_E_NOT_FOUND);
    assert_int_equal(header_range(mirai_str("lines=0-1"), 100, &first, &last), MIRAI_E_NOT_FOUND);
    assert_int_equal(header_range(mirai_str("bytes=a-b"), 100, &first, &last), MIRAI_E_NOT_FOUND);
}

static void file_names_cannot_break_out(void **state)
{
    (void)state;
    struct mirai_buf out = {0};
    header_disposition(mirai_str("\xe6\x89\x8b\xe9\xa0\x86 \"1\"\r\n;/a.pdf"), &out);
    assert_str(mirai_buf_str(&out), "attachment; filename=\"__ _1___;_a.pdf\"; "
                                    "filename*=UTF-8''%E6%89%8B%E9%A0%86%20%221%22%0D%0A%3B%2Fa.pdf");
    mirai_buf_free(&out);
}

static void lines_end_with_lf_or_crlf(void **state)
{
    (void)state;
    struct mirai_str line, rest = MIRAI_STR("GET / HTTP/1.1\r\nHost: x\n\r\nrest");
    assert_true(header_next_line(&rest, &line));
    assert_str(line, "GET / HTTP/1.1");
    assert_true(header_next_line(&rest, &line));
    assert_str(line, "Host: x");
    assert_true(header_next_line(&rest, &line));
    assert_int_equal(line.len, 0);
    assert_false(header_next_line(&rest, &line));
    assert_str(rest, "rest");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(language_follows_weights),
        cmocka_unit_test(language_falls_back),
        cmocka_unit_test(accept_takes_the_most_specific_range),
        cmocka_unit_test(media_type_has_no_parameters),
        cmocka_unit_test(none_match_compares_weakly),
        cmocka_unit_test(compressed_answers_have_the_plain_ones_version),
        cmocka_unit_test(if_range_is_exactly_the_strong_tag),
        cmocka_unit_test(if_match_is_one_strong_tag),
        cmocka_unit_test(cookie_is_found_by_its_whole_name),
        cmocka_unit_test(bearer_takes_our_tokens_only),
        cmocka_unit_test(only_our_own_page_may_change_things),
        cmocka_unit_test(idempotency_keys_are_visible_ascii),
        cmocka_unit_test(traceparent_is_checked),
        cmocka_unit_test(traceparent_keeps_the_callers_trace),
        cmocka_unit_test(range_is_one_part_of_the_content),
        cmocka_unit_test(file_names_cannot_break_out),
        cmocka_unit_test(lines_end_with_lf_or_crlf),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
