/* The words and phrases of a query as terms of the index. */
#ifndef SEARCH_QUERY_BUILD_H
#define SEARCH_QUERY_BUILD_H

#include "services/search-index/query/query.h"

struct build {
    struct analyzer *analyzer;
    struct mirai_arena *arena;
    struct query *query; /* terms and marks are appended to it */
    size_t counts[2];    /* terms by view */
    bool cut;            /* there were more terms than a query may have */
    /* while a text is analysed */
    struct mirai_str text;
    uint32_t *positions; /* for each byte of it */
    struct query_phrase *phrase;
};

/* Append the terms of a normalised text of the arena: what is scored. */
void build_terms(struct build *build, struct mirai_str text);

/* Let words of the dictionary stand as one, and what means the same count, too. After build_terms of the same text. */
void build_vocabulary(struct build *build, const struct vocabulary_snapshot *vocabulary,
                      struct mirai_str text);

/* The parts of `text` (normalised, of the arena) as a phrase. One without parts can only be found by looking at
 * texts. */
struct query_phrase build_phrase(struct build *build, struct mirai_str text);

/* A string to highlight (of the arena). */
void build_mark(struct build *build, struct mirai_str mark);

#endif
