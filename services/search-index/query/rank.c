/* The best k documents without looking at most postings: MaxScore (Turtle & Flood 1995) over windows of
 * documents with the bounds of the blocks in the window (Ding & Suel 2011), as Lucene's
 * BlockMaxMaxscoreBulkScorer. For queries of dozens of terms, as a question in bigrams is, it beats methods that
 * choose the next document by a pivot (Mallia et al. 2019, "An Experimental Study of Index Compression and DAAT Query
 * Processing Methods"). */
#include "services/search-index/query/internal.h"

#include "libcommon/time.h"

#include <stdlib.h>

/* Window whose required groups leave so few documents: each is looked up, the lists are not read through. */
#define SPARSE 128

/* So few in a hundred candidates let through by filters and rights: these are asked first. */
#define SIEVE_PERCENT 5

/* Documents ahead for which memory is asked while one is looked at: catalogue entries lie anywhere. */
#define AHEAD 16

/* Looking a document up in a list costs as much as reading so many postings of it. */
#define LOOKUP_COST 12

/* An alternative of a term in the current segment. */
struct ranked_alternative {
    struct source source;
    uint32_t gain;
    uint8_t bound; /* level in the window */
};

struct ranked_term {
    struct ranked_alternative *alternatives;
    size_t len;
    uint32_t bound; /* score in the window */
    size_t cost;    /* of reading through a window, in postings, about */
};

struct ranker {
    struct ranked_alternative alternatives[RANKED_MAX];
    size_t alternatives_len;
    struct ranked_term terms[2 * QUERY_TERMS_MAX];
    size_t terms_len;
    uint16_t order[2 * QUERY_TERMS_MAX]; /* terms by their bound in the window, the least first */
    uint64_t below[2 * QUERY_TERMS_MAX]; /* sum of the bounds of the terms before, in that order */
    uint32_t sums[WINDOW];
    uint8_t levels[WINDOW];
    uint64_t bits[WINDOW_WORDS];  /* documents of the window with a sum */
    uint64_t marks[WINDOW_WORDS]; /* with a level */
    uint64_t mask[WINDOW_WORDS];  /* that pass the groups */
    uint16_t candidates[WINDOW];
    size_t candidates_len;
};

struct ranker *ranker_new(void)
{
    return mirai_alloc(sizeof(struct ranker));
}

/* ------------------------------------------------------------------ opening a segment */

static void open_term(struct search *search, struct ranker *ranker, const struct plan_term *from)
{
    const struct segment *segment = search->view->segments[search->segment];
    struct ranked_term *term = &ranker->terms[ranker->terms_len];
    *term = (struct ranked_term){.alternatives = &ranker->alternatives[ranker->alternatives_len]};
    for (size_t i = 0; i < from->alternatives_len; i++) {
        const struct plan_alternative *one = &from->alternatives[i];
        if (ranker->alternatives_len == RANKED_MAX) {
            search->space->pool.cut = true;
            break;
        }
        struct ranked_alternative *to = &ranker->alternatives[ranker->alternatives_len];
        if (source_open(&to->source, &search->space->pool, segment, search->segment, one->parts,
                        one->parts_len, one->prefix)) {
            to->gain = one->gain;
            term->cost += source_cost(&to->source, segment_count(segment), WINDOW);
            ranker->alternatives_len++;
            term->len++;
        }
    }
    ranker->terms_len += term->len > 0;
}

static void open_terms(struct search *search)
{
    struct ranker *ranker = search->space->ranker;
    ranker->alternatives_len = 0;
    ranker->terms_len = 0;
    for (size_t i = 0; i < search->plan.terms_len; i++) {
        open_term(search, ranker, &search->plan.terms[i]);
    }
    for (size_t i = 0; i < ranker->terms_len; i++) {
        ranker->order[i] = (uint16_t)i;
    }
}

/* ------------------------------------------------------------------ bounds */

