#include "services/search-index/insight/insight.h"

#include "services/search-index/insight/classify.h"
#include "services/search-index/insight/deviations.h"
#include "services/search-index/insight/neighbours.h"
#include "services/search-index/insight/summary.h"
#include "services/search-index/insight/tags.h"

#include <stdlib.h>

#define SIMILAR_DEFAULT  10
#define SIMILAR_MAX      50
#define DUPLICATES_MAX   20
#define DUPLICATES_LEAST 0.5 /* similarity from which an article is worth a look before one is written anew */
#define RELATED_LEAST    0.1 /* below, articles have nothing in common but the language */

struct insight_workspace {
    struct reading reading;
    struct keywords keywords;
    struct neighbours neighbours;
    struct summary_workspace summary;
};

struct insight_workspace *insight_workspace_new(void)
{
    return mirai_alloc(sizeof(struct insight_workspace));
}

void insight_workspace_free(struct insight_workspace *workspace)
{
    if (workspace != NULL) {
        reading_free(&workspace->reading);
        keywords_free(&workspace->keywords);
        neighbours_free(&workspace->neighbours);
        summary_workspace_free(&workspace->summary);
        free(workspace);
    }
}

static void fill_hit(const struct neighbour *neighbour, double similarity, struct mirai_similar_hit *out)
{
    const struct source_article *article = &neighbour->article;
    *out = (struct mirai_similar_hit){0};
    mirai_set(similar_hit, out, id, article->id);
    mirai_set(similar_hit, out, slug, article->slug);
    mirai_set(similar_hit, out, title, article->title);
    mirai_set(similar_hit, out, type, article->type);
    mirai_set(similar_hit, out, status, article->status);
    mirai_set(similar_hit, out, similarity, similarity);
    mirai_set(similar_hit, out, shared, neighbour->shared);
    mirai_set(similar_hit, out, updated_at, article->updated_at);
}

static int compare_hits(const void *a, const void *b)
{
    const struct mirai_similar_hit *x = a;
    const struct mirai_similar_hit *y = b;
    return x->similarity != y->similarity ? (x->similarity < y->similarity ? 1 : -1)
           : x->id != y->id               ? (x->id < y->id ? 1 : -1)
                                          : 0;
}

/* The neighbours from `least` on, most similar first; `same`: by the texts alone. */
static struct mirai_objects list_hits(const struct neighbours *neighbours, bool same, double least,
                                      size_t max, struct mirai_arena *arena)
{
    struct mirai_similar_hit *hits = mirai_arena_alloc(arena, (neighbours->count + 1) * sizeof(*hits));
    size_t count = 0;
    for (size_t i = 0; i < neighbours->count; i++) {
        const struct neighbour *neighbour = &neighbours->list[i];
        double similarity = same ? neighbour->same : neighbour->related;
        if (similarity >= least) {
            fill_hit(neighbour, similarity, &hits[count++]);
        }
    }
    qsort(hits, count, sizeof(hits[0]), compare_hits);
    return (struct mirai_objects){hits, count < max ? count : max};
}

static int find_neighbours(struct insight_workspace *workspace, const struct source *source,
                           struct mirai_str title, struct mirai_str body, int64_t except)
{
    reading_make(&workspace->reading, title, body);
    keywords_find(&workspace->keywords, source->analyzer, &workspace->reading);
    return neighbours_find(&workspace->neighbours, source, &workspace->keywords, title, body, except);
}

int insight_similar(struct insight_workspace *workspace, const struct source *source,
                    const struct mirai_similar_query *query, struct mirai_similar_result *result)
{
    struct source_article article;
    int64_t limit = mirai_has(similar_query, query, limit) ? query->limit : SIMILAR_DEFAULT;
    size_t max = (size_t)(limit < 1 ? 1 : limit > SIMILAR_MAX ? SIMILAR_MAX : limit);
    int err = source_article(source, query->id, &article);
    if (err == 0) {
        struct mirai_str body = mirai_utf8_prefix(article.body, SIMILARITY_BODY_MAX);
        err = find_neighbours(workspace, source, article.title, body, query->id);
    }
    if (err == 0) {
        mirai_set(similar_result, result, items,
                  list_hits(&workspace->neighbours, false, RELATED_LEAST, max, source->arena));
    }
    return err;
}

