#include "services/knowledge-store/password_rules.h"

#include "libcommon/config.h"
#include "services/knowledge-store/nfkc.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

/* ------------------------------------------------------------------ texts as code points */

/* A password (or word) taken apart, in the form in which two are compared. */
struct points {
    size_t len;
    uint32_t at[];
};

static uint32_t next_point(struct mirai_str s, size_t *at)
{
    unsigned char head = (unsigned char)s.data[(*at)++];
    int more = head < 0xC0 ? 0 : head < 0xE0 ? 1 : head < 0xF0 ? 2 : 3;
    uint32_t c = more == 0 ? head : head & (0x3Fu >> more);
    for (; more > 0 && *at < s.len; more--) {
        c = c << 6 | ((unsigned char)s.data[(*at)++] & 0x3Fu);
    }
    return c;
}

/* Lower case; katakana as hiragana. */
static uint32_t fold(uint32_t c)
{
    if (c >= 'A' && c <= 'Z') {
        return c - 'A' + 'a';
    }
    return c >= 0x30A1 && c <= 0x30F6 ? c - 0x60 : c;
}

/* The letter for which people write a digit or sign. Some stand for two letters: those are taken for one here. */
static uint32_t unleet(uint32_t c)
{
    static const struct {
        char from, to;
    } table[] = {{'0', 'o'}, {'1', 'i'}, {'!', 'i'}, {'|', 'i'}, {'l', 'i'}, {'3', 'e'}, {'4', 'a'},
                 {'@', 'a'}, {'5', 's'}, {'$', 's'}, {'7', 't'}, {'+', 't'}, {'8', 'b'}, {'9', 'g'}};
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        if (c == (unsigned char)table[i].from) {
            return (unsigned char)table[i].to;
        }
    }
    return c;
}

static struct points *points_new(struct mirai_str text)
{
    struct mirai_str normal = nfkc_new(text);
    struct points *points = mirai_alloc(sizeof(*points) + (normal.len + 1) * sizeof(points->at[0]));
    for (size_t at = 0; at < normal.len;) {
        points->at[points->len++] = fold(next_point(normal, &at));
    }
    nfkc_free(normal);
    return points;
}

static void points_free(struct points *points)
{
    sodium_memzero(points, sizeof(*points) + points->len * sizeof(points->at[0]));
    free(points);
}

static bool is_digit(uint32_t c)
{
    return c >= '0' && c <= '9';
}

/* A letter of any script: what is no digit, sign or space of ASCII. */
static bool is_letter(uint32_t c)
{
    return (c >= 'a' && c <= 'z') || c >= 0x80;
}

/* ------------------------------------------------------------------ the list */

/* Made by CMake from common_passwords.txt. */
extern const char password_common[];
extern const size_t password_common_len;

#define ENTRY_MAX 64 /* no entry is longer */

struct entry {
    size_t len;
    const uint32_t *at;
};

static struct {
    struct entry *entries; /* sorted */
    size_t count;
} list;

static int compare_entries(const void *a, const void *b)
{
    const struct entry *one = a, *other = b;
    for (size_t i = 0; i < one->len && i < other->len; i++) {
        if (one->at[i] != other->at[i]) {
            return one->at[i] < other->at[i] ? -1 : 1;
        }
    }
    return (one->len > other->len) - (one->len < other->len);
}

static void add_entry(struct mirai_str line)
{
    struct points *points = points_new(line);
    for (size_t i = 0; i < points->len; i++) {
        points->at[i] = unleet(points->at[i]);
    }
    list.entries[list.count++] = (struct entry){points->len, points->at};
}

void password_rules_start(void)
{
    struct mirai_str text = {password_common, password_common_len};
    size_t lines = 1;
    if (list.entries != NULL) {
        return;
    }
    for (size_t i = 0; i < text.len; i++) {
        lines += text.data[i] == '\n';
    }
    list.entries = mirai_alloc(lines * sizeof(*list.entries));
    while (text.len > 0) {
        const char *end = memchr(text.data, '\n', text.len);
        size_t len = end != NULL ? (size_t)(end - text.data) : text.len;
        if (len > 0 && text.data[0] != '#') {
            add_entry((struct mirai_str){text.data, len});
        }
        len += end != NULL;
        text = (struct mirai_str){text.data + len, text.len - len};
    }
    qsort(list.entries, list.count, sizeof(*list.entries), compare_entries);
}

