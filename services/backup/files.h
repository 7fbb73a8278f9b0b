/* Files that must survive a power cut: written whole, synced, renamed; and their SHA-256. */
#ifndef BACKUP_FILES_H
#define BACKUP_FILES_H

#include "libcommon/str.h"

#define FILES_SHA256_SIZE 65 /* 64 hexadecimal digits and NUL */

/* All functions block; errors are MIRAI_E_NO_SPACE, MIRAI_E_NOT_FOUND or MIRAI_E_INTERNAL with the reason
 * logged. */

/* Create or replace `path` with `content`: temporary file, fsync, rename, fsync of the directory. */
int files_write_atomic(const char *path, struct mirai_str content);
int files_read(const char *path, size_t max, struct mirai_buf *out); /* MIRAI_E_TOO_LARGE above max */
int files_sync(int fd);
int files_sync_directory(const char *path);
int files_make_directory(const char *path); /* and its parents; mode 0750 */
int files_remove_tree(const char *path);    /* a directory with plain files in it */
int files_sha256(const char *path, char out[FILES_SHA256_SIZE], int64_t *size);

/* The mirai_error for an errno. */
int files_error(int errno_value);

#endif
