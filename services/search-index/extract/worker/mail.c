#include "services/search-index/extract/worker/encoding.h"
#include "services/search-index/extract/worker/readers.h"

#include <sodium.h>
#include <stdlib.h>
#include <strings.h>

#define DEPTH_MAX  8   /* of multiparts and messages in messages */
#define PARTS_MAX  200 /* of one message */
#define HEADER_MAX (16u << 10)

struct mail {
    struct pages *pages;
    unsigned parts;
};

static void read_entity(struct mail *mail, struct mirai_str entity, unsigned depth);

/* ------------------------------------------------------------------ headers (RFC 5322 §2.2) */

/* Cut the next line from *text; without its end. */
static struct mirai_str next_line(struct mirai_str *text)
{
    const char *end = text->len > 0 ? memchr(text->data, '\n', text->len) : NULL;
    size_t len = end != NULL ? (size_t)(end - text->data) : text->len;
    struct mirai_str line = {text->data, len};
    size_t used = end != NULL ? len + 1 : len;
    *text = (struct mirai_str){used > 0 ? text->data + used : text->data, text->len - used};
    line.len -= line.len > 0 && line.data[line.len - 1] == '\r';
    return line;
}

/* Cut the headers from *entity. */
static struct mirai_str take_headers(struct mirai_str *entity)
{
    const char *from = entity->data;
    while (entity->len > 0) {
        const char *at = entity->data;
        if (next_line(entity).len == 0) {
            return (struct mirai_str){from, (size_t)(at - from)};
        }
    }
    return (struct mirai_str){from, from != NULL ? (size_t)(entity->data - from) : 0};
}

/* The unfolded value of a header into `out`; empty when there is none. */
static void header(struct mirai_str headers, const char *name, struct mirai_buf *out)
{
    size_t len = strlen(name);
    bool found = false;
    out->len = 0;
    while (headers.len > 0) {
        struct mirai_str line = next_line(&headers);
        bool folded = line.len > 0 && (line.data[0] == ' ' || line.data[0] == '\t');
        if (found && !folded) {
            return;
        }
        if (!found && line.len > len && line.data[len] == ':' && strncasecmp(line.data, name, len) == 0) {
            found = true;
            line.data += len + 1;
            line.len -= len + 1;
        }
        if (found && out->len + line.len < HEADER_MAX) {
            mirai_buf_append_str(out, line);
        }
    }
}

/* The value of a parameter, "boundary" of `multipart/mixed; boundary="x"` (RFC 2045 §5.1). */
static struct mirai_str parameter(struct mirai_str value, const char *name)
{
    size_t len = strlen(name);
    for (size_t i = 1; i + len < value.len; i++) {
        bool starts = value.data[i - 1] == ';' || value.data[i - 1] == ' ' || value.data[i - 1] == '\t';
        if (starts && value.data[i + len] == '=' && strncasecmp(value.data + i, name, len) == 0) {
            size_t from = i + len + 1;
            bool quoted = from < value.len && value.data[from] == '"';
            from += quoted;
            size_t to = from;
            while (to < value.len &&
                   (quoted ? value.data[to] != '"' : strchr("; \t", value.data[to]) == NULL)) {
                to++;
            }
            return (struct mirai_str){value.data + from, to - from};
        }
    }
    return (struct mirai_str){NULL, 0};
}

/* ------------------------------------------------------------------ encodings (RFC 2045 §6) */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* underscore: of encoded words, where it means a blank. */
static void decode_quoted(struct mirai_str in, bool underscore, struct mirai_buf *out)
{
    for (size_t i = 0; i < in.len; i++) {
        char c = in.data[i];
        if (c == '=' && i + 2 < in.len && hex_digit(in.data[i + 1]) >= 0 && hex_digit(in.data[i + 2]) >= 0) {
            c = (char)(hex_digit(in.data[i + 1]) * 16 + hex_digit(in.data[i + 2]));
            i += 2;
        } else if (c == '=' && i + 1 < in.len && (in.data[i + 1] == '\n' || in.data[i + 1] == '\r')) {
            i += 1 + (in.data[i + 1] == '\r' && i + 2 < in.len && in.data[i + 2] == '\n');
            continue;
        } else if (c == '_' && underscore) {
            c = ' ';
        }
        mirai_buf_append_char(out, c);
    }
}

