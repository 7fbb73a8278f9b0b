/* Finding against brute force: random documents in segments of several windows, random queries, filters and principals;
 * every page of every query, with totals exact and with documents left out by their bounds. */
#include "libcommon/error.h"
#include "libcommon/time.h"
#include "services/search-index/postings/build.h"
#include "services/search-index/postings/format.h"
#include "services/search-index/query/internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define TERMS     40
#define UNITS     14000
#define SEGMENTS  4
#define POSITIONS 6
#define HITS_ALL  400 /* pages are followed so far */

struct posting {
    uint8_t level; /* 0: none */
    uint8_t count;
    uint8_t positions[POSITIONS];
};

struct unit {
    int64_t article;
    uint32_t slot;
    bool dead;
    struct posting postings[TERMS];
};

struct model {
    uint64_t seed;
    struct unit *units;
    struct segment *segments[SEGMENTS];
    uint32_t firsts[SEGMENTS + 1]; /* units of each segment */
    struct catalog *catalog;
    struct index_view *view;
    struct query_workspace *space;
    struct mirai_arena arena;
};

/* xorshift64* */
static uint32_t below(struct model *model, uint32_t limit)
{
    model->seed ^= model->seed >> 12;
    model->seed ^= model->seed << 25;
    model->seed ^= model->seed >> 27;
    return (uint32_t)((model->seed * 2685821657736338717ULL) >> 33) % limit;
}

/* a00 ... a09, b10 ...: tens of terms share their first byte. */
static struct mirai_str key_of(struct model *model, unsigned term)
{
    return mirai_arena_printf(&model->arena, "%c%02u", 'a' + term / 10, term);
}

static void append_unit(struct model *model, const struct unit *unit, struct mirai_buf *out)
{
    struct mirai_buf bytes = {0};
    for (unsigned term = 0; term < TERMS; term++) {
        const struct posting *posting = &unit->postings[term];
        if (posting->level == 0) {
            continue;
        }
        struct mirai_str key = key_of(model, term);
        varint_append(out, (uint32_t)key.len);
        mirai_buf_append_str(out, key);
        mirai_buf_append_char(out, (char)posting->level);
        bytes.len = 0;
        varint_append(&bytes, (uint32_t)posting->positions[0] << 1 | (posting->count > 1));
        for (unsigned i = 1; i < posting->count; i++) {
            if (i == 1) {
                varint_append(&bytes, posting->count - 1u);
            }
            varint_append(&bytes, (uint32_t)posting->positions[i] - posting->positions[i - 1]);
        }
        varint_append(out, (uint32_t)bytes.len);
        mirai_buf_append_str(out, mirai_buf_str(&bytes));
    }
    mirai_buf_free(&bytes);
}

/* Term n is in every document up to one of some thousand; levels are mostly few, so that scores are often equal. */
static void make_unit(struct model *model, uint32_t at)
{
    struct unit *unit = &model->units[at];
    unit->slot = at + 1;
    unit->dead = below(model, 20) == 0;
    /* now and then a page of an article before it */
    unit->article = at > 0 && below(model, 6) == 0 ? model->units[below(model, at)].article : (int64_t)at + 1;
    for (unsigned term = 0; term < TERMS; term++) {
        struct posting *posting = &unit->postings[term];
        if (below(model, 1 + term * term * 2) != 0) {
            continue;
        }
        /* the greatest levels differ from block to block */
        uint32_t most = 3 + ((at / 300 * 2654435761u + term * 40503u) >> 7) % 60;
        posting->level = (uint8_t)(term % 3 == 0 ? 1 + below(model, most) : most / 3 * (1 + below(model, 3)));
        unsigned position = below(model, 5);
        for (posting->count = 0; posting->count < POSITIONS && position < 20; posting->count++) {
            posting->positions[posting->count] = (uint8_t)position;
            position += 1 + below(model, 6);
        }
    }
}

static void put_entry(struct model *model, const struct unit *unit)
{
    static const struct mirai_str tags[] = {MIRAI_STR("x"), MIRAI_STR("y"), MIRAI_STR("z")};
    /* what an article is follows from its number: its units agree */
    uint64_t hash = (uint64_t)unit->article * 2654435761u >> 7;
    bool part = unit->slot != (uint32_t)unit->article;
    const struct catalog_entry entry = {.id = unit->article,
                                        .owner_id = (int64_t)(hash % 7),
                                        .space_id = (int64_t)(hash % 3),
                                        .updated_at = (int64_t)(hash % 1000) * 86400000,
                                        .attachment_id = part ? unit->slot : 0,
                                        .version = unit->dead ? 2 : 1,
                                        .parent = part ? (uint32_t)unit->article : 0,
                                        .type = (uint8_t)(hash % 4),
                                        .status = (uint8_t)(hash % 3)};
    catalog_put(model->catalog, unit->slot, &entry, tags, hash % 4, (struct mirai_str){0});
}

