#include "services/search-index/analyzer/spelling.h"

#include "services/search-index/analyzer/normalize.h"

#include <inttypes.h>
#include <stdio.h>

#define LONG_MARK "ー"
#define KANA_LEN  ((size_t)3) /* bytes of a kana */

static bool is(const char *s, const char *kana)
{
    return memcmp(s, kana, KANA_LEN) == 0;
}

static bool one_of(const char *s, const char *kana)
{
    for (; *kana != '\0'; kana += KANA_LEN) {
        if (is(s, kana)) {
            return true;
        }
    }
    return false;
}

/* What a pair of kana is written as instead; NULL: nothing. */
static const char *pair_key(const char *s)
{
    static const char *const rows[][2] = {
        {"ヴァ", "バ"},   {"ヴィ", "ビ"},   {"ヴェ", "ベ"},   {"ヴォ", "ボ"},
        {"ウィ", "ウイ"}, {"ウェ", "ウエ"}, {"ウォ", "ウオ"}, {"イェ", "イエ"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (memcmp(s, rows[i][0], KANA_LEN * 2) == 0) {
            return rows[i][1];
        }
    }
    return NULL;
}

static struct mirai_str katakana_key(struct mirai_str word, char out[SPELLING_MAX])
{
    size_t chars = word.len / KANA_LEN;
    size_t len = 0;
    for (size_t at = 0; at < word.len; at += KANA_LEN) {
        const char *s = word.data + at;
        bool last = at + KANA_LEN == word.len;
        const char *pair = last ? NULL : pair_key(s);
        bool lengthens =
            is(s, LONG_MARK) || (at > 0 && is(s, "イ") && one_of(s - KANA_LEN, "ケゲセゼテデネヘベペメレェ"));
        if (pair != NULL) {
            memcpy(out + len, pair, strlen(pair));
            len += strlen(pair);
            at += KANA_LEN;
        } else if (lengthens && at > 0) {
            if (chars >= 5 || (chars == 4 && last)) {
                continue;
            }
            memcpy(out + len, LONG_MARK, KANA_LEN);
            len += KANA_LEN;
        } else {
            memcpy(out + len, is(s, "ヴ") ? "ブ" : is(s, "ヂ") ? "ジ" : is(s, "ヅ") ? "ズ" : s, KANA_LEN);
            len += KANA_LEN;
        }
    }
    return len == 0 ? word : (struct mirai_str){out, len};
}

/* ヶ月 カ月 か月 箇月: the counter is written in many ways, and MeCab has a word for each. */
static struct mirai_str counter_key(struct mirai_str word, char out[SPELLING_MAX])
{
    unsigned len;
    if (word.len != 2 * KANA_LEN || !one_of(word.data, "ヶヵケカか箇") ||
        char_class(utf8_decode(word.data + KANA_LEN, word.data + word.len, &len)) != CHAR_HAN) {
        return (struct mirai_str){0};
    }
    memcpy(out, "ヶ", KANA_LEN);
    memcpy(out + KANA_LEN, word.data + KANA_LEN, KANA_LEN);
    return (struct mirai_str){out, 2 * KANA_LEN};
}

struct mirai_str spelling_key(struct mirai_str word, char out[SPELLING_MAX])
{
    size_t kanji = 0;
    size_t katakana = 0;
    size_t hiragana = 0;
    size_t kept = 0;
    if (word.len < 2 * KANA_LEN || word.len > SPELLING_MAX) {
        return word;
    }
    struct mirai_str counter = counter_key(word, out);
    if (counter.len != 0) {
        return counter;
    }
    for (size_t at = 0; at < word.len;) {
        unsigned len;
        enum char_class class = char_class(utf8_decode(word.data + at, word.data + word.len, &len));
        if (class == CHAR_HAN) {
            memcpy(out + kept, word.data + at, len);
            kept += len;
            kanji++;
        }
        katakana += class == CHAR_KATAKANA && len == KANA_LEN;
        hiragana += class == CHAR_HIRAGANA;
        if ((class == CHAR_HIRAGANA && at == 0) || class == CHAR_OTHER || class == CHAR_BREAK) {
            return word;
        }
        at += len;
    }
    if (katakana * KANA_LEN == word.len) {
        return katakana_key(word, out);
    }
    return kanji >= 2 && hiragana > 0 && katakana == 0 ? (struct mirai_str){out, kept} : word;
}

/* ------------------------------------------------------------------ numbers */

static int digit_of(const char *s)
{
    static const char digits[] = "〇一二三四五六七八九";
    for (int i = 0; i < 10; i++) {
        if (is(s, digits + (size_t)i * KANA_LEN)) {
            return i;
        }
    }
    return -1;
}

/* 十 百 千 万 億 兆 as powers of ten. */
static int power_of(const char *s)
{
    static const char units[] = "十百千万億兆";
    static const int powers[] = {1, 2, 3, 4, 8, 12};
    for (int i = 0; i < 6; i++) {
        if (is(s, units + (size_t)i * KANA_LEN)) {
            return powers[i];
        }
    }
    return -1;
}

static uint64_t ten_to(int power)
{
    uint64_t value = 1;
    while (power-- > 0) {
        value *= 10;
    }
    return value;
}

/* Digits alone: 二〇二四. */
static struct mirai_str number_by_place(struct mirai_str kanji, char out[SPELLING_MAX])
{
    size_t len = 0;
    for (size_t at = 0; at < kanji.len; at += KANA_LEN) {
        int digit = digit_of(kanji.data + at);
        if (digit < 0) {
            return (struct mirai_str){0};
        }
        out[len++] = (char)('0' + digit);
    }
    return (struct mirai_str){out, len};
}

struct mirai_str spelling_number(struct mirai_str kanji, char out[SPELLING_MAX])
{
    uint64_t total = 0;   /* in units of 万 and more */
    uint64_t section = 0; /* below */
    int digit = -1;
    int section_power = 4; /* that may still come */
    int total_power = 16;
    if (kanji.len == 0 || kanji.len % KANA_LEN != 0 || kanji.len > KANA_LEN * 20) {
        return (struct mirai_str){0};
    }
    struct mirai_str plain = number_by_place(kanji, out);
    if (plain.len != 0) {
        return plain;
    }
    for (size_t at = 0; at < kanji.len; at += KANA_LEN) {
        int next = digit_of(kanji.data + at);
        int power = power_of(kanji.data + at);
        if (next >= 0 && digit < 0) {
            digit = next;
        } else if (power > 0 && power < 4 && power < section_power) {
            section += (digit < 0 ? 1 : (uint64_t)digit) * ten_to(power);
            section_power = power;
            digit = -1;
        } else if (power >= 4 && power < total_power && (section > 0 || digit > 0)) {
            total += (section + (digit < 0 ? 0 : (uint64_t)digit)) * ten_to(power);
            total_power = power;
            section = 0;
            section_power = 4;
            digit = -1;
        } else {
            return (struct mirai_str){0};
        }
    }
    total += section + (digit < 0 ? 0 : (uint64_t)digit);
    int n = snprintf(out, SPELLING_MAX, "%" PRIu64, total);
    return (struct mirai_str){out, (size_t)n};
}
