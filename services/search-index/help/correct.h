/* "Did you mean": the query with words that exist in what the principal may see. */
#ifndef SEARCH_CORRECT_H
#define SEARCH_CORRECT_H

#include "services/search-index/help/lexicon.h"
#include "services/search-index/help/viewer.h"
#include "services/search-index/query/query.h"

struct correct_request {
    const struct viewer *viewer;
    struct index_reader *reader; /* whose view that is */
    const struct lexicon *lexicon;
    struct analyzer *analyzer;
    const struct query *query;
    struct mirai_str text; /* as it was typed */
    int64_t total;         /* what it found */
};

/* The corrected query (memory from the arena), or an empty string. Time is bounded whatever the query is: some words,
 * some candidates of each, some thousand postings of each. */
struct mirai_str correct_query(const struct correct_request *request, struct mirai_arena *arena);

#endif
