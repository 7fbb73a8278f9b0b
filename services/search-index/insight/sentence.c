#include "services/search-index/insight/sentence.h"

/* A quotation that goes on for longer than this was not closed. */
#define QUOTE_MAX 400

static bool starts(struct mirai_str s, size_t at, const char *with)
{
    size_t len = strlen(with);
    return s.len - at >= len && memcmp(s.data + at, with, len) == 0;
}

/* Bytes of a mark that ends a Japanese sentence. */
static size_t full_stop(struct mirai_str s, size_t at)
{
    static const char *const marks[] = {"。", "！", "？", "．"};
    if ((unsigned char)s.data[at] != 0xE3 && (unsigned char)s.data[at] != 0xEF) {
        return 0;
    }
    for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++) {
        if (starts(s, at, marks[i])) {
            return strlen(marks[i]);
        }
    }
    return 0;
}

static bool is_abbreviation(struct mirai_str s, size_t dot)
{
    static const char *const words[] = {"e.g", "i.e", "etc", "vs", "No", "no",  "approx", "Fig",
                                        "fig", "cf",  "Mr",  "Ms", "Dr", "Inc", "Ltd",    "Co"};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        size_t len = strlen(words[i]);
        bool begins =
            dot == len || (dot > len && (s.data[dot - len - 1] == ' ' || s.data[dot - len - 1] == '('));
        if (dot >= len && begins && memcmp(s.data + dot - len, words[i], len) == 0) {
            return true;
        }
    }
    return dot == 1 ||
           (dot >= 2 && s.data[dot - 2] == ' ' && s.data[dot - 1] >= 'A' && s.data[dot - 1] <= 'Z');
}

/* "." or "!" or "?" before a space, also behind a closing quotation: not in version numbers, names of files and
 * hosts. */
static bool latin_stop(struct mirai_str s, size_t at)
{
    char c = s.data[at];
    size_t next = at + 1;
    bool closed = next < s.len && (s.data[next] == '"' || s.data[next] == ')');
    next += closed;
    bool end = next >= s.len || s.data[next] == ' ';
    if (closed && end && next + 1 < s.len && (s.data[next + 1] < 'A' || s.data[next + 1] > 'Z')) {
        return false; /* a name was quoted */
    }
    return end && (c == '!' || c == '?' || (c == '.' && !is_abbreviation(s, at)));
}

size_t sentence_length(struct mirai_str text)
{
    size_t quoted = 0; /* where a quotation or parenthesis began, + 1 */
    for (size_t at = 0; at < text.len; at++) {
        if ((unsigned char)text.data[at] == 0xE3 || (unsigned char)text.data[at] == 0xEF) {
            if (starts(text, at, "「") || starts(text, at, "『") || starts(text, at, "（")) {
                quoted = quoted == 0 ? at + 1 : quoted;
            } else if (starts(text, at, "」") || starts(text, at, "』") || starts(text, at, "）")) {
                quoted = 0;
            }
        }
        if (quoted != 0 && at > quoted + QUOTE_MAX) {
            quoted = 0;
        }
        size_t stop = quoted == 0 ? full_stop(text, at) : 0;
        stop = stop == 0 && quoted == 0 && latin_stop(text, at) ? 1 : stop;
        if (stop > 0) {
            size_t end = at + stop;
            while (end < text.len &&
                   (text.data[end] == ' ' || text.data[end] == '"' || text.data[end] == ')')) {
                end++;
            }
            return end;
        }
    }
    return text.len;
}
