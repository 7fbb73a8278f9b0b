#include "services/search-index/analyzer/normalize.h"

#include "services/search-index/analyzer/variants.h"

#include <stdlib.h>
#include <unicode/uchar.h>
#include <unicode/unorm2.h>

/* Longest sequence of characters that is normalised together. Real ones have less than ten; a longer chain of
 * combining marks (UAX #15, Stream-Safe Text Format has 30) is cut. */
#define SEGMENT_MAX 30

#define LONG_MARK   0x30FCu

uint32_t utf8_decode(const char *p, const char *end, unsigned *len)
{
    const unsigned char *s = (const unsigned char *)p;
    size_t room = (size_t)(end - p);
    if (s[0] < 0x80 || room < 2) {
        *len = 1;
        return s[0];
    }
    if (s[0] < 0xE0 || room < 3) {
        *len = 2;
        return (uint32_t)(s[0] & 0x1F) << 6 | (s[1] & 0x3F);
    }
    if (s[0] < 0xF0 || room < 4) {
        *len = 3;
        return (uint32_t)(s[0] & 0x0F) << 12 | (uint32_t)(s[1] & 0x3F) << 6 | (s[2] & 0x3F);
    }
    *len = 4;
    return (uint32_t)(s[0] & 0x07) << 18 | (uint32_t)(s[1] & 0x3F) << 12 | (uint32_t)(s[2] & 0x3F) << 6 |
           (s[3] & 0x3F);
}

/* Decode outside bytes: length of a well-formed sequence, or 0. */
static unsigned decode_checked(const unsigned char *s, size_t room, uint32_t *cp)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    unsigned len = s[0] < 0x80   ? 1
                   : s[0] < 0xC2 ? 0
                   : s[0] < 0xE0 ? 2
                   : s[0] < 0xF0 ? 3
                   : s[0] < 0xF5 ? 4
                                 : 0;
    if (len == 0 || len > room) {
        return 0;
    }
    for (unsigned i = 1; i < len; i++) {
        if ((s[i] & 0xC0) != 0x80) {
            return 0;
        }
    }
    *cp = utf8_decode((const char *)s, (const char *)s + len, &len);
    return *cp >= least[len] && *cp <= 0x10FFFF && (*cp < 0xD800 || *cp > 0xDFFF) ? len : 0;
}

/* Frequent characters that NFKC and case folding leave alone. */
static bool is_plain(uint32_t cp)
{
    return (cp >= 0x4E00 && cp <= 0x9FFF) || (cp >= 0x3041 && cp <= 0x3096) ||
           (cp >= 0x30A1 && cp <= 0x30FE) || cp == 0x3001 || cp == 0x3002;
}

/* The character at `s`, and whether it is left alone and can never change what stands before it; the end
 * counts as such. */
struct ahead {
    uint32_t cp;
    unsigned len;
    bool plain;
};

static struct ahead look(const unsigned char *s, size_t room)
{
    if (room == 0) {
        return (struct ahead){0, 0, true};
    }
    if (s[0] < 0x80) {
        return (struct ahead){s[0], 1, true};
    }
    struct ahead ahead = {0};
    ahead.len = decode_checked(s, room, &ahead.cp);
    ahead.plain = ahead.len != 0 && is_plain(ahead.cp);
    return ahead;
}

enum char_class char_class(uint32_t cp)
{
    if (cp < 0x80) {
        return (cp >= '0' && cp <= '9') || (cp >= 'a' && cp <= 'z') || (cp >= 'A' && cp <= 'Z') ? CHAR_LATIN
                                                                                                : CHAR_BREAK;
    }
    if (cp >= 0x4E00 && cp <= 0x9FFF) {
        return CHAR_HAN;
    }
    if (cp >= 0x3041 && cp <= 0x3096) {
        return CHAR_HIRAGANA;
    }
    if ((cp >= 0x30A1 && cp <= 0x30FA) || cp == LONG_MARK) {
        return CHAR_KATAKANA;
    }
    if (cp == 0x3005 || cp == 0x3006 || cp == 0x3007 || (cp >= 0x3400 && cp <= 0x4DBF) ||
        (cp >= 0x20000 && cp <= 0x3FFFF)) {
        return CHAR_HAN;
    }
    if (cp == 0x309D || cp == 0x309E) {
        return CHAR_HIRAGANA;
    }
    if (cp == 0x30FD || cp == 0x30FE || (cp >= 0x31F0 && cp <= 0x31FF)) {
        return CHAR_KATAKANA;
    }
    if (!u_isalnum((UChar32)cp)) {
        int8_t category = u_charType((UChar32)cp);
        bool mark = category == U_NON_SPACING_MARK || category == U_COMBINING_SPACING_MARK;
        return mark && cp >= 0x0900 ? CHAR_OTHER
                                    : CHAR_BREAK; /* vowel signs of Indic and Thai belong to words */
    }
    return cp < 0x0600 || (cp >= 0x1E00 && cp <= 0x1FFF) ? CHAR_LATIN : CHAR_OTHER;
}

