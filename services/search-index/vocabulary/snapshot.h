/* Words of the organisation and words that mean the same, at one moment: found in queries, never in texts, so that
 * a change needs no rebuild. Immutable; any thread may read. */
#ifndef SEARCH_VOCABULARY_SNAPSHOT_H
#define SEARCH_VOCABULARY_SNAPSHOT_H

#include "proto/messages.h"
#include "services/search-index/analyzer/analyzer.h"

/* Longest word or term in characters; longer ones are left out. */
#define VOCABULARY_TERM_MAX 127

/* Most phrases that one match offers. */
#define VOCABULARY_PHRASES_MAX 64

/* What a synonym counts against what was typed. */
#define VOCABULARY_SYNONYM_WEIGHT 0.8

/* One term of the index. `offset`: characters that are not CHAR_BREAK from the start of the phrase to its own, so
 * the difference of their positions in a text. */
struct vocabulary_part {
    struct mirai_str key; /* as the index knows it: a bigram begins with its mark */
    uint32_t offset;
};

/* One way in which the word may stand in a text: all parts, at their distances. */
struct vocabulary_phrase {
    const struct vocabulary_part *parts;
    size_t parts_len;
    struct mirai_str text; /* normalised: for people, for marks */
    double weight;         /* 1: what was typed */
    bool synonym;
};

struct vocabulary_match {
    size_t start; /* bytes of the query's normalised text */
    size_t end;
    bool word; /* in the dictionary: the first phrases are the word itself, as one */
    const struct vocabulary_phrase *phrases;
    size_t phrases_len;
};

/* Lent for the call, but what the phrases point to lives as long as the snapshot. */
typedef void (*vocabulary_match_cb)(void *data, const struct vocabulary_match *match);

struct vocabulary_snapshot;

/* From the store's lists; NULL or empty: nothing. Never NULL. Takes milliseconds for a thousand terms: not for the loop. */
struct vocabulary_snapshot *vocabulary_snapshot_new(struct analyzer *analyzer,
                                                    const struct mirai_synonyms_page *synonyms,
                                                    const struct mirai_dictionary_page *dictionary);
void vocabulary_snapshot_free(struct vocabulary_snapshot *snapshot);

/* Words and terms that stand in a query, from left to right, the longest where several begin, not overlapping. They stand
 * there as words: not inside of a Latin word or an identifier, nor of what MeCab takes for one word. Spaces, hyphens and
 * middle dots between the parts of a term may be any of these. Linear in the text. */
void vocabulary_expand(const struct vocabulary_snapshot *snapshot, struct analyzer *analyzer,
                       struct mirai_str normalised, vocabulary_match_cb callback, void *data);

/* Words of the dictionary with their readings (katakana; by MeCab where none is given), for suggestions and corrections. */
typedef void (*vocabulary_word_cb)(void *data, struct mirai_str surface, struct mirai_str normalised,
                                   struct mirai_str reading);
void vocabulary_each_word(const struct vocabulary_snapshot *snapshot, vocabulary_word_cb callback,
                          void *data);

size_t vocabulary_sets(const struct vocabulary_snapshot *snapshot);
size_t vocabulary_words(const struct vocabulary_snapshot *snapshot);

#endif
