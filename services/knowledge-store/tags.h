/* Tags: their names, colours and categories, and their trace in the articles that carry them. */
#ifndef STORE_TAGS_H
#define STORE_TAGS_H

#include "services/knowledge-store/op.h"

/* Steps. */
int tags_list(struct op *op);   /* READ */
int tags_create(struct op *op); /* WRITE */
int tags_patch(struct op *op);  /* WRITE */
int tags_delete(struct op *op); /* WRITE */

#endif
