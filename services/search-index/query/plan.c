#include "services/search-index/query/internal.h"
#include "services/search-index/terms.h"

#include <math.h>
#include <stdlib.h>

/* Robertson & Zaragoza 2009, 3.1, kept above zero. */
static double idf(uint64_t documents, uint64_t df)
{
    double n = (double)documents;
    double d = (double)df;
    return log(1 + fmax(n - d + 0.5, 0.5) / (d + 0.5));
}

/* ------------------------------------------------------------------ parts */

static bool add_df(void *data, struct mirai_str key, const struct segment_term *term)
{
    uint64_t *df = data;
    (void)key;
    *df += term->df;
    return true;
}

static struct plan_part find_part(struct search *search, const struct query_part *part)
{
    const struct index_view *view = search->view;
    struct plan_part found = {.part = part};
    if (part->prefix) {
        for (size_t i = 0; i < view->count; i++) {
            segment_each_term(view->segments[i], part->key, add_df, &found.df);
        }
        return found;
    }
    found.terms = mirai_arena_alloc(search->arena, view->count * sizeof(found.terms[0]));
    for (size_t i = 0; i < view->count; i++) {
        if (segment_find(view->segments[i], part->key, &found.terms[i])) {
            found.df += found.terms[i].df;
        } else {
            found.terms[i] = (struct segment_term){0};
        }
    }
    return found;
}

static int compare_parts(const void *a, const void *b)
{
    const struct plan_part *x = a;
    const struct plan_part *y = b;
    return x->df != y->df ? (x->df < y->df ? -1 : 1) : (x->part > y->part) - (x->part < y->part);
}

static bool has_plain(const struct query_part *parts, size_t len)
{
    bool plain = false;
    for (size_t i = 0; i < len; i++) {
        plain |= !parts[i].prefix;
    }
    return plain;
}

/* All parts, the rarest first. A prefix beside others says little and is left out. 0: one of them stands nowhere. */
static size_t find_parts(struct search *search, const struct query_part *parts, size_t len,
                         struct plan_part **out, bool *prefix)
{
    struct plan_part *found = mirai_arena_alloc(search->arena, (len + 1) * sizeof(*found));
    size_t count = 0;
    *out = found;
    *prefix = len > 0 && !has_plain(parts, len);
    len = *prefix ? 1 : len;
    for (size_t i = 0; i < len && count < QUERY_PARTS_MAX; i++) {
        if (parts[i].prefix && !*prefix) {
            continue;
        }
        found[count] = find_part(search, &parts[i]);
        if (found[count].df == 0) {
            return 0;
        }
        count++;
    }
    qsort(found, count, sizeof(*found), compare_parts);
    return count;
}

/* ------------------------------------------------------------------ terms */

/* A synonym never counts for more than the word that was typed, however rare it is. The document frequency of
 * several parts is not known before they are read: that of the rarest one is a bound. */
static uint32_t gain_of(const struct search *search, const struct query_term *term,
                        const struct query_alternative *alternative, uint64_t df, uint64_t typed_df)
{
    uint64_t documents = search->view->documents;
    double value = idf(documents, df);
    if (alternative->synonym && typed_df > 0) {
        value = fmin(value, idf(documents, typed_df));
    }
    double gain = term->weight * alternative->weight * value * (double)SCORE_ONE / SEGMENT_LEVELS;
    return gain < 1 ? 1 : gain > GAIN_MAX ? GAIN_MAX : (uint32_t)(gain + 0.5);
}

static void plan_term(struct search *search, const struct query_term *term)
{
    struct plan *plan = &search->plan;
    struct plan_term *to = &plan->terms[plan->terms_len];
    uint64_t typed_df = 0;
    *to = (struct plan_term){.from = term};
    to->alternatives = mirai_arena_alloc(search->arena, term->alternatives_len * sizeof(to->alternatives[0]));
    for (size_t i = 0; i < term->alternatives_len && i < QUERY_ALTERNATIVES_MAX; i++) {
        const struct query_alternative *from = &term->alternatives[i];
        struct plan_alternative one = {.from = from};
        one.parts_len = find_parts(search, from->parts, from->parts_len, &one.parts, &one.prefix);
        if (one.parts_len == 0) {
            continue;
        }
        uint64_t df = one.parts[0].df;
        typed_df = !from->synonym && df > typed_df ? df : typed_df;
        one.gain = gain_of(search, term, from, df, typed_df);
        plan->postings += df;
        to->alternatives[to->alternatives_len++] = one;
    }
    plan->terms_len += to->alternatives_len > 0;
}

/* ------------------------------------------------------------------ groups */

/* The terms of titles stand in the index once more, under a mark of their own. */
static const struct query_part *title_parts(struct search *search, const struct query_phrase *phrase)
{
    struct query_part *parts = mirai_arena_alloc(search->arena, phrase->parts_len * sizeof(*parts));
    for (size_t i = 0; i < phrase->parts_len; i++) {
        struct mirai_str key = phrase->parts[i].key;
        parts[i] = phrase->parts[i];
        if (key.len > 0 && key.data[0] != TERMS_TITLE_MARK) {
            parts[i].key = mirai_arena_printf(search->arena, "%c%.*s", TERMS_TITLE_MARK, MIRAI_STR_ARG(key));
        }
    }
    return parts;
}

static void plan_phrase(struct search *search, const struct query_phrase *from, struct plan_group *to,
                        uint64_t *postings)
{
    struct plan_phrase one = {.from = from};
    const struct query_part *parts = from->title_only ? title_parts(search, from) : from->parts;
    one.parts_len = find_parts(search, parts, from->parts_len, &one.parts, &one.prefix);
    one.exact = from->exact && from->parts_len > 0 && one.parts_len == from->parts_len;
    one.anywhere = from->parts_len == 0;
    if (one.parts_len > 0 || one.anywhere) {
        *postings += one.anywhere ? search->view->documents : one.parts[0].df;
        to->inexact |= !one.exact;
        to->phrases[to->phrases_len++] = one;
    }
}

static void plan_group(struct search *search, const struct query_group *group)
{
    struct plan *plan = &search->plan;
    struct plan_group *to = &plan->groups[plan->groups_len];
    uint64_t postings = 0;
    *to = (struct plan_group){.excluded = group->excluded};
    to->phrases = mirai_arena_alloc(search->arena, group->phrases_len * sizeof(to->phrases[0]));
    for (size_t i = 0; i < group->phrases_len && i < QUERY_PHRASES_MAX; i++) {
        plan_phrase(search, &group->phrases[i], to, &postings);
    }
    if (to->phrases_len > 0) {
        plan->groups_len++;
        plan->inexact |= to->inexact;
        plan->required = !to->excluded && postings < plan->required ? postings : plan->required;
    } else {
        plan->impossible |= !to->excluded;
    }
}

void plan_make(struct search *search)
{
    const struct query *query = &search->query;
    struct plan *plan = &search->plan;
    *plan = (struct plan){.required = UINT64_MAX};
    plan->terms = mirai_arena_alloc(search->arena, query->terms_len * sizeof(plan->terms[0]));
    plan->groups = mirai_arena_alloc(search->arena, query->groups_len * sizeof(plan->groups[0]));
    for (size_t i = 0; i < query->terms_len && i < (size_t)2 * QUERY_TERMS_MAX; i++) {
        plan_term(search, &query->terms[i]);
    }
    for (size_t i = 0; i < query->groups_len && i < QUERY_GROUPS_MAX; i++) {
        plan_group(search, &query->groups[i]);
    }
}
