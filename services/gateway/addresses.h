/* How many connections each client address has open, and which have lately been ended for floods. Any thread. */
#ifndef GATEWAY_ADDRESSES_H
#define GATEWAY_ADDRESSES_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

struct addresses;

/* connections_max: open at once from one address; an IPv6 network of /64 counts as one. */
struct addresses *addresses_new(int connections_max);
void addresses_free(struct addresses *addresses);

/* A new connection from `peer`: the place that counts it, to be given back by addresses_leave(); -1: the address has
 * too many, or has flooded and comes back too fast. */
int addresses_enter(struct addresses *addresses, const struct sockaddr *peer, uint64_t now_ms);
void addresses_leave(struct addresses *addresses, int place);

/* A connection counted at `place` had to be ended for a flood. */
void addresses_flooded(struct addresses *addresses, int place, uint64_t now_ms);

#endif
