/* What was searched for, and which hits were opened: the query log.
 *
 * Nothing in it names a user. `who` is a number made from the user's with the key of the data directory, which no backup
 * holds: it tells users apart for counting them, and that is all it is used for. Rows are gone after
 * MIRAI_SEARCH_LOG_DAYS; with 0 nothing is noted. */
#ifndef STORE_ASKED_H
#define STORE_ASKED_H

#include "services/knowledge-store/op.h"

/* Remove at most `limit` rows of each table that are older than MIRAI_SEARCH_LOG_DAYS. 0 or an error. */
int asked_expire(struct db *db, int64_t now_ms, int64_t limit);

/* Steps. */
int asked_append(struct op *op); /* WRITE */
int asked_click(struct op *op);  /* WRITE */
int asked_list(struct op *op);   /* BULK */

#endif
