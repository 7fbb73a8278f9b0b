/* Configuration values that are encrypted for one installation and one variable: sealed:1:<base64url>.
 *
 * XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03; libsodium's crypto_aead_xchacha20poly1305_ietf): nonce of 24 bytes, then
 * the ciphertext with its tag. The variable's whole name (MIRAI_TOKEN) is associated data: a value opens under its own
 * name only. The keys stand in a file, 64 hexadecimal digits a line: the first one seals, all are tried to open, so that
 * keys can be changed without a moment in which values do not open. */
#ifndef MIRAI_SEALED_H
#define MIRAI_SEALED_H

#include "libcommon/str.h"

#define MIRAI_SEALED_KEY_SIZE 32
#define MIRAI_SEALED_KEYS_MAX 8

struct mirai_sealed_keys {
    unsigned char keys[MIRAI_SEALED_KEYS_MAX][MIRAI_SEALED_KEY_SIZE];
    size_t count;
};

/* Whether the text says that it is sealed. */
bool mirai_sealed(struct mirai_str text);

/* Read the key file. NULL, or what is wrong with it (English, without its content). The memory of *keys is locked where
 * the system lets it. */
const char *mirai_sealed_keys_read(const char *path, struct mirai_sealed_keys *keys);
/* Wipe them. */
void mirai_sealed_keys_wipe(struct mirai_sealed_keys *keys);

/* Append `value`, sealed with the first key for the variable `name`. */
void mirai_seal(const struct mirai_sealed_keys *keys, struct mirai_str name, struct mirai_str value,
                struct mirai_buf *out);

/* Open `text` into *out, which the caller wipes: 0, or MIRAI_E_INVALID when it is malformed, changed, of another key or
 * of another variable. */
int mirai_unseal(const struct mirai_sealed_keys *keys, struct mirai_str name, struct mirai_str text,
                 struct mirai_buf *out);

#endif