static int setup(void **state)
{
    struct model *model = mirai_alloc(sizeof(*model));
    model->seed = 88172645463325252ULL;
    model->units = mirai_alloc(UNITS * sizeof(model->units[0]));
    model->catalog = catalog_new();
    model->space = query_workspace_new();
    static const uint32_t sizes[SEGMENTS] = {UNITS - 9000 - 1 - 4096, 1, 4096, 9000};
    uint32_t at = 0;
    for (int i = 0; i < SEGMENTS; i++) {
        struct segment_builder *builder = segment_builder_new();
        struct segment_sink sink = {.fd = -1};
        struct mirai_buf encoded = {0};
        model->firsts[i] = at;
        for (uint32_t end = at + sizes[i]; at < end; at++) {
            make_unit(model, at);
            put_entry(model, &model->units[at]);
            encoded.len = 0;
            append_unit(model, &model->units[at], &encoded);
            const struct segment_doc doc = {model->units[at].slot, 1};
            assert_int_equal(segment_builder_add(builder, doc, mirai_buf_str(&encoded)), 0);
        }
        assert_int_equal(segment_builder_finish(builder, &sink), 0);
        assert_int_equal(segment_from_buffer(&sink.bytes, &model->segments[i]), 0);
        segment_builder_free(builder);
        mirai_buf_free(&encoded);
    }
    model->firsts[SEGMENTS] = at;
    model->view = mirai_alloc(sizeof(*model->view) + SEGMENTS * sizeof(model->view->segments[0]));
    model->view->documents = UNITS;
    model->view->count = SEGMENTS;
    memcpy(model->view->segments, model->segments, sizeof(model->segments));
    *state = model;
    return 0;
}

static int teardown(void **state)
{
    struct model *model = *state;
    for (int i = 0; i < SEGMENTS; i++) {
        segment_release(model->segments[i]);
    }
    catalog_free(model->catalog);
    query_workspace_free(model->space);
    mirai_arena_free(&model->arena);
    free(model->view);
    free(model->units);
    free(model);
    return 0;
}

/* ------------------------------------------------------------------ random queries */

static struct query_part random_part(struct model *model, uint32_t offset)
{
    return (struct query_part){.key = key_of(model, below(model, TERMS)), .offset = offset};
}

static struct query_part *random_parts(struct model *model, size_t len)
{
    struct query_part *parts = mirai_arena_alloc(&model->arena, len * sizeof(*parts));
    uint32_t offset = 0;
    for (size_t i = 0; i < len; i++) {
        parts[i] = random_part(model, offset);
        offset += below(model, 3);
    }
    return parts;
}

static struct query_alternative random_alternative(struct model *model, bool synonym)
{
    struct query_alternative one = {.parts_len = 1 + (below(model, 5) == 0) + (below(model, 15) == 0),
                                    .weight = synonym ? 0.7 : 1,
                                    .synonym = synonym};
    one.parts = random_parts(model, one.parts_len);
    if (one.parts_len == 1 && below(model, 25) == 0) {
        one.parts[0].prefix = true;
        one.parts[0].key.len = 1 + below(model, 2);
    }
    return one;
}

static void random_terms(struct model *model, struct query *query)
{
    query->terms_len = below(model, 10) == 0 ? 0 : 1 + below(model, 12);
    query->terms = mirai_arena_alloc(&model->arena, query->terms_len * sizeof(query->terms[0]));
    for (size_t i = 0; i < query->terms_len; i++) {
        struct query_term *term = &query->terms[i];
        bool word = below(model, 2) == 0;
        *term = (struct query_term){.alternatives_len = below(model, 4) == 0 ? 1 + below(model, 3) : 1,
                                    .view = word ? ANALYZER_WORD : ANALYZER_BIGRAM,
                                    .weight = word ? 1 : 0.35,
                                    .position = (uint32_t)i * 3};
        term->alternatives =
            mirai_arena_alloc(&model->arena, term->alternatives_len * sizeof(term->alternatives[0]));
        for (size_t j = 0; j < term->alternatives_len; j++) {
            term->alternatives[j] = random_alternative(model, j > 0);
        }
    }
}

static void random_groups(struct model *model, struct query *query)
{
    query->groups_len = below(model, 3) == 0 ? 1 + below(model, 2) : 0;
    query->groups = mirai_arena_alloc(&model->arena, query->groups_len * sizeof(query->groups[0]));
    for (size_t i = 0; i < query->groups_len; i++) {
        struct query_group *group = &query->groups[i];
        *group = (struct query_group){.excluded = below(model, 3) == 0, .phrases_len = 1 + below(model, 3)};
        group->phrases = mirai_arena_alloc(&model->arena, group->phrases_len * sizeof(group->phrases[0]));
        for (size_t j = 0; j < group->phrases_len; j++) {
            struct query_phrase *phrase = &group->phrases[j];
            *phrase = (struct query_phrase){.parts_len = 1 + below(model, 3), .exact = true};
            phrase->parts = random_parts(model, phrase->parts_len);
        }
    }
}

