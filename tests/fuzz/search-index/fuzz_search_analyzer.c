/* Any bytes as an article: normalised text is valid UTF-8 with offsets that lead back, tokens lie inside of
 * it, the encoding is the same each time. */
#include "services/search-index/terms.h"

#include <stdlib.h>

struct check {
    struct mirai_str text;
};

static void check_token(void *data, const struct analyzer_token *token)
{
    const struct check *check = data;
    if (token->start >= token->end || token->end > check->text.len || token->term.len == 0 ||
        token->term.len > ANALYZER_TERM_MAX || memchr(token->term.data, ' ', token->term.len) != NULL ||
        memchr(token->term.data, '\n', token->term.len) != NULL || !mirai_utf8_valid(token->term)) {
        abort();
    }
}

static void check_normalized(struct analyzer *analyzer, struct mirai_str in)
{
    struct normalized text = {0};
    normalize(&text, in, true);
    struct check check = {mirai_buf_str(&text.text)};
    if (!mirai_utf8_valid(check.text) || memchr(check.text.data, '\0', check.text.len) != NULL) {
        abort();
    }
    for (size_t i = 0; i < text.text.len; i++) {
        if (text.origin[i] > text.origin[i + 1] || text.origin[i] >= in.len) {
            abort();
        }
    }
    analyzer_run(analyzer, check.text, check_token, &check);
    normalized_free(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct analyzer_model *model;
    static struct analyzer *analyzer;
    static struct terms *terms;
    if (analyzer == NULL) {
        model = analyzer_model_open();
        analyzer = analyzer_new(model);
        terms = terms_new(analyzer);
    }
    struct mirai_str in = {(const char *)data, size};
    struct mirai_buf encoded[2] = {{0}, {0}};
    check_normalized(analyzer, in);
    for (int i = 0; i < 2; i++) {
        terms_clear(terms);
        terms_add(terms, TERMS_TITLE, in);
        terms_add_markdown(terms, in);
        terms_encode(terms, &encoded[i]);
    }
    if (encoded[0].len != encoded[1].len ||
        (encoded[0].len != 0 && memcmp(encoded[0].data, encoded[1].data, encoded[0].len) != 0)) {
        abort();
    }
    mirai_buf_free(&encoded[0]);
    mirai_buf_free(&encoded[1]);
    return 0;
}
