#include "services/search-index/query/internal.h"

#include "libcommon/time.h"
#include "services/search-index/help/correct.h"

#include <stdlib.h>

/* How often a query is begun anew because of changes beside it. */
#define RETRIES_MAX 2

struct query_workspace *query_workspace_new(void)
{
    struct query_workspace *space = mirai_alloc(sizeof(*space));
    space->ranker = ranker_new();
    space->groups = groups_new();
    return space;
}

void query_workspace_free(struct query_workspace *space)
{
    if (space != NULL) {
        source_pool_free(&space->pool);
        free(space->ranker);
        free(space->groups);
        id_set_free(&space->top.shown);
        id_set_free(&space->tallies.articles);
        free(space->tallies.tags);
        normalized_free(&space->text);
        mirai_buf_free(&space->buf);
        free(space);
    }
}

void query_workspace_boost(struct query_workspace *workspace, const struct query_boosts *boosts)
{
    workspace->boosts = *boosts;
}

void query_workspace_help(struct query_workspace *workspace, const struct query_help *help)
{
    workspace->help = *help;
}

/* ------------------------------------------------------------------ candidates */

bool search_out_of_time(struct search *search)
{
    search->late = search->late || mirai_monotonic_us() > search->deadline_us;
    return search->late;
}

/* Only for the total, texts are not looked through without end. */
static bool counts_on(struct search *search)
{
    if (search->texts < COUNT_TEXTS_MAX && search->texts_bytes < COUNT_BYTES_MAX) {
        return true;
    }
    search->inexact |= search->plan.inexact;
    return !search->plan.inexact;
}

const struct catalog_entry *search_admits(struct search *search, const struct segment_doc *unit)
{
    const struct catalog_entry *entry = catalog_get(search->catalog, unit->slot);
    if (entry == NULL || entry->version != unit->version) {
        search->changed |= entry != NULL && entry->version >= search->view->next_version;
        return NULL;
    }
    const struct catalog_entry *article = catalog_article(search->catalog, entry);
    return article != NULL && filters_pass(search, article) ? article : NULL;
}

void consider(struct search *search, uint32_t doc, uint32_t words)
{
    const struct segment_doc *unit = &segment_docs(search->view->segments[search->segment])[doc];
    struct top *top = &search->space->top;
    if (search->late) {
        return;
    }
    const struct catalog_entry *article = search_admits(search, unit);
    search->considered++;
    if (article == NULL) {
        return;
    }
    search->admitted++;
    struct candidate candidate = {.id = article->id,
                                  .slot = unit->slot,
                                  .segment = (uint32_t)search->segment,
                                  .doc = doc,
                                  .words = words,
                                  .score = article->updated_at};
    if (search->scored) {
        const struct catalog_entry *entry = catalog_get(search->catalog, unit->slot);
        candidate.score = boosts_add(search, article, article_slot(entry, unit->slot), words, NULL);
    }
    bool hit = top->len < top->max || candidate_better(&candidate, &top->items[0]);
    if ((!hit && !counts_on(search)) || !groups_check_text(search, doc, unit)) {
        return;
    }
    if (search->plan.inexact && search_out_of_time(search)) { /* each time: a text may be long */
        return;
    }
    tallies_count(search, article);
    if (hit) {
        top_offer(top, &candidate, search->parts);
    }
}

/* ------------------------------------------------------------------ passes */

/* Candidates that the heap must hold for the page. */
static size_t heap_size(const struct search *search)
{
    const struct page *page = &search->page;
    switch (page->kind) {
    case 'r':
        return search->stage + page->limit + 1;
    case 0:
        return search->stage > page->limit + 1 ? search->stage : page->limit + 1;
    default:
        return page->limit + 1 + TOP_SLACK;
    }
}

static void pass(struct search *search)
{
    const struct page *page = &search->page;
    bool after = page->kind == 's' || page->kind == 't';
    source_pool_begin(&search->space->pool);
    tallies_begin(search);
    top_begin(&search->space->top, heap_size(search), after ? &page->after : NULL);
    rank(search);
    search->inexact |= search->space->pool.cut;
}

/* Articles that were in the heap and then turned out to be on an earlier page, by another of their units, may have
 * pushed others out. Beyond what the heap has to spare, it is done again, now that they are known. */
static void find(struct search *search)
{
    id_set_clear(&search->space->top.shown);
    pass(search);
    if (search->space->top.removed > TOP_SLACK) {
        pass(search);
    }
}

static int compare(const void *a, const void *b)
{
    const struct candidate *x = a;
    const struct candidate *y = b;
    return candidate_better(x, y) ? -1 : candidate_better(y, x) ? 1 : 0;
}

/* The first candidates get what the second stage adds and are put in order anew; as it never lowers a score, they
 * stay before all others. */
static void second_stage(struct search *search)
{
    struct top *top = &search->space->top;
    size_t staged = search->stage < top->len ? search->stage : top->len;
    if (search->page.kind != 's' && staged > 0) {
        proximity_add(search, top->items, staged);
        title_add(search, top->items, staged);
        qsort(top->items, staged, sizeof(top->items[0]), compare);
    }
}

/* Whether every document that has any of the terms, or passes the groups, can be looked at. */
static bool is_exhaustive(const struct search *search)
{
    uint64_t postings = search->scored ? search->plan.postings : 0;
    postings = search->plan.required < postings ? search->plan.required : postings;
    return postings <= search->exact_max;
}

