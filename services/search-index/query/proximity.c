/* The second stage: how near the query's words are to each other in the best candidates. Words that stand together in
 * one passage say more than the same words spread over a text (sequential dependence: Metzler & Croft 2005, "A Markov
 * Random Field Model for Term Dependencies"). Three parts, weighted as found on the tuning half of the questions:
 * the best passage of PASSAGE characters by the weight of the distinct words in it, neighbouring words that stand exactly
 * as in the query, and neighbouring words that stand near each other. */
#include "services/search-index/query/internal.h"

#include <stdlib.h>

#define WORDS_MAX     24
#define SOURCES_MAX   64  /* alternatives of all words */
#define PLACES_MAX    256 /* of a word in a document */
#define PASSAGE       60
#define NEAR          30
#define NEIGHBOUR_GAP 12 /* words of the query that are further apart are no neighbours */
#define SATURATION    0.6

/* Parts of what the words themselves can give. */
#define PASSAGE_WEIGHT 0.125
#define ORDERED_WEIGHT 0.19
#define NEAR_WEIGHT    0.19

struct place_list {
    uint32_t places[PLACES_MAX];
    size_t len;
    struct source *sources; /* of its alternatives, in the current segment */
    size_t sources_len;
    uint32_t weight;   /* the most that the word gives to a score */
    uint32_t position; /* in the query */
};

struct proximity {
    struct place_list words[WORDS_MAX]; /* in the query's order */
    size_t len;
    const struct plan_term *terms[WORDS_MAX];
    struct source sources[SOURCES_MAX];
};

static uint32_t weight_of(const struct plan_term *term)
{
    uint32_t gain = 0;
    for (size_t i = 0; i < term->alternatives_len; i++) {
        gain = term->alternatives[i].gain > gain ? term->alternatives[i].gain : gain;
    }
    return gain * SEGMENT_LEVELS;
}

static void take_word(struct proximity *proximity, const struct plan_term *term)
{
    size_t at = proximity->len;
    if (term->from->view != ANALYZER_WORD || at == WORDS_MAX) {
        return;
    }
    while (at > 0 && proximity->terms[at - 1]->from->position > term->from->position) {
        proximity->terms[at] = proximity->terms[at - 1];
        at--;
    }
    proximity->terms[at] = term;
    proximity->len++;
}

static void take_words(const struct search *search, struct proximity *proximity)
{
    proximity->len = 0;
    for (size_t i = 0; i < search->plan.terms_len; i++) {
        take_word(proximity, &search->plan.terms[i]);
    }
    for (size_t i = 0; i < proximity->len; i++) {
        proximity->words[i].weight = weight_of(proximity->terms[i]);
        proximity->words[i].position = proximity->terms[i]->from->position;
    }
}

bool proximity_applies(const struct search *search)
{
    size_t words = 0;
    for (size_t i = 0; i < search->plan.terms_len; i++) {
        words += search->plan.terms[i].from->view == ANALYZER_WORD;
    }
    return words > 1 && search->space->boosts.proximity > 0;
}

/* ------------------------------------------------------------------ one document */

static void open_words(struct search *search, struct proximity *proximity, uint32_t segment)
{
    struct source_pool *pool = &search->space->pool;
    size_t sources = 0;
    source_pool_segment(pool);
    for (size_t i = 0; i < proximity->len; i++) {
        const struct plan_term *term = proximity->terms[i];
        struct place_list *word = &proximity->words[i];
        word->sources = &proximity->sources[sources];
        word->sources_len = 0;
        for (size_t j = 0; j < term->alternatives_len && sources < SOURCES_MAX; j++) {
            const struct plan_alternative *one = &term->alternatives[j];
            if (!one->prefix &&
                source_open(&proximity->sources[sources], pool, search->view->segments[segment], segment,
                            one->parts, one->parts_len, false)) {
                sources++;
                word->sources_len++;
            }
        }
    }
}

/* Where the first of the word's alternatives that stands in the document stands. */
static void find_places(struct search *search, uint32_t doc, struct place_list *word)
{
    word->len = 0;
    for (size_t i = 0; i < word->sources_len && word->len == 0; i++) {
        word->len = source_positions(&word->sources[i], &search->space->pool, doc, word->places, PLACES_MAX);
    }
}

