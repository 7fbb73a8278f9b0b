#include "services/search-index/postings/segment.h"

#include "libcommon/error.h"
#include "services/search-index/postings/format.h"
#include "services/search-index/postings/pack.h"
#include "services/search-index/postings/walk.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Sections that are checked in the background; the others when a segment is opened. */
static const unsigned char large[SECTION_COUNT] = {[SECTION_LISTS] = 1, [SECTION_DICTIONARY] = 1};

struct segment {
    atomic_uint users;
    atomic_bool damaged;
    bool mapped;
    uint8_t *data;
    size_t len;
    const struct segment_header *header;
    const struct segment_doc *docs;
    const struct segment_group *groups;
    size_t groups_len;
    const uint8_t *lists;
    const uint8_t *dictionary;
    const uint8_t *dictionary_end;
};

/* Segments are handed about as const; that one was found damaged is the one thing that readers note. */
static void note_damage(const struct segment *segment)
{
    atomic_store_explicit(&((struct segment *)segment)->damaged, true, memory_order_relaxed);
}

bool segment_damaged(const struct segment *segment)
{
    return atomic_load_explicit(&segment->damaged, memory_order_relaxed);
}

static void segment_free(struct segment *segment)
{
    if (segment->mapped) {
        munmap(segment->data, segment->len);
    } else {
        free(segment->data);
    }
    free(segment);
}

struct segment *segment_retain(struct segment *segment)
{
    atomic_fetch_add_explicit(&segment->users, 1, memory_order_relaxed);
    return segment;
}

void segment_release(struct segment *segment)
{
    if (segment != NULL && atomic_fetch_sub_explicit(&segment->users, 1, memory_order_acq_rel) == 1) {
        segment_free(segment);
    }
}

uint32_t segment_count(const struct segment *segment)
{
    return segment->header->count;
}

const struct segment_doc *segment_docs(const struct segment *segment)
{
    return segment->docs;
}

size_t segment_bytes(const struct segment *segment)
{
    return segment->len;
}

/* ------------------------------------------------------------------ opening */

static bool span_fits(const struct segment *segment, const struct segment_span *span)
{
    return span->offset % 8 == 0 && span->offset >= sizeof(struct segment_header) &&
           span->offset <= segment->len && span->len <= segment->len - span->offset;
}

static bool sections_fit(const struct segment *segment)
{
    const struct segment_header *header = segment->header;
    const struct segment_span *spans = header->sections;
    for (size_t i = 0; i < SECTION_COUNT; i++) {
        if (!span_fits(segment, &spans[i]) ||
            (!large[i] && crc32c(0, segment->data + spans[i].offset, spans[i].len) != spans[i].crc)) {
            return false;
        }
    }
    uint64_t groups = ((uint64_t)header->terms + SEGMENT_GROUP - 1) / SEGMENT_GROUP;
    return header->count <= SEGMENT_DOCS_MAX &&
           spans[SECTION_DOCS].len == header->count * sizeof(struct segment_doc) &&
           spans[SECTION_GROUPS].len == groups * sizeof(struct segment_group);
}

static bool look_inside(struct segment *segment)
{
    const struct segment_header *header = (const struct segment_header *)segment->data;
    segment->header = header;
    if (segment->len < sizeof(*header) || memcmp(header->magic, SEGMENT_MAGIC, sizeof(header->magic)) != 0 ||
        crc32c(0, header, offsetof(struct segment_header, crc)) != header->crc || !sections_fit(segment)) {
        return false;
    }
    const struct segment_span *spans = header->sections;
    segment->lists = segment->data + spans[SECTION_LISTS].offset;
    segment->docs = (const struct segment_doc *)(segment->data + spans[SECTION_DOCS].offset);
    segment->groups = (const struct segment_group *)(segment->data + spans[SECTION_GROUPS].offset);
    segment->groups_len = spans[SECTION_GROUPS].len / sizeof(struct segment_group);
    segment->dictionary = segment->data + spans[SECTION_DICTIONARY].offset;
    segment->dictionary_end = segment->dictionary + spans[SECTION_DICTIONARY].len;
    return true;
}

static int segment_new(uint8_t *data, size_t len, bool mapped, struct segment **out)
{
    struct segment *segment = mirai_alloc(sizeof(*segment));
    atomic_init(&segment->users, 1);
    segment->data = data;
    segment->len = len;
    segment->mapped = mapped;
    if (!look_inside(segment)) {
        segment_free(segment);
        return MIRAI_E_INVALID;
    }
    *out = segment;
    return 0;
}

