#include "services/search-index/query/source.h"

#include <stdlib.h>

/* Positions that are looked at for a posting cost as much as reading so many postings. */
#define POSITION_COST 30

/* Terms with a prefix that are looked at in a segment. */
#define PREFIX_TERMS_MAX 4096

void source_pool_begin(struct source_pool *pool)
{
    if (pool->lists == NULL) {
        pool->lists = mirai_alloc(LISTS_MAX * sizeof(pool->lists[0]));
        pool->starts = mirai_alloc(POSITIONS_MAX * sizeof(pool->starts[0]));
        pool->positions = mirai_alloc(POSITIONS_MAX * sizeof(pool->positions[0]));
    }
    pool->prefix_postings = 0;
    pool->cut = false;
    source_pool_segment(pool);
}

void source_pool_segment(struct source_pool *pool)
{
    pool->lists_len = 0;
    pool->levels_len = 0;
}

void source_pool_free(struct source_pool *pool)
{
    free(pool->lists);
    for (size_t i = 0; i < PREFIXES_MAX; i++) {
        free(pool->levels[i]);
    }
    free(pool->starts);
    free(pool->positions);
    *pool = (struct source_pool){0};
}

/* ------------------------------------------------------------------ lists */

/* Index of the first posting of the decoded block that is not below `doc`, which is not above its last one. Halving
 * without branches. */
static unsigned first_at(const struct segment_cursor *cursor, uint32_t doc)
{
    const uint32_t *base = cursor->docs;
    unsigned len = cursor->len;
    while (len > 1) {
        unsigned half = len / 2;
        base += base[half - 1] < doc ? half : 0;
        len -= half;
    }
    return (unsigned)(base - cursor->docs);
}

static bool list_seek(struct list *list, uint32_t doc)
{
    list->ended = list->ended || !segment_cursor_seek(&list->cursor, doc);
    return !list->ended;
}

static bool list_next(struct list *list)
{
    list->ended = list->ended || !segment_cursor_next(&list->cursor);
    return !list->ended;
}

/* Whether the list has `doc`; *at: where in the block. */
static bool list_has(struct list *list, uint32_t doc, unsigned *at)
{
    if (!list_seek(list, doc)) {
        return false;
    }
    segment_cursor_decode(&list->cursor);
    *at = first_at(&list->cursor, doc);
    return *at < list->cursor.len && list->cursor.docs[*at] == doc;
}

static bool open_lists(struct source *source, struct source_pool *pool, const struct segment *segment,
                       size_t at, const struct plan_part *parts, size_t parts_len)
{
    if (pool->lists_len + parts_len > LISTS_MAX) {
        pool->cut = true;
        return false;
    }
    source->lists = &pool->lists[pool->lists_len];
    source->max_level = SEGMENT_LEVELS;
    for (size_t i = 0; i < parts_len; i++) {
        const struct segment_term *term = &parts[i].terms[at];
        if (term->df == 0) {
            return false;
        }
        struct list *list = &source->lists[i];
        segment_cursor_open(&list->cursor, segment, term);
        list->offset = parts[i].part->offset;
        list->ended = false;
        source->max_level = term->max_level < source->max_level ? term->max_level : source->max_level;
    }
    segment_cursor_open(&source->scout, segment, &parts[0].terms[at]);
    source->df = parts[0].terms[at].df;
    source->lists_len = parts_len;
    pool->lists_len += parts_len;
    return true;
}

/* ------------------------------------------------------------------ prefixes */

struct prefix {
    struct segment_term *terms;
    size_t len;
};

static bool on_prefix_term(void *data, struct mirai_str key, const struct segment_term *term)
{
    struct prefix *prefix = data;
    (void)key;
    prefix->terms[prefix->len++] = *term;
    return prefix->len < PREFIX_TERMS_MAX;
}

static int compare_terms(const void *a, const void *b)
{
    uint32_t x = ((const struct segment_term *)a)->df;
    uint32_t y = ((const struct segment_term *)b)->df;
    return x > y ? -1 : x < y;
}

static void spread(struct source *source, const struct segment *segment, const struct segment_term *term)
{
    struct segment_cursor cursor;
    segment_cursor_open(&cursor, segment, term);
    do {
        segment_cursor_decode(&cursor);
        for (unsigned i = 0; i < cursor.len; i++) {
            uint8_t *level = &source->levels[cursor.docs[i]];
            *level = cursor.levels[i] > *level ? cursor.levels[i] : *level;
        }
    } while (segment_cursor_next(&cursor));
    source->max_level = term->max_level > source->max_level ? term->max_level : source->max_level;
}

