#include "services/search-index/query/lexer.h"

#include "services/search-index/analyzer/normalize.h"

/* Longest key of a filter in bytes, before it is normalised. */
#define KEY_MAX 24

/* From this many digits on, a number with a minus sign is an error code (-2147467259) and not something to leave out.
 */
#define CODE_DIGITS 5

static const struct {
    const char *name; /* normalised */
    enum query_key key;
} keys[] = {
    {"tag", QUERY_KEY_TAG},       {"タグ", QUERY_KEY_TAG},          {"type", QUERY_KEY_TYPE},
    {"種類", QUERY_KEY_TYPE},     {"種別", QUERY_KEY_TYPE},         {"status", QUERY_KEY_STATUS},
    {"状態", QUERY_KEY_STATUS},   {"ステータス", QUERY_KEY_STATUS}, {"author", QUERY_KEY_AUTHOR},
    {"著者", QUERY_KEY_AUTHOR},   {"作成者", QUERY_KEY_AUTHOR},     {"title", QUERY_KEY_TITLE},
    {"題名", QUERY_KEY_TITLE},    {"タイトル", QUERY_KEY_TITLE},    {"件名", QUERY_KEY_TITLE},
    {"before", QUERY_KEY_BEFORE}, {"より前", QUERY_KEY_BEFORE},     {"until", QUERY_KEY_UNTIL},
    {"以前", QUERY_KEY_UNTIL},    {"after", QUERY_KEY_AFTER},       {"以降", QUERY_KEY_AFTER},
};

const char *query_key_name(enum query_key key)
{
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        if (keys[i].key == key) {
            return keys[i].name;
        }
    }
    return "";
}

/* The sign at `at` that means something here, whatever its width; 0: any other character. *len receives its bytes (of
 * any character). Quotation marks of all shapes are '"', corner brackets (as in 「題名」) '['. */
static char sign_at(struct mirai_str text, size_t at, size_t *len)
{
    static const struct {
        const char *bytes;
        char sign;
    } wide[] = {
        {"　", ' '}, {"“", '"'}, {"”", '"'},  {"„", '"'},  {"‟", '"'},  {"〝", '"'},
        {"〟", '"'}, {"−", '-'}, {"「", '['}, {"『", '['}, {"」", ']'}, {"』", ']'},
    };
    unsigned char first = (unsigned char)text.data[at];
    size_t room = text.len - at;
    *len = first < 0x80 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
    *len = *len > room ? room : *len;
    if (first < 0x80) {
        bool space = first == '\t' || first == '\n' || first == '\r' || first == '\v' || first == '\f';
        bool sign = strchr(" \"-|:()", text.data[at]) != NULL;
        return space ? ' ' : sign ? text.data[at] : 0;
    }
    if (*len != 3) {
        return 0;
    }
    if (first == 0xEF) { /* full-width forms: U+FF01 to U+FF5E are ASCII's '!' to '~' */
        unsigned cp =
            ((unsigned char)text.data[at + 1] & 0x3Fu) << 6 | ((unsigned char)text.data[at + 2] & 0x3Fu);
        char c = cp >= 0xF01 && cp <= 0xF5E ? (char)(cp - 0xF01 + '!') : 'x';
        return strchr("\"-|:()", c) != NULL ? c : 0;
    }
    for (size_t i = 0; i < sizeof(wide) / sizeof(wide[0]); i++) {
        if (memcmp(text.data + at, wide[i].bytes, 3) == 0) {
            return wide[i].sign;
        }
    }
    return 0;
}

static struct mirai_str slice(struct mirai_str text, size_t from, size_t to)
{
    return (struct mirai_str){text.data + from, to - from};
}

/* Where the run that starts at `at` ends: at a space or a bar. */
static size_t run_end(struct mirai_str text, size_t at)
{
    size_t len;
    while (at < text.len) {
        char sign = sign_at(text, at, &len);
        if (sign == ' ' || sign == '|') {
            break;
        }
        at += len;
    }
    return at;
}

/* The next `sign` at or behind `at`; text.len: none. */
static size_t find_sign(struct mirai_str text, size_t at, char sign)
{
    size_t len;
    while (at < text.len && sign_at(text, at, &len) != sign) {
        at += len;
    }
    return at;
}

void lexer_begin(struct lexer *lexer, struct mirai_str text)
{
    *lexer = (struct lexer){.rest = text};
}

/* Whether the run is this operator: written in capitals, so that "or" stays a word. */
static bool is_operator(struct mirai_str run, const char *operator, const char * wide)
{
    return mirai_str_eq(run, mirai_str(operator)) || mirai_str_eq(run, mirai_str(wide));
}

static bool is_code(struct mirai_str run)
{
    for (size_t i = 0; i < run.len; i++) {
        if (run.data[i] < '0' || run.data[i] > '9') {
            return false;
        }
    }
    return run.len >= CODE_DIGITS;
}

/* A minus sign before something, not before another one (--help). */
static bool is_minus(struct mirai_str text, size_t at, size_t *len)
{
    size_t next_len;
    if (sign_at(text, at, len) != '-' || at + *len >= text.len) {
        return false;
    }
    char next = sign_at(text, at + *len, &next_len);
    return next != ' ' && next != '-' && next != '|' &&
           !is_code(slice(text, at + *len, run_end(text, at + *len)));
}

