/* Proposals while someone types: titles, tags and popular queries, of what the principal may see. */
#ifndef SEARCH_SUGGEST_H
#define SEARCH_SUGGEST_H

#include "services/search-index/help/asked.h"
#include "services/search-index/index.h"

struct suggest_request {
    struct index_reader *reader;
    struct analyzer *analyzer;
    const struct asked *asked; /* NULL: none yet */
    const struct mirai_principal *principal;
    const struct mirai_suggest_query *query;
};

/* Best first, found by the text, by its reading in kana and in Roman letters, of whole titles and from a word on.
 * Bounded in time: then it is what was found until then. 0, what index_text says, or MIRAI_E_INVALID: the index is
 * damaged. */
int suggest_run(const struct suggest_request *request, struct mirai_arena *arena,
                struct mirai_suggest_result *result);

#endif