static void decode_base64(struct mirai_str in, struct mirai_buf *out)
{
    size_t len = 0;
    mirai_buf_reserve(out, in.len / 4 * 3 + 3);
    sodium_base642bin((unsigned char *)out->data + out->len, in.len / 4 * 3 + 3, in.data, in.len,
                      " \t\r\n=", &len, NULL, sodium_base64_VARIANT_ORIGINAL_NO_PADDING);
    out->len += len;
}

static bool take(void *data, struct mirai_str utf8)
{
    struct pages *pages = data;
    pages_text(pages, utf8);
    return !pages->cut;
}

static void put(struct mail *mail, struct mirai_str bytes, struct mirai_str charset)
{
    char room[64];
    const char *encoding = encoding_named(charset, room);
    encoding = encoding != NULL ? encoding : encoding_detect(bytes);
    if (encoding != NULL) {
        encoding_convert(encoding, bytes, take, mail->pages);
    }
}

/* =?charset?B|Q?text?= (RFC 2047); what is none stays as it is. */
static size_t put_encoded_word(struct mail *mail, struct mirai_str at)
{
    const char *end = at.data + at.len;
    const char *charset = at.data + 2;
    const char *kind = memchr(charset, '?', (size_t)(end - charset));
    if (kind == NULL || end - kind < 4 || kind[2] != '?') {
        return 0;
    }
    const char *text = kind + 3;
    const char *close = memmem(text, (size_t)(end - text), "?=", 2);
    if (close == NULL) {
        return 0;
    }
    struct mirai_buf bytes = {0};
    struct mirai_str coded = {text, (size_t)(close - text)};
    if ((kind[1] | 0x20) == 'b') {
        decode_base64(coded, &bytes);
    } else {
        decode_quoted(coded, true, &bytes);
    }
    put(mail, mirai_buf_str(&bytes), (struct mirai_str){charset, (size_t)(kind - charset)});
    mirai_buf_free(&bytes);
    return (size_t)(close + 2 - at.data);
}

static bool is_blank(struct mirai_str text)
{
    size_t i = 0;
    while (i < text.len && (text.data[i] == ' ' || text.data[i] == '\t')) {
        i++;
    }
    return i == text.len;
}

static void put_header(struct mail *mail, struct mirai_str value)
{
    size_t from = 0;
    if (value.len == 0) {
        return;
    }
    for (size_t i = 0; i + 1 < value.len; i++) {
        if (value.data[i] != '=' || value.data[i + 1] != '?') {
            continue;
        }
        struct mirai_str plain = {value.data + from, i - from};
        if (from == 0 || !is_blank(plain)) { /* between two words blanks do not count (§6.2) */
            put(mail, plain, MIRAI_STR(""));
        }
        size_t used = put_encoded_word(mail, (struct mirai_str){value.data + i, value.len - i});
        from = i + used;
        i = used > 0 ? from - 1 : i;
    }
    put(mail, (struct mirai_str){value.data + from, value.len - from}, MIRAI_STR(""));
    pages_new_line(mail->pages);
}

/* ------------------------------------------------------------------ parts */

