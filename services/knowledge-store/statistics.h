/* Figures of the articles that the asker may see. */
#ifndef STORE_STATISTICS_H
#define STORE_STATISTICS_H

#include "services/knowledge-store/op.h"

/* Steps. */
int statistics_get(struct op *op); /* BULK */

#endif
