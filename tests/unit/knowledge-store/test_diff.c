#include "services/knowledge-store/diff.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static void assert_diff(const char *before, const char *after, const char *expected)
{
    struct mirai_buf out = {0};
    diff_unified(&out, mirai_str(before), mirai_str(after));
    mirai_buf_append_char(&out, '\0');
    assert_string_equal(out.data, expected);
    mirai_buf_free(&out);
}

static void shows_what_differs(void **state)
{
    (void)state;
    assert_diff("", "", "");
    assert_diff("a\nb\n", "a\nb\n", "");
    assert_diff("", "a\n", "@@ -0,0 +1 @@\n+a\n");
    assert_diff("a\n", "", "@@ -1 +0,0 @@\n-a\n");
    assert_diff("a\nb\nc\n", "a\nx\nc\n", "@@ -1,3 +1,3 @@\n a\n-b\n+x\n c\n");
    assert_diff("a\nb", "a\nb\n", "@@ -1,2 +1,2 @@\n a\n-b\n\\ No newline at end of file\n+b\n");
    assert_diff("障害\n原因\n", "障害\n対処\n", "@@ -1,2 +1,2 @@\n 障害\n-原因\n+対処\n");
}

static void distant_changes_are_separate_hunks(void **state)
{
    (void)state;
    assert_diff("1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\n12\n", "1\nX\n3\n4\n5\n6\n7\n8\n9\n10\nY\n12\n",
                "@@ -1,5 +1,5 @@\n 1\n-2\n+X\n 3\n 4\n 5\n@@ -8,5 +8,5 @@\n 8\n 9\n 10\n-11\n+Y\n 12\n");
}

static struct mirai_str random_text(struct mirai_buf *buf, unsigned *seed, int lines, int words)
{
    buf->len = 0;
    for (int i = 0; i < lines; i++) {
        mirai_buf_printf(buf, "%d\n", rand_r(seed) % words);
    }
    if (lines > 0 && rand_r(seed) % 4 == 0) {
        buf->len--;
    }
    return mirai_buf_str(buf);
}

/* The line before which "@@ -start,count +…" takes effect: an empty range stands after its line. */
static size_t hunk_start(const char *line)
{
    size_t start, count = 1;
    assert_true(sscanf(line, "@@ -%zu,%zu", &start, &count) >= 1);
    return count == 0 ? start + 1 : start;
}

/* Follow the hunks over `before`; the outcome must be `after`. */
static void apply(struct mirai_str before, struct mirai_str diff, struct mirai_buf *out)
{
    size_t at = 0, line = 1;
    while (diff.len > 0) {
        const char *end = memchr(diff.data, '\n', diff.len);
        size_t len = (size_t)(end - diff.data) + 1;
        size_t next = diff.len > len && diff.data[len] == '\\' ? len - 1 : len;
        size_t start;
        switch (diff.data[0]) {
        case '@':
            start = hunk_start(diff.data);
            for (; line < start; line++) {
                const char *newline = memchr(before.data + at, '\n', before.len - at);
                size_t kept = (size_t)(newline - before.data) + 1 - at;
                mirai_buf_append(out, before.data + at, kept);
                at += kept;
            }
            break;
        case '+':
            mirai_buf_append(out, diff.data + 1, next - 1);
            break;
        case ' ':
        case '-':
            assert_memory_equal(before.data + at, diff.data + 1, next - 1);
            if (diff.data[0] == ' ') {
                mirai_buf_append(out, diff.data + 1, next - 1);
            }
            at += next - 1;
            line++;
            break;
        default:
            assert_int_equal(diff.data[0], '\\');
        }
        diff.data += len;
        diff.len -= len;
    }
    mirai_buf_append(out, before.data + at, before.len - at);
}

static void applying_it_gives_the_other_text(void **state)
{
    unsigned seed = 42;
    struct mirai_buf a = {0}, b = {0}, diff = {0}, result = {0};
    (void)state;
    for (int round = 0; round < 3000; round++) {
        struct mirai_str before = random_text(&a, &seed, rand_r(&seed) % 40, 2 + round % 9);
        struct mirai_str after = random_text(&b, &seed, rand_r(&seed) % 40, 2 + round % 9);
        diff.len = result.len = 0;
        diff_unified(&diff, before, after);
        mirai_buf_append_char(&diff, '\0'); /* for sscanf */
        diff.len--;
        apply(before, mirai_buf_str(&diff), &result);
        assert_true(mirai_str_eq(mirai_buf_str(&result), after));
    }
    mirai_buf_free(&a);
    mirai_buf_free(&b);
    mirai_buf_free(&diff);
    mirai_buf_free(&result);
}

static void very_different_texts_end_soon(void **state)
{
    struct mirai_buf a = {0}, b = {0}, out = {0};
    (void)state;
    for (int i = 0; i < 100000; i++) {
        mirai_buf_printf(&a, "a%d\n", i);
        mirai_buf_printf(&b, "b%d\n", i);
    }
    diff_unified(&out, mirai_buf_str(&a), mirai_buf_str(&b));
    assert_true(out.len > a.len + b.len);
    mirai_buf_free(&a);
    mirai_buf_free(&b);
    mirai_buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shows_what_differs),
        cmocka_unit_test(distant_changes_are_separate_hunks),
        cmocka_unit_test(applying_it_gives_the_other_text),
        cmocka_unit_test(very_different_texts_end_soon),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
