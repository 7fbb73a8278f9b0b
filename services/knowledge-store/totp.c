#include "services/knowledge-store/totp.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <sodium.h>
#include <stdlib.h>

#define MODULUS 1000000 /* 10 to the power of TOTP_DIGITS */

static const char base32[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

unsigned totp_code(const unsigned char secret[TOTP_SECRET_SIZE], uint64_t counter)
{
    unsigned char message[8], mac[EVP_MAX_MD_SIZE] = {0};
    unsigned len = 0;
    for (size_t i = 0; i < sizeof(message); i++) {
        message[i] = (unsigned char)(counter >> (8 * (sizeof(message) - 1 - i)));
    }
    if (HMAC(EVP_sha1(), secret, TOTP_SECRET_SIZE, message, sizeof(message), mac, &len) == NULL ||
        len != 20) {
        abort(); /* no memory, or a libcrypto without SHA-1: nobody could log in */
    }
    size_t at = mac[len - 1] & 0x0F;
    uint32_t bits = (uint32_t)(mac[at] & 0x7F) << 24 | (uint32_t)mac[at + 1] << 16 |
                    (uint32_t)mac[at + 2] << 8 | mac[at + 3];
    sodium_memzero(mac, sizeof(mac));
    return bits % MODULUS;
}

int64_t totp_step(const unsigned char secret[TOTP_SECRET_SIZE], int64_t now_ms, int64_t last_step,
                  unsigned code)
{
    int64_t present = now_ms / TOTP_STEP_MS, found = 0;
    for (int64_t step = present - 1; step <= present + 1; step++) {
        unsigned difference = totp_code(secret, (uint64_t)step) ^ code;
        if (sodium_memcmp(&difference, &(unsigned){0}, sizeof(difference)) == 0 && step > last_step) {
            found = step;
        }
    }
    return found;
}

/* The ASCII character at *at, also when it is written in full width (U+FF01 … U+FF5E); '\0': another one. */
static char next_ascii(struct mirai_str text, size_t *at)
{
    unsigned char c = (unsigned char)text.data[(*at)++];
    if (c < 0x80) {
        return (char)c;
    }
    if (c == 0xEF && *at + 1 < text.len) {
        unsigned wide = (unsigned)((unsigned char)text.data[*at] & 0x3F) << 6 |
                        ((unsigned char)text.data[*at + 1] & 0x3F);
        *at += 2;
        return wide >= 0xF01 && wide <= 0xF5E ? (char)(wide - 0xF01 + '!') : '\0';
    }
    return '\0';
}

bool totp_parse(struct mirai_str text, unsigned *code)
{
    size_t digits = 0;
    *code = 0;
    for (size_t at = 0; at < text.len;) {
        char c = next_ascii(text, &at);
        if (c >= '0' && c <= '9' && digits < TOTP_DIGITS) {
            *code = *code * 10 + (unsigned)(c - '0');
            digits++;
        } else if (c != ' ') {
            return false;
        }
    }
    return digits == TOTP_DIGITS;
}

/* Every 5 bits a letter; `len` is a multiple of 5 bytes. */
static void encode(char *out, const unsigned char *bytes, size_t len)
{
    uint32_t bits = 0;
    unsigned count = 0;
    for (size_t i = 0; i < len; i++) {
        bits = bits << 8 | bytes[i];
        for (count += 8; count >= 5; count -= 5) {
            *out++ = base32[bits >> (count - 5) & 31];
        }
    }
    *out = '\0';
}

void totp_base32(char out[TOTP_BASE32_SIZE], const unsigned char secret[TOTP_SECRET_SIZE])
{
    encode(out, secret, TOTP_SECRET_SIZE);
}

void recovery_make(char out[RECOVERY_SIZE])
{
    unsigned char random[15];
    char plain[RECOVERY_PLAIN_SIZE];
    randombytes_buf(random, sizeof(random));
    encode(plain, random, sizeof(random));
    for (size_t i = 0, at = 0; i < RECOVERY_PLAIN_SIZE; i++) {
        if (i > 0 && i % 4 == 0 && plain[i] != '\0') {
            out[at++] = '-';
        }
        out[at++] = plain[i];
    }
    sodium_memzero(random, sizeof(random));
    sodium_memzero(plain, sizeof(plain));
}

bool recovery_parse(struct mirai_str text, char out[RECOVERY_PLAIN_SIZE])
{
    size_t len = 0;
    for (size_t at = 0; at < text.len;) {
        char c = next_ascii(text, &at);
        c = c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
        if (c == '-' || c == ' ') {
            continue;
        }
        if (c == '\0' || strchr(base32, c) == NULL || len == RECOVERY_PLAIN_SIZE - 1) {
            return false;
        }
        out[len++] = c;
    }
    out[len] = '\0';
    return len == RECOVERY_PLAIN_SIZE - 1;
}
