/* Going back to a snapshot: what is laid ready for the store, and how it is told to take it. */
#ifndef CTL_RESTORE_H
#define CTL_RESTORE_H

#include "services/ctl/ctl.h"

#include <limits.h>
#include <sys/stat.h>

/* From:  BACKUP_DIR/snapshots/<name>/{manifest.json,knowledge.db,attachments.txt},
 *        BACKUP_DIR/attachments/ab/<sha256>
 * To:    DATA_DIR/restore/{knowledge.db,attachments/ab/<sha256>,READY};
 * READY last: what has none is not taken. */
struct restore {
    struct ctl *ctl;
    const char *name; /* of the snapshot; NULL to take back only */
    char from[PATH_MAX];
    char to[PATH_MAX];
    char sha256[65]; /* of the database, by the manifest */
    int64_t articles;
    int64_t attachments;
    struct stat source; /* BACKUP_DIR and DATA_DIR: root acts as their owners in them, so that */
    struct stat target; /* nothing that those have put there leads it anywhere else */
    char *bytes;
};

/* All return an enum ctl_exit; the reason of a failure was said. */

/* Set the paths and look whether BACKUP_DIR (with a name) and DATA_DIR are there. */
int restore_init(struct restore *restore, struct ctl *ctl, const char *name);

/* Open a file of the snapshot, or of the contents beside it, to read. -1 with errno set. */
int restore_open_source(const struct restore *restore, const char *path);

/* Copy the snapshot whose manifest was read, checked and durable, READY last. After a failure nothing of it
 * is left. What an earlier attempt laid ready is taken back first. */
int restore_lay_ready(struct restore *restore);

/* Whether something lies ready. */
bool restore_lies_ready(const struct restore *restore);

/* Take back what lies ready, durably: READY first. Fails when the store has begun to take it: then only its
 * next start ends that. *found: whether READY was there. */
int restore_take_back(struct restore *restore, bool *found);

/* Let the store, whose epoch is `before` (may be empty: unknown), start anew with what lies ready, and wait up
 * to `wait_ms` until it answers with that. When the store cannot have heard of it, it is taken back. */
int restore_hand_over(struct restore *restore, struct mirai_str before, unsigned wait_ms);

#endif
