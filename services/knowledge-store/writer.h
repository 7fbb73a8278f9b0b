/* The one thread that writes: many operations in one transaction, a savepoint each, and every checkpoint. */
#ifndef STORE_WRITER_H
#define STORE_WRITER_H

#include "libcommon/pool.h"
#include "services/knowledge-store/db.h"

struct store;

struct writer {
    struct store *store;
    struct db *db;              /* the read-write connection */
    int err;                    /* why the present transaction cannot be committed */
    uint64_t truncate_after_ms; /* monotonic; before then readers are not waited for again */
    _Atomic int64_t wal_bytes;
};

/* The hooks of its pool (libcommon/pool.h); `thread` is the struct writer. */
void writer_begin(void *thread, struct mirai_job *jobs);
void writer_work(struct mirai_job *job, void *thread);
void writer_end(void *thread, struct mirai_job *jobs);
void writer_idle(void *thread);

/* The whole log into the database file, at the end. */
void writer_checkpoint_all(struct writer *writer);

#endif
