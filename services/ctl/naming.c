#include "services/ctl/naming.h"

#include <ctype.h>
#include <locale.h>
#include <sodium.h>
#include <wctype.h>

#define SLUG_POINTS_MAX 200
#define HEADING_MAX     2000 /* bytes of a heading that are looked at */

/* The code point at the start of `s`, which may be no UTF-8; *len = its bytes. 0: none. */
static uint32_t code_point(struct mirai_str s, size_t *len)
{
    const unsigned char *at = (const unsigned char *)s.data;
    size_t n = at[0] < 0x80 ? 1 : at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : 4;
    uint32_t code = at[0];
    *len = 1;
    if (s.len < n || !mirai_utf8_valid((struct mirai_str){s.data, n})) {
        return 0;
    }
    code = n > 1 ? code & (0x7fu >> n) : code;
    for (size_t i = 1; i < n; i++) {
        code = code << 6 | (at[i] & 0x3fu);
    }
    *len = n;
    return code;
}

struct mirai_str naming_stem(struct mirai_str path)
{
    const char *slash = path.len > 0 ? memrchr(path.data, '/', path.len) : NULL;
    const char *dot = path.len > 0 ? memrchr(path.data, '.', path.len) : NULL;
    if (dot != NULL && dot > path.data && (slash == NULL || dot > slash + 1)) {
        path.len = (size_t)(dot - path.data);
    }
    return path;
}

/* ------------------------------------------------------------------ lines */

/* White space that people see as such: ASCII's, no-break and ideographic space. */
static bool is_space(uint32_t code)
{
    return (code < 0x80 && isspace((int)code)) || code == 0xa0 || code == 0x3000;
}

/* Controls, zero width and bidirectional marks, separators, byte order mark (Unicode TR 36 §2.5). */
static bool is_invisible(uint32_t code)
{
    return code < 0x20 || (code >= 0x7f && code <= 0x9f) || (code >= 0x200b && code <= 0x200f) ||
           (code >= 0x2028 && code <= 0x202e) || (code >= 0x2060 && code <= 0x206f) || code == 0xfeff;
}

struct mirai_str naming_clean(struct mirai_str line, struct mirai_arena *arena)
{
    struct mirai_buf out = {0};
    struct mirai_str gap = {0};
    size_t n;
    for (size_t i = 0; i < line.len; i += n) {
        struct mirai_str rest = {line.data + i, line.len - i};
        uint32_t code = code_point(rest, &n);
        if (is_space(code)) {
            bool ascii = n == 1;
            gap = ascii || gap.len > 0 ? MIRAI_STR(" ") : (struct mirai_str){rest.data, n};
        } else if (!is_invisible(code)) {
            mirai_buf_append_str(&out, out.len > 0 ? gap : (struct mirai_str){0});
            mirai_buf_append(&out, rest.data, n);
            gap = (struct mirai_str){0};
        }
    }
    struct mirai_str clean = mirai_arena_copy(arena, mirai_buf_str(&out));
    mirai_buf_free(&out);
    return clean;
}

/* ------------------------------------------------------------------ slug */

/* Letters and digits of any script, and '_'. Signs and symbols that Unicode counts as letters
 * (U+2000..U+2BFF) are left out: the store takes none in slugs. */
static bool is_word(uint32_t code)
{
    static locale_t unicode;
    if (code < 0x80) {
        return isalnum((int)code) || code == '_';
    }
    if (unicode == (locale_t)0) {
        unicode = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
    }
    return (code < 0x2000 || code > 0x2bff) && unicode != (locale_t)0 && iswalnum_l(code, unicode);
}

/* Append one folder's or file's name: lower case, one '-' between words. */
static void append_part(struct mirai_buf *out, const char *name, size_t len)
{
    size_t from = out->len;
    bool gap = false;
    size_t n;
    for (size_t i = 0; i < len; i += n) {
        uint32_t code = code_point((struct mirai_str){name + i, len - i}, &n);
        if (!is_word(code)) {
            gap = true;
            continue;
        }
        if (gap && out->len > from) {
            mirai_buf_append_char(out, '-');
        }
        gap = false;
        if (code < 0x80) {
            mirai_buf_append_char(out, (char)tolower((int)code));
        } else {
            mirai_buf_append(out, name + i, n);
        }
    }
}

static bool only_digits(struct mirai_str s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (!isdigit((unsigned char)s.data[i])) {
            return false;
        }
    }
    return true;
}

static void path_hash(struct mirai_str path, char hex[9])
{
    unsigned char hash[crypto_hash_sha256_BYTES];
    crypto_hash_sha256(hash, (const unsigned char *)path.data, path.len);
    mirai_hex(hex, hash, 4);
}

