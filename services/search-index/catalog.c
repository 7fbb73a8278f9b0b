#include "services/search-index/catalog.h"

#include "proto/enums.h"
#include "services/search-index/analyzer/normalize.h"

#include <pthread.h>
#include <stdlib.h>

struct tag {
    char *name;
    size_t name_len;
    char *key; /* normalised name */
    size_t key_len;
};

struct catalog {
    pthread_rwlock_t lock;
    struct catalog_entry *entries; /* by document number; 0 is never used */
    uint32_t limit;
    uint32_t cap;
    size_t count;
    uint32_t *free_docs; /* stack */
    size_t free_len;
    size_t free_cap;
    uint32_t *by_id; /* open addressing: article id -> document number; UINT32_MAX: removed */
    size_t by_id_len;
    size_t by_id_used;
    uint32_t next_doc; /* the writer's: above limit while its transaction is open */
    struct tag *tags;
    uint32_t tags_len;
    uint32_t tags_cap;
    uint32_t *by_key; /* open addressing: hash of a tag's key -> number + 1 */
    size_t by_key_len;
};

#define BY_ID_REMOVED UINT32_MAX

struct catalog *catalog_new(void)
{
    struct catalog *catalog = mirai_alloc(sizeof(*catalog));
    pthread_rwlockattr_t attributes;
    pthread_rwlockattr_init(&attributes);
    /* a writer that waits goes first: searches in an endless row must not keep changes out */
    pthread_rwlockattr_setkind_np(&attributes, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_init(&catalog->lock, &attributes);
    pthread_rwlockattr_destroy(&attributes);
    catalog->limit = 1;
    catalog->next_doc = 1;
    catalog->by_key_len = 256;
    catalog->by_key = mirai_alloc(catalog->by_key_len * sizeof(catalog->by_key[0]));
    catalog->by_id_len = 1024;
    catalog->by_id = mirai_alloc(catalog->by_id_len * sizeof(catalog->by_id[0]));
    return catalog;
}

void catalog_free(struct catalog *catalog)
{
    if (catalog == NULL) {
        return;
    }
    for (uint32_t doc = 1; doc < catalog->limit; doc++) {
        free(catalog->entries[doc].tags);
    }
    for (uint32_t i = 0; i < catalog->tags_len; i++) {
        free(catalog->tags[i].name);
        free(catalog->tags[i].key);
    }
    free(catalog->tags);
    free(catalog->by_key);
    free(catalog->by_id);
    free(catalog->free_docs);
    free(catalog->entries);
    pthread_rwlock_destroy(&catalog->lock);
    free(catalog);
}

void catalog_read_lock(struct catalog *catalog)
{
    pthread_rwlock_rdlock(&catalog->lock);
}

void catalog_write_lock(struct catalog *catalog)
{
    pthread_rwlock_wrlock(&catalog->lock);
}

void catalog_unlock(struct catalog *catalog)
{
    pthread_rwlock_unlock(&catalog->lock);
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

/* The slot of `id`, or the empty slot where the search for it ended. */
static uint32_t *id_slot(const struct catalog *catalog, int64_t id)
{
    size_t at = id_hash(id) & (catalog->by_id_len - 1);
    for (;; at = (at + 1) & (catalog->by_id_len - 1)) {
        uint32_t doc = catalog->by_id[at];
        if (doc == 0 || (doc != BY_ID_REMOVED && catalog->entries[doc].id == id)) {
            return &catalog->by_id[at];
        }
    }
}

static void id_insert(struct catalog *catalog, int64_t id, uint32_t doc)
{
    if ((catalog->by_id_used + 1) * 2 > catalog->by_id_len) {
        uint32_t *old = catalog->by_id;
        size_t old_len = catalog->by_id_len;
        while (catalog->count * 4 > catalog->by_id_len) {
            catalog->by_id_len *= 2;
        }
        catalog->by_id = mirai_alloc(catalog->by_id_len * sizeof(catalog->by_id[0]));
        catalog->by_id_used = 0;
        for (size_t i = 0; i < old_len; i++) {
            if (old[i] != 0 && old[i] != BY_ID_REMOVED) {
                *id_slot(catalog, catalog->entries[old[i]].id) = old[i];
                catalog->by_id_used++;
            }
        }
        free(old);
    }
    uint32_t *slot = id_slot(catalog, id);
    catalog->by_id_used += *slot == 0;
    *slot = doc;
}

/* The slot of a key, or the empty slot where the search for it ended. */
static uint32_t *key_slot(const struct catalog *catalog, struct mirai_str key)
{
    uint64_t hash = 14695981039346656037u; /* FNV-1a */
    for (size_t i = 0; i < key.len; i++) {
        hash = (hash ^ (unsigned char)key.data[i]) * 1099511628211u;
    }
    for (size_t at = hash & (catalog->by_key_len - 1);; at = (at + 1) & (catalog->by_key_len - 1)) {
        uint32_t tag = catalog->by_key[at];
        if (tag == 0 ||
            mirai_str_eq((struct mirai_str){catalog->tags[tag - 1].key, catalog->tags[tag - 1].key_len},
                         key)) {
            return &catalog->by_key[at];
        }
    }
}

static uint32_t tag_add(struct catalog *catalog, struct mirai_str name, struct mirai_str key)
{
    if (catalog->tags_len == catalog->tags_cap) {
        catalog->tags_cap = catalog->tags_cap == 0 ? 64 : catalog->tags_cap * 2;
        catalog->tags = mirai_realloc(catalog->tags, catalog->tags_cap * sizeof(catalog->tags[0]));
    }
    catalog->tags[catalog->tags_len] =
        (struct tag){mirai_str_dup(name), name.len, mirai_str_dup(key), key.len};
    if ((size_t)catalog->tags_len * 2 >= catalog->by_key_len) {
        free(catalog->by_key);
        catalog->by_key_len *= 2;
        catalog->by_key = mirai_alloc(catalog->by_key_len * sizeof(catalog->by_key[0]));
        for (uint32_t i = 0; i < catalog->tags_len; i++) {
            *key_slot(catalog, (struct mirai_str){catalog->tags[i].key, catalog->tags[i].key_len}) = i + 1;
        }
    }
    *key_slot(catalog, key) = catalog->tags_len + 1;
    return catalog->tags_len++;
}

/* Names that differ in case or width only are one tag. */
static uint32_t tag_number(struct catalog *catalog, struct mirai_str name)
{
    struct normalized key = {0};
    normalize(&key, name, false);
    struct mirai_str normal = mirai_buf_str(&key.text);
    uint32_t slot = *key_slot(catalog, normal);
    uint32_t tag = slot != 0 ? slot - 1 : tag_add(catalog, name, normal);
    normalized_free(&key);
    return tag;
}

static void reserve_doc(struct catalog *catalog, uint32_t doc)
{
    if (doc >= catalog->cap) {
        uint32_t cap = doc < 512 ? 1024 : doc * 2;
        catalog->entries = mirai_realloc(catalog->entries, cap * sizeof(catalog->entries[0]));
        memset(catalog->entries + catalog->cap, 0, (cap - catalog->cap) * sizeof(catalog->entries[0]));
        catalog->cap = cap;
    }
    if (doc >= catalog->limit) {
        catalog->limit = doc + 1;
        catalog->next_doc = catalog->next_doc > doc ? catalog->next_doc : doc + 1;
    }
}

static void push_free(struct catalog *catalog, uint32_t doc)
{
    if (catalog->free_len == catalog->free_cap) {
        catalog->free_cap = catalog->free_cap == 0 ? 64 : catalog->free_cap * 2;
        catalog->free_docs =
            mirai_realloc(catalog->free_docs, catalog->free_cap * sizeof(catalog->free_docs[0]));
    }
    catalog->free_docs[catalog->free_len++] = doc;
}

void catalog_put(struct catalog *catalog, uint32_t doc, const struct catalog_entry *entry,
                 const struct mirai_str *tags, size_t tags_len)
{
    uint32_t before = catalog->limit;
    reserve_doc(catalog, doc);
    for (uint32_t gap = before; gap < doc; gap++) {
        push_free(catalog, gap);
    }
    struct catalog_entry *to = &catalog->entries[doc];
    bool known = to->id == entry->id;
    free(to->tags);
    *to = *entry;
    to->tags_len = (uint8_t)(tags_len > 50 ? 50 : tags_len);
    to->tags = to->tags_len > 0 ? mirai_alloc(to->tags_len * sizeof(to->tags[0])) : NULL;
    for (size_t i = 0; i < to->tags_len; i++) {
        to->tags[i] = tag_number(catalog, tags[i]);
    }
    if (!known) {
        catalog->count++;
        id_insert(catalog, entry->id, doc);
    }
}

void catalog_remove(struct catalog *catalog, uint32_t doc)
{
    struct catalog_entry *entry = &catalog->entries[doc];
    *id_slot(catalog, entry->id) = BY_ID_REMOVED;
    free(entry->tags);
    *entry = (struct catalog_entry){0};
    catalog->count--;
    push_free(catalog, doc);
}

uint32_t catalog_doc(const struct catalog *catalog, int64_t id)
{
    return *id_slot(catalog, id);
}

uint32_t catalog_free_doc(struct catalog *catalog)
{
    return catalog->free_len > 0 ? catalog->free_docs[--catalog->free_len] : catalog->next_doc++;
}

uint32_t catalog_limit(const struct catalog *catalog)
{
    return catalog->limit;
}

const struct catalog_entry *catalog_get(const struct catalog *catalog, uint32_t doc)
{
    return doc < catalog->limit && catalog->entries != NULL && catalog->entries[doc].id != 0
               ? &catalog->entries[doc]
               : NULL;
}

size_t catalog_count(const struct catalog *catalog)
{
    return catalog->count;
}

uint32_t catalog_tag_limit(const struct catalog *catalog)
{
    return catalog->tags_len;
}

struct mirai_str catalog_tag_name(const struct catalog *catalog, uint32_t tag)
{
    return (struct mirai_str){catalog->tags[tag].name, catalog->tags[tag].name_len};
}

uint32_t catalog_tag_find(const struct catalog *catalog, struct mirai_str key)
{
    uint32_t slot = *key_slot(catalog, key);
    return slot != 0 ? slot - 1 : UINT32_MAX;
}

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