/* Room for one more character and the origin of the end. */
static void make_room(struct normalized *out, bool origins)
{
    if (out->text.cap - out->text.len < 4) {
        mirai_buf_reserve(&out->text, out->text.len / 2 + 64);
    }
    if (origins && out->text.len + 5 > out->origin_cap) {
        out->origin_cap = (out->text.len + 5) * 3 / 2;
        out->origin = mirai_realloc(out->origin, out->origin_cap * sizeof(out->origin[0]));
    }
}

static void put(struct normalized *out, uint32_t cp, size_t from, bool origins)
{
    make_room(out, origins);
    char *bytes = out->text.data + out->text.len;
    size_t len;
    if (cp < 0x80) {
        bytes[0] = (char)cp;
        len = 1;
    } else if (cp < 0x800) {
        bytes[0] = (char)(0xC0 | cp >> 6);
        bytes[1] = (char)(0x80 | (cp & 0x3F));
        len = 2;
    } else if (cp < 0x10000) {
        bytes[0] = (char)(0xE0 | cp >> 12);
        bytes[1] = (char)(0x80 | (cp >> 6 & 0x3F));
        bytes[2] = (char)(0x80 | (cp & 0x3F));
        len = 3;
    } else {
        bytes[0] = (char)(0xF0 | cp >> 18);
        bytes[1] = (char)(0x80 | (cp >> 12 & 0x3F));
        bytes[2] = (char)(0x80 | (cp >> 6 & 0x3F));
        bytes[3] = (char)(0x80 | (cp & 0x3F));
        len = 4;
    }
    for (size_t i = 0; origins && i < len; i++) {
        out->origin[out->text.len + i] = (uint32_t)from;
    }
    out->text.len += len;
}

static void mark_upper(struct normalized *out)
{
    size_t at = out->text.len;
    while (out->upper.len <= at / 8) {
        mirai_buf_append_char(&out->upper, '\0');
    }
    out->upper.data[at / 8] = (char)(out->upper.data[at / 8] | 1 << at % 8);
}

static bool is_katakana(uint32_t cp)
{
    return char_class(cp) == CHAR_KATAKANA;
}

/* ゝ and ゞ, ヽ and ヾ repeat the kana before them, the second of each voiced (いすゞ). */
static uint32_t iterate(uint32_t mark, uint32_t before)
{
    bool hiragana = mark == 0x309D || mark == 0x309E;
    uint32_t first = hiragana ? 0x3041 : 0x30A1;
    if (before < first || before > first + 0x55) {
        return mark;
    }
    uint32_t at = before - first;
    bool voiceable = (at >= 0x0A && at <= 0x21 && at % 2 == 0) || at == 0x23 || at == 0x25 || at == 0x27 ||
                     (at >= 0x2E && at <= 0x3A && at % 3 == 1);
    return before + ((mark == 0x309E || mark == 0x30FE) && voiceable);
}

/* What NFKC leaves different but people use alike. `before`: the character before, as it was put. */
static uint32_t unify(uint32_t cp, uint32_t before)
{
    if (cp >= 0x3041 && cp <= 0x30FE) { /* kana */
        return cp == 0x309D || cp == 0x309E || cp == 0x30FD || cp == 0x30FE ? iterate(cp, before) : cp;
    }
    switch (cp) {
    case 0xA5: /* the yen sign is a backslash in Japanese fonts: C:¥Windows */
        return '\\';
    case 0x2010: /* hyphens, minus and rules typed for the katakana long mark */
    case 0x2011:
    case 0x2212:
    case 0x2500:
        return is_katakana(before) ? LONG_MARK : '-';
    case 0x2012:
    case 0x2013:
    case 0x2014:
    case 0x2015:
        return '-';
    case 0x301C: /* wave dash; the full-width tilde is '~' in NFKC */
    case 0x3030:
        return '~';
    default:
        return cp < ' ' && cp != '\n' ? ' ' : kanji_variant(cp);
    }
}

