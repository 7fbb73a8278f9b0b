#include "services/gateway/address.h"

#include <arpa/inet.h>

static const unsigned char mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

bool address_known(const struct address *address)
{
    static const struct address unknown;
    return !address_eq(address, &unknown);
}

bool address_is_v4(const struct address *address)
{
    return memcmp(address->bytes, mapped, sizeof(mapped)) == 0;
}

bool address_eq(const struct address *a, const struct address *b)
{
    return memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

struct address address_of_v4(const unsigned char bytes[4])
{
    struct address address;
    memcpy(address.bytes, mapped, sizeof(mapped));
    memcpy(address.bytes + sizeof(mapped), bytes, 4);
    return address;
}

struct address address_of_v6(const unsigned char bytes[16])
{
    struct address address;
    memcpy(address.bytes, bytes, sizeof(address.bytes));
    return address;
}

struct address address_of_socket(const struct sockaddr *socket)
{
    switch (socket->sa_family) {
    case AF_INET:
        return address_of_v4((const unsigned char *)&((const struct sockaddr_in *)socket)->sin_addr);
    case AF_INET6:
        return address_of_v6(((const struct sockaddr_in6 *)socket)->sin6_addr.s6_addr);
    default:
        return (struct address){{0}};
    }
}

bool address_parse(struct mirai_str text, struct address *address)
{
    char terminated[ADDRESS_TEXT_MAX];
    unsigned char bytes[16];
    if (text.len == 0 || text.len >= sizeof(terminated) || memchr(text.data, '\0', text.len) != NULL) {
        return false;
    }
    memcpy(terminated, text.data, text.len);
    terminated[text.len] = '\0';
    if (inet_pton(AF_INET, terminated, bytes) == 1) {
        *address = address_of_v4(bytes);
        return true;
    }
    if (inet_pton(AF_INET6, terminated, bytes) == 1) {
        *address = address_of_v6(bytes);
        return true;
    }
    return false;
}

void address_print(const struct address *address, char text[ADDRESS_TEXT_MAX])
{
    bool is_v4 = address_is_v4(address);
    text[0] = '\0';
    if (address_known(address)) {
        inet_ntop(is_v4 ? AF_INET : AF_INET6, is_v4 ? address->bytes + sizeof(mapped) : address->bytes, text,
                  ADDRESS_TEXT_MAX);
    }
}

socklen_t address_to_socket(const struct address *address, struct sockaddr_storage *socket)
{
    memset(socket, 0, sizeof(*socket));
    if (address_is_v4(address)) {
        struct sockaddr_in *v4 = (struct sockaddr_in *)socket;
        v4->sin_family = AF_INET;
        memcpy(&v4->sin_addr, address->bytes + sizeof(mapped), 4);
        return sizeof(*v4);
    }
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)socket;
    v6->sin6_family = AF_INET6;
    memcpy(v6->sin6_addr.s6_addr, address->bytes, sizeof(address->bytes));
    return sizeof(*v6);
}

struct address address_client(const struct address *address)
{
    struct address client = *address;
    if (!address_is_v4(address)) {
        memset(client.bytes + 8, 0, 8);
    }
    return client;
}
