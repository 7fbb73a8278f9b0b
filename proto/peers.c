#include "proto/peers.h"

const struct mirai_peer mirai_peer_table[] = {
    /* Speaks for whoever it has authenticated; for itself only where identity is decided. */
    {.name = "gateway",
     .user = "mirai-gateway",
     .as_user = "*",
     .as_system =
         "auth.place auth.directory auth.held directory.* audit.append service.health service.status"},
    /* Reads everything in order to index it; what a search may show is checked against the asking user. */
    {.name = "search-index",
     .user = "mirai-search",
     .as_system =
         "changes.since article.export attachment.read synonyms.list dictionary.list asked.append asked.list "
         "signal.list service.health"},
    {.name = "backup",
     .user = "mirai-backup",
     .as_system = "snapshot.* attachment.read audit.heads service.health"},
    {.name = "metrics",
     .user = "mirai-metrics",
     .as_system = "service.metrics service.health service.status"},
    /* Calls no one: here for its name. */
    {.name = "knowledge-store", .user = "mirai-store"},
    /* miraictl on another host. On the same host it is root, or a member of mirai-operator. */
    {.name = "operator", .as_user = "*", .as_system = "*"},
    {.name = NULL},
};
