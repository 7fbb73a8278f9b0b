/* Writes a segment term by term; building and merging both end here. */
#ifndef SEARCH_SEGMENT_WRITER_H
#define SEARCH_SEGMENT_WRITER_H

#include "services/search-index/postings/build.h"
#include "services/search-index/postings/format.h"

struct segment_writer {
    struct segment_sink *sink;
    struct segment_header header;
    uint64_t lists; /* bytes so far */
    uint32_t crc;   /* of them */
    struct mirai_buf dictionary;
    struct mirai_buf groups;
    char last_key[SEGMENT_KEY_MAX];
    size_t last_key_len;
    /* the current term */
    char key[SEGMENT_KEY_MAX];
    size_t key_len;
    uint32_t df;
    uint8_t max_level;
    uint32_t before; /* documents of the block being filled are >= this */
    unsigned len;
    uint32_t docs[SEGMENT_BLOCK];
    uint8_t levels[SEGMENT_BLOCK];
    struct mirai_buf blocks;
    struct mirai_buf positions;
    struct mirai_buf skip[4]; /* last, ends, ends of positions, greatest levels */
};

void segment_writer_begin(struct segment_writer *writer, struct segment_sink *sink);

/* Terms in ascending order of bytes, 1 to SEGMENT_KEY_MAX of them. A term without postings is left out. */
void segment_writer_term(struct segment_writer *writer, struct mirai_str key);
/* Documents ascending; positions as format.h has them. */
void segment_writer_posting(struct segment_writer *writer, uint32_t doc, uint8_t level,
                            struct mirai_str positions);
void segment_writer_term_end(struct segment_writer *writer);

/* Frees the writer's memory. 0 or an error. */
int segment_writer_end(struct segment_writer *writer, const struct segment_doc *docs, uint32_t count);

#endif
