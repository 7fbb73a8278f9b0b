/* Comments on an article. */
#ifndef STORE_COMMENTS_H
#define STORE_COMMENTS_H

#include "services/knowledge-store/op.h"

/* Steps. */
int comments_list(struct op *op);   /* READ */
int comments_create(struct op *op); /* WRITE */
int comments_delete(struct op *op); /* WRITE */

#endif
