#include "services/search-index/query/search.h"

#include <stdlib.h>

/* ------------------------------------------------------------------ sets of ids */

/* Finalizer of MurmurHash3: spreads consecutive ids. */
static size_t hash_id(int64_t id)
{
    uint64_t h = (uint64_t)id;
    h ^= h >> 33;
    h *= 0xff51afd7ed558ccdULL;
    h ^= h >> 33;
    return (size_t)h;
}

static int64_t *find_id(const struct id_set *set, int64_t id)
{
    size_t at = hash_id(id) & (set->cap - 1);
    while (set->slots[at] != 0 && set->slots[at] != id) {
        at = (at + 1) & (set->cap - 1);
    }
    return &set->slots[at];
}

static void grow(struct id_set *set)
{
    struct id_set bigger = {.cap = set->cap == 0 ? 256 : set->cap * 2, .len = set->len};
    bigger.slots = mirai_alloc(bigger.cap * sizeof(bigger.slots[0]));
    for (size_t i = 0; i < set->cap; i++) {
        if (set->slots[i] != 0) {
            *find_id(&bigger, set->slots[i]) = set->slots[i];
        }
    }
    free(set->slots);
    *set = bigger;
}

bool id_set_add(struct id_set *set, int64_t id)
{
    if ((set->len + 1) * 2 > set->cap) {
        grow(set);
    }
    int64_t *slot = find_id(set, id);
    if (*slot == id) {
        return false;
    }
    *slot = id;
    set->len++;
    return true;
}

bool id_set_has(const struct id_set *set, int64_t id)
{
    return set->len > 0 && *find_id(set, id) == id;
}

void id_set_clear(struct id_set *set)
{
    if (set->len > 0) {
        memset(set->slots, 0, set->cap * sizeof(set->slots[0]));
        set->len = 0;
    }
}

void id_set_free(struct id_set *set)
{
    free(set->slots);
    *set = (struct id_set){0};
}

/* ------------------------------------------------------------------ the heap: the worst one on top */

static void swap(struct candidate *a, struct candidate *b)
{
    struct candidate c = *a;
    *a = *b;
    *b = c;
}

static void sift_down(struct top *top, size_t at)
{
    for (;;) {
        size_t worst = at;
        for (size_t child = 2 * at + 1; child <= 2 * at + 2 && child < top->len; child++) {
            worst = candidate_better(&top->items[worst], &top->items[child]) ? child : worst;
        }
        if (worst == at) {
            return;
        }
        swap(&top->items[at], &top->items[worst]);
        at = worst;
    }
}

static void sift_up(struct top *top, size_t at)
{
    while (at > 0 && candidate_better(&top->items[(at - 1) / 2], &top->items[at])) {
        swap(&top->items[at], &top->items[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
}

static size_t find(const struct top *top, int64_t id)
{
    size_t at = 0;
    while (at < top->len && top->items[at].id != id) {
        at++;
    }
    return at;
}

static void take_out(struct top *top, size_t at)
{
    top->items[at] = top->items[--top->len];
    if (at < top->len) {
        sift_down(top, at);
        sift_up(top, at);
    }
}

/* A unit of an article that was on an earlier page: the article's other units are no hits of this one. */
static void note_shown(struct top *top, int64_t id)
{
    id_set_add(&top->shown, id);
    size_t at = find(top, id);
    if (at < top->len) {
        take_out(top, at);
        top->removed++;
    }
}

void top_begin(struct top *top, size_t max, const struct candidate *after)
{
    top->len = 0;
    top->max = max;
    top->removed = 0;
    top->has_after = after != NULL;
    if (after != NULL) {
        top->after = *after;
    }
}

void top_offer(struct top *top, const struct candidate *candidate, bool several)
{
    if (top->has_after && !candidate_better(&top->after, candidate)) {
        if (several) {
            note_shown(top, candidate->id);
        }
        return;
    }
    bool full = top->len == top->max;
    if ((full && !candidate_better(candidate, &top->items[0])) ||
        (several && id_set_has(&top->shown, candidate->id))) {
        return;
    }
    size_t known = several ? find(top, candidate->id) : top->len;
    if (known < top->len) {
        struct candidate *unit = &top->items[known];
        if (candidate->score > unit->score ||
            (candidate->score == unit->score && candidate->slot < unit->slot)) {
            *unit = *candidate;
            sift_down(top, known);
        }
    } else if (full) {
        top->items[0] = *candidate;
        sift_down(top, 0);
    } else {
        top->items[top->len++] = *candidate;
        sift_up(top, top->len - 1);
    }
}

static int compare(const void *a, const void *b)
{
    const struct candidate *x = a;
    const struct candidate *y = b;
    return candidate_better(x, y) ? -1 : candidate_better(y, x) ? 1 : 0;
}

void top_sort(struct top *top)
{
    qsort(top->items, top->len, sizeof(top->items[0]), compare);
}