/* Whether these code points are in the list once letters stand where signs stood for them. */
static bool is_listed(const uint32_t *at, size_t len)
{
    uint32_t plain[ENTRY_MAX];
    if (len == 0 || len > ENTRY_MAX) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        plain[i] = unleet(at[i]);
    }
    const struct entry entry = {len, plain};
    bool found = bsearch(&entry, list.entries, list.count, sizeof(entry), compare_entries) != NULL;
    sodium_memzero(plain, sizeof(plain));
    return found;
}

/* ------------------------------------------------------------------ common: words, repeats, sequences */

#define AROUND_MAX   8 /* a date */
#define WORD_MIN     4
#define RUNS_MAX     4
#define SEQUENCE_MAX 128 /* longer ones are no worse than others */

/* A listed word with digits and signs before or after it: Sakura2024!, 1234password. */
static bool is_decorated_word(const struct points *password)
{
    size_t from = 0, to = password->len;
    while (from < to && !is_letter(password->at[from])) {
        from++;
    }
    while (to > from && !is_letter(password->at[to - 1])) {
        to--;
    }
    size_t around = from + (password->len - to);
    if (around > AROUND_MAX) {
        return false;
    }
    /* Signs that stand for letters may belong to the word: p@ssw0rd!, $akura01. */
    for (size_t first = 0; first <= from; first++) {
        for (size_t end = password->len; end >= to && end > first; end--) {
            if (is_listed(password->at + first, end - first)) {
                return true;
            }
        }
    }
    return false;
}

/* tanakahanako: nothing but two listed words. */
static bool is_two_words(const struct points *password)
{
    for (size_t first = WORD_MIN; first + WORD_MIN <= password->len; first++) {
        if (is_listed(password->at, first) && is_listed(password->at + first, password->len - first)) {
            return true;
        }
    }
    return false;
}

/* testtest, abcabcabc, aaaaaaaa: one short or listed piece again and again. */
static bool is_repeat(const struct points *password)
{
    for (size_t unit = 1; unit <= password->len / 2 && unit <= ENTRY_MAX; unit++) {
        size_t i = unit;
        while (i < password->len && password->at[i] == password->at[i - unit]) {
            i++;
        }
        if (i == password->len && (unit <= 4 || is_listed(password->at, unit))) {
            return true;
        }
    }
    return false;
}

/* Lines along which fingers go, on ANSI and JIS keyboards, and the order of kana. */
static const char *const walks[] = {
    "1234567890-^\\",
    "1234567890-=",
    "!@#$%^&*()_+",
    "!\"#$%&'()=~|",
    "qwertyuiop@[",
    "qwertyuiop[]\\",
    "asdfghjkl;:]",
    "asdfghjkl;'",
    "zxcvbnm,./\\",
    "zxcvbnm,./",
    "1qaz",
    "2wsx",
    "3edc",
    "4rfv",
    "5tgb",
    "6yhn",
    "7ujm",
    "8ik,",
    "9ol.",
    "0p;/",
    "-@:\\",
    "^[]",
    "zse4",
    "xdr5",
    "cft6",
    "vgy7",
    "bhu8",
    "nji9",
    "mko0",
    "あいうえおかきくけこさしすせそたちつてとなにぬねのはひふへほまみむめもやゆよらりるれろわをん",
    "いろはにほへとちりぬるをわかよたれそつねならむうゐのおくやまけふこえてあさきゆめみしゑひもせす",
};

/* Whether b stands next to a in the walk, in either direction. */
static bool are_neighbours(const char *walk, uint32_t a, uint32_t b)
{
    struct mirai_str line = mirai_str(walk);
    uint32_t before = 0;
    for (size_t at = 0; at < line.len;) {
        uint32_t c = next_point(line, &at);
        if ((before == a && c == b) || (before == b && c == a)) {
            return true;
        }
        before = c;
    }
    return false;
}