/* Word with the least place that is not below the one at its index; len: none is left. */
static size_t next_word(const struct proximity *proximity, const size_t *at)
{
    size_t next = proximity->len;
    for (size_t i = 0; i < proximity->len; i++) {
        const struct place_list *word = &proximity->words[i];
        if (at[i] < word->len &&
            (next == proximity->len || word->places[at[i]] < proximity->words[next].places[at[next]])) {
            next = i;
        }
    }
    return next;
}

/* The greatest sum of the weights of distinct words within PASSAGE characters. Fields lie further apart. */
static double best_passage(const struct proximity *proximity)
{
    size_t end[WORDS_MAX] = {0};
    size_t start[WORDS_MAX] = {0};
    uint64_t sum = 0;
    uint64_t best = 0;
    size_t word;
    while ((word = next_word(proximity, end)) != proximity->len) {
        uint32_t place = proximity->words[word].places[end[word]];
        sum += start[word] == end[word] ? proximity->words[word].weight : 0;
        end[word]++;
        for (size_t i = 0; i < proximity->len; i++) {
            bool had = start[i] < end[i];
            while (start[i] < end[i] && proximity->words[i].places[start[i]] + PASSAGE <= place) {
                start[i]++;
            }
            sum -= had && start[i] == end[i] ? proximity->words[i].weight : 0;
        }
        best = sum > best ? sum : best;
    }
    return (double)best;
}

/* How often b stands exactly `gap` after a. */
static unsigned count_ordered(const struct place_list *a, const struct place_list *b, uint32_t gap)
{
    unsigned count = 0;
    size_t j = 0;
    for (size_t i = 0; i < a->len; i++) {
        while (j < b->len && b->places[j] < a->places[i] + gap) {
            j++;
        }
        count += j < b->len && b->places[j] == a->places[i] + gap;
    }
    return count;
}

/* Pairs that are at most NEAR characters apart. */
static unsigned count_near(const struct place_list *a, const struct place_list *b)
{
    unsigned count = 0;
    size_t from = 0;
    for (size_t i = 0; i < a->len; i++) {
        while (from < b->len && b->places[from] + NEAR < a->places[i]) {
            from++;
        }
        for (size_t j = from; j < b->len && b->places[j] <= a->places[i] + NEAR; j++) {
            count++;
        }
    }
    return count;
}

static double saturated(unsigned count)
{
    return count / (count + SATURATION);
}

static double neighbours(const struct place_list *a, const struct place_list *b)
{
    uint32_t gap = b->position - a->position;
    if (gap == 0 || gap > NEIGHBOUR_GAP || a->len == 0 || b->len == 0) {
        return 0;
    }
    double weight = ((double)a->weight + b->weight) / 2;
    return weight *
           (ORDERED_WEIGHT * saturated(count_ordered(a, b, gap)) + NEAR_WEIGHT * saturated(count_near(a, b)));
}

static uint32_t measure(struct search *search, struct proximity *proximity, const struct candidate *candidate)
{
    for (size_t i = 0; i < proximity->len; i++) {
        find_places(search, candidate->doc, &proximity->words[i]);
    }
    double value = PASSAGE_WEIGHT * best_passage(proximity);
    for (size_t i = 1; i < proximity->len; i++) {
        value += neighbours(&proximity->words[i - 1], &proximity->words[i]);
    }
    return (uint32_t)(value * search->space->boosts.proximity / 100);
}

/* Lists are read forward only: by segment and document. */
static int compare_documents(const void *a, const void *b)
{
    const struct candidate *x = *(struct candidate *const *)a;
    const struct candidate *y = *(struct candidate *const *)b;
    return x->segment != y->segment ? (x->segment < y->segment ? -1 : 1)
                                    : (x->doc > y->doc) - (x->doc < y->doc);
}

void proximity_add(struct search *search, struct candidate *candidates, size_t len)
{
    struct candidate *order[SECOND_STAGE_MAX];
    if (!proximity_applies(search)) {
        return;
    }
    struct proximity *proximity = mirai_arena_alloc(search->arena, sizeof(*proximity));
    take_words(search, proximity);
    for (size_t i = 0; i < len; i++) {
        order[i] = &candidates[i];
    }
    qsort(order, len, sizeof(order[0]), compare_documents);
    for (size_t i = 0; i < len; i++) {
        if (i == 0 || order[i]->segment != order[i - 1]->segment) {
            open_words(search, proximity, order[i]->segment);
        }
        order[i]->near = measure(search, proximity, order[i]);
        order[i]->score += order[i]->near;
    }
}
