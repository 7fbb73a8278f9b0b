/* Reads the text of articles' attachments in the background: a queue, few runs of mirai-extract at once, a cache. */
#ifndef EXTRACT_EXTRACTOR_H
#define EXTRACT_EXTRACTOR_H

#include "libcommon/rpc.h"
#include "proto/messages.h"
#include "services/search-index/extract/extracts.h"

struct extractor;

struct extractor_options {
    uv_loop_t *loop;
    struct mirai_rpc_client *store;
    struct extracts *extracts; /* outlives the extractor */
    const char *program;       /* path of mirai-extract */
    size_t workers;
    int64_t size_max;
    int64_t memory_bytes;
    int64_t timeout_ms;
    /* What is known of a file of this article has changed: apply it again. 0: files had to be left out because too many
     * waited; go through all articles once more. On the loop, never within a call of this header. */
    void (*ready)(void *data, int64_t article_id);
    void *data;
};

/* Loop thread, as all of this. NULL when a thread cannot be made. */
struct extractor *extractor_new(const struct extractor_options *options);

/* Read this file of an article, when it has not been; `ready` follows when there is text. One that is asked for by
 * several articles is read once. */
void extractor_ask(struct extractor *extractor, int64_t article_id, const struct mirai_attachment *file);

/* Files that wait or are being read. */
size_t extractor_pending(const struct extractor *extractor);

/* Begin nothing new; what runs is ended. */
void extractor_stop(struct extractor *extractor);
/* Before the store's client is freed. Waits for the cache's thread. */
void extractor_free(struct extractor *extractor);

#endif