int segment_from_buffer(struct mirai_buf *bytes, struct segment **out)
{
    uint8_t *data = (uint8_t *)bytes->data;
    size_t len = bytes->len;
    *bytes = (struct mirai_buf){0};
    return segment_new(data, len, false, out);
}

int segment_open(const char *path, struct segment **out)
{
    struct stat info;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return MIRAI_E_INVALID;
    }
    void *data = MAP_FAILED;
    if (fstat(fd, &info) == 0 && info.st_size >= (off_t)sizeof(struct segment_header)) {
        data = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_SHARED, fd, 0);
    }
    close(fd);
    return data == MAP_FAILED ? MIRAI_E_INVALID : segment_new(data, (size_t)info.st_size, true, out);
}

bool segment_scrub(struct segment *segment, struct segment_scrub *scrub, size_t bytes)
{
    while (scrub->section < SECTION_COUNT && !large[scrub->section]) {
        scrub->section++;
    }
    if (scrub->section == SECTION_COUNT || segment_damaged(segment)) {
        return false;
    }
    const struct segment_span *span = &segment->header->sections[scrub->section];
    uint64_t left = span->len - scrub->at;
    size_t len = left < bytes ? (size_t)left : bytes;
    scrub->crc = crc32c(scrub->crc, segment->data + span->offset + scrub->at, len);
    scrub->at += len;
    if (scrub->at == span->len) {
        if (scrub->crc != span->crc) {
            note_damage(segment);
        }
        *scrub = (struct segment_scrub){.section = scrub->section + 1};
    }
    return true;
}

/* ------------------------------------------------------------------ dictionary */

void segment_walk_begin(struct segment_walk *walk, const struct segment *segment)
{
    *walk = (struct segment_walk){.segment = segment};
}

/* False: behind the end, or damaged. */
static bool walk_group(struct segment_walk *walk)
{
    const struct segment *segment = walk->segment;
    if (walk->group >= segment->groups_len) {
        return false;
    }
    const struct segment_group *group = &segment->groups[walk->group];
    size_t entries = segment->header->terms - walk->group * SEGMENT_GROUP;
    if (group->dictionary > (uint64_t)(segment->dictionary_end - segment->dictionary)) {
        note_damage(segment);
        return false;
    }
    walk->group++;
    walk->at = segment->dictionary + group->dictionary;
    walk->left = entries < SEGMENT_GROUP ? (unsigned)entries : SEGMENT_GROUP;
    walk->lists = group->lists;
    walk->key_len = 0;
    return true;
}

static bool read_key(struct segment_walk *walk)
{
    const uint8_t *end = walk->segment->dictionary_end;
    uint32_t shared;
    uint32_t more;
    const uint8_t *p = varint_read(walk->at, end, &shared);
    p = p != NULL ? varint_read(p, end, &more) : NULL;
    if (p == NULL || shared > walk->key_len || more > SEGMENT_KEY_MAX - shared || more > (size_t)(end - p)) {
        return false;
    }
    memcpy(walk->key + shared, p, more);
    walk->key_len = shared + more;
    walk->at = p + more;
    return true;
}

static bool read_term(struct segment_walk *walk)
{
    const uint8_t *end = walk->segment->dictionary_end;
    uint64_t lists_len = walk->segment->header->sections[SECTION_LISTS].len;
    struct segment_term *term = &walk->term;
    const uint8_t *p = varint_read(walk->at, end, &term->df);
    if (p == NULL || p == end) {
        return false;
    }
    term->max_level = *p++;
    p = varint_read(p, end, &term->blocks_len);
    p = p != NULL ? varint_read(p, end, &term->positions_len) : NULL;
    uint64_t len = (uint64_t)term->blocks_len + term->positions_len;
    if (p == NULL || walk->lists > lists_len || len > lists_len - walk->lists || term->df == 0 ||
        term->df > walk->segment->header->count || term->max_level == 0 || term->max_level > SEGMENT_LEVELS) {
        return false;
    }
    term->blocks = walk->lists;
    walk->lists += len;
    walk->at = p;
    return true;
}

bool segment_walk_next(struct segment_walk *walk)
{
    if (walk->left == 0 && !walk_group(walk)) {
        return false;
    }
    walk->left--;
    if (!read_key(walk) || !read_term(walk)) {
        note_damage(walk->segment);
        walk->left = 0;
        walk->group = walk->segment->groups_len;
        return false;
    }
    return true;
}

