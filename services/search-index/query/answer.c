#include "services/search-index/query/internal.h"

#include <math.h>
#include <stdlib.h>

#define FACET_TAG_MAX 20

/* "s<bits of the score>.<id>" or "t<time>.<id>", in hexadecimal. */
static struct mirai_str cursor_encode(const struct candidate *last, bool scored, struct mirai_arena *arena)
{
    uint64_t bits;
    memcpy(&bits, &last->score, sizeof(bits));
    return mirai_arena_printf(arena, "%c%016llx.%llx", scored ? 's' : 't', (unsigned long long)bits,
                              (unsigned long long)last->id);
}

/* 1 to 16 hexadecimal digits. */
static bool parse_hex(const char *p, const char *end, uint64_t *value)
{
    *value = 0;
    if (p == end || end - p > 16) {
        return false;
    }
    for (; p < end; p++) {
        int digit = *p >= '0' && *p <= '9' ? *p - '0' : *p >= 'a' && *p <= 'f' ? *p - 'a' + 10 : -1;
        if (digit < 0) {
            return false;
        }
        *value = *value << 4 | (unsigned)digit;
    }
    return true;
}

int query_cursor_decode(struct mirai_str cursor, bool scored, struct candidate *out)
{
    const char *end = cursor.data + cursor.len;
    const char *dot = cursor.len > 0 ? memchr(cursor.data, '.', cursor.len) : NULL;
    uint64_t bits;
    uint64_t id;
    if (dot == NULL || cursor.data[0] != (scored ? 's' : 't') || !parse_hex(cursor.data + 1, dot, &bits) ||
        !parse_hex(dot + 1, end, &id)) {
        return MIRAI_E_INVALID;
    }
    memcpy(&out->score, &bits, sizeof(out->score));
    out->id = (int64_t)id;
    return isfinite(out->score) ? 0 : MIRAI_E_INVALID;
}

static int compare_candidates(const void *a, const void *b)
{
    const struct candidate *x = a;
    const struct candidate *y = b;
    return query_better(x, y) ? -1 : query_better(y, x) ? 1 : 0;
}

static void fill_tags(struct mirai_str joined, struct mirai_arena *arena, struct mirai_search_hit *hit)
{
    size_t count = joined.len > 0;
    for (size_t i = 0; i < joined.len; i++) {
        count += joined.data[i] == '\n';
    }
    hit->tags.items = mirai_arena_alloc(arena, (count + 1) * sizeof(hit->tags.items[0]));
    const char *p = joined.data;
    for (size_t i = 0; i < count; i++) {
        const char *newline = memchr(p, '\n', (size_t)(joined.data + joined.len - p));
        const char *stop = newline != NULL ? newline : joined.data + joined.len;
        hit->tags.items[hit->tags.count++] =
            mirai_arena_copy(arena, (struct mirai_str){p, (size_t)(stop - p)});
        p = stop + 1;
    }
    mirai_mark(search_hit, hit, tags);
}

static int fill_hit(struct search *search, const struct candidate *candidate, struct mirai_arena *arena,
                    struct mirai_search_hit *hit)
{
    const struct catalog_entry *entry = catalog_get(search->catalog, candidate->doc);
    if (entry == NULL) {
        return MIRAI_E_NOT_FOUND;
    }
    struct index_text text;
    int err = index_text(search->reader, candidate->doc, entry->version, &text);
    if (err != 0) {
        return err;
    }
    mirai_set(search_hit, hit, slug, mirai_arena_copy(arena, text.slug));
    mirai_set(search_hit, hit, title, mirai_arena_copy(arena, text.title));
    mirai_set(search_hit, hit, title_marked, snippet_title(&search->query, hit->title, arena));
    fill_tags(text.tags, arena, hit);
    mirai_set(search_hit, hit, snippet,
              snippet_make(&search->query, text.body.len != 0 ? text.body : text.summary, arena));
    mirai_set(search_hit, hit, id, entry->id);
    mirai_set(search_hit, hit, score, search->query.terms_len > 0 ? candidate->score : 0);
    mirai_set(search_hit, hit, type, entry->type);
    mirai_set(search_hit, hit, status, entry->status);
    mirai_set(search_hit, hit, updated_at, entry->updated_at);
    return 0;
}

