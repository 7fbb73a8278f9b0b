/* One search while it runs: what its parts (plan, rank, phrase, filter, facets, page, answer ...) share. */
#ifndef SEARCH_QUERY_SEARCH_H
#define SEARCH_QUERY_SEARCH_H

#include "services/search-index/postings/segment.h"
#include "services/search-index/query/query.h"

/* Scores are whole numbers of 1/SCORE_ONE. Sums of floating point numbers depend on the order in which they are
 * made, and which terms are added first depends on the page that is asked for: with whole numbers a document has
 * one score, so pages neither overlap nor skip. */
#define SCORE_ONE 65536

/* No sum of QUERY_TERMS_MAX * 2 terms leaves 31 bits. */
#define GAIN_MAX 266305 /* 2^24 / SEGMENT_LEVELS */

/* Documents of a segment are ranked in windows of so many (4,096 sums of 4 bytes stay in the first-level cache). */
#define WINDOW       4096
#define WINDOW_WORDS (WINDOW / 64)

/* Most hits of a page. */
#define HITS_MAX 100

/* Candidates whose order the second stage decides. */
#define SECOND_STAGE_MAX 50

/* Candidates kept above what a page needs, for articles that turn out to have been shown (top.h). */
#define TOP_SLACK 64
#define TOP_MAX   (SECOND_STAGE_MAX + HITS_MAX + 1 + TOP_SLACK)

/* More than the values of any enumeration that is counted. */
#define FACET_ENUM_MAX 16

struct candidate {
    int64_t score; /* in 1/SCORE_ONE; or the time of the last save, when there are no words */
    int64_t id;    /* of the article */
    uint32_t slot; /* of the unit in the catalogue */
    uint32_t segment;
    uint32_t doc;   /* in the segment */
    uint32_t words; /* part of the score: from the words */
    uint32_t near;  /* from proximity */
    uint32_t title; /* from a title that is just the query */
};

/* Higher score first, then higher id: newer articles. A total order. */
static inline bool candidate_better(const struct candidate *a, const struct candidate *b)
{
    return a->score != b->score ? a->score > b->score : a->id > b->id;
}

/* A set of article ids. */
struct id_set {
    int64_t *slots; /* open addressing; 0: free */
    size_t len;
    size_t cap;
};
bool id_set_add(struct id_set *set, int64_t id); /* false: it was there */
bool id_set_has(const struct id_set *set, int64_t id);
void id_set_clear(struct id_set *set);
void id_set_free(struct id_set *set);

/* The best candidates, each article once with its best unit; a heap with the worst one on top. */
struct top {
    struct candidate items[TOP_MAX];
    size_t len;
    size_t max;
    bool has_after; /* only what is worse than `after` */
    struct candidate after;
    struct id_set shown; /* articles of several units that have one not worse than `after` */
    size_t removed;      /* articles that were in the heap when such a unit came */
};

/* Empty, but the set of shown articles is kept: clear it before the first of several passes. */
void top_begin(struct top *top, size_t max, const struct candidate *after);
/* `several`: the article may have other units. */
void top_offer(struct top *top, const struct candidate *candidate, bool several);
/* What a candidate's score must be at least; 0 while there is room. */
static inline int64_t top_least(const struct top *top)
{
    return top->len < top->max ? 0 : top->items[0].score;
}
void top_sort(struct top *top); /* best first */

/* A key in all segments, found once. */
struct plan_part {
    const struct query_part *part;
    struct segment_term *terms; /* one for each segment; df 0: not there */
    uint64_t df;                /* over all segments, replaced documents included */
};

/* An alternative of a term that has at least one posting. */
struct plan_alternative {
    struct plan_part *parts; /* the rarest first */
    size_t parts_len;
    const struct query_alternative *from;
    uint32_t gain; /* of one level */
    bool prefix;   /* one part: all terms that begin so */
};

struct plan_term {
    struct plan_alternative *alternatives;
    size_t alternatives_len;
    const struct query_term *from;
};

struct plan_phrase {
    struct plan_part *parts; /* the rarest first */
    size_t parts_len;
    const struct query_phrase *from;
    bool prefix;
    bool exact;    /* positions decide, not the text */
    bool anywhere; /* no terms: only the text decides */
};

struct plan_group {
    struct plan_phrase *phrases;
    size_t phrases_len;
    bool excluded;
    bool inexact; /* texts decide */
};

struct plan {
    struct plan_term *terms;
    size_t terms_len;
    struct plan_group *groups;
    size_t groups_len;
    uint64_t postings; /* of all terms */
    uint64_t
        required; /* postings that lead to what has all groups that must stand; UINT64_MAX: there are none */
    bool inexact; /* some group needs the texts */
    bool impossible; /* a group that nothing has */
};

#endif
