/* Templates for new articles, one for each ITSM type and language. */
#ifndef STORE_TEMPLATES_H
#define STORE_TEMPLATES_H

#include "services/knowledge-store/op.h"

/* Steps. */
int templates_list(struct op *op); /* READ */
int templates_put(struct op *op);  /* WRITE */

#endif
