/* MessagePack to JSON: each answer of the gateway passes through here once. */
#include "proto/codec.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define BLOCK 16 /* bytes looked at together */

static inline void put_char(struct mirai_buf *buf, char c)
{
    if (buf->len == buf->cap) {
        mirai_buf_reserve(buf, 1);
    }
    buf->data[buf->len++] = c;
}

/* ------------------------------------------------------------------ strings */

/* Copy BLOCK bytes; bit n of the result: byte n may not stand in a JSON string unlooked at (controls, '"',
 * '\', and everything outside ASCII, which must be well-formed). */
static inline unsigned copy_block(char *out, const char *in)
{
#ifdef __SSE2__
    __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)in);
    __m128i special = _mm_cmplt_epi8(bytes, _mm_set1_epi8(0x20)); /* signed: above 0x7f too */
    special = _mm_or_si128(special, _mm_cmpeq_epi8(bytes, _mm_set1_epi8('"')));
    special = _mm_or_si128(special, _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\')));
    _mm_storeu_si128((__m128i *)(void *)out, bytes);
    return (unsigned)_mm_movemask_epi8(special);
#else
    unsigned mask = 0;
    for (unsigned i = 0; i < BLOCK; i++) {
        signed char c = (signed char)in[i];
        mask |= (unsigned)(c < 0x20 || c == '"' || c == '\\') << i;
        out[i] = in[i];
    }
    return mask;
#endif
}

/* Length of the well-formed sequence at p, which is not ASCII; 0 when there is none. */
static inline size_t sequence_length(const unsigned char *p, size_t left)
{
    bool common =
        p[0] > 0xe0 && p[0] < 0xf0 && p[0] != 0xed; /* Japanese text: no special cases among these */
    if (left >= 3 && common && (p[1] & 0xc0) == 0x80 && (p[2] & 0xc0) == 0x80) {
        return 3;
    }
    size_t n = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    return n <= left && mirai_utf8_valid((struct mirai_str){(const char *)p, n}) ? n : 0;
}

/* What stands for one control character, quote or backslash (RFC 8259 §7). */
static size_t write_escape(char *out, unsigned char c)
{
    static const char letters[0x20] = {['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r'};
    out[0] = '\\';
    if (c == '"' || c == '\\') {
        out[1] = (char)c;
        return 2;
    }
    if (letters[c] != 0) {
        out[1] = letters[c];
        return 2;
    }
    memcpy(out + 1, "u00", 3);
    out[4] = (char)('0' + (c >> 4));
    out[5] = "0123456789abcdef"[c & 15];
    return 6;
}

/* Characters of `in` that are not plain, up to the first plain one; returns the bytes read. */
static size_t put_special(struct mirai_buf *buf, const char *in, size_t left)
{
    size_t done = 0;
    while (done < left) {
        unsigned char c = (unsigned char)in[done];
        char *out = buf->data + buf->len;
        if (c >= 0x80) {
            size_t n = sequence_length((const unsigned char *)in + done, left - done);
            memcpy(out, n > 0 ? in + done : "\xEF\xBF\xBD", n > 0 ? n : 3); /* U+FFFD for what is no UTF-8 */
            buf->len += n > 0 ? n : 3;
            done += n > 0 ? n : 1;
        } else if (c < 0x20 || c == '"' || c == '\\') {
            buf->len += write_escape(out, c);
            done++;
        } else {
            break;
        }
        mirai_buf_reserve(buf, left - done + BLOCK);
    }
    return done;
}

static void put_string(struct mirai_buf *buf, struct mirai_str s)
{
    const char *in = s.data;
    size_t left = s.len;
    mirai_buf_reserve(buf, left + BLOCK);
    put_char(buf, '"');
    while (left > 0) {
        char tail[BLOCK] = "                "; /* plain */
        size_t n = left < BLOCK ? left : BLOCK;
        const char *block = in;
        if (n < BLOCK) {
            memcpy(tail, in, n);
            block = tail;
        }
        mirai_buf_reserve(buf, left + BLOCK);
        unsigned mask = copy_block(buf->data + buf->len, block);
        size_t plain = mask == 0 ? n : (size_t)__builtin_ctz(mask);
        buf->len += plain;
        in += plain;
        left -= plain;
        if (mask != 0) {
            size_t read = put_special(buf, in, left);
            in += read;
            left -= read;
        }
    }
    put_char(buf, '"');
}

/* ------------------------------------------------------------------ numbers */

static void put_uint(struct mirai_buf *buf, bool negative, uint64_t value)
{
    char text[24];
    char *at = text + sizeof(text);
    do {
        *--at = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    if (negative) {
        *--at = '-';
    }
    mirai_buf_append(buf, at, (size_t)(text + sizeof(text) - at));
}

/* Most numbers that people see have a few decimals. n / 10^6 with both exact is the double nearest to that
 * decimal, so when it equals the value the decimal reads back as it. */
static bool put_decimal(struct mirai_buf *buf, double value)
{
    double magnitude = fabs(value);
    if (magnitude > 1e9) {
        return false;
    }
    uint64_t millionths = (uint64_t)(magnitude * 1e6 + 0.5);
    if ((double)millionths / 1e6 != magnitude) {
        return false;
    }
    char fraction[8];
    int len = snprintf(fraction, sizeof(fraction), ".%06u", (unsigned)(millionths % 1000000));
    while (len > 2 && fraction[len - 1] == '0') {
        len--;
    }
    put_uint(buf, signbit(value) != 0, millionths / 1000000);
    mirai_buf_append(buf, fraction, (size_t)len);
    return true;
}

/* The shortest of 15 to 17 digits that reads back as the same number; always with a mark of a real number. */
static void put_double(struct mirai_buf *buf, double value)
{
    char text[40];
    if (!isfinite(value)) {
        mirai_buf_append(buf, "null", 4);
        return;
    }
    if (put_decimal(buf, value)) {
        return;
    }
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof(text), "%.*g", digits, value);
        if (strtod(text, NULL) == value) {
            break;
        }
    }
    mirai_buf_append_str(buf, mirai_str(text));
    if (strpbrk(text, ".e") == NULL) {
        mirai_buf_append(buf, ".0", 2);
    }
}

