/* Spaces: articles with common reader and editor groups. */
#ifndef STORE_SPACES_H
#define STORE_SPACES_H

#include "services/knowledge-store/op.h"

/* Steps. */
int spaces_list(struct op *op);   /* READ */
int spaces_create(struct op *op); /* WRITE */
int spaces_patch(struct op *op);  /* WRITE */
int spaces_delete(struct op *op); /* WRITE */

#endif
