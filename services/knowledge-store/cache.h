/* Encoded articles in memory, so that reading one by id needs no thread but the loop's.
 *
 * Coherent: a write drops what it touched before its reply leaves, and what a reader brings is dropped when a
 * write to it was made known since the read was sent off (the ticket). Loop thread only. */
#ifndef STORE_CACHE_H
#define STORE_CACHE_H

#include "libcommon/str.h"
#include "services/knowledge-store/access.h"

struct cache;

/* At most `max_bytes` in all; 0: never keeps anything. */
struct cache *cache_new(size_t max_bytes);
void cache_free(struct cache *cache);

/* The encoded article and what decides who may see it; false when it is not there. The bytes are lent until
 * the next call that changes the cache. */
bool cache_find(struct cache *cache, int64_t id, struct mirai_str *encoded, struct access_fields *fields);

/* Take a ticket before a read is sent to a reader … */
uint64_t cache_ticket(const struct cache *cache);
/* … and bring its result with it. The bytes are copied. */
void cache_fill(struct cache *cache, uint64_t ticket, int64_t id, struct mirai_str encoded,
                const struct access_fields *fields);

void cache_drop(struct cache *cache, int64_t id);
void cache_drop_all(struct cache *cache);

size_t cache_bytes(const struct cache *cache);

#endif
