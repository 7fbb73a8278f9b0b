/* Keys of TLS session tickets (RFC 5077, RFC 8446 §4.6.1): one set for all loops of the process, changed by the clock.
 * They live in this process's memory only: with several gateways, or after a restart, a client shakes hands anew. */
#ifndef GATEWAY_TICKETS_H
#define GATEWAY_TICKETS_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>

struct tickets;

/* A key encrypts for `seconds`, and decrypts for as long again, so that no ticket outlives 2 × seconds; then it is
 * wiped. */
struct tickets *tickets_new(uint64_t seconds, uint64_t now_ms);
void tickets_free(struct tickets *tickets);

/* Change the key if it is due. Any thread, as often as you like. */
void tickets_rotate(struct tickets *tickets, uint64_t now_ms);
/* No ticket made before is taken any more. Any thread. */
void tickets_forget(struct tickets *tickets);

/* Connections of `context` use these; it must not outlive them. */
bool tickets_use(struct tickets *tickets, SSL_CTX *context);

#endif
