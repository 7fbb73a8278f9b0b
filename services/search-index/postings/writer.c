#include "services/search-index/postings/writer.h"

#include "libcommon/error.h"
#include "services/search-index/postings/pack.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

/* Bytes that are collected before they go to a file. */
#define SINK_CHUNK (256u << 10)

/* ------------------------------------------------------------------ bytes */

static void sink_flush(struct segment_sink *sink)
{
    size_t at = 0;
    while (sink->err == 0 && at < sink->bytes.len) {
        ssize_t n = write(sink->fd, sink->bytes.data + at, sink->bytes.len - at);
        if (n >= 0) {
            at += (size_t)n;
        } else if (errno != EINTR) {
            sink->err = errno == ENOSPC || errno == EDQUOT ? MIRAI_E_NO_SPACE : MIRAI_E_INTERNAL;
        }
    }
    sink->written += sink->bytes.len;
    sink->bytes.len = 0;
}

static void sink_append(struct segment_sink *sink, const void *data, size_t len)
{
    mirai_buf_append(&sink->bytes, data, len);
    if (sink->fd >= 0 && sink->bytes.len >= SINK_CHUNK) {
        sink_flush(sink);
    }
}

static uint64_t sink_at(const struct segment_sink *sink)
{
    return sink->written + sink->bytes.len;
}

static void sink_align(struct segment_sink *sink)
{
    static const char zeros[8] = {0};
    sink_append(sink, zeros, (8 - sink_at(sink) % 8) % 8);
}

/* The header is known last and stands first. */
static void sink_put_header(struct segment_sink *sink, const struct segment_header *header)
{
    if (sink->fd < 0) {
        memcpy(sink->bytes.data, header, sizeof(*header));
        return;
    }
    sink_flush(sink);
    mirai_buf_free(&sink->bytes);
    if (sink->err == 0 && pwrite(sink->fd, header, sizeof(*header), 0) != (ssize_t)sizeof(*header)) {
        sink->err = MIRAI_E_INTERNAL;
    }
}

/* ------------------------------------------------------------------ lists */

void segment_writer_begin(struct segment_writer *writer, struct segment_sink *sink)
{
    *writer = (struct segment_writer){.sink = sink};
    sink_append(sink, &writer->header, sizeof(writer->header));
}

void segment_writer_term(struct segment_writer *writer, struct mirai_str key)
{
    memcpy(writer->key, key.data, key.len);
    writer->key_len = key.len;
    writer->df = 0;
    writer->max_level = 0;
    writer->before = 0;
    writer->len = 0;
    writer->blocks.len = 0;
    writer->positions.len = 0;
    for (size_t i = 0; i < 4; i++) {
        writer->skip[i].len = 0;
    }
}

static void append32(struct mirai_buf *buf, size_t value)
{
    uint32_t v = (uint32_t)value;
    mirai_buf_append(buf, &v, sizeof(v));
}

static void pack(struct mirai_buf *out, const uint32_t *values, unsigned count, unsigned bits)
{
    bool full = count == SEGMENT_BLOCK;
    size_t len = full ? PACK_BLOCK_BYTES(bits) : PACK_TAIL_BYTES(count, bits);
    mirai_buf_reserve(out, len);
    if (full) {
        pack_block(values, bits, (uint8_t *)out->data + out->len);
    } else {
        pack_tail(values, count, bits, (uint8_t *)out->data + out->len);
    }
    out->len += len;
}

static void write_block(struct segment_writer *writer, uint8_t least, uint8_t most)
{
    uint32_t deltas[SEGMENT_BLOCK];
    uint32_t levels[SEGMENT_BLOCK];
    uint32_t next = writer->before;
    uint32_t all = 0;
    unsigned count = writer->len < SEGMENT_BLOCK ? writer->len - 1 : writer->len;
    for (unsigned i = 0; i < count; i++) {
        deltas[i] = writer->docs[i] - next;
        next = writer->docs[i] + 1;
        all |= deltas[i];
    }
    for (unsigned i = 0; i < writer->len; i++) {
        levels[i] = (uint32_t)(writer->levels[i] - least);
    }
    unsigned doc_bits = pack_bits(all);
    unsigned level_bits = pack_bits((uint32_t)(most - least));
    mirai_buf_append_char(&writer->blocks, (char)(doc_bits | level_bits << 5));
    mirai_buf_append_char(&writer->blocks, (char)least);
    if (count == SEGMENT_BLOCK) {
        pack(&writer->blocks, deltas, SEGMENT_BLOCK, doc_bits);
    } else if (count > 0) {
        pack(&writer->blocks, deltas, count, doc_bits);
    }
    pack(&writer->blocks, levels, writer->len, level_bits);
}