int search_find(struct search *search)
{
    plan_make(search);
    filters_resolve(search);
    boosts_prepare(search);
    search->scored = search->query.terms_len > 0;
    search->exhaustive = is_exhaustive(search);
    search->stage = proximity_applies(search) || title_applies(search) ? SECOND_STAGE_MAX : 0;
    search->parts = catalog_units(search->catalog) != catalog_count(search->catalog);
    int err = page_begin(search);
    if (err != 0) {
        return err;
    }
    if (search->plan.impossible) {
        top_begin(&search->space->top, 1, NULL);
        tallies_begin(search);
        search->exhaustive = true;
    } else {
        find(search);
        top_sort(&search->space->top);
        second_stage(search);
    }
    return 0;
}

const struct candidate *search_page(struct search *search, size_t *count, struct mirai_str *next)
{
    const struct top *top = &search->space->top;
    size_t first = 0;
    while (search->page.kind == 'r' && first < top->len &&
           !candidate_better(&search->page.after, &top->items[first])) {
        first++;
    }
    *next = (struct mirai_str){0};
    *count = top->len - first;
    if (*count > search->page.limit) {
        *count = search->page.limit;
        size_t last = first + *count - 1;
        *next = page_cursor(search, &top->items[last], search->page.kind != 's' && last < search->stage);
    }
    return &top->items[first];
}

static void add_notice(struct search *search, struct mirai_str notice)
{
    struct mirai_strs *notices = &search->query.understood.notices;
    struct mirai_str *items = mirai_arena_alloc(search->arena, (notices->count + 1) * sizeof(*items));
    for (size_t i = 0; i < notices->count; i++) {
        items[i] = notices->items[i];
    }
    items[notices->count] = notice;
    *notices = (struct mirai_strs){items, notices->count + 1};
    mirai_mark(search_understood, &search->query.understood, notices);
}

static int run(struct search *search, struct mirai_search_result *result)
{
    size_t count;
    struct mirai_str next;
    int err = search_find(search);
    if (err != 0) {
        return err;
    }
    if (search->late) {
        add_notice(search, MIRAI_STR("time-cut"));
    }
    const struct candidate *hits = search_page(search, &count, &next);
    if (next.len > 0) {
        mirai_set(search_result, result, next_cursor, next);
    }
    mirai_set(search_result, result, total, search->space->tallies.total);
    mirai_set(search_result, result, total_exact, search->exhaustive && !search->inexact && !search->late);
    facets_fill(search, &result->facets);
    mirai_mark(search_result, result, facets);
    return answer(search, hits, count, result);
}

/* On the first page: a query with words that exist. */
static void correct(struct search *search, struct analyzer *analyzer, struct mirai_search_result *result)
{
    const struct mirai_search_query *query = search->request;
    const struct viewer viewer = {search->view->segments, search->view->count, search->catalog,
                                  search->principal};
    const struct correct_request request = {.viewer = &viewer,
                                            .reader = search->reader,
                                            .lexicon = search->space->help.lexicon,
                                            .analyzer = analyzer,
                                            .query = &search->query,
                                            .text = mirai_has(search_query, query, q) ? query->q
                                                                                      : (struct mirai_str){0},
                                            .total = search->space->tallies.total};
    struct mirai_str corrected = correct_query(&request, search->arena);
    if (corrected.len > 0) {
        mirai_set(search_result, result, did_you_mean, corrected);
    }
}

/* The work ends when three quarters of the time are over, so that what was found can still be answered. */
static uint64_t work_until(uint64_t deadline_us, uint64_t now)
{
    return deadline_us - (deadline_us - now) / 4;
}

/* A unit that is replaced while a query runs is not in its view any more, and not yet either: rather than answer
 * without it, look again. */
static int run_again_when_changed(struct search *search, struct mirai_search_result *result)
{
    const struct search fresh = *search;
    int err;
    for (int tries = 0;; tries++) {
        *result = (struct mirai_search_result){0};
        search->view = index_view_enter(search->reader);
        err = run(search, result);
        if (err != 0 || !search->changed || search->late || tries == RETRIES_MAX) {
            return err; /* the view is left by the caller */
        }
        index_view_leave(search->reader);
        *search = fresh;
    }
}

int query_run(struct index_reader *reader, struct query_workspace *workspace, struct analyzer *analyzer,
              const struct mirai_search_query *request, const struct mirai_principal *principal,
              uint64_t deadline_us, struct mirai_arena *arena, struct mirai_search_result *result)
{
    uint64_t now = mirai_monotonic_us();
    if (now >= deadline_us) {
        return MIRAI_E_DEADLINE;
    }
    struct search *search = mirai_arena_alloc(arena, sizeof(*search));
    search->reader = reader;
    search->catalog = index_catalog(reader->index);
    search->space = workspace;
    search->arena = arena;
    search->request = request;
    search->principal = principal;
    search->exact_max = EXACT_POSTINGS_MAX;
    search->sieve_after = SIEVE_AFTER;
    search->deadline_us = work_until(deadline_us, now);
    query_parse(analyzer, workspace->help.vocabulary,
                mirai_has(search_query, request, q) ? request->q : (struct mirai_str){0}, arena,
                &search->query);
    int err = run_again_when_changed(search, result);
    if (err == 0 && search->page.kind == 0) {
        correct(search, analyzer, result);
    }
    index_view_leave(reader);
    if (err == 0) {
        mirai_set(search_result, result, understood, search->query.understood);
    }
    return err == 0 && index_damaged(reader->index) ? MIRAI_E_INVALID : err;
}
