#include "services/gateway/buckets.h"

#include <stdatomic.h>
#include <stdlib.h>

struct bucket {
    _Atomic uint64_t key;     /* 0: nobody's */
    _Atomic uint64_t full_ns; /* when it is full again */
};

struct buckets {
    size_t sets;
    _Atomic uint64_t *taken_ns; /* of each place, since it was told of; NULL: not shared */
    struct bucket places[];
};

struct buckets *buckets_new(size_t sets, bool shared)
{
    struct buckets *buckets = calloc(1, sizeof(*buckets) + sets * BUCKETS_WAYS * sizeof(struct bucket));
    if (buckets != NULL) {
        buckets->sets = sets;
        buckets->taken_ns = shared ? calloc(sets * BUCKETS_WAYS, sizeof(buckets->taken_ns[0])) : NULL;
    }
    if (buckets != NULL && shared && buckets->taken_ns == NULL) {
        free(buckets);
        buckets = NULL;
    }
    return buckets;
}

void buckets_free(struct buckets *buckets)
{
    if (buckets != NULL) {
        free(buckets->taken_ns);
        free(buckets);
    }
}

static struct bucket *set_of(struct buckets *buckets, uint64_t key)
{
    return &buckets->places[((size_t)(key >> 32) & (buckets->sets - 1)) * BUCKETS_WAYS];
}

static struct bucket *find(struct bucket *set, uint64_t key)
{
    for (size_t i = 0; i < BUCKETS_WAYS; i++) {
        if (atomic_load_explicit(&set[i].key, memory_order_relaxed) == key) {
            return &set[i];
        }
    }
    return NULL;
}

/* The fullest bucket of the set becomes that of `key`. Two loops may do this at once for two keys or for the same one:
 * then a request is counted for the wrong client or twice, and the next one finds its own place. */
static struct bucket *take_over(struct bucket *set, uint64_t key)
{
    struct bucket *fullest = &set[0];
    for (size_t i = 1; i < BUCKETS_WAYS; i++) {
        if (atomic_load_explicit(&set[i].full_ns, memory_order_relaxed) <
            atomic_load_explicit(&fullest->full_ns, memory_order_relaxed)) {
            fullest = &set[i];
        }
    }
    atomic_store_explicit(&fullest->key, key, memory_order_relaxed);
    return fullest;
}

static struct bucket_state state_of(uint64_t full_ns, const struct bucket_limit *limit, uint64_t now_ns)
{
    uint64_t missing = full_ns > now_ns ? full_ns - now_ns : 0;
    uint64_t room = missing < limit->window_ns ? limit->window_ns - missing : 0;
    return (struct bucket_state){
        .taken = room >= limit->interval_ns,
        .remaining = limit->interval_ns > 0 ? room / limit->interval_ns : UINT64_MAX,
        .wait_ns = room >= limit->interval_ns ? 0 : missing + limit->interval_ns - limit->window_ns,
    };
}

struct bucket_state buckets_take(struct buckets *buckets, uint64_t key, const struct bucket_limit *limit,
                                 uint64_t now_ns)
{
    struct bucket *set = set_of(buckets, key);
    struct bucket *bucket = find(set, key);
    if (bucket == NULL) {
        bucket = take_over(set, key);
        if (buckets->taken_ns != NULL) { /* what was not told of yet was another's */
            atomic_store_explicit(&buckets->taken_ns[bucket - buckets->places], 0, memory_order_relaxed);
        }
    }
    uint64_t full_ns = atomic_load_explicit(&bucket->full_ns, memory_order_relaxed);
    for (;;) {
        struct bucket_state state = state_of(full_ns, limit, now_ns);
        if (!state.taken) {
            return state;
        }
        uint64_t after = (full_ns > now_ns ? full_ns : now_ns) + limit->interval_ns;
        if (atomic_compare_exchange_weak_explicit(&bucket->full_ns, &full_ns, after, memory_order_relaxed,
                                                  memory_order_relaxed)) {
            state.remaining--;
            if (buckets->taken_ns != NULL) {
                atomic_fetch_add_explicit(&buckets->taken_ns[bucket - buckets->places], limit->interval_ns,
                                          memory_order_relaxed);
            }
            return state;
        }
    }
}

struct bucket_state buckets_look(struct buckets *buckets, uint64_t key, const struct bucket_limit *limit,
                                 uint64_t now_ns)
{
    const struct bucket *bucket = find(set_of(buckets, key), key);
    return state_of(bucket != NULL ? atomic_load_explicit(&bucket->full_ns, memory_order_relaxed) : 0, limit,
                    now_ns);
}

/* ------------------------------------------------------------------ shared ones */

/* uses[] is a heap whose least is the first, but the one at `at` may be too large for its place. */
static void sift(struct bucket_use *uses, size_t count, size_t at)
{
    for (;;) {
        size_t least = at;
        for (size_t child = 2 * at + 1; child <= 2 * at + 2 && child < count; child++) {
            if (uses[child].taken_ns < uses[least].taken_ns) {
                least = child;
            }
        }
        if (least == at) {
            return;
        }
        struct bucket_use use = uses[at];
        uses[at] = uses[least];
        uses[least] = use;
        at = least;
    }
}

/* Places by what was taken from them: key is the number of the place. */
static size_t find_most_used(const struct buckets *buckets, struct bucket_use *uses, size_t most)
{
    size_t count = 0;
    for (size_t i = 0; i < buckets->sets * BUCKETS_WAYS; i++) {
        struct bucket_use use = {i, atomic_load_explicit(&buckets->taken_ns[i], memory_order_relaxed)};
        if (use.taken_ns == 0) {
            continue;
        }
        if (count < most) {
            uses[count++] = use;
            for (size_t at = count / 2; count == most && at > 0; at--) {
                sift(uses, count, at - 1);
            }
        } else if (use.taken_ns > uses[0].taken_ns) {
            uses[0] = use;
            sift(uses, count, 0);
        }
    }
    return count;
}

size_t buckets_used(struct buckets *buckets, struct bucket_use *uses, size_t most)
{
    size_t count = 0, found = find_most_used(buckets, uses, most);
    for (size_t i = 0; i < found; i++) {
        size_t place = (size_t)uses[i].key;
        struct bucket_use use = {
            atomic_load_explicit(&buckets->places[place].key, memory_order_relaxed),
            atomic_exchange_explicit(&buckets->taken_ns[place], 0, memory_order_relaxed),
        };
        if (use.taken_ns > 0) { /* it has not been taken over meanwhile */
            uses[count++] = use;
        }
    }
    return count;
}

void buckets_raise(struct buckets *buckets, uint64_t key, uint64_t full_ns)
{
    struct bucket *bucket = find(set_of(buckets, key), key);
    uint64_t before = bucket != NULL ? atomic_load_explicit(&bucket->full_ns, memory_order_relaxed) : full_ns;
    while (before < full_ns &&
           !atomic_compare_exchange_weak_explicit(&bucket->full_ns, &before, full_ns, memory_order_relaxed,
                                                  memory_order_relaxed)) {
    }
}
