/* One search while it runs: what the parts of answering share. */
#ifndef SEARCH_QUERY_INTERNAL_H
#define SEARCH_QUERY_INTERNAL_H

#include "services/search-index/query/source.h"

/* Alternatives of all terms together that are read. */
#define RANKED_MAX 512

/* Total and facets are exact when the query's terms have at most so many postings; above it, documents that
 * cannot be among the hits are not looked at. */
#define EXACT_POSTINGS_MAX 200000

/* After so many candidates it is looked at whether filters and rights let so few through that they had better be asked before
 * the words: the threshold stays low then, so that the words leave nothing out. */
#define SIEVE_AFTER 2000

/* Texts, and bytes of them, that one query looks through only for the total. Hits are always checked. */
#define COUNT_TEXTS_MAX 200
#define COUNT_BYTES_MAX (16u << 20)

struct ranker;
struct groups;

struct tallies {
    int64_t total;
    uint32_t types[FACET_ENUM_MAX];
    uint32_t statuses[FACET_ENUM_MAX];
    uint32_t *tags;
    size_t tags_len;
    size_t tags_cap;
    struct id_set articles; /* of several units that have been counted */
};

struct query_workspace {
    struct source_pool pool;
    struct ranker *ranker;
    struct groups *groups;
    struct top top;
    struct tallies tallies;
    struct normalized text;
    struct mirai_buf buf;
    struct query_boosts boosts;
    struct query_help help;
};

/* Owners of one name. */
#define OWNERS_MAX 8

/* A filter of the query with what its text stands for. */
struct filter {
    enum query_filter_kind kind;
    bool excluded;
    unsigned set;
    int64_t value; /* tag: its number; -1: nothing has it */
    int64_t owners[OWNERS_MAX];
    size_t owners_len;
};

#define FILTERS_MAX (QUERY_FILTERS_MAX + 11) /* with those of the request's parameters */

/* Where a page begins (page.c). */
struct page {
    size_t limit; /* hits */
    char
        kind; /* of the cursor: 0 none; 'r' within what the second stage ordered, 's' behind it, 't' by time */
    struct candidate after;
    int64_t day; /* that ages are counted from, in days since 1970 */
};

/* One query. */
struct search {
    struct index_reader *reader;
    const struct index_view *view;
    struct catalog *catalog;
    struct query_workspace *space;
    struct mirai_arena *arena;
    const struct mirai_search_query *request;
    const struct mirai_principal *principal;
    struct query query;
    struct plan plan;
    struct page page;
    struct filter filters[FILTERS_MAX];
    size_t filters_len;
    struct query_boosts boosts;
    uint32_t boost_max;   /* the most that all boosts together may add, in 1/SCORE_ONE of the words' score */
    uint64_t exact_max;   /* postings: EXACT_POSTINGS_MAX */
    size_t sieve_after;   /* SIEVE_AFTER */
    bool parts;           /* articles may have several units */
    bool scored;          /* by words; otherwise by time */
    bool exhaustive;      /* every document that passes is considered: totals are exact */
    size_t stage;         /* candidates that the second stage orders; 0: none */
    uint64_t deadline_us; /* at which the work stops */
    bool late;
    bool changed; /* a unit was replaced after the view was entered: it is missing */
    bool inexact; /* something was not counted */
    size_t texts; /* looked through so far */
    size_t texts_bytes;
    size_t considered; /* documents that the words let through */
    size_t admitted;   /* of these, by filters and rights */
    /* where the ranking is */
    size_t segment;
    uint32_t window;
};

/* query.c: plan, find and order the candidates of the page; everything but plan, filters and the parsed query's fields
 * before `plan` must be set. 0 or MIRAI_E_INVALID. */
int search_find(struct search *search);
/* Then: the hits of the page, and the cursor of the next one (empty: there is none). */
const struct candidate *search_page(struct search *search, size_t *count, struct mirai_str *next);

/* Whether the time is up; then the answer is what was found so far. */
bool search_out_of_time(struct search *search);

/* The article of a unit that lives, when filters and rights let it through; NULL otherwise. */
const struct catalog_entry *search_admits(struct search *search, const struct segment_doc *unit);

/* A document of the current segment that has `words` from its words: check it, count it, offer it to the heap. */
void consider(struct search *search, uint32_t doc, uint32_t words);

/* plan.c: look the query's terms up in the segments of the view. */
void plan_make(struct search *search);

/* rank.c */
struct ranker *ranker_new(void);
void rank(struct search *search);

/* Slot of the article that a unit belongs to. */
static inline uint32_t article_slot(const struct catalog_entry *entry, uint32_t slot)
{
    return entry->parent != 0 ? entry->parent : slot;
}

/* phrase.c: groups of phrases. */
struct groups *groups_new(void);
/* For the current segment. False: a group that must stand stands nowhere in it. */
bool groups_open(struct search *search);
/* Documents of the window that pass all groups, as far as postings tell. False: none. */
bool groups_mask(struct search *search, uint32_t from, uint32_t to, uint64_t *mask);
/* Whether a document of the window passes the groups that need its text, too. */
bool groups_check_text(struct search *search, uint32_t doc, const struct segment_doc *unit);

/* admit.c */
void filters_resolve(struct search *search); /* may set search->plan.impossible */
/* `article`: the entry of the article that a unit belongs to. */
bool filters_pass(const struct search *search, const struct catalog_entry *article);

/* boost.c: what an article's own merits add to the score of its words. */
enum boost {
    BOOST_FRESHNESS,
    BOOST_RATING,
    BOOST_VIEWS,
    BOOST_COUNT,
};
void boosts_prepare(struct search *search);
/* The sum; `parts` (may be NULL): what each boost added. */
uint32_t boosts_add(const struct search *search, const struct catalog_entry *article, uint32_t article_slot,
                    uint32_t words, uint32_t parts[BOOST_COUNT]);

/* proximity.c: how near the query's words are to each other. */
bool proximity_applies(const struct search *search);
void proximity_add(struct search *search, struct candidate *candidates, size_t len);

/* title.c: whether the query is just the title. */
bool title_applies(const struct search *search);
void title_add(struct search *search, struct candidate *candidates, size_t len);

/* facets.c */
void tallies_begin(struct search *search);
void tallies_count(struct search *search, const struct catalog_entry *article);
void facets_fill(struct search *search, struct mirai_search_facets *facets);

/* page.c */
int page_begin(struct search *search); /* 0 or MIRAI_E_INVALID: bad cursor */
struct mirai_str page_cursor(const struct search *search, const struct candidate *last, bool staged);

/* explain.c: the parts of a hit's score; their sum is the score. */
void explain(struct search *search, const struct candidate *candidate, const struct catalog_entry *article,
             struct mirai_search_hit *hit);

/* answer.c: fill the result with the hits. 0 or an error. */
int answer(struct search *search, const struct candidate *hits, size_t count,
           struct mirai_search_result *result);

#endif
