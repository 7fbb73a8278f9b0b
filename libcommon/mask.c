#include "libcommon/mask.h"

#include <ctype.h>

/* Where a secret may be: each byte that can give one away has a check that looks around it. */
enum trigger {
    NONE,
    AT,     /* mail address, password in a URL */
    ASSIGN, /* name=value, name: value */
    WIDE,   /* the same in full-width forms, which begin with this byte */
    LINE,   /* prefix_token */
    DASH,   /* PEM */
    SPACE,  /* Bearer credentials */
    DIGIT,  /* card number */
    UPPER,  /* AKIA… */
    JWT,
};

static const unsigned char triggers[256] = {
    ['@'] = AT,    ['='] = ASSIGN, [':'] = ASSIGN, [0xEF] = WIDE, ['_'] = LINE,  ['-'] = DASH,  [' '] = SPACE,
    ['0'] = DIGIT, ['1'] = DIGIT,  ['2'] = DIGIT,  ['3'] = DIGIT, ['4'] = DIGIT, ['5'] = DIGIT, ['6'] = DIGIT,
    ['7'] = DIGIT, ['8'] = DIGIT,  ['9'] = DIGIT,  ['A'] = UPPER, ['y'] = JWT,
};

/* The bytes to be masked. */
struct span {
    size_t from;
    size_t to;
};

static bool is_alnum(char c)
{
    return isalnum((unsigned char)c) != 0;
}

static bool is_space(char c)
{
    return isspace((unsigned char)c) != 0;
}

/* Whether the text has `word` at `at`. */
static bool has_at(struct mirai_str text, size_t at, const char *word)
{
    size_t len = strlen(word);
    return at <= text.len && text.len - at >= len && memcmp(text.data + at, word, len) == 0;
}

/* Whether text[from..to) ends with `word`, whatever its case. */
static bool ends_with(struct mirai_str text, size_t from, size_t to, const char *word)
{
    size_t len = strlen(word);
    /* The last byte decides nearly always; 0x20 is the difference of a letter's two cases. */
    return to - from >= len && ((text.data[to - 1] ^ word[len - 1]) & ~0x20) == 0 &&
           strncasecmp(text.data + to - len, word, len) == 0;
}

/* ------------------------------------------------------------------ names */

static bool contains(struct mirai_str text, const char *word)
{
    size_t len = strlen(word);
    for (size_t i = 0; i + len <= text.len; i++) {
        /* The first byte decides nearly always; 0x20 is the difference of a letter's two cases. */
        if (((text.data[i] ^ word[0]) & ~0x20) == 0 && strncasecmp(text.data + i, word, len) == 0) {
            return true;
        }
    }
    return false;
}

bool mirai_mask_key(struct mirai_str key)
{
    static const char *const words[] = {"password",      "passwd",  "passphrase", "passcode",
                                        "secret",        "token",   "cookie",     "csrf",
                                        "authorization", "session", "credential"};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (contains(key, words[i])) {
            return true;
        }
    }
    if (ends_with(key, 0, key.len, "otp") &&
        (key.len == 3 || !isalpha((unsigned char)key.data[key.len - 4]))) {
        return true;
    }
    /* "key", "api_key", "apikey", "private-key", but not "monkey". */
    if (key.len < 3 || !ends_with(key, 0, key.len, "key")) {
        return false;
    }
    return key.len == 3 || !isalpha((unsigned char)key.data[key.len - 4]) || contains(key, "api") ||
           contains(key, "private");
}

/* How far the value goes that belongs to a name. */
enum reach { NO_SECRET, WORD, REST_OF_LINE };

/* What text[from..to), the name before a '=' or ':', says of its value. In running text fewer words tell of secrets than
 * in names of members: "session: 3", "primary key: id". */
static enum reach reach_of(struct mirai_str text, size_t from, size_t to)
{
    static const struct {
        const char *word; /* the name ends with it */
        enum reach reach;
    } names[] = {
        {"password", WORD},
        {"passwd", WORD},
        {"pwd", WORD},
        {"passphrase", WORD},
        {"passcode", WORD},
        {"secret", WORD},
        {"token", WORD},
        {"credential", WORD},
        {"credentials", WORD},
        {"api_key", WORD},
        {"api-key", WORD},
        {"apikey", WORD},
        {"access_key", WORD},
        {"access-key", WORD},
        {"private_key", WORD},
        {"private-key", WORD},
        {"secret_key", WORD},
        {"session_id", WORD},
        {"sessionid", WORD},
        {"session-id", WORD},
        {"otp", WORD},
        {"cookie", REST_OF_LINE},
        {"authorization", REST_OF_LINE},
        {"パスワード", WORD},
        {"パスフレーズ", WORD},
        {"暗証番号", WORD},
        {"トークン", WORD},
        {"秘密鍵", WORD},
        {"合言葉", WORD},
        {"認証コード", WORD},
        {"ワンタイムコード", WORD},
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (ends_with(text, from, to, names[i].word)) {
            return names[i].reach;
        }
    }
    return NO_SECRET;
}

