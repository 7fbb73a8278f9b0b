#include "proto/codec.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void mirai_base64_encode(struct mirai_str bytes, struct mirai_buf *buf)
{
    mirai_buf_reserve(buf, (bytes.len + 2) / 3 * 4);
    for (size_t i = 0; i < bytes.len; i += 3) {
        const unsigned char *p = (const unsigned char *)bytes.data + i;
        size_t left = bytes.len - i;
        unsigned word = (unsigned)p[0] << 16 | (left > 1 ? (unsigned)p[1] << 8 : 0) | (left > 2 ? p[2] : 0);
        char *out = buf->data + buf->len;
        out[0] = alphabet[word >> 18];
        out[1] = alphabet[word >> 12 & 63];
        out[2] = left > 1 ? alphabet[word >> 6 & 63] : '=';
        out[3] = left > 2 ? alphabet[word & 63] : '=';
        buf->len += 4;
    }
}

/* 0 to 63, or -1. */
static int digit(char c)
{
    const char *found = c != '\0' ? strchr(alphabet, c) : NULL;
    return found != NULL ? (int)(found - alphabet) : -1;
}

/* Four characters into one to three bytes; 0 when they are no base64. Bits that padding cuts off must be zero
 * (RFC 4648 §3.5): one content, one text. */
static size_t decode_group(const char *text, bool last, unsigned char out[3])
{
    size_t n = text[3] != '=' ? 3 : text[2] != '=' ? 2 : 1;
    unsigned word = 0;
    if (n < 3 && !last) {
        return 0;
    }
    for (size_t i = 0; i < 4; i++) {
        int value = i <= n ? digit(text[i]) : 0;
        if (value < 0) {
            return 0;
        }
        word = word << 6 | (unsigned)value;
    }
    if ((n == 2 && (word & 0xff) != 0) || (n == 1 && (word & 0xffff) != 0)) {
        return 0;
    }
    out[0] = (unsigned char)(word >> 16);
    out[1] = (unsigned char)(word >> 8);
    out[2] = (unsigned char)word;
    return n;
}

int mirai_base64_decode(struct mirai_str text, struct mirai_buf *buf)
{
    size_t before = buf->len;
    if (text.len % 4 != 0) {
        return MIRAI_E_INVALID;
    }
    mirai_buf_reserve(buf, text.len / 4 * 3);
    for (size_t i = 0; i < text.len; i += 4) {
        unsigned char out[3];
        size_t n = decode_group(text.data + i, i + 4 == text.len, out);
        if (n == 0) {
            buf->len = before;
            return MIRAI_E_INVALID;
        }
        mirai_buf_append(buf, out, n);
    }
    return 0;
}
