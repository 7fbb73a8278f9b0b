/* Which ITSM type a draft is, with reasons. */
#ifndef SEARCH_INSIGHT_CLASSIFY_H
#define SEARCH_INSIGHT_CLASSIFY_H

#include "proto/messages.h"
#include "services/search-index/insight/reading.h"

#define CLASSIFY_TYPES 6 /* of enum mirai_itsm_type */

/* All types, most likely first; their confidences sum to 1. Memory from arena. */
void classify(const struct reading *reading, enum mirai_locale locale, struct mirai_arena *arena,
              struct mirai_type_proposal out[CLASSIFY_TYPES]);

#endif
