/* User accounts: making, changing and listing them. */
#ifndef STORE_USERS_H
#define STORE_USERS_H

#include "services/knowledge-store/op.h"

/* Login names are the same without regard to the case of ASCII letters: what users.name_key holds. */
struct mirai_str user_name_key(struct mirai_arena *arena, struct mirai_str name);

/* The account `id` with its groups; strings in op->arena. 0, MIRAI_E_NOT_FOUND or a database error. */
int user_find(struct op *op, int64_t id, struct mirai_user *user);

/* The groups of a user with GROUP_EVERYONE, ascending, in op->arena. 0 or a database error. */
int user_find_groups(struct op *op, int64_t id, struct mirai_ints *groups);

/* Steps. */
int users_list(struct op *op);        /* READ */
int users_get(struct op *op);         /* READ */
int users_self(struct op *op);        /* READ */
int users_create_hash(struct op *op); /* PASSWORD, then */
int users_create(struct op *op);      /* WRITE */
int users_patch_check(struct op *op); /* READ, then */
int users_patch_hash(struct op *op);  /* PASSWORD, then */
int users_patch(struct op *op);       /* WRITE */

#endif