/* ------------------------------------------------------------------ checks */

static bool article_exists(void *data, int64_t id)
{
    return source_visible(data, id);
}

static int fill_types(struct insight_workspace *workspace, enum mirai_locale locale,
                      struct mirai_arena *arena, struct mirai_draft_report *report)
{
    struct mirai_type_proposal *types = mirai_arena_alloc(arena, CLASSIFY_TYPES * sizeof(*types));
    classify(&workspace->reading, locale, arena, types);
    mirai_set(draft_report, report, types, ((struct mirai_objects){types, CLASSIFY_TYPES}));
    return types[0].type;
}

static void fill_deviations(struct insight_workspace *workspace, const struct source *source,
                            const struct mirai_draft *draft, int type, enum mirai_locale locale,
                            struct mirai_draft_report *report)
{
    struct mirai_deviation *list = mirai_arena_alloc(source->arena, DEVIATIONS_MAX * sizeof(*list));
    const struct deviations_input input = {
        .reading = &workspace->reading,
        .title = draft->title,
        .body = draft->body,
        .type = type,
        .tags = draft->tags.count,
        .locale = locale,
        .exists = article_exists,
        .data = (void *)(uintptr_t)source,
    };
    size_t count = deviations_find(&input, source->arena, list);
    mirai_set(draft_report, report, deviations, ((struct mirai_objects){list, count}));
}

static void fill_summaries(struct insight_workspace *workspace, struct mirai_arena *arena,
                           struct mirai_draft_report *report)
{
    struct mirai_str summaries[SUMMARY_KINDS];
    summary_make(&workspace->summary, &workspace->reading, arena, summaries);
    mirai_set(draft_report, report, summary_technical, summaries[SUMMARY_TECHNICAL]);
    mirai_set(draft_report, report, summary_non_technical, summaries[SUMMARY_NON_TECHNICAL]);
}

static void fill_tags(struct insight_workspace *workspace, const struct source *source,
                      const struct mirai_draft *draft, enum mirai_locale locale,
                      struct mirai_draft_report *report)
{
    struct mirai_tag_proposal *list = mirai_arena_alloc(source->arena, (TAGS_MAX + 1) * sizeof(*list));
    const struct tags_input input = {
        source, &workspace->reading, &workspace->keywords, &workspace->neighbours, &draft->tags, locale};
    size_t count = tags_propose(&input, list);
    mirai_set(draft_report, report, tags, ((struct mirai_objects){list, count}));
}

static void fill_duplicates(struct insight_workspace *workspace, struct mirai_arena *arena,
                            struct mirai_draft_report *report)
{
    struct mirai_objects hits =
        list_hits(&workspace->neighbours, true, DUPLICATES_LEAST, DUPLICATES_MAX, arena);
    bool duplicate = hits.count > 0 && MIRAI_ITEMS(similar_hit, &hits)[0].similarity >= SIMILARITY_DUPLICATE;
    mirai_set(draft_report, report, duplicates, hits);
    mirai_set(draft_report, report, duplicate, duplicate);
}

int insight_check(struct insight_workspace *workspace, const struct source *source,
                  const struct mirai_draft *draft, enum mirai_locale locale,
                  struct mirai_draft_report *report)
{
    int64_t except = mirai_has(draft, draft, id) ? draft->id : 0;
    locale = mirai_has(draft, draft, language) ? (enum mirai_locale)draft->language : locale;
    int err = find_neighbours(workspace, source, draft->title, draft->body, except);
    if (err != 0) {
        return err;
    }
    int proposed = fill_types(workspace, locale, source->arena, report);
    int type = mirai_has(draft, draft, type) ? draft->type : proposed;
    fill_deviations(workspace, source, draft, type, locale, report);
    fill_summaries(workspace, source->arena, report);
    fill_tags(workspace, source, draft, locale, report);
    fill_duplicates(workspace, source->arena, report);
    return 0;
}
