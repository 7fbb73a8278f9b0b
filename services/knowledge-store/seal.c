#include "services/knowledge-store/seal.h"

#include "libcommon/error.h"
#include "libcommon/log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define NONCE crypto_aead_xchacha20poly1305_ietf_NPUBBYTES

static int fail(const char *what, const char *path)
{
    int error = errno;
    mirai_log(ERROR, what, MIRAI_LOG_Z("path", path), MIRAI_LOG_Z("reason", strerror(error)));
    return error == ENOSPC ? MIRAI_E_NO_SPACE : MIRAI_E_INTERNAL;
}

/* Whole, or not at all: written beside its name first. */
static int make_key(const char *data_dir, const char *path, unsigned char key[SEAL_KEY_SIZE])
{
    char fresh[PATH_MAX];
    snprintf(fresh, sizeof(fresh), "%s/identity.key.new", data_dir);
    unlink(fresh); /* of a start that was cut short */
    int fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        return fail("cannot make the key of secrets", fresh);
    }
    randombytes_buf(key, SEAL_KEY_SIZE);
    int err = write(fd, key, SEAL_KEY_SIZE) == SEAL_KEY_SIZE && fsync(fd) == 0
                  ? 0
                  : fail("cannot write the key of secrets", fresh);
    close(fd);
    int dir = err == 0 ? open(data_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (err == 0 && (rename(fresh, path) != 0 || dir < 0 || fsync(dir) != 0)) {
        err = fail("cannot keep the key of secrets", path);
    }
    if (dir >= 0) {
        close(dir);
    }
    return err;
}

int seal_open(const char *data_dir, unsigned char key[SEAL_KEY_SIZE], bool *made)
{
    char path[PATH_MAX];
    unsigned char more;
    struct stat status;
    snprintf(path, sizeof(path), "%s/identity.key", data_dir);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    *made = fd < 0 && errno == ENOENT;
    if (*made) {
        return make_key(data_dir, path, key);
    }
    if (fd < 0) {
        return fail("cannot read the key of secrets", path);
    }
    errno = EINVAL;
    int err = read(fd, key, SEAL_KEY_SIZE) == SEAL_KEY_SIZE && read(fd, &more, 1) == 0
                  ? 0
                  : fail("the key of secrets is not 32 bytes", path);
    if (err == 0 && (fstat(fd, &status) != 0 || (status.st_mode & 077) != 0)) {
        mirai_log(ERROR, "others may read the key of secrets: chmod 600", MIRAI_LOG_Z("path", path));
        err = MIRAI_E_INVALID;
    }
    close(fd);
    return err;
}

void seal(const unsigned char key[SEAL_KEY_SIZE], int64_t owner, const unsigned char *secret, size_t len,
          unsigned char *out)
{
    randombytes_buf(out, NONCE);
    crypto_aead_xchacha20poly1305_ietf_encrypt(out + NONCE, NULL, secret, len, (const unsigned char *)&owner,
                                               sizeof(owner), NULL, out, key);
}

bool unseal(const unsigned char key[SEAL_KEY_SIZE], int64_t owner, struct mirai_str sealed,
            unsigned char *secret, size_t len)
{
    const unsigned char *bytes = (const unsigned char *)sealed.data;
    return sealed.len == len + SEAL_EXTRA &&
           crypto_aead_xchacha20poly1305_ietf_decrypt(secret, NULL, NULL, bytes + NONCE, sealed.len - NONCE,
                                                      (const unsigned char *)&owner, sizeof(owner), bytes,
                                                      key) == 0;
}
