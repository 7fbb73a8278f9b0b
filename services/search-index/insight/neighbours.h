/* The articles of the index that are most like a text. */
#ifndef SEARCH_INSIGHT_NEIGHBOURS_H
#define SEARCH_INSIGHT_NEIGHBOURS_H

#include "services/search-index/insight/keywords.h"
#include "services/search-index/insight/similarity.h"
#include "services/search-index/insight/source.h"

/* Candidates that the index is asked for, and bytes of their texts that are compared: the best come first. */
#define NEIGHBOURS_MAX       50
#define NEIGHBOURS_BYTES_MAX (384u << 10)

struct neighbour {
    struct source_article article;
    double same; /* similarity of the texts */
    double
        related; /* the texts, and the words that both are about: below SIMILARITY_DUPLICATE where `same` is */
    struct mirai_strs shared;
};

/* Zero-initialised, reused. */
struct neighbours {
    struct neighbour list[NEIGHBOURS_MAX + 1]; /* in the order of the index */
    size_t count;
    /* internal */
    struct similarity_workspace workspace;
    struct similarity_profile own;
    struct similarity_profile other;
    struct source_sums sums;
};

/* `keywords`: of the text; their weights become those of the index. `except`: the article itself, or 0. 0 or an
 * error. */
int neighbours_find(struct neighbours *neighbours, const struct source *source, struct keywords *keywords,
                    struct mirai_str title, struct mirai_str body, int64_t except);
void neighbours_free(struct neighbours *neighbours);

#endif
