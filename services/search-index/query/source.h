/* Where the postings of a term's alternative or of a phrase come from, within one segment: a list of the index,
 * several lists that meet by their positions, or all lists that begin so, made into one. Read forward only. */
#ifndef SEARCH_QUERY_SOURCE_H
#define SEARCH_QUERY_SOURCE_H

#include "services/search-index/query/search.h"

/* Postings of all terms that begin with a prefix that one query may look at; the most frequent terms come first. */
#define PREFIX_POSTINGS_MAX 1000000

/* Prefixes in one query. */
#define PREFIXES_MAX 8

/* Lists that one query may have open. */
#define LISTS_MAX 1024

/* Positions of one term in one document that are looked at. */
#define POSITIONS_MAX 8192

/* One list of the index. */
struct list {
    struct segment_cursor cursor;
    uint32_t offset; /* of the part in its phrase */
    bool ended;
};

struct source {
    struct list *lists; /* the rarest first */
    size_t lists_len;
    uint8_t *levels; /* a level for each document of the segment instead of lists (a prefix), or NULL */
    uint8_t max_level;
    uint32_t df; /* of the first list */
    /* upper bounds of windows */
    struct segment_cursor scout;
    bool scout_ended;
};

/* Memory for the sources of one segment at a time; kept between queries. */
struct source_pool {
    struct list *lists;
    size_t lists_len;
    uint8_t *levels[PREFIXES_MAX];
    size_t levels_caps[PREFIXES_MAX];
    size_t levels_len;
    size_t prefix_postings; /* of the query so far */
    bool cut;               /* a bound was met: not all was looked at */
    uint32_t *starts;       /* POSITIONS_MAX */
    uint32_t *positions;    /* POSITIONS_MAX */
};

void source_pool_begin(struct source_pool *pool);   /* a query */
void source_pool_segment(struct source_pool *pool); /* a segment: earlier sources end */
void source_pool_free(struct source_pool *pool);

/* Open the parts of an alternative or phrase in segment number `at`; false: it stands nowhere in it. */
bool source_open(struct source *source, struct source_pool *pool, const struct segment *segment, size_t at,
                 const struct plan_part *parts, size_t parts_len, bool prefix);

/* Greatest level in documents from <= doc < to, or more. Windows in ascending order. */
uint8_t source_bound(struct source *source, uint32_t from, uint32_t to);

/* Set levels[doc - from] to the greater of itself and the source's level, and the bit of each document that has
 * one. Windows in ascending order. */
void source_mark(struct source *source, struct source_pool *pool, uint32_t from, uint32_t to, uint8_t *levels,
                 uint64_t *bits);

/* Add gain * level to sums[doc - from]; only of a source that is plain. */
void source_add(struct source *source, uint32_t from, uint32_t to, uint32_t gain, uint32_t *sums,
                uint64_t *bits);

static inline bool source_is_plain(const struct source *source)
{
    return source->lists_len == 1;
}

/* Postings that are read in a window of so many of the segment's documents, on average; each position that must be looked
 * at counts as some. */
size_t source_cost(const struct source *source, uint32_t documents, uint32_t window);

/* The level in `doc`, or 0; also 0 when it cannot be `least`. Documents in ascending order, not below the last
 * window that was marked or added. */
uint8_t source_lookup(struct source *source, struct source_pool *pool, uint32_t doc, uint8_t least);

/* Positions of the rarest part where the source stands in `doc`, ascending; none of a prefix. Documents in ascending
 * order. */
size_t source_positions(struct source *source, struct source_pool *pool, uint32_t doc, uint32_t *out,
                        size_t max);

#endif
