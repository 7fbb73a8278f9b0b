#include "services/search-index/insight/source.h"

/* Within a view. NULL: none that may be seen. */
static const struct catalog_entry *visible_entry(const struct source *source, int64_t id, uint32_t *slot)
{
    const struct catalog *catalog = index_catalog(source->reader->index);
    *slot = catalog_find(catalog, id);
    const struct catalog_entry *entry = *slot != 0 ? catalog_get(catalog, *slot) : NULL;
    return entry != NULL && catalog_visible(entry, source->principal) ? entry : NULL;
}

int source_article(const struct source *source, int64_t id, struct source_article *out)
{
    struct index_text text;
    uint32_t slot;
    (void)index_view_enter(source->reader);
    const struct catalog_entry *entry = visible_entry(source, id, &slot);
    int err = entry != NULL ? index_text(source->reader, slot, entry->version, &text) : MIRAI_E_NOT_FOUND;
    if (err == 0) {
        out->title = mirai_arena_copy(source->arena, text.title);
        out->body = mirai_arena_copy(source->arena, text.body);
    }
    index_view_leave(source->reader);
    return err;
}

bool source_visible(const struct source *source, int64_t id)
{
    uint32_t slot;
    (void)index_view_enter(source->reader);
    bool visible = visible_entry(source, id, &slot) != NULL;
    index_view_leave(source->reader);
    return visible;
}

int source_find(const struct source *source, struct mirai_str words, size_t limit,
                struct mirai_search_result *result)
{
    struct mirai_search_query request = {0};
    *result = (struct mirai_search_result){0};
    if (words.len == 0) {
        return 0; /* no words would mean all articles */
    }
    mirai_set(search_query, &request, q, words);
    mirai_set(search_query, &request, limit, (int64_t)limit);
    mirai_set(search_query, &request, boosts, false);
    mirai_set(search_query, &request, semantic, false);
    return query_run(source->reader, source->workspace, source->analyzer, &request, source->principal,
                     source->deadline_us, source->arena, result);
}

bool source_has_tag(const struct source *source, struct mirai_str tag)
{
    struct mirai_search_query request = {0};
    struct mirai_search_result result = {0};
    mirai_set(search_query, &request, q, tag); /* tags are searched as words, too: bounds the work */
    mirai_set(search_query, &request, tag, ((struct mirai_strs){&tag, 1}));
    mirai_set(search_query, &request, limit, 1);
    mirai_set(search_query, &request, semantic, false);
    return query_run(source->reader, source->workspace, source->analyzer, &request, source->principal,
                     source->deadline_us, source->arena, &result) == 0 &&
           result.total > 0;
}
