/* Finds the words of a table in a text, in one pass over it. */
#ifndef SEARCH_INSIGHT_PHRASES_H
#define SEARCH_INSIGHT_PHRASES_H

#include "services/search-index/analyzer/normalize.h"

struct phrase_set;

/* An empty set. Phrases are added before the first search; from then on any thread may search. */
struct phrase_set *phrase_set_new(void);
void phrase_set_free(struct phrase_set *set);

/* Add all of "切り戻し|切戻し|roll back|rollback*": separated by '|'; a Latin word must stand alone unless it
 * ends with '*'. Each has at least three bytes. `id` is given back when it is found. */
void phrase_set_add(struct phrase_set *set, const char *phrases, uint32_t id);

struct phrase_match {
    uint32_t id;
    size_t start; /* bytes of the text */
    size_t len;
};
typedef void (*phrase_cb)(void *data, const struct phrase_match *match);

/* Find in a normalised text, from left to right the longest ones, none within another; a phrase that was added
 * several times is found under each id. */
void phrase_set_find(const struct phrase_set *set, struct mirai_str normalised, phrase_cb callback,
                     void *data);

#endif