/* ------------------------------------------------------------------ name = value */

#define NAME_MAX_BYTES 64

static bool is_name(char c)
{
    return is_alnum(c) || c == '_' || c == '-' || c == '.' || (unsigned char)c >= 0x80;
}

static bool is_quote(char c)
{
    return c == '"' || c == '\'' || c == '`' || c == '\\';
}

/* Punctuation of Japanese that ends a word: 、 。 」 』 ） ， and the ideographic space. */
static bool is_wide_end(struct mirai_str text, size_t at)
{
    static const char *const ends[] = {"、", "。", "」", "』", "）", "，", "；", "　", "】", "＆"};
    for (size_t i = 0; (unsigned char)text.data[at] >= 0xE3 && i < sizeof(ends) / sizeof(ends[0]); i++) {
        if (has_at(text, at, ends[i])) {
            return true;
        }
    }
    return false;
}

static bool ends_word(char c)
{
    return c != '\0' && strchr("\"'`,;&)]}<>|", c) != NULL;
}

static size_t end_of_word(struct mirai_str text, size_t from)
{
    size_t i = from;
    while (i < text.len && !is_space(text.data[i]) && !ends_word(text.data[i]) && !is_wide_end(text, i)) {
        i++;
    }
    return i;
}

static size_t end_of_line(struct mirai_str text, size_t from)
{
    const char *end = memchr(text.data + from, '\n', text.len - from);
    return end != NULL ? (size_t)(end - text.data) : text.len;
}

/* What is in quotes to the closing one, which a backslash may precede in both places; else the word. */
static struct span value_at(struct mirai_str text, size_t at)
{
    while (at < text.len && (text.data[at] == ' ' || text.data[at] == '\t' || text.data[at] == '=')) {
        at++;
    }
    at += has_at(text, at, "　") ? 3 : 0;
    size_t open = at + (at < text.len && text.data[at] == '\\');
    if (open < text.len && (text.data[open] == '"' || text.data[open] == '\'' || text.data[open] == '`')) {
        size_t end = open + 1;
        while (end < text.len && text.data[end] != text.data[open]) {
            end += text.data[end] == '\\' && open == at ? 2 : 1; /* an escaped quote is part of it */
        }
        end = end > text.len ? text.len : end;
        end -= open > at && end > open + 1 && text.data[end - 1] == '\\';
        return (struct span){open + 1, end};
    }
    if (has_at(text, at, "「")) {
        return (struct span){at + 3, end_of_word(text, at + 3)};
    }
    return (struct span){at, end_of_word(text, at)};
}

/* `sign` bytes of '=' or ':' at `at`. */
static struct span check_assign(struct mirai_str text, size_t done, size_t at, size_t sign)
{
    size_t to = at, from;
    while (to > done && (text.data[to - 1] == ' ' || is_quote(text.data[to - 1]))) {
        to--;
    }
    for (from = to; from > done && to - from < NAME_MAX_BYTES && is_name(text.data[from - 1]);) {
        from--;
    }
    enum reach reach = to - from >= 3 ? reach_of(text, from, to) : NO_SECRET;
    struct span value = {0, 0};
    if (reach == WORD) {
        value = value_at(text, at + sign);
        struct mirai_str word = {text.data + value.from, value.to - value.from};
        if (mirai_str_eq(word, MIRAI_STR("***"))) { /* a mask already */
            value.to = value.from;
        }
    } else if (reach == REST_OF_LINE) {
        value = (struct span){at + sign, end_of_line(text, at + sign)};
        while (value.from < value.to && text.data[value.from] == ' ') {
            value.from++;
        }
    }
    return value;
}

/* ------------------------------------------------------------------ addresses */

static bool is_local(char c)
{
    return is_alnum(c) || (c != '\0' && strchr(".!#$%&*+?^_{|}~-", c) != NULL);
}

/* Names of units and sockets have an '@', too: knowledge-store@1.sock. */
static bool is_file_ending(struct mirai_str label)
{
    static const char *const endings[] = {"sock",  "pub",    "stamps", "service", "socket", "timer", "target",
                                          "mount", "device", "slice",  "scope",   "path",   "lock",  "log",
                                          "tmp",   "pem",    "key",    "db",      "conf",   "md"};
    for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
        if (mirai_str_eq(label, mirai_str(endings[i]))) {
            return true;
        }
    }
    return false;
}

