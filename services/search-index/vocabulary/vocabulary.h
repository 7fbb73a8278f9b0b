/* The vocabulary in use: loaded from the store at the start and when it has changed, swapped as a whole. */
#ifndef SEARCH_VOCABULARY_H
#define SEARCH_VOCABULARY_H

#include "libcommon/rpc.h"
#include "services/search-index/vocabulary/snapshot.h"

#include <uv.h>

struct vocabulary;

/* Loop thread, as all but acquire and release. Empty until the first load, which begins at once and is tried again until
 * the store answers. NULL when a thread cannot be made. */
struct vocabulary *vocabulary_new(uv_loop_t *loop, struct analyzer_model *model,
                                  struct mirai_rpc_client *store);

/* Something changed (a change of kind `vocabulary` in the feed): load again. */
void vocabulary_refresh(struct vocabulary *vocabulary);

/* Before the store's client is freed. Nobody may hold a snapshot. Waits for the loading thread. */
void vocabulary_free(struct vocabulary *vocabulary);

/* The vocabulary of this moment; any thread. Hold it while what vocabulary_expand gave is in use. */
const struct vocabulary_snapshot *vocabulary_acquire(struct vocabulary *vocabulary);
void vocabulary_release(struct vocabulary *vocabulary, const struct vocabulary_snapshot *snapshot);

/* How often it has been loaded. */
uint64_t vocabulary_loads(const struct vocabulary *vocabulary);

#endif
