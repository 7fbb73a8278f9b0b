#include "services/backup/files.h"

#include "libcommon/error.h"
#include "libcommon/log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_SIZE (256u << 10)

int files_error(int errno_value)
{
    switch (errno_value) {
    case ENOSPC:
    case EDQUOT:
        return MIRAI_E_NO_SPACE;
    case ENOENT:
        return MIRAI_E_NOT_FOUND;
    default:
        return MIRAI_E_INTERNAL;
    }
}

static int failed(const char *what, const char *path)
{
    int err = files_error(errno);
    mirai_log(ERROR, what, MIRAI_LOG_Z("path", path), MIRAI_LOG_Z("reason", strerror(errno)));
    return err;
}

int files_sync(int fd)
{
    return fsync(fd) == 0 ? 0 : files_error(errno);
}

int files_sync_directory(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return failed("cannot open the directory", path);
    }
    int err = files_sync(fd);
    close(fd);
    return err;
}

static int sync_parent(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (slash == NULL) {
        return files_sync_directory(".");
    }
    char *parent = mirai_str_dup((struct mirai_str){path, (size_t)(slash - path)});
    int err = files_sync_directory(parent[0] != '\0' ? parent : "/");
    free(parent);
    return err;
}

static int write_all(int fd, struct mirai_str content)
{
    while (content.len > 0) {
        ssize_t n = write(fd, content.data, content.len);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return files_error(errno);
        }
        content.data += n;
        content.len -= (size_t)n;
    }
    return 0;
}

int files_write_atomic(const char *path, struct mirai_str content)
{
    char temporary[PATH_MAX];
    if (snprintf(temporary, sizeof(temporary), "%s.tmp", path) >= (int)sizeof(temporary)) {
        return MIRAI_E_INTERNAL;
    }
    int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    if (fd < 0) {
        return failed("cannot create the file", temporary);
    }
    int err = write_all(fd, content);
    if (err == 0) {
        err = files_sync(fd);
    }
    close(fd);
    if (err == 0 && rename(temporary, path) != 0) {
        err = failed("cannot rename the file", path);
    }
    if (err != 0) {
        unlink(temporary);
        return err;
    }
    return sync_parent(path);
}

int files_read(const char *path, size_t max, struct mirai_buf *out)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return files_error(errno);
    }
    int err = 0;
    for (;;) {
        mirai_buf_reserve(out, 16384);
        ssize_t n = read(fd, out->data + out->len, out->cap - out->len);
        if (n <= 0) {
            err = n < 0 ? files_error(errno) : 0;
            break;
        }
        out->len += (size_t)n;
        if (out->len > max) {
            err = MIRAI_E_TOO_LARGE;
            break;
        }
    }
    close(fd);
    return err;
}

int files_make_directory(const char *path)
{
    char *copy = mirai_str_dup(mirai_str(path));
    int err = 0;
    for (char *p = copy + 1; err == 0; p++) {
        if (*p == '/' || *p == '\0') {
            char end = *p;
            *p = '\0';
            if (mkdir(copy, 0750) != 0 && errno != EEXIST) {
                err = failed("cannot make the directory", copy);
            }
            *p = end;
            if (end == '\0') {
                break;
            }
        }
    }
    free(copy);
    return err;
}

int files_remove_tree(const char *path)
{
    DIR *directory = opendir(path);
    if (directory == NULL) {
        return errno == ENOENT ? 0 : failed("cannot open the directory", path);
    }
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            unlinkat(dirfd(directory), entry->d_name, 0);
        }
    }
    closedir(directory);
    return rmdir(path) == 0 ? 0 : failed("cannot remove the directory", path);
}

int files_sha256(const char *path, char out[FILES_SHA256_SIZE], int64_t *size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return files_error(errno);
    }
    crypto_hash_sha256_state state;
    unsigned char digest[crypto_hash_sha256_BYTES];
    char *chunk = mirai_alloc(READ_SIZE);
    ssize_t n;
    crypto_hash_sha256_init(&state);
    *size = 0;
    while ((n = read(fd, chunk, READ_SIZE)) > 0) {
        crypto_hash_sha256_update(&state, (unsigned char *)chunk, (unsigned long long)n);
        *size += n;
    }
    int err = n < 0 ? failed("cannot read the file", path) : 0;
    crypto_hash_sha256_final(&state, digest);
    mirai_hex(out, digest, sizeof(digest));
    free(chunk);
    close(fd);
    return err;
}
