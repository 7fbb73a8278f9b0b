/* Which ITSM type a text is: words that speak for one, and how much. */
#ifndef SEARCH_INSIGHT_CUES_H
#define SEARCH_INSIGHT_CUES_H

#include "services/search-index/insight/phrases.h"

struct cue {
    int type; /* enum mirai_itsm_type */
    double weight;
    const char *phrases; /* the first one stands for all in reasons */
};

extern const struct cue cue_table[];
extern const size_t cue_count;

/* All of the table, by index, made once, for the life of the process; any thread. */
const struct phrase_set *cue_phrases(void);

#endif
