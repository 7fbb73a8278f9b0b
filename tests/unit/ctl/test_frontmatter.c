#include "services/ctl/frontmatter.h"

#include "libcommon/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct mirai_arena arena;
static struct front_matter front;
static char reason[FRONT_REASON_SIZE];

static int parse(const char *text)
{
    reason[0] = '\0';
    return front_matter_parse(mirai_str(text), &arena, &front, reason);
}

static int teardown(void **state)
{
    (void)state;
    mirai_arena_free(&arena);
    return 0;
}

static void assert_str(struct mirai_str s, const char *expected)
{
    char *copy = mirai_str_dup(s);
    assert_string_equal(copy, expected);
    free(copy);
}

static void assert_value(const char *key, const char *expected)
{
    const struct front_pair *pair = front_matter_find(&front, key);
    assert_non_null(pair);
    assert_str(pair->value, expected);
}

static void reads_scalars_and_lists(void **state)
{
    (void)state;
    assert_int_equal(
        parse("---\ntitle: \"VPN が切れる\"\nms.date: 07/27/2021\ntags:\n  - a\n  - \"b c\"\n---\n\n# X\n"),
        0);
    assert_value("title", "VPN が切れる");
    assert_value("ms.date", "07/27/2021");
    const struct front_pair *tags = front_matter_find(&front, "tags");
    assert_true(tags->is_list);
    assert_int_equal(tags->count, 2);
    assert_str(tags->items[1], "b c");
    assert_str(front.body, "# X\n");
}

static void reads_a_text_without_a_block(void **state)
{
    (void)state;
    assert_int_equal(parse("# X\n---\n"), 0);
    assert_int_equal(front.count, 0);
    assert_str(front.body, "# X\n---\n");
    assert_int_equal(parse(""), 0);
    assert_int_equal(parse("---\nnever closed\n"), 0);
    assert_str(front.body, "---\nnever closed\n");
}

static void takes_one_empty_line_and_no_more(void **state)
{
    (void)state;
    assert_int_equal(parse("---\na: b\n---\n\n\nx"), 0);
    assert_str(front.body, "\nx");
    assert_int_equal(parse("---\na: b\n---\nx"), 0);
    assert_str(front.body, "x");
    assert_int_equal(parse("\xef\xbb\xbf---\r\na: b\r\n---\r\n\r\nx"), 0);
    assert_value("a", "b");
    assert_str(front.body, "x");
    assert_int_equal(parse("---\n---"), 0);
    assert_int_equal(front.count, 0);
    assert_str(front.body, "");
}

static void tells_null_and_leaves_out_nested(void **state)
{
    (void)state;
    assert_int_equal(
        parse("---\na:\nb: ~\nc: null\nd: \"null\"\ne: {x: [1, {y: 2}]}\nf: [1, [2], ~, 3]\n---\n"), 0);
    assert_true(front_matter_find(&front, "a")->is_null);
    assert_true(front_matter_find(&front, "b")->is_null);
    assert_true(front_matter_find(&front, "c")->is_null);
    assert_false(front_matter_find(&front, "d")->is_null);
    assert_value("d", "null");
    assert_null(front_matter_find(&front, "e"));
    assert_int_equal(front_matter_find(&front, "f")->count, 2);
}

static void refuses(const char *text, const char *why)
{
    assert_int_equal(parse(text), MIRAI_E_INVALID);
    if (strstr(reason, why) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", reason, why);
    }
}

static void refuses_hostile_yaml(void **state)
{
    (void)state;
    refuses("---\na: &x [1]\nb: *x\n---\n", "anchors and aliases");
    refuses("---\na: *x\n---\n", "anchors and aliases");
    refuses("---\n&x a: 1\n---\n", "anchors and aliases");
    refuses("---\na: 1\na: 2\n---\n", "given twice");
    refuses("---\n- a\n- b\n---\n", "not a list of keys");
    refuses("---\njust text\n---\n", "not a list of keys");
    refuses("---\n? [complex]\n: 1\n---\n", "not a text");
    refuses("---\na: \"open\n---\n", "line");
    refuses("---\na: b: c\n---\n", "line 2");
}

static void refuses_what_is_too_much(void **state)
{
    struct mirai_buf text = {0};
    (void)state;
    mirai_buf_printf(&text, "---\na: ");
    for (int i = 0; i < 40; i++) {
        mirai_buf_append_char(&text, '[');
    }
    for (int i = 0; i < 40; i++) {
        mirai_buf_append_char(&text, ']');
    }
    mirai_buf_append(&text, "\n---\n", 6);
    refuses(text.data, "too deeply");

    text.len = 0;
    mirai_buf_printf(&text, "---\n");
    for (int i = 0; i <= FRONT_PAIRS_MAX; i++) {
        mirai_buf_printf(&text, "k%d: v\n", i);
    }
    mirai_buf_append(&text, "---\n", 5);
    refuses(text.data, "too many keys");

    text.len = 0;
    mirai_buf_printf(&text, "---\na:\n");
    for (int i = 0; i <= FRONT_ITEMS_MAX; i++) {
        mirai_buf_printf(&text, "- %d\n", i);
    }
    mirai_buf_append(&text, "---\n", 5);
    refuses(text.data, "too many items");

    text.len = 0;
    mirai_buf_printf(&text, "---\na: ");
    for (int i = 0; i < FRONT_MATTER_MAX; i++) {
        mirai_buf_append_char(&text, 'x');
    }
    mirai_buf_append(&text, "\n---\n", 6);
    refuses(text.data, "too large");

    text.len = 0;
    mirai_buf_printf(&text, "---\n");
    for (int i = 0; i <= FRONT_KEY_MAX; i++) {
        mirai_buf_append_char(&text, 'x');
    }
    mirai_buf_append(&text, ": 1\n---\n", 9);
    refuses(text.data, "too long");
    mirai_buf_free(&text);
}

static void quotes_what_it_reads_back(void **state)
{
    static const char *const values[] = {"plain",
                                         "a: b # c",
                                         "\"quoted\" \\ back",
                                         "tab\tline\nend",
                                         "\x7f\xc2\x85\xe2\x80\xa8",
                                         "日本語 😀",
                                         "a\xe2\x80\xa8 b",
                                         "\xef\xbb\xbf",
                                         "\xef\xbf\xbf",
                                         "- x",
                                         "null",
                                         "{a",
                                         "'"};
    (void)state;
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        struct mirai_buf text = {0};
        mirai_buf_printf(&text, "---\nkey: ");
        front_matter_quote(&text, mirai_str(values[i]));
        mirai_buf_append(&text, "\n---\n", 6);
        assert_int_equal(parse(text.data), 0);
        assert_value("key", values[i]);
        mirai_buf_free(&text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(reads_scalars_and_lists, teardown),
        cmocka_unit_test_teardown(reads_a_text_without_a_block, teardown),
        cmocka_unit_test_teardown(takes_one_empty_line_and_no_more, teardown),
        cmocka_unit_test_teardown(tells_null_and_leaves_out_nested, teardown),
        cmocka_unit_test_teardown(refuses_hostile_yaml, teardown),
        cmocka_unit_test_teardown(refuses_what_is_too_much, teardown),
        cmocka_unit_test_teardown(quotes_what_it_reads_back, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
