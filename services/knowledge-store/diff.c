#include "services/knowledge-store/diff.h"

#include <stdlib.h>

#define CONTEXT         (size_t)3
#define DIFFERENCES_MAX 1500 /* memory and time grow with its square: 9 MB of ints */

struct lines {
    struct mirai_str *items; /* with their newline */
    uint64_t *hashes;
    size_t count;
};

enum edit { EDIT_KEEP, EDIT_REMOVE, EDIT_ADD };

/* The way from before to after, one edit a line. */
struct script {
    unsigned char *edits;
    size_t len;
};

static uint64_t hash_line(struct mirai_str line)
{
    uint64_t hash = 14695981039346656037u;
    for (size_t i = 0; i < line.len; i++) {
        hash = (hash ^ (unsigned char)line.data[i]) * 1099511628211u;
    }
    return hash;
}

static struct lines split(struct mirai_str text)
{
    struct lines lines = {0};
    size_t count = 0;
    for (size_t i = 0; i < text.len; i++) {
        count += text.data[i] == '\n';
    }
    lines.items = mirai_alloc((count + 1) * sizeof(*lines.items));
    lines.hashes = mirai_alloc((count + 1) * sizeof(*lines.hashes));
    while (text.len > 0) {
        const char *newline = memchr(text.data, '\n', text.len);
        size_t len = newline != NULL ? (size_t)(newline - text.data) + 1 : text.len;
        lines.items[lines.count] = (struct mirai_str){text.data, len};
        lines.hashes[lines.count] = hash_line(lines.items[lines.count]);
        lines.count++;
        text.data += len;
        text.len -= len;
    }
    return lines;
}

static void free_lines(struct lines *lines)
{
    free(lines->items);
    free(lines->hashes);
}

static bool same_line(const struct lines *a, size_t i, const struct lines *b, size_t j)
{
    return a->hashes[i] == b->hashes[j] && mirai_str_eq(a->items[i], b->items[j]);
}

static void add_edits(struct script *script, enum edit edit, size_t count)
{
    memset(script->edits + script->len, (int)edit, count);
    script->len += count;
}

/* The part of both texts between their common beginning and end. */
struct window {
    const struct lines *a, *b;
    size_t start; /* the same in both */
    long n, m;    /* lines of a and b in it */
};

static bool same_at(const struct window *w, long x, long y)
{
    return same_line(w->a, w->start + (size_t)x, w->b, w->start + (size_t)y);
}

/* Furthest x on each diagonal k = x - y, for each number of differences d; row d has 2 d + 1 entries and
 * begins at d * d. */
static int *row_of(int *trace, long d)
{
    return trace + d * d + d; /* entry of diagonal 0 */
}

/* From where diagonal k is best reached with d differences: true when by adding a line (from k + 1). */
static bool comes_by_adding(int *previous, long d, long k)
{
    return k == -d || (k != d && previous[k - 1] < previous[k + 1]);
}

/* The least number of differences, with the way to it in `trace`; -1 when there are too many. */
static long search(const struct window *w, int *trace, long d_max)
{
    for (long d = 0; d <= d_max; d++) {
        int *row = row_of(trace, d);
        int *previous = d > 0 ? row_of(trace, d - 1) : NULL;
        for (long k = -d; k <= d; k += 2) {
            long x = d == 0 ? 0 : comes_by_adding(previous, d, k) ? previous[k + 1] : previous[k - 1] + 1;
            long y = x - k;
            while (x < w->n && y < w->m && same_at(w, x, y)) {
                x++;
                y++;
            }
            row[k] = (int)x;
            if (x >= w->n && y >= w->m) {
                return d;
            }
        }
    }
    return -1;
}

/* Walk back from the end and write the edits of the window in order. */
static void trace_back(const struct window *w, int *trace, long d, struct script *script)
{
    size_t len = (size_t)((w->n + w->m + d) / 2); /* d lines stand alone, the others in pairs */
    unsigned char *at = script->edits + script->len + len;
    long x = w->n, y = w->m;
    script->len += len;
    for (; d > 0; d--) {
        long k = x - y;
        int *previous = row_of(trace, d - 1);
        bool add = comes_by_adding(previous, d, k);
        long from_x = previous[add ? k + 1 : k - 1];
        long from_y = from_x - (add ? k + 1 : k - 1);
        long keep = add ? x - from_x : y - from_y;
        at -= keep;
        memset(at, EDIT_KEEP, (size_t)keep);
        *--at = add ? EDIT_ADD : EDIT_REMOVE;
        x = from_x;
        y = from_y;
    }
    at -= x;
    memset(at, EDIT_KEEP, (size_t)x);
}

