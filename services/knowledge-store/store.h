/* The running knowledge-store: its files, threads and what they share. */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "libcommon/metrics.h"
#include "libcommon/pool.h"
#include "libcommon/pubsub.h"
#include "libcommon/service.h"
#include "services/knowledge-store/audit_heads.h"
#include "services/knowledge-store/audit_log.h"
#include "services/knowledge-store/blobs.h"
#include "services/knowledge-store/clamd.h"
#include "services/knowledge-store/db.h"
#include "services/knowledge-store/op.h"
#include "services/knowledge-store/seal.h"
#include "services/knowledge-store/second_factor.h"
#include "services/knowledge-store/writer.h"

#include <limits.h>

#define STORE_EPOCH_SIZE 13 /* 12 hexadecimal digits and NUL */

struct store {
    struct mirai_runtime *runtime;
    uv_loop_t *loop;
    char data_dir[PATH_MAX - 64];
    char db_path[PATH_MAX];
    int lock_fd;                  /* DATA_DIR/knowledge.lock, locked; -1: not */
    char epoch[STORE_EPOCH_SIZE]; /* names this history of changes; constant while running */

    struct mirai_pool *readers, *bulk, *writers, *passwords, *files, *scanners, *copier;
    struct writer writer;
    struct audit_log audit;              /* the writer's */
    struct audit_heads *audit_heads;     /* signs it */
    struct cache *cache;                 /* loop thread */
    struct views *views;                 /* loop thread */
    struct snapshots *snapshots;         /* has its own lock */
    struct blobs blobs;                  /* contents of attachments */
    struct uploads *uploads;             /* file thread */
    atomic_bool stopping;                /* whoever waits for something outside gives up */
    _Atomic int64_t attachment_removals; /* transactions under way that remove attachments */
    struct mirai_publisher *publisher;
    struct mirai_stamps *stamps; /* tell gateways what has changed; NULL: they ask for everything */
    uv_timer_t beat_timer;
    uv_timer_t upkeep_timer;
    uv_timer_t heads_timer; /* of audit_heads.c: lives here until the loop has closed it */
    uint64_t upkeep_due_ms; /* monotonic */
    size_t ops;             /* under way; loop thread */

    unsigned char seal_key[SEAL_KEY_SIZE]; /* constant while running */
    struct code_limits *code_limits;       /* writer thread */

    _Atomic int64_t feed_seq; /* newest committed change */
    _Atomic int64_t articles; /* not in the bin */

    struct {
        struct mirai_counter *cache_hits, *cache_misses, *commits, *committed_ops, *checkpoints;
        struct mirai_counter *scans[CLAMD_NO_ANSWER + 1]; /* by verdict */
        struct mirai_gauge *group_size;
    } metrics;
};

/* Directories, restore, database, migrations: what needs no loop. Enough for tests of single operations. Nobody
 * else can open the same directory until store_close or the end of the process. 0, MIRAI_E_CONFLICT when
 * somebody else has it, or an error; its reason is logged. */
int store_open(struct store *store, const char *data_dir);
/* Threads, timers, publisher on runtime->loop. 0 or an error with its reason logged. */
int store_start(struct store *store, struct mirai_runtime *runtime);
/* Finish what is under way, write what is only in memory, end the threads. Loop thread. */
void store_stop(struct store *store);
/* The end of store_open. */
void store_close(struct store *store);

/* An article, or all, have changed: what is kept of them here and in gateways is old. Before the change is
 * acknowledged. Loop thread. */
void store_forget(struct store *store, int64_t article_id);
void store_forget_all(struct store *store);
/* Who may do what has changed: what gateways know of secrets is old. Likewise. */
void store_forget_access(struct store *store);

/* The pool of a step; NULL for OP_LOOP. */
struct mirai_pool *store_pool(struct store *store, enum op_pool pool);

#endif