/* Whether a domain name with a dot and a last label of letters stands at `at`. */
static bool is_domain(struct mirai_str text, size_t at)
{
    size_t label = at, dots = 0, i = at;
    for (; i < text.len && (is_alnum(text.data[i]) || text.data[i] == '-' || text.data[i] == '.'); i++) {
        if (text.data[i] == '.') {
            if (i == label || i + 1 == text.len || !is_alnum(text.data[i + 1])) {
                break; /* the end of a sentence */
            }
            label = i + 1;
            dots++;
        }
    }
    struct mirai_str last = {text.data + label, i - label};
    for (size_t j = 0; j < last.len; j++) {
        if (!isalpha((unsigned char)last.data[j]) && last.data[j] != '-') {
            return false;
        }
    }
    return dots > 0 && last.len >= 2 && !is_file_ending(last);
}

static bool ends_authority(char c)
{
    switch (c) {
    case '/':
    case '?':
    case '#':
    case '"':
    case '\'':
    case '<':
    case '>':
    case '`':
        return true;
    default:
        return c >= 0 && c <= ' ';
    }
}

#define USERINFO_MAX 256
#define TOKEN_BYTES  20 /* a name without a password that is as long as this is a token */

/* scheme://user:password@host. Only for the first '@' of an authority: the last one ends the password. */
static bool check_userinfo(struct mirai_str text, size_t done, size_t at, struct span *span)
{
    size_t start = at;
    while (start > done && at - start < USERINFO_MAX && !ends_authority(text.data[start - 1])) {
        start--;
    }
    if (start < 3 || !has_at(text, start - 3, "://")) {
        return false;
    }
    size_t end = at;
    for (size_t i = at + 1; i < text.len && !ends_authority(text.data[i]); i++) {
        end = text.data[i] == '@' ? i : end;
    }
    const char *colon = memchr(text.data + start, ':', end - start);
    if (colon != NULL) {
        *span = (struct span){(size_t)(colon - text.data) + 1, end};
    } else if (end - start >= TOKEN_BYTES) {
        *span = (struct span){start, end};
    } else {
        *span = (struct span){0, 0};
    }
    return true;
}

static struct span check_at(struct mirai_str text, size_t done, size_t at, size_t sign)
{
    struct span span = {0, 0};
    if (sign == 1 && check_userinfo(text, done, at, &span)) {
        return span;
    }
    size_t from = at;
    while (from > done && at - from < 64 && is_local(text.data[from - 1])) {
        from--;
    }
    bool path = from > 0 && text.data[from - 1] == '/';
    return from < at && !path && is_domain(text, at + sign) ? (struct span){from, at} : span;
}

/* ------------------------------------------------------------------ tokens */

static size_t base64url_run(struct mirai_str text, size_t from)
{
    size_t i = from;
    while (i < text.len && (is_alnum(text.data[i]) || text.data[i] == '-' || text.data[i] == '_')) {
        i++;
    }
    return i - from;
}

/* header.payload.signature, where the header is the base64 of `{"` (RFC 7519 §3.1); at: the 'y' of "eyJ" */
static struct span check_jwt(struct mirai_str text, size_t done, size_t at)
{
    struct span none = {0, 0};
    bool begins = at > done && text.data[at - 1] == 'e' &&
                  (at - 1 == done ||
                   (!is_alnum(text.data[at - 2]) && text.data[at - 2] != '-' && text.data[at - 2] != '_'));
    if (!begins || !has_at(text, at, "yJ")) {
        return none;
    }
    size_t from = at - 1;
    size_t dot = from + base64url_run(text, from);
    size_t second = dot + 1 < text.len ? dot + 1 + base64url_run(text, dot + 1) : text.len;
    if (dot - from < 10 || second >= text.len || text.data[dot] != '.' || second - dot <= 4 ||
        text.data[second] != '.') {
        return none;
    }
    return (struct span){from, second + 1 + base64url_run(text, second + 1)};
}

/* at: the '_' behind a prefix that its issuer gave it so that it can be found */
static struct span check_prefix(struct mirai_str text, size_t done, size_t at)
{
    static const char *const prefixes[] = {"mkt", "mks", "ghp", "gho", "ghs", "ghr", "github_pat"};
    for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
        size_t len = strlen(prefixes[i]);
        if (at - done >= len && has_at(text, at - len, prefixes[i]) &&
            (at == len || !is_alnum(text.data[at - len - 1]))) {
            size_t run = base64url_run(text, at + 1);
            return run >= TOKEN_BYTES ? (struct span){at + 1, at + 1 + run} : (struct span){0, 0};
        }
    }
    return (struct span){0, 0};
}

