/* The words of an index, as its terms spell them (stems, spelling keys), with their readings: what a misspelt word is
 * compared with. Made now and then from the segments' dictionaries; immutable. */
#ifndef SEARCH_LEXICON_H
#define SEARCH_LEXICON_H

#include "services/search-index/analyzer/analyzer.h"
#include "services/search-index/postings/segment.h"

#include <stdatomic.h>

/* Most words; when there are more, the rarest are left out. */
#define LEXICON_WORDS_MAX 200000

/* Bytes of a word and of its key that is compared. */
#define LEXICON_WORD_MAX 48
#define LEXICON_KEY_MAX  32

enum lexicon_script {
    LEXICON_LATIN,    /* letters: the key is the word */
    LEXICON_JAPANESE, /* the key is romaji_key of the reading */
};

struct lexicon;

/* Read the dictionaries of the segments. `stop` (may be NULL) ends it early: NULL. */
struct lexicon *lexicon_build(struct segment *const *segments, size_t count, struct analyzer *analyzer,
                              const atomic_bool *stop);
struct lexicon *lexicon_retain(struct lexicon *lexicon);
void lexicon_release(struct lexicon *lexicon); /* NULL is allowed */
size_t lexicon_count(const struct lexicon *lexicon);

struct lexicon_match {
    struct mirai_str word; /* lent by the lexicon */
    uint32_t df;
    unsigned distance; /* edits between the keys */
};

struct lexicon_query {
    enum lexicon_script script;
    struct mirai_str key;
    unsigned most;         /* edits between the keys */
    struct mirai_str like; /* unless empty: only words that differ from it in one character of three bytes */
};

/* Words whose key is `most` edits (insertion, deletion, substitution, transposition of neighbours) or fewer away: the
 * nearest first, of equal ones the more frequent. Returns how many, at most `max`. */
size_t lexicon_near(const struct lexicon *lexicon, const struct lexicon_query *query,
                    struct lexicon_match *out, size_t max);

/* Edits between two strings of at most LEXICON_KEY_MAX bytes; more than `most`: most + 1. */
unsigned lexicon_distance(struct mirai_str a, struct mirai_str b, unsigned most);

#endif
