#include "services/gateway/proxy_protocol.h"

#include "libcommon/error.h"

#define V1_MAX     107 /* §2.1, with CR LF */
#define V2_FIXED   16  /* signature, version and command, family, length */
#define V2_LOCAL   0x20
#define V2_PROXY   0x21
#define V2_V4_SIZE 12
#define V2_V6_SIZE 36
#define V2_UNIX    216

static const struct mirai_str v1_start = {"PROXY ", 6};
static const struct mirai_str v2_start = {"\r\n\r\n\0\r\nQUIT\n", 12};

/* ------------------------------------------------------------------ version 1: a line */

/* Take what stands before the next space; the last word ends with the line. */
static struct mirai_str next_word(struct mirai_str *rest)
{
    const char *space = rest->len > 0 ? memchr(rest->data, ' ', rest->len) : NULL;
    size_t len = space != NULL ? (size_t)(space - rest->data) : rest->len;
    struct mirai_str word = {rest->data, len};
    rest->data += len + (space != NULL);
    rest->len -= len + (space != NULL);
    return word;
}

static bool is_port(struct mirai_str word)
{
    int64_t port;
    return mirai_parse_int(word, 0, 65535, &port) == 0 && (word.len == 1 || word.data[0] != '0') &&
           word.data[0] != '+' && word.data[0] != '-';
}

/* "TCP4 192.168.0.1 192.168.0.11 56324 443" */
static bool read_line(struct mirai_str line, struct address *client)
{
    struct address to;
    struct mirai_str family = next_word(&line);
    if (mirai_str_eq(family, MIRAI_STR("UNKNOWN"))) {
        return true; /* whatever else stands there is ignored */
    }
    bool is_v4 = mirai_str_eq(family, MIRAI_STR("TCP4"));
    struct mirai_str source = next_word(&line), destination = next_word(&line);
    struct mirai_str port = next_word(&line);
    char colon = ':';
    return (is_v4 || mirai_str_eq(family, MIRAI_STR("TCP6"))) && address_parse(source, client) &&
           address_parse(destination, &to) && is_v4 == (memchr(source.data, colon, source.len) == NULL) &&
           is_v4 == (memchr(destination.data, colon, destination.len) == NULL) && is_port(port) &&
           is_port(line);
}

static int read_v1(struct mirai_str bytes, struct address *client)
{
    struct mirai_str start = {bytes.data, bytes.len < V1_MAX ? bytes.len : V1_MAX};
    const char *end = memchr(start.data, '\r', start.len);
    if (end == NULL) {
        return bytes.len < V1_MAX - 1 ? 0 : MIRAI_E_INVALID;
    }
    size_t len = (size_t)(end - start.data);
    if (len + 1 == start.len) {
        return len + 2 <= V1_MAX ? 0 : MIRAI_E_INVALID;
    }
    struct mirai_str line = {start.data + v1_start.len, len - v1_start.len};
    if (end[1] != '\n' || !read_line(line, client)) {
        return MIRAI_E_INVALID;
    }
    return (int)len + 2;
}

/* ------------------------------------------------------------------ version 2: bytes */

/* The addresses begin at `data`; what follows them are TLVs, of which none is needed. */
static bool read_addresses(unsigned char family, const unsigned char *data, size_t len,
                           struct address *client)
{
    switch (family) {
    case 0x00: /* AF_UNSPEC */
        return true;
    case 0x11: /* TCP over IPv4 */
        if (len >= V2_V4_SIZE) {
            *client = address_of_v4(data);
        }
        return len >= V2_V4_SIZE;
    case 0x21: /* TCP over IPv6 */
        if (len >= V2_V6_SIZE) {
            *client = address_of_v6(data);
        }
        return len >= V2_V6_SIZE;
    case 0x31: /* a UNIX stream */
        return len >= V2_UNIX;
    default: /* datagrams cannot have brought this connection */
        return false;
    }
}

static int read_v2(struct mirai_str bytes, struct address *client)
{
    const unsigned char *data = (const unsigned char *)bytes.data;
    if (bytes.len < V2_FIXED) {
        return 0;
    }
    size_t len = (size_t)(data[14] << 8 | data[15]);
    if ((data[12] != V2_LOCAL && data[12] != V2_PROXY) || V2_FIXED + len > PROXY_PROTOCOL_MAX) {
        return MIRAI_E_INVALID;
    }
    if (bytes.len < V2_FIXED + len) {
        return 0;
    }
    if (data[12] == V2_PROXY && !read_addresses(data[13], data + V2_FIXED, len, client)) {
        return MIRAI_E_INVALID;
    }
    return (int)(V2_FIXED + len);
}

/* ------------------------------------------------------------------ either */

static bool begins_like(struct mirai_str bytes, struct mirai_str start)
{
    size_t len = bytes.len < start.len ? bytes.len : start.len;
    return memcmp(bytes.data, start.data, len) == 0;
}

int proxy_protocol_read(struct mirai_str bytes, struct address *client)
{
    *client = (struct address){{0}};
    if (bytes.len == 0) {
        return 0;
    }
    bool is_v1 = begins_like(bytes, v1_start);
    if (!is_v1 && !begins_like(bytes, v2_start)) {
        return MIRAI_E_INVALID;
    }
    if (bytes.len < (is_v1 ? v1_start.len : v2_start.len)) {
        return 0;
    }
    return is_v1 ? read_v1(bytes, client) : read_v2(bytes, client);
}
