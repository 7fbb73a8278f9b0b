#include "services/knowledge-store/blobs.h"

#include "libcommon/error.h"
#include "libcommon/log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOB_PATH_SIZE (3 + BLOB_HASH_SIZE) /* "ab/abcd…" */

static int error_of(int error_number)
{
    return error_number == ENOSPC || error_number == EDQUOT ? MIRAI_E_NO_SPACE : MIRAI_E_INTERNAL;
}

/* Log what failed and translate errno. */
static int failed(const char *what)
{
    int saved = errno;
    mirai_log(ERROR, "attachment file", MIRAI_LOG_Z("operation", what),
              MIRAI_LOG_Z("reason", strerror(saved)));
    return error_of(saved);
}

static bool is_hash(struct mirai_str name)
{
    if (name.len != BLOB_HASH_SIZE - 1) {
        return false;
    }
    for (size_t i = 0; i < name.len; i++) {
        bool digit =
            (name.data[i] >= '0' && name.data[i] <= '9') || (name.data[i] >= 'a' && name.data[i] <= 'f');
        if (!digit) {
            return false;
        }
    }
    return true;
}

static void path_of(char path[BLOB_PATH_SIZE], struct mirai_str sha256)
{
    (void)snprintf(path, BLOB_PATH_SIZE, "%.2s/%.64s", sha256.data, sha256.data);
}

static int open_directory(int parent, const char *name)
{
    if (mkdirat(parent, name, 0750) != 0 && errno != EEXIST) {
        return -1;
    }
    return openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
}

/* Call `visit` with each entry of the directory that is not hidden. */
static void each_entry(int directory, void (*visit)(void *data, int directory, const char *name), void *data)
{
    int copy = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *stream = copy >= 0 ? fdopendir(copy) : NULL;
    if (stream == NULL) {
        (void)failed("opendir");
        if (copy >= 0) {
            close(copy);
        }
        return;
    }
    for (struct dirent *entry = readdir(stream); entry != NULL; entry = readdir(stream)) {
        if (entry->d_name[0] != '.') {
            visit(data, directory, entry->d_name);
        }
    }
    closedir(stream);
}

static void remove_upload(void *data, int directory, const char *name)
{
    (void)data;
    (void)unlinkat(directory, name, 0);
}

