/* Who may see and who may change an article: the one place that says so, in SQL and in C. */
#ifndef STORE_ACCESS_H
#define STORE_ACCESS_H

#include "libcommon/arena.h"
#include "libcommon/rpc.h"
#include "services/knowledge-store/db.h"

#define GROUP_EVERYONE 1 /* every user is in it */
#define SPACE_GENERAL  1 /* where articles go that name no space */

/* What a principal may see, ready to be bound to a query. */
struct access {
    bool all; /* Admin or the system */
    int64_t user_id;
    struct mirai_str spaces; /* JSON arrays of ids */
    struct mirai_str groups; /* with GROUP_EVERYONE */
};

void access_make(struct access *access, const struct mirai_principal *principal, struct mirai_arena *arena);

/* Condition on the row `a` of articles; a query with it binds ACCESS_ARGS(op) first, as ?1 … ?4. */
#define ACCESS_SQL(a)                                                                                        \
    "(?1 OR " a ".owner_id = ?2 OR (" a ".visibility = 0 AND " a                                             \
    ".space_id IN " DB_IN_LIST("?3") ") OR (" a ".visibility = 1 AND " a                                     \
                                     ".group_id IN " DB_IN_LIST("?4") "))"
#define ACCESS_ARGS(op)                                                                                      \
    DB_I((op)->access.all), DB_I((op)->access.user_id), DB_S((op)->access.spaces), DB_S((op)->access.groups)

/* What of an article decides. */
struct access_fields {
    int64_t owner_id; /* 0: none */
    int64_t space_id;
    int64_t group_id; /* 0: none */
    int visibility;   /* enum mirai_visibility */
};

/* The same as ACCESS_SQL. Any thread. */
bool access_may_read(const struct mirai_principal *principal, const struct access_fields *fields);
bool access_in_group(const struct mirai_principal *principal, int64_t group_id);

struct op;
/* Whether the principal may change what has these fields: Admin, owner, or an Editor in one of the space's
 * editor groups who sees it. 0, MIRAI_E_NOT_FOUND when it does not even see it, MIRAI_E_FORBIDDEN, or a
 * database error. Reads op->db. */
int access_check_write(struct op *op, const struct access_fields *fields);
/* Whether the principal may put articles into the space: 0, MIRAI_E_FORBIDDEN, MIRAI_E_NOT_FOUND. */
int access_check_space(struct op *op, int64_t space_id);
/* The fields of an article that is not in the bin and may be read: 0, MIRAI_E_NOT_FOUND or a database error.
 * For whatever hangs on an article. `fields` may be NULL. */
int access_find_article(struct op *op, int64_t article_id, struct access_fields *fields);
/* The same, and it may be changed: also MIRAI_E_FORBIDDEN. */
int access_find_writable_article(struct op *op, int64_t article_id);

#endif
