#include "services/search-index/postings/build.h"

#include "libcommon/error.h"
#include "services/search-index/postings/writer.h"

#include <stdlib.h>

/* Bytes of a term's first chunk; each further one is twice as long, up to a bound. */
#define CHUNK_FIRST 24
#define CHUNK_MOST  4096

/* Offsets are of 32 bits. */
#define POOL_MAX (1u << 31)

/* A term and its postings so far: for each document its distance, its level, the length of its positions and
 * these, in a chain of chunks. */
struct entry {
    uint32_t hash;
    uint32_t key; /* offset in keys */
    uint32_t next_doc;
    uint32_t first; /* chunk: offset of the next one, then bytes */
    uint32_t at;    /* where the next byte goes */
    uint32_t end;
    uint32_t chunk; /* length of the current one */
    uint8_t key_len;
};

struct segment_builder {
    struct mirai_buf keys;
    struct mirai_buf pool;
    struct mirai_buf scratch;
    struct entry *entries;
    uint32_t entries_len;
    uint32_t entries_cap;
    uint32_t *slots; /* open addressing: index into entries + 1 */
    uint32_t slots_len;
    struct mirai_buf docs; /* struct segment_doc */
    uint32_t count;
};

#define SLOTS_FIRST 1024

struct segment_builder *segment_builder_new(void)
{
    struct segment_builder *builder = mirai_alloc(sizeof(*builder));
    builder->slots_len = SLOTS_FIRST;
    builder->slots = mirai_alloc(SLOTS_FIRST * sizeof(builder->slots[0]));
    return builder;
}

void segment_builder_free(struct segment_builder *builder)
{
    if (builder != NULL) {
        mirai_buf_free(&builder->keys);
        mirai_buf_free(&builder->pool);
        mirai_buf_free(&builder->scratch);
        mirai_buf_free(&builder->docs);
        free(builder->entries);
        free(builder->slots);
        free(builder);
    }
}

static void begin_anew(struct segment_builder *builder)
{
    memset(builder->slots, 0, builder->slots_len * sizeof(builder->slots[0]));
    builder->keys.len = 0;
    builder->pool.len = 0;
    builder->docs.len = 0;
    builder->entries_len = 0;
    builder->count = 0;
}

uint32_t segment_builder_count(const struct segment_builder *builder)
{
    return builder->count;
}

size_t segment_builder_bytes(const struct segment_builder *builder)
{
    return builder->pool.len + builder->keys.len + builder->docs.len +
           builder->entries_len * (sizeof(struct entry) + 2 * sizeof(uint32_t));
}

/* FNV-1a over four bytes at a time, finished as MurmurHash3. */
static uint32_t hash_key(struct mirai_str key)
{
    uint64_t hash = 14695981039346656037u;
    size_t i = 0;
    for (; i + 4 <= key.len; i += 4) {
        hash = (hash ^ load32((const uint8_t *)key.data + i)) * 1099511628211u;
        hash ^= hash >> 29;
    }
    for (; i < key.len; i++) {
        hash = (hash ^ (unsigned char)key.data[i]) * 1099511628211u;
    }
    hash ^= hash >> 33;
    hash *= 0xff51afd7ed558ccdULL;
    return (uint32_t)(hash >> 32);
}

static void grow_slots(struct segment_builder *builder)
{
    uint32_t len = builder->slots_len * 2;
    free(builder->slots);
    builder->slots = mirai_alloc(len * sizeof(builder->slots[0]));
    builder->slots_len = len;
    for (uint32_t i = 0; i < builder->entries_len; i++) {
        uint32_t at = builder->entries[i].hash & (len - 1);
        while (builder->slots[at] != 0) {
            at = (at + 1) & (len - 1);
        }
        builder->slots[at] = i + 1;
    }
}

