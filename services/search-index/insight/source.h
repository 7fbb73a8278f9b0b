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

struct source_article {
    struct mirai_str title;
    struct mirai_str body;
};

/* The article's texts. 0; MIRAI_E_NOT_FOUND: there is none that the principal may see; or what index_fault says. */
int source_article(const struct source *source, int64_t id, struct source_article *out);

/* Whether the principal may see an article with this number. */
bool source_visible(const struct source *source, int64_t id);

/* The articles that have the most of these words, best first, at most `limit` (up to 100). 0 or an error. */
int source_find(const struct source *source, struct mirai_str words, size_t limit,
                struct mirai_search_result *result);

/* Whether an article that the principal may see carries this tag. */
bool source_has_tag(const struct source *source, struct mirai_str tag);

#endif
