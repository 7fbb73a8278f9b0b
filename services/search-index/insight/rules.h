/* What good practice asks of each ITSM type, as a table. */
#ifndef SEARCH_INSIGHT_RULES_H
#define SEARCH_INSIGHT_RULES_H

#include "proto/messages.h"
#include "services/search-index/insight/concepts.h"

struct rule_text {
    const char *message; /* what is missing and why it matters */
    const char *hint;    /* what would cure it; may be NULL */
};

/* A type of article that tells nothing of any of these concepts deviates. */
struct rule {
    const char *name; /* stable */
    int type;         /* enum mirai_itsm_type */
    const char *severity;
    uint32_t any_of;           /* bits of enum concept */
    struct rule_text texts[2]; /* by enum mirai_locale */
};

extern const struct rule rule_table[];
extern const size_t rule_count;

/* Rules for every type, whose condition is code (deviations.c). */
enum general_rule {
    RULE_TITLE_MISSING,
    RULE_TITLE_VAGUE,
    RULE_TEXT_SHORT,
    RULE_NO_HEADINGS,
    RULE_PLACEHOLDER,
    RULE_SECRET,
    RULE_PERSONAL_DATA,
    RULE_DEAD_REFERENCE,
    RULE_NO_TAGS,
    RULE_GENERAL_COUNT,
};

/* `%lld` in a message is the line's number. */
extern const struct rule general_rules[RULE_GENERAL_COUNT];

#endif