/* AKIA and ASIA with 16 more: access keys of AWS and of what speaks S3. */
static struct span check_access_key(struct mirai_str text, size_t done, size_t at)
{
    size_t i = at;
    if ((!has_at(text, at, "AKIA") && !has_at(text, at, "ASIA")) ||
        (at > done && is_alnum(text.data[at - 1]))) {
        return (struct span){0, 0};
    }
    while (i < text.len && (isupper((unsigned char)text.data[i]) || isdigit((unsigned char)text.data[i]))) {
        i++;
    }
    return i - at == 20 && (i == text.len || !is_alnum(text.data[i])) ? (struct span){at, i}
                                                                      : (struct span){0, 0};
}

/* token68 of RFC 9110 §11.2 */
static size_t token68_run(struct mirai_str text, size_t from)
{
    size_t i = from;
    while (i < text.len &&
           (is_alnum(text.data[i]) || (text.data[i] != '\0' && strchr("-._~+/=", text.data[i]) != NULL))) {
        i++;
    }
    return i - from;
}

/* One word of letters, such as "authentication". */
static bool is_prose(struct mirai_str word)
{
    for (size_t i = 0; i < word.len; i++) {
        if (!islower((unsigned char)word.data[i]) && !(i == 0 && isupper((unsigned char)word.data[i])) &&
            !(i + 1 == word.len && word.data[i] == '.')) {
            return false;
        }
    }
    return word.len < 16;
}

/* "Bearer abc…", "Basic abc…" (RFC 9110 §11.4); a word after it in prose is shorter or all letters. */
static struct span check_scheme(struct mirai_str text, size_t done, size_t at)
{
    if (!ends_with(text, done, at, "bearer") && !ends_with(text, done, at, "basic")) {
        return (struct span){0, 0};
    }
    size_t run = token68_run(text, at + 1);
    bool secret = run >= 12 && !is_prose((struct mirai_str){text.data + at + 1, run});
    return secret ? (struct span){at + 1, at + 1 + run} : (struct span){0, 0};
}

/* -----BEGIN … PRIVATE KEY----- to the line of its end, or to the end of the text. */
static struct span check_pem(struct mirai_str text, size_t at)
{
    if (!has_at(text, at, "-----BEGIN ")) {
        return (struct span){0, 0};
    }
    size_t begin = at + 11;
    size_t room = text.len - begin < 64 ? text.len - begin : 64;
    const char *label_end = memmem(text.data + begin, room, "-----", 5);
    if (label_end == NULL || !ends_with(text, begin, (size_t)(label_end - text.data), "PRIVATE KEY")) {
        return (struct span){0, 0};
    }
    size_t body = (size_t)(label_end - text.data) + 5;
    const char *end = memmem(text.data + body, text.len - body, "-----END ", 9);
    return (struct span){body, end != NULL ? (size_t)(end - text.data) : text.len};
}

/* ------------------------------------------------------------------ card numbers */

#define CARD_MIN 14
#define CARD_MAX 19

/* The digit at `at`, also a full-width one: its length in bytes, 0 when it is none. */
static size_t digit_at(struct mirai_str text, size_t at, unsigned char *digit)
{
    if (at < text.len && isdigit((unsigned char)text.data[at])) {
        *digit = (unsigned char)(text.data[at] - '0');
        return 1;
    }
    if (has_at(text, at, "\xEF\xBC") && at + 2 < text.len && (unsigned char)text.data[at + 2] >= 0x90 &&
        (unsigned char)text.data[at + 2] <= 0x99) {
        *digit = (unsigned char)((unsigned char)text.data[at + 2] - 0x90);
        return 3;
    }
    return 0;
}

/* Check digit of ISO/IEC 7812-1, annex B. */
static bool luhn(const unsigned char *digits, size_t count)
{
    unsigned sum = 0;
    for (size_t i = 0; i < count; i++) {
        unsigned value = digits[count - 1 - i];
        value = i % 2 == 1 ? value * 2 : value;
        sum += value > 9 ? value - 9 : value;
    }
    return sum % 10 == 0;
}

