/* Between the follower and the texts of files: gives what is known of an article's attachments, has the rest read, and
 * tells which articles to apply again. */
#ifndef EXTRACT_ATTACHMENTS_H
#define EXTRACT_ATTACHMENTS_H

#include "services/search-index/extract/extractor.h"
#include "services/search-index/index.h"

struct attachments;

struct attachments_options {
    uv_loop_t *loop;
    struct mirai_rpc_client *store;
    const char *dir;     /* of extracts.db */
    const char *program; /* path of mirai-extract */
    size_t workers;
    int64_t cache_bytes;
    int64_t size_max;
    int64_t memory_bytes;
    int64_t timeout_ms;
};

/* Loop thread. NULL when a thread or the cache cannot be made (logged). The strings are copied. */
struct attachments *attachments_new(const struct attachments_options *options);
/* On the loop: there is more text for this article, apply it again; 0: go through all articles, some files were left out
 * for lack of room. */
void attachments_on_ready(struct attachments *attachments, void (*ready)(void *data, int64_t article_id),
                          void *data);
/* Begin nothing new. */
void attachments_stop(struct attachments *attachments);
/* Before the store's client is freed, after the writer thread has ended. */
void attachments_free(struct attachments *attachments);
size_t attachments_pending(const struct attachments *attachments);

/* Writer thread: fill in change->files from what is known. Their memory lives in `arena`; what is not known yet is noted
 * for attachments_ask. `attachments` NULL: the article has no texts of files. Nothing is filled in when too much text is
 * in memory already: the article is told again. */
void attachments_fill(struct attachments *attachments, struct index_change *change,
                      struct mirai_arena *arena);

/* Writer thread: every article was filled since `ms` (since 1970), so what was not asked for belongs to none. */
void attachments_all_filled(struct attachments *attachments, int64_t ms);

/* Loop thread, while the writer thread does nothing: have what was noted read. */
void attachments_ask(struct attachments *attachments);

#endif
