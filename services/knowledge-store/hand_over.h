/* Giving the articles of somebody who leaves to somebody else. */
#ifndef STORE_HAND_OVER_H
#define STORE_HAND_OVER_H

#include "services/knowledge-store/op.h"

/* Steps. */
int hand_over(struct op *op); /* WRITE */

#endif
