#include "services/gateway/gateway.h"
#include "tests/unit/gateway/test.h"

#include <stdlib.h>
#include <time.h>

static bool contains(const char *markdown, const char *wanted)
{
    char *html = render_html(mirai_str(markdown));
    bool found = strstr(html, wanted) != NULL;
    free(html);
    return found;
}

static int init(void **state)
{
    (void)state;
    render_init();
    return 0;
}

static void markdown_becomes_html(void **state)
{
    (void)state;
    assert_true(contains("# \xe6\x89\x8b\xe9\xa0\x86", "<h1>\xe6\x89\x8b\xe9\xa0\x86</h1>"));
    assert_true(contains("|a|b|\n|-|-|\n|1|2|\n", "<table>"));
    assert_true(contains("- [x] done\n", "type=\"checkbox\""));
    assert_true(contains("see https://example.com/a", "<a href=\"https://example.com/a\">"));
    assert_true(contains("```sh\nls <x>\n```", "ls &lt;x&gt;"));
    assert_true(contains("", ""));
}

static void nothing_active_gets_through(void **state)
{
    (void)state;
    static const char *const hostile[] = {
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "text <b onclick=alert(1)>x</b>",
        "<div>\n<script>alert(1)</script>\n</div>",
        "[x](javascript:alert(1))",
        "[x](JaVaScRiPt:alert(1))",
        "[x](vbscript:x) [y](data:text/html,<script>alert(1)</script>)",
        "![x](javascript:alert(1))",
        "<javascript:alert(1)>",
        "[x]: javascript:alert(1)\n\n[x]",
        "|<script>|\n|-|\n|<script>alert(1)</script>|\n",
        "[^a]\n\n[^a]: <script>alert(1)</script>",
    };
    static const char *const active[] = {"<script",           "onerror=alert",    "onclick",
                                         "href=\"javascript", "src=\"javascript", "href=\"JaVa",
                                         "href=\"vbscript",   "href=\"data:"};
    for (size_t i = 0; i < sizeof(hostile) / sizeof(hostile[0]); i++) {
        for (size_t n = 0; n < sizeof(active) / sizeof(active[0]); n++) {
            if (contains(hostile[i], active[n])) {
                fail_msg("%s gives %s", hostile[i], active[n]);
            }
        }
    }
}

/* Autolinks cost quadratic time in a word without end; without them the text is shown all the same. */
static void hostile_words_cost_no_time(void **state)
{
    static const char *const words[] = {"www._", "a:", "a@"};
    (void)state;
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        struct mirai_buf text = {0};
        while (text.len < 1000000) {
            mirai_buf_append_str(&text, mirai_str(words[i]));
        }
        clock_t before = clock();
        char *html = render_html(mirai_buf_str(&text));
        assert_true(clock() - before < 5 * CLOCKS_PER_SEC); /* minutes, were they looked for */
        assert_true(strlen(html) > text.len);
        free(html);
        mirai_buf_free(&text);
    }
    assert_true(
        contains("see www.example.com/障害 and https://example.com/a?b=c", "href=\"http://www.example.com/"));
}

/* `first` and then `line` again and again, until there are a million bytes. */
static struct mirai_buf text_of(const char *opening, int times, const char *first, const char *line)
{
    struct mirai_buf text = {0};
    for (int i = 0; i < times; i++) {
        mirai_buf_append_str(&text, mirai_str(opening));
    }
    mirai_buf_append_str(&text, mirai_str(first));
    while (text.len < 1000000) {
        mirai_buf_append_str(&text, mirai_str(line));
    }
    return text;
}

/* cmark-gfm goes down all open quotes and lists for each line: minutes for a megabyte. */
static void deep_nesting_costs_no_time(void **state)
{
    (void)state;
    static const struct {
        const char *opening, *first, *line;
    } texts[] = {
        {">", "a\n", "a\n"},     {"- ", "a\n", "b\n"}, {"- ", "a\n", "\n"},   {"1) ", "a\n", "c\n"},
        {"> - ", "a\n", "<b\n"}, {"* ", "a\r", "a\r"}, {"+\t", "a\n", "a\n"}, {"- ", "a\n", "   a\n"},
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct mirai_buf text = text_of(texts[i].opening, 5000, texts[i].first, texts[i].line);
        clock_t before = clock();
        char *html = render_html(mirai_buf_str(&text));
        assert_true(clock() - before < 5 * CLOCKS_PER_SEC);
        assert_true(strncmp(html, "<pre>", 5) == 0);
        assert_null(strstr(html, "<b"));
        free(html);
        mirai_buf_free(&text);
    }
    assert_true(contains("> - 1. a\n>   - b\n", "<blockquote>"));
}

