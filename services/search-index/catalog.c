#include "services/search-index/catalog.h"

#include "proto/enums.h"
#include "services/search-index/names.h"

#include <stdatomic.h>
#include <stdlib.h>

#define CHUNK        4096
#define CHUNKS       (CATALOG_SLOTS_MAX / CHUNK)
#define OWNERS_MAX   (1u << 20)
#define OWNERS_CHUNK 256
#define ID_REMOVED   UINT32_MAX
#define ID_LEN_FIRST 1024

/* Slots come in chunks that never move. */
struct chunk {
    _Atomic(struct catalog_entry *) entries[CHUNK];
    _Atomic(uint64_t) uses[CHUNK];    /* views, clicks << 32 */
    _Atomic(uint64_t) ratings[CHUNK]; /* number, bits of the mean << 32 */
};

struct owner {
    int64_t id;
    _Atomic(uint32_t) name;
};

/* From ids to numbers; open addressing. An id is not kept here but asked of what has the number, which may be
 * gone. Replaced as a whole when it grows. */
struct id_table {
    size_t len;
    size_t used; /* the writer's: cells that are not 0 */
    _Atomic(uint32_t) cells[];
};

struct catalog {
    struct epoch *epoch;
    _Atomic(struct chunk *) chunks[CHUNKS];
    _Atomic(uint32_t) limit;
    _Atomic(size_t) articles;
    _Atomic(size_t) units;
    _Atomic(struct id_table *) slots; /* of articles */
    _Atomic(struct id_table *) owners_by_id;
    _Atomic(struct owner *) owners[OWNERS_MAX / OWNERS_CHUNK];
    _Atomic(uint32_t) owners_len;
    struct names *tags;
    struct names *owner_names;
    /* the writer's */
    uint32_t *free_slots; /* stack */
    size_t free_len;
    size_t free_cap;
    uint32_t next_slot;
};

static struct id_table *id_table_new(size_t len)
{
    struct id_table *table = mirai_alloc(sizeof(*table) + len * sizeof(table->cells[0]));
    table->len = len;
    return table;
}

struct catalog *catalog_new(void)
{
    struct catalog *catalog = mirai_alloc(sizeof(*catalog));
    catalog->epoch = epoch_new();
    catalog->tags = names_new(catalog->epoch);
    catalog->owner_names = names_new(catalog->epoch);
    atomic_init(&catalog->slots, id_table_new(ID_LEN_FIRST));
    atomic_init(&catalog->owners_by_id, id_table_new(ID_LEN_FIRST));
    atomic_init(&catalog->limit, 1);
    catalog->next_slot = 1;
    return catalog;
}

void catalog_free(struct catalog *catalog)
{
    if (catalog == NULL) {
        return;
    }
    for (size_t i = 0; i < CHUNKS; i++) {
        struct chunk *chunk = atomic_load(&catalog->chunks[i]);
        for (size_t j = 0; chunk != NULL && j < CHUNK; j++) {
            free(atomic_load(&chunk->entries[j]));
        }
        free(chunk);
    }
    for (size_t i = 0; i < OWNERS_MAX / OWNERS_CHUNK; i++) {
        free(atomic_load(&catalog->owners[i]));
    }
    names_free(catalog->tags);
    names_free(catalog->owner_names);
    free(atomic_load(&catalog->slots));
    free(atomic_load(&catalog->owners_by_id));
    free(catalog->free_slots);
    epoch_free(catalog->epoch);
    free(catalog);
}

struct epoch *catalog_epoch(const struct catalog *catalog)
{
    return catalog->epoch;
}

/* ------------------------------------------------------------------ numbers of ids */

typedef int64_t (*id_of_fn)(const struct catalog *catalog, uint32_t number);

static int64_t id_of_slot(const struct catalog *catalog, uint32_t slot)
{
    const struct catalog_entry *entry = catalog_get(catalog, slot);
    return entry != NULL ? entry->id : 0;
}

static struct owner *owner_at(const struct catalog *catalog, uint32_t number)
{
    return &atomic_load(&catalog->owners[(number - 1) / OWNERS_CHUNK])[(number - 1) % OWNERS_CHUNK];
}

static int64_t id_of_owner(const struct catalog *catalog, uint32_t number)
{
    return owner_at(catalog, number)->id;
}