static int compare_keys(const char *a, size_t a_len, struct mirai_str b)
{
    size_t len = a_len < b.len ? a_len : b.len;
    int order = len > 0 ? memcmp(a, b.data, len) : 0;
    return order != 0 ? order : (a_len > b.len) - (a_len < b.len);
}

/* Go to the first term >= key; true: there is one, and it is walk->term. */
static bool walk_seek(struct segment_walk *walk, const struct segment *segment, struct mirai_str key)
{
    segment_walk_begin(walk, segment);
    size_t low = 0; /* the last group whose first key is <= key, if any */
    size_t high = segment->groups_len;
    while (high - low > 1) {
        walk->group = low + (high - low) / 2;
        size_t middle = walk->group;
        if (!walk_group(walk) || !read_key(walk)) {
            note_damage(segment);
            return false;
        }
        if (compare_keys(walk->key, walk->key_len, key) <= 0) {
            low = middle;
        } else {
            high = middle;
        }
    }
    walk->group = low;
    walk->left = 0;
    while (segment_walk_next(walk)) {
        if (compare_keys(walk->key, walk->key_len, key) >= 0) {
            return true;
        }
    }
    return false;
}

bool segment_find(const struct segment *segment, struct mirai_str key, struct segment_term *out)
{
    struct segment_walk walk;
    if (!walk_seek(&walk, segment, key) || compare_keys(walk.key, walk.key_len, key) != 0) {
        return false;
    }
    *out = walk.term;
    return true;
}

void segment_each_term(const struct segment *segment, struct mirai_str prefix, segment_term_cb callback,
                       void *data)
{
    struct segment_walk walk;
    bool found = walk_seek(&walk, segment, prefix);
    for (; found; found = segment_walk_next(&walk)) {
        struct mirai_str key = {walk.key, walk.key_len};
        if (key.len < prefix.len || (prefix.len > 0 && memcmp(key.data, prefix.data, prefix.len) != 0) ||
            !callback(data, key, &walk.term)) {
            return;
        }
    }
}

/* ------------------------------------------------------------------ postings */

static bool cursor_end(struct segment_cursor *cursor)
{
    cursor->block_last = SEGMENT_END;
    cursor->block_max = 0;
    cursor->block = cursor->blocks;
    cursor->decoded = false;
    cursor->len = 0;
    return false;
}

static bool cursor_damaged(struct segment_cursor *cursor)
{
    note_damage(cursor->segment);
    return cursor_end(cursor);
}

static uint32_t skip_last(const struct segment_cursor *cursor, uint32_t block)
{
    return load32(cursor->skip + 4 * (size_t)block);
}

/* Where a block's bytes (or its positions) end: they begin where those of the one before end. */
static uint32_t skip_end(const struct segment_cursor *cursor, uint32_t block, bool positions)
{
    return load32(cursor->skip + 4 * ((size_t)cursor->blocks * (positions ? 2 : 1) + block));
}

/* Stand at `block` of a list with skip data. */
static bool cursor_stand(struct segment_cursor *cursor, uint32_t block)
{
    if (block >= cursor->blocks) {
        return cursor_end(cursor);
    }
    uint32_t before = block > 0 ? skip_last(cursor, block - 1) + 1 : 0;
    cursor->block = block;
    cursor->before = before;
    cursor->block_last = skip_last(cursor, block);
    cursor->block_max = cursor->skip[12 * (size_t)cursor->blocks + block];
    cursor->decoded = false;
    cursor->len = 0;
    cursor->place = NULL;
    if (cursor->block_last < before || cursor->block_last >= cursor->segment->header->count ||
        cursor->block_max == 0 || cursor->block_max > SEGMENT_LEVELS) {
        return cursor_damaged(cursor);
    }
    return true;
}

static void open_short(struct segment_cursor *cursor, const uint8_t *list, const struct segment_term *term)
{
    const uint8_t *end = list + term->blocks_len;
    cursor->data = varint_read(list, end, &cursor->block_last);
    cursor->block_max = term->max_level;
    cursor->blocks = 1;
    if (cursor->data == NULL || cursor->block_last >= cursor->segment->header->count) {
        cursor_damaged(cursor);
        return;
    }
    cursor->data_len = (uint32_t)(end - cursor->data);
}

