#include "libcommon/str.h"

#include "libcommon/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* Length of the well-formed sequence at p (RFC 3629 §4), 0 when there is none. */
static size_t sequence_length(const unsigned char *p, size_t left)
{
    if (p[0] < 0x80) {
        return 1;
    }
    if (p[0] >= 0xC2 && p[0] <= 0xDF) {
        return left >= 2 && (p[1] & 0xC0) == 0x80 ? 2 : 0;
    }
    if (p[0] >= 0xE0 && p[0] <= 0xEF) {
        unsigned low = p[0] == 0xE0 ? 0xA0 : 0x80;
        unsigned high = p[0] == 0xED ? 0x9F : 0xBF;
        return left >= 3 && p[1] >= low && p[1] <= high && (p[2] & 0xC0) == 0x80 ? 3 : 0;
    }
    if (p[0] >= 0xF0 && p[0] <= 0xF4) {
        unsigned low = p[0] == 0xF0 ? 0x90 : 0x80;
        unsigned high = p[0] == 0xF4 ? 0x8F : 0xBF;
        return left >= 4 && p[1] >= low && p[1] <= high && (p[2] & 0xC0) == 0x80 && (p[3] & 0xC0) == 0x80 ? 4
                                                                                                          : 0;
    }
    return 0;
}

bool mirai_utf8_valid(struct mirai_str s)
{
    const unsigned char *p = (const unsigned char *)s.data;
    size_t i = 0;
    while (i < s.len) {
        uint64_t eight;
        if (s.len - i >= sizeof(eight)) { /* eight ASCII bytes at once */
            memcpy(&eight, p + i, sizeof(eight));
            if ((eight & UINT64_C(0x8080808080808080)) == 0) {
                i += sizeof(eight);
                continue;
            }
        }
        size_t n = sequence_length(p + i, s.len - i);
        if (n == 0) {
            return false;
        }
        i += n;
    }
    return true;
}

size_t mirai_utf8_length(struct mirai_str s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.len; i++) {
        n += ((unsigned char)s.data[i] & 0xC0) != 0x80;
    }
    return n;
}

struct mirai_str mirai_utf8_prefix(struct mirai_str s, size_t max_bytes)
{
    if (s.len > max_bytes) {
        s.len = max_bytes;
        while (s.len > 0 && ((unsigned char)s.data[s.len] & 0xC0) == 0x80) {
            s.len--;
        }
    }
    return s;
}

static _Noreturn void out_of_memory(void)
{
    fputs("{\"level\":\"fatal\",\"message\":\"out of memory\"}\n", stderr);
    abort();
}

void *mirai_alloc(size_t size)
{
    void *ptr = calloc(1, size > 0 ? size : 1);
    if (ptr == NULL) {
        out_of_memory();
    }
    return ptr;
}

void *mirai_realloc(void *ptr, size_t size)
{
    void *moved = realloc(ptr, size > 0 ? size : 1);
    if (moved == NULL) {
        out_of_memory();
    }
    return moved;
}

char *mirai_str_dup(struct mirai_str s)
{
    char *copy = mirai_alloc(s.len + 1);
    if (s.len > 0) {
        memcpy(copy, s.data, s.len);
    }
    return copy;
}

void mirai_buf_free(struct mirai_buf *buf)
{
    free(buf->data);
    *buf = (struct mirai_buf){0};
}

void mirai_buf_reserve(struct mirai_buf *buf, size_t more)
{
    if (buf->cap - buf->len >= more) {
        return;
    }
    size_t cap = buf->cap > 0 ? buf->cap : 64;
    while (cap - buf->len < more) {
        if (cap > SIZE_MAX / 2) {
            out_of_memory();
        }
        cap *= 2;
    }
    buf->data = mirai_realloc(buf->data, cap);
    buf->cap = cap;
}

void mirai_buf_append(struct mirai_buf *buf, const void *data, size_t len)
{
    if (len > 0) {
        mirai_buf_reserve(buf, len);
        memcpy(buf->data + buf->len, data, len);
        buf->len += len;
    }
}

void mirai_buf_append_str(struct mirai_buf *buf, struct mirai_str s)
{
    mirai_buf_append(buf, s.data, s.len);
}

void mirai_buf_append_char(struct mirai_buf *buf, char c)
{
    mirai_buf_append(buf, &c, 1);
}

