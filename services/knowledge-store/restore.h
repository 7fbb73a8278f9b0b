/* Puts a prepared database in the place of the present one when the store starts.
 *
 * Whoever restores (miraictl) fills DATA_DIR/restore/ with knowledge.db (and its -wal, when it has one: so has what
 * was laid aside after a crash) and attachments/ab/<sha256>, makes
 * all of it durable, then creates DATA_DIR/restore/READY and restarts the store. The database that was there
 * moves to DATA_DIR/before-restore-<time of READY>/, and the contents of its attachments are linked there, because
 * the store removes from its own folder what the restored database does not name. So that folder is a whole way
 * back, laid out like DATA_DIR, until the operator removes it. A crash at any step is continued by the next
 * start. READY is locked (flock) while the database is put in place, and by whoever takes the restore back. */
#ifndef STORE_RESTORE_H
#define STORE_RESTORE_H

#include "libcommon/str.h"

/* Before the database is opened. 1 when the database in place is a restored one that needs a new epoch, 0
 * when there is nothing to restore, or an error with its reason logged. */
int restore_apply(const char *data_dir);

/* After the epoch was renewed: removes DATA_DIR/restore. 0 or an error with its reason logged. */
int restore_finish(const char *data_dir);

#endif
