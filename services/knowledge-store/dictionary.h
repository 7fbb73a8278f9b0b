/* Words of this organisation that the analyzer's dictionary does not know. */
#ifndef STORE_DICTIONARY_H
#define STORE_DICTIONARY_H

#include "services/knowledge-store/op.h"

/* Steps. */
int dictionary_list(struct op *op);   /* BULK */
int dictionary_create(struct op *op); /* WRITE */
int dictionary_delete(struct op *op); /* WRITE */

#endif
