/* Text as the index sees it: one spelling for what people write in many ways, with the way back to the
 * original. */
#ifndef SEARCH_NORMALIZE_H
#define SEARCH_NORMALIZE_H

#include "libcommon/str.h"

/* Longest text that is looked at; the rest of a longer one is not searchable. */
#define NORMALIZE_TEXT_MAX (1u << 20)

/* Always valid UTF-8. Zero-initialised is valid and empty; reused by the next call. */
struct normalized {
    struct mirai_buf text;
    uint32_t
        *origin; /* for each byte of text: offset of the original character; one more entry for the end */
    size_t origin_cap;
    struct mirai_buf
        upper; /* bit i % 8 of byte i / 8: text[i] was a capital of ASCII; what lies behind its end was none */
};

/* NFKC with case folding (UAX #15, UTS #46's mapping without ignorable characters), half-width kana, dashes
 * that stand for the katakana long mark, wave dashes, old kanji forms. Bytes that are not UTF-8, NULs and
 * controls (but '\n') become spaces. The same function serves texts and queries. `origins`: also fill
 * out->origin. */
void normalize(struct normalized *out, struct mirai_str in, bool origins);

/* The original bytes [*from, *to) of the normalised bytes [start, end); never empty unless the argument is.
 */
void normalized_span(const struct normalized *text, size_t start, size_t end, size_t *from, size_t *to);

void normalized_free(struct normalized *text);

enum char_class {
    CHAR_BREAK,    /* space, punctuation, symbols */
    CHAR_LATIN,    /* letters of alphabets written with spaces, and digits */
    CHAR_HIRAGANA, /* from here on: written without spaces */
    CHAR_KATAKANA, /* with the long mark */
    CHAR_HAN,
    CHAR_OTHER, /* any other letter: Hangul, Thai ... */
};

/* Class of a code point of normalised text. */
enum char_class char_class(uint32_t cp);

/* Decode the code point at p < end of valid UTF-8; *len receives its bytes. */
uint32_t utf8_decode(const char *p, const char *end, unsigned *len);

#endif
