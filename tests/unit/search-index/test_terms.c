#include "services/search-index/terms.h"

#include "services/search-index/postings/format.h"

#include "tests/unit/search-index/fixture.h"

/* Level of `term`; 0: it is not there. */
static unsigned level_of(const struct mirai_buf *encoded, const char *term)
{
    const uint8_t *p = (const uint8_t *)encoded->data;
    const uint8_t *end = p + encoded->len;
    while (p < end) {
        uint32_t len = 0;
        p = varint_read(p, end, &len);
        assert_non_null(p);
        bool found = len == strlen(term) && memcmp(p, term, len) == 0;
        unsigned level = p[len];
        p = varint_read(p + len + 1, end, &len);
        assert_non_null(p);
        if (found) {
            return level;
        }
        p += len;
    }
    return 0;
}

static struct mirai_buf encode(struct fixture *f, const char *title, const char *body)
{
    struct terms *terms = terms_new(f->analyzer);
    struct mirai_buf encoded = {0};
    for (int i = 0; i < 2; i++) { /* the second time from a used state */
        encoded.len = 0;
        terms_clear(terms);
        terms_add(terms, TERMS_TITLE, mirai_str(title));
        terms_add_markdown(terms, mirai_str(body));
        terms_encode(terms, &encoded);
    }
    terms_free(terms);
    return encoded;
}

static void test_fields_weigh(void **state)
{
    struct fixture *f = *state;
    struct mirai_buf body = {0};
    mirai_buf_append_str(&body, MIRAI_STR("# 接続\n本文に電源。\n## 再起動\n電源と電源。"));
    for (int i = 0; i < 60; i++) {
        mirai_buf_printf(&body, "項目%dの説明。", i);
    }
    mirai_buf_append_char(&body, '\0');
    struct mirai_buf encoded = encode(f, "印刷", body.data);
    mirai_buf_free(&body);
    unsigned title = level_of(&encoded, "印刷");
    unsigned heading = level_of(&encoded, "接続");
    unsigned once = level_of(&encoded, "本文");
    unsigned thrice = level_of(&encoded, "電源");
    assert_true(title > heading && heading > once && once > 0);
    assert_true(thrice > once);
    assert_true(level_of(&encoded, "\x02印刷") > 0);
    assert_true(level_of(&encoded, "再起動") > 0 || level_of(&encoded, "起動") > 0);
    mirai_buf_free(&encoded);
}

static void test_longer_texts_weigh_less(void **state)
{
    struct fixture *f = *state;
    struct mirai_buf longer = {0};
    mirai_buf_append_str(&longer, MIRAI_STR("電源。"));
    for (int i = 0; i < 500; i++) {
        mirai_buf_printf(&longer, "単語%dの説明。", i);
    }
    mirai_buf_append_char(&longer, '\0');
    struct mirai_buf a = encode(f, "", "電源。説明。");
    struct mirai_buf b = encode(f, "", longer.data);
    assert_true(level_of(&a, "電源") > level_of(&b, "電源"));
    assert_true(level_of(&b, "電源") > 0);
    mirai_buf_free(&a);
    mirai_buf_free(&b);
    mirai_buf_free(&longer);
}

static void test_many_terms(void **state)
{
    struct fixture *f = *state;
    struct mirai_buf text = {0};
    for (int i = 0; i < 30000; i++) {
        mirai_buf_printf(&text, "w%d ", i);
    }
    mirai_buf_append_char(&text, '\0');
    struct mirai_buf encoded = encode(f, "t", text.data);
    assert_true(level_of(&encoded, "w0") > 0);
    assert_true(level_of(&encoded, "w29999") > 0);
    struct mirai_buf again = encode(f, "t", text.data);
    assert_int_equal(again.len, encoded.len);
    assert_memory_equal(again.data, encoded.data, encoded.len);
    mirai_buf_free(&text);
    mirai_buf_free(&encoded);
    mirai_buf_free(&again);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SEARCH_TEST(test_fields_weigh),
        SEARCH_TEST(test_longer_texts_weigh_less),
        SEARCH_TEST(test_many_terms),
    };
    return cmocka_run_group_tests_name("search terms", tests, NULL, NULL);
}
