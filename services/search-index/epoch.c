#include "services/search-index/epoch.h"

#include "libcommon/str.h"

#include <stdatomic.h>
#include <stdlib.h>

struct waiting {
    void *object;
    void (*release)(void *object);
    uint64_t since; /* readers that entered later cannot hold it */
};

/* One to a cache line: readers do not slow down each other. */
struct place {
    _Alignas(64) _Atomic(uint64_t) entered; /* 0: outside */
    atomic_bool taken;
};

struct epoch {
    struct place places[EPOCH_READERS_MAX];
    _Alignas(64) _Atomic(uint64_t) now;
    /* the writer's; oldest first */
    struct waiting *list;
    size_t len;
    size_t cap;
};

struct epoch *epoch_new(void)
{
    struct epoch *epoch = aligned_alloc(64, sizeof(*epoch));
    if (epoch == NULL) {
        abort();
    }
    memset(epoch, 0, sizeof(*epoch));
    atomic_store(&epoch->now, 1);
    return epoch;
}

void epoch_free(struct epoch *epoch)
{
    if (epoch != NULL) {
        for (size_t i = 0; i < epoch->len; i++) {
            epoch->list[i].release(epoch->list[i].object);
        }
        free(epoch->list);
        free(epoch);
    }
}

int epoch_join(struct epoch *epoch)
{
    for (int i = 0; i < EPOCH_READERS_MAX; i++) {
        bool expected = false;
        if (atomic_compare_exchange_strong(&epoch->places[i].taken, &expected, true)) {
            return i;
        }
    }
    return -1;
}

void epoch_part(struct epoch *epoch, int reader)
{
    if (reader >= 0) {
        atomic_store(&epoch->places[reader].taken, false);
    }
}

/* Sequentially consistent, as are the loads of what is protected and the writer's stores: either the writer sees
 * that we are here, or we see what it has written. */
void epoch_enter(struct epoch *epoch, int reader)
{
    atomic_store(&epoch->places[reader].entered, atomic_load(&epoch->now));
}

void epoch_leave(struct epoch *epoch, int reader)
{
    atomic_store(&epoch->places[reader].entered, 0);
}

void epoch_retire(struct epoch *epoch, void *object, void (*release)(void *object))
{
    if (object == NULL) {
        return;
    }
    if (epoch->len == epoch->cap) {
        epoch->cap = epoch->cap == 0 ? 64 : epoch->cap * 2;
        epoch->list = mirai_realloc(epoch->list, epoch->cap * sizeof(epoch->list[0]));
    }
    epoch->list[epoch->len++] = (struct waiting){object, release, atomic_load(&epoch->now)};
}

void epoch_reclaim(struct epoch *epoch)
{
    if (epoch->len == 0) {
        return;
    }
    uint64_t oldest = atomic_fetch_add(&epoch->now, 1) + 1;
    for (int i = 0; i < EPOCH_READERS_MAX; i++) {
        uint64_t entered = atomic_load(&epoch->places[i].entered);
        oldest = entered != 0 && entered < oldest ? entered : oldest;
    }
    size_t done = 0;
    while (done < epoch->len && epoch->list[done].since < oldest) {
        epoch->list[done].release(epoch->list[done].object);
        done++;
    }
    epoch->len -= done;
    memmove(epoch->list, epoch->list + done, epoch->len * sizeof(epoch->list[0]));
}
