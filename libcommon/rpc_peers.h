/* Who may call what between daemons: the UNIX user or the certificate of a connection, and its rights. */
#ifndef MIRAI_RPC_PEERS_H
#define MIRAI_RPC_PEERS_H

#include "libcommon/str.h"

#include <stdio.h>
#include <sys/types.h>

/* One row of the table of rights. Lists name methods, separated by spaces: "article.get", "service.*" or "*". */
struct mirai_peer {
    const char *name;      /* "gateway": its name in MIRAI_RPC_PEERS and the CN of its certificate */
    const char *user;      /* UNIX user that it runs as where MIRAI_RPC_PEERS does not say; NULL: none */
    const char *as_user;   /* what it may call for any user, or for no one; NULL: nothing */
    const char *as_system; /* what it may call as the system (a user id below 0); NULL: nothing */
};

#define MIRAI_PEERS_MAX     31         /* rows of a table: one bit of a set each */
#define MIRAI_PEERS_TRUSTED UINT32_MAX /* the set of who may call everything */
#define MIRAI_PEERS_NONE    0u

/* UNIX group whose members count as the operator of this host, as root does. */
#define MIRAI_OPERATOR_GROUP "mirai-operator"

struct mirai_peers;

/* The table (ends with {NULL}; lives as long as the result) with the users that exist on this host.
 * `configured`: MIRAI_RPC_PEERS, "NAME=USER,…", or "". Asks the user database: before the loop runs. NULL with
 * the reason written to `errors` when a configured name or user does not exist. */
struct mirai_peers *mirai_peers_new(const struct mirai_peer *table, const char *configured, FILE *errors);
void mirai_peers_free(struct mirai_peers *peers);

/* Sets of peers: bit N stands for row N; what follows only reads `peers` and is free to run on any thread.
 *
 * Trusted with everything: this process's own user, root, and the operator group. In a user namespace where the
 * other side's user has no number (user_namespaces(7)) nobody is known. */
uint32_t mirai_peers_of_uid(const struct mirai_peers *peers, uid_t uid);
/* The same of who is connected to a UNIX socket (SO_PEERCRED, unix(7)). *uid: for the log; -1 when unknown. */
uint32_t mirai_peers_of_socket(const struct mirai_peers *peers, int fd, int64_t *uid);
/* The row of that name. Nobody is trusted with everything by a name. */
uint32_t mirai_peers_of_name(const struct mirai_peers *peers, struct mirai_str name);

/* Who may call the method, for users or as the system. Always holds the bit that only the trusted have. */
uint32_t mirai_peers_allowed(const struct mirai_peers *peers, const char *method, bool as_system);

/* Whether the user may be the daemon `service`: it is that peer's user, our own, or root. */
bool mirai_peers_is(const struct mirai_peers *peers, struct mirai_str service, uid_t uid);
/* Whether the process that listens on the UNIX socket may be the daemon `service`. *uid as above. */
bool mirai_peers_expects(const struct mirai_peers *peers, const char *service, int fd, int64_t *uid);

#endif