void mirai_buf_printf(struct mirai_buf *buf, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    va_list again;
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    if (n > 0) {
        mirai_buf_reserve(buf, (size_t)n + 1);
        vsnprintf(buf->data + buf->len, (size_t)n + 1, format, again);
        buf->len += (size_t)n;
    }
    va_end(again);
    va_end(args);
}

/* Bytes that may stand in a JSON string as they are: printable ASCII but '"' and '\'. */
static bool json_plain(unsigned char c)
{
    return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

static void append_json_escape(struct mirai_buf *buf, unsigned char c)
{
    static const char short_escapes[0x20] = {
        ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r'};
    char out[6] = {'\\', 'u', '0', '0', 0, 0};
    if (c == '"' || c == '\\') {
        out[1] = (char)c;
        mirai_buf_append(buf, out, 2);
    } else if (short_escapes[c] != 0) {
        out[1] = short_escapes[c];
        mirai_buf_append(buf, out, 2);
    } else {
        out[4] = (char)('0' + (c >> 4));
        out[5] = "0123456789abcdef"[c & 15];
        mirai_buf_append(buf, out, 6);
    }
}

void mirai_buf_append_json(struct mirai_buf *buf, struct mirai_str s)
{
    const unsigned char *p = (const unsigned char *)s.data;
    size_t from = 0;
    size_t i = 0;
    mirai_buf_reserve(buf, s.len + 2);
    mirai_buf_append_char(buf, '"');
    while (i < s.len) {
        if (json_plain(p[i])) {
            i++;
            continue;
        }
        if (s.len - i >= 3 && p[i] >= 0xE1 && p[i] <= 0xEC && (p[i + 1] & 0xC0) == 0x80 &&
            (p[i + 2] & 0xC0) == 0x80) {
            i += 3; /* nearly all of Japanese */
            continue;
        }
        size_t n = p[i] >= 0x80 ? sequence_length(p + i, s.len - i) : 0;
        if (n > 0) {
            i += n;
            continue;
        }
        mirai_buf_append(buf, p + from, i - from);
        if (p[i] < 0x80) {
            append_json_escape(buf, p[i]);
        } else {
            mirai_buf_append(buf, "\xEF\xBF\xBD", 3);
        }
        from = ++i;
    }
    if (i > from) {
        mirai_buf_append(buf, p + from, i - from);
    }
    mirai_buf_append_char(buf, '"');
}

void mirai_hex(char *out, const void *bytes, size_t n)
{
    const unsigned char *p = bytes;
    for (size_t i = 0; i < n; i++) {
        out[2 * i] = "0123456789abcdef"[p[i] >> 4];
        out[2 * i + 1] = "0123456789abcdef"[p[i] & 15];
    }
    out[2 * n] = '\0';
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int mirai_unhex(void *out, size_t n, struct mirai_str hex)
{
    unsigned char *p = out;
    if (hex.len != 2 * n) {
        return MIRAI_E_INVALID;
    }
    for (size_t i = 0; i < n; i++) {
        int high = hex_digit(hex.data[2 * i]);
        int low = hex_digit(hex.data[2 * i + 1]);
        if (high < 0 || low < 0) {
            return MIRAI_E_INVALID;
        }
        p[i] = (unsigned char)(high << 4 | low);
    }
    return 0;
}

bool mirai_equal_constant_time(const void *a, size_t a_len, const void *b, size_t b_len)
{
    const volatile unsigned char *x = a;
    const volatile unsigned char *y = b;
    unsigned char difference = 0;
    if (a_len != b_len) {
        return false;
    }
    for (size_t i = 0; i < a_len; i++) {
        difference |= (unsigned char)(x[i] ^ y[i]);
    }
    return difference == 0;
}

int mirai_parse_int(struct mirai_str s, int64_t min, int64_t max, int64_t *out)
{
    bool negative = s.len > 0 && s.data[0] == '-';
    size_t i = negative ? 1 : 0;
    int64_t value = 0;
    if (i == s.len || s.len - i > 19) {
        return MIRAI_E_INVALID;
    }
    for (; i < s.len; i++) {
        int digit = s.data[i] - '0';
        if (digit < 0 || digit > 9 || __builtin_mul_overflow(value, 10, &value) ||
            __builtin_sub_overflow(value, digit, &value)) { /* counted downwards: INT64_MIN fits */
            return MIRAI_E_INVALID;
        }
    }
    if (!negative && __builtin_mul_overflow(value, -1, &value)) {
        return MIRAI_E_INVALID;
    }
    if (value < min || value > max) {
        return MIRAI_E_INVALID;
    }
    *out = value;
    return 0;
}
