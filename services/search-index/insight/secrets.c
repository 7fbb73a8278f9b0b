#include "services/search-index/insight/secrets.h"

/* Longest line that is looked at: longer ones are data, not text. */
#define LINE_MAX_BYTES 8192

/* Most bytes between a word for a secret and the secret, and of the secret: keeps the time linear. */
#define GAP_MAX   24
#define VALUE_MAX 200

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_alnum(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool in_token(char c)
{
    return is_alnum(c) || c == '_' || c == '-';
}

static const char *find(struct mirai_str s, const char *word)
{
    return s.len > 0 ? memmem(s.data, s.len, word, strlen(word)) : NULL;
}

/* ------------------------------------------------------------------ keys and tokens */

/* No token is shorter. */
#define RUN_LEAST 13

/* How tokens of well-known issuers begin, and how many characters follow at least. */
static const struct {
    const char *prefix;
    size_t least;
} issuers[] = {
    {"AKIA", 16},        {"ASIA", 16},     {"ghp_", 30},  {"gho_", 30},  {"ghs_", 30},
    {"github_pat_", 30}, {"glpat-", 18},   {"xoxb-", 20}, {"xoxp-", 20}, {"xoxa-", 20},
    {"AIza", 30},        {"sk_live_", 16}, {"sk-", 32},   {"npm_", 30},  {"hvs.", 20},
};

static size_t run_length(struct mirai_str s, size_t at)
{
    size_t n = 0;
    while (at + n < s.len && in_token(s.data[at + n])) {
        n++;
    }
    return n;
}

/* Longest run of characters that tokens have. */
static size_t longest_run(struct mirai_str s)
{
    size_t longest = 0;
    for (size_t at = 0; at < s.len;) {
        size_t n = run_length(s, at);
        longest = n > longest ? n : longest;
        at += n + 1;
    }
    return longest;
}

static bool has_issuer_token(struct mirai_str s)
{
    for (size_t i = 0; i < sizeof(issuers) / sizeof(issuers[0]); i++) {
        size_t len = strlen(issuers[i].prefix);
        struct mirai_str rest = s;
        for (const char *p; (p = find(rest, issuers[i].prefix)) != NULL;) {
            size_t at = (size_t)(p - s.data);
            bool begins = at == 0 || !in_token(s.data[at - 1]);
            if (begins && run_length(s, at + len) >= issuers[i].least) {
                return true;
            }
            rest = (struct mirai_str){p + len, s.len - at - len};
        }
    }
    return false;
}

/* RFC 7519: header and payload begin with '{"' in base64url. */
static bool has_jwt(struct mirai_str s)
{
    const char *p = find(s, "eyJ");
    if (p == NULL) {
        return false;
    }
    size_t at = (size_t)(p - s.data);
    size_t head = run_length(s, at);
    at += head;
    size_t payload = at < s.len && s.data[at] == '.' ? run_length(s, at + 1) : 0;
    return head >= 10 && payload >= 10;
}

/* ------------------------------------------------------------------ passwords */

static const char *const password_words[] = {"password",     "passwd",     "pwd",          "パスワード",
                                             "secret",       "api_key",    "apikey",       "api key",
                                             "access_key",   "token",      "passphrase",   "暗証番号",
                                             "パスフレーズ", "credential", "client_secret"};

static bool is_example(struct mirai_str value)
{
    static const char *const signs[] = {"***",  "xxx",     "XXX",      "...",  "your",
                                        "YOUR", "example", "changeme", "dummy"};
    if (memchr("<$%{[(\"'", value.data[0], 8) != NULL && value.data[0] != '"' && value.data[0] != '\'') {
        return true; /* <password>, $PASSWORD, {{ password }} */
    }
    for (size_t i = 0; i < sizeof(signs) / sizeof(signs[0]); i++) {
        if (find(value, signs[i]) != NULL) {
            return true;
        }
    }
    return false;
}

/* Something that was chosen or made as a secret: no word, no path, no plain number. */
static bool looks_secret(struct mirai_str value)
{
    unsigned kinds = 0;
    for (size_t i = 0; i < value.len; i++) {
        char c = value.data[i];
        kinds |= is_digit(c)                  ? 1u
                 : c >= 'a' && c <= 'z'       ? 2u
                 : c >= 'A' && c <= 'Z'       ? 4u
                 : strchr("/.:-_", c) != NULL ? 0u
                                              : 8u;
    }
    unsigned count = (kinds & 1u) + (kinds >> 1 & 1u) + (kinds >> 2 & 1u) + (kinds >> 3 & 1u);
    return value.len >= 6 && (count >= 3 || (count == 2 && (kinds & 9u) != 0 && kinds != 9u));
}

/* The run of ASCII characters behind "password", past ":", "=", "は", quotes and spaces. */
static struct mirai_str value_behind(struct mirai_str s)
{
    bool mark = false;
    size_t at = 0;
    while (at < s.len && at < GAP_MAX) {
        if (strchr(" \t`*|\"'", s.data[at]) != NULL) {
            at++;
        } else if (s.data[at] == ':' || s.data[at] == '=') {
            mark = true;
            at++;
        } else if (s.len - at >= 3 &&
                   (memcmp(s.data + at, "：", 3) == 0 || memcmp(s.data + at, "は", 3) == 0 ||
                    memcmp(s.data + at, "＝", 3) == 0 || memcmp(s.data + at, "「", 3) == 0)) {
            mark = true;
            at += 3;
        } else {
            break;
        }
    }
    size_t end = at;
    while (end < s.len && end - at < VALUE_MAX && s.data[end] > ' ' && s.data[end] < 0x7F &&
           strchr("`\"'|", s.data[end]) == NULL) {
        end++;
    }
    while (end > at && strchr(",;.)", s.data[end - 1]) != NULL) {
        end--;
    }
    return mark ? (struct mirai_str){s.data + at, end - at} : (struct mirai_str){0};
}

static bool starts_word(struct mirai_str s, const char *word)
{
    size_t len = strlen(word);
    if (s.len < len) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        char c = s.data[i] >= 'A' && s.data[i] <= 'Z' ? (char)(s.data[i] + 32) : s.data[i];
        if (c != word[i]) {
            return false;
        }
    }
    return true;
}