static size_t count_of(const char *text, const char *wanted)
{
    size_t count = 0;
    for (const char *at = text; (at = strstr(at, wanted)) != NULL; at++) {
        count++;
    }
    return count;
}

/* Texts that an unbounded cmark-gfm works on for minutes, most of them from its advisories. */
static void known_pathological_texts_cost_no_time(void **state)
{
    (void)state;
    static const struct {
        const char *first, *again;
    } texts[] = {
        {"", "<?-|\"."},    {"x", "<!A \r"}, {"- ", "--><?"},     {"[a]: u\n", "/u__[^1]_"},
        {"", "a|b\n-|-\n"}, {"", "![["},     {"", "<<![CDATA[*"}, {"|", "a|"},
        {"", "[^1]"},       {"", "*a_ __"},
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct mirai_buf text = text_of("", 0, texts[i].first, texts[i].again);
        clock_t before = clock();
        free(render_html(mirai_buf_str(&text)));
        assert_true(clock() - before < 5 * CLOCKS_PER_SEC);
        mirai_buf_free(&text);
    }
    assert_true(contains("*still*", "<em>still</em>"));
    assert_true(contains("[^漢字: \nabc] d", "<pre>[^漢字: \nabc] d</pre>")); /* else half a character */
}

/* A megabyte of honest text is no such thing. */
static void a_long_text_is_rendered(void **state)
{
    (void)state;
    struct mirai_buf text =
        text_of("", 0, "# x\n\n", "**障害** の [手順](/a) は `ls` と *確認*。\n- 一\n- 二\n\n");
    char *html = render_html(mirai_buf_str(&text));
    assert_true(strncmp(html, "<h1>", 4) == 0);
    assert_true(count_of(html, "<strong>") > 10000);
    free(html);
    mirai_buf_free(&text);
}

/* Each row is filled up to the width of the head: 100 KB would become a thousand million cells. */
static void a_wide_table_takes_no_memory(void **state)
{
    (void)state;
    static const char *const rows[] = {"a\n", "|a\n", "> a\n"};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct mirai_buf text = {0};
        for (int n = 0; n < 30000; n++) {
            mirai_buf_append_str(&text, MIRAI_STR("a|"));
        }
        mirai_buf_append_char(&text, '\n');
        for (int n = 0; n < 30000; n++) {
            mirai_buf_append_str(&text, MIRAI_STR("-|"));
        }
        mirai_buf_append_char(&text, '\n');
        for (int n = 0; n < 30000; n++) {
            mirai_buf_append_str(&text, mirai_str(rows[i]));
        }
        char *html = render_html(mirai_buf_str(&text));
        assert_int_equal(count_of(html, "<table>"), 0);
        free(html);
        mirai_buf_free(&text);
    }
    struct mirai_buf long_table = {0};
    mirai_buf_append_str(&long_table, MIRAI_STR("|a|b|c|d|\n|-|-|-|-|\n"));
    for (int n = 0; n < 20000; n++) {
        mirai_buf_append_str(&long_table, MIRAI_STR("|1|2|3|4|\n"));
    }
    char *html = render_html(mirai_buf_str(&long_table));
    assert_int_equal(count_of(html, "<tr>"), 20001);
    free(html);
    mirai_buf_free(&long_table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(markdown_becomes_html),
        cmocka_unit_test(nothing_active_gets_through),
        cmocka_unit_test(hostile_words_cost_no_time),
        cmocka_unit_test(deep_nesting_costs_no_time),
        cmocka_unit_test(known_pathological_texts_cost_no_time),
        cmocka_unit_test(a_long_text_is_rendered),
        cmocka_unit_test(a_wide_table_takes_no_memory),
    };
    return cmocka_run_group_tests(tests, init, NULL);
}
