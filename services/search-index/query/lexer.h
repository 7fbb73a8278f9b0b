/* The query language cut into words, phrases, filters and operators. What it means is said in parse.c; here is only
 * what belongs together. */
#ifndef SEARCH_QUERY_LEXER_H
#define SEARCH_QUERY_LEXER_H

#include "libcommon/str.h"

#include <stdbool.h>

enum query_key {
    QUERY_KEY_TAG,
    QUERY_KEY_TYPE,
    QUERY_KEY_STATUS,
    QUERY_KEY_AUTHOR,
    QUERY_KEY_TITLE,
    QUERY_KEY_BEFORE, /* before: up to the beginning of the moment, */
    QUERY_KEY_UNTIL,  /* 以前: with it, as the word says in Japanese */
    QUERY_KEY_AFTER,  /* after: 以降: from its beginning on */
};

/* The English name of a key, as answers tell it. */
const char *query_key_name(enum query_key key);

enum lexeme_kind {
    LEXEME_WORD,   /* a run without spaces, which may be a whole sentence of Japanese */
    LEXEME_PHRASE, /* between quotation marks */
    LEXEME_FILTER, /* key:value */
};

/* Slices of the text that was given: original spelling. */
struct lexeme {
    enum lexeme_kind kind;
    bool excluded;          /* -x, NOT x */
    bool alternative;       /* x OR this */
    enum query_key key;     /* of a filter */
    struct mirai_str text;  /* the word, between the quotation marks, the filter's value */
    struct mirai_str whole; /* with key and marks */
};

struct lexer {
    struct mirai_str rest;
    bool unclosed; /* a quotation mark without its partner was met: no other is looked for */
};

/* `text`: any bytes. Linear in its length over all calls. */
void lexer_begin(struct lexer *lexer, struct mirai_str text);
bool lexer_next(struct lexer *lexer, struct lexeme *out); /* false: the end */

#endif