static bool follows(uint32_t a, uint32_t b)
{
    if (a == b || ((is_digit(a) || is_letter(a)) && (a + 1 == b || b + 1 == a))) {
        return true;
    }
    for (size_t i = 0; i < sizeof(walks) / sizeof(walks[0]); i++) {
        if (are_neighbours(walks[i], a, b)) {
            return true;
        }
    }
    return false;
}

/* A few pieces, of at least three characters on average, in which each follows the one before: 12345678, abcd1234, qweasdzxc,
 * 1qaz2wsx. */
static bool is_sequence(const struct points *password)
{
    size_t runs = 1;
    if (password->len > SEQUENCE_MAX) {
        return false;
    }
    for (size_t i = 1; i < password->len; i++) {
        runs += !follows(password->at[i - 1], password->at[i]);
    }
    return password->len > 0 && runs <= RUNS_MAX && runs * 3 <= password->len;
}

static bool is_common(const struct points *password)
{
    return is_decorated_word(password) || is_two_words(password) || is_repeat(password) ||
           is_sequence(password);
}

/* ------------------------------------------------------------------ names */

#define NAME_MIN 3 /* shorter ones are in too many words; of kanji and kana two are a name */
#define KANA     0x3041
#define REST_MIN 4

/* Take every occurrence of the word out of `password`. */
static void remove_word(struct points *password, const uint32_t *word, size_t len)
{
    size_t kept = 0;
    for (size_t i = 0; i < password->len;) {
        size_t same = 0;
        while (same < len && i + same < password->len &&
               unleet(password->at[i + same]) == unleet(word[same])) {
            same++;
        }
        if (same == len) {
            i += len;
        } else {
            password->at[kept++] = password->at[i++];
        }
    }
    password->len = kept;
}

/* The words of a text, or the text whole. */
static void remove_text(struct points *password, struct mirai_str text, bool whole)
{
    struct points *words = points_new(text);
    for (size_t from = 0, i = 0; i <= words->len; i++) {
        if (i == words->len || (!whole && !is_letter(words->at[i]) && !is_digit(words->at[i]))) {
            if (i - from >= NAME_MIN || (i - from == NAME_MIN - 1 && words->at[from] >= KANA)) {
                remove_word(password, words->at + from, i - from);
            }
            from = i + 1;
        }
    }
    points_free(words);
}

static struct mirai_str local_part(struct mirai_str email)
{
    const char *at = email.len > 0 ? memchr(email.data, '@', email.len) : NULL;
    return (struct mirai_str){email.data, at != NULL ? (size_t)(at - email.data) : email.len};
}

/* Nothing of weight besides names: not even four characters, or only digits and signs around them. */
static bool is_name(struct points *password, const struct password_owner *owner)
{
    const struct mirai_str names[] = {owner->name, owner->display_name, local_part(owner->email),
                                      MIRAI_STR("mirai knowledge")};
    size_t before = password->len, letters = 0, count = sizeof(names) / sizeof(names[0]);
    for (size_t i = 0; i < 2 * count; i++) {
        remove_text(password, names[i % count], i < count);
    }
    for (size_t i = 0; i < password->len; i++) {
        letters += is_letter(password->at[i]);
    }
    return password->len < before &&
           (password->len < REST_MIN || (letters == 0 && password->len <= AROUND_MAX));
}

const char *password_problem(struct mirai_str password, const struct password_owner *owner)
{
    size_t length = mirai_utf8_length(password);
    if (length < mirai_config_size(MIRAI_CONFIG_PASSWORD_MIN_LENGTH)) {
        return "too-short";
    }
    if (length > PASSWORD_LENGTH_MAX) {
        return "too-long";
    }
    struct points *points = points_new(password);
    bool common = is_common(points);
    const char *problem = is_name(points, owner) ? "same-as-name" : common ? "too-common" : NULL;
    points_free(points);
    return problem;
}
