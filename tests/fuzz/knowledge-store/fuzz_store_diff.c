/* Two texts, divided where the first two bytes say: following the difference over the one gives the other. */
#include "services/knowledge-store/diff.h"
#include "tests/fuzz/fuzz.h"

#include <stdio.h>
#include <stdlib.h>

/* Lines that a hunk announced and that are still to come. */
struct hunk {
    size_t before_start, before_left, after_start, after_left;
};

/* "@@ -start[,count] +start[,count] @@\n" */
static void read_head(struct mirai_str line, struct hunk *hunk)
{
    char text[128];
    int end = 0;
    expect(line.len < sizeof(text));
    memcpy(text, line.data, line.len);
    text[line.len] = '\0';
    hunk->before_left = hunk->after_left = 1;
    if (sscanf(text, "@@ -%zu,%zu +%zu,%zu @@%n", &hunk->before_start, &hunk->before_left, &hunk->after_start,
               &hunk->after_left, &end) != 4 ||
        end == 0) {
        hunk->before_left = hunk->after_left = 1;
        if (sscanf(text, "@@ -%zu,%zu +%zu @@%n", &hunk->before_start, &hunk->before_left, &hunk->after_start,
                   &end) != 3 ||
            end == 0) {
            hunk->before_left = 1;
            if (sscanf(text, "@@ -%zu +%zu,%zu @@%n", &hunk->before_start, &hunk->after_start,
                       &hunk->after_left, &end) != 3 ||
                end == 0) {
                hunk->after_left = 1;
                expect(sscanf(text, "@@ -%zu +%zu @@%n", &hunk->before_start, &hunk->after_start, &end) == 2);
            }
        }
    }
    expect(end > 0 && strcmp(text + end, "\n") == 0);
}

/* The first line of a text with its newline; the text moves past it. */
static struct mirai_str take_line(struct mirai_str *text)
{
    const char *newline = text->len > 0 ? memchr(text->data, '\n', text->len) : NULL;
    size_t len = newline != NULL ? (size_t)(newline - text->data) + 1 : text->len;
    struct mirai_str line = {text->data, len};
    text->data = len > 0 ? text->data + len : text->data;
    text->len -= len;
    return line;
}

static void apply(struct mirai_str before, struct mirai_str diff, struct mirai_buf *after)
{
    size_t before_line = 1, after_line = 1;
    while (diff.len > 0) {
        struct hunk hunk;
        read_head(take_line(&diff), &hunk);
        size_t start = hunk.before_start + (hunk.before_left == 0); /* an empty range stands after its line */
        expect(start >= before_line);
        for (; before_line < start; before_line++, after_line++) {
            struct mirai_str kept = take_line(&before);
            expect(kept.len > 0);
            mirai_buf_append_str(after, kept);
        }
        expect(after_line == hunk.after_start + (hunk.after_left == 0));
        while (hunk.before_left > 0 || hunk.after_left > 0) {
            struct mirai_str line = take_line(&diff);
            expect(line.len > 1 || (line.len == 1 && line.data[0] != '\n'));
            char mark = line.data[0];
            line = (struct mirai_str){line.data + 1, line.len - 1};
            if (diff.len > 0 && diff.data[0] == '\\') { /* the newline before this mark is not the text's */
                line.len--;
                take_line(&diff);
            }
            expect(mark == ' ' || mark == '-' || mark == '+');
            if (mark != '+') {
                expect(hunk.before_left-- > 0 && mirai_str_eq(take_line(&before), line));
                before_line++;
            }
            if (mark != '-') {
                expect(hunk.after_left-- > 0);
                mirai_buf_append_str(after, line);
                after_line++;
            }
        }
    }
    mirai_buf_append_str(after, before);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) {
        return 0;
    }
    size_t len = size - 2;
    size_t first = (size_t)(data[0] << 8 | data[1]) * len / 65535;
    struct mirai_str a = {(const char *)data + 2, first}, b = {(const char *)data + 2 + first, len - first};
    struct mirai_buf diff = {0}, result = {0};
    diff_unified(&diff, a, b);
    expect((diff.len == 0) == mirai_str_eq(a, b));
    apply(a, mirai_buf_str(&diff), &result);
    expect(mirai_str_eq(mirai_buf_str(&result), b));
    mirai_buf_free(&diff);
    mirai_buf_free(&result);
    return 0;
}
