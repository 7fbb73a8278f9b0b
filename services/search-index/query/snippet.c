#include "services/search-index/query/query.h"

#include <stdlib.h>

#define BODY_MAX     (64u << 10) /* bytes of a body that are looked through */
#define WINDOW       360         /* bytes of normalised text in a snippet: some 120 Japanese characters */
#define LEAD         60          /* bytes before the first match, if a sentence does not begin nearer */
#define MATCHES_MAX  200
#define HTML_TAG_MAX 200

struct match {
    uint32_t start; /* in the normalised text */
    uint32_t end;
    uint32_t mark;
};

struct matches {
    struct match list[MATCHES_MAX];
    size_t len;
};

static enum char_class class_at(struct mirai_str text, size_t at)
{
    unsigned len;
    return char_class(utf8_decode(text.data + at, text.data + text.len, &len));
}

static enum char_class class_before(struct mirai_str text, size_t at)
{
    do {
        at--;
    } while (at > 0 && ((unsigned char)text.data[at] & 0xC0) == 0x80);
    return class_at(text, at);
}

/* Latin words must begin where the mark begins, and short ones must end with it: "ad" is not in "read" or
 * "address". */
static bool stands_alone(struct mirai_str text, size_t start, size_t end)
{
    if (class_at(text, start) == CHAR_LATIN && start > 0 && class_before(text, start) == CHAR_LATIN) {
        return false;
    }
    return end - start >= 4 || class_before(text, end) != CHAR_LATIN || end == text.len ||
           class_at(text, end) != CHAR_LATIN;
}

static int compare_matches(const void *a, const void *b)
{
    const struct match *x = a;
    const struct match *y = b;
    if (x->start != y->start) {
        return x->start < y->start ? -1 : 1;
    }
    return x->end > y->end ? -1 : x->end < y->end; /* the longer one first */
}

static void find_matches(const struct query *query, struct mirai_str text, struct matches *out)
{
    for (size_t i = 0; i < query->marks_len; i++) {
        struct mirai_str mark = query->marks[i];
        const char *end = text.data + text.len;
        const char *p = text.data;
        while (mark.len > 0 && out->len < MATCHES_MAX &&
               (p = memmem(p, (size_t)(end - p), mark.data, mark.len)) != NULL) {
            size_t start = (size_t)(p - text.data);
            size_t stop = start + mark.len;
            if (stands_alone(text, start, stop)) {
                /* サーバ stands for サーバー, too */
                stop += text.len - stop >= 3 && memcmp(text.data + stop, "ー", 3) == 0 ? 3 : 0;
                out->list[out->len++] = (struct match){(uint32_t)start, (uint32_t)stop, (uint32_t)i};
            }
            p += mark.len;
        }
    }
    qsort(out->list, out->len, sizeof(out->list[0]), compare_matches);
}

/* How much of the query the window from match `first` on has: each mark once, by its length. */
static size_t window_value(const struct query *query, const struct matches *matches, size_t first)
{
    uint64_t seen = 0; /* QUERY_MARKS_MAX bits */
    size_t value = 0;
    for (size_t i = first;
         i < matches->len && matches->list[i].end <= matches->list[first].start + WINDOW - LEAD; i++) {
        uint64_t bit = UINT64_C(1) << matches->list[i].mark;
        value += (seen & bit) == 0 ? query->marks[matches->list[i].mark].len * 4 : 1;
        seen |= bit;
    }
    return value;
}

static size_t char_start(struct mirai_str text, size_t at)
{
    while (at > 0 && at < text.len && ((unsigned char)text.data[at] & 0xC0) == 0x80) {
        at--;
    }
    return at > text.len ? text.len : at;
}

/* The beginning of the sentence around `at`, or some characters before it. */
static size_t window_start(struct mirai_str text, size_t at)
{
    size_t least = at > LEAD ? at - LEAD : 0;
    for (size_t i = at; i > least; i--) {
        if (text.data[i - 1] == '\n' || (i >= 3 && memcmp(text.data + i - 3, "。", 3) == 0)) {
            return i;
        }
    }
    return char_start(text, least);
}

struct writer {
    struct mirai_buf buf;
    bool marked;
    bool space; /* a space is due */
};

static void write_char(struct writer *writer, const char *p, size_t len, bool marked)
{
    if (*p == ' ' || *p == '\n' || *p == '\t' || *p == '\r') {
        writer->space = writer->buf.len > 0;
        return;
    }
    if (writer->marked && !marked) {
        mirai_buf_append_str(&writer->buf, MIRAI_STR("</mark>"));
    }
    if (writer->space) {
        mirai_buf_append_char(&writer->buf, ' ');
        writer->space = false;
    }
    if (!writer->marked && marked) {
        mirai_buf_append_str(&writer->buf, MIRAI_STR("<mark>"));
    }
    writer->marked = marked;
    switch (*p) {
    case '&':
        mirai_buf_append_str(&writer->buf, MIRAI_STR("&amp;"));
        break;
    case '<':
        mirai_buf_append_str(&writer->buf, MIRAI_STR("&lt;"));
        break;
    case '>':
        mirai_buf_append_str(&writer->buf, MIRAI_STR("&gt;"));
        break;
    case '"':
        mirai_buf_append_str(&writer->buf, MIRAI_STR("&quot;"));
        break;
    default:
        mirai_buf_append(&writer->buf, p, len);
    }
}