/* Lengths that an issuer's numbers have; without this one in ten long numbers would be taken for a card. */
static bool issued(const unsigned char *digits, size_t count)
{
    unsigned two = digits[0] * 10u + digits[1];
    unsigned four = two * 100 + digits[2] * 10u + digits[3];
    if (digits[0] == 4) { /* Visa */
        return count == 16 || count == 19;
    }
    if ((two >= 51 && two <= 55) || (four >= 2221 && four <= 2720)) { /* Mastercard */
        return count == 16;
    }
    if (two == 34 || two == 37) { /* American Express */
        return count == 15;
    }
    if (two == 36 || two == 38 || two == 39 || (four >= 3000 && four <= 3059)) { /* Diners Club */
        return count == 14 || count == 16;
    }
    return count >= 16 && ((four >= 3528 && four <= 3589) /* JCB */ || two == 62 /* UnionPay */ ||
                           two == 65 || four == 6011 || (four >= 6440 && four <= 6499) /* Discover */);
}

/* The run of digits, with single spaces or dashes between them, that begins at `at`. *end: where it ends. */
static struct span check_card(struct mirai_str text, size_t done, size_t at, size_t *end)
{
    unsigned char digits[CARD_MAX + 1], next;
    size_t count = 0, i = at, len;
    char gap = '\0';
    if (at > done && (is_alnum(text.data[at - 1]) || strchr("._-", text.data[at - 1]) != NULL)) {
        return (struct span){0, 0}; /* inside of something else, such as a hash */
    }
    while (count <= CARD_MAX && (len = digit_at(text, i, &digits[count])) > 0) {
        count++;
        *end = i += len;
        bool gapped = i < text.len && (text.data[i] == ' ' || text.data[i] == '-') &&
                      (gap == '\0' || gap == text.data[i]) && digit_at(text, i + 1, &next) > 0;
        if (gapped) {
            gap = text.data[i++];
        }
    }
    struct mirai_str rest = {text.data + *end, text.len - *end};
    bool goes_on =
        rest.len > 0 && (is_alnum(rest.data[0]) || rest.data[0] == '_' || rest.data[0] == '-' ||
                         (rest.data[0] == '.' && rest.len > 1 && isdigit((unsigned char)rest.data[1])));
    bool card =
        !goes_on && count >= CARD_MIN && count <= CARD_MAX && issued(digits, count) && luhn(digits, count);
    return card ? (struct span){at, *end} : (struct span){0, 0};
}

/* ------------------------------------------------------------------ the pass */

/* Full-width '：', '＝', '＠' and digits. */
static struct span check_wide(struct mirai_str text, size_t done, size_t at, size_t *end)
{
    unsigned char digit;
    if (has_at(text, at, "：") || has_at(text, at, "＝")) {
        return check_assign(text, done, at, 3);
    }
    if (has_at(text, at, "＠")) {
        return check_at(text, done, at, 3);
    }
    return digit_at(text, at, &digit) > 0 ? check_card(text, done, at, end) : (struct span){0, 0};
}

/* The secret that the byte at `at` gives away. *end: where to look on when there is none. */
static struct span check(struct mirai_str text, size_t done, size_t at, size_t *end)
{
    *end = at + 1;
    switch ((enum trigger)triggers[(unsigned char)text.data[at]]) {
    case AT:
        return check_at(text, done, at, 1);
    case ASSIGN:
        return check_assign(text, done, at, 1);
    case WIDE:
        return check_wide(text, done, at, end);
    case LINE:
        return check_prefix(text, done, at);
    case DASH:
        return check_pem(text, at);
    case SPACE:
        return check_scheme(text, done, at);
    case DIGIT:
        return check_card(text, done, at, end);
    case UPPER:
        return check_access_key(text, done, at);
    case JWT:
        return check_jwt(text, done, at);
    case NONE:
        break;
    }
    return (struct span){0, 0};
}

bool mirai_mask(struct mirai_str text, struct mirai_buf *out)
{
    size_t done = 0; /* what stands before has been written or masked */
    bool masked = false;
    for (size_t i = 0; i < text.len;) {
        unsigned char trigger = triggers[(unsigned char)text.data[i]];
        if (trigger == NONE || (trigger == DIGIT && i > done && is_alnum(text.data[i - 1]))) {
            i++; /* a digit inside of something: a hash, a time */
            continue;
        }
        size_t end;
        struct span span = check(text, done, i, &end);
        i = end;
        if (span.from < span.to) {
            mirai_buf_append(out, text.data + done, span.from - done);
            mirai_buf_append_str(out, MIRAI_STR("***"));
            i = done = span.to;
            masked = true;
        }
    }
    if (masked) {
        mirai_buf_append(out, text.data + done, text.len - done);
    }
    return masked;
}
