/* What one principal may see of the index: what is suggested and corrected must occur there. */
#ifndef SEARCH_VIEWER_H
#define SEARCH_VIEWER_H

#include "services/search-index/catalog.h"
#include "services/search-index/postings/segment.h"

/* Lent for the time in which its view is entered. */
struct viewer {
    struct segment *const *segments;
    size_t segments_len;
    const struct catalog *catalog;
    const struct mirai_principal *principal;
};

/* The article of a unit when the unit lives and the principal may see it; NULL otherwise. */
const struct catalog_entry *viewer_sees(const struct viewer *viewer, const struct segment_doc *doc);

/* Documents that have the term, whether they may be seen or not, replaced ones included. */
uint64_t viewer_df(const struct viewer *viewer, struct mirai_str key);

/* Documents that the principal may see and that have all `keys` (at most VIEWER_KEYS_MAX; more are ignored): the first
 * ones, at most `max`, into `out`. Returns how many; after `budget` postings of the rarest key: those found so far. */
#define VIEWER_KEYS_MAX 16
size_t viewer_find(const struct viewer *viewer, const struct mirai_str *keys, size_t count, size_t budget,
                   struct segment_doc *out, size_t max);

/* Whether there is any. */
bool viewer_finds(const struct viewer *viewer, const struct mirai_str *keys, size_t count, size_t budget);

#endif
