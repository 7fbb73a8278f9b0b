/* How much two articles say the same: 0 (nothing) to 1 (the same text). */
#ifndef SEARCH_INSIGHT_SIMILARITY_H
#define SEARCH_INSIGHT_SIMILARITY_H

#include "services/search-index/analyzer/normalize.h"
#include "services/search-index/insight/markdown.h"

/* From here on two articles are duplicates. Measured by bench-duplicates. */
#define SIMILARITY_DUPLICATE 0.85

/* What is compared of a body; the rest of a longer one is left out. */
#define SIMILARITY_BODY_MAX (64u << 10)

/* A part of a text and how much it counts, in the order of `hash`, each hash once. */
struct similarity_feature {
    uint32_t hash;
    float weight;
};

struct similarity_features {
    struct similarity_feature *list;
    size_t count;
    size_t cap;
    double total; /* of the weights */
};

/* An article as it is compared. Zero-initialised is valid and empty; reused. */
struct similarity_profile {
    struct similarity_features title;
    struct similarity_features body;
};

/* What making a profile needs; zero-initialised, reused. */
struct similarity_workspace {
    struct markdown markdown;
    struct normalized text;
    struct similarity_feature *scratch;
    size_t scratch_cap;
};

void similarity_profile_make(struct similarity_workspace *workspace, struct mirai_str title,
                             struct mirai_str body, struct similarity_profile *out);
void similarity_profile_free(struct similarity_profile *profile);
void similarity_workspace_free(struct similarity_workspace *workspace);

/* Symmetrical; the same texts always give the same number. */
double similarity(const struct similarity_profile *a, const struct similarity_profile *b);

#endif
