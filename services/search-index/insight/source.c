#include "services/search-index/insight/source.h"

#include "libcommon/time.h"
#include "services/search-index/terms.h"

#include <math.h>
#include <stdlib.h>

/* Postings that are read for one request: some milliseconds. */
#define POSTINGS_MAX 150000

/* Words of fewer articles than this are all alike: whether an article that the principal may not see has a rare word
 * must not show in what the other articles are worth. */
#define DF_LEAST 5.0

struct source_sum {
    float score;
    uint32_t terms;
};

/* ------------------------------------------------------------------ articles */

/* Within a view. NULL: none that may be seen. */
static const struct catalog_entry *visible_entry(const struct source *source, int64_t id, uint32_t *slot)
{
    const struct catalog *catalog = index_catalog(source->reader->index);
    *slot = catalog_find(catalog, id);
    const struct catalog_entry *entry = *slot != 0 ? catalog_get(catalog, *slot) : NULL;
    return entry != NULL && catalog_visible(entry, source->principal) ? entry : NULL;
}

static struct mirai_strs split_tags(struct mirai_str joined, struct mirai_arena *arena)
{
    struct mirai_strs tags = {mirai_arena_alloc(arena, CATALOG_TAGS_MAX * sizeof(tags.items[0])), 0};
    while (joined.len > 0 && tags.count < CATALOG_TAGS_MAX) {
        const char *newline = memchr(joined.data, '\n', joined.len);
        size_t len = newline != NULL ? (size_t)(newline - joined.data) : joined.len;
        if (len > 0) {
            tags.items[tags.count++] = mirai_arena_copy(arena, (struct mirai_str){joined.data, len});
        }
        len += newline != NULL;
        joined = (struct mirai_str){joined.data + len, joined.len - len};
    }
    return tags;
}

