#include "services/gateway/buckets.h"

#include <stdatomic.h>
#include <stdlib.h>

struct bucket {
    _Atomic uint64_t key;     /* 0: nobody's */
    _Atomic uint64_t full_ns; /* when it is full again */
};

struct buckets {
    size_t sets;
    struct bucket places[];
};

struct buckets *buckets_new(size_t sets)
{
    struct buckets *buckets = calloc(1, sizeof(*buckets) + sets * BUCKETS_WAYS * sizeof(struct bucket));
    if (buckets != NULL) {
        buckets->sets = sets;
    }
    return buckets;
}

void buckets_free(struct buckets *buckets)
{
    free(buckets);
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
