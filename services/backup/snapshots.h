/* The directory of stored snapshots: which there are, what they need, which may go.
 *
 *   BACKUP_DIR/snapshots/<name>/knowledge.db     copy of the store's database
 *   BACKUP_DIR/snapshots/<name>/attachments.txt  SHA-256 of each attachment it needs, one a line
 *   BACKUP_DIR/snapshots/<name>/manifest.json    written last: a snapshot without it does not exist
 *   BACKUP_DIR/attachments/ab/<sha256>           contents, shared by all snapshots
 *   BACKUP_DIR/audit-heads.jsonl                 with each snapshot one more signed head of the audit log
 */
#ifndef BACKUP_SNAPSHOTS_H
#define BACKUP_SNAPSHOTS_H

#include "proto/messages.h"

#include <limits.h>

#define SNAPSHOT_NAME_SIZE 64

/* All functions block: worker thread only. */

/* Paths under BACKUP_DIR. */
void snapshots_path(char out[PATH_MAX], const char *name,
                    const char *file); /* of a snapshot; file "" = its directory */
void snapshots_attachment_path(char out[PATH_MAX], struct mirai_str sha256);

/* "20260131T030000.000Z-daily" for a time. */
void snapshots_name(char out[SNAPSHOT_NAME_SIZE], int64_t unix_ms, enum mirai_snapshot_kind kind);

/* Whether `name` can be a snapshot's (no path tricks). */
bool snapshots_name_valid(struct mirai_str name);

/* Read and write a manifest. Strings of *info live in `arena`; its name is NUL-terminated. */
int snapshots_read(const char *name, struct mirai_arena *arena, struct mirai_snapshot_info *info);
int snapshots_write(const struct mirai_snapshot_info *info, const char *directory);

/* All, newest first; *list in `arena`. */
int snapshots_list(struct mirai_arena *arena, struct mirai_snapshot_list *list);

/* Each attachment content that a snapshot's copy of the database names, by hash, until `each` returns an error.
 * 0, that error, or MIRAI_E_INTERNAL when the copy cannot be read. */
typedef int (*snapshots_attachment)(void *data, struct mirai_str sha256, int64_t size);
int snapshots_each_attachment(const char *name, snapshots_attachment each, void *data);

/* Remove what retention no longer keeps (never the newest sound one), what a crash left half-made, and
 * attachments that no snapshot needs. now_ms: Unix time. */
int snapshots_expire(int64_t now_ms);
/* The same without the attachments. */
int snapshots_remove_expired(int64_t now_ms);

/* Remove the attachments of a snapshot whose hash is wrong; how many are missing now. */
size_t snapshots_remove_damaged(const char *name);

/* Check one: the copy's hash, SQLite's integrity check, number of articles, and presence and hash of
 * each attachment that the copy or its list names. The result goes into *info (verified_at, or fault) and its manifest. 0: sound; MIRAI_E_CONFLICT:
 * damaged; others: not readable. */
int snapshots_verify(const char *name, struct mirai_arena *arena, struct mirai_snapshot_info *info);

#endif
