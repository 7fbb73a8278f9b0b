/* From text to the terms of the index: words (MeCab, identifiers) and character bigrams, for texts and
 * queries alike. */
#ifndef SEARCH_ANALYZER_H
#define SEARCH_ANALYZER_H

#include "libcommon/str.h"
#include "services/search-index/analyzer/normalize.h"

/* Part of each index file; a file made by another version is rebuilt. Raise it when the same text gives other
 * terms. */
#define ANALYZER_VERSION 2

/* Longest term in bytes; longer runs are cut. */
#define ANALYZER_TERM_MAX 64

enum analyzer_view {
    ANALYZER_WORD,   /* base form of a content word, Latin word, identifier or a part of one */
    ANALYZER_BIGRAM, /* two neighbouring characters of text without spaces, not both hiragana; or the last one
                        of a run */
};

struct analyzer_token {
    enum analyzer_view view;
    struct mirai_str term;
    size_t start; /* bytes of the normalised text that it stands for */
    size_t end;
};

/* Runs once a token, in the order of `start` within a view. The term is lent for the call's time. */
typedef void (*analyzer_token_cb)(void *data, const struct analyzer_token *token);

struct analyzer_model;
/* Load MeCab's dictionary (mapped, shared by all threads). NULL with the reason logged. */
struct analyzer_model *analyzer_model_open(void);
void analyzer_model_close(struct analyzer_model *model);

/* One for each thread; the model must live longer. NULL when MeCab refuses. */
struct analyzer;
struct analyzer *analyzer_new(struct analyzer_model *model);
void analyzer_free(struct analyzer *analyzer);

/* Tokens of a normalised text. Time and memory are linear in its length, whatever it holds. */
void analyzer_run(struct analyzer *analyzer, struct mirai_str normalised, analyzer_token_cb callback,
                  void *data);

/* Append how a normalised text is read, in katakana: by MeCab where it knows a word, kana as they are. Latin words
 * and digits are kept, kanji that it cannot read too, and anything else between words is one space. romaji.h makes
 * hiragana and keys of it. */
void analyzer_reading(struct analyzer *analyzer, struct mirai_str normalised, struct mirai_buf *out);

/* Set marks[at] to 1 for each byte of a normalised text before which a word may begin or end: by MeCab, at the borders of
 * Latin words and around all else; 0 elsewhere. `marks` has room for normalised.len + 1. */
void analyzer_boundaries(struct analyzer *analyzer, struct mirai_str normalised, uint8_t *marks);

#endif
