#include "services/search-index/query/markdown.h"
#include "services/search-index/query/query.h"

#include <stdlib.h>

/* A body is looked through in pieces of CHUNK bytes until one passage has all marks, and no further than BODY_MAX. */
#define CHUNK       (64u << 10)
#define BODY_MAX    (256u << 10)
#define WINDOW      360 /* bytes of normalised text in a snippet: some 120 Japanese characters */
#define LEAD        60  /* bytes before the first match, if a sentence does not begin nearer */
#define TAIL        90  /* bytes before the window's end where a sentence may end it */
#define MATCHES_MAX 4096
#define NEAR        12 /* bytes between two matches that belong together */

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

static size_t char_before(struct mirai_str text, size_t at)
{
    do {
        at--;
    } while (at > 0 && ((unsigned char)text.data[at] & 0xC0) == 0x80);
    return at;
}

static enum char_class class_before(struct mirai_str text, size_t at)
{
    return class_at(text, char_before(text, at));
}

/* Latin words must begin where the mark begins, and short ones must end with it: "ad" is not in "read" or "address". */
static bool stands_alone(struct mirai_str text, size_t start, size_t end)
{
    if (class_at(text, start) == CHAR_LATIN && start > 0 && class_before(text, start) == CHAR_LATIN) {
        return false;
    }
    return end - start >= 4 || class_before(text, end) != CHAR_LATIN || end == text.len ||
           class_at(text, end) != CHAR_LATIN;
}

/* What a match takes with it: the ending of a stemmed word (connect: connecting), the long mark (サーバ: サーバー). */
static size_t match_end(struct mirai_str text, size_t end)
{
    unsigned len;
    if (class_before(text, end) == CHAR_LATIN) {
        while (end < text.len &&
               char_class(utf8_decode(text.data + end, text.data + text.len, &len)) == CHAR_LATIN) {
            end += len;
        }
        return end;
    }
    return text.len - end >= 3 && memcmp(text.data + end, "ー", 3) == 0 ? end + 3 : end;
}

