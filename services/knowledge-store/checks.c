#include "services/knowledge-store/checks.h"

#include <ctype.h>

/* C0 and C1 controls, DEL, zero width and bidirectional controls, line separators, BOM (Unicode TR 36 §2.5).
 */
static bool invisible(uint32_t c)
{
    return c < 0x20 || (c >= 0x7F && c <= 0x9F) || (c >= 0x200B && c <= 0x200F) ||
           (c >= 0x2028 && c <= 0x202E) || (c >= 0x2060 && c <= 0x206F) || c == 0xFEFF;
}

/* ASCII and ideographic space, no-break space. */
static bool space(uint32_t c)
{
    return c == ' ' || c == 0x3000 || c == 0xA0;
}

/* Next code point of valid UTF-8. */
static uint32_t next(struct mirai_str s, size_t *at)
{
    unsigned char head = (unsigned char)s.data[(*at)++];
    uint32_t c = head < 0x80 ? head : head < 0xE0 ? head & 0x1Fu : head < 0xF0 ? head & 0x0Fu : head & 0x07u;
    for (int more = head < 0xC0   ? 0
                    : head < 0xE0 ? 1
                    : head < 0xF0 ? 2
                                  : 3;
         more > 0 && *at < s.len; more--) {
        c = c << 6 | ((unsigned char)s.data[(*at)++] & 0x3Fu);
    }
    return c;
}

bool check_name(struct mirai_str s)
{
    uint32_t c = ' ';
    for (size_t at = 0; at < s.len;) {
        bool first = at == 0;
        c = next(s, &at);
        if (invisible(c) || (first && space(c))) {
            return false;
        }
    }
    return !space(c);
}

bool check_term(struct mirai_str s)
{
    static const struct mirai_str separator = MIRAI_STR(" = ");
    for (size_t at = 0; at + separator.len <= s.len; at++) {
        if (memcmp(s.data + at, separator.data, separator.len) == 0) {
            return false;
        }
    }
    return check_name(s) && s.len > 0 && !(s.data[0] == '#' && (s.len == 1 || s.data[1] == ' '));
}

bool check_file_name(struct mirai_str s)
{
    return check_name(s) && memchr(s.data, '/', s.len) == NULL && memchr(s.data, '\\', s.len) == NULL &&
           !mirai_str_eq(s, MIRAI_STR(".")) && !mirai_str_eq(s, MIRAI_STR(".."));
}

bool check_color(struct mirai_str s)
{
    unsigned char rgb[3];
    return s.len == 7 && s.data[0] == '#' &&
           mirai_unhex(rgb, sizeof(rgb), (struct mirai_str){s.data + 1, s.len - 1}) == 0;
}

/* RFC 6838 §4.2 restricted-name */
static size_t restricted_name(struct mirai_str s, size_t at)
{
    size_t start = at;
    while (at < s.len && (isalnum((unsigned char)s.data[at]) ||
                          (at > start && s.data[at] != '\0' && strchr("!#$&-^_.+", s.data[at]) != NULL))) {
        at++;
    }
    return at - start;
}

bool check_media_type(struct mirai_str s)
{
    size_t type = restricted_name(s, 0);
    if (type == 0 || type >= s.len || s.data[type] != '/') {
        return false;
    }
    size_t subtype = restricted_name(s, type + 1);
    size_t at = type + 1 + subtype;
    if (subtype == 0 || at == s.len) {
        return subtype != 0;
    }
    while (at < s.len && s.data[at] == ' ') {
        at++;
    }
    if (at == s.len || s.data[at] != ';') {
        return false;
    }
    for (; at < s.len; at++) {
        if (s.data[at] < 0x20 || s.data[at] > 0x7E) {
            return false;
        }
    }
    return true;
}

bool check_email(struct mirai_str s)
{
    if (s.len == 0) {
        return true;
    }
    const char *at = memchr(s.data, '@', s.len);
    return at != NULL && at > s.data && at + 1 < s.data + s.len && check_name(s) &&
           memchr(s.data, ' ', s.len) == NULL;
}
