/* Views of articles, counted in memory and written in one go. */
#ifndef STORE_VIEWS_H
#define STORE_VIEWS_H

#include "libcommon/str.h"

struct store;
struct views;

struct views *views_new(void);
void views_free(struct views *views);

/* One more view. Loop thread; no I/O. */
void views_count(struct views *views, int64_t article_id);

/* Send what was counted to the writer; nothing when there is none. What cannot be written is counted again
 * later. Loop thread. */
void views_flush(struct store *store);

#endif
