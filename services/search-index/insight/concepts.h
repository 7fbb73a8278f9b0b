/* What an ITSM text may tell: its impact, a plan for rolling back ... as words that say so. */
#ifndef SEARCH_INSIGHT_CONCEPTS_H
#define SEARCH_INSIGHT_CONCEPTS_H

#include "services/search-index/insight/phrases.h"

/* One bit each in a mask. */
enum concept {
    CONCEPT_IMPACT,
    CONCEPT_TIME, /* when it happened: also a time of day or a date in the text */
    CONCEPT_SYMPTOM,
    CONCEPT_CAUSE,
    CONCEPT_ROOT_CAUSE,
    CONCEPT_RESOLUTION,
    CONCEPT_WORKAROUND,
    CONCEPT_PERMANENT_FIX,
    CONCEPT_PREVENTION,
    CONCEPT_PROBLEM_LINK,
    CONCEPT_PURPOSE,
    CONCEPT_STEPS, /* also a numbered list or a command */
    CONCEPT_ROLLBACK,
    CONCEPT_SCHEDULE,
    CONCEPT_APPROVAL,
    CONCEPT_TEST,
    CONCEPT_RISK,
    CONCEPT_VERSION, /* also a version's number in the text */
    CONCEPT_CONTENTS,
    CONCEPT_KNOWN_ISSUE,
    CONCEPT_REQUESTER,
    CONCEPT_DUE,
    CONCEPT_USERS,   /* tells the users something */
    CONCEPT_PENDING, /* nothing yet: 未定, TBD */
    CONCEPT_COUNT,
};

#define CONCEPT_BIT(name) (UINT32_C(1) << CONCEPT_##name)

/* The id of a phrase in concept_phrases(): the concept, and whether the phrase only counts in a heading or a
 * label. */
#define CONCEPT_HEADED 0x100u
#define CONCEPT_OF(id) ((id)&0xFFu)

/* All of the table, made once, for the life of the process; any thread. */
const struct phrase_set *concept_phrases(void);

#endif