void segment_cursor_open(struct segment_cursor *cursor, const struct segment *segment,
                         const struct segment_term *term)
{
    const uint8_t *list = segment->lists + term->blocks;
    cursor->segment = segment;
    cursor->df = term->df;
    cursor->block = 0;
    cursor->before = 0;
    cursor->len = 0;
    cursor->decoded = false;
    cursor->place = NULL;
    cursor->skip = NULL;
    cursor->positions = list + term->blocks_len;
    cursor->positions_len = term->positions_len;
    if (term->df <= SEGMENT_BLOCK) {
        open_short(cursor, list, term);
        return;
    }
    cursor->blocks = (term->df + SEGMENT_BLOCK - 1) / SEGMENT_BLOCK;
    uint64_t skip_len = (uint64_t)cursor->blocks * SEGMENT_SKIP;
    if (skip_len > term->blocks_len) {
        cursor_damaged(cursor);
        return;
    }
    cursor->skip = list;
    cursor->data = list + skip_len;
    cursor->data_len = term->blocks_len - (uint32_t)skip_len;
    cursor_stand(cursor, 0);
}

bool segment_cursor_next(struct segment_cursor *cursor)
{
    if (cursor->block_last == SEGMENT_END || cursor->skip == NULL) {
        return cursor_end(cursor);
    }
    return cursor_stand(cursor, cursor->block + 1);
}

bool segment_cursor_seek(struct segment_cursor *cursor, uint32_t doc)
{
    if (cursor->block_last == SEGMENT_END || doc <= cursor->block_last) {
        return cursor->block_last != SEGMENT_END;
    }
    if (cursor->skip == NULL) {
        return cursor_end(cursor);
    }
    /* gallop, then halve: near targets are found near */
    uint32_t low = cursor->block; /* its last document is before doc */
    uint32_t step = 1;
    while (step < cursor->blocks - low && skip_last(cursor, low + step) < doc) {
        low += step;
        step *= 2;
    }
    uint32_t high = step < cursor->blocks - low ? low + step : cursor->blocks;
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (skip_last(cursor, middle) < doc) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return cursor_stand(cursor, high);
}

static bool decode_levels(struct segment_cursor *cursor, const uint8_t *in, unsigned bits, uint32_t least)
{
    uint32_t values[SEGMENT_BLOCK];
    unsigned len = cursor->len;
    if (len == SEGMENT_BLOCK) {
        unpack_block(in, bits, values);
    } else {
        unpack_tail(in, len, bits, values);
    }
    uint32_t most = 0;
    for (unsigned i = 0; i < len; i++) {
        uint32_t level = least + values[i];
        most = level > most ? level : most;
        cursor->levels[i] = (uint8_t)level;
    }
    return most <= cursor->block_max && least > 0;
}

static bool decode_docs(struct segment_cursor *cursor, const uint8_t *in, unsigned bits)
{
    unsigned len = cursor->len;
    if (len == SEGMENT_BLOCK) {
        unpack_block(in, bits, cursor->docs);
    } else {
        unpack_tail(in, len - 1, bits, cursor->docs);
        len--;
    }
    uint32_t next = cursor->before;
    for (unsigned i = 0; i < len; i++) {
        next += cursor->docs[i];
        cursor->docs[i] = next++;
    }
    if (len < cursor->len) {
        cursor->docs[len] = cursor->block_last;
        return next <= cursor->block_last;
    }
    return next == cursor->block_last + 1;
}

static bool decode(struct segment_cursor *cursor)
{
    uint32_t start =
        cursor->skip != NULL && cursor->block > 0 ? skip_end(cursor, cursor->block - 1, false) : 0;
    uint32_t end = cursor->skip != NULL ? skip_end(cursor, cursor->block, false) : cursor->data_len;
    unsigned rest = cursor->df - cursor->block * SEGMENT_BLOCK;
    cursor->len = rest < SEGMENT_BLOCK ? rest : SEGMENT_BLOCK;
    if (cursor->df == 1) {
        cursor->docs[0] = cursor->block_last;
        cursor->levels[0] = cursor->block_max;
        return true;
    }
    if (end > cursor->data_len || start > end || end - start < 2) {
        return false;
    }
    const uint8_t *in = cursor->data + start;
    unsigned doc_bits = in[0] & 31;
    unsigned level_bits = in[0] >> 5;
    size_t docs_bytes = cursor->len == SEGMENT_BLOCK ? PACK_BLOCK_BYTES(doc_bits)
                                                     : PACK_TAIL_BYTES(cursor->len - 1, doc_bits);
    size_t level_bytes = cursor->len == SEGMENT_BLOCK ? PACK_BLOCK_BYTES(level_bits)
                                                      : PACK_TAIL_BYTES(cursor->len, level_bits);
    if (doc_bits > SEGMENT_DOC_BITS || end - start != 2 + docs_bytes + level_bytes) {
        return false;
    }
    return decode_docs(cursor, in + 2, doc_bits) &&
           decode_levels(cursor, in + 2 + docs_bytes, level_bits, in[1]);
}