static void flush_block(struct segment_writer *writer)
{
    uint32_t last = writer->docs[writer->len - 1];
    uint8_t least = SEGMENT_LEVELS;
    uint8_t most = 0;
    for (unsigned i = 0; i < writer->len; i++) {
        least = writer->levels[i] < least ? writer->levels[i] : least;
        most = writer->levels[i] > most ? writer->levels[i] : most;
    }
    if (writer->df > 1) {
        write_block(writer, least, most);
    }
    append32(&writer->skip[0], last);
    append32(&writer->skip[1], writer->blocks.len);
    append32(&writer->skip[2], writer->positions.len);
    mirai_buf_append_char(&writer->skip[3], (char)most);
    writer->max_level = most > writer->max_level ? most : writer->max_level;
    writer->before = last + 1;
    writer->len = 0;
}

void segment_writer_posting(struct segment_writer *writer, uint32_t doc, uint8_t level,
                            struct mirai_str positions)
{
    if (writer->len == SEGMENT_BLOCK) {
        flush_block(writer); /* not before: the positions of its last posting belong to it */
    }
    writer->docs[writer->len] = doc;
    writer->levels[writer->len] = level;
    writer->len++;
    writer->df++;
    mirai_buf_append_str(&writer->positions, positions);
}

static void put_lists(struct segment_writer *writer, const struct mirai_buf *bytes)
{
    if (bytes->len > 0) {
        writer->crc = crc32c(writer->crc, bytes->data, bytes->len);
        sink_append(writer->sink, bytes->data, bytes->len);
    }
}

static void put_entry(struct segment_writer *writer, uint32_t blocks_len)
{
    struct mirai_buf *out = &writer->dictionary;
    size_t shared = 0;
    if (writer->header.terms % SEGMENT_GROUP == 0) {
        struct segment_group group = {.lists = writer->lists, .dictionary = out->len};
        mirai_buf_append(&writer->groups, &group, sizeof(group));
    } else {
        size_t most = writer->key_len < writer->last_key_len ? writer->key_len : writer->last_key_len;
        while (shared < most && writer->key[shared] == writer->last_key[shared]) {
            shared++;
        }
    }
    varint_append(out, (uint32_t)shared);
    varint_append(out, (uint32_t)(writer->key_len - shared));
    mirai_buf_append(out, writer->key + shared, writer->key_len - shared);
    varint_append(out, writer->df);
    mirai_buf_append_char(out, (char)writer->max_level);
    varint_append(out, blocks_len);
    varint_append(out, (uint32_t)writer->positions.len);
    memcpy(writer->last_key, writer->key, writer->key_len);
    writer->last_key_len = writer->key_len;
    writer->header.terms++;
}

void segment_writer_term_end(struct segment_writer *writer)
{
    struct mirai_buf head = {0};
    if (writer->df == 0) {
        return;
    }
    flush_block(writer);
    if (writer->df > SEGMENT_BLOCK) {
        for (size_t i = 0; i < 4; i++) {
            mirai_buf_append(&head, writer->skip[i].data, writer->skip[i].len);
        }
    } else {
        varint_append(&head, writer->before - 1);
    }
    uint64_t blocks_len = (uint64_t)head.len + writer->blocks.len;
    if (blocks_len > UINT32_MAX || writer->positions.len > UINT32_MAX) {
        writer->sink->err = MIRAI_E_INVALID; /* no collection that fits a segment has it */
    }
    put_lists(writer, &head);
    put_lists(writer, &writer->blocks);
    put_lists(writer, &writer->positions);
    put_entry(writer, (uint32_t)blocks_len);
    writer->lists += blocks_len + writer->positions.len;
    mirai_buf_free(&head);
}

static void put_section(struct segment_writer *writer, enum segment_section which, const void *data,
                        size_t len)
{
    sink_align(writer->sink);
    writer->header.sections[which] =
        (struct segment_span){.offset = sink_at(writer->sink), .len = len, .crc = crc32c(0, data, len)};
    if (len > 0) {
        sink_append(writer->sink, data, len);
    }
}

int segment_writer_end(struct segment_writer *writer, const struct segment_doc *docs, uint32_t count)
{
    struct segment_header *header = &writer->header;
    header->sections[SECTION_LISTS] =
        (struct segment_span){.offset = sizeof(*header), .len = writer->lists, .crc = writer->crc};
    put_section(writer, SECTION_DOCS, docs, count * sizeof(docs[0]));
    put_section(writer, SECTION_DICTIONARY, writer->dictionary.data, writer->dictionary.len);
    put_section(writer, SECTION_GROUPS, writer->groups.data, writer->groups.len);
    memcpy(header->magic, SEGMENT_MAGIC, sizeof(header->magic));
    header->count = count;
    header->crc = crc32c(0, header, offsetof(struct segment_header, crc));
    sink_put_header(writer->sink, header);
    mirai_buf_free(&writer->dictionary);
    mirai_buf_free(&writer->groups);
    mirai_buf_free(&writer->blocks);
    mirai_buf_free(&writer->positions);
    for (size_t i = 0; i < 4; i++) {
        mirai_buf_free(&writer->skip[i]);
    }
    return writer->sink->err;
}
