/* Trusted proxies: whose word counts on where a request came from. */
#ifndef GATEWAY_PROXIES_H
#define GATEWAY_PROXIES_H

#include "services/gateway/address.h"

#define PROXIES_MAX      64 /* networks in a list */
#define PROXIES_HOPS_MAX 16 /* members of X-Forwarded-For that are looked at, from the right */

/* Networks. */
struct proxies {
    size_t count;
    struct {
        struct address network;
        unsigned bits; /* of the 128; an IPv4 network's are 96 more than written */
    } list[PROXIES_MAX];
};

/* Addresses and CIDR blocks, comma-separated: "10.0.0.5, 192.168.7.0/24, fd00::/8". 0; MIRAI_E_INVALID with the member
 * at fault in *fault (of `text`), when it is none, has bits set past its prefix, or is one too many. */
int proxies_parse(struct mirai_str text, struct proxies *proxies, struct mirai_str *fault);

bool proxies_trust(const struct proxies *proxies, const struct address *address);

/* Where a request came from that arrived from `peer` with this X-Forwarded-For (all its lines joined, empty when there
 * is none): from a peer that is not trusted, the peer; else the rightmost address that is not a trusted proxy's, because
 * each proxy adds at the right whom it has seen, and what stands further left anyone can have written. The peer, too,
 * where a member on the way is no address or there are more than PROXIES_HOPS_MAX. */
struct address proxies_client(const struct proxies *proxies, const struct address *peer,
                              struct mirai_str forwarded_for);

#endif