int blobs_open(struct blobs *blobs, const char *data_dir)
{
    int err = 0;
    *blobs = (struct blobs){-1, -1};
    int parent = open(data_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (parent < 0) {
        return failed("open data directory");
    }
    blobs->attachments = open_directory(parent, "attachments");
    blobs->uploads = open_directory(parent, "uploads");
    if (blobs->attachments < 0 || blobs->uploads < 0) {
        err = failed("open directory");
        blobs_close(blobs);
    } else {
        each_entry(blobs->uploads, remove_upload, NULL);
    }
    close(parent);
    return err;
}

void blobs_close(struct blobs *blobs)
{
    if (blobs->attachments >= 0) {
        close(blobs->attachments);
    }
    if (blobs->uploads >= 0) {
        close(blobs->uploads);
    }
    *blobs = (struct blobs){-1, -1};
}

/* ------------------------------------------------------------------ writing */

int blob_writer_open(const struct blobs *blobs, struct blob_writer *writer)
{
    unsigned char random[(BLOB_UPLOAD_SIZE - 1) / 2];
    randombytes_buf(random, sizeof(random));
    mirai_hex(writer->name, random, sizeof(random));
    writer->size = 0;
    crypto_hash_sha256_init(&writer->hash);
    writer->fd = openat(blobs->uploads, writer->name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
    return writer->fd >= 0 ? 0 : failed("create");
}

int blob_writer_append(struct blob_writer *writer, struct mirai_str bytes)
{
    for (size_t done = 0; done < bytes.len;) {
        ssize_t n = write(writer->fd, bytes.data + done, bytes.len - done);
        if (n < 0 && errno != EINTR) {
            return failed("write");
        }
        done += n > 0 ? (size_t)n : 0;
    }
    crypto_hash_sha256_update(&writer->hash, (const unsigned char *)bytes.data, bytes.len);
    writer->size += (int64_t)bytes.len;
    return 0;
}

int blob_writer_finish(struct blob_writer *writer, char sha256[BLOB_HASH_SIZE])
{
    unsigned char digest[crypto_hash_sha256_BYTES];
    if (fsync(writer->fd) != 0) {
        return failed("fsync");
    }
    close(writer->fd);
    writer->fd = -1;
    crypto_hash_sha256_final(&writer->hash, digest);
    mirai_hex(sha256, digest, sizeof(digest));
    return 0;
}

int blob_writer_reopen(const struct blobs *blobs, const struct blob_writer *writer)
{
    return openat(blobs->uploads, writer->name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
}

int blob_writer_keep(const struct blobs *blobs, struct blob_writer *writer, const char *sha256)
{
    char path[BLOB_PATH_SIZE];
    char folder[3] = {sha256[0], sha256[1], '\0'};
    int err = 0;
    int directory = open_directory(blobs->attachments, folder);
    if (directory < 0) {
        return failed("open directory");
    }
    path_of(path, mirai_str(sha256));
    if (renameat(blobs->uploads, writer->name, blobs->attachments, path) != 0) {
        err = failed("rename");
    } else if (fsync(directory) != 0 || fsync(blobs->attachments) != 0) {
        err = failed("fsync directory");
    }
    close(directory);
    return err;
}

void blob_writer_discard(const struct blobs *blobs, struct blob_writer *writer)
{
    if (writer->fd >= 0) {
        close(writer->fd);
        writer->fd = -1;
    }
    (void)unlinkat(blobs->uploads, writer->name, 0);
}

/* ------------------------------------------------------------------ reading */

int blob_read(const struct blobs *blobs, struct mirai_str sha256, int64_t offset, int64_t length,
              struct mirai_buf *buf, int64_t *total)
{
    char path[BLOB_PATH_SIZE];
    struct stat status;
    int err = 0;
    if (!is_hash(sha256)) {
        return MIRAI_E_NOT_FOUND;
    }
    path_of(path, sha256);
    int fd = openat(blobs->attachments, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) {
        return errno == ENOENT ? MIRAI_E_NOT_FOUND : failed("open");
    }
    if (fstat(fd, &status) != 0) {
        err = failed("stat");
        goto cleanup;
    }
    *total = status.st_size;
    int64_t left = offset < status.st_size ? status.st_size - offset : 0;
    left = left < length ? left : length;
    mirai_buf_reserve(buf, (size_t)left);
    while (left > 0) {
        ssize_t n = pread(fd, buf->data + buf->len, (size_t)left, offset);
        if (n == 0 || (n < 0 && errno != EINTR)) {
            err = failed("read");
            break;
        }
        if (n > 0) {
            buf->len += (size_t)n;
            offset += n;
            left -= n;
        }
    }
cleanup:
    close(fd);
    return err;
}

int blob_remove(const struct blobs *blobs, struct mirai_str sha256)
{
    char path[BLOB_PATH_SIZE];
    if (!is_hash(sha256)) {
        return MIRAI_E_NOT_FOUND;
    }
    path_of(path, sha256);
    return unlinkat(blobs->attachments, path, 0) == 0 ? 0 : MIRAI_E_NOT_FOUND;
}

struct visitor {
    void (*visit)(void *data, struct mirai_str sha256);
    void *data;
};

static void visit_file(void *data, int directory, const char *name)
{
    (void)directory;
    const struct visitor *visitor = data;
    if (is_hash(mirai_str(name))) {
        visitor->visit(visitor->data, mirai_str(name));
    }
}

static void visit_folder(void *data, int directory, const char *name)
{
    int folder = strlen(name) == 2 ? openat(directory, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (folder >= 0) {
        each_entry(folder, visit_file, data);
        close(folder);
    }
}

void blobs_each(const struct blobs *blobs, void (*visit)(void *data, struct mirai_str sha256), void *data)
{
    struct visitor visitor = {visit, data};
    each_entry(blobs->attachments, visit_folder, &visitor);
}