void segment_cursor_decode(struct segment_cursor *cursor)
{
    if (cursor->decoded || cursor->block_last == SEGMENT_END) {
        return;
    }
    cursor->decoded = true;
    if (!decode(cursor)) { /* what callers rely on holds nevertheless */
        note_damage(cursor->segment);
        cursor->len = 1;
        cursor->docs[0] = cursor->block_last;
        cursor->levels[0] = 1;
    }
}

/* ------------------------------------------------------------------ positions */

/* The bytes of the current block's positions. */
static bool positions_span(const struct segment_cursor *cursor, const uint8_t **start, const uint8_t **end)
{
    uint32_t from = cursor->skip != NULL && cursor->block > 0 ? skip_end(cursor, cursor->block - 1, true) : 0;
    uint32_t to = cursor->skip != NULL ? skip_end(cursor, cursor->block, true) : cursor->positions_len;
    *start = cursor->positions + from;
    *end = cursor->positions + to;
    return from <= to && to <= cursor->positions_len;
}

static const uint8_t *skip_posting(const uint8_t *p, const uint8_t *end)
{
    uint32_t value;
    p = varint_read(p, end, &value);
    if (p != NULL && (value & 1) != 0) {
        p = varint_read(p, end, &value);
        while (p != NULL && value > 0) { /* bytes below 0x80 end a varint */
            if (p == end) {
                return NULL;
            }
            value -= *p++ < 0x80;
        }
    }
    return p;
}

static unsigned read_posting(const uint8_t *p, const uint8_t *end, uint32_t *out, unsigned max)
{
    uint32_t value;
    uint32_t more = 0;
    p = varint_read(p, end, &value);
    if (p != NULL && (value & 1) != 0) {
        p = varint_read(p, end, &more);
    }
    if (p == NULL || max == 0) {
        return 0;
    }
    uint32_t position = value >> 1;
    unsigned len = 0;
    out[len++] = position;
    for (; more > 0 && len < max; more--) {
        p = varint_read(p, end, &value);
        if (p == NULL || value > SEGMENT_END - position) {
            break;
        }
        position += value;
        out[len++] = position;
    }
    return len;
}

/* Where the posting `at` has its positions; NULL: damaged, or no such posting. */
static const uint8_t *find_positions(struct segment_cursor *cursor, unsigned at, const uint8_t **end)
{
    const uint8_t *start;
    if (cursor->block_last == SEGMENT_END || at >= cursor->len || !positions_span(cursor, &start, end)) {
        return NULL;
    }
    if (cursor->place == NULL || cursor->place_at > at) {
        cursor->place = start;
        cursor->place_at = 0;
    }
    while (cursor->place != NULL && cursor->place_at < at) {
        cursor->place = skip_posting(cursor->place, *end);
        cursor->place_at++;
    }
    return cursor->place;
}

unsigned segment_cursor_positions(struct segment_cursor *cursor, unsigned at, uint32_t *out, unsigned max)
{
    const uint8_t *end;
    const uint8_t *p = find_positions(cursor, at, &end);
    unsigned len = p != NULL ? read_posting(p, end, out, max) : 0;
    if (len == 0 && max > 0) {
        note_damage(cursor->segment);
    }
    return len;
}

bool segment_cursor_stored_positions(struct segment_cursor *cursor, unsigned at, struct mirai_str *out)
{
    const uint8_t *end;
    const uint8_t *p = find_positions(cursor, at, &end);
    const uint8_t *stop = p != NULL ? skip_posting(p, end) : NULL;
    if (stop == NULL) {
        note_damage(cursor->segment);
        return false;
    }
    *out = (struct mirai_str){(const char *)p, (size_t)(stop - p)};
    return true;
}