static void random_filters(struct model *model, struct query *query)
{
    static const char *const tags[] = {"x", "y", "z", "none"};
    query->filters_len = below(model, 3) == 0 ? 1 + below(model, 3) : 0;
    query->filters = mirai_arena_alloc(&model->arena, query->filters_len * sizeof(query->filters[0]));
    for (size_t i = 0; i < query->filters_len; i++) {
        static const enum query_filter_kind kinds[] = {QUERY_FILTER_TAG, QUERY_FILTER_TYPE,
                                                       QUERY_FILTER_STATUS, QUERY_FILTER_BEFORE,
                                                       QUERY_FILTER_AFTER};
        struct query_filter *filter = &query->filters[i];
        *filter = (struct query_filter){.kind = kinds[below(model, 5)],
                                        .excluded = below(model, 3) == 0,
                                        .set = i > 0 ? query->filters[i - 1].set + below(model, 2) : 0,
                                        .text = mirai_str(tags[below(model, 4)])};
        bool time = filter->kind == QUERY_FILTER_BEFORE || filter->kind == QUERY_FILTER_AFTER;
        filter->value = time ? (int64_t)below(model, 1000) * 86400000 : (int64_t)below(model, 5) - 1;
    }
}

static const int64_t spaces[] = {1, 2};

static struct mirai_principal random_principal(struct model *model)
{
    switch (below(model, 3)) {
    case 0:
        return (struct mirai_principal){.user_id = -1};
    case 1:
        return (struct mirai_principal){
            .user_id = 1 + below(model, 6), .role = MIRAI_ROLE_VIEWER, .spaces = spaces, .spaces_len = 1};
    default:
        return (struct mirai_principal){.user_id = 1 + below(model, 6), .role = MIRAI_ROLE_VIEWER};
    }
}

/* ------------------------------------------------------------------ brute force */

static bool key_fits(struct model *model, unsigned term, const struct query_part *part)
{
    struct mirai_str key = key_of(model, term);
    return part->prefix ? key.len >= part->key.len && memcmp(key.data, part->key.data, part->key.len) == 0
                        : mirai_str_eq(key, part->key);
}

static const struct posting *find_posting(struct model *model, const struct unit *unit,
                                          const struct query_part *part)
{
    for (unsigned term = 0; term < TERMS; term++) {
        if (unit->postings[term].level != 0 && key_fits(model, term, part)) {
            return &unit->postings[term];
        }
    }
    return NULL;
}

static bool has_position(const struct posting *posting, int position)
{
    bool found = false;
    for (unsigned i = 0; i < posting->count; i++) {
        found |= posting->positions[i] == position;
    }
    return found;
}

/* Level of what stands as the parts say; 0: it does not. */
static uint8_t level_in(struct model *model, const struct unit *unit, const struct query_part *parts,
                        size_t len)
{
    if (len == 1 && parts[0].prefix) {
        uint8_t level = 0;
        for (unsigned term = 0; term < TERMS; term++) {
            bool more = key_fits(model, term, &parts[0]) && unit->postings[term].level > level;
            level = more ? unit->postings[term].level : level;
        }
        return level;
    }
    uint8_t level = 63;
    for (size_t i = 0; i < len; i++) {
        const struct posting *posting = find_posting(model, unit, &parts[i]);
        if (posting == NULL) {
            return 0;
        }
        level = posting->level < level ? posting->level : level;
    }
    for (int start = 0; start < 20; start++) {
        bool all = true;
        for (size_t i = 0; i < len && len > 1; i++) {
            all &= has_position(find_posting(model, unit, &parts[i]), start + (int)parts[i].offset);
        }
        if (all) {
            return level;
        }
    }
    return 0;
}

static bool passes_groups(struct model *model, const struct unit *unit, const struct query *query)
{
    for (size_t i = 0; i < query->groups_len; i++) {
        const struct query_group *group = &query->groups[i];
        bool found = false;
        for (size_t j = 0; j < group->phrases_len; j++) {
            found |= level_in(model, unit, group->phrases[j].parts, group->phrases[j].parts_len) > 0;
        }
        if (found == group->excluded) {
            return false;
        }
    }
    return true;
}