static struct mirai_str finish_slug(struct mirai_buf *slug, struct mirai_str path, bool hashed,
                                    struct mirai_arena *arena)
{
    char hex[9];
    struct mirai_str name = mirai_buf_str(slug);
    size_t room = SLUG_POINTS_MAX - 9;
    path_hash(path, hex);
    if (only_digits(name)) { /* would be taken for an id */
        name = mirai_arena_printf(arena, "article%s%.*s", name.len > 0 ? "-" : "", MIRAI_STR_ARG(name));
        hashed = hashed || slug->len == 0;
    }
    if (hashed || mirai_utf8_length(name) > SLUG_POINTS_MAX) {
        while (mirai_utf8_length(name) > room) {
            name = mirai_utf8_prefix(name, name.len - 1);
        }
        name = mirai_arena_printf(arena, "%.*s-%s", MIRAI_STR_ARG(name), hex);
    } else {
        name = mirai_arena_copy(arena, name);
    }
    mirai_buf_free(slug);
    return name;
}

static struct mirai_str make_slug(struct mirai_str path, bool hashed, struct mirai_arena *arena)
{
    struct mirai_buf slug = {0};
    struct mirai_str rest = naming_stem(path);
    while (rest.len > 0) {
        const char *slash = memchr(rest.data, '/', rest.len);
        size_t len = slash != NULL ? (size_t)(slash - rest.data) : rest.len;
        size_t before = slug.len;
        if (slug.len > 0) {
            mirai_buf_append_str(&slug, MIRAI_STR("--"));
        }
        size_t from = slug.len;
        append_part(&slug, rest.data, len);
        slug.len = slug.len == from ? before : slug.len;
        rest.data += len + (slash != NULL);
        rest.len -= len + (slash != NULL);
    }
    return finish_slug(&slug, path, hashed, arena);
}

struct mirai_str naming_slug(struct mirai_str path, struct mirai_arena *arena)
{
    return make_slug(path, false, arena);
}

struct mirai_str naming_slug_hashed(struct mirai_str path, struct mirai_arena *arena)
{
    return make_slug(path, true, arena);
}

/* ------------------------------------------------------------------ title */

/* The length of an HTML tag or a Markdown link's target at the start of `s`, which a plain title leaves out.
 */
static size_t markup_length(struct mirai_str s)
{
    const char *end = NULL;
    if (s.len > 1 && s.data[0] == '<' && (isalpha((unsigned char)s.data[1]) || s.data[1] == '/')) {
        end = memchr(s.data, '>', s.len);
    } else if (s.len > 1 && s.data[0] == ']' && s.data[1] == '(') {
        end = memchr(s.data, ')', s.len);
    }
    return end != NULL ? (size_t)(end - s.data) + 1 : 0;
}

/* A heading's text without tags, links, emphasis, code marks and the closing marks. */
static struct mirai_str plain_heading(struct mirai_str line, struct mirai_arena *arena)
{
    struct mirai_buf out = {0};
    while (line.len > 0 && line.data[line.len - 1] == '#') {
        line.len--;
    }
    for (size_t i = 0; i < line.len;) {
        struct mirai_str rest = {line.data + i, line.len - i};
        size_t markup = markup_length(rest);
        if (markup > 0) {
            i += markup;
        } else if (rest.data[0] == '\\' && rest.len > 1 && ispunct((unsigned char)rest.data[1])) {
            mirai_buf_append_char(&out, rest.data[1]);
            i += 2;
        } else {
            bool link = rest.data[0] == '[' && memmem(rest.data, rest.len, "](", 2) != NULL;
            bool emphasis = rest.data[0] == '`' || rest.data[0] == '*';
            if (!link && !emphasis) {
                mirai_buf_append_char(&out, rest.data[0]);
            }
            i++;
        }
    }
    struct mirai_str title = naming_clean(mirai_buf_str(&out), arena);
    mirai_buf_free(&out);
    return title;
}

struct mirai_str naming_heading(struct mirai_str body, struct mirai_arena *arena)
{
    bool code = false;
    while (body.len > 0) {
        const char *end = memchr(body.data, '\n', body.len);
        struct mirai_str line = {body.data, end != NULL ? (size_t)(end - body.data) : body.len};
        body.data += line.len + (end != NULL);
        body.len -= line.len + (end != NULL);
        if (line.len >= 3 && (memcmp(line.data, "```", 3) == 0 || memcmp(line.data, "~~~", 3) == 0)) {
            code = !code;
        }
        if (!code && line.len > 2 && line.data[0] == '#' && isblank((unsigned char)line.data[1])) {
            struct mirai_str heading = naming_clean((struct mirai_str){line.data + 1, line.len - 1}, arena);
            struct mirai_str title = plain_heading(mirai_utf8_prefix(heading, HEADING_MAX), arena);
            if (title.len > 0) {
                return title;
            }
        }
    }
    return (struct mirai_str){0};
}