static void compare(const struct window *w, struct script *script)
{
    long d_max = w->n + w->m < DIFFERENCES_MAX ? w->n + w->m : DIFFERENCES_MAX;
    int *trace = mirai_alloc((size_t)((d_max + 1) * (d_max + 1)) * sizeof(*trace));
    long d = search(w, trace, d_max);
    if (d >= 0) {
        trace_back(w, trace, d, script);
    } else {
        add_edits(script, EDIT_REMOVE, (size_t)w->n);
        add_edits(script, EDIT_ADD, (size_t)w->m);
    }
    free(trace);
}

static struct script make_script(const struct lines *a, const struct lines *b)
{
    struct script script = {mirai_alloc(a->count + b->count + 1), 0};
    size_t start = 0, end = 0;
    while (start < a->count && start < b->count && same_line(a, start, b, start)) {
        start++;
    }
    while (end < a->count - start && end < b->count - start &&
           same_line(a, a->count - 1 - end, b, b->count - 1 - end)) {
        end++;
    }
    const struct window window = {a, b, start, (long)(a->count - start - end),
                                  (long)(b->count - start - end)};
    add_edits(&script, EDIT_KEEP, start);
    compare(&window, &script);
    add_edits(&script, EDIT_KEEP, end);
    return script;
}

/* ------------------------------------------------------------------ hunks */

static void write_line(struct mirai_buf *out, char mark, struct mirai_str line)
{
    mirai_buf_append_char(out, mark);
    mirai_buf_append_str(out, line);
    if (line.data[line.len - 1] != '\n') {
        mirai_buf_append_str(out, MIRAI_STR("\n\\ No newline at end of file\n"));
    }
}

/* An empty range stands after line `start`, others begin with line start + 1 (POSIX diff -u). */
static void write_range(struct mirai_buf *out, char mark, size_t start, size_t count)
{
    mirai_buf_printf(out, count == 1 ? "%c%zu" : "%c%zu,%zu", mark, count == 0 ? start : start + 1, count);
}

/* End of the hunk that begins at edit `from`: where more than 2 * CONTEXT kept lines follow, or the end. */
static size_t hunk_end(const struct script *script, size_t from)
{
    size_t last = from, at = from;
    for (; at < script->len && at - last <= 2 * CONTEXT; at++) {
        if (script->edits[at] != EDIT_KEEP) {
            last = at;
        }
    }
    return last + 1 + CONTEXT < script->len ? last + 1 + CONTEXT : script->len;
}

static void write_hunk(struct mirai_buf *out, const struct script *script, size_t from, size_t to,
                       const struct lines *a, size_t i, const struct lines *b, size_t j)
{
    size_t removed = 0, added = 0;
    for (size_t at = from; at < to; at++) {
        removed += script->edits[at] != EDIT_ADD;
        added += script->edits[at] != EDIT_REMOVE;
    }
    mirai_buf_append_str(out, MIRAI_STR("@@ "));
    write_range(out, '-', i, removed);
    mirai_buf_append_char(out, ' ');
    write_range(out, '+', j, added);
    mirai_buf_append_str(out, MIRAI_STR(" @@\n"));
    for (size_t at = from; at < to; at++) {
        switch ((enum edit)script->edits[at]) {
        case EDIT_KEEP:
            write_line(out, ' ', a->items[i++]);
            j++;
            break;
        case EDIT_REMOVE:
            write_line(out, '-', a->items[i++]);
            break;
        case EDIT_ADD:
            write_line(out, '+', b->items[j++]);
            break;
        }
    }
}

void diff_unified(struct mirai_buf *out, struct mirai_str before, struct mirai_str after)
{
    struct lines a = split(before), b = split(after);
    struct script script = make_script(&a, &b);
    size_t i = 0, j = 0;
    for (size_t at = 0; at < script.len;) {
        if (script.edits[at] == EDIT_KEEP) {
            at++;
            i++;
            j++;
            continue;
        }
        size_t back = i < CONTEXT ? i : CONTEXT;
        back = j < back ? j : back;
        size_t from = at, kept = 0;
        while (kept < back && from > 0 && script.edits[from - 1] == EDIT_KEEP) {
            from--;
            kept++;
        }
        size_t to = hunk_end(&script, at);
        write_hunk(out, &script, from, to, &a, i - kept, &b, j - kept);
        for (; at < to; at++) {
            i += script.edits[at] != EDIT_ADD;
            j += script.edits[at] != EDIT_REMOVE;
        }
    }
    free(script.edits);
    free_lines(&a);
    free_lines(&b);
}
