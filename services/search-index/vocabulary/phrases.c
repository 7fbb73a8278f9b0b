#include "services/search-index/vocabulary/phrases.h"

#include "services/search-index/terms.h"

#include <stdlib.h>

#define TOKENS_MAX 1024 /* more than a term of VOCABULARY_TERM_MAX characters has */

struct tokens {
    struct mirai_arena *arena;
    struct analyzer_token list[TOKENS_MAX]; /* in the order of their start */
    size_t len;
};

static void collect(void *data, const struct analyzer_token *token)
{
    struct tokens *tokens = data;
    if (tokens->len == TOKENS_MAX) {
        return;
    }
    size_t at = tokens->len++;
    while (at > 0 && tokens->list[at - 1].start > token->start) {
        tokens->list[at] = tokens->list[at - 1];
        at--;
    }
    tokens->list[at] = *token;
    tokens->list[at].term = mirai_arena_copy(tokens->arena, token->term);
}

/* Characters of [from, to) that are not CHAR_BREAK. */
static uint32_t letters(struct mirai_str text, size_t from, size_t to)
{
    uint32_t count = 0;
    unsigned len;
    for (size_t at = from; at < to; at += len) {
        count += char_class(utf8_decode(text.data + at, text.data + text.len, &len)) != CHAR_BREAK;
    }
    return count;
}

struct cover {
    const struct analyzer_token *chosen[TOKENS_MAX];
    size_t len;
    uint32_t letters; /* that the chosen tokens stand for */
    bool bigrams;     /* one of them is a bigram */
};

/* The token at or after `at` of a view that begins first and, of these, ends last; NULL: none. */
static const struct analyzer_token *next_token(const struct tokens *tokens, enum analyzer_view view,
                                               size_t at)
{
    const struct analyzer_token *best = NULL;
    for (size_t i = 0; i < tokens->len; i++) {
        const struct analyzer_token *token = &tokens->list[i];
        if (token->view != view || token->start < at) {
            continue;
        }
        if (best != NULL && token->start > best->start) {
            break;
        }
        if (best == NULL || token->end > best->end) {
            best = token;
        }
    }
    return best;
}

/* Words one after another. */
static void cover_words(const struct tokens *tokens, struct mirai_str text, struct cover *cover)
{
    for (size_t at = 0;;) {
        const struct analyzer_token *token = next_token(tokens, ANALYZER_WORD, at);
        if (token == NULL) {
            return;
        }
        cover->chosen[cover->len++] = token;
        cover->letters += letters(text, token->start, token->end);
        at = token->end;
    }
}

/* Bigrams one after another where there are any (the last of a run overlaps the one before when the run has an odd number of
 * characters), Latin words between them. */
static void cover_bigrams(const struct tokens *tokens, struct mirai_str text, struct cover *cover)
{
    const struct analyzer_token *skipped = NULL; /* a bigram that overlaps the chosen one before it */
    size_t at = 0;
    for (size_t i = 0; i < tokens->len; i++) {
        const struct analyzer_token *token = &tokens->list[i];
        unsigned len;
        bool latin =
            char_class(utf8_decode(text.data + token->start, text.data + text.len, &len)) == CHAR_LATIN;
        if (token->view == ANALYZER_BIGRAM && letters(text, token->start, token->end) < 2) {
            if (skipped != NULL &&
                skipped->end == token->end) { /* the run ends here: do not leave its last out */
                cover->chosen[cover->len++] = skipped;
                at = skipped->end;
            }
        } else if (token->view == ANALYZER_BIGRAM && token->start >= at) {
            cover->chosen[cover->len++] = token;
            cover->bigrams = true;
            at = token->end;
            skipped = NULL;
        } else if (token->view == ANALYZER_BIGRAM) {
            skipped = token;
        } else if (latin && token->start >= at) {
            cover->chosen[cover->len++] = next_token(tokens, ANALYZER_WORD, token->start);
            at = cover->chosen[cover->len - 1]->end;
        }
    }
}

static struct vocabulary_phrase phrase_of(const struct cover *cover, struct mirai_arena *arena,
                                          struct mirai_str text)
{
    struct vocabulary_part *parts = mirai_arena_alloc(arena, cover->len * sizeof(*parts));
    struct mirai_buf key = {0};
    for (size_t i = 0; i < cover->len; i++) {
        key.len = 0;
        terms_append_key(&key, cover->chosen[i]);
        parts[i] = (struct vocabulary_part){mirai_arena_copy(arena, mirai_buf_str(&key)),
                                            letters(text, cover->chosen[0]->start, cover->chosen[i]->start)};
    }
    mirai_buf_free(&key);
    return (struct vocabulary_phrase){parts, cover->len, text, 1, false};
}

static size_t make(struct analyzer *analyzer, struct mirai_arena *arena, struct mirai_str text, bool unknown,
                   struct vocabulary_phrase out[VOCABULARY_PHRASES_OF_TERM])
{
    struct mirai_arena scratch = {0};
    struct tokens *tokens = mirai_alloc(sizeof(*tokens));
    struct cover *words = mirai_alloc(sizeof(*words));
    struct cover *bigrams = mirai_alloc(sizeof(*bigrams));
    size_t count = 0;
    tokens->arena = &scratch;
    analyzer_run(analyzer, text, collect, tokens);
    cover_words(tokens, text, words);
    cover_bigrams(tokens, text, bigrams);
    bool whole = words->letters == letters(text, 0, text.len);
    if (words->len > 0 && (whole || !bigrams->bigrams)) {
        out[count++] = phrase_of(words, arena, text);
    }
    if (bigrams->bigrams && (unknown || !whole || words->len > 1)) {
        out[count++] = phrase_of(bigrams, arena, text);
    }
    free(bigrams);
    free(words);
    free(tokens);
    mirai_arena_free(&scratch);
    return count;
}

size_t phrases_make(struct analyzer *analyzer, struct mirai_arena *arena, struct mirai_str text,
                    struct vocabulary_phrase out[VOCABULARY_PHRASES_OF_TERM])
{
    return make(analyzer, arena, text, false, out);
}

size_t phrases_make_word(struct analyzer *analyzer, struct mirai_arena *arena, struct mirai_str text,
                         struct vocabulary_phrase out[VOCABULARY_PHRASES_OF_TERM])
{
    return make(analyzer, arena, text, true, out);
}
