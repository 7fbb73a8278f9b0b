/* How many were found, and how they divide. */
#include "services/search-index/query/internal.h"

#include <stdlib.h>

#define FACET_TAG_MAX 20

void tallies_begin(struct search *search)
{
    struct tallies *tallies = &search->space->tallies;
    uint32_t tags = catalog_tag_limit(search->catalog);
    if (tags > tallies->tags_cap) {
        free(tallies->tags);
        tallies->tags_cap = tags + tags / 4 + 64;
        tallies->tags = mirai_alloc(tallies->tags_cap * sizeof(tallies->tags[0]));
    }
    if (tags > 0) {
        memset(tallies->tags, 0, tags * sizeof(tallies->tags[0]));
    }
    tallies->tags_len = tags;
    tallies->total = 0;
    memset(tallies->types, 0, sizeof(tallies->types));
    memset(tallies->statuses, 0, sizeof(tallies->statuses));
    id_set_clear(&tallies->articles);
}

/* An article of several units once. */
void tallies_count(struct search *search, const struct catalog_entry *article)
{
    struct tallies *tallies = &search->space->tallies;
    if (search->parts && !id_set_add(&tallies->articles, article->id)) {
        return;
    }
    tallies->total++;
    tallies->types[article->type % FACET_ENUM_MAX]++;
    tallies->statuses[article->status % FACET_ENUM_MAX]++;
    for (size_t i = 0; i < article->tags_len; i++) {
        if (article->tags[i] < tallies->tags_len) { /* the catalogue may have got a tag meanwhile */
            tallies->tags[article->tags[i]]++;
        }
    }
}

static void fill_enum(const struct search *search, const uint32_t *counts, const struct mirai_enum *names,
                      struct mirai_objects *out)
{
    size_t max = 0;
    while (names->values[max] != NULL) {
        max++;
    }
    struct mirai_tally *items = mirai_arena_alloc(search->arena, (max + 1) * sizeof(*items));
    out->items = items;
    for (size_t i = 0; i < max && i < FACET_ENUM_MAX; i++) {
        if (counts[i] > 0) {
            struct mirai_tally *item = &items[out->count++];
            mirai_set(tally, item, key, mirai_str(names->values[i]));
            mirai_set(tally, item, count, counts[i]);
        }
    }
}

/* The most frequent tags; equal ones by number. */
static void fill_tags(const struct search *search, struct mirai_objects *out)
{
    const struct tallies *tallies = &search->space->tallies;
    uint32_t best[FACET_TAG_MAX + 1];
    size_t len = 0;
    for (uint32_t tag = 0; tag < tallies->tags_len; tag++) {
        size_t at = len;
        while (at > 0 && tallies->tags[best[at - 1]] < tallies->tags[tag]) {
            at--;
        }
        if (tallies->tags[tag] == 0 || at == FACET_TAG_MAX) {
            continue;
        }
        memmove(&best[at + 1], &best[at], (len - at) * sizeof(best[0]));
        best[at] = tag;
        len += len < FACET_TAG_MAX;
    }
    struct mirai_tally *items = mirai_arena_alloc(search->arena, (len + 1) * sizeof(*items));
    *out = (struct mirai_objects){items, len};
    for (size_t i = 0; i < len; i++) {
        mirai_set(tally, &items[i], key,
                  mirai_arena_copy(search->arena, catalog_tag_name(search->catalog, best[i])));
        mirai_set(tally, &items[i], count, tallies->tags[best[i]]);
    }
}

void facets_fill(struct search *search, struct mirai_search_facets *facets)
{
    const struct tallies *tallies = &search->space->tallies;
    fill_enum(search, tallies->types, &mirai_enum_itsm_type, &facets->type);
    fill_enum(search, tallies->statuses, &mirai_enum_article_status, &facets->status);
    fill_tags(search, &facets->tag);
    mirai_mark(search_facets, facets, type);
    mirai_mark(search_facets, facets, status);
    mirai_mark(search_facets, facets, tag);
}
