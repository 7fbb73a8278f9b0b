/* People who are logged in with a directory account are looked up again: who has left the directory loses access. */
#ifndef GATEWAY_RECHECK_H
#define GATEWAY_RECHECK_H

#include "services/gateway/identity/directory.h"

struct recheck;

/* On one loop of the gateway; other gateways share the work through the store, which hands out each account once. Asks
 * `store` and `directory`, which outlive it. */
struct recheck *recheck_new(uv_loop_t *loop, struct directory *directory, struct mirai_rpc_client *store,
                            uint64_t interval_ms);
/* NULL is fine. */
void recheck_free(struct recheck *recheck);

#endif
