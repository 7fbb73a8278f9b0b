/* How articles are used, for those who rank them. */
#ifndef STORE_SIGNALS_H
#define STORE_SIGNALS_H

#include "services/knowledge-store/op.h"

int signals_list(struct op *op); /* BULK */

#endif
