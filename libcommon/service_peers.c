/* With whom a daemon talks: its clients, and what its sockets ask of the other end. */
#include "libcommon/service.h"

#include "libcommon/config.h"
#include "libcommon/rpc_peers.h"

#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>

/* ------------------------------------------------------------------ who they are */

static struct mirai_rpc_security security;
static const struct mirai_peer nobody[] = {{.name = NULL}};

int mirai_service_secure(const struct mirai_peer *peers, FILE *errors)
{
    struct mirai_peers *made =
        mirai_peers_new(peers != NULL ? peers : nobody, mirai_config_str(MIRAI_CONFIG_RPC_PEERS), errors);
    if (made == NULL) {
        return MIRAI_E_INVALID;
    }
    mirai_peers_free((struct mirai_peers *)security.peers);
    security = (struct mirai_rpc_security){
        .peers = made,
        .certificate = mirai_config_str(MIRAI_CONFIG_RPC_TLS_CERTIFICATE),
        .private_key = mirai_config_str(MIRAI_CONFIG_RPC_TLS_PRIVATE_KEY),
        .authority = mirai_config_str(MIRAI_CONFIG_RPC_TLS_CA),
    };
    return 0;
}

const struct mirai_rpc_security *mirai_service_security(void)
{
    return security.peers != NULL ? &security : NULL;
}

void mirai_service_seal(void)
{
    const struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

/* ------------------------------------------------------------------ clients */

struct mirai_rpc_client *mirai_service_client(uv_loop_t *loop, const char *service)
{
    static const struct {
        const char *service;
        enum mirai_config_key endpoints;
    } services[] = {
        {"knowledge-store", MIRAI_CONFIG_STORE_ENDPOINTS}, {"search-index", MIRAI_CONFIG_SEARCH_ENDPOINTS},
        {"backup", MIRAI_CONFIG_BACKUP_ENDPOINTS},         {"metrics", MIRAI_CONFIG_METRICS_ENDPOINTS},
        {"gateway", MIRAI_CONFIG_GATEWAY_ENDPOINTS},
    };
    struct mirai_rpc_client_options options = {
        .loop = loop,
        .service = service,
        .security = mirai_service_security(),
        .run_dir = mirai_config_str(MIRAI_CONFIG_RUN_DIR),
        .endpoints = "",
        .outstanding_max = mirai_config_size(MIRAI_CONFIG_RPC_OUTSTANDING_MAX),
        .deadline_ms = (uint64_t)mirai_config_int(MIRAI_CONFIG_RPC_DEADLINE_MS),
    };
    for (size_t i = 0; i < sizeof(services) / sizeof(services[0]); i++) {
        if (strcmp(services[i].service, service) == 0) {
            options.endpoints = mirai_config_str(services[i].endpoints);
        }
    }
    return mirai_rpc_client_new(&options);
}

struct mirai_subscriber *mirai_service_subscriber(uv_loop_t *loop, mirai_subscriber_cb callback, void *data)
{
    return mirai_subscriber_new(loop, "knowledge-store", mirai_config_str(MIRAI_CONFIG_RUN_DIR),
                                mirai_config_str(MIRAI_CONFIG_FEED_ENDPOINTS), mirai_service_security(),
                                callback, data);
}
