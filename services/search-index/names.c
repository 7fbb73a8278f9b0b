#include "services/search-index/names.h"

#include "services/search-index/analyzer/normalize.h"

#include <stdatomic.h>
#include <stdlib.h>

#define CHUNK  1024
#define CHUNKS (NAMES_MAX / CHUNK)

struct name {
    size_t name_len;
    size_t key_len;
    char bytes[]; /* name, key */
};

/* Open addressing: number + 1. Replaced as a whole when it grows. */
struct table {
    size_t len;
    _Atomic(uint32_t) cells[];
};

struct names {
    struct epoch *epoch;
    _Atomic(struct table *) table;
    _Atomic(uint32_t) count;
    struct name **chunks[CHUNKS]; /* a name is written before count says so */
    struct normalized key;
};

static struct table *table_new(size_t len)
{
    struct table *table = mirai_alloc(sizeof(*table) + len * sizeof(table->cells[0]));
    table->len = len;
    return table;
}

struct names *names_new(struct epoch *epoch)
{
    struct names *names = mirai_alloc(sizeof(*names));
    names->epoch = epoch;
    atomic_init(&names->table, table_new(256));
    return names;
}

void names_free(struct names *names)
{
    if (names == NULL) {
        return;
    }
    uint32_t count = atomic_load(&names->count);
    for (uint32_t i = 0; i < count; i++) {
        free(names->chunks[i / CHUNK][i % CHUNK]);
    }
    for (uint32_t i = 0; i * CHUNK < count; i++) {
        free(names->chunks[i]);
    }
    free(atomic_load(&names->table));
    normalized_free(&names->key);
    free(names);
}

uint32_t names_count(const struct names *names)
{
    return atomic_load(&names->count);
}

static const struct name *name_at(const struct names *names, uint32_t number)
{
    return names->chunks[number / CHUNK][number % CHUNK];
}

struct mirai_str names_get(const struct names *names, uint32_t number)
{
    const struct name *name = name_at(names, number);
    return (struct mirai_str){name->bytes, name->name_len};
}

static struct mirai_str key_at(const struct names *names, uint32_t number)
{
    const struct name *name = name_at(names, number);
    return (struct mirai_str){name->bytes + name->name_len, name->key_len};
}

/* The cell of a key, or the empty one where the search for it ended. */
static _Atomic(uint32_t) *find_cell(const struct names *names, struct table *table, struct mirai_str key)
{
    uint64_t hash = 14695981039346656037u; /* FNV-1a */
    for (size_t i = 0; i < key.len; i++) {
        hash = (hash ^ (unsigned char)key.data[i]) * 1099511628211u;
    }
    for (size_t at = hash & (table->len - 1);; at = (at + 1) & (table->len - 1)) {
        uint32_t number = atomic_load(&table->cells[at]);
        if (number == 0 || mirai_str_eq(key_at(names, number - 1), key)) {
            return &table->cells[at];
        }
    }
}

uint32_t names_find(const struct names *names, struct mirai_str key)
{
    uint32_t number = atomic_load(find_cell(names, atomic_load(&names->table), key));
    return number != 0 ? number - 1 : NAMES_NONE;
}

static void grow(struct names *names, uint32_t count)
{
    struct table *old = atomic_load(&names->table);
    struct table *table = table_new(old->len * 2);
    for (uint32_t i = 0; i < count; i++) {
        atomic_store(find_cell(names, table, key_at(names, i)), i + 1);
    }
    atomic_store(&names->table, table);
    epoch_retire(names->epoch, old, free);
}

uint32_t names_add(struct names *names, struct mirai_str name)
{
    struct table *table = atomic_load(&names->table);
    uint32_t count = atomic_load(&names->count);
    normalize(&names->key, name, false);
    struct mirai_str key = mirai_buf_str(&names->key.text);
    _Atomic(uint32_t) *cell = find_cell(names, table, key);
    if (atomic_load(cell) != 0) {
        return atomic_load(cell) - 1;
    }
    if (count == NAMES_MAX) {
        return NAMES_NONE;
    }
    if (count % CHUNK == 0) {
        names->chunks[count / CHUNK] = mirai_alloc(CHUNK * sizeof(names->chunks[0][0]));
    }
    struct name *one = mirai_alloc(sizeof(*one) + name.len + key.len);
    one->name_len = name.len;
    one->key_len = key.len;
    memcpy(one->bytes, name.len != 0 ? name.data : "", name.len);
    memcpy(one->bytes + name.len, key.len != 0 ? key.data : "", key.len);
    names->chunks[count / CHUNK][count % CHUNK] = one;
    atomic_store(&names->count, count + 1);
    atomic_store(cell, count + 1);
    if ((size_t)(count + 1) * 2 > table->len) {
        grow(names, count + 1);
    }
    return count;
}
