#include "services/gateway/target.h"

#include "libcommon/error.h"

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* Decode percent escapes (and "+" in a query) into *scratch, which moves on; text without any stays where it
 * is. */
static int decode(struct mirai_str raw, bool query, char **scratch, struct mirai_str *out)
{
    bool encoded = false;
    for (size_t i = 0; i < raw.len && !encoded; i++) {
        encoded = raw.data[i] == '%' || (query && raw.data[i] == '+');
    }
    *out = raw;
    if (encoded) {
        char *start = *scratch, *at = start;
        for (size_t i = 0; i < raw.len; i++) {
            char c = raw.data[i];
            if (c == '%') {
                int high = i + 2 < raw.len ? hex_digit(raw.data[i + 1]) : -1;
                int low = high >= 0 ? hex_digit(raw.data[i + 2]) : -1;
                if (low < 0) {
                    return MIRAI_E_INVALID;
                }
                c = (char)(high << 4 | low);
                i += 2;
                if (c == '/' && !query) {
                    return MIRAI_E_INVALID; /* one path with two readings */
                }
            } else if (c == '+' && query) {
                c = ' ';
            }
            *at++ = c;
        }
        *out = (struct mirai_str){start, (size_t)(at - start)};
        *scratch = at;
    }
    bool ok = (out->len == 0 || memchr(out->data, '\0', out->len) == NULL) && mirai_utf8_valid(*out);
    return ok ? 0 : MIRAI_E_INVALID;
}

/* Take what stands before `separator` from *rest. */
static struct mirai_str take(struct mirai_str *rest, char separator)
{
    const char *end = rest->len > 0 ? memchr(rest->data, separator, rest->len) : NULL;
    struct mirai_str first = {rest->data, end != NULL ? (size_t)(end - rest->data) : rest->len};
    size_t taken = end != NULL ? first.len + 1 : first.len;
    rest->data += taken;
    rest->len -= taken;
    return first;
}

static bool is_dots(struct mirai_str s)
{
    return mirai_str_eq(s, MIRAI_STR(".")) || mirai_str_eq(s, MIRAI_STR(".."));
}

static int parse_path(struct target *target, char **scratch)
{
    struct mirai_str rest = {target->path.data + 1, target->path.len - 1};
    bool unknown = false;
    while (rest.len > 0) {
        bool last = memchr(rest.data, '/', rest.len) == NULL;
        struct mirai_str segment, raw = take(&rest, '/');
        if (decode(raw, false, scratch, &segment) != 0) {
            return MIRAI_E_INVALID;
        }
        unknown = unknown || segment.len == 0 || is_dots(segment) || (!last && rest.len == 0) ||
                  target->segments_count == TARGET_SEGMENTS_MAX;
        if (!unknown) {
            target->segments[target->segments_count++] = segment;
        }
    }
    return unknown ? MIRAI_E_NOT_FOUND : 0;
}

static int parse_query(struct target *target, char **scratch)
{
    struct mirai_str rest = target->query;
    while (rest.len > 0) {
        struct mirai_str value = take(&rest, '&');
        struct mirai_str name = take(&value, '=');
        if (name.len == 0 && value.len == 0) {
            continue;
        }
        if (target->pairs == NULL || target->pairs_count == TARGET_QUERY_MAX) {
            return MIRAI_E_INVALID;
        }
        struct target_pair *pair = &target->pairs[target->pairs_count++];
        if (decode(name, true, scratch, &pair->name) != 0 ||
            decode(value, true, scratch, &pair->value) != 0) {
            return MIRAI_E_INVALID;
        }
    }
    return 0;
}

/* The path of the absolute form "https://host/path", which every server must take (RFC 9112 §3.2.2). */
static struct mirai_str skip_authority(struct mirai_str raw)
{
    static const struct mirai_str schemes[] = {{"https://", 8}, {"http://", 7}};
    for (size_t i = 0; i < 2; i++) {
        size_t len = schemes[i].len;
        if (raw.len > len && memcmp(raw.data, schemes[i].data, len) == 0) {
            struct mirai_str rest = {raw.data + len, raw.len - len};
            const char *slash = memchr(rest.data, '/', rest.len);
            return slash != NULL ? (struct mirai_str){slash, rest.len - (size_t)(slash - rest.data)}
                                 : MIRAI_STR("/");
        }
    }
    return raw;
}

int target_parse(struct mirai_str raw, char *scratch, struct target *target)
{
    target->segments_count = 0;
    target->pairs_count = 0;
    target->asterisk = mirai_str_eq(raw, MIRAI_STR("*"));
    target->path = MIRAI_STR("/");
    target->query = (struct mirai_str){0};
    if (target->asterisk) {
        return 0;
    }
    raw = skip_authority(raw);
    if (raw.len == 0 || raw.len > TARGET_BYTES_MAX || raw.data[0] != '/') {
        return MIRAI_E_INVALID;
    }
    target->query = raw;
    target->path = take(&target->query, '?');
    /* A fragment is never sent; who sends one anyway gets what the path before it names. */
    int err = parse_path(target, &scratch);
    int query_err = parse_query(target, &scratch);
    return err == MIRAI_E_INVALID || query_err == 0 ? err : query_err;
}

void target_escape(struct mirai_buf *buf, struct mirai_str s)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.data[i];
        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
            c == '.' || c == '_' || c == '~') {
            mirai_buf_append_char(buf, (char)c);
        } else {
            mirai_buf_printf(buf, "%%%02X", c);
        }
    }
}
