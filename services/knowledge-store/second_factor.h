/* The second factor of a login: one-time codes by time (RFC 6238), and recovery codes for when the device is lost. */
#ifndef STORE_SECOND_FACTOR_H
#define STORE_SECOND_FACTOR_H

#include "services/knowledge-store/op.h"

/* How many wrong codes each account has seen of late. Only in memory: a store that starts anew takes longer than the
 * shorter of its windows. */
struct code_limits;
struct code_limits *code_limits_new(void);
void code_limits_free(struct code_limits *limits);

/* Whether this login may go on: the account has no second factor, or `otp` (data NULL: none was given) is right and is
 * used up now. 0, MIRAI_E_UNAUTHENTICATED (with need="otp" when it was not given), MIRAI_E_THROTTLED after too many
 * wrong ones, or a database error. WRITE, after the password was found right. */
int second_factor_check(struct op *op, int64_t user_id, struct mirai_str otp);

/* Take it away with its recovery codes. *had: whether there was an active one. 0 or a database error. WRITE. */
int second_factor_remove(struct op *op, int64_t user_id, bool *had);

/* Steps. */
int second_factor_find(struct op *op);         /* READ, then */
int second_factor_begin_verify(struct op *op); /* PASSWORD, then */
int second_factor_begin(struct op *op);        /* WRITE */
int second_factor_confirm(struct op *op);      /* WRITE */
int second_factor_end_verify(struct op *op);   /* PASSWORD after second_factor_find, then */
int second_factor_end(struct op *op);          /* WRITE */

#endif
