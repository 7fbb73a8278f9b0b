#include "services/gateway/headers.h"

#include "libcommon/error.h"

#include <stdio.h>
#include <strings.h>

/* ------------------------------------------------------------------ lists */

struct mirai_str header_trim(struct mirai_str s)
{
    while (s.len > 0 && (s.data[0] == ' ' || s.data[0] == '\t')) {
        s.data++;
        s.len--;
    }
    while (s.len > 0 && (s.data[s.len - 1] == ' ' || s.data[s.len - 1] == '\t')) {
        s.len--;
    }
    return s;
}

bool header_is(struct mirai_str value, const char *lower)
{
    size_t len = strlen(lower);
    return value.data != NULL && value.len == len && strncasecmp(value.data, lower, len) == 0;
}

bool header_next(struct mirai_str *rest, char separator, struct mirai_str *member)
{
    if (rest->data == NULL || rest->len == 0) {
        return false;
    }
    const char *end = memchr(rest->data, separator, rest->len);
    size_t len = end != NULL ? (size_t)(end - rest->data) : rest->len;
    *member = header_trim((struct mirai_str){rest->data, len});
    size_t taken = end != NULL ? len + 1 : len;
    rest->data += taken;
    rest->len -= taken;
    return true;
}

bool header_next_line(struct mirai_str *rest, struct mirai_str *line)
{
    const char *end = rest->len > 0 ? memchr(rest->data, '\n', rest->len) : NULL;
    if (end == NULL) {
        return false;
    }
    *line = (struct mirai_str){rest->data, (size_t)(end - rest->data)};
    rest->len -= line->len + 1;
    rest->data = end + 1;
    line->len -= line->len > 0 && line->data[line->len - 1] == '\r';
    return true;
}

/* Split off what stands before `separator`; the whole when there is none. */
static struct mirai_str take_until(struct mirai_str *rest, char separator)
{
    struct mirai_str first = {0};
    if (!header_next(rest, separator, &first)) {
        *rest = (struct mirai_str){0};
    }
    return first;
}

/* The weight in parameters such as ";q=0.5" in thousandths; 1000 when there is none or it is malformed. */
static int weight_of(struct mirai_str parameters)
{
    struct mirai_str parameter;
    while (header_next(&parameters, ';', &parameter)) {
        if (parameter.len < 3 || (parameter.data[0] != 'q' && parameter.data[0] != 'Q') ||
            parameter.data[1] != '=') {
            continue;
        }
        int weight = parameter.data[2] == '1' ? 1000 : 0;
        int place = 100;
        for (size_t i = 4; i < parameter.len && i < 7 && weight < 1000; i++, place /= 10) {
            char digit = parameter.data[i];
            if (digit < '0' || digit > '9') {
                break;
            }
            weight += (digit - '0') * place;
        }
        return weight;
    }
    return 1000;
}

struct mirai_str header_language(struct mirai_str accept_language, struct mirai_str fallback)
{
    int ja = -1, en = -1, any = -1;
    struct mirai_str member;
    while (header_next(&accept_language, ',', &member)) {
        struct mirai_str range = take_until(&member, ';');
        int weight = weight_of(member);
        struct mirai_str primary = take_until(&range, '-');
        if (header_is(primary, "ja")) {
            ja = weight > ja ? weight : ja;
        } else if (header_is(primary, "en")) {
            en = weight > en ? weight : en;
        } else if (header_is(primary, "*")) {
            any = weight;
        }
    }
    ja = ja < 0 ? any : ja;
    en = en < 0 ? any : en;
    if (ja == en || (ja <= 0 && en <= 0)) {
        return fallback;
    }
    return ja > en ? MIRAI_STR("ja") : MIRAI_STR("en");
}

bool header_accepts(struct mirai_str accept, const char *type, const char *subtype)
{
    if (accept.len == 0 || (accept.len == 3 && memcmp(accept.data, "*/*", 3) == 0)) {
        return true;
    }
    int best = -1, specific = -1; /* the most specific range decides */
    struct mirai_str member;
    while (header_next(&accept, ',', &member)) {
        struct mirai_str range = take_until(&member, ';');
        int weight = weight_of(member);
        struct mirai_str first = take_until(&range, '/');
        int precision = -1;
        if (header_is(first, type)) {
            precision = header_is(range, subtype) ? 2 : header_is(range, "*") ? 1 : -1;
        } else if (header_is(first, "*") && header_is(range, "*")) {
            precision = 0;
        }
        if (precision > specific || (precision >= 0 && precision == specific && weight > best)) {
            specific = precision;
            best = weight;
        }
    }
    return best > 0;
}

struct mirai_str header_media_type(struct mirai_str content_type)
{
    return take_until(&content_type, ';');
}