static uint8_t *take_levels(struct source_pool *pool, size_t count)
{
    size_t at = pool->levels_len++;
    if (pool->levels_caps[at] < count) {
        free(pool->levels[at]);
        pool->levels[at] = mirai_alloc(count);
        pool->levels_caps[at] = count;
    } else {
        memset(pool->levels[at], 0, count);
    }
    return pool->levels[at];
}

static bool open_prefix(struct source *source, struct source_pool *pool, const struct segment *segment,
                        struct mirai_str key)
{
    if (pool->levels_len == PREFIXES_MAX) {
        pool->cut = true;
        return false;
    }
    struct prefix prefix = {.terms = mirai_alloc(PREFIX_TERMS_MAX * sizeof(prefix.terms[0]))};
    segment_each_term(segment, key, on_prefix_term, &prefix);
    pool->cut |= prefix.len == PREFIX_TERMS_MAX;
    qsort(prefix.terms, prefix.len, sizeof(prefix.terms[0]), compare_terms);
    if (prefix.len > 0) {
        source->levels = take_levels(pool, segment_count(segment));
    }
    for (size_t i = 0; i < prefix.len; i++) {
        if (pool->prefix_postings + prefix.terms[i].df > PREFIX_POSTINGS_MAX) {
            pool->cut = true;
            break;
        }
        pool->prefix_postings += prefix.terms[i].df;
        spread(source, segment, &prefix.terms[i]);
    }
    free(prefix.terms);
    return source->levels != NULL;
}

bool source_open(struct source *source, struct source_pool *pool, const struct segment *segment, size_t at,
                 const struct plan_part *parts, size_t parts_len, bool prefix)
{
    *source = (struct source){0};
    return prefix ? open_prefix(source, pool, segment, parts[0].part->key)
                  : open_lists(source, pool, segment, at, parts, parts_len);
}

/* ------------------------------------------------------------------ windows */

static uint8_t prefix_bound(const struct source *source, uint32_t from, uint32_t to)
{
    uint8_t most = 0;
    for (uint32_t doc = from; doc < to; doc++) {
        most = source->levels[doc] > most ? source->levels[doc] : most;
    }
    return most;
}

/* From the skip data alone, with a cursor of its own: the other one must not run ahead. */
uint8_t source_bound(struct source *source, uint32_t from, uint32_t to)
{
    if (source->levels != NULL) {
        return prefix_bound(source, from, to);
    }
    struct segment_cursor *scout = &source->scout;
    source->scout_ended = source->scout_ended || !segment_cursor_seek(scout, from);
    if (source->scout_ended) {
        return 0;
    }
    uint8_t most = scout->block_max;
    while (scout->block_last < to - 1) {
        if (!segment_cursor_next(scout)) {
            source->scout_ended = true;
            break;
        }
        most = scout->block_max > most ? scout->block_max : most;
    }
    return most < source->max_level ? most : source->max_level;
}

static void set_bit(uint64_t *bits, uint32_t at)
{
    bits[at / 64] |= UINT64_C(1) << at % 64;
}

/* Postings of the decoded block within a window: [*begin, *end). False: it is the last block with any. */
static bool block_range(const struct segment_cursor *cursor, uint32_t from, uint32_t to, unsigned *begin,
                        unsigned *end)
{
    bool more = cursor->block_last < to - 1;
    *begin = cursor->docs[0] >= from ? 0 : first_at(cursor, from);
    *end = cursor->block_last < to ? cursor->len : first_at(cursor, to);
    return more;
}

void source_add(struct source *source, uint32_t from, uint32_t to, uint32_t gain, uint32_t *sums,
                uint64_t *bits)
{
    struct list *list = &source->lists[0];
    struct segment_cursor *cursor = &list->cursor;
    bool more = list_seek(list, from);
    while (more) {
        unsigned begin;
        unsigned end;
        segment_cursor_decode(cursor);
        more = block_range(cursor, from, to, &begin, &end);
        for (unsigned i = begin; i < end; i++) {
            uint32_t at = cursor->docs[i] - from;
            sums[at] += gain * cursor->levels[i];
            set_bit(bits, at);
        }
        more = more && list_next(list);
    }
}

static void mark_level(uint8_t *levels, uint64_t *bits, uint32_t at, uint8_t level)
{
    levels[at] = level > levels[at] ? level : levels[at];
    set_bit(bits, at);
}

