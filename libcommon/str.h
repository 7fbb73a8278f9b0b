/* Strings as (pointer, length) in UTF-8, and a growing byte buffer: the currency of every other module. */
#ifndef MIRAI_STR_H
#define MIRAI_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* UTF-8 (or raw bytes where said), not NUL-terminated, lent: whoever made the bytes frees them. */
struct mirai_str {
    const char *data; /* may be NULL when len is 0 */
    size_t len;       /* bytes */
};

/* A string literal as a constant initialiser. */
#define MIRAI_STR(literal) ((struct mirai_str){"" literal, sizeof(literal) - 1})

/* "%.*s" argument pair. */
#define MIRAI_STR_ARG(s) (int)(s).len, (s).data

static inline struct mirai_str mirai_str(const char *zero_terminated)
{
    return (struct mirai_str){zero_terminated, zero_terminated != NULL ? strlen(zero_terminated) : 0};
}

static inline bool mirai_str_eq(struct mirai_str a, struct mirai_str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

/* Whether every byte sequence is well-formed UTF-8 (RFC 3629: no overlong forms, no surrogates, <= U+10FFFF). */
bool mirai_utf8_valid(struct mirai_str s);

/* Number of Unicode code points in valid UTF-8. */
size_t mirai_utf8_length(struct mirai_str s);

/* Longest prefix of valid UTF-8 `s` that has at most `max_bytes` bytes and ends on a code point border. */
struct mirai_str mirai_utf8_prefix(struct mirai_str s, size_t max_bytes);

/* Copy with a terminating NUL; free() it. Aborts when memory is exhausted (as all small allocations do). */
char *mirai_str_dup(struct mirai_str s);

/* malloc/realloc that log and abort on exhaustion: for small, bounded sizes only. */
void *mirai_alloc(size_t size); /* zeroed */
void *mirai_realloc(void *ptr, size_t size);

/* Growing byte buffer. Zero-initialised is valid and empty. Not thread-safe. */
struct mirai_buf {
    char *data;
    size_t len; /* bytes in use */
    size_t cap; /* bytes allocated */
};

void mirai_buf_free(struct mirai_buf *buf);                 /* frees data; buf is empty again */
void mirai_buf_reserve(struct mirai_buf *buf, size_t more); /* room for `more` bytes past len */
void mirai_buf_append(struct mirai_buf *buf, const void *data, size_t len);
void mirai_buf_append_str(struct mirai_buf *buf, struct mirai_str s);
void mirai_buf_append_char(struct mirai_buf *buf, char c);
void mirai_buf_printf(struct mirai_buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));
static inline struct mirai_str mirai_buf_str(const struct mirai_buf *buf)
{
    return (struct mirai_str){buf->data, buf->len};
}

/* Append `s` as a quoted JSON string (RFC 8259). Invalid UTF-8 becomes U+FFFD. */
void mirai_buf_append_json(struct mirai_buf *buf, struct mirai_str s);

/* Lower-case hexadecimal of n bytes into out[2n + 1] (NUL-terminated). */
void mirai_hex(char *out, const void *bytes, size_t n);
/* Back; returns 0, or MIRAI_E_INVALID when `hex` is not exactly 2n hexadecimal digits. */
int mirai_unhex(void *out, size_t n, struct mirai_str hex);

/* Equality without an early exit, for secrets of equal length; false at once when lengths differ. */
bool mirai_equal_constant_time(const void *a, size_t a_len, const void *b, size_t b_len);

/* Decimal integer, whole string, no spaces: 0 or MIRAI_E_INVALID (also when out of range). */
int mirai_parse_int(struct mirai_str s, int64_t min, int64_t max, int64_t *out);

#endif