static void bound_term(struct ranked_term *term, uint32_t from, uint32_t to)
{
    term->bound = 0;
    for (size_t i = 0; i < term->len; i++) {
        struct ranked_alternative *one = &term->alternatives[i];
        one->bound = source_bound(&one->source, from, to);
        uint32_t score = one->gain * one->bound;
        term->bound = score > term->bound ? score : term->bound;
    }
}

/* Bounds of all terms, and their order; the order of the window before is nearly right. */
static void bound_window(struct ranker *ranker, uint32_t from, uint32_t to)
{
    for (size_t i = 0; i < ranker->terms_len; i++) {
        bound_term(&ranker->terms[i], from, to);
    }
    for (size_t i = 1; i < ranker->terms_len; i++) {
        uint16_t term = ranker->order[i];
        size_t at = i;
        while (at > 0 && ranker->terms[ranker->order[at - 1]].bound > ranker->terms[term].bound) {
            ranker->order[at] = ranker->order[at - 1];
            at--;
        }
        ranker->order[at] = term;
    }
    uint64_t sum = 0;
    for (size_t i = 0; i < ranker->terms_len; i++) {
        ranker->below[i] = sum;
        sum += ranker->terms[ranker->order[i]].bound;
    }
}

/* What the words must give for a candidate to get into the heap, given the most that boosts may add. */
static uint64_t least_of_words(const struct search *search)
{
    uint64_t least = (uint64_t)top_least(&search->space->top);
    return least * SCORE_ONE / (SCORE_ONE + search->boost_max);
}

/* Number of terms at the front of the order that even together cannot bring a document into the heap. */
static size_t count_optional(const struct ranker *ranker, uint64_t least)
{
    size_t count = 0;
    while (count < ranker->terms_len &&
           ranker->below[count] + ranker->terms[ranker->order[count]].bound < least) {
        count++;
    }
    return count;
}

/* ------------------------------------------------------------------ sums */

static void add_term(struct search *search, struct ranker *ranker, struct ranked_term *term, uint32_t from,
                     uint32_t to)
{
    struct ranked_alternative *first = &term->alternatives[0];
    if (term->len == 1 && first->source.levels == NULL && source_is_plain(&first->source)) {
        source_add(&first->source, from, to, first->gain, ranker->sums, ranker->bits);
        return;
    }
    uint32_t best[WINDOW]; /* of the term's alternatives */
    uint64_t any[WINDOW_WORDS] = {0};
    for (size_t i = 0; i < term->len; i++) {
        struct ranked_alternative *one = &term->alternatives[i];
        source_mark(&one->source, &search->space->pool, from, to, ranker->levels, ranker->marks);
        for (size_t word = 0; word < WINDOW_WORDS; word++) {
            for (uint64_t bits = ranker->marks[word]; bits != 0; bits &= bits - 1) {
                size_t at = word * 64 + (size_t)__builtin_ctzll(bits);
                uint32_t score = one->gain * ranker->levels[at];
                bool known = (any[word] & (bits & -bits)) != 0;
                best[at] = known && best[at] > score ? best[at] : score;
                ranker->levels[at] = 0;
            }
            any[word] |= ranker->marks[word];
            ranker->marks[word] = 0;
        }
    }
    for (size_t word = 0; word < WINDOW_WORDS; word++) {
        for (uint64_t bits = any[word]; bits != 0; bits &= bits - 1) {
            size_t at = word * 64 + (size_t)__builtin_ctzll(bits);
            ranker->sums[at] += best[at];
        }
        ranker->bits[word] |= any[word];
    }
}

/* The term's score in one document; 0 also when sum + it + `rest` stays below `least`. */
static uint32_t look_up(struct search *search, struct ranked_term *term, uint32_t doc, uint64_t missing)
{
    uint32_t best = 0;
    for (size_t i = 0; i < term->len; i++) {
        struct ranked_alternative *one = &term->alternatives[i];
        uint64_t wanted = missing > best ? missing : best;
        uint64_t level = (wanted + one->gain - 1) / one->gain;
        if (level <= one->bound) {
            uint32_t score =
                one->gain * source_lookup(&one->source, &search->space->pool, doc, (uint8_t)level);
            best = score > best ? score : best;
        }
    }
    return best;
}

