/* Typed relations between two articles. */
#ifndef STORE_RELATIONS_H
#define STORE_RELATIONS_H

#include "services/knowledge-store/op.h"

/* Steps. */
int relations_list(struct op *op);   /* READ */
int relations_create(struct op *op); /* WRITE */
int relations_delete(struct op *op); /* WRITE */

#endif
