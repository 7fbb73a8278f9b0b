/* What of an article its users decide: checked, compared and saved in one way by every method that writes it.
 */
#ifndef STORE_ARTICLE_STATE_H
#define STORE_ARTICLE_STATE_H

#include "services/knowledge-store/op.h"

struct article_state {
    struct mirai_str slug; /* empty: to be made from the title */
    struct mirai_str title;
    int type;     /* enum mirai_itsm_type */
    int status;   /* enum mirai_article_status */
    int language; /* enum mirai_locale, -1: none */
    struct mirai_str summary_technical;
    struct mirai_str summary_non_technical;
    struct mirai_strs tags;
    int64_t owner_id; /* 0: none */
    struct mirai_str review_by;
    int64_t space_id;
    int visibility;   /* enum mirai_visibility */
    int64_t group_id; /* 0: none */
    struct mirai_str body;
    struct mirai_str reason; /* of this save */
    int64_t created_at;      /* 0: now */
    int64_t updated_at;      /* 0: now */
};

/* Take what is present in a message with the members of MIRAI_ARTICLE_INPUT; null, being empty, clears. */
#define ARTICLE_TAKE(message, m, state)                                                                      \
    do {                                                                                                     \
        ARTICLE_TAKE_ONE(message, m, state, title);                                                          \
        ARTICLE_TAKE_ONE(message, m, state, type);                                                           \
        ARTICLE_TAKE_ONE(message, m, state, body);                                                           \
        ARTICLE_TAKE_ONE(message, m, state, slug);                                                           \
        ARTICLE_TAKE_ONE(message, m, state, status);                                                         \
        ARTICLE_TAKE_ONE(message, m, state, summary_technical);                                              \
        ARTICLE_TAKE_ONE(message, m, state, summary_non_technical);                                          \
        ARTICLE_TAKE_ONE(message, m, state, tags);                                                           \
        ARTICLE_TAKE_ONE(message, m, state, language);                                                       \
        ARTICLE_TAKE_ONE(message, m, state, owner_id);                                                       \
        ARTICLE_TAKE_ONE(message, m, state, review_by);                                                      \
        ARTICLE_TAKE_ONE(message, m, state, space_id);                                                       \
        ARTICLE_TAKE_ONE(message, m, state, visibility);                                                     \
        ARTICLE_TAKE_ONE(message, m, state, group_id);                                                       \
        ARTICLE_TAKE_ONE(message, m, state, reason);                                                         \
    } while (0)
#define ARTICLE_TAKE_ONE(message, m, state, field)                                                           \
    if (mirai_has(message, m, field)) {                                                                      \
        (state)->field = (m)->field;                                                                         \
    }

/* A new article of this op's principal. */
void article_state_new(struct op *op, struct article_state *state);
/* The state that `article` (with body) is in. */
void article_state_of(const struct mirai_article *article, struct article_state *state);

/* Tidy and check `state`; `current` is the article it will replace, NULL for a new one. 0, or
 * MIRAI_E_UNPROCESSABLE, MIRAI_E_FORBIDDEN (a space or group that is not the principal's, or what only the owner
 * decides), or a database error. */
int article_state_check(struct op *op, struct article_state *state, const struct mirai_article *current);

/* Whether both say the same (reasons and dates aside). */
bool article_state_same(const struct article_state *a, const struct article_state *b);

/* Insert; *id is the new article's. 0, MIRAI_E_CONFLICT when the slug is taken, or a database error. */
int article_insert(struct op *op, struct article_state *state, int64_t *id);
/* Save over `current` as its next version; nothing is written, and *changed is false, when it is the same. As
 * article_insert. */
int article_save(struct op *op, const struct mirai_article *current, struct article_state *state,
                 bool *changed);

/* Read the article and check that it may be changed and, when it may, that if_match holds (RFC 9110 §13.1.1).
 * 0, MIRAI_E_NOT_FOUND (also when in the bin), MIRAI_E_FORBIDDEN, MIRAI_E_PRECONDITION_REQUIRED when
 * `if_match` is empty, MIRAI_E_PRECONDITION with the current etag, or a database error. */
int article_find_for_write(struct op *op, int64_t id, struct mirai_str if_match,
                           struct mirai_article *current);
/* The article with this id as the op's result. */
int article_answer(struct op *op, int64_t id);

#endif
