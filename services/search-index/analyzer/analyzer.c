#include "services/search-index/analyzer/analyzer.h"

#include "services/search-index/analyzer/latin.h"
#include "services/search-index/analyzer/words.h"

#include <stdlib.h>

struct analyzer_model {
    mecab_model_t *mecab;
};

struct analyzer {
    struct words *words;
};

struct analyzer_model *analyzer_model_open(void)
{
    mecab_model_t *mecab = words_model_open();
    if (mecab == NULL) {
        return NULL;
    }
    struct analyzer_model *model = mirai_alloc(sizeof(*model));
    model->mecab = mecab;
    return model;
}

void analyzer_model_close(struct analyzer_model *model)
{
    if (model != NULL) {
        mecab_model_destroy(model->mecab);
        free(model);
    }
}

struct analyzer *analyzer_new(struct analyzer_model *model)
{
    struct analyzer *analyzer = mirai_alloc(sizeof(*analyzer));
    analyzer->words = words_new(model->mecab);
    if (analyzer->words == NULL) {
        free(analyzer);
        return NULL;
    }
    return analyzer;
}

void analyzer_free(struct analyzer *analyzer)
{
    if (analyzer != NULL) {
        words_free(analyzer->words);
        free(analyzer);
    }
}

/* Each pair of neighbours but those of hiragana alone, which are endings and particles; and the run's last
 * character, so that every single character is the beginning of a term. */
static void bigrams_run(struct mirai_str text, size_t start, size_t end, analyzer_token_cb callback,
                        void *data)
{
    const char *limit = text.data + end;
    unsigned len;
    enum char_class class = char_class(utf8_decode(text.data + start, limit, &len));
    for (size_t at = start; at < end;) {
        size_t next = at + len;
        unsigned next_len = 0;
        enum char_class next_class =
            next < end ? char_class(utf8_decode(text.data + next, limit, &next_len)) : CHAR_HIRAGANA;
        if (class != CHAR_HIRAGANA || next_class != CHAR_HIRAGANA) {
            size_t stop = next + next_len;
            const struct analyzer_token token = {ANALYZER_BIGRAM, {text.data + at, stop - at}, at, stop};
            callback(data, &token);
        }
        at = next;
        len = next_len;
        class = next_class;
    }
}

void analyzer_run(struct analyzer *analyzer, struct mirai_str normalised, analyzer_token_cb callback,
                  void *data)
{
    const char *end = normalised.data + normalised.len;
    for (size_t at = 0; at < normalised.len;) {
        unsigned len;
        enum char_class class = char_class(utf8_decode(normalised.data + at, end, &len));
        if (class == CHAR_BREAK) {
            at += len;
        } else if (class == CHAR_LATIN) {
            at = latin_run(normalised, at, callback, data);
        } else {
            size_t start = at;
            do {
                at += len;
            } while (at < normalised.len &&
                     char_class(utf8_decode(normalised.data + at, end, &len)) >= CHAR_HIRAGANA);
            words_run(analyzer->words, normalised, start, at, callback, data);
            bigrams_run(normalised, start, at, callback, data);
        }
    }
}

void analyzer_reading(struct analyzer *analyzer, struct mirai_str normalised, struct mirai_buf *out)
{
    const char *end = normalised.data + normalised.len;
    bool gap = false;
    bool begun = false;
    for (size_t at = 0; at < normalised.len;) {
        unsigned len;
        enum char_class class = char_class(utf8_decode(normalised.data + at, end, &len));
        if (class == CHAR_BREAK) {
            gap = begun;
            at += len;
            continue;
        }
        if (gap) {
            mirai_buf_append_char(out, ' ');
            gap = false;
        }
        begun = true;
        size_t start = at;
        bool latin = class == CHAR_LATIN;
        do {
            at += len;
            class =
                at < normalised.len ? char_class(utf8_decode(normalised.data + at, end, &len)) : CHAR_BREAK;
        } while (class != CHAR_BREAK && (class == CHAR_LATIN) == latin);
        if (latin) {
            mirai_buf_append(out, normalised.data + start, at - start);
        } else {
            words_reading(analyzer->words, normalised, start, at, out);
        }
    }
}

void analyzer_boundaries(struct analyzer *analyzer, struct mirai_str normalised, uint8_t *marks)
{
    const char *end = normalised.data + normalised.len;
    enum char_class before = CHAR_BREAK;
    memset(marks, 0, normalised.len + 1);
    marks[normalised.len] = 1;
    for (size_t at = 0; at < normalised.len;) {
        unsigned len;
        enum char_class class = char_class(utf8_decode(normalised.data + at, end, &len));
        if (class <= CHAR_LATIN) {
            marks[at] = class == CHAR_BREAK || before != CHAR_LATIN;
            before = class;
            at += len;
            continue;
        }
        size_t start = at;
        do {
            at += len;
        } while (at < normalised.len &&
                 char_class(utf8_decode(normalised.data + at, end, &len)) >= CHAR_HIRAGANA);
        words_boundaries(analyzer->words, normalised, start, at, marks);
        before = CHAR_OTHER;
    }
}