/* Normalise the segment (a character and what combines with it) at `at`; returns the bytes it took. */
static size_t put_segment(struct normalized *out, const UNormalizer2 *nfkc, struct mirai_str in, size_t at,
                          uint32_t *before, bool origins)
{
    const unsigned char *s = (const unsigned char *)in.data;
    UChar segment[SEGMENT_MAX * 2];
    UChar folded[SEGMENT_MAX * 2 * 18]; /* 18: the longest expansion of NFKC, U+FDFA */
    int32_t units = 0;
    size_t used = 0;
    for (int chars = 0; chars < SEGMENT_MAX && at + used < in.len; chars++) {
        uint32_t cp;
        unsigned len = decode_checked(s + at + used, in.len - at - used, &cp);
        if (len == 0 || (chars > 0 && unorm2_hasBoundaryBefore(nfkc, (UChar32)cp))) {
            break;
        }
        if (cp < 0x10000) {
            segment[units++] = (UChar)cp;
        } else {
            segment[units++] = (UChar)(0xD7C0 + (cp >> 10));
            segment[units++] = (UChar)(0xDC00 | (cp & 0x3FF));
        }
        used += len;
    }
    if (used == 0) { /* not UTF-8 */
        put(out, ' ', at, origins);
        *before = ' ';
        return 1;
    }
    UErrorCode status = U_ZERO_ERROR;
    int32_t n = unorm2_normalize(nfkc, segment, units, folded, (int32_t)(sizeof(folded) / sizeof(folded[0])),
                                 &status);
    for (int32_t i = 0; U_SUCCESS(status) && i < n;) {
        UChar32 cp;
        U16_NEXT(folded, i, n, cp);
        uint32_t unified = U_IS_SURROGATE(cp) ? ' ' : unify((uint32_t)cp, *before);
        put(out, unified, at, origins);
        *before = unified;
    }
    return used;
}

void normalize(struct normalized *out, struct mirai_str in, bool origins)
{
    UErrorCode status = U_ZERO_ERROR;
    const UNormalizer2 *nfkc = unorm2_getNFKCCasefoldInstance(&status); /* a singleton of ICU, loaded once */
    const unsigned char *s = (const unsigned char *)in.data;
    if (in.len > NORMALIZE_TEXT_MAX) {
        in.len = NORMALIZE_TEXT_MAX;
    }
    out->text.len = 0;
    out->upper.len = 0;
    mirai_buf_reserve(&out->text, in.len + 4);
    uint32_t before = ' ';
    struct ahead next = look(s, in.len);
    for (size_t at = 0; at < in.len;) {
        struct ahead now = next;
        next = look(s + at + now.len, in.len - at - now.len);
        if (now.plain && next.plain) {
            bool upper = now.cp >= 'A' && now.cp <= 'Z';
            uint32_t cp = upper ? now.cp + 32 : unify(now.cp, before);
            if (upper) {
                mark_upper(out);
            }
            put(out, cp, at, origins);
            before = cp;
            at += now.len;
        } else {
            at += put_segment(out, nfkc, in, at, &before, origins);
            next = look(s + at, in.len - at);
        }
    }
    if (origins) {
        if (out->origin_cap == 0) {
            out->origin_cap = 1;
            out->origin = mirai_realloc(NULL, sizeof(out->origin[0]));
        }
        out->origin[out->text.len] = (uint32_t)in.len;
    }
}

void normalized_span(const struct normalized *text, size_t start, size_t end, size_t *from, size_t *to)
{
    *from = text->origin[start];
    while (end > start && end < text->text.len && text->origin[end] == text->origin[end - 1]) {
        end++; /* inside of what one original character became: take all of that character */
    }
    *to = text->origin[end];
}

void normalized_free(struct normalized *text)
{
    mirai_buf_free(&text->text);
    mirai_buf_free(&text->upper);
    free(text->origin);
    *text = (struct normalized){0};
}
