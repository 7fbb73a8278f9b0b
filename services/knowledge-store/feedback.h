/* What readers say of an article. */
#ifndef STORE_FEEDBACK_H
#define STORE_FEEDBACK_H

#include "services/knowledge-store/op.h"

/* Steps. */
int feedback_list(struct op *op);   /* READ */
int feedback_create(struct op *op); /* WRITE */

#endif
