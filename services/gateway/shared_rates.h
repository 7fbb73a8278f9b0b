/* Gateways that have a Redis in common share their rate limits: each counts by itself, and once a second tells what was
 * taken from which bucket and learns what is missing in it altogether. No request waits for that. */
#ifndef GATEWAY_SHARED_RATES_H
#define GATEWAY_SHARED_RATES_H

#include "services/gateway/buckets.h"
#include "services/gateway/identity/redis.h"

/* Keys in Redis, after "mirai:" and the installation's name: `rate:TABLE:BUCKET`, the time (µs, Redis' clock) at which the
 * bucket will be full again. It expires then. */

#define SHARED_RATES_MAX     512 /* buckets in one exchange; those of which less was taken come later */
#define SHARED_RATES_TABLES  2
#define SHARED_RATES_WINDOWS 4 /* more than so many are never missing in a bucket */

struct shared_rates;

struct shared_rates_options {
    uv_loop_t *loop;
    struct redis *redis; /* of that loop; outlives it, as the tables do */
    const char *prefix;
    struct buckets *tables[SHARED_RATES_TABLES]; /* shared ones */
    uint64_t window_ns;                          /* of all buckets */
};

/* Exchange from now on. Loop thread, as all of this. */
struct shared_rates *shared_rates_new(const struct shared_rates_options *options);
/* NULL is fine. */
void shared_rates_free(struct shared_rates *rates);

/* What is missing in each of `count` buckets: 0, or MIRAI_E_INVALID: that is no answer of ours. */
int shared_rates_read(const struct redisReply *reply, size_t count, uint64_t most_us, uint64_t *missing_us);

#endif
