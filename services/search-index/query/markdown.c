#include "services/search-index/query/markdown.h"

/* Longest tag or label that is looked for; longer ones are text. */
#define TAG_MAX    200
#define LABEL_MAX  400
#define TARGET_MAX 2000

struct strip {
    struct mirai_buf *out;
    const char *end;
    bool fenced;
};

static size_t line_length(const char *p, const char *end)
{
    const char *newline = memchr(p, '\n', (size_t)(end - p));
    return (size_t)((newline != NULL ? newline : end) - p);
}

/* A rule or the line below a table's head. */
static bool is_rule(const char *line, size_t len)
{
    size_t signs = 0;
    for (size_t i = 0; i < len; i++) {
        if (strchr("|:-=*_ \t\r", line[i]) == NULL || line[i] == '\0') {
            return false;
        }
        signs += line[i] != ' ' && line[i] != '\t' && line[i] != '\r';
    }
    return signs >= 3;
}

static bool is_fence(const char *line, size_t len)
{
    return len >= 3 && (memcmp(line, "```", 3) == 0 || memcmp(line, "~~~", 3) == 0);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* Heading, quotation and list signs at the beginning of a line. */
static size_t line_signs(const char *line, size_t len)
{
    size_t at = 0;
    for (;;) {
        size_t from = at;
        while (at < len && (is_blank(line[at]) || line[at] == '>')) {
            at++;
        }
        size_t signs = at;
        while (signs < len && line[signs] == '#') {
            signs++;
        }
        if (signs > at && signs - at <= 6 && (signs == len || is_blank(line[signs]))) {
            at = signs;
        } else if (at + 1 < len && strchr("-*+", line[at]) != NULL && is_blank(line[at + 1])) {
            at++;
        }
        if (at == from) {
            return at;
        }
    }
}

/* Where the first `sign` in [p, p + max) of the line stands, or NULL. */
static const char *find(const char *p, const char *line_end, size_t max, char sign)
{
    size_t room = (size_t)(line_end - p);
    return memchr(p, sign, room < max ? room : max);
}

/* `code`: kept as it is. Returns the bytes taken. */
static size_t take_code(struct strip *strip, const char *p, const char *line_end)
{
    const char *close = find(p + 1, line_end, (size_t)(line_end - p - 1), '`');
    if (close != NULL) {
        mirai_buf_append(strip->out, p + 1, (size_t)(close - p - 1));
        return (size_t)(close + 1 - p);
    }
    return 1;
}

/* ](target): the bytes of it. */
static size_t target_length(const char *p, const char *line_end)
{
    if (line_end - p < 2 || p[0] != ']' || p[1] != '(') {
        return 0;
    }
    const char *close = find(p, line_end, TARGET_MAX, ')');
    return close != NULL ? (size_t)(close + 1 - p) : 0;
}

/* Whether the bracket at p opens a link: [text](target). */
static bool opens_link(const char *p, const char *line_end)
{
    const char *close = find(p, line_end, LABEL_MAX, ']');
    return close != NULL && target_length(close, line_end) > 0;
}

/* A tag or comment of HTML; addresses between angle brackets are text. */
static size_t tag_length(const char *p, const char *end)
{
    bool letter = p + 1 < end && ((p[1] >= 'A' && p[1] <= 'Z') || (p[1] >= 'a' && p[1] <= 'z'));
    bool begins = letter || (p + 1 < end && (p[1] == '/' || p[1] == '!'));
    const char *close = begins ? find(p, end, TAG_MAX, '>') : NULL;
    if (close == NULL || memchr(p, '@', (size_t)(close - p)) != NULL ||
        memmem(p, (size_t)(close - p), "://", 3) != NULL) {
        return 0;
    }
    return (size_t)(close + 1 - p);
}

/* Stars touch what they emphasise; one between spaces, as in 2 * 3, is text. */
static size_t emphasis(const char *begin, const char *p, const char *line_end)
{
    size_t n = 1;
    while (p + n < line_end && p[n] == *p) {
        n++;
    }
    if (*p == '~' && n != 2) {
        return 0;
    }
    bool before = p > begin && !is_blank(p[-1]) && p[-1] != '\n';
    bool after = p + n < line_end && !is_blank(p[n]);
    return before || after ? n : 0;
}

static void strip_line(struct strip *strip, const char *line, size_t len)
{
    const char *line_end = line + len;
    const char *p = line + line_signs(line, len);
    bool table = p < line_end && *p == '|';
    while (p < line_end) {
        size_t skip = 0;
        switch (*p) {
        case '`':
            p += take_code(strip, p, line_end);
            continue;
        case '*':
        case '~':
            skip = emphasis(line, p, line_end);
            break;
        case '|':
            skip = table;
            break;
        case '!':
            skip = p + 1 < line_end && p[1] == '[' && opens_link(p + 1, line_end) ? 2 : 0;
            break;
        case '[':
            skip = opens_link(p, line_end);
            break;
        case ']':
            skip = target_length(p, line_end);
            break;
        case '<':
            skip = tag_length(p, line_end);
            break;
        case '\\':
            skip = p + 1 < line_end && strchr("*_#`|[]<>", p[1]) != NULL;
            if (skip > 0) {
                p++;
                skip = 0;
            }
            break;
        default:
            break;
        }
        if (skip == 0) {
            mirai_buf_append_char(strip->out, *p++);
        }
        p += skip;
    }
}

bool markdown_visible(struct mirai_str markdown, struct mirai_buf *out)
{
    size_t before = out->len;
    mirai_buf_reserve(out, markdown.len);
    struct strip strip = {.out = out, .end = markdown.data + markdown.len};
    for (const char *line = markdown.data; markdown.len > 0 && line < strip.end;) {
        size_t len = line_length(line, strip.end);
        if (is_fence(line, len)) {
            strip.fenced = !strip.fenced;
        } else if (strip.fenced) {
            mirai_buf_append(out, line, len);
        } else if (!is_rule(line, len)) {
            strip_line(&strip, line, len);
        }
        line += len;
        if (line < strip.end) {
            mirai_buf_append_char(out, '\n');
            line++;
        }
    }
    return out->len - before != markdown.len;
}