static struct entry *add_entry(struct segment_builder *builder, uint32_t slot, uint32_t hash,
                               struct mirai_str key)
{
    if (builder->entries_len == builder->entries_cap) {
        builder->entries_cap = builder->entries_cap == 0 ? 512 : builder->entries_cap * 2;
        builder->entries =
            mirai_realloc(builder->entries, builder->entries_cap * sizeof(builder->entries[0]));
    }
    struct entry *entry = &builder->entries[builder->entries_len++];
    builder->slots[slot] = builder->entries_len;
    *entry = (struct entry){.hash = hash, .key = (uint32_t)builder->keys.len, .key_len = (uint8_t)key.len};
    mirai_buf_append_str(&builder->keys, key);
    if (builder->entries_len > builder->slots_len / 2) {
        grow_slots(builder);
    }
    return entry;
}

static struct entry *find_entry(struct segment_builder *builder, struct mirai_str key)
{
    uint32_t hash = hash_key(key);
    uint32_t at = hash & (builder->slots_len - 1);
    for (; builder->slots[at] != 0; at = (at + 1) & (builder->slots_len - 1)) {
        struct entry *entry = &builder->entries[builder->slots[at] - 1];
        if (entry->hash == hash && entry->key_len == key.len &&
            memcmp(builder->keys.data + entry->key, key.data, key.len) == 0) {
            return entry;
        }
    }
    return add_entry(builder, at, hash, key);
}

static void add_chunk(struct segment_builder *builder, struct entry *entry)
{
    uint32_t len = entry->chunk == 0 ? CHUNK_FIRST : entry->chunk * 2;
    len = len > CHUNK_MOST ? CHUNK_MOST : len;
    uint32_t offset = (uint32_t)builder->pool.len;
    mirai_buf_reserve(&builder->pool, len);
    builder->pool.len += len;
    if (entry->chunk == 0) {
        entry->first = offset;
    } else {
        memcpy(builder->pool.data + entry->end - entry->chunk, &offset, sizeof(offset));
    }
    entry->at = offset + (uint32_t)sizeof(uint32_t);
    entry->end = offset + len;
    entry->chunk = len;
}

static void append_bytes(struct segment_builder *builder, struct entry *entry, const char *data, size_t len)
{
    while (len > 0) {
        if (entry->at == entry->end) {
            add_chunk(builder, entry);
        }
        size_t n = entry->end - entry->at;
        n = n < len ? n : len;
        memcpy(builder->pool.data + entry->at, data, n);
        entry->at += (uint32_t)n;
        data += n;
        len -= n;
    }
}

/* Whether these are the positions of one posting: ascending ones, nothing behind them. */
static bool positions_valid(const uint8_t *p, const uint8_t *end)
{
    uint32_t value;
    uint32_t more = 0;
    p = varint_read(p, end, &value);
    if (p == NULL) {
        return false;
    }
    uint64_t position = value >> 1;
    if ((value & 1) != 0) {
        p = varint_read(p, end, &more);
    }
    for (; p != NULL && more > 0; more--) {
        p = varint_read(p, end, &value);
        position += value;
    }
    return p == end && position < SEGMENT_END;
}

static void add_posting(struct segment_builder *builder, struct mirai_str key, uint8_t level,
                        struct mirai_str positions)
{
    struct entry *entry = find_entry(builder, key);
    if (entry->next_doc > builder->count) {
        return; /* a term stands once in a document */
    }
    builder->scratch.len = 0;
    varint_append(&builder->scratch, builder->count - entry->next_doc);
    mirai_buf_append_char(&builder->scratch, (char)level);
    varint_append(&builder->scratch, (uint32_t)positions.len);
    append_bytes(builder, entry, builder->scratch.data, builder->scratch.len);
    append_bytes(builder, entry, positions.data, positions.len);
    entry->next_doc = builder->count + 1;
}

