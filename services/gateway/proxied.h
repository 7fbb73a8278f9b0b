/* The beginning of a connection from a proxy: reads exactly the PROXY header, and nothing of what follows it. */
#ifndef GATEWAY_PROXIED_H
#define GATEWAY_PROXIED_H

#include "services/gateway/address.h"

#include <uv.h>

struct proxied;

/* Called once, on the loop, not before proxied_read has returned. client: whose connection it is, unknown when the
 * proxy speaks for itself; NULL: the connection must be closed. Nothing reads from the connection any more. */
typedef void (*proxied_cb)(void *data, const struct address *client);

/* Read from `tcp`, whose data is taken meanwhile. Free it in or after the callback, or when `tcp` has been closed. */
struct proxied *proxied_read(uv_tcp_t *tcp, proxied_cb callback, void *data);
void proxied_free(struct proxied *proxied);

#endif