/* Documents with a sum that the groups let through. */
static void collect(struct ranker *ranker, const uint64_t *bits)
{
    ranker->candidates_len = 0;
    for (size_t word = 0; word < WINDOW_WORDS; word++) {
        for (uint64_t left = bits[word] & ranker->mask[word]; left != 0; left &= left - 1) {
            ranker->candidates[ranker->candidates_len++] =
                (uint16_t)(word * 64 + (size_t)__builtin_ctzll(left));
        }
    }
}

/* Leave out the candidates that cannot reach `least` with what the terms from here on can give. */
static void drop(struct ranker *ranker, uint64_t rest, uint64_t least)
{
    size_t kept = 0;
    for (size_t i = 0; i < ranker->candidates_len; i++) {
        uint16_t at = ranker->candidates[i];
        ranker->candidates[kept] = at;
        kept += ranker->sums[at] + rest >= least;
    }
    ranker->candidates_len = kept;
}

static void look_up_all(struct search *search, struct ranker *ranker, struct ranked_term *term, uint32_t from,
                        uint64_t rest, uint64_t least)
{
    for (size_t i = 0; i < ranker->candidates_len; i++) {
        uint32_t *sum = &ranker->sums[ranker->candidates[i]];
        uint64_t reach = *sum + rest;
        *sum += look_up(search, term, from + ranker->candidates[i], least > reach ? least - reach : 0);
    }
}

/* Complete the candidates' sums by the first `count` terms of the order, the greatest first. Where there are many
 * candidates, reading the term's postings of the window is faster. */
static void complete(struct search *search, struct ranker *ranker, uint32_t from, uint32_t to, size_t count,
                     uint64_t least)
{
    for (size_t i = count; i > 0; i--) {
        struct ranked_term *term = &ranker->terms[ranker->order[i - 1]];
        uint64_t rest = ranker->below[i - 1];
        drop(ranker, rest + term->bound, least);
        if (ranker->candidates_len == 0) {
            return;
        }
        if (ranker->candidates_len * term->len * LOOKUP_COST > term->cost) {
            add_term(search, ranker, term, from, to);
        } else {
            look_up_all(search, ranker, term, from, rest, least);
        }
    }
}

static void clear(struct ranker *ranker)
{
    for (size_t word = 0; word < WINDOW_WORDS; word++) {
        for (uint64_t bits = ranker->bits[word]; bits != 0; bits &= bits - 1) {
            ranker->sums[word * 64 + (size_t)__builtin_ctzll(bits)] = 0;
        }
        ranker->bits[word] = 0;
    }
}

/* ------------------------------------------------------------------ windows */

static size_t count_bits(const uint64_t *bits)
{
    size_t count = 0;
    for (size_t word = 0; word < WINDOW_WORDS; word++) {
        count += (size_t)__builtin_popcountll(bits[word]);
    }
    return count;
}

static void offer_all(struct search *search, struct ranker *ranker, uint32_t from, uint64_t least)
{
    for (size_t i = 0; i < ranker->candidates_len; i++) {
        uint16_t at = ranker->candidates[i];
        if (ranker->sums[at] > 0 && ranker->sums[at] >= least) {
            consider(search, from + at, ranker->sums[at]);
        }
    }
}

static bool is_sieving(const struct search *search)
{
    return search->considered >= search->sieve_after &&
           search->admitted * 100 < search->considered * SIEVE_PERCENT;
}

static void ask_ahead(const struct search *search, const struct ranker *ranker, uint32_t from, size_t at)
{
    if (at >= AHEAD) {
        const struct segment_doc *docs = segment_docs(search->view->segments[search->segment]);
        __builtin_prefetch(catalog_get(search->catalog, docs[from + ranker->candidates[at - AHEAD]].slot));
    }
}