/* Whether a secret follows the word for one that stands at `at`. */
static bool is_password_at(struct mirai_str s, size_t at)
{
    struct mirai_str rest = {s.data + at, s.len - at};
    char first = rest.data[0] >= 'A' && rest.data[0] <= 'Z' ? (char)(rest.data[0] + 32) : rest.data[0];
    for (size_t i = 0; i < sizeof(password_words) / sizeof(password_words[0]); i++) {
        if (password_words[i][0] != first || !starts_word(rest, password_words[i])) {
            continue;
        }
        size_t len = strlen(password_words[i]);
        struct mirai_str value = value_behind((struct mirai_str){rest.data + len, rest.len - len});
        if (value.len > 0 && !is_example(value) && looks_secret(value)) {
            return true;
        }
    }
    return false;
}

static bool has_password(struct mirai_str s)
{
    for (size_t at = 0; at + 3 <= s.len; at++) {
        const unsigned char *p = (const unsigned char *)s.data + at;
        bool kana = p[0] == 0xE3 && p[1] == 0x83 && p[2] == 0x91; /* パ */
        bool other = p[0] == 0xE6 || (p[0] < 0x80 && memchr("pPsSaAtTcC", p[0], 10) != NULL);
        bool begins = at == 0 || !is_alnum(s.data[at - 1]) || (p[0] >= 'A' && p[0] <= 'Z'); /* dbPassword */
        if ((kana || (other && begins)) && is_password_at(s, at)) {
            return true;
        }
    }
    return false;
}

