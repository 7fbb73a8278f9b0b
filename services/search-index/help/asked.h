/* Queries that several people asked, for suggestions: a list of one moment, immutable. */
#ifndef SEARCH_ASKED_H
#define SEARCH_ASKED_H

#include "proto/messages.h"
#include "services/search-index/analyzer/analyzer.h"

#include <stdatomic.h>

/* What the store is asked for. Queries of fewer people may name what only they know of. */
#define ASKED_QUERIES_MAX 500
#define ASKED_USERS_MIN   3
#define ASKED_KEYS_MAX    8

struct asked_query {
    struct mirai_str q;    /* as it was asked */
    struct mirai_str text; /* keys as in suggest_keys.h */
    struct mirai_str reading;
    struct mirai_str *keys; /* its words as the index has them */
    size_t keys_len;
};

struct asked {
    atomic_uint references;
    struct mirai_arena arena;
    struct asked_query *queries; /* most frequent first */
    size_t count;
};

struct asked *asked_new(struct analyzer *analyzer, const struct mirai_asked_query_page *page);
struct asked *asked_retain(struct asked *asked); /* NULL is allowed */
void asked_release(struct asked *asked);

#endif
