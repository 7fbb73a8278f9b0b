/* Whom a secret belongs to, and what that person may read. */
#ifndef STORE_IDENTITY_H
#define STORE_IDENTITY_H

#include "services/knowledge-store/op.h"

/* Steps. */
int identity_of_token(struct op *op); /* READ */
void identity_of_token_finish(struct op *op);
int identity_of_held(struct op *op); /* READ */

#endif
