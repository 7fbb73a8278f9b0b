/* The table of rights between daemons. */
#ifndef MIRAI_PROTO_PEERS_H
#define MIRAI_PROTO_PEERS_H

#include "libcommon/rpc_peers.h"

/* Ends with {NULL}. A right names what the caller needs for its work and nothing else; what a user may do is
 * checked after it, by the method's role (methods.def.h). */
extern const struct mirai_peer mirai_peer_table[];

#endif