/* https://user:password@host */
static bool has_url_password(struct mirai_str s)
{
    const char *p = find(s, "://");
    if (p == NULL) {
        return false;
    }
    const char *colon = NULL;
    for (p += 3; p<s.data + s.len && * p> ' ' && *p < 0x7F && *p != '/'; p++) {
        if (*p == ':' && colon == NULL) {
            colon = p;
        } else if (*p == '@') {
            struct mirai_str value = {colon + 1, colon != NULL ? (size_t)(p - colon) - 1 : 0};
            return value.len > 0 && !is_example(value);
        }
    }
    return false;
}

/* ------------------------------------------------------------------ numbers of people */

/* Ministry of Internal Affairs and Communications, ordinance 85 of 2014, article 5. */
static bool is_my_number(const char *digits)
{
    int sum = 0;
    for (int n = 1; n <= 11; n++) {
        sum += (digits[11 - n] - '0') * (n <= 6 ? n + 1 : n - 5);
    }
    int rest = sum % 11;
    return digits[11] - '0' == (rest <= 1 ? 0 : 11 - rest);
}

/* ISO/IEC 7812-1 (Luhn). */
static bool is_card(const char *digits)
{
    int sum = 0;
    for (int i = 0; i < 16; i++) {
        int digit = digits[i] - '0';
        digit *= i % 2 == 0 ? 2 : 1;
        sum += digit > 9 ? digit - 9 : digit;
    }
    return sum % 10 == 0 && digits[0] >= '3' && digits[0] <= '6';
}

struct number {
    char digits[17];
    size_t count;    /* of digits; 17: more than 16 */
    unsigned breaks; /* between them */
};

/* A number whose groups are parted by single hyphens or spaces. Returns where it ends. */
static size_t read_number(struct mirai_str s, size_t at, struct number *out)
{
    *out = (struct number){0};
    while (at < s.len) {
        if (is_digit(s.data[at])) {
            out->digits[out->count < 16 ? out->count : 16] = s.data[at];
            out->count += out->count < 17;
            at++;
        } else if ((s.data[at] == '-' || s.data[at] == ' ') && at + 1 < s.len && is_digit(s.data[at + 1])) {
            out->breaks++;
            at++;
        } else {
            break;
        }
    }
    return at;
}

static bool is_labelled(struct mirai_str s)
{
    return find(s, "マイナンバー") != NULL || find(s, "個人番号") != NULL || find(s, "My Number") != NULL;
}

static enum secret_kind number_in_line(struct mirai_str s)
{
    for (size_t at = 0; at < s.len;) {
        if (!is_digit(s.data[at]) || (at > 0 && (is_alnum(s.data[at - 1]) || s.data[at - 1] == '.'))) {
            at++;
            continue;
        }
        struct number number;
        at = read_number(s, at, &number);
        bool ends = at == s.len || (!is_alnum(s.data[at]) && s.data[at] != '.');
        if (!ends) {
            continue;
        }
        if (number.count == 12 && (number.breaks == 0 || number.breaks == 2) && is_my_number(number.digits) &&
            is_labelled(s)) {
            return SECRET_MY_NUMBER;
        }
        if (number.count == 16 && (number.breaks == 0 || number.breaks == 3) && is_card(number.digits)) {
            return SECRET_CARD;
        }
        if (number.count == 11 && number.breaks == 2 && number.digits[0] == '0' && number.digits[2] == '0' &&
            number.digits[1] >= '7') {
            return SECRET_PHONE;
        }
    }
    return SECRET_NONE;
}

enum secret_kind secret_in_line(struct mirai_str line)
{
    line.len = line.len < LINE_MAX_BYTES ? line.len : LINE_MAX_BYTES;
    if (find(line, "-----BEGIN ") != NULL && find(line, "PRIVATE KEY-----") != NULL) {
        return SECRET_PRIVATE_KEY;
    }
    if (longest_run(line) >= RUN_LEAST && (has_issuer_token(line) || has_jwt(line))) {
        return SECRET_TOKEN;
    }
    if (has_password(line) || has_url_password(line)) {
        return SECRET_PASSWORD;
    }
    return number_in_line(line);
}