/* Between the lines "--boundary" up to "--boundary--" (RFC 2046 §5.1.1). */
static void read_multipart(struct mail *mail, struct mirai_str body, struct mirai_str boundary,
                           unsigned depth)
{
    const char *from = NULL;
    while (body.len > 0 && !mail->pages->cut) {
        const char *at = body.data;
        struct mirai_str line = next_line(&body);
        if (line.len < boundary.len + 2 || memcmp(line.data, "--", 2) != 0 ||
            memcmp(line.data + 2, boundary.data, boundary.len) != 0) {
            continue;
        }
        if (from != NULL) {
            read_entity(mail, (struct mirai_str){from, (size_t)(at - from)}, depth + 1);
        }
        from = body.data;
        if (line.len >= boundary.len + 4 && memcmp(line.data + boundary.len + 2, "--", 2) == 0) {
            return;
        }
    }
    if (from != NULL) { /* cut off */
        read_entity(mail, (struct mirai_str){from, (size_t)(body.data - from)}, depth + 1);
    }
}

static void decode_body(struct mirai_str headers, struct mirai_str body, struct mirai_buf *out)
{
    struct mirai_buf encoding = {0};
    header(headers, "Content-Transfer-Encoding", &encoding);
    struct mirai_str name = mirai_buf_str(&encoding);
    while (name.len > 0 && (name.data[0] == ' ' || name.data[0] == '\t')) {
        name.data++;
        name.len--;
    }
    if (name.len >= 6 && strncasecmp(name.data, "base64", 6) == 0) {
        decode_base64(body, out);
    } else if (name.len >= 16 && strncasecmp(name.data, "quoted-printable", 16) == 0) {
        decode_quoted(body, false, out);
    } else {
        mirai_buf_append_str(out, body);
    }
    mirai_buf_free(&encoding);
}

static bool is(struct mirai_str type, const char *prefix)
{
    size_t len = strlen(prefix);
    return type.len >= len && strncasecmp(type.data, prefix, len) == 0;
}

static void read_body(struct mail *mail, struct mirai_str headers, struct mirai_str body,
                      struct mirai_str type, unsigned depth)
{
    struct mirai_str boundary = parameter(type, "boundary");
    if (is(type, "multipart/")) {
        if (boundary.len > 0) {
            read_multipart(mail, body, boundary, depth);
        }
        return;
    }
    if (type.len > 0 && !is(type, "text/") && !is(type, "message/rfc822")) {
        pages_new_line(mail->pages);
        put_header(mail, parameter(type, "name"));
        return;
    }
    struct mirai_buf decoded = {0};
    decode_body(headers, body, &decoded);
    pages_new_line(mail->pages);
    if (is(type, "message/rfc822")) {
        read_entity(mail, mirai_buf_str(&decoded), depth + 1);
    } else if (is(type, "text/html")) {
        read_html(mirai_buf_str(&decoded), parameter(type, "charset"), mail->pages);
    } else {
        put(mail, mirai_buf_str(&decoded), parameter(type, "charset"));
    }
    pages_new_line(mail->pages);
    mirai_buf_free(&decoded);
}

static void read_entity(struct mail *mail, struct mirai_str entity, unsigned depth)
{
    static const char *const shown[] = {"Subject", "From", "To", "Cc", "Date"};
    struct mirai_buf value = {0};
    if (depth > DEPTH_MAX || ++mail->parts > PARTS_MAX) {
        return;
    }
    struct mirai_str headers = take_headers(&entity);
    for (size_t i = 0; i < sizeof(shown) / sizeof(shown[0]); i++) {
        header(headers, shown[i], &value);
        if (value.len > 0) {
            put_header(mail, mirai_buf_str(&value));
        }
    }
    header(headers, "Content-Type", &value);
    struct mirai_str type = mirai_buf_str(&value);
    while (type.len > 0 && (type.data[0] == ' ' || type.data[0] == '\t')) {
        type.data++;
        type.len--;
    }
    read_body(mail, headers, entity, type, depth);
    mirai_buf_free(&value);
}

enum extract_outcome read_mail(struct mirai_str file, struct pages *pages)
{
    struct mail mail = {.pages = pages};
    pages_begin(pages, 0);
    read_entity(&mail, file, 0);
    return EXTRACT_DONE;
}