int source_article(const struct source *source, int64_t id, struct source_article *out)
{
    struct index_text text;
    uint32_t slot;
    (void)index_view_enter(source->reader);
    const struct catalog_entry *entry = visible_entry(source, id, &slot);
    int err = entry != NULL ? index_text(source->reader, slot, entry->version, &text) : MIRAI_E_NOT_FOUND;
    if (err == 0) {
        *out = (struct source_article){.id = id,
                                       .type = entry->type,
                                       .status = entry->status,
                                       .updated_at = entry->updated_at,
                                       .slug = mirai_arena_copy(source->arena, text.slug),
                                       .title = mirai_arena_copy(source->arena, text.title),
                                       .body = mirai_arena_copy(source->arena, text.body),
                                       .tags = split_tags(text.tags, source->arena)};
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

/* Whether any article has it, whoever may see it: saves the search for most words. */
static bool is_tag(const struct source *source, struct mirai_str tag)
{
    struct normalized key = {0};
    normalize(&key, tag, false);
    (void)index_view_enter(source->reader);
    uint32_t number = catalog_tag_find(index_catalog(source->reader->index), mirai_buf_str(&key.text));
    index_view_leave(source->reader);
    normalized_free(&key);
    return number != UINT32_MAX;
}

bool source_has_tag(const struct source *source, struct mirai_str tag)
{
    struct mirai_search_query request = {0};
    struct mirai_search_result result = {0};
    if (!is_tag(source, tag)) {
        return false;
    }
    mirai_set(search_query, &request, q, tag); /* tags are searched as words, too: bounds the work */
    mirai_set(search_query, &request, tag, ((struct mirai_strs){&tag, 1}));
    mirai_set(search_query, &request, limit, 1);
    mirai_set(search_query, &request, semantic, false);
    return query_run(source->reader, source->workspace, source->analyzer, &request, source->principal,
                     source->deadline_us, source->arena, &result) == 0 &&
           result.total > 0;
}

/* ------------------------------------------------------------------ finding */

void source_sums_free(struct source_sums *sums)
{
    free(sums->cells);
    free(sums->touched);
    *sums = (struct source_sums){0};
}

struct finding {
    const struct source *source;
    const struct index_view *view;
    struct source_sums *sums;
    struct source_term *terms;
    uint32_t df[SOURCE_TERMS_MAX];
    bool chosen[SOURCE_TERMS_MAX];
    size_t count;
    struct source_hit *hits;
    size_t hits_len;
};

/* Document frequencies, and with them what each word is worth. */
static void weigh(struct finding *finding)
{
    double n = (double)finding->view->documents;
    for (size_t i = 0; i < finding->count; i++) {
        struct segment_term term;
        for (size_t s = 0; s < finding->view->count; s++) {
            if (segment_find(finding->view->segments[s], finding->terms[i].word, &term)) {
                finding->df[i] += term.df;
            }
        }
        double df = fmax((double)finding->df[i], DF_LEAST);
        finding->terms[i].weight *= log(1 + fmax(n - df + 0.5, 0.5) / (df + 0.5));
    }
}

/* The words that are worth most, as long as their postings can be afforded. */
static void choose(struct finding *finding)
{
    uint32_t left = POSTINGS_MAX;
    bool seen[SOURCE_TERMS_MAX] = {false};
    for (size_t n = 0; n < finding->count; n++) {
        size_t best = SOURCE_TERMS_MAX;
        for (size_t i = 0; i < finding->count; i++) {
            if (!seen[i] &&
                (best == SOURCE_TERMS_MAX || finding->terms[i].weight > finding->terms[best].weight)) {
                best = i;
            }
        }
        seen[best] = true;
        finding->chosen[best] = finding->df[best] <= left;
        left -= finding->chosen[best] ? finding->df[best] : 0;
    }
}

static void add(struct finding *finding, const struct segment *segment, size_t at)
{
    struct source_sums *sums = finding->sums;
    struct segment_term term;
    struct segment_cursor cursor;
    if (!segment_find(segment, finding->terms[at].word, &term)) {
        return;
    }
    segment_cursor_open(&cursor, segment, &term);
    for (bool more = cursor.block_last != SEGMENT_END; more; more = segment_cursor_next(&cursor)) {
        segment_cursor_decode(&cursor);
        for (unsigned i = 0; i < cursor.len; i++) {
            struct source_sum *sum = &sums->cells[cursor.docs[i]];
            if (sum->terms == 0) {
                sums->touched[sums->touched_len++] = cursor.docs[i];
            }
            sum->score += (float)(finding->terms[at].weight * terms_impact(cursor.levels[i]));
            sum->terms |= UINT32_C(1) << at;
        }
    }
}

static void offer(struct finding *finding, const struct segment_doc *doc, const struct source_sum *sum)
{
    const struct catalog_entry *entry = catalog_get(index_catalog(finding->source->reader->index), doc->slot);
    if (entry == NULL || entry->version != doc->version || entry->parent != 0 ||
        !catalog_visible(entry, finding->source->principal)) {
        return;
    }
    struct source_hit *hits = finding->hits;
    size_t at = finding->hits_len;
    double score = (double)sum->score;
    while (at > 0 &&
           (hits[at - 1].score < score || (hits[at - 1].score == score && hits[at - 1].id < entry->id))) {
        at--;
    }
    if (at < SOURCE_HITS_MAX) {
        finding->hits_len += finding->hits_len < SOURCE_HITS_MAX;
        memmove(&hits[at + 1], &hits[at], (finding->hits_len - 1 - at) * sizeof(hits[0]));
        hits[at] = (struct source_hit){entry->id, score, sum->terms};
    }
}

static void reserve(struct source_sums *sums, size_t documents)
{
    if (documents > sums->cells_cap) {
        free(sums->cells);
        sums->cells_cap = documents + documents / 4 + 1024;
        sums->cells = mirai_alloc(sums->cells_cap * sizeof(sums->cells[0]));
    }
    size_t most = documents < POSTINGS_MAX ? documents : POSTINGS_MAX;
    if (most > sums->touched_cap) {
        free(sums->touched);
        sums->touched_cap = most + 1024;
        sums->touched = mirai_alloc(sums->touched_cap * sizeof(sums->touched[0]));
    }
    sums->touched_len = 0;
}

/* A document that lives is in one segment only, so each segment is summed up alone. */
static void find_in(struct finding *finding, const struct segment *segment)
{
    struct source_sums *sums = finding->sums;
    const struct segment_doc *docs = segment_docs(segment);
    reserve(sums, segment_count(segment));
    for (size_t i = 0; i < finding->count; i++) {
        if (finding->chosen[i] && finding->df[i] > 0) {
            add(finding, segment, i);
        }
    }
    for (size_t i = 0; i < sums->touched_len; i++) {
        struct source_sum *sum = &sums->cells[sums->touched[i]];
        bool full = finding->hits_len == SOURCE_HITS_MAX;
        if (!full || (double)sum->score >= finding->hits[SOURCE_HITS_MAX - 1].score) {
            offer(finding, &docs[sums->touched[i]], sum);
        }
        *sum = (struct source_sum){0};
    }
}

int source_find(const struct source *source, struct source_sums *sums, struct source_term *terms,
                size_t count, struct source_hit hits[SOURCE_HITS_MAX])
{
    struct finding finding = {.source = source, .sums = sums, .terms = terms, .count = count, .hits = hits};
    bool late = false;
    finding.view = index_view_enter(source->reader);
    weigh(&finding);
    choose(&finding);
    for (size_t s = 0; s < finding.view->count && !late; s++) {
        find_in(&finding, finding.view->segments[s]);
        late = mirai_monotonic_us() > source->deadline_us;
    }
    index_view_leave(source->reader);
    return late ? MIRAI_E_DEADLINE : (int)finding.hits_len;
}
