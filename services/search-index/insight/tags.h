/* Tags that fit a draft: those that similar articles carry or whose words it has, and new ones of its own words. */
#ifndef SEARCH_INSIGHT_TAGS_H
#define SEARCH_INSIGHT_TAGS_H

#include "services/search-index/insight/neighbours.h"
#include "services/search-index/insight/reading.h"

#define TAGS_MAX 10

struct tags_input {
    const struct source *source;
    const struct reading *reading;
    const struct keywords *keywords;
    const struct neighbours *neighbours;
    const struct mirai_strs *own; /* tags that it has already */
    enum mirai_locale locale;
};

/* Most confident first. Only tags of articles that the principal may see are known. Returns how many. */
size_t tags_propose(const struct tags_input *input, struct mirai_tag_proposal out[TAGS_MAX]);

#endif
