#include "services/gateway/proxies.h"

#include "libcommon/error.h"
#include "services/gateway/headers.h"

static bool in_network(const struct address *address, const struct address *network, unsigned bits)
{
    unsigned whole = bits / 8, rest = bits % 8;
    unsigned char mask = (unsigned char)(0xff00u >> rest);
    return memcmp(address->bytes, network->bytes, whole) == 0 &&
           (rest == 0 || ((address->bytes[whole] ^ network->bytes[whole]) & mask) == 0);
}

static bool has_bits_past(const struct address *network, unsigned bits)
{
    for (unsigned bit = bits; bit < 128; bit++) {
        if ((network->bytes[bit / 8] >> (7 - bit % 8) & 1) != 0) {
            return true;
        }
    }
    return false;
}

static bool parse_network(struct mirai_str text, struct address *network, unsigned *bits)
{
    const char *slash = text.len > 0 ? memchr(text.data, '/', text.len) : NULL;
    struct mirai_str address =
        slash != NULL ? (struct mirai_str){text.data, (size_t)(slash - text.data)} : text;
    int64_t prefix;
    if (!address_parse(address, network)) {
        return false;
    }
    int64_t longest = address_is_v4(network) && memchr(address.data, ':', address.len) == NULL ? 32 : 128;
    prefix = longest;
    if (slash != NULL && mirai_parse_int((struct mirai_str){slash + 1, text.len - address.len - 1}, 0,
                                         longest, &prefix) != 0) {
        return false;
    }
    *bits = (unsigned)(prefix + 128 - longest);
    return !has_bits_past(network, *bits);
}

int proxies_parse(struct mirai_str text, struct proxies *proxies, struct mirai_str *fault)
{
    proxies->count = 0;
    while (header_next(&text, ',', fault)) {
        if (fault->len == 0) {
            continue;
        }
        if (proxies->count == PROXIES_MAX || !parse_network(*fault, &proxies->list[proxies->count].network,
                                                            &proxies->list[proxies->count].bits)) {
            return MIRAI_E_INVALID;
        }
        proxies->count++;
    }
    return 0;
}

bool proxies_trust(const struct proxies *proxies, const struct address *address)
{
    for (size_t i = 0; i < proxies->count; i++) {
        if (in_network(address, &proxies->list[i].network, proxies->list[i].bits)) {
            return true;
        }
    }
    return false;
}

/* One member: an address, where some proxies add a port: 192.0.2.1:4711, [2001:db8::1]:4711, [2001:db8::1]. */
static bool parse_member(struct mirai_str member, struct address *address)
{
    if (member.len > 0 && member.data[0] == '[') {
        const char *end = memchr(member.data, ']', member.len);
        return end != NULL &&
               address_parse((struct mirai_str){member.data + 1, (size_t)(end - member.data - 1)}, address);
    }
    const char *dot = member.len > 0 ? memchr(member.data, '.', member.len) : NULL;
    const char *colon = dot != NULL ? memchr(dot, ':', member.len - (size_t)(dot - member.data)) : NULL;
    if (colon != NULL) {
        member.len = (size_t)(colon - member.data);
    }
    return address_parse(member, address);
}

/* Take the last member of a comma-separated list from *rest; false when there is none left. */
static bool last_member(struct mirai_str *rest, struct mirai_str *member)
{
    if (rest->data == NULL) {
        return false;
    }
    const char *comma = rest->len > 0 ? memrchr(rest->data, ',', rest->len) : NULL;
    size_t start = comma != NULL ? (size_t)(comma - rest->data) + 1 : 0;
    *member = header_trim((struct mirai_str){rest->data + start, rest->len - start});
    *rest = comma != NULL ? (struct mirai_str){rest->data, start - 1} : (struct mirai_str){0};
    return true;
}

struct address proxies_client(const struct proxies *proxies, const struct address *peer,
                              struct mirai_str forwarded_for)
{
    struct address client = *peer;
    struct mirai_str member;
    size_t hops = 0;
    if (forwarded_for.len == 0) {
        return *peer;
    }
    while (proxies_trust(proxies, &client) && last_member(&forwarded_for, &member)) {
        if (++hops > PROXIES_HOPS_MAX || !parse_member(member, &client)) {
            return *peer;
        }
    }
    return client;
}