int segment_builder_add(struct segment_builder *builder, struct segment_doc doc, struct mirai_str encoded)
{
    const uint8_t *p = (const uint8_t *)encoded.data;
    const uint8_t *end = encoded.len != 0 ? p + encoded.len : p;
    if (builder->count == SEGMENT_DOCS_MAX || builder->pool.len + encoded.len > POOL_MAX / 2) {
        return MIRAI_E_INVALID;
    }
    while (p != end) {
        uint32_t key_len;
        uint32_t len;
        p = varint_read(p, end, &key_len);
        if (p == NULL || key_len == 0 || key_len > SEGMENT_KEY_MAX || (size_t)(end - p) <= key_len) {
            return MIRAI_E_INVALID;
        }
        struct mirai_str key = {(const char *)p, key_len};
        uint8_t level = p[key_len];
        p = varint_read(p + key_len + 1, end, &len);
        if (p == NULL || len > (size_t)(end - p) || level == 0 || level > SEGMENT_LEVELS ||
            !positions_valid(p, p + len)) {
            return MIRAI_E_INVALID;
        }
        add_posting(builder, key, level, (struct mirai_str){(const char *)p, len});
        p += len;
    }
    mirai_buf_append(&builder->docs, &doc, sizeof(doc));
    builder->count++;
    return 0;
}

/* ------------------------------------------------------------------ finishing */

static int compare_entries(const void *a, const void *b, void *data)
{
    const struct segment_builder *builder = data;
    const struct entry *x = &builder->entries[*(const uint32_t *)a];
    const struct entry *y = &builder->entries[*(const uint32_t *)b];
    size_t len = x->key_len < y->key_len ? x->key_len : y->key_len;
    int order = memcmp(builder->keys.data + x->key, builder->keys.data + y->key, len);
    return order != 0 ? order : x->key_len - y->key_len;
}

/* The bytes of an entry's chunks in a row. */
static struct mirai_str gather(struct segment_builder *builder, const struct entry *entry)
{
    struct mirai_buf *out = &builder->scratch;
    uint32_t offset = entry->first;
    uint32_t len = CHUNK_FIRST;
    out->len = 0;
    for (;;) {
        uint32_t start = offset + (uint32_t)sizeof(uint32_t);
        bool last = offset + entry->chunk == entry->end;
        uint32_t stop = last ? entry->at : offset + len;
        mirai_buf_append(out, builder->pool.data + start, stop - start);
        if (last) {
            return mirai_buf_str(out);
        }
        memcpy(&offset, builder->pool.data + offset, sizeof(offset));
        len = len * 2 > CHUNK_MOST ? CHUNK_MOST : len * 2;
    }
}

static void write_entry(struct segment_builder *builder, struct segment_writer *writer,
                        const struct entry *entry)
{
    struct mirai_str bytes = gather(builder, entry);
    const uint8_t *p = (const uint8_t *)bytes.data;
    const uint8_t *end = p + bytes.len;
    uint32_t doc = 0;
    segment_writer_term(writer, (struct mirai_str){builder->keys.data + entry->key, entry->key_len});
    while (p != NULL && p < end) { /* our own bytes: never NULL */
        uint32_t distance = 0;
        uint32_t len = 0;
        p = varint_read(p, end, &distance);
        uint8_t level = *p++;
        p = varint_read(p, end, &len);
        doc += distance;
        segment_writer_posting(writer, doc, level, (struct mirai_str){(const char *)p, len});
        doc++;
        p += len;
    }
    segment_writer_term_end(writer);
}

int segment_builder_finish(struct segment_builder *builder, struct segment_sink *sink)
{
    struct segment_writer writer;
    uint32_t *order = mirai_alloc((builder->entries_len + 1) * sizeof(order[0]));
    for (uint32_t i = 0; i < builder->entries_len; i++) {
        order[i] = i;
    }
    qsort_r(order, builder->entries_len, sizeof(order[0]), compare_entries, builder);
    segment_writer_begin(&writer, sink);
    for (uint32_t i = 0; i < builder->entries_len; i++) {
        write_entry(builder, &writer, &builder->entries[order[i]]);
    }
    int err = segment_writer_end(&writer, (const struct segment_doc *)builder->docs.data, builder->count);
    free(order);
    begin_anew(builder);
    return err;
}