/* ------------------------------------------------------------------ values */

static int put_value(struct mirai_buf *buf, struct mirai_mp *mp, int depth);

static int put_array(struct mirai_buf *buf, struct mirai_mp *mp, uint32_t count, int depth)
{
    put_char(buf, '[');
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0) {
            put_char(buf, ',');
        }
        if (put_value(buf, mp, depth) != 0) {
            return MIRAI_E_INVALID;
        }
    }
    put_char(buf, ']');
    return 0;
}

static int put_map(struct mirai_buf *buf, struct mirai_mp *mp, uint32_t pairs, int depth)
{
    put_char(buf, '{');
    for (uint32_t i = 0; i < pairs; i++) {
        struct mirai_mp_value key;
        if (i > 0) {
            put_char(buf, ',');
        }
        if (mirai_mp_read(mp, &key) != 0 || key.type != MIRAI_MP_STR ||
            (key.str.len > 0 &&
             memchr(key.str.data, '\0', key.str.len) != NULL)) { /* few parsers take NUL here */
            return MIRAI_E_INVALID;
        }
        put_string(buf, key.str);
        put_char(buf, ':');
        if (put_value(buf, mp, depth) != 0) {
            return MIRAI_E_INVALID;
        }
    }
    put_char(buf, '}');
    return 0;
}

static void put_binary(struct mirai_buf *buf, struct mirai_str bytes)
{
    put_char(buf, '"');
    mirai_base64_encode(bytes, buf);
    put_char(buf, '"');
}

/* `depth`: containers that may still be opened. */
static int put_value(struct mirai_buf *buf, struct mirai_mp *mp, int depth)
{
    struct mirai_mp_value value;
    if (mirai_mp_read(mp, &value) != 0) {
        return MIRAI_E_INVALID;
    }
    switch (value.type) {
    case MIRAI_MP_NIL:
        mirai_buf_append(buf, "null", 4);
        return 0;
    case MIRAI_MP_BOOL:
        mirai_buf_append(buf, value.boolean ? "true" : "false", value.boolean ? 4 : 5);
        return 0;
    case MIRAI_MP_INT:
        put_uint(buf, value.integer < 0, value.integer < 0 ? 0 - (uint64_t)value.integer : value.uinteger);
        return 0;
    case MIRAI_MP_UINT:
        put_uint(buf, false, value.uinteger);
        return 0;
    case MIRAI_MP_FLOAT:
        put_double(buf, value.real);
        return 0;
    case MIRAI_MP_STR:
        put_string(buf, value.str);
        return 0;
    case MIRAI_MP_BIN:
        put_binary(buf, value.str);
        return 0;
    case MIRAI_MP_ARRAY:
        return depth > 0 ? put_array(buf, mp, value.count, depth - 1) : MIRAI_E_INVALID;
    case MIRAI_MP_MAP:
        return depth > 0 ? put_map(buf, mp, value.count, depth - 1) : MIRAI_E_INVALID;
    case MIRAI_MP_EXT:
        break;
    }
    return MIRAI_E_INVALID;
}

int mirai_mp_to_json(struct mirai_str mp, struct mirai_buf *buf)
{
    struct mirai_mp cursor = mirai_mp(mp);
    size_t before = buf->len;
    mirai_buf_reserve(buf, mp.len + mp.len / 4 + BLOCK);
    int err = put_value(buf, &cursor, MIRAI_MP_DEPTH_MAX);
    if (err != 0 || cursor.at != cursor.end) {
        buf->len = before;
        return MIRAI_E_INVALID;
    }
    return 0;
}
