/* Attachment contents as files: arriving ones under uploads/, whole ones named by their SHA-256 under
 * attachments/ab/. */
#ifndef STORE_BLOBS_H
#define STORE_BLOBS_H

#include "libcommon/str.h"

#include <sodium.h>

#define BLOB_HASH_SIZE   65 /* hexadecimal SHA-256 and NUL */
#define BLOB_UPLOAD_SIZE 33 /* 128 random bits in hexadecimal and NUL */

/* Two directories, opened once. Read-only after blobs_open, so any thread may use it. */
struct blobs {
    int attachments; /* directory descriptors; -1: closed */
    int uploads;
};

/* Content on its way in. One thread at a time. */
struct blob_writer {
    char name[BLOB_UPLOAD_SIZE]; /* of the file in uploads/: random, so that it cannot be guessed */
    int fd;                      /* -1: closed */
    int64_t size;                /* bytes that have arrived */
    crypto_hash_sha256_state hash;
};

/* Make and open both directories under `data_dir` and remove the uploads that an earlier run left. 0 or an
 * error with its reason logged. */
int blobs_open(struct blobs *blobs, const char *data_dir);
void blobs_close(struct blobs *blobs);

/* Start a new file. 0, MIRAI_E_NO_SPACE or MIRAI_E_INTERNAL. */
int blob_writer_open(const struct blobs *blobs, struct blob_writer *writer);
/* Append and hash. After an error only blob_writer_discard may follow. */
int blob_writer_append(struct blob_writer *writer, struct mirai_str bytes);
/* All bytes are on the disk (fsync) and the file is closed; `sha256` is their hash. */
int blob_writer_finish(struct blob_writer *writer, char sha256[BLOB_HASH_SIZE]);
/* The finished file for reading, before it has its place; -1: there is none. close() it. Any thread. */
int blob_writer_reopen(const struct blobs *blobs, const struct blob_writer *writer);
/* Give the finished file its place under its hash, durably. Same content there already: replaced by itself.
 */
int blob_writer_keep(const struct blobs *blobs, struct blob_writer *writer, const char *sha256);
/* Close and remove what has arrived. Harmless when it was kept. */
void blob_writer_discard(const struct blobs *blobs, struct blob_writer *writer);

/* Append at most `length` bytes from `offset` of a content to `buf`; *total is its size. 0, MIRAI_E_NOT_FOUND
 * or MIRAI_E_INTERNAL. */
int blob_read(const struct blobs *blobs, struct mirai_str sha256, int64_t offset, int64_t length,
              struct mirai_buf *buf, int64_t *total);
/* Remove a content that no row uses. 0, or MIRAI_E_NOT_FOUND. */
int blob_remove(const struct blobs *blobs, struct mirai_str sha256);
/* Call `visit` with the hash of each content there is. It may remove that content. */
void blobs_each(const struct blobs *blobs, void (*visit)(void *data, struct mirai_str sha256), void *data);

#endif
