#include "services/gateway/gateway.h"
#include "tests/fuzz/fuzz.h"

#include <strings.h>

/* Whether a tag of the HTML begins with `name`. */
static bool has_tag(const char *html, const char *name)
{
    for (const char *at = html; (at = strchr(at, '<')) != NULL; at++) {
        if (strncasecmp(at + 1, name, strlen(name)) == 0) {
            return true;
        }
    }
    return false;
}

/* A URL that runs something when it is followed. */
static bool has_active_url(const char *html)
{
    static const char *const starts[] = {
        "href=\"javascript:", "src=\"javascript:", "href=\"vbscript:", "href=\"file:", "href=\"data:text"};
    for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
        if (strcasestr(html, starts[i]) != NULL) {
            return true;
        }
    }
    return false;
}

/* Any Markdown becomes UTF-8 in which nothing runs. The first byte says how often the rest is repeated. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const active[] = {"script", "style", "iframe", "object", "embed", "form", "svg",
                                         "math",   "link",  "meta",   "base",   "video", "body", "html"};
    static bool ready;
    if (!ready) {
        render_init();
        ready = true;
    }
    if (size < 1 || !mirai_utf8_valid((struct mirai_str){(const char *)data + 1, size - 1})) {
        return 0;
    }
    struct mirai_buf text = {0};
    for (unsigned i = 0; i <= data[0] && text.len < 65536; i++) {
        mirai_buf_append(&text, data + 1, size - 1);
    }
    char *html = render_html(mirai_buf_str(&text));
    expect(mirai_utf8_valid(mirai_str(html)));
    for (size_t i = 0; i < sizeof(active) / sizeof(active[0]); i++) {
        expect(!has_tag(html, active[i]));
    }
    expect(!has_active_url(html));
    free(html);
    mirai_buf_free(&text);
    return 0;
}
