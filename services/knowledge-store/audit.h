/* The audit log, for reading. */
#ifndef STORE_AUDIT_H
#define STORE_AUDIT_H

#include "services/knowledge-store/op.h"

/* Steps. */
int audit_list(struct op *op);   /* READ */
int audit_export(struct op *op); /* BULK */
int audit_heads(struct op *op);  /* READ */
int audit_key(struct op *op);    /* READ */

#endif
