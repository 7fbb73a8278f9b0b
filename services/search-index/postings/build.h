/* Making segments: from documents, and from other segments. */
#ifndef SEARCH_SEGMENT_BUILD_H
#define SEARCH_SEGMENT_BUILD_H

#include "services/search-index/postings/segment.h"

#include <stdatomic.h>

/* Where a segment's bytes go. One owner, one thread. */
struct segment_sink {
    int fd; /* a new, empty file; -1: `bytes` */
    struct mirai_buf bytes;
    uint64_t written; /* internal: bytes of the file before those in `bytes` */
    int err;          /* internal: the first failure */
};

/* Collects documents in memory. */
struct segment_builder;
struct segment_builder *segment_builder_new(void);
void segment_builder_free(struct segment_builder *builder);

/* Add a document as terms_encode made it (terms.h). 0, or MIRAI_E_INVALID when it is no such thing or the segment
 * is full: then the builder is of no further use. */
int segment_builder_add(struct segment_builder *builder, struct segment_doc doc, struct mirai_str encoded);

uint32_t segment_builder_count(const struct segment_builder *builder); /* documents */
size_t segment_builder_bytes(const struct segment_builder *builder);   /* memory in use, about */

/* Write what was added and begin anew. 0 or an error of writing (MIRAI_E_NO_SPACE, MIRAI_E_INTERNAL). A file is
 * not yet synced. */
int segment_builder_finish(struct segment_builder *builder, struct segment_sink *sink);

/* Whether a document goes on into the new segment. */
typedef bool (*segment_live_fn)(void *data, const struct segment_doc *doc);

/* Merge segments into one, in the order given, leaving out documents that are not live (NULL: all are). Memory is
 * bounded by the longest list and the dictionary. `stop` (may be NULL) ends it early with MIRAI_E_CANCELLED.
 * 0, MIRAI_E_INVALID (an input is damaged, or all together are too many documents), or an error of writing. */
int segment_merge(struct segment *const *inputs, size_t count, segment_live_fn live, void *data,
                  const atomic_bool *stop, struct segment_sink *sink);

#endif
