/* Sentences of a draft that say what it is about: for IT staff, and for everyone. */
#ifndef SEARCH_INSIGHT_SUMMARY_H
#define SEARCH_INSIGHT_SUMMARY_H

#include "libcommon/arena.h"
#include "services/search-index/insight/reading.h"

#define SUMMARY_SENTENCES 3
#define SUMMARY_CHARS                                                                                        \
    200 /* of all of them; the first is taken even when it is longer, up to SUMMARY_LONGEST */
#define SUMMARY_LONGEST 300 /* where a single sentence is cut */

enum summary_kind {
    SUMMARY_TECHNICAL,     /* cause, action, identifiers */
    SUMMARY_NON_TECHNICAL, /* impact, what to do, plain words */
    SUMMARY_KINDS,
};

/* What making summaries needs; zero-initialised, reused. */
struct summary_workspace {
    struct sentence *sentences;
    size_t cap;
    struct mirai_buf text; /* normalised sentences */
    struct normalized key;
    uint16_t *counts; /* of hashed pairs of characters */
};

/* Both summaries, in the order of the text; empty when there is no sentence. Never cut within a sentence unless it
 * alone is too long. Memory from arena. */
void summary_make(struct summary_workspace *workspace, const struct reading *reading,
                  struct mirai_arena *arena, struct mirai_str out[SUMMARY_KINDS]);
void summary_workspace_free(struct summary_workspace *workspace);

#endif