/* "quoted": its end, or 0 when the mark at `at` opens nothing. */
static size_t quoted(struct lexer *lexer, struct mirai_str text, size_t at, struct mirai_str *inner)
{
    size_t len;
    if (lexer->unclosed || sign_at(text, at, &len) != '"') {
        return 0;
    }
    size_t close = find_sign(text, at + len, '"');
    if (close == text.len) {
        lexer->unclosed = true;
        return 0;
    }
    *inner = slice(text, at + len, close);
    sign_at(text, close, &len);
    return close + len;
}

/* The colon behind a known key; 0: there is none. */
static size_t find_key(struct mirai_str text, size_t at, size_t end, enum query_key *key)
{
    size_t colon = at;
    size_t len;
    while (colon < end && colon - at <= KEY_MAX && sign_at(text, colon, &len) != ':') {
        colon += len;
    }
    if (colon >= end || colon == at || colon - at > KEY_MAX) {
        return 0;
    }
    struct normalized name = {0};
    normalize(&name, slice(text, at, colon), false);
    struct mirai_str normal = mirai_buf_str(&name.text);
    size_t found = 0;
    for (size_t i = 0; found == 0 && i < sizeof(keys) / sizeof(keys[0]); i++) {
        if (mirai_str_eq(normal, mirai_str(keys[i].name))) {
            *key = keys[i].key;
            found = colon;
        }
    }
    normalized_free(&name);
    return found;
}

/* An opening parenthesis was passed over or the value has none: (tag:a OR tag:b). */
static size_t without_parentheses(struct mirai_str text, size_t from, size_t to)
{
    size_t len;
    size_t last = to;
    int depth = 0;
    for (size_t at = from; at < to; at += len) {
        char sign = sign_at(text, at, &len);
        depth += sign == '(';
        depth -= sign == ')';
        last = sign == ')' && depth < 0 && at + len == to && at > from ? at : to;
    }
    return last;
}

/* key:value, key:"value", key:「value」. Its end, or 0. */
static size_t filter(struct lexer *lexer, struct mirai_str text, size_t at, struct lexeme *out)
{
    size_t end = run_end(text, at);
    size_t colon = find_key(text, at, end, &out->key);
    size_t len;
    if (colon == 0) {
        return 0;
    }
    sign_at(text, colon, &len);
    size_t value = colon + len;
    if (value >= text.len) {
        return 0;
    }
    out->kind = LEXEME_FILTER;
    size_t close = quoted(lexer, text, value, &out->text);
    if (close == 0 && sign_at(text, value, &len) == '[') {
        size_t bracket = find_sign(text, value + len, ']');
        if (bracket < text.len) {
            out->text = slice(text, value + len, bracket);
            close = bracket + 3;
        }
    }
    if (close != 0) {
        return out->text.len != 0 ? close : 0;
    }
    size_t stop = without_parentheses(text, value, end);
    out->text = slice(text, value, stop);
    bool address = stop - value >= 2 && memcmp(text.data + value, "//", 2) == 0;
    return stop > value && !address ? end : 0;
}

/* One lexeme at `at`, which is no space; its end. */
static size_t take(struct lexer *lexer, struct mirai_str text, size_t at, struct lexeme *out)
{
    size_t len;
    size_t start = at;
    if (is_minus(text, at, &len)) {
        out->excluded = true;
        at += len;
    }
    for (; at < text.len && sign_at(text, at, &len) == '('; at += len) {
    }
    size_t end = at < text.len ? filter(lexer, text, at, out) : 0;
    if (end == 0 && at < text.len) {
        out->kind = LEXEME_PHRASE;
        end = quoted(lexer, text, at, &out->text);
    }
    if (end == 0) {
        out->kind = LEXEME_WORD;
        end = run_end(text, at);
        out->text = slice(text, at, end);
    }
    out->whole = slice(text, start, end);
    return end;
}

/* Spaces, bars and operators before the next lexeme; false: nothing follows. */
static bool pass_operators(struct mirai_str text, size_t *at, struct lexeme *out)
{
    size_t len;
    while (*at < text.len) {
        char sign = sign_at(text, *at, &len);
        if (sign == ' ' || sign == '|') {
            out->alternative |= sign == '|';
            *at += len;
            continue;
        }
        size_t end = run_end(text, *at);
        struct mirai_str run = slice(text, *at, end);
        if (is_operator(run, "OR", "ＯＲ") || is_operator(run, "または", "又は")) {
            out->alternative = true;
        } else if (is_operator(run, "NOT", "ＮＯＴ")) {
            out->excluded = true;
        } else if (!is_operator(run, "AND", "ＡＮＤ")) {
            return true;
        }
        *at = end;
    }
    return false;
}

bool lexer_next(struct lexer *lexer, struct lexeme *out)
{
    struct mirai_str text = lexer->rest;
    size_t at = 0;
    *out = (struct lexeme){0};
    bool more = pass_operators(text, &at, out);
    if (more) {
        at = take(lexer, text, at, out);
    }
    lexer->rest = slice(text, at, text.len);
    return more;
}
