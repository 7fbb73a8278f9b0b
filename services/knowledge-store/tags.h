/* Tags: their names, colours and categories, and their trace in the articles that carry them. */
#ifndef STORE_TAGS_H
#define STORE_TAGS_H

#include "services/knowledge-store/op.h"

/* Whether one more tag may be made: 0, MIRAI_E_CONFLICT, or a database error. WRITE. */
int tags_check_room(struct op *op);

/* Steps. */
int tags_list(struct op *op);   /* READ */
int tags_create(struct op *op); /* WRITE */
int tags_patch(struct op *op);  /* WRITE */
int tags_delete(struct op *op); /* WRITE */

#endif
