#include "services/gateway/identity/redis_url.h"

#include "libcommon/error.h"

#include <sodium.h>

#define PORT_DEFAULT  6379
#define PATH_MAX_UNIX 107 /* unix(7) */
#define DB_MAX        1023

static bool take_prefix(struct mirai_str *rest, const char *prefix)
{
    size_t len = strlen(prefix);
    if (rest->len < len || memcmp(rest->data, prefix, len) != 0) {
        return false;
    }
    rest->data += len;
    rest->len -= len;
    return true;
}

/* What stands before the first (or last) `c`, and what after it; false when there is none. */
static bool split(struct mirai_str text, char c, bool last, struct mirai_str *before, struct mirai_str *after)
{
    const char *at = text.len == 0 ? NULL
                     : last        ? memrchr(text.data, c, text.len)
                                   : memchr(text.data, c, text.len);
    if (at == NULL) {
        return false;
    }
    *before = (struct mirai_str){text.data, (size_t)(at - text.data)};
    *after = (struct mirai_str){at + 1, text.len - before->len - 1};
    return true;
}

/* Percent-decoded and zero-terminated. */
static bool copy(struct mirai_str text, bool encoded, char *out, size_t size)
{
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++, len++) {
        char c = text.data[i];
        if (encoded && c == '%') {
            if (text.len - i < 3 || mirai_unhex(&c, 1, (struct mirai_str){text.data + i + 1, 2}) != 0) {
                return false;
            }
            i += 2;
        }
        if (len + 1 >= size || c == '\0') {
            return false;
        }
        out[len] = c;
    }
    out[len] = '\0';
    return true;
}

static bool parse_credentials(struct mirai_str text, struct redis_url *url)
{
    struct mirai_str user, password;
    return split(text, ':', false, &user, &password) && password.len > 0 &&
           copy(user, true, url->user, sizeof(url->user)) &&
           copy(password, true, url->password, sizeof(url->password));
}

static bool parse_number(struct mirai_str text, int64_t min, int64_t max, int *out)
{
    int64_t number;
    if (mirai_parse_int(text, min, max, &number) != 0) {
        return false;
    }
    *out = (int)number;
    return true;
}

static bool parse_host(struct mirai_str text, struct redis_url *url)
{
    struct mirai_str host = text, port;
    url->port = PORT_DEFAULT;
    if (text.len > 0 && text.data[0] == '[') {
        if (!split(text, ']', true, &host, &port) || host.len < 2) {
            return false;
        }
        host = (struct mirai_str){host.data + 1, host.len - 1};
        if (port.len > 0 &&
            (port.data[0] != ':' ||
             !parse_number((struct mirai_str){port.data + 1, port.len - 1}, 1, 65535, &url->port))) {
            return false;
        }
    } else if (split(text, ':', false, &host, &port) && !parse_number(port, 1, 65535, &url->port)) {
        return false;
    }
    return host.len > 0 && copy(host, false, url->host, sizeof(url->host));
}

static bool parse_network(struct mirai_str rest, struct redis_url *url)
{
    struct mirai_str host = rest, db = {0};
    if (split(rest, '/', false, &host, &db) && db.len > 0 && !parse_number(db, 0, DB_MAX, &url->db)) {
        return false;
    }
    return parse_host(host, url);
}

static bool parse_path(struct mirai_str rest, struct redis_url *url)
{
    struct mirai_str path = rest, db;
    if (split(rest, '?', false, &path, &db) &&
        (!take_prefix(&db, "db=") || !parse_number(db, 0, DB_MAX, &url->db))) {
        return false;
    }
    return path.len > 1 && path.len <= PATH_MAX_UNIX && path.data[0] == '/' &&
           copy(path, false, url->host, sizeof(url->host));
}

int redis_url_parse(struct mirai_str text, struct redis_url *out)
{
    struct mirai_str rest = text, credentials;
    *out = (struct redis_url){.port = 0};
    bool is_path = take_prefix(&rest, "unix://");
    out->tls = !is_path && take_prefix(&rest, "rediss://");
    bool good = is_path || out->tls || take_prefix(&rest, "redis://");
    if (good && split(rest, '@', true, &credentials, &rest)) {
        good = parse_credentials(credentials, out);
    }
    good = good && (is_path ? parse_path(rest, out) : parse_network(rest, out));
    if (!good) {
        sodium_memzero(out, sizeof(*out));
    }
    return good ? 0 : MIRAI_E_INVALID;
}
