/* Bytes of a segment, shared by reading (segment.c) and writing (writer.c).
 *
 * header | lists | documents | dictionary | groups; each section begins at a multiple of 8, integers are
 * little-endian.
 *
 * lists       for each term, in order: blocks, then positions
 *   blocks    of up to 128 postings: the last document as varint, and (unless it is the only posting) the block;
 *             of more: for each block its last document, the end of its bytes, the end of its positions (32 bits
 *             each) and its greatest level (8), then the blocks
 *   block     doc bits | level bits << 5, least level, deltas - 1 of documents, levels - least level; 128 of them
 *             packed in four lanes (pack.h), fewer one after the other, without the last document
 *   positions for each posting: first << 1 | more, and with more: number of further ones, and their gaps; varints
 * documents   struct segment_doc of each
 * dictionary  for each term: bytes shared with the one before, number of further bytes, these, df, greatest level,
 *             length of blocks, length of positions; groups of 16 start anew
 * groups      of each group: where its lists and its dictionary begin
 */
#ifndef SEARCH_SEGMENT_FORMAT_H
#define SEARCH_SEGMENT_FORMAT_H

#include "services/search-index/postings/segment.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "segments are read in place: little-endian machines only"
#endif

#define SEGMENT_MAGIC    "MKSEG\x01\r\n"
#define SEGMENT_GROUP    16
#define SEGMENT_SKIP     13 /* bytes of skip data for a block */
#define SEGMENT_DOC_BITS 24 /* most bits of a delta, as SEGMENT_DOCS_MAX has it */

enum segment_section {
    SECTION_LISTS,
    SECTION_DOCS,
    SECTION_DICTIONARY,
    SECTION_GROUPS,
    SECTION_COUNT,
};

struct segment_span {
    uint64_t offset;
    uint64_t len;
    uint32_t crc; /* CRC-32C */
    uint32_t unused;
};

struct segment_header {
    char magic[8];
    uint32_t count; /* documents */
    uint32_t terms;
    struct segment_span sections[SECTION_COUNT];
    uint32_t unused;
    uint32_t crc; /* of all before it */
};

struct segment_group {
    uint64_t lists;
    uint64_t dictionary;
};

/* CRC-32C (Castagnoli, RFC 3720 appendix B.4); begin with 0, go on with what it returned. */
uint32_t crc32c(uint32_t crc, const void *data, size_t len);

static inline uint32_t load32(const uint8_t *p)
{
    uint32_t value;
    memcpy(&value, p, sizeof(value));
    return value;
}

/* LEB128, at most 32 bits of value and 5 bytes. NULL: runs out, or is none. */
static inline const uint8_t *varint_read(const uint8_t *p, const uint8_t *end, uint32_t *value)
{
    uint64_t v = 0;
    for (unsigned shift = 0; p < end && shift < 35; shift += 7) {
        uint8_t byte = *p++;
        v |= (uint64_t)(byte & 0x7F) << shift;
        if (byte < 0x80) {
            *value = (uint32_t)v;
            return v <= UINT32_MAX ? p : NULL;
        }
    }
    return NULL;
}

static inline void varint_append(struct mirai_buf *out, uint32_t value)
{
    char bytes[5];
    size_t len = 0;
    for (; value >= 0x80; value >>= 7) {
        bytes[len++] = (char)(value | 0x80);
    }
    bytes[len++] = (char)value;
    mirai_buf_append(out, bytes, len);
}

#endif
