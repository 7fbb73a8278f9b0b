/* Rate limits: how much one account, or one address without an account, may ask for. */
#ifndef GATEWAY_THROTTLE_H
#define GATEWAY_THROTTLE_H

#include <stdbool.h>

struct exchange;
struct gateway_loop;
struct route;

/* What is counted together: for the account, once it is known, else for the address (IPv6: its /64). */
enum rate {
    RATE_READS,
    RATE_WRITES,
    RATE_SEARCHES,
    RATE_UPLOADS,
    RATE_LOGINS,          /* attempts, whatever becomes of them */
    RATE_ANONYMOUS,       /* other requests without credentials */
    RATE_PROBES,          /* of those who watch: they are not told to wait because of others */
    RATE_UNAUTHENTICATED, /* requests with credentials that nobody knows */
    RATE_COUNT,
};

/* Read the limits from the configuration. Once, before the loops start. 0 or MIRAI_E_NO_SPACE. */
int throttle_init(void);

/* Exchange with the other gateways, on this loop, what is taken, where sessions are kept in Redis. */
void throttle_share(struct gateway_loop *loop);

/* The class of a route. */
enum rate throttle_rate_of(const struct route *route);

/* Count the request for its account, once it is known. False: it was answered with 429. */
bool throttle_account(struct exchange *exchange);
/* Count the request for its address. False: it was answered with 429. */
bool throttle_address(struct exchange *exchange, enum rate rate);
/* Count nothing, but answer 429 when the address has nothing left. False: it was answered. */
bool throttle_address_left(struct exchange *exchange, enum rate rate);

#endif
