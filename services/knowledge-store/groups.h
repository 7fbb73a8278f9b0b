/* Groups of users, through which spaces and articles are shared. */
#ifndef STORE_GROUPS_H
#define STORE_GROUPS_H

#include "services/knowledge-store/op.h"

/* Steps. */
int groups_list(struct op *op);   /* READ */
int groups_create(struct op *op); /* WRITE */
int groups_patch(struct op *op);  /* WRITE */
int groups_delete(struct op *op); /* WRITE */

#endif
