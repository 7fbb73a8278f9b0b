/* Any bytes as what two daemons said (cut where the first byte says): the text stays one that a scraper
 * parses. */
#include "services/metrics/exposition.h"
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>

static bool begins(struct mirai_str line, const char *with)
{
    size_t len = strlen(with);
    return line.len >= len && memcmp(line.data, with, len) == 0;
}

static size_t name_length(struct mirai_str s)
{
    size_t n = 0;
    while (n < s.len && (s.data[n] == '_' || s.data[n] == ':' || (s.data[n] >= '0' && s.data[n] <= '9') ||
                         ((s.data[n] | 0x20) >= 'a' && (s.data[n] | 0x20) <= 'z'))) {
        n++;
    }
    return n;
}

/* name{label="value",…} number */
static void expect_sample(struct mirai_str line)
{
    size_t at = name_length(line);
    bool more = true;
    expect(at > 0 && at < line.len && line.data[at] == '{');
    while (more) {
        at++;
        at += name_length((struct mirai_str){line.data + at, line.len - at});
        expect(at + 1 < line.len && line.data[at] == '=' && line.data[at + 1] == '"');
        for (at += 2; at < line.len && line.data[at] != '"'; at++) {
            at += line.data[at] == '\\';
        }
        at++;
        expect(at < line.len && (line.data[at] == ',' || line.data[at] == '}'));
        more = line.data[at] == ',';
    }
    expect(at + 2 < line.len && line.data[at + 1] == ' ');
    struct mirai_str number = {line.data + at + 2, line.len - at - 2};
    for (size_t i = 0; i < number.len; i++) {
        expect(strchr("0123456789+-.eInfNa", number.data[i]) != NULL);
    }
}

static void expect_parseable(struct mirai_str text)
{
    expect(mirai_utf8_valid(text) && text.len > 0 && text.data[text.len - 1] == '\n');
    while (text.len > 0) {
        size_t len = (size_t)((const char *)memchr(text.data, '\n', text.len) - text.data);
        struct mirai_str line = {text.data, len};
        if (!begins(line, "# HELP ") && !begins(line, "# TYPE ") && !begins(line, "# EOF")) {
            expect_sample(line);
        }
        text.data += len + 1;
        text.len -= len + 1;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    size_t first = size > 1 ? data[0] * (size - 1) / 255 : 0;
    const char *bytes = (const char *)data + 1;
    const struct exposition_source sources[] = {
        {MIRAI_STR("gateway"), MIRAI_STR("1"), {bytes, first}},
        {MIRAI_STR("gateway"), MIRAI_STR("2\"\\\n"), {bytes + first, size - 1 - first}},
        {MIRAI_STR("backup"), MIRAI_STR("1"), {bytes, size - 1}},
    };
    for (int format = EXPOSITION_PROMETHEUS; format <= EXPOSITION_OPENMETRICS; format++) {
        struct mirai_buf out = {0};
        exposition_render(&out, (enum exposition_format)format, sources, 3);
        expect_parseable(mirai_buf_str(&out));
        mirai_buf_free(&out);
    }
    return 0;
}
