/* Keeps the index up to date: pulls the store's change feed, and builds a new file when the position is lost.
 */
#ifndef SEARCH_FOLLOWER_H
#define SEARCH_FOLLOWER_H

#include "libcommon/rpc.h"
#include "services/search-index/generations.h"

#include <uv.h>

struct follower;

/* Loop thread, as all of this. Follows at once: `hint` may arrive from now on. NULL when a thread cannot be
 * made. */
struct follower *follower_new(uv_loop_t *loop, struct generations *generations,
                              struct mirai_rpc_client *store);

/* Something changed in the store (or may have): pull now. */
void follower_hint(struct follower *follower);

/* Build a new file from all articles; what answers now goes on answering, and is kept fresh, until it is
 * ready. */
void follower_rebuild(struct follower *follower);

/* What others do with what the feed brings. Any may be NULL. */
struct follower_hooks {
    /* Loop thread: synonyms or words of the dictionary were changed in the store (also once after the start). */
    void (*vocabulary)(void *data);
    /* Writer thread: the texts of the article's files (article->attachments), memory of `arena`. False: they are not
     * all known yet; then the article is indexed without, and follower_again() asks for them later. */
    bool (*files)(void *data, const struct mirai_article *article, struct mirai_arena *arena,
                  const struct index_file **files, size_t *files_len);
    /* Loop thread, the writer thread is idle: the articles that `files` was asked for are written, or have failed. */
    void (*written)(void *data);
    /* Writer thread: `files` was asked for every article since `ms` (since 1970). */
    void (*rebuilt)(void *data, int64_t ms);
    void *data;
};

/* Before the loop runs on. */
void follower_set_hooks(struct follower *follower, const struct follower_hooks *hooks);

/* The texts of this article's files are known now: apply it again. Ids that wait are bounded; beyond it the oldest
 * one is dropped (and found at the next rebuild). */
void follower_again(struct follower *follower, int64_t id);

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