/* ------------------------------------------------------------------ conditions */

/* A compressed answer's tag, as response.c gives it, names the same version as the plain one. */
static struct mirai_str without_encoding(struct mirai_str tag)
{
    size_t len = sizeof(HEADER_GZIP_SUFFIX) - 1;
    if (tag.len > len && memcmp(tag.data + tag.len - len, HEADER_GZIP_SUFFIX, len) == 0) {
        tag.len -= len;
    }
    return tag;
}

/* Take one entity tag from the front: W/"…" or "…". False at malformed bytes. */
static bool take_etag(struct mirai_str *rest, struct mirai_str *tag, bool *weak)
{
    struct mirai_str s = header_trim(*rest);
    *weak = s.len >= 2 && s.data[0] == 'W' && s.data[1] == '/';
    if (*weak) {
        s.data += 2;
        s.len -= 2;
    }
    const char *end = s.len >= 2 && s.data[0] == '"' ? memchr(s.data + 1, '"', s.len - 1) : NULL;
    if (end == NULL) {
        return false;
    }
    *tag = without_encoding((struct mirai_str){s.data + 1, (size_t)(end - s.data) - 1});
    s = header_trim((struct mirai_str){end + 1, s.len - (size_t)(end + 1 - s.data)});
    if (s.len > 0 && s.data[0] != ',') {
        return false;
    }
    *rest = s.len > 0 ? (struct mirai_str){s.data + 1, s.len - 1} : (struct mirai_str){0};
    return true;
}

bool header_none_match_has(struct mirai_str if_none_match, struct mirai_str etag)
{
    struct mirai_str tag, rest = header_trim(if_none_match);
    bool weak;
    if (header_is(rest, "*")) {
        return true;
    }
    while (rest.len > 0 && take_etag(&rest, &tag, &weak)) {
        if (mirai_str_eq(tag, etag)) {
            return true;
        }
    }
    return false;
}

int header_if_match(struct mirai_str if_match, struct mirai_str *etag)
{
    struct mirai_str rest = header_trim(if_match);
    bool weak;
    if (header_is(rest, "*")) {
        *etag = rest;
        return 0;
    }
    if (!take_etag(&rest, etag, &weak) || rest.len > 0 || etag->len == 0 || etag->len > 100 ||
        !mirai_utf8_valid(*etag)) {
        return MIRAI_E_INVALID;
    }
    /* "*" in quotes is a tag that no article has, not the wildcard that the store takes it for. */
    return weak || mirai_str_eq(*etag, MIRAI_STR("*")) ? MIRAI_E_PRECONDITION : 0;
}

bool header_if_range(struct mirai_str if_range, struct mirai_str etag)
{
    struct mirai_str s = header_trim(if_range);
    return s.len == etag.len + 2 && s.data[0] == '"' && s.data[s.len - 1] == '"' &&
           memcmp(s.data + 1, etag.data, etag.len) == 0;
}

int header_range(struct mirai_str range, uint64_t size, uint64_t *first, uint64_t *last)
{
    struct mirai_str unit = take_until(&range, '=');
    int64_t from = -1, to = -1;
    if (!header_is(unit, "bytes") || range.len == 0 || memchr(range.data, ',', range.len) != NULL) {
        return MIRAI_E_NOT_FOUND; /* RFC 9110 §14.2: a server may ignore Range */
    }
    struct mirai_str start = take_until(&range, '-');
    if ((start.len > 0 && mirai_parse_int(start, 0, INT64_MAX, &from) != 0) ||
        (range.len > 0 && mirai_parse_int(header_trim(range), 0, INT64_MAX, &to) != 0) ||
        (from < 0 && to < 0) || (from >= 0 && to >= 0 && to < from)) {
        return MIRAI_E_NOT_FOUND;
    }
    if (from < 0) { /* the last `to` bytes */
        if (to == 0 || size == 0) {
            return MIRAI_E_INVALID;
        }
        *first = (uint64_t)to >= size ? 0 : size - (uint64_t)to;
        *last = size - 1;
        return 0;
    }
    if ((uint64_t)from >= size) {
        return MIRAI_E_INVALID;
    }
    *first = (uint64_t)from;
    *last = to < 0 || (uint64_t)to >= size ? size - 1 : (uint64_t)to;
    return 0;
}

/* ------------------------------------------------------------------ who asks */

bool header_cookie(struct mirai_str cookies, struct mirai_str name, struct mirai_str *value)
{
    struct mirai_str pair;
    while (header_next(&cookies, ';', &pair)) {
        if (pair.len > name.len && pair.data[name.len] == '=' &&
            memcmp(pair.data, name.data, name.len) == 0) {
            *value = (struct mirai_str){pair.data + name.len + 1, pair.len - name.len - 1};
            return true;
        }
    }
    return false;
}

