/* What a draft lacks by the rules of its type, and what should not be in it. */
#ifndef SEARCH_INSIGHT_DEVIATIONS_H
#define SEARCH_INSIGHT_DEVIATIONS_H

#include "proto/messages.h"
#include "services/search-index/insight/reading.h"

#define DEVIATIONS_MAX 50 /* as proto/ has it */

struct deviations_input {
    const struct reading *reading;
    struct mirai_str title;
    struct mirai_str body;
    int type; /* enum mirai_itsm_type */
    size_t tags;
    enum mirai_locale locale;
    /* Whether there is an article that the asking user may see; NULL: references are not looked at. */
    bool (*exists)(void *data, int64_t id);
    void *data;
};

/* Errors first, in the order of the tables. Returns how many; texts are of arena or of the tables. */
size_t deviations_find(const struct deviations_input *input, struct mirai_arena *arena,
                       struct mirai_deviation out[DEVIATIONS_MAX]);

#endif