/* The part of a mark that its inflected forms share: 切り替える and 切り替えた. Then hiragana must follow. */
static struct mirai_str stem(struct mirai_str mark, bool *inflects)
{
    *inflects =
        mark.len > 3 && class_at(mark, 0) == CHAR_HAN && class_before(mark, mark.len) == CHAR_HIRAGANA;
    return *inflects ? (struct mirai_str){mark.data, char_before(mark, mark.len)} : mark;
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

/* A stretch of a text, in which one mark is noted no more often than every `gap` bytes. */
struct stretch {
    struct mirai_str text;
    size_t from;
    size_t to;
    size_t gap;
};

static void find_mark(const struct query *query, uint32_t number, const struct stretch *stretch,
                      struct matches *out)
{
    bool inflects;
    struct mirai_str text = stretch->text;
    struct mirai_str mark = query->marks[number];
    struct mirai_str needle = stem(mark, &inflects);
    const char *end = text.data + stretch->to;
    const char *p = text.data + stretch->from;
    while (needle.len > 0 && p < end && out->len < MATCHES_MAX &&
           (p = memmem(p, (size_t)(end - p), needle.data, needle.len)) != NULL) {
        size_t start = (size_t)(p - text.data);
        size_t stop = start + needle.len;
        p += needle.len;
        if (!stands_alone(text, start, stop)) {
            continue;
        }
        if (inflects) {
            if (stop == text.len || class_at(text, stop) != CHAR_HIRAGANA) {
                continue;
            }
            size_t last = mark.len - needle.len;
            bool same =
                text.len - stop >= last && memcmp(text.data + stop, mark.data + needle.len, last) == 0;
            stop += same ? last : 0;
        }
        out->list[out->len++] = (struct match){(uint32_t)start, (uint32_t)match_end(text, stop), number};
        p = text.data + (start + stretch->gap > stop ? start + stretch->gap : stop);
    }
}

static void find_matches(const struct query *query, const struct stretch *stretch, struct matches *out)
{
    out->len = 0;
    for (size_t i = 0; i < query->marks_len; i++) {
        find_mark(query, (uint32_t)i, stretch, out);
    }
    qsort(out->list, out->len, sizeof(out->list[0]), compare_matches);
}

/* What it is worth that a passage has a mark: long ones are rare ones, and hiragana says little. */
static uint32_t mark_value(struct mirai_str mark)
{
    uint32_t value = 0;
    unsigned len;
    for (size_t at = 0; at < mark.len; at += len) {
        switch (char_class(utf8_decode(mark.data + at, mark.data + mark.len, &len))) {
        case CHAR_HAN:
            value += 5;
            break;
        case CHAR_KATAKANA:
        case CHAR_LATIN:
            value += 3;
            break;
        default:
            value += 1;
        }
    }
    return value < 40 ? value : 40;
}

/* ------------------------------------------------------------------ the best passage */

struct passage {
    size_t first;   /* its first match */
    uint32_t value; /* 0: nothing matches */
    size_t marks;   /* different ones in it */
};

struct window {
    uint32_t values[QUERY_MARKS_MAX];
    uint32_t counts[QUERY_MARKS_MAX];
    uint32_t value;
    uint32_t near;
    size_t marks;
};

static bool is_near(const struct matches *matches, size_t at)
{
    const struct match *a = &matches->list[at - 1];
    const struct match *b = &matches->list[at];
    return a->mark != b->mark && b->start >= a->end && b->start - a->end <= NEAR;
}

static void enter(struct window *window, const struct matches *matches, size_t at, size_t first)
{
    uint32_t mark = matches->list[at].mark;
    bool fresh = window->counts[mark]++ == 0;
    window->value += fresh ? window->values[mark] * 4 : 1;
    window->marks += fresh;
    window->near += at > first && is_near(matches, at);
}

static void leave(struct window *window, const struct matches *matches, size_t at, size_t past)
{
    uint32_t mark = matches->list[at].mark;
    bool last = --window->counts[mark] == 0;
    window->value -= last ? window->values[mark] * 4 : 1;
    window->marks -= last;
    window->near -= at + 1 < past && is_near(matches, at + 1);
}

/* The window with the most of the query: each mark once, by its value, and a little for nearness and repetition. */
static struct passage best_passage(const struct query *query, const struct matches *matches)
{
    struct window window = {.value = 0};
    struct passage best = {0};
    for (size_t i = 0; i < query->marks_len; i++) {
        window.values[i] = mark_value(query->marks[i]);
    }
    size_t past = 0;
    for (size_t first = 0; first < matches->len; first++) {
        uint32_t limit = matches->list[first].start + WINDOW - LEAD;
        for (; past < matches->len && (past == first || matches->list[past].end <= limit); past++) {
            enter(&window, matches, past, first);
        }
        uint32_t value = window.value + 8 * window.near;
        if (value > best.value) {
            best = (struct passage){first, value, window.marks};
        }
        leave(&window, matches, first, past);
    }
    return best;
}

static size_t char_start(struct mirai_str text, size_t at)
{
    while (at > 0 && at < text.len && ((unsigned char)text.data[at] & 0xC0) == 0x80) {
        at--;
    }
    return at > text.len ? text.len : at;
}

/* Whether a sentence ends before `at`. */
static bool ends_sentence(struct mirai_str text, size_t at)
{
    char last = at > 0 ? text.data[at - 1] : '\n';
    bool stop = (last == '.' || last == '!' || last == '?') && at < text.len && text.data[at] == ' ';
    return last == '\n' || stop || (at >= 3 && memcmp(text.data + at - 3, "。", 3) == 0);
}

/* The beginning of the sentence around `at`, or some characters before it; near the end of the text more of what leads
 * there. */
static size_t window_start(struct mirai_str text, size_t at)
{
    size_t least = at > LEAD ? at - LEAD : 0;
    bool near_end = text.len - least < WINDOW;
    if (near_end) {
        least = text.len > WINDOW ? text.len - WINDOW : 0;
    }
    size_t begin = SIZE_MAX;
    for (size_t i = least; i <= at && !(near_end && begin != SIZE_MAX); i++) {
        begin = ends_sentence(text, i) ? i : begin;
    }
    return begin != SIZE_MAX ? begin : char_start(text, least);
}

static size_t window_end(struct mirai_str text, size_t start)
{
    size_t end = start + WINDOW;
    if (end >= text.len) {
        return text.len;
    }
    for (size_t i = end; i > end - TAIL; i--) {
        if (ends_sentence(text, i)) {
            return i;
        }
    }
    return char_start(text, end);
}

/* ------------------------------------------------------------------ writing */

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

static size_t char_bytes(const char *p, const char *end)
{
    size_t n = 1;
    while (p + n < end && ((unsigned char)p[n] & 0xC0) == 0x80) {
        n++;
    }
    return n;
}

/* Write the bytes [from, to) of `text`, whose normalised form is `normal`, with marks around what the matches stand
 * for. */
static void write_window(struct writer *writer, struct mirai_str text, size_t from, size_t to,
                         const struct normalized *normal, const struct matches *matches)
{
    size_t next = 0; /* match */
    size_t mark_from = 0;
    size_t mark_to = 0;
    const char *end = text.data + to;
    for (const char *p = text.data + from; p < end;) {
        size_t at = (size_t)(p - text.data);
        while (at >= mark_to && next < matches->len) {
            normalized_span(normal, matches->list[next].start, matches->list[next].end, &mark_from, &mark_to);
            next++;
        }
        size_t len = char_bytes(p, end);
        write_char(writer, p, len, at >= mark_from && at < mark_to);
        p += len;
    }
}

static struct mirai_str finish(struct writer *writer, struct mirai_arena *arena)
{
    struct mirai_str made = mirai_arena_copy(arena, mirai_buf_str(&writer->buf));
    mirai_buf_free(&writer->buf);
    return made;
}

static void close_mark(struct writer *writer)
{
    if (writer->marked) {
        mirai_buf_append_str(&writer->buf, MIRAI_STR("</mark>"));
        writer->marked = false;
    }
}

/* ------------------------------------------------------------------ a body in pieces */

struct piece {
    struct mirai_str text; /* what is shown of it */
    struct normalized normal;
    struct matches matches;
    struct passage passage;
};

/* Its list of matches is large and need not be zeroed. */
static struct piece *piece_new(void)
{
    struct piece *piece = mirai_realloc(NULL, sizeof(*piece));
    piece->text = (struct mirai_str){0};
    piece->normal = (struct normalized){0};
    piece->matches.len = 0;
    piece->passage = (struct passage){0};
    return piece;
}

static void look_at(const struct query *query, struct piece *piece, struct mirai_str text)
{
    piece->text = text;
    normalize(&piece->normal, text, true);
    struct mirai_str normal = mirai_buf_str(&piece->normal.text);
    /* so sparsely that there is room for all marks */
    const struct stretch all = {normal, 0, normal.len, normal.len * (query->marks_len + 1) / MATCHES_MAX};
    find_matches(query, &all, &piece->matches);
    piece->passage = best_passage(query, &piece->matches);
}

/* The piece of `text` with the best passage; the first one when nothing matches. `whole`: nothing comes before it. */
static void best_piece(const struct query *query, struct mirai_str text, struct piece *piece, bool *whole)
{
    struct mirai_str rest = text;
    struct mirai_str best = mirai_utf8_prefix(text, CHUNK);
    uint32_t value = 0;
    while (rest.len > 0) {
        struct mirai_str chunk = mirai_utf8_prefix(rest, CHUNK);
        look_at(query, piece, chunk);
        rest = (struct mirai_str){rest.data + chunk.len, rest.len - chunk.len};
        if (piece->passage.value > value) {
            value = piece->passage.value;
            best = chunk;
        }
        if (piece->passage.marks == query->marks_len || chunk.len == 0) {
            break;
        }
    }
    if (piece->text.data != best.data) {
        look_at(query, piece, best);
    }
    *whole = best.data == text.data;
}

static struct mirai_str write_piece(const struct query *query, struct piece *piece, bool first, bool last,
                                    struct mirai_arena *arena)
{
    struct writer writer = {0};
    struct mirai_str normal = mirai_buf_str(&piece->normal.text);
    const struct match *match = &piece->matches.list[piece->passage.first];
    size_t start = piece->passage.value > 0 ? window_start(normal, match->start) : 0;
    size_t stop = window_end(normal, start);
    const struct stretch shown = {normal, start, stop, 0};
    find_matches(query, &shown, &piece->matches);
    size_t from = piece->normal.origin[start];
    size_t to = stop > start ? piece->normal.origin[stop] : from;
    if (from > 0 || !first) {
        mirai_buf_append_str(&writer.buf, MIRAI_STR("…"));
    }
    write_window(&writer, piece->text, from, to, &piece->normal, &piece->matches);
    close_mark(&writer);
    if (to < piece->text.len || !last) {
        mirai_buf_append_str(&writer.buf, MIRAI_STR("…"));
    }
    return finish(&writer, arena);
}

struct mirai_str snippet_make(const struct query *query, struct mirai_str body, struct mirai_arena *arena)
{
    struct mirai_str part = mirai_utf8_prefix(body, BODY_MAX);
    struct mirai_buf visible = {0};
    struct piece *piece = piece_new();
    bool first = true;
    bool hidden = markdown_visible(part, &visible);
    struct mirai_str text = mirai_buf_str(&visible);
    struct mirai_str made = MIRAI_STR("");
    if (text.len > 0) {
        best_piece(query, text, piece, &first);
        bool last = piece->text.data + piece->text.len == text.data + text.len && part.len == body.len;
        made = write_piece(query, piece, first, last, arena);
    }
    bool links = hidden && memmem(part.data, part.len, "](", 2) != NULL;
    if (links && piece->passage.value == 0 && query->marks_len > 0) { /* in a link's target, perhaps */
        best_piece(query, part, piece, &first);
        bool last = piece->text.data + piece->text.len == part.data + part.len && part.len == body.len;
        made = piece->passage.value > 0 ? write_piece(query, piece, first, last, arena) : made;
    }
    normalized_free(&piece->normal);
    free(piece);
    mirai_buf_free(&visible);
    return made;
}

struct mirai_str snippet_title(const struct query *query, struct mirai_str title, struct mirai_arena *arena)
{
    struct writer writer = {0};
    struct piece *piece = piece_new();
    if (title.len > 0) {
        look_at(query, piece, title);
        write_window(&writer, title, 0, title.len, &piece->normal, &piece->matches);
        close_mark(&writer);
    }
    normalized_free(&piece->normal);
    free(piece);
    return finish(&writer, arena);
}
