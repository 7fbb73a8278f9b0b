/* A bounded table of token buckets that all loops share without locks. */
#ifndef GATEWAY_BUCKETS_H
#define GATEWAY_BUCKETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A bucket is one number: the time at which it will be full again (the generic cell rate algorithm, ITU-T I.371). One
 * that is full needs no place. Where all places of a set are in use, a newcomer takes over the fullest bucket with what
 * is missing in it (after Metwally et al. 2005, "space-saving"): what was used up is handed on, never forgotten, so
 * filling the table with other names makes no bucket full again before its time. */
struct buckets;

/* How fast a bucket fills, and how much it holds. */
struct bucket_limit {
    uint64_t interval_ns; /* one request comes back in this time; 0: no limit */
    uint64_t window_ns;   /* an empty bucket is full again after this time */
};

struct bucket_state {
    bool taken;         /* the request may go on */
    uint64_t remaining; /* requests left */
    uint64_t wait_ns;   /* until the next one is allowed; 0: now */
};

/* What was taken from a bucket, as the time in which it comes back. */
struct bucket_use {
    uint64_t key;
    uint64_t taken_ns;
};

/* sets: a power of two; each has BUCKETS_WAYS places of 16 bytes, or 24 when it is shared: then buckets_used() tells what
 * others have to know. NULL when there is no memory. */
#define BUCKETS_WAYS 8
struct buckets *buckets_new(size_t sets, bool shared);
void buckets_free(struct buckets *buckets);

/* Take one request from the bucket `key` (not 0; should look random in its upper half). Any thread. */
struct bucket_state buckets_take(struct buckets *buckets, uint64_t key, const struct bucket_limit *limit,
                                 uint64_t now_ns);
/* The buckets of which most was taken since they were told of last, at most `most` of them, in no order; the others are
 * told of later. Of a shared table. One thread at a time. */
size_t buckets_used(struct buckets *buckets, struct bucket_use *uses, size_t most);
/* Others have taken from it, too: it is not full before full_ns. Nothing where it has no place any more. Any thread. */
void buckets_raise(struct buckets *buckets, uint64_t key, uint64_t full_ns);

/* Look without taking; taken says what buckets_take would. */
struct bucket_state buckets_look(struct buckets *buckets, uint64_t key, const struct bucket_limit *limit,
                                 uint64_t now_ns);

#endif
