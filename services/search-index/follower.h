/* Keeps the index up to date: pulls the store's change feed, and builds a new file when the position is lost.
 */
#ifndef SEARCH_FOLLOWER_H
#define SEARCH_FOLLOWER_H

#include "libcommon/rpc.h"
#include "services/search-index/extract/attachments.h"
#include "services/search-index/generations.h"

#include <uv.h>

struct follower;

/* Loop thread, as all of this. Follows at once: `hint` may arrive from now on. NULL when a thread cannot be
 * made. `attachments`: whose texts are searched as well; NULL: none are. It outlives the follower. */
struct follower *follower_new(uv_loop_t *loop, struct generations *generations,
                              struct mirai_rpc_client *store, struct attachments *attachments);

/* Something changed in the store (or may have): pull now. */
void follower_hint(struct follower *follower);

/* Build a new file from all articles; what answers now goes on answering, and is kept fresh, until it is
 * ready. */
void follower_rebuild(struct follower *follower);

/* Begin no new work; what is being written is finished. */
void follower_stop(struct follower *follower);
bool follower_busy(const struct follower *follower);

/* After follower_stop and before the store's client is freed. Waits for the writer thread. */
void follower_free(struct follower *follower);

/* How often to pull without a hint. */
void follower_set_period(struct follower *follower, uint64_t ms);

struct follower_status {
    struct index_position position; /* of the file that answers */
    bool rebuilding;
    bool complete;  /* the file has held all articles of some moment */
    bool caught_up; /* since the start: with the store, or as far as it could be asked */
    uint64_t documents;
};
struct follower_status follower_status(const struct follower *follower);

#endif
