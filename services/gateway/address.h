/* Addresses of clients: IPv4 and IPv6 in one form. */
#ifndef GATEWAY_ADDRESS_H
#define GATEWAY_ADDRESS_H

#include "libcommon/str.h"

#include <netinet/in.h>
#include <sys/socket.h>

/* 16 bytes in network order; IPv4 as ::ffff:a.b.c.d (RFC 4291 §2.5.5.2), so that a client is the same one however its
 * connection came in. All zero: unknown. */
struct address {
    unsigned char bytes[16];
};

#define ADDRESS_TEXT_MAX 46 /* with its NUL */

bool address_known(const struct address *address);
bool address_is_v4(const struct address *address);
bool address_eq(const struct address *a, const struct address *b);

/* Of a socket; unknown for other families. */
struct address address_of_socket(const struct sockaddr *socket);
struct address address_of_v4(const unsigned char bytes[4]);
struct address address_of_v6(const unsigned char bytes[16]);

/* Text as inet_ntop writes it (IPv4 dotted, IPv6 without brackets or zone); false when it is no address. */
bool address_parse(struct mirai_str text, struct address *address);
/* Back; "" for an unknown one. */
void address_print(const struct address *address, char text[ADDRESS_TEXT_MAX]);

/* As a socket address, port 0. Returns its length. */
socklen_t address_to_socket(const struct address *address, struct sockaddr_storage *socket);

/* What counts as one client: an IPv4 address, or the /64 that one host or household has of IPv6 (RFC 6177). */
struct address address_client(const struct address *address);

#endif
