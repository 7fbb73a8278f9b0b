/* Articles of the index as similarity and checks need them: never one that the principal may not see. */
#ifndef SEARCH_INSIGHT_SOURCE_H
#define SEARCH_INSIGHT_SOURCE_H

#include "services/search-index/query/query.h"

/* What a request may ask of the index. */
struct source {
    struct index_reader *reader;
    struct query_workspace *workspace;
    struct analyzer *analyzer;
    const struct mirai_principal *principal;
    uint64_t deadline_us;
    struct mirai_arena *arena; /* memory of what is found */
};

/* An article of the index. Texts are of the source's arena. */
struct source_article {
    int64_t id;
    int type;   /* enum mirai_itsm_type */
    int status; /* enum mirai_article_status */
    int64_t updated_at;
    struct mirai_str slug;
    struct mirai_str title;
    struct mirai_str body;
    struct mirai_strs tags;
};

/* 0; MIRAI_E_NOT_FOUND: there is none that the principal may see; or what index_fault says. */
int source_article(const struct source *source, int64_t id, struct source_article *out);

/* Whether the principal may see an article with this number. */
bool source_visible(const struct source *source, int64_t id);

/* Whether an article that the principal may see carries this tag. */
bool source_has_tag(const struct source *source, struct mirai_str tag);

#define SOURCE_TERMS_MAX 32 /* a bit each in source_hit.terms */
#define SOURCE_HITS_MAX  51

/* A word to look for. */
struct source_term {
    struct mirai_str word; /* as the analyzer gives it */
    double weight;         /* in: how much it counts in the text; out: times its inverse document frequency */
};

struct source_hit {
    int64_t id;
    double score;
    uint32_t terms; /* which of them it has */
};

/* Memory for the sums; zero-initialised, reused. */
struct source_sums {
    struct source_sum *cells; /* by document of a segment */
    size_t cells_cap;
    uint32_t *touched;
    size_t touched_len;
    size_t touched_cap;
};
void source_sums_free(struct source_sums *sums);

/* The articles that have most of the words, best first, at most SOURCE_HITS_MAX in `hits`. What it costs is bounded by
 * a number of postings: words that are too frequent for it do not take part. Returns how many, or an error. */
int source_find(const struct source *source, struct source_sums *sums, struct source_term *terms,
                size_t count, struct source_hit hits[SOURCE_HITS_MAX]);

#endif
