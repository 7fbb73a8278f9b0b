/* Hits as messages. */
#include "services/search-index/query/internal.h"

#include <stdlib.h>

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

/* The article's own words. */
static void fill_article(struct search *search, const struct index_text *text, struct mirai_search_hit *hit)
{
    mirai_set(search_hit, hit, slug, mirai_arena_copy(search->arena, text->slug));
    mirai_set(search_hit, hit, title, mirai_arena_copy(search->arena, text->title));
    mirai_set(search_hit, hit, title_marked, snippet_title(&search->query, hit->title, search->arena));
    fill_tags(text->tags, search->arena, hit);
}

static void fill_file(struct search *search, const struct catalog_entry *unit, struct mirai_str name,
                      struct mirai_search_hit *hit)
{
    mirai_set(search_attachment, &hit->attachment, id, unit->attachment_id);
    mirai_set(search_attachment, &hit->attachment, name, mirai_arena_copy(search->arena, name));
    if (unit->page != 0) {
        mirai_set(search_attachment, &hit->attachment, page, unit->page);
    }
    mirai_mark(search_hit, hit, attachment);
}

/* Of a file's part: the passage is the part's, title and all else are the article's. */
static int fill_texts(struct search *search, const struct candidate *candidate,
                      const struct catalog_entry *unit, const struct catalog_entry *article,
                      struct mirai_search_hit *hit)
{
    struct index_text text;
    int err = index_text(search->reader, candidate->slot, unit->version, &text);
    if (err != 0) {
        return err;
    }
    mirai_set(search_hit, hit, snippet,
              snippet_make(&search->query, text.body.len != 0 ? text.body : text.summary, search->arena));
    if (unit->parent != 0) {
        fill_file(search, unit, text.title, hit);
        err = index_text(search->reader, unit->parent, article->version, &text);
    }
    if (err == 0) {
        fill_article(search, &text, hit);
    }
    return err;
}

static int fill_hit(struct search *search, const struct candidate *candidate, struct mirai_search_hit *hit)
{
    const struct segment_doc *doc = &segment_docs(search->view->segments[candidate->segment])[candidate->doc];
    const struct catalog_entry *unit = catalog_get(search->catalog, candidate->slot);
    const struct catalog_entry *article = unit != NULL ? catalog_article(search->catalog, unit) : NULL;
    if (article == NULL || unit->version != doc->version || !filters_pass(search, article)) {
        search->changed = true;
        return MIRAI_E_NOT_FOUND;
    }
    int err = fill_texts(search, candidate, unit, article, hit);
    if (err != 0) {
        return err;
    }
    mirai_set(search_hit, hit, id, candidate->id);
    mirai_set(search_hit, hit, score, search->scored ? (double)candidate->score / SCORE_ONE : 0);
    mirai_set(search_hit, hit, type, article->type);
    mirai_set(search_hit, hit, status, article->status);
    mirai_set(search_hit, hit, updated_at, article->updated_at);
    if (search->scored && mirai_has(search_query, search->request, explain) && search->request->explain) {
        explain(search, candidate, article, hit);
    }
    return 0;
}

/* What was replaced while the query ran is left out. */
int answer(struct search *search, const struct candidate *hits, size_t count,
           struct mirai_search_result *result)
{
    struct mirai_search_hit *items = mirai_arena_alloc(search->arena, (count + 1) * sizeof(*items));
    size_t filled = 0;
    for (size_t i = 0; i < count; i++) {
        items[filled] = (struct mirai_search_hit){0};
        int err = fill_hit(search, &hits[i], &items[filled]);
        if (err != 0 && err != MIRAI_E_NOT_FOUND) {
            return err;
        }
        filled += err == 0;
    }
    mirai_set(search_result, result, hits, ((struct mirai_objects){items, filled}));
    return 0;
}
