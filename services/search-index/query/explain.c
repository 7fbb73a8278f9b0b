/* How a score came about. The parts are the same whole numbers that were added, so their sum is the score. */
#include "services/search-index/query/internal.h"

#include "services/search-index/terms.h"

struct parts {
    struct search *search;
    struct mirai_score_part *items;
    size_t len;
    size_t max;
};

static void add(struct parts *parts, struct mirai_str name, struct mirai_str of, uint32_t value,
                struct mirai_str why)
{
    if (value == 0 || parts->len == parts->max) {
        return;
    }
    struct mirai_score_part *part = &parts->items[parts->len++];
    mirai_set(score_part, part, name, name);
    mirai_set(score_part, part, value, (double)value / SCORE_ONE);
    if (of.len > 0) {
        mirai_set(score_part, part, of, mirai_arena_copy(parts->search->arena, mirai_utf8_prefix(of, 200)));
    }
    if (why.len > 0) {
        mirai_set(score_part, part, why, mirai_utf8_prefix(why, 300));
    }
}

/* The level of an alternative in one document. */
static uint8_t level_of(struct search *search, const struct plan_alternative *one,
                        const struct candidate *candidate)
{
    struct source source;
    struct source_pool *pool = &search->space->pool;
    source_pool_segment(pool);
    return source_open(&source, pool, search->view->segments[candidate->segment], candidate->segment,
                       one->parts, one->parts_len, one->prefix)
               ? source_lookup(&source, pool, candidate->doc, 0)
               : 0;
}

static void add_term(struct parts *parts, const struct plan_term *term, const struct candidate *candidate)
{
    const struct plan_alternative *best = NULL;
    uint32_t value = 0;
    unsigned level = 0;
    for (size_t i = 0; i < term->alternatives_len; i++) {
        unsigned own = level_of(parts->search, &term->alternatives[i], candidate);
        if (term->alternatives[i].gain * own > value) {
            best = &term->alternatives[i];
            value = best->gain * own;
            level = own;
        }
    }
    if (best != NULL) {
        struct mirai_str why = mirai_arena_printf(
            parts->search->arena, "in %llu of %llu, weight %.2f, level %u of %d%s",
            (unsigned long long)best->parts[0].df, (unsigned long long)parts->search->view->documents,
            term->from->weight * best->from->weight, level, SEGMENT_LEVELS,
            best->from->synonym ? ", synonym" : "");
        add(parts, term->from->view == ANALYZER_WORD ? MIRAI_STR("word") : MIRAI_STR("bigram"),
            best->from->text.len > 0 ? best->from->text : term->from->text, value, why);
    }
}

static void add_boosts(struct parts *parts, const struct candidate *candidate,
                       const struct catalog_entry *article)
{
    static const char *const names[BOOST_COUNT] = {
        [BOOST_FRESHNESS] = "freshness", [BOOST_RATING] = "rating", [BOOST_VIEWS] = "views"};
    uint32_t values[BOOST_COUNT];
    const struct catalog_entry *unit = catalog_get(parts->search->catalog, candidate->slot);
    boosts_add(parts->search, article, article_slot(unit, candidate->slot), candidate->words, values);
    for (int i = 0; i < BOOST_COUNT; i++) {
        add(parts, mirai_str(names[i]), (struct mirai_str){0}, values[i], (struct mirai_str){0});
    }
}

void explain(struct search *search, const struct candidate *candidate, const struct catalog_entry *article,
             struct mirai_search_hit *hit)
{
    struct parts parts = {.search = search, .max = search->plan.terms_len + BOOST_COUNT + 2};
    parts.items = mirai_arena_alloc(search->arena, parts.max * sizeof(parts.items[0]));
    source_pool_begin(&search->space->pool); /* a prefix may be read as far as in the search */
    for (size_t i = 0; i < search->plan.terms_len; i++) {
        add_term(&parts, &search->plan.terms[i], candidate);
    }
    add_boosts(&parts, candidate, article);
    add(&parts, MIRAI_STR("proximity"), (struct mirai_str){0}, candidate->near, (struct mirai_str){0});
    add(&parts, MIRAI_STR("title"), (struct mirai_str){0}, candidate->title, (struct mirai_str){0});
    mirai_set(search_hit, hit, explain, ((struct mirai_objects){parts.items, parts.len}));
}
