/* One search while it runs: shared by finding (query.c) and answering (query_answer.c). */
#ifndef SEARCH_QUERY_INTERNAL_H
#define SEARCH_QUERY_INTERNAL_H

#include "services/search-index/query/query.h"

#define HITS_MAX 100

/* More than the values of any enumeration that is counted. */
#define FACET_ENUM_MAX 16

struct posting {
    uint32_t doc;
    uint8_t level;
};

/* Per document while a query runs. */
struct slot {
    float score;
    uint16_t parts;  /* of the group that is looked at, in a row */
    uint8_t phrases; /* quoted phrases whose words it has */
    bool excluded;
    bool touched;
};

struct candidate {
    double score; /* or the time of the last save, when there are no words */
    int64_t id;
    uint32_t doc;
};

struct query_workspace {
    struct slot *slots;
    uint32_t slots_cap;
    uint32_t *touched;
    size_t touched_len;
    size_t touched_cap;
    struct posting *list; /* postings of the current term */
    size_t list_len;
    size_t list_cap;
    uint32_t *tag_counts;
    uint32_t tag_counts_cap;
    struct normalized text;
    struct mirai_buf buf;
};

/* One query. */
struct search {
    struct index_reader *reader;
    struct catalog *catalog;
    const struct index_view *view;
    struct query_workspace *space;
    const struct mirai_search_query *request;
    const struct mirai_principal *principal;
    struct query query;
    uint32_t limit; /* documents are below */
    uint64_t deadline_us;
    size_t term; /* whose postings are in space->list */
    size_t seen;
    /* filters */
    uint32_t tags[QUERY_FILTERS_MAX + 10];
    size_t tags_len;
    int type; /* -1: any */
    int status;
    bool impossible; /* a filter that nothing can pass */
    size_t phrases;
    size_t phrase_checks;
    size_t phrase_bytes;
    bool late; /* the deadline passed */
    /* outcome */
    int64_t total;
    uint32_t types[FACET_ENUM_MAX];
    uint32_t statuses[FACET_ENUM_MAX];
    struct candidate heap[HITS_MAX + 1]; /* the worst one on top */
    size_t heap_len;
    size_t heap_max; /* one more than the page: tells whether there is a next page */
    bool has_cursor;
    struct candidate cursor;
};

/* Higher score first, then higher id: newer articles. A total order, so that pages neither overlap nor skip.
 */
bool query_better(const struct candidate *a, const struct candidate *b);

/* The cursor of a request, of a search by words (scored) or of all articles by time. 0 or MIRAI_E_INVALID. */
int query_cursor_decode(struct mirai_str cursor, bool scored, struct candidate *out);

/* Fill the result from what was found: total, facets, hits, next_cursor. 0 or an error. */
int query_answer(struct search *search, struct mirai_arena *arena, struct mirai_search_result *result);

#endif
