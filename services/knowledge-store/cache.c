#include "services/knowledge-store/cache.h"

#include <stdlib.h>

#define STAMPS         4096 /* a power of two */
#define ENTRY_OVERHEAD 64   /* bytes that malloc and the table add to an entry, about */
#define ARTICLE_BYTES  1024 /* a small article: sizes the table */

/* Entries with the same hash form a chain; all form a ring that the clock hand goes round (second chance). */
struct entry {
    struct entry *chain;
    struct entry *next, *previous;
    int64_t id;
    struct access_fields fields;
    bool used; /* since the hand came by */
    size_t len;
    char encoded[];
};

struct cache {
    size_t max_bytes;
    size_t bytes;
    size_t slots; /* a power of two */
    struct entry **table;
    struct entry *hand;
    uint64_t clock;              /* counts what was made known */
    uint64_t dropped_all_at;     /* of the last cache_drop_all */
    uint64_t dropped_at[STAMPS]; /* last drop of any id with this hash: too many rejections do no harm */
};

static size_t hash_id(int64_t id)
{
    uint64_t h = (uint64_t)id * 0x9e3779b97f4a7c15u;
    return (size_t)(h >> 20);
}

struct cache *cache_new(size_t max_bytes)
{
    struct cache *cache = mirai_alloc(sizeof(*cache));
    cache->max_bytes = max_bytes;
    cache->slots = 64;
    while (cache->slots < max_bytes / ARTICLE_BYTES) {
        cache->slots *= 2;
    }
    cache->table = mirai_alloc(cache->slots * sizeof(*cache->table));
    return cache;
}

static struct entry **find_slot(struct cache *cache, int64_t id)
{
    struct entry **slot = &cache->table[hash_id(id) & (cache->slots - 1)];
    while (*slot != NULL && (*slot)->id != id) {
        slot = &(*slot)->chain;
    }
    return slot;
}

static size_t entry_size(const struct entry *entry)
{
    return sizeof(*entry) + entry->len + ENTRY_OVERHEAD;
}

static void remove_entry(struct cache *cache, struct entry **slot)
{
    struct entry *entry = *slot;
    /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): what the hand or a caller points to is in the table */
    *slot = entry->chain;
    if (entry->next == entry) {
        cache->hand = NULL;
    } else {
        entry->previous->next = entry->next;
        entry->next->previous = entry->previous;
        if (cache->hand == entry) {
            cache->hand = entry->next;
        }
    }
    cache->bytes -= entry_size(entry);
    free(entry);
}

static void evict_until_fits(struct cache *cache, size_t size)
{
    while (cache->hand != NULL && cache->bytes + size > cache->max_bytes) {
        if (cache->hand->used) {
            cache->hand->used = false;
            cache->hand = cache->hand->next;
        } else {
            remove_entry(cache, find_slot(cache, cache->hand->id));
        }
    }
}

bool cache_find(struct cache *cache, int64_t id, struct mirai_str *encoded, struct access_fields *fields)
{
    struct entry *entry = *find_slot(cache, id);
    if (entry == NULL) {
        return false;
    }
    entry->used = true;
    *encoded = (struct mirai_str){entry->encoded, entry->len};
    *fields = entry->fields;
    return true;
}

uint64_t cache_ticket(const struct cache *cache)
{
    return cache->clock;
}

void cache_fill(struct cache *cache, uint64_t ticket, int64_t id, struct mirai_str encoded,
                const struct access_fields *fields)
{
    size_t size = sizeof(struct entry) + encoded.len + ENTRY_OVERHEAD;
    if (cache->dropped_all_at > ticket || cache->dropped_at[hash_id(id) % STAMPS] > ticket ||
        size > cache->max_bytes / 4) {
        return;
    }
    struct entry **slot = find_slot(cache, id);
    if (*slot != NULL) {
        remove_entry(cache, slot);
    }
    evict_until_fits(cache, size);
    struct entry *entry = mirai_alloc(sizeof(*entry) + encoded.len);
    entry->id = id;
    entry->fields = *fields;
    entry->len = encoded.len;
    memcpy(entry->encoded, encoded.data, encoded.len);
    slot = find_slot(cache, id);
    *slot = entry;
    if (cache->hand == NULL) {
        cache->hand = entry->next = entry->previous = entry;
    } else { /* behind the hand: the last to be looked at */
        entry->next = cache->hand;
        entry->previous = cache->hand->previous;
        entry->previous->next = entry;
        entry->next->previous = entry;
    }
    cache->bytes += size;
}

void cache_drop(struct cache *cache, int64_t id)
{
    struct entry **slot = find_slot(cache, id);
    cache->dropped_at[hash_id(id) % STAMPS] = ++cache->clock;
    if (*slot != NULL) {
        remove_entry(cache, slot);
    }
}

void cache_drop_all(struct cache *cache)
{
    cache->dropped_all_at = ++cache->clock;
    while (cache->hand != NULL) {
        remove_entry(cache, find_slot(cache, cache->hand->id));
    }
}

void cache_free(struct cache *cache)
{
    if (cache != NULL) {
        cache_drop_all(cache);
        free(cache->table);
        free(cache);
    }
}

size_t cache_bytes(const struct cache *cache)
{
    return cache->bytes;
}
