/* The change feed: what was committed, in order, for whoever follows the store. */
#ifndef STORE_FEED_H
#define STORE_FEED_H

#include "services/knowledge-store/op.h"

int feed_changes_since(struct op *op);
int feed_article_export(struct op *op);

/* Tell subscribers that `seq` was committed. Any thread. */
void feed_publish(struct store *store, int64_t seq);

/* Remove at most `limit` rows older than FEED_KEEP_DAYS; the newest row always stays. 0 or an error. */
int feed_expire(struct db *db, int64_t now_ms, int64_t limit);

#endif
