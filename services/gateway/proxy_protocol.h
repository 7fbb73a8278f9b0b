/* The PROXY protocol, versions 1 and 2 (haproxy, doc/proxy-protocol.txt): a proxy that passes bytes on says before them
 * whose they are. */
#ifndef GATEWAY_PROXY_PROTOCOL_H
#define GATEWAY_PROXY_PROTOCOL_H

#include "services/gateway/address.h"

/* Longest header that is taken: what the specification's §2.2 asks of receivers. */
#define PROXY_PROTOCOL_MAX 536

/* Read the header at the beginning of `bytes`. Its length, with the client's address in *client (unknown where the
 * proxy speaks for itself: LOCAL, UNKNOWN, AF_UNSPEC, AF_UNIX); 0: more bytes are needed, all of those given belong to
 * it; MIRAI_E_INVALID: this is none, or one that is too long. */
int proxy_protocol_read(struct mirai_str bytes, struct address *client);

#endif