static int fill_hits(struct search *search, struct mirai_arena *arena, struct mirai_search_result *result)
{
    qsort(search->heap, search->heap_len, sizeof(search->heap[0]), compare_candidates);
    size_t count = search->heap_len;
    if (count == search->heap_max) {
        count--;
        mirai_set(search_result, result, next_cursor,
                  cursor_encode(&search->heap[count - 1], search->query.terms_len > 0, arena));
    }
    struct mirai_search_hit *hits = mirai_arena_alloc(arena, (count + 1) * sizeof(*hits));
    mirai_set(search_result, result, hits, ((struct mirai_objects){hits, count}));
    int err = 0;
    result->hits.count = 0;
    for (size_t i = 0; err == 0 && i < count; i++) {
        err = fill_hit(search, &search->heap[i], arena, &hits[result->hits.count]);
        result->hits.count += err == 0;
        err = err == MIRAI_E_NOT_FOUND ? 0 : err; /* replaced this very moment */
    }
    return err;
}

static void fill_enum_facet(const uint32_t *counts, const struct mirai_enum *names, struct mirai_arena *arena,
                            struct mirai_objects *out)
{
    size_t max = 0;
    while (names->values[max] != NULL) {
        max++;
    }
    struct mirai_tally *items = mirai_arena_alloc(arena, (max + 1) * sizeof(*items));
    out->items = items;
    for (size_t i = 0; i < max; i++) {
        if (counts[i] > 0) {
            struct mirai_tally *item = &items[out->count++];
            mirai_set(tally, item, key, mirai_str(names->values[i]));
            mirai_set(tally, item, count, counts[i]);
        }
    }
}

/* The most frequent tags; equal ones by name. */
static void fill_tag_facet(struct search *search, struct mirai_arena *arena, struct mirai_objects *out)
{
    struct mirai_tally *items = mirai_arena_alloc(arena, (FACET_TAG_MAX + 1) * sizeof(*items));
    uint32_t tags = catalog_tag_limit(search->catalog);
    out->items = items;
    for (uint32_t tag = 0; tag < tags; tag++) {
        int64_t n = search->space->tag_counts[tag];
        size_t at = out->count;
        while (at > 0 && items[at - 1].count < n) {
            at--;
        }
        if (n == 0 || at == FACET_TAG_MAX) {
            continue;
        }
        out->count += out->count < FACET_TAG_MAX;
        memmove(&items[at + 1], &items[at], (out->count - at) * sizeof(items[0]));
        items[at] = (struct mirai_tally){0};
        mirai_set(tally, &items[at], key, mirai_arena_copy(arena, catalog_tag_name(search->catalog, tag)));
        mirai_set(tally, &items[at], count, n);
    }
}

static void fill_facets(struct search *search, struct mirai_arena *arena, struct mirai_search_facets *facets)
{
    fill_enum_facet(search->types, &mirai_enum_itsm_type, arena, &facets->type);
    fill_enum_facet(search->statuses, &mirai_enum_article_status, arena, &facets->status);
    fill_tag_facet(search, arena, &facets->tag);
    mirai_mark(search_facets, facets, type);
    mirai_mark(search_facets, facets, status);
    mirai_mark(search_facets, facets, tag);
}

int query_answer(struct search *search, struct mirai_arena *arena, struct mirai_search_result *result)
{
    mirai_set(search_result, result, total, search->total);
    fill_facets(search, arena, &result->facets);
    mirai_mark(search_result, result, facets);
    return fill_hits(search, arena, result);
}