/* Finalizer of MurmurHash3: spreads consecutive ids. */
static size_t id_hash(int64_t id)
{
    uint64_t h = (uint64_t)id;
    h ^= h >> 33;
    h *= 0xff51afd7ed558ccdULL;
    h ^= h >> 33;
    return (size_t)h;
}

/* The cell of `id`, or the empty one where the search for it ended. */
static _Atomic(uint32_t) *id_cell(const struct catalog *catalog, struct id_table *table, int64_t id,
                                  id_of_fn id_of)
{
    for (size_t at = id_hash(id) & (table->len - 1);; at = (at + 1) & (table->len - 1)) {
        uint32_t number = atomic_load(&table->cells[at]);
        if (number == 0 || (number != ID_REMOVED && id_of(catalog, number) == id)) {
            return &table->cells[at];
        }
    }
}

static void id_insert(struct catalog *catalog, _Atomic(struct id_table *) *map, int64_t id, uint32_t number,
                      id_of_fn id_of)
{
    struct id_table *table = atomic_load(map);
    if ((table->used + 1) * 2 > table->len) {
        size_t live = 0;
        for (size_t i = 0; i < table->len; i++) {
            uint32_t other = atomic_load(&table->cells[i]);
            live += other != 0 && other != ID_REMOVED;
        }
        struct id_table *larger = id_table_new(live * 4 > table->len ? table->len * 2 : table->len);
        for (size_t i = 0; i < table->len; i++) {
            uint32_t other = atomic_load(&table->cells[i]);
            if (other != 0 && other != ID_REMOVED) {
                atomic_store(id_cell(catalog, larger, id_of(catalog, other), id_of), other);
                larger->used++;
            }
        }
        atomic_store(map, larger);
        epoch_retire(catalog->epoch, table, free);
        table = larger;
    }
    _Atomic(uint32_t) *cell = id_cell(catalog, table, id, id_of);
    table->used += atomic_load(cell) == 0;
    atomic_store(cell, number);
}

uint32_t catalog_slot(const struct catalog *catalog, int64_t id)
{
    return id != 0 ? atomic_load(id_cell(catalog, atomic_load(&catalog->slots), id, id_of_slot)) : 0;
}

uint32_t catalog_find(const struct catalog *catalog, int64_t id)
{
    return catalog_slot(catalog, id);
}

/* ------------------------------------------------------------------ owners */

static uint32_t owner_add(struct catalog *catalog, int64_t id, uint32_t name)
{
    uint32_t number = atomic_load(&catalog->owners_len) + 1;
    if (number > OWNERS_MAX) {
        return 0;
    }
    if ((number - 1) % OWNERS_CHUNK == 0) {
        atomic_store(&catalog->owners[(number - 1) / OWNERS_CHUNK],
                     mirai_alloc(OWNERS_CHUNK * sizeof(struct owner)));
    }
    owner_at(catalog, number)->id = id;
    atomic_store(&owner_at(catalog, number)->name, name);
    atomic_store(&catalog->owners_len, number);
    id_insert(catalog, &catalog->owners_by_id, id, number, id_of_owner);
    return number;
}

static void note_owner(struct catalog *catalog, int64_t id, struct mirai_str owner)
{
    if (id == 0 || owner.len == 0) {
        return;
    }
    struct id_table *table = atomic_load(&catalog->owners_by_id);
    uint32_t number = atomic_load(id_cell(catalog, table, id, id_of_owner));
    if (number != 0) {
        struct owner *known = owner_at(catalog, number);
        if (mirai_str_eq(names_get(catalog->owner_names, atomic_load(&known->name)), owner)) {
            return;
        }
    }
    uint32_t name = names_add(catalog->owner_names, owner);
    if (name == NAMES_NONE) {
        return;
    }
    if (number != 0) {
        atomic_store(&owner_at(catalog, number)->name, name);
    } else {
        owner_add(catalog, id, name);
    }
}

/* There are as many owners as colleagues: looking at each is quick enough for a filter. */
size_t catalog_owner_find(const struct catalog *catalog, struct mirai_str key, int64_t *ids, size_t max)
{
    uint32_t name = names_find(catalog->owner_names, key);
    uint32_t count = name != NAMES_NONE ? atomic_load(&catalog->owners_len) : 0;
    size_t len = 0;
    for (uint32_t number = 1; number <= count && len < max; number++) {
        const struct owner *owner = owner_at(catalog, number);
        if (atomic_load(&owner->name) == name) {
            ids[len++] = owner->id;
        }
    }
    return len;
}

