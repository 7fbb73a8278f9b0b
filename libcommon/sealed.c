#include "libcommon/sealed.h"

#include "libcommon/error.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define PREFIX     "sealed:1:"
#define PREFIX_LEN (sizeof(PREFIX) - 1)
#define VARIANT    sodium_base64_VARIANT_URLSAFE_NO_PADDING
#define NONCE      crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
#define TAG        crypto_aead_xchacha20poly1305_ietf_ABYTES
#define DIGITS     ((size_t)2 * MIRAI_SEALED_KEY_SIZE)
#define FILE_MAX   ((DIGITS + 1) * MIRAI_SEALED_KEYS_MAX)

bool mirai_sealed(struct mirai_str text)
{
    return text.len >= 7 && memcmp(text.data, "sealed:", 7) == 0;
}

/* ------------------------------------------------------------------ keys */

static const char *parse_keys(struct mirai_str text, struct mirai_sealed_keys *keys)
{
    while (text.len > 0) {
        const char *end = memchr(text.data, '\n', text.len);
        size_t len = end != NULL ? (size_t)(end - text.data) : text.len;
        if (keys->count == MIRAI_SEALED_KEYS_MAX ||
            mirai_unhex(keys->keys[keys->count], MIRAI_SEALED_KEY_SIZE, (struct mirai_str){text.data, len}) !=
                0) {
            return "it is not 1 to 8 lines of 64 hexadecimal digits";
        }
        keys->count++;
        len += end != NULL;
        text = (struct mirai_str){text.data + len, text.len - len};
    }
    return keys->count > 0 ? NULL : "it is empty";
}

const char *mirai_sealed_keys_read(const char *path, struct mirai_sealed_keys *keys)
{
    char bytes[FILE_MAX + 1];
    struct stat status;
    size_t len = 0;
    ssize_t n = 0;
    *keys = (struct mirai_sealed_keys){.count = 0};
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK); /* a FIFO must not hang the start */
    if (fd < 0 || fstat(fd, &status) != 0) {
        const char *reason = strerror(errno);
        if (fd >= 0) {
            close(fd);
        }
        return reason;
    }
    while (len < sizeof(bytes) && (n = read(fd, bytes + len, sizeof(bytes) - len)) > 0) {
        len += (size_t)n;
    }
    close(fd);
    sodium_mlock(keys, sizeof(*keys)); /* best effort */
    const char *problem = n < 0                         ? "it cannot be read"
                          : (status.st_mode & 007) != 0 ? "every user may read or write it: chmod 600"
                          : len > FILE_MAX              ? "it is not 1 to 8 lines of 64 hexadecimal digits"
                                                        : parse_keys((struct mirai_str){bytes, len}, keys);
    sodium_memzero(bytes, sizeof(bytes));
    if (problem != NULL) {
        mirai_sealed_keys_wipe(keys);
    }
    return problem;
}

void mirai_sealed_keys_wipe(struct mirai_sealed_keys *keys)
{
    sodium_munlock(keys, sizeof(*keys)); /* also writes zeros */
}

/* ------------------------------------------------------------------ values */

void mirai_seal(const struct mirai_sealed_keys *keys, struct mirai_str name, struct mirai_str value,
                struct mirai_buf *out)
{
    size_t len = NONCE + value.len + TAG;
    size_t text_size = sodium_base64_encoded_len(len, VARIANT); /* with its NUL */
    unsigned char *bytes = mirai_alloc(len);
    randombytes_buf(bytes, NONCE);
    crypto_aead_xchacha20poly1305_ietf_encrypt(bytes + NONCE, NULL, (const unsigned char *)value.data,
                                               value.len, (const unsigned char *)name.data, name.len, NULL,
                                               bytes, keys->keys[0]);
    mirai_buf_append_str(out, MIRAI_STR(PREFIX));
    mirai_buf_reserve(out, text_size);
    sodium_bin2base64(out->data + out->len, text_size, bytes, len, VARIANT);
    out->len += text_size - 1;
    free(bytes);
}

static bool open_with(const unsigned char *key, struct mirai_str name, const unsigned char *bytes, size_t len,
                      unsigned char *plain)
{
    return crypto_aead_xchacha20poly1305_ietf_decrypt(plain, NULL, NULL, bytes + NONCE, len - NONCE,
                                                      (const unsigned char *)name.data, name.len, bytes,
                                                      key) == 0;
}

int mirai_unseal(const struct mirai_sealed_keys *keys, struct mirai_str name, struct mirai_str text,
                 struct mirai_buf *out)
{
    if (text.len <= PREFIX_LEN || memcmp(text.data, PREFIX, PREFIX_LEN) != 0) {
        return MIRAI_E_INVALID;
    }
    size_t len = 0;
    unsigned char *bytes = mirai_alloc(text.len);
    bool opened = sodium_base642bin(bytes, text.len, text.data + PREFIX_LEN, text.len - PREFIX_LEN, NULL,
                                    &len, NULL, VARIANT) == 0 &&
                  len >= NONCE + TAG;
    if (opened) {
        size_t plain_len = len - NONCE - TAG;
        mirai_buf_reserve(out, plain_len + 1);
        opened = false;
        for (size_t i = 0; i < keys->count && !opened; i++) {
            opened = open_with(keys->keys[i], name, bytes, len, (unsigned char *)out->data + out->len);
        }
        out->len += opened ? plain_len : 0;
    }
    free(bytes);
    return opened ? 0 : MIRAI_E_INVALID;
}
