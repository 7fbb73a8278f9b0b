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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(markdown_becomes_html),
        cmocka_unit_test(nothing_active_gets_through),
        cmocka_unit_test(hostile_words_cost_no_time),
    };
    return cmocka_run_group_tests(tests, init, NULL);
}