/* Take out of the mask what filters and rights do not let through. */
static void sieve(struct search *search, struct ranker *ranker, uint32_t from)
{
    const struct segment_doc *docs = segment_docs(search->view->segments[search->segment]);
    collect(ranker, ranker->mask);
    for (size_t i = ranker->candidates_len; i-- > 0;) {
        uint16_t at = ranker->candidates[i];
        ask_ahead(search, ranker, from, i);
        if (search_admits(search, &docs[from + at]) == NULL) {
            ranker->mask[at / 64] &= ~(UINT64_C(1) << at % 64);
        }
    }
}

static void rank_by_words(struct search *search, uint32_t from, uint32_t to)
{
    struct ranker *ranker = search->space->ranker;
    bool sieving = is_sieving(search);
    if (sieving) {
        sieve(search, ranker, from);
    }
    bool sparse = (sieving || search->plan.required != UINT64_MAX) && count_bits(ranker->mask) <= SPARSE;
    bound_window(ranker, from, to);
    uint64_t least = search->exhaustive ? 0 : least_of_words(search);
    size_t optional = sparse ? ranker->terms_len : count_optional(ranker, least);
    if (!sparse && optional == ranker->terms_len) {
        return;
    }
    if (sparse) {
        collect(ranker, ranker->mask);
        memcpy(ranker->bits, ranker->mask, sizeof(ranker->bits));
    } else {
        for (size_t i = optional; i < ranker->terms_len; i++) {
            add_term(search, ranker, &ranker->terms[ranker->order[i]], from, to);
        }
        collect(ranker, ranker->bits);
    }
    complete(search, ranker, from, to, optional, least);
    offer_all(search, ranker, from, least);
    clear(ranker);
}

/* By time: from the last one on, as later documents are mostly newer and fill the heap for good. */
static void rank_all(struct search *search, uint32_t from)
{
    struct ranker *ranker = search->space->ranker;
    collect(ranker, ranker->mask);
    for (size_t i = ranker->candidates_len; i-- > 0;) {
        ask_ahead(search, ranker, from, i);
        consider(search, from + ranker->candidates[i], 0);
    }
}

static bool rank_window(struct search *search, uint32_t from, uint32_t to)
{
    struct ranker *ranker = search->space->ranker;
    search->window = from;
    if (groups_mask(search, from, to, ranker->mask)) {
        if (search->scored) {
            rank_by_words(search, from, to);
        } else {
            rank_all(search, from);
        }
    }
    return !search_out_of_time(search);
}

static void rank_segment(struct search *search)
{
    uint32_t count = segment_count(search->view->segments[search->segment]);
    source_pool_segment(&search->space->pool);
    open_terms(search);
    if (!groups_open(search) || (search->scored && search->space->ranker->terms_len == 0)) {
        return;
    }
    uint32_t windows = (count + WINDOW - 1) / WINDOW;
    bool backwards = !search->scored && search->plan.groups_len == 0; /* nothing that is read forward only */
    for (uint32_t i = 0; i < windows; i++) {
        uint32_t from = (backwards ? windows - 1 - i : i) * WINDOW;
        uint32_t to = count - from > WINDOW ? from + WINDOW : count;
        if (!rank_window(search, from, to)) {
            return;
        }
    }
}

/* The largest segments first: they raise the threshold most. */
static void order_segments(const struct index_view *view, uint32_t *order)
{
    for (size_t i = 0; i < view->count; i++) {
        size_t at = i;
        while (at > 0 && segment_count(view->segments[order[at - 1]]) < segment_count(view->segments[i])) {
            order[at] = order[at - 1];
            at--;
        }
        order[at] = (uint32_t)i;
    }
}

void rank(struct search *search)
{
    uint32_t *order = mirai_arena_alloc(search->arena, search->view->count * sizeof(*order));
    order_segments(search->view, order);
    for (size_t i = 0; i < search->view->count && !search->late; i++) {
        search->segment = order[i];
        rank_segment(search);
    }
}