void source_mark(struct source *source, struct source_pool *pool, uint32_t from, uint32_t to, uint8_t *levels,
                 uint64_t *bits)
{
    if (source->levels != NULL) {
        for (uint32_t doc = from; doc < to; doc++) {
            if (source->levels[doc] != 0) {
                mark_level(levels, bits, doc - from, source->levels[doc]);
            }
        }
        return;
    }
    struct list *list = &source->lists[0];
    bool plain = source_is_plain(source);
    bool more = list_seek(list, from);
    while (more) {
        unsigned begin;
        unsigned end;
        segment_cursor_decode(&list->cursor);
        more = block_range(&list->cursor, from, to, &begin, &end);
        for (unsigned i = begin; i < end; i++) {
            uint32_t doc = list->cursor.docs[i];
            uint8_t level = plain ? list->cursor.levels[i] : source_lookup(source, pool, doc, 0);
            if (level != 0) {
                mark_level(levels, bits, doc - from, level);
            }
        }
        more = more && list_next(list);
    }
}

/* ------------------------------------------------------------------ single documents */

/* Keep of the ascending `starts` those that have position start + offset - base in the list's posting `at`. */
static size_t meet(struct source_pool *pool, struct list *list, unsigned at, uint32_t base, uint32_t *starts,
                   size_t len)
{
    uint32_t *positions = pool->positions;
    size_t count = segment_cursor_positions(&list->cursor, at, positions, POSITIONS_MAX);
    size_t kept = 0;
    size_t j = 0;
    for (size_t i = 0; i < len; i++) {
        if (starts[i] + list->offset < base) {
            continue;
        }
        uint32_t wanted = starts[i] + list->offset - base;
        while (j < count && positions[j] < wanted) {
            j++;
        }
        if (j == count) {
            break;
        }
        if (positions[j] == wanted) {
            starts[kept++] = starts[i];
        }
    }
    return kept;
}

/* Positions of the first (rarest) part where all parts stand as they should, given each part's posting. */
static size_t meet_all(struct source *source, struct source_pool *pool, const unsigned *at, uint32_t *starts,
                       size_t max)
{
    struct list *lead = &source->lists[0];
    size_t len = segment_cursor_positions(&lead->cursor, at[0], starts, (unsigned)max);
    for (size_t i = 1; i < source->lists_len && len > 0; i++) {
        len = meet(pool, &source->lists[i], at[i], lead->offset, starts, len);
    }
    return len;
}

/* Where most lookups go. */
static uint8_t plain_level(struct list *list, uint32_t doc, uint8_t least)
{
    struct segment_cursor *cursor = &list->cursor;
    if ((doc > cursor->block_last && !list_seek(list, doc)) || list->ended || cursor->block_max < least) {
        return 0;
    }
    segment_cursor_decode(cursor);
    unsigned at = first_at(cursor, doc);
    return cursor->docs[at] == doc ? cursor->levels[at] : 0;
}

static bool find_all(struct source *source, uint32_t doc, uint8_t least, unsigned *at, uint8_t *level)
{
    *level = SEGMENT_LEVELS;
    for (size_t i = 0; i < source->lists_len; i++) {
        struct list *list = &source->lists[i];
        if (!list_seek(list, doc) || list->cursor.block_max < least || !list_has(list, doc, &at[i])) {
            return false;
        }
        uint8_t own = list->cursor.levels[at[i]];
        *level = own < *level ? own : *level;
    }
    return *level >= least;
}

size_t source_cost(const struct source *source, uint32_t documents, uint32_t window)
{
    if (source->levels != NULL) {
        return window / 4;
    }
    uint64_t postings = (uint64_t)source->df * window / (documents > window ? documents : window);
    return (size_t)postings * (source_is_plain(source) ? 1 : POSITION_COST);
}

/* A phrase is in a text no more often than its rarest part: the least level of its parts. */
uint8_t source_lookup(struct source *source, struct source_pool *pool, uint32_t doc, uint8_t least)
{
    unsigned at[QUERY_PARTS_MAX] = {0};
    uint8_t level;
    if (source->levels != NULL) {
        return source->levels[doc];
    }
    if (source_is_plain(source)) {
        return plain_level(&source->lists[0], doc, least);
    }
    if (!find_all(source, doc, least, at, &level)) {
        return 0;
    }
    return meet_all(source, pool, at, pool->starts, POSITIONS_MAX) > 0 ? level : 0;
}

size_t source_positions(struct source *source, struct source_pool *pool, uint32_t doc, uint32_t *out,
                        size_t max)
{
    unsigned at[QUERY_PARTS_MAX] = {0};
    uint8_t level;
    if (source->levels != NULL || !find_all(source, doc, 0, at, &level)) {
        return 0;
    }
    return meet_all(source, pool, at, out, max);
}
