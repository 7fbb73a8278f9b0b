/* The counts of attempts.h where gateways have a Redis in common: there, so that all of them together give an attacker no
 * more than one does. */
#ifndef GATEWAY_SHARED_ATTEMPTS_H
#define GATEWAY_SHARED_ATTEMPTS_H

#include "services/gateway/identity/attempts.h"
#include "services/gateway/identity/redis.h"

/* Keys in Redis, after "mirai:" and the installation's name: `failures:1:ID` of a name from an address, `failures:2:ID` of an
 * address, `failures:3:ID` of a name: hashes of failures, changed and due (ms, Redis' clock) and told; `known:ID`: a name has
 * logged in from an address. ID is a keyed hash. Each expires once it says nothing any more. */

#define SHARED_ATTEMPT_KEYS     4
#define SHARED_ATTEMPT_KEY_SIZE 128

/* A login that is being tried: what its counts are called. */
struct shared_attempt {
    uint64_t due_ms; /* as struct attempt's; Redis' clock */
    char keys[SHARED_ATTEMPT_KEYS][SHARED_ATTEMPT_KEY_SIZE];
};

/* After attempts_init() and held_init(). Once, before the loops. */
void shared_attempts_init(void);
/* Name it: the same in all gateways that share MIRAI_SESSION_KEY and prefix. */
void shared_attempts_name(struct shared_attempt *attempt, struct mirai_str name,
                          const struct address *client);

/* Ask, and count it as failed if it need not wait; the answer is for shared_attempts_read(). One round trip. */
struct redis_command *shared_attempts_begin(struct redis *redis, const struct shared_attempt *attempt,
                                            redis_cb callback, void *data);
/* What became of it. Nobody waits for the answer: when it does not arrive the attempt stays a failure. */
void shared_attempts_end(struct redis *redis, const struct shared_attempt *attempt,
                         enum attempt_outcome outcome);

/* 0, or MIRAI_E_INVALID: that is no answer of ours. */
int shared_attempts_read(const struct redisReply *reply, struct attempt_wait *wait, uint64_t *due_ms);

#endif