bool header_token_valid(struct mirai_str token)
{
    if (token.len < 24 || token.len > HEADER_TOKEN_MAX ||
        (memcmp(token.data, "mkt_", 4) != 0 && memcmp(token.data, "mks_", 4) != 0)) {
        return false;
    }
    for (size_t i = 4; i < token.len; i++) {
        char c = token.data[i];
        if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
              c == '_')) {
            return false;
        }
    }
    return true;
}

bool header_bearer(struct mirai_str authorization, struct mirai_str *token)
{
    static const char scheme[] = "bearer ";
    if (authorization.len < sizeof(scheme) - 1 ||
        strncasecmp(authorization.data, scheme, sizeof(scheme) - 1) != 0) {
        return false;
    }
    *token = header_trim((struct mirai_str){authorization.data + sizeof(scheme) - 1,
                                            authorization.len - (sizeof(scheme) - 1)});
    return header_token_valid(*token);
}

bool header_same_origin(struct mirai_str sec_fetch_site, struct mirai_str origin, struct mirai_str host)
{
    static const char https[] = "https://";
    size_t skip = sizeof(https) - 1;
    if (sec_fetch_site.len > 0) {
        return mirai_str_eq(sec_fetch_site, MIRAI_STR("same-origin"));
    }
    return origin.len > skip && memcmp(origin.data, https, skip) == 0 && origin.len - skip == host.len &&
           strncasecmp(origin.data + skip, host.data, host.len) == 0;
}

bool header_idempotency_key_valid(struct mirai_str key)
{
    for (size_t i = 0; i < key.len; i++) {
        if (key.data[i] <= ' ' || key.data[i] > '~') {
            return false;
        }
    }
    return key.len >= 1 && key.len <= 200;
}

/* ------------------------------------------------------------------ trace */

static bool is_lower_hex(const char *s, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (!((s[i] >= '0' && s[i] <= '9') || (s[i] >= 'a' && s[i] <= 'f'))) {
            return false;
        }
    }
    return true;
}

static bool is_zero(const char *s, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (s[i] != '0') {
            return false;
        }
    }
    return true;
}

/* https://www.w3.org/TR/trace-context/#traceparent-header-field-values */
bool header_traceparent_valid(struct mirai_str value)
{
    const char *s = value.data;
    if (value.len < TRACEPARENT_LEN || s[2] != '-' || s[35] != '-' || s[52] != '-' || !is_lower_hex(s, 2) ||
        !is_lower_hex(s + 3, 32) || !is_lower_hex(s + 36, 16) || !is_lower_hex(s + 53, 2) ||
        memcmp(s, "ff", 2) == 0 || is_zero(s + 3, 32) || is_zero(s + 36, 16)) {
        return false;
    }
    return value.len == TRACEPARENT_LEN || (memcmp(s, "00", 2) != 0 && s[TRACEPARENT_LEN] == '-');
}

void header_traceparent_make(char out[TRACEPARENT_LEN + 1], struct mirai_str caller,
                             const unsigned char random[24])
{
    memcpy(out, "00-", 3);
    mirai_hex(out + 36, random + 16, 8);
    if (header_traceparent_valid(caller)) {
        memcpy(out + 3, caller.data + 3, 32);
        memcpy(out + 53, caller.data + 53, 2);
    } else {
        mirai_hex(out + 3, random, 16);
        memcpy(out + 53, "01", 2);
    }
    out[35] = '-';
    out[52] = '-';
    out[TRACEPARENT_LEN] = '\0';
}

/* ------------------------------------------------------------------ file names */

void header_disposition(struct mirai_str name, struct mirai_buf *out)
{
    static const char attr_char[] = "!#$&+-.^_`|~"; /* RFC 8187 §3.2.1, beside letters and digits */
    mirai_buf_append_str(out, MIRAI_STR("attachment; filename=\""));
    for (size_t i = 0; i < name.len; i++) {
        unsigned char c = (unsigned char)name.data[i];
        if ((c & 0xc0) == 0x80) {
            continue; /* one substitute for each character, not for each byte */
        }
        bool plain = c >= ' ' && c < 0x7f && c != '"' && c != '\\' && c != '%' && c != '/';
        mirai_buf_append_char(out, plain ? (char)c : '_');
    }
    mirai_buf_append_str(out, MIRAI_STR("\"; filename*=UTF-8''"));
    for (size_t i = 0; i < name.len; i++) {
        unsigned char c = (unsigned char)name.data[i];
        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
            (c != '\0' && strchr(attr_char, c) != NULL)) {
            mirai_buf_append_char(out, (char)c);
        } else {
            mirai_buf_printf(out, "%%%02X", c);
        }
    }
}
