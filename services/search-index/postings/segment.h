/* An immutable inverted index in one block of memory: a mapped file or a buffer. Any thread may read; a segment
 * never changes. */
#ifndef SEARCH_SEGMENT_H
#define SEARCH_SEGMENT_H

#include "libcommon/str.h"

#define SEGMENT_BLOCK    128 /* postings in a block; the last one of a list may have fewer */
#define SEGMENT_LEVELS   63  /* impacts are quantised to 1..SEGMENT_LEVELS */
#define SEGMENT_END      UINT32_MAX
#define SEGMENT_KEY_MAX  80         /* bytes of a term */
#define SEGMENT_DOCS_MAX (1u << 24) /* in one segment: a block's deltas never overflow */

struct segment; /* counted */

/* The unit that a local document number stands for; it lives iff the catalogue's entry of `slot` has `version`.
 */
struct segment_doc {
    uint32_t slot;
    uint32_t version;
};

/* Map a file; checks its header and its small sections. 0 or MIRAI_E_INVALID: damaged, of another version, or not
 * readable. */
int segment_open(const char *path, struct segment **out);

/* The same of a buffer: takes the bytes (also when it fails) and empties `bytes`. */
int segment_from_buffer(struct mirai_buf *bytes, struct segment **out);

struct segment *segment_retain(struct segment *segment);
void segment_release(struct segment *segment);

uint32_t segment_count(const struct segment *segment);                 /* documents: 0 .. count - 1 */
const struct segment_doc *segment_docs(const struct segment *segment); /* count of them */
size_t segment_bytes(const struct segment *segment);

/* Someone met bytes that cannot be: what was read is not to be trusted. Nothing outside of the segment is ever
 * read, cursors still end, and documents are still below count. */
bool segment_damaged(const struct segment *segment);

/* Check some bytes of the large sections against their checksums; *at: where to go on, 0 at first. False: all is
 * checked (segment_damaged() tells the outcome). One thread at a time. */
struct segment_scrub {
    uint64_t at;
    unsigned section;
    uint32_t crc;
};
bool segment_scrub(struct segment *segment, struct segment_scrub *scrub, size_t bytes);

/* One term's entry in the dictionary. */
struct segment_term {
    uint32_t df; /* documents that have it, replaced ones included */
    uint8_t max_level;
    /* internal: offsets and lengths in the section of lists */
    uint64_t blocks;
    uint32_t blocks_len;
    uint32_t positions_len; /* they follow the blocks */
};
bool segment_find(const struct segment *segment, struct mirai_str key, struct segment_term *out);

/* Terms that begin with `prefix`, in the order of bytes; return false to stop. The key is lent for the call. */
typedef bool (*segment_term_cb)(void *data, struct mirai_str key, const struct segment_term *term);
void segment_each_term(const struct segment *segment, struct mirai_str prefix, segment_term_cb callback,
                       void *data);

/* Reads one term's postings block by block. Plain struct, owned by the caller; nothing to free. */
struct segment_cursor {
    /* the current block, known without decoding */
    uint32_t block_last; /* its last document; SEGMENT_END: behind the end */
    uint8_t block_max;   /* its greatest level */
    /* after segment_cursor_decode(); never empty, ascending, docs[len - 1] == block_last */
    unsigned len;
    uint32_t docs[SEGMENT_BLOCK];
    uint8_t levels[SEGMENT_BLOCK];
    /* internal */
    const struct segment *segment;
    const uint8_t
        *skip; /* last documents, ends of blocks, ends of positions, greatest levels; NULL: one block */
    const uint8_t *data; /* blocks */
    const uint8_t *positions;
    uint32_t data_len;
    uint32_t positions_len;
    uint32_t df;
    uint32_t blocks;
    uint32_t block;  /* current */
    uint32_t before; /* documents of the block are >= this */
    bool decoded;
    const uint8_t *place; /* positions of posting `place_at`; NULL: not yet looked for */
    unsigned place_at;
};

/* At the first block. */
void segment_cursor_open(struct segment_cursor *cursor, const struct segment *segment,
                         const struct segment_term *term);

/* Move on to the block that holds the first posting >= doc (never back), by the skip data alone. False: behind the
 * end. */
bool segment_cursor_seek(struct segment_cursor *cursor, uint32_t doc);
bool segment_cursor_next(struct segment_cursor *cursor); /* next block */

/* Documents and levels of the current block; once, then kept. Not behind the end. */
void segment_cursor_decode(struct segment_cursor *cursor);

/* Positions of the posting `at` of the decoded block, ascending, at most `max`. Returns how many. Cheapest when
 * `at` ascends. */
unsigned segment_cursor_positions(struct segment_cursor *cursor, unsigned at, uint32_t *out, unsigned max);

#endif
