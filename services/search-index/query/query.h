/* Answering a search: parse what was typed, score by the sum of two BM25 views, filter by what may be seen,
 * page. */
#ifndef SEARCH_QUERY_H
#define SEARCH_QUERY_H

#include "services/search-index/index.h"

/* Bounds of what is taken from a query; the rest of a longer one is ignored. */
#define QUERY_CHARS_MAX  1000
#define QUERY_TERMS_MAX  64 /* for each view */
#define QUERY_GROUPS_MAX 16
#define QUERY_TAGS_MAX   16

struct query_term {
    struct postings_term posting;
    double weight;
};

/* "a phrase" that must stand in the text, or -word (-"phrase") that must not. */
struct query_group {
    bool excluded;
    struct mirai_str text; /* normalised */
    struct postings_term *terms;
    size_t terms_len;
};

/* A parsed query. Its memory belongs to the arena given to query_parse. */
struct query {
    struct query_term terms[2 * QUERY_TERMS_MAX];
    size_t terms_len;
    struct query_group groups[QUERY_GROUPS_MAX];
    size_t groups_len;
    struct mirai_str marks[QUERY_TERMS_MAX]; /* normalised strings to highlight */
    size_t marks_len;
    /* tag:x type:y status:z inside of the text; type and status are -1 when absent, -2 when no such value
     * exists */
    struct mirai_str tags[QUERY_TAGS_MAX]; /* normalised */
    size_t tags_len;
    int type;
    int status;
};

/* Never fails: whatever was typed is some query. */
void query_parse(struct analyzer *analyzer, struct mirai_str text, struct mirai_arena *arena,
                 struct query *query);

/* What a thread needs to answer; kept between queries. */
struct query_workspace;
struct query_workspace *query_workspace_new(void);
void query_workspace_free(struct query_workspace *workspace);

/* Answer `request` as `principal` into *result (memory from arena; took_ms is left to the caller).
 * `deadline_us`: mirai_monotonic_us() at which to give up. 0, MIRAI_E_INVALID (bad cursor), MIRAI_E_DEADLINE,
 * or what index_fault says. */
int query_run(struct index_reader *reader, struct query_workspace *workspace, struct analyzer *analyzer,
              const struct mirai_search_query *request, const struct mirai_principal *principal,
              uint64_t deadline_us, struct mirai_arena *arena, struct mirai_search_result *result);

/* Titles and tags that begin with (or have a word that begins with) what was typed, of what the principal may
 * see. */
int query_suggest(struct index_reader *reader, const struct mirai_suggest_query *request,
                  const struct mirai_principal *principal, struct mirai_arena *arena,
                  struct mirai_suggest_result *result);

/* The best passage of `body` as HTML-escaped text with <mark>. */
struct mirai_str snippet_make(const struct query *query, struct mirai_str body, struct mirai_arena *arena);

#endif
