/* Saved states of articles: list, read, compare, bring back. */
#ifndef STORE_REVISIONS_H
#define STORE_REVISIONS_H

#include "services/knowledge-store/op.h"

int revision_list(struct op *op);
int revision_get(struct op *op);
int revision_diff(struct op *op);
int revision_restore(struct op *op);

#endif
