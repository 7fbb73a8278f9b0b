/* The audit log while it is written: append-only, each row chained to the one before (proto/audit_chain.h).
 *
 * All rows are written by the writer thread, inside its transaction. What the newest row is, is known without asking
 * the database: `committed` and, within a transaction, `present`. */
#ifndef STORE_AUDIT_LOG_H
#define STORE_AUDIT_LOG_H

#include "proto/audit_chain.h"
#include "services/knowledge-store/db.h"

struct op;
struct store;

/* The newest row. */
struct audit_tail {
    int64_t id; /* 0: there is none */
    unsigned char hash[MIRAI_AUDIT_HASH_SIZE];
};

struct audit_log {
    bool known; /* false: `present` must be read from the database */
    struct audit_tail present;
    struct mirai_buf scratch;

    /* Notes of daemons: so many are taken in a second, the rest is summed. */
    uint64_t second;        /* monotonic */
    int64_t taken;          /* in that second */
    _Atomic int64_t summed; /* not yet in a committed row */
};

/* Notes that are taken in one second. */
#define AUDIT_NOTES_MAX 50

/* Chain the rows that a database had before it had a chain, in the order of their ids; a crash in between is
 * continued by the next call. Outside a transaction. 0 or an error. */
int audit_log_adopt(struct store *store, struct db *db);

/* Within a transaction: read the newest row when it is not known. 0 or an error. */
int audit_log_begin(struct audit_log *log, struct db *db);

/* Append a row: sets id, epoch and hash of *entry (its text is lent). 0 or an error, and then nothing has
 * changed. */
int audit_log_append(struct store *store, struct db *db, struct mirai_audit_entry *entry);

/* The first row after a restore. `last`: newest known head of what was replaced, or NULL. */
int audit_log_restored(struct store *store, struct db *db, const struct mirai_audit_head *last);

/* Step of audit.append (WRITE): a note, or one more of those that are summed. */
int audit_log_note(struct op *op);
/* One row for `summed` notes that were too many; nothing for 0. Within a transaction. 0 or an error. */
int audit_log_sum(struct store *store, struct db *db, int64_t now_ms, int64_t summed);

void audit_log_close(struct audit_log *log);

#endif