static int64_t score_of(struct model *model, const struct search *search, const struct unit *unit)
{
    int64_t sum = 0;
    for (size_t i = 0; i < search->plan.terms_len; i++) {
        const struct plan_term *term = &search->plan.terms[i];
        int64_t best = 0;
        for (size_t j = 0; j < term->alternatives_len; j++) {
            const struct plan_alternative *one = &term->alternatives[j];
            int64_t score =
                (int64_t)one->gain * level_in(model, unit, one->from->parts, one->from->parts_len);
            best = score > best ? score : best;
        }
        sum += best;
    }
    return sum;
}

static int compare_candidates(const void *a, const void *b)
{
    const struct candidate *x = a;
    const struct candidate *y = b;
    return candidate_better(x, y) ? -1 : candidate_better(y, x) ? 1 : 0;
}

/* Every article that passes, best first. */
static size_t brute_force(struct model *model, const struct search *search, struct candidate *out)
{
    static struct candidate best[UNITS + 1]; /* by article */
    size_t len = 0;
    memset(best, 0, sizeof(best));
    for (uint32_t at = 0; at < UNITS; at++) {
        const struct unit *unit = &model->units[at];
        const struct catalog_entry *entry = catalog_get(model->catalog, unit->slot);
        const struct catalog_entry *article = catalog_article(model->catalog, entry);
        if (unit->dead || !filters_pass(search, article) || !passes_groups(model, unit, &search->query)) {
            continue;
        }
        uint32_t words = (uint32_t)score_of(model, search, unit);
        if (search->scored && words == 0) {
            continue;
        }
        struct candidate one = {.id = unit->article};
        one.score = search->scored ? boosts_add(search, article, (uint32_t)unit->article, words, NULL)
                                   : article->updated_at;
        struct candidate *known = &best[unit->article];
        one.slot = unit->slot; /* of equal units the first one */
        if (known->id == 0 || one.score > known->score) {
            *known = one;
        }
    }
    for (size_t i = 1; i <= UNITS; i++) {
        if (best[i].id != 0) {
            out[len++] = best[i];
        }
    }
    qsort(out, len, sizeof(out[0]), compare_candidates);
    return len;
}

/* ------------------------------------------------------------------ checks */

static void begin(struct model *model, struct search *search, const struct query *query,
                  const struct mirai_search_query *request, const struct mirai_principal *principal,
                  bool exact)
{
    *search = (struct search){.view = model->view,
                              .catalog = model->catalog,
                              .space = model->space,
                              .arena = &model->arena,
                              .request = request,
                              .principal = principal,
                              .query = *query,
                              .exact_max = exact ? UINT64_MAX - 1 : 0,
                              .sieve_after = 30,
                              .deadline_us = mirai_monotonic_us() + 60000000};
}

/* All pages up to HITS_ALL hits are what brute force found, in its order. */
static void check_pages(struct model *model, const struct query *query,
                        const struct mirai_principal *principal, bool exact)
{
    static struct candidate expected[UNITS];
    struct mirai_search_query request = {0};
    struct search *search = mirai_arena_alloc(&model->arena, sizeof(*search));
    size_t expected_len = 0;
    size_t seen = 0;
    mirai_set(search_query, &request, limit, 1 + below(model, 100));
    for (bool more = true; more && seen < HITS_ALL;) {
        size_t count;
        struct mirai_str next;
        begin(model, search, query, &request, principal, exact);
        assert_int_equal(search_find(search), 0);
        if (seen == 0) {
            expected_len = search->plan.impossible ? 0 : brute_force(model, search, expected);
        }
        const struct candidate *hits = search_page(search, &count, &next);
        assert_false(search->late);
        assert_true(seen + count <= expected_len);
        for (size_t i = 0; i < count; i++, seen++) {
            assert_int_equal(hits[i].score, expected[seen].score);
            assert_int_equal(hits[i].id, expected[seen].id);
            assert_int_equal(hits[i].slot, expected[seen].slot);
        }
        if (search->exhaustive) {
            assert_int_equal(search->space->tallies.total, expected_len);
        } else {
            assert_true(search->space->tallies.total <= (int64_t)expected_len);
            assert_true(search->space->tallies.total >= (int64_t)count);
        }
        more = next.len > 0;
        mirai_set(search_query, &request, cursor, next);
    }
    assert_true(seen == expected_len || seen >= HITS_ALL);
}

static void test_finds_what_brute_force_finds(void **state)
{
    struct model *model = *state;
    static const struct query_boosts none = {0};
    static const struct query_boosts some = {.freshness = 10, .half_life_days = 9000};
    for (int round = 0; round < 60; round++) {
        struct query query = {0};
        random_terms(model, &query);
        random_groups(model, &query);
        random_filters(model, &query);
        struct mirai_principal principal = random_principal(model);
        query_workspace_boost(model->space, round % 3 == 0 ? &some : &none);
        check_pages(model, &query, &principal, round % 2 == 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_finds_what_brute_force_finds, setup, teardown),
    };
    return cmocka_run_group_tests_name("search rank", tests, NULL, NULL);
}