struct mirai_str catalog_owner_name(const struct catalog *catalog, int64_t id)
{
    struct id_table *table = atomic_load(&catalog->owners_by_id);
    uint32_t number = id != 0 ? atomic_load(id_cell(catalog, table, id, id_of_owner)) : 0;
    return number != 0 ? names_get(catalog->owner_names, atomic_load(&owner_at(catalog, number)->name))
                       : (struct mirai_str){0};
}

/* ------------------------------------------------------------------ entries */

static struct chunk *chunk_of(const struct catalog *catalog, uint32_t slot)
{
    return slot < CATALOG_SLOTS_MAX ? atomic_load(&catalog->chunks[slot / CHUNK]) : NULL;
}

const struct catalog_entry *catalog_get(const struct catalog *catalog, uint32_t slot)
{
    const struct chunk *chunk = chunk_of(catalog, slot);
    return chunk != NULL ? atomic_load(&chunk->entries[slot % CHUNK]) : NULL;
}

const struct catalog_entry *catalog_article(const struct catalog *catalog, const struct catalog_entry *entry)
{
    return entry->parent == 0 ? entry : catalog_get(catalog, entry->parent);
}

static void push_free(struct catalog *catalog, uint32_t slot)
{
    if (catalog->free_len == catalog->free_cap) {
        catalog->free_cap = catalog->free_cap == 0 ? 64 : catalog->free_cap * 2;
        catalog->free_slots =
            mirai_realloc(catalog->free_slots, catalog->free_cap * sizeof(catalog->free_slots[0]));
    }
    catalog->free_slots[catalog->free_len++] = slot;
}

static struct chunk *reserve_slot(struct catalog *catalog, uint32_t slot)
{
    struct chunk *chunk = chunk_of(catalog, slot);
    if (chunk == NULL) {
        chunk = mirai_alloc(sizeof(*chunk));
        atomic_store(&catalog->chunks[slot / CHUNK], chunk);
    }
    for (; catalog->next_slot < slot; catalog->next_slot++) {
        push_free(catalog, catalog->next_slot);
    }
    catalog->next_slot = catalog->next_slot > slot ? catalog->next_slot : slot + 1;
    if (slot >= atomic_load(&catalog->limit)) {
        atomic_store(&catalog->limit, slot + 1);
    }
    return chunk;
}

static struct catalog_entry *make_entry(struct catalog *catalog, const struct catalog_entry *from,
                                        const struct mirai_str *tags, size_t tags_len)
{
    size_t most = tags_len > CATALOG_TAGS_MAX ? CATALOG_TAGS_MAX : tags_len;
    struct catalog_entry *entry = mirai_alloc(sizeof(*entry) + most * sizeof(entry->tags[0]));
    memcpy(entry, from, sizeof(*entry));
    entry->tags_len = 0;
    for (size_t i = 0; i < most; i++) {
        uint32_t tag = names_add(catalog->tags, tags[i]);
        if (tag != NAMES_NONE) {
            entry->tags[entry->tags_len++] = tag;
        }
    }
    return entry;
}

void catalog_put(struct catalog *catalog, uint32_t slot, const struct catalog_entry *entry,
                 const struct mirai_str *tags, size_t tags_len, struct mirai_str owner)
{
    struct chunk *chunk = reserve_slot(catalog, slot);
    struct catalog_entry *made = make_entry(catalog, entry, tags, tags_len);
    note_owner(catalog, entry->owner_id, owner);
    struct catalog_entry *old = atomic_exchange(&chunk->entries[slot % CHUNK], made);
    if (old == NULL) {
        atomic_fetch_add(&catalog->units, 1);
        if (made->parent == 0) {
            atomic_store(&chunk->uses[slot % CHUNK], 0);
            atomic_store(&chunk->ratings[slot % CHUNK], 0);
            atomic_fetch_add(&catalog->articles, 1);
            id_insert(catalog, &catalog->slots, made->id, slot, id_of_slot);
        }
    }
    epoch_retire(catalog->epoch, old, free);
}

