/* Answering a search: parse what was typed, score by the sum of two BM25 views, filter by what may be seen,
 * page. */
#ifndef SEARCH_QUERY_H
#define SEARCH_QUERY_H

#include "services/search-index/index.h"
#include "services/search-index/vocabulary/snapshot.h"

/* Bounds of what is taken from a query; the rest of a longer one is ignored. */
#define QUERY_CHARS_MAX        1000
#define QUERY_TERMS_MAX        64 /* for each view */
#define QUERY_ALTERNATIVES_MAX 16 /* of a term */
#define QUERY_PARTS_MAX        32 /* of an alternative */
#define QUERY_GROUPS_MAX       16
#define QUERY_PHRASES_MAX      16 /* of a group */
#define QUERY_FILTERS_MAX      32
#define QUERY_MARKS_MAX        64

/* One term of the index. */
struct query_part {
    struct mirai_str key; /* as in the index: bigrams begin with their mark */
    uint32_t offset;      /* position after that of the first part of its alternative or phrase */
    bool prefix;          /* any term that begins so */
};

/* One way in which a term may stand in a text: a single part, or several that stand as their offsets say. */
struct query_alternative {
    struct query_part *parts;
    size_t parts_len;
    double weight;         /* 1: as typed; synonyms less */
    struct mirai_str text; /* for people */
    bool synonym;
};

/* What is scored: the best alternative of a document counts. */
struct query_term {
    struct query_alternative *alternatives;
    size_t alternatives_len;
    enum analyzer_view view;
    double weight;
    uint32_t position; /* in the query, counted as positions in texts are: for proximity */
    struct mirai_str text;
};

/* A string that stands in a text. `exact`: its parts at their offsets say as much as the text itself;
 * otherwise what has all parts is looked at for `text`. */
struct query_phrase {
    struct query_part *parts;
    size_t parts_len;
    struct mirai_str text; /* normalised */
    bool exact;
    bool title_only;
};

/* Passes when any of its phrases stands, or, excluded, when none does. */
struct query_group {
    bool excluded;
    struct query_phrase *phrases;
    size_t phrases_len;
};

enum query_filter_kind {
    QUERY_FILTER_TAG,
    QUERY_FILTER_TYPE,
    QUERY_FILTER_STATUS,
    QUERY_FILTER_AUTHOR,
    QUERY_FILTER_BEFORE,
    QUERY_FILTER_AFTER,
};

struct query_filter {
    enum query_filter_kind kind;
    bool excluded;
    unsigned set;          /* filters of one set are alternatives: one that passes is enough */
    struct mirai_str text; /* tag, author: normalised */
    int64_t value;         /* type, status: index of the enumeration, -1: no such value, nothing has it;
                              before, after: a time as in updated_at */
};

/* A parsed query. Its memory belongs to the arena given to query_parse. */
struct query {
    struct query_term *terms;
    size_t terms_len;
    struct query_group *groups;
    size_t groups_len;
    struct query_filter *filters; /* ordered by set */
    size_t filters_len;
    struct mirai_str *marks; /* normalised strings to highlight */
    size_t marks_len;
    struct mirai_search_understood understood;
    struct mirai_str title_key; /* the typed words normalised, without what is CHAR_BREAK: for the boost of a
                                   title that is just that */
};

/* Never fails: whatever was typed is some query. `vocabulary` (NULL: none) must be held while the query is in use. */
void query_parse(struct analyzer *analyzer, const struct vocabulary_snapshot *vocabulary,
                 struct mirai_str text, struct mirai_arena *arena, struct query *query);

/* What may be added to the score of the words, in percent of it (proximity: of its usual share); 0: off. */
struct query_boosts {
    unsigned freshness;
    unsigned half_life_days; /* after which half of the freshness is left */
    unsigned rating;
    unsigned views; /* and clicks */
    unsigned title; /* that is just the query */
    unsigned proximity;
};

/* What a thread needs to answer; kept between queries. */
struct query_workspace;
struct query_workspace *query_workspace_new(void);
void query_workspace_free(struct query_workspace *workspace);
void query_workspace_boost(struct query_workspace *workspace,
                           const struct query_boosts *boosts); /* default: none */

/* What a query is understood and corrected by. Held by the caller until the result is encoded. */
struct query_help {
    const struct vocabulary_snapshot *vocabulary; /* NULL: none */
    const struct lexicon *lexicon;                /* NULL: none, no corrections */
};
void query_workspace_help(struct query_workspace *workspace, const struct query_help *help);

/* Answer `request` as `principal` into *result (memory from arena; took_ms is left to the caller).
 * `deadline_us`: mirai_monotonic_us() at which to give up. 0, MIRAI_E_INVALID (bad cursor), MIRAI_E_DEADLINE,
 * or what index_fault says. */
int query_run(struct index_reader *reader, struct query_workspace *workspace, struct analyzer *analyzer,
              const struct mirai_search_query *request, const struct mirai_principal *principal,
              uint64_t deadline_us, struct mirai_arena *arena, struct mirai_search_result *result);

/* The best passage of `body` (Markdown or plain text, valid UTF-8) as HTML-escaped text with <mark>; the beginning when
 * nothing of the query stands there. Time is bounded whatever its length. */
struct mirai_str snippet_make(const struct query *query, struct mirai_str body, struct mirai_arena *arena);
/* The whole title in the same way. */
struct mirai_str snippet_title(const struct query *query, struct mirai_str title, struct mirai_arena *arena);

#endif