/* Bytes of the line at p when it is nothing but form: a rule, the line below a table's head, a code block's
 * fence with its language. */
static size_t form_line(const char *p, const char *end)
{
    const char *newline = memchr(p, '\n', (size_t)(end - p));
    size_t len = (size_t)((newline != NULL ? newline : end) - p);
    size_t dashes = 0;
    if (len >= 3 && memcmp(p, "```", 3) == 0) {
        return len;
    }
    for (size_t i = 0; i < len; i++) {
        if (strchr("|:- \t\r", p[i]) == NULL) {
            return 0;
        }
        dashes += p[i] == '-';
    }
    return dashes >= 3 ? len : 0;
}

/* Bytes of Markdown punctuation at p that readers need not see: emphasis, heading signs, link targets, HTML
 * tags. */
static size_t markup_at(const char *p, const char *begin, const char *end)
{
    bool line_start = p == begin || p[-1] == '\n';
    size_t n = line_start ? form_line(p, end) : 0;
    if (n > 0) {
        return n;
    }
    switch (*p) {
    case '*':
    case '`':
    case '|':
    case '[':
        return 1;
    case '!':
        return p + 1 < end && p[1] == '[' ? 2 : 0;
    case '#':
    case '>':
        while (line_start && p + n < end && p[n] == *p) {
            n++;
        }
        return n;
    case ']':
        if (p + 1 < end && p[1] == '(') {
            const char *close = memchr(p, ')', (size_t)(end - p));
            return close != NULL ? (size_t)(close + 1 - p) : (size_t)(end - p);
        }
        return 1;
    case '<':
        if (p + 1 < end && (p[1] == '/' || (p[1] >= 'A' && p[1] <= 'Z') || (p[1] >= 'a' && p[1] <= 'z'))) {
            size_t room = (size_t)(end - p) < HTML_TAG_MAX ? (size_t)(end - p) : HTML_TAG_MAX;
            const char *close = memchr(p, '>', room);
            return close != NULL ? (size_t)(close + 1 - p) : 0;
        }
        return 0;
    default:
        return 0;
    }
}

static size_t char_bytes(const char *p, const char *end)
{
    size_t n = 1;
    while (p + n < end && ((unsigned char)p[n] & 0xC0) == 0x80) {
        n++;
    }
    return n;
}

/* Write the original bytes [from, to) with marks around what the matches stand for. */
static void write_window(struct writer *writer, struct mirai_str body, size_t from, size_t to,
                         const struct normalized *text, const struct matches *matches)
{
    size_t next = 0; /* match */
    size_t mark_from = 0;
    size_t mark_to = 0;
    const char *end = body.data + to;
    for (const char *p = body.data + from; p < end;) {
        size_t at = (size_t)(p - body.data);
        while (at >= mark_to && next < matches->len) {
            normalized_span(text, matches->list[next].start, matches->list[next].end, &mark_from, &mark_to);
            next++;
        }
        size_t skip = markup_at(p, body.data, end);
        if (skip > 0) {
            p += skip;
            continue;
        }
        size_t len = char_bytes(p, end);
        write_char(writer, p, len, at >= mark_from && at < mark_to);
        p += len;
    }
}

struct mirai_str snippet_make(const struct query *query, struct mirai_str body, struct mirai_arena *arena)
{
    struct normalized text = {0};
    struct matches matches;
    struct writer writer = {0};
    if (body.len == 0) {
        return MIRAI_STR("");
    }
    body = mirai_utf8_prefix(body, BODY_MAX);
    matches.len = 0;
    normalize(&text, body, true);
    struct mirai_str normal = mirai_buf_str(&text.text);
    find_matches(query, normal, &matches);
    size_t best = 0;
    size_t best_value = 0;
    for (size_t i = 0; i < matches.len; i++) {
        size_t value = window_value(query, &matches, i);
        if (value > best_value) {
            best = i;
            best_value = value;
        }
    }
    size_t start = matches.len > 0 ? window_start(normal, matches.list[best].start) : 0;
    size_t stop = start + WINDOW < normal.len ? char_start(normal, start + WINDOW) : normal.len;
    size_t from = text.origin[start];
    size_t to = stop > start ? text.origin[stop] : from;
    if (from > 0) {
        mirai_buf_append_str(&writer.buf, MIRAI_STR("…"));
    }
    write_window(&writer, body, from, to, &text, &matches);
    if (writer.marked) {
        mirai_buf_append_str(&writer.buf, MIRAI_STR("</mark>"));
    }
    if (to < body.len) {
        mirai_buf_append_str(&writer.buf, MIRAI_STR("…"));
    }
    struct mirai_str snippet = mirai_arena_copy(arena, mirai_buf_str(&writer.buf));
    mirai_buf_free(&writer.buf);
    normalized_free(&text);
    return snippet;
}
