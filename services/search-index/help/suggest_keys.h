/* What a document can be suggested by: terms of its segment beside those of its text. The index thereby keeps them as
 * it keeps words: compressed, merged, gone with the document. */
#ifndef SEARCH_SUGGEST_KEYS_H
#define SEARCH_SUGGEST_KEYS_H

#include "services/search-index/analyzer/analyzer.h"

/* First bytes of these terms. Behind it one of enum suggest_form, then the key. The level says how well: a whole title
 * before one from a word on, short ones before long ones. */
#define SUGGEST_TITLE_MARK '\x03'
#define SUGGEST_TAG_MARK   '\x04'

enum suggest_form {
    SUGGEST_TEXT = 't',         /* normalised, without spaces and signs */
    SUGGEST_READING = 'r',      /* romaji_key of the reading */
    SUGGEST_TEXT_EDGE = 'e',    /* the same two cut to so few characters that many have them: one list, */
    SUGGEST_READING_EDGE = 'f', /* whose levels tell where the best are */
};

/* Longest keys in bytes; what was typed is cut to the same length. */
#define SUGGEST_TEXT_MAX    36
#define SUGGEST_READING_MAX 20

/* Characters of an edge: each number from 1 on. */
#define SUGGEST_TEXT_EDGES    2
#define SUGGEST_READING_EDGES 3

/* Longest name of a tag in its terms (bytes, normalised): behind the key and '\x01'. */
#define SUGGEST_TAG_MAX 40

struct suggest_keys;
struct suggest_keys *suggest_keys_new(struct analyzer *analyzer);
void suggest_keys_free(struct suggest_keys *keys);

/* Append the terms of a title and of tags (one a line) to what terms_encode made of the same document. */
void suggest_keys_append(struct suggest_keys *keys, struct mirai_str title, struct mirai_str tags,
                         struct mirai_buf *encoded);

/* What was typed as a key: appends to `out`. SUGGEST_TEXT or SUGGEST_READING. */
void suggest_key(struct analyzer *analyzer, enum suggest_form form, struct mirai_str normalised,
                 struct mirai_buf *out);

/* The first `chars` characters of a key; shorter than the key only if it has more. */
struct mirai_str suggest_key_prefix(struct mirai_str key, size_t chars);

#endif
