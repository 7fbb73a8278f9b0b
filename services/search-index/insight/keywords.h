/* The words that an article is about. */
#ifndef SEARCH_INSIGHT_KEYWORDS_H
#define SEARCH_INSIGHT_KEYWORDS_H

#include "services/search-index/analyzer/analyzer.h"
#include "services/search-index/insight/reading.h"

/* What is analysed of a text: words that only come later are not what it is about. */
#define KEYWORDS_BYTES_MAX (12u << 10)

#define KEYWORDS_MAX       32 /* as source.h has bits */

struct keyword {
    struct mirai_str term;    /* as the index has it */
    struct mirai_str surface; /* as it first stood, normalised */
    double weight;
    unsigned count;
};

/* Zero-initialised, reused. */
struct keywords {
    struct keyword list[KEYWORDS_MAX]; /* greatest weight first */
    size_t count;
    /* internal */
    struct keyword *all;
    size_t all_len;
    size_t all_cap;
    uint32_t *slots;
    struct mirai_buf terms;
};

/* Of the draft's title, headings and sentences. Lent until the next call, and as long as the reading is. */
void keywords_find(struct keywords *keywords, struct analyzer *analyzer, const struct reading *reading);
void keywords_free(struct keywords *keywords);

#endif
