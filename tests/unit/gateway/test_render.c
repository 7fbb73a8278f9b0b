#include "services/gateway/gateway.h"
#include "tests/unit/gateway/test.h"

#include <stdlib.h>

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(markdown_becomes_html),
        cmocka_unit_test(nothing_active_gets_through),
    };
    return cmocka_run_group_tests(tests, init, NULL);
}
