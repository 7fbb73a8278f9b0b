#include "services/search-index/insight/source.h"

static struct mirai_str column(sqlite3_stmt *statement, int at)
{
    const char *data = (const char *)sqlite3_column_text(statement, at);
    return (struct mirai_str){data, (size_t)sqlite3_column_bytes(statement, at)};
}

/* With the read lock. 0: none that may be seen. */
static uint32_t visible_doc(const struct source *source, int64_t id)
{
    const struct catalog *catalog = index_catalog(source->reader->index);
    uint32_t doc = catalog_doc(catalog, id);
    const struct catalog_entry *entry = doc != 0 ? catalog_get(catalog, doc) : NULL;
    return entry != NULL && catalog_visible(entry, source->principal) ? doc : 0;
}

static int read_texts(const struct source *source, uint32_t doc, struct source_article *out)
{
    sqlite3_stmt *text = source->reader->text;
    sqlite3_bind_int64(text, 1, doc);
    int rc = sqlite3_step(text);
    if (rc == SQLITE_ROW) {
        out->title = mirai_arena_copy(source->arena, column(text, 1));
        out->body = mirai_arena_copy(source->arena, column(text, 4));
    }
    sqlite3_reset(text);
    int fault = rc == SQLITE_DONE ? SQLITE_CORRUPT : rc;
    return rc == SQLITE_ROW ? 0 : index_fault(source->reader->index, fault, "similar");
}

int source_article(const struct source *source, int64_t id, struct source_article *out)
{
    struct catalog *catalog = index_catalog(source->reader->index);
    catalog_read_lock(catalog);
    uint32_t doc = visible_doc(source, id);
    int err = doc != 0 ? read_texts(source, doc, out) : MIRAI_E_NOT_FOUND;
    catalog_unlock(catalog);
    return err;
}

bool source_visible(const struct source *source, int64_t id)
{
    struct catalog *catalog = index_catalog(source->reader->index);
    catalog_read_lock(catalog);
    bool visible = visible_doc(source, id) != 0;
    catalog_unlock(catalog);
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
