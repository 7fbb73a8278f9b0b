/* Whether the store of this host vouches, by its stamps in shared memory, for what a loop has kept of its answers. */
#include "libcommon/config.h"
#include "libcommon/stamps.h"
#include "services/gateway/gateway.h"

#include <stdio.h>

/* Map what the store of this host publishes; not more often than a lease lasts. A store at an endpoint of the
 * configuration, or one of several, publishes nothing that could be used here. */
static void open_stamps(struct gateway_loop *loop, uint64_t now_ms)
{
    struct mirai_rpc_instance_info store;
    char path[PATH_MAX];
    if (now_ms < loop->stamps_due_ms) {
        return;
    }
    loop->stamps_due_ms = now_ms + MIRAI_STAMPS_LEASE_MS;
    mirai_stamps_close(loop->stamps);
    loop->stamps = NULL;
    if (mirai_config_str(MIRAI_CONFIG_STORE_ENDPOINTS)[0] == '\0' &&
        mirai_rpc_client_instances(loop->clients[UPSTREAM_STORE], &store, 1) == 1) {
        snprintf(path, sizeof(path), "%s/knowledge-store@%s.stamps", mirai_config_str(MIRAI_CONFIG_RUN_DIR),
                 store.name);
        loop->stamps = mirai_stamps_open(path);
    }
}

bool vouch_usable(struct gateway_loop *loop, uint64_t now_ms)
{
    struct mirai_rpc_client *store = loop->clients[UPSTREAM_STORE];
    if (!mirai_rpc_client_connected(store) || mirai_rpc_client_instances(store, NULL, 0) != 1) {
        return false;
    }
    if (loop->stamps == NULL || !mirai_stamps_alive(loop->stamps, now_ms)) {
        open_stamps(loop, now_ms);
    }
    return loop->stamps != NULL && mirai_stamps_alive(loop->stamps, now_ms);
}
