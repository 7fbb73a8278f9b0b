/* Any bytes as an article: normalised text is valid UTF-8 with offsets that lead back, tokens lie inside of it in the order
 * of their start, what is remembered of earlier texts changes none, the encoding is the same each time; readings and
 * Roman letters are valid UTF-8. */
#include "services/search-index/analyzer/romaji.h"
#include "services/search-index/terms.h"

#include <stdlib.h>

struct check {
    struct mirai_str text;
    size_t start[2]; /* of the last token, by view */
    size_t count;
    uint32_t sum; /* of all terms */
};

static void check_token(void *data, const struct analyzer_token *token)
{
    struct check *check = data;
    if (token->start >= token->end || token->end > check->text.len || token->term.len == 0 ||
        token->term.len > ANALYZER_TERM_MAX || memchr(token->term.data, ' ', token->term.len) != NULL ||
        memchr(token->term.data, '\n', token->term.len) != NULL || !mirai_utf8_valid(token->term) ||
        token->start < check->start[token->view] || ++check->count > 8 * check->text.len) {
        abort();
    }
    check->start[token->view] = token->start;
    for (size_t i = 0; i < token->term.len; i++) {
        check->sum = check->sum * 31 + (unsigned char)token->term.data[i];
    }
}

static void check_readings(struct analyzer *analyzer, struct mirai_str text)
{
    struct mirai_buf out[4] = {{0}, {0}, {0}, {0}};
    uint8_t *marks = mirai_alloc(text.len + 1);
    analyzer_boundaries(analyzer, text, marks);
    analyzer_reading(analyzer, text, &out[0]);
    romaji_to_kana(text, &out[1]);
    kana_to_romaji(mirai_buf_str(&out[0]), ROMAJI_HEPBURN, &out[2]);
    romaji_key(text, &out[3]);
    for (int i = 0; i < 4; i++) {
        if (!mirai_utf8_valid(mirai_buf_str(&out[i])) || out[i].len > 64 * (text.len + 1)) {
            abort();
        }
        mirai_buf_free(&out[i]);
    }
    free(marks);
}

static void check_normalized(struct analyzer *analyzer, struct mirai_str in)
{
    struct normalized text = {0};
    normalize(&text, in, true);
    struct check check = {.text = mirai_buf_str(&text.text)};
    if (!mirai_utf8_valid(check.text) || memchr(check.text.data, '\0', check.text.len) != NULL) {
        abort();
    }
    for (size_t i = 0; i < text.text.len; i++) {
        if (text.origin[i] > text.origin[i + 1] || text.origin[i] >= in.len) {
            abort();
        }
    }
    analyzer_run_text(analyzer, &text, check_token, &check);
    struct check again = {.text = check.text};
    analyzer_run_text(analyzer, &text, check_token, &again);
    if (again.sum != check.sum || again.count != check.count) {
        abort();
    }
    check_readings(analyzer, check.text);
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