void catalog_remove(struct catalog *catalog, uint32_t slot)
{
    struct chunk *chunk = chunk_of(catalog, slot);
    struct catalog_entry *old = chunk != NULL ? atomic_load(&chunk->entries[slot % CHUNK]) : NULL;
    if (old == NULL) {
        return;
    }
    if (old->parent == 0) {
        atomic_store(id_cell(catalog, atomic_load(&catalog->slots), old->id, id_of_slot), ID_REMOVED);
        atomic_fetch_sub(&catalog->articles, 1);
    }
    atomic_fetch_sub(&catalog->units, 1);
    atomic_store(&chunk->entries[slot % CHUNK], NULL);
    push_free(catalog, slot);
    epoch_retire(catalog->epoch, old, free);
}

uint32_t catalog_take_slot(struct catalog *catalog)
{
    if (catalog->free_len > 0) {
        return catalog->free_slots[--catalog->free_len];
    }
    return catalog->next_slot < CATALOG_SLOTS_MAX ? catalog->next_slot++ : 0;
}

void catalog_untake_slot(struct catalog *catalog, uint32_t slot)
{
    push_free(catalog, slot);
}

uint32_t catalog_limit(const struct catalog *catalog)
{
    return atomic_load(&catalog->limit);
}

size_t catalog_count(const struct catalog *catalog)
{
    return atomic_load(&catalog->articles);
}

size_t catalog_units(const struct catalog *catalog)
{
    return atomic_load(&catalog->units);
}

/* ------------------------------------------------------------------ signals and tags */

void catalog_set_signals(struct catalog *catalog, int64_t id, const struct catalog_signals *signals)
{
    uint32_t slot = catalog_slot(catalog, id);
    uint32_t bits;
    if (slot == 0) {
        return;
    }
    struct chunk *chunk = chunk_of(catalog, slot);
    memcpy(&bits, &signals->rating, sizeof(bits));
    atomic_store(&chunk->uses[slot % CHUNK], signals->views | (uint64_t)signals->clicks << 32);
    atomic_store(&chunk->ratings[slot % CHUNK], signals->ratings | (uint64_t)bits << 32);
}

struct catalog_signals catalog_signals(const struct catalog *catalog, uint32_t slot)
{
    struct catalog_signals signals = {0};
    const struct chunk *chunk = chunk_of(catalog, slot);
    if (chunk != NULL) {
        uint64_t uses = atomic_load(&chunk->uses[slot % CHUNK]);
        uint64_t ratings = atomic_load(&chunk->ratings[slot % CHUNK]);
        uint32_t bits = (uint32_t)(ratings >> 32);
        signals.views = (uint32_t)uses;
        signals.clicks = (uint32_t)(uses >> 32);
        signals.ratings = (uint32_t)ratings;
        memcpy(&signals.rating, &bits, sizeof(bits));
    }
    return signals;
}

uint32_t catalog_tag_limit(const struct catalog *catalog)
{
    return names_count(catalog->tags);
}

struct mirai_str catalog_tag_name(const struct catalog *catalog, uint32_t tag)
{
    return names_get(catalog->tags, tag);
}

uint32_t catalog_tag_find(const struct catalog *catalog, struct mirai_str key)
{
    return names_find(catalog->tags, key);
}

/* ------------------------------------------------------------------ visibility */

static bool contains(const int64_t *sorted, size_t len, int64_t value)
{
    size_t low = 0;
    while (low < len) {
        size_t middle = low + (len - low) / 2;
        if (sorted[middle] == value) {
            return true;
        }
        if (sorted[middle] < value) {
            low = middle + 1;
        } else {
            len = middle;
        }
    }
    return false;
}

bool catalog_visible(const struct catalog_entry *entry, const struct mirai_principal *principal)
{
    if (principal->role == MIRAI_ROLE_ADMIN || principal->user_id == -1) {
        return true;
    }
    if (principal->user_id > 0 && entry->owner_id == principal->user_id) {
        return true;
    }
    switch (entry->visibility) {
    case MIRAI_VISIBILITY_SPACE:
        return contains(principal->spaces, principal->spaces_len, entry->space_id);
    case MIRAI_VISIBILITY_GROUP:
        return contains(principal->groups, principal->groups_len, entry->group_id);
    default:
        return false;
    }
}
