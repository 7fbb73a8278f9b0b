/* Any bytes as a vocabulary and a query: first line the query, then words of the dictionary up to an empty line, then sets
 * with "=" between terms. Matches lie inside of the query, one after another, and offer phrases that can be looked for. */
#include "services/search-index/vocabulary/snapshot.h"

#include <stdlib.h>

#define LINES_MAX 64
#define TERMS_MAX 50

struct check {
    struct mirai_str text;
    size_t end;
};

static void check_match(void *data, const struct vocabulary_match *match)
{
    struct check *check = data;
    if (match->start < check->end || match->start >= match->end || match->end > check->text.len ||
        match->phrases_len == 0 || match->phrases_len > VOCABULARY_PHRASES_MAX) {
        abort();
    }
    check->end = match->end;
    for (size_t i = 0; i < match->phrases_len; i++) {
        const struct vocabulary_phrase *phrase = &match->phrases[i];
        if (phrase->parts_len == 0 || phrase->parts[0].offset != 0) {
            abort();
        }
        for (size_t j = 0; j < phrase->parts_len; j++) {
            if (phrase->parts[j].key.len == 0 ||
                (j > 0 && phrase->parts[j].offset < phrase->parts[j - 1].offset)) {
                abort();
            }
        }
    }
}

/* The text up to `sign`, and what follows it in *rest. */
static struct mirai_str cut(struct mirai_str *rest, char sign)
{
    const char *at = rest->len > 0 ? memchr(rest->data, sign, rest->len) : NULL;
    struct mirai_str part = {rest->data, at != NULL ? (size_t)(at - rest->data) : rest->len};
    size_t used = part.len + (at != NULL);
    *rest = (struct mirai_str){used > 0 ? rest->data + used : rest->data, rest->len - used};
    return part;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct analyzer_model *model;
    static struct analyzer *analyzer;
    static struct mirai_dictionary_word words[LINES_MAX];
    static struct mirai_synonyms sets[LINES_MAX];
    static struct mirai_str terms[LINES_MAX][TERMS_MAX];
    struct mirai_dictionary_page dictionary = {0};
    struct mirai_synonyms_page synonyms = {0};
    size_t words_len = 0;
    size_t sets_len = 0;
    struct mirai_str rest = {(const char *)data, size};
    if (analyzer == NULL) {
        model = analyzer_model_open();
        analyzer = analyzer_new(model);
    }
    struct mirai_str query = cut(&rest, '\n');
    for (struct mirai_str line; words_len < LINES_MAX && (line = cut(&rest, '\n')).len != 0;) {
        words[words_len] = (struct mirai_dictionary_word){0};
        mirai_set(dictionary_word, &words[words_len], surface, line);
        words_len++;
    }
    for (; sets_len < LINES_MAX && rest.len > 0; sets_len++) {
        struct mirai_str line = cut(&rest, '\n');
        size_t count = 0;
        while (count < TERMS_MAX && line.len > 0) {
            terms[sets_len][count++] = cut(&line, '=');
        }
        sets[sets_len] = (struct mirai_synonyms){0};
        mirai_set(synonyms, &sets[sets_len], terms, ((struct mirai_strs){terms[sets_len], count}));
    }
    mirai_set(dictionary_page, &dictionary, items, ((struct mirai_objects){words, words_len}));
    mirai_set(synonyms_page, &synonyms, items, ((struct mirai_objects){sets, sets_len}));
    struct vocabulary_snapshot *snapshot = vocabulary_snapshot_new(analyzer, &synonyms, &dictionary);
    struct normalized text = {0};
    normalize(&text, query, false);
    struct check check = {.text = mirai_buf_str(&text.text)};
    vocabulary_expand(snapshot, analyzer, check.text, check_match, &check);
    normalized_free(&text);
    vocabulary_snapshot_free(snapshot);
    return 0;
}
