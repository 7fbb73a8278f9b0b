#include "services/knowledge-store/writer.h"

#include "libcommon/log.h"
#include "libcommon/time.h"
#include "services/knowledge-store/audit_log.h"
#include "services/knowledge-store/feed.h"
#include "services/knowledge-store/journal.h"
#include "services/knowledge-store/store.h"

/* The log is moved into the database between transactions from the first size on. Readers that overlap without
 * a gap keep it from starting anew, so from the second size on they are waited for. */
#define WAL_PASSIVE_BYTES  (4 << 20)
#define WAL_TRUNCATE_BYTES (64 << 20)
#define TRUNCATE_WAIT_MS   500  /* writes wait as long: a quarter of a call's usual deadline */
#define TRUNCATE_PAUSE_MS  5000 /* after waiting in vain: a snapshot is being copied, perhaps */

static int checkpoint(struct writer *writer, enum db_checkpoint how)
{
    int err = db_checkpoint(writer->db, how, TRUNCATE_WAIT_MS);
    if (err != 0 && err != MIRAI_E_CONFLICT) {
        mirai_log(WARNING, "checkpoint failed", MIRAI_LOG_Z("error", mirai_error_slug(err)));
    }
    mirai_counter_add(writer->store->metrics.checkpoints, 1);
    writer->wal_bytes = db_wal_bytes(writer->db);
    return err;
}

static void shorten_log(struct writer *writer)
{
    bool large = db_wal_bytes(writer->db) > WAL_TRUNCATE_BYTES;
    if (!large || mirai_monotonic_ms() < writer->truncate_after_ms) {
        checkpoint(writer, DB_CHECKPOINT_PASSIVE);
    } else if (checkpoint(writer, DB_CHECKPOINT_TRUNCATE) != 0) {
        writer->truncate_after_ms = mirai_monotonic_ms() + TRUNCATE_PAUSE_MS;
    }
}

void writer_begin(void *thread, struct mirai_job *jobs)
{
    struct writer *writer = thread;
    (void)jobs;
    if (db_wal_bytes(writer->db) > WAL_PASSIVE_BYTES) {
        shorten_log(writer);
    }
    writer->err = db_begin_write(writer->db);
    if (writer->err == 0) {
        writer->err = audit_log_begin(&writer->store->audit, writer->db);
    }
}

/* The write itself, or the stored answer of the same write before. */
static int run_once(struct op *op)
{
    int answer = journal_find_answer(op);
    if (answer != 0) {
        op->replayed = answer > 0;
        return answer > 0 ? 0 : answer;
    }
    int err = op->method->steps[op->step].run(op);
    if (err == 0) {
        err = journal_keep_answer(op);
    }
    return err == 0 ? journal_audit(op, 0) : err;
}

static void forget_effects(struct op *op)
{
    op->touched_len = 0;
    op->touched_all = false;
    op->changed = false;
    op->access_changed = false;
    op->articles_delta = 0;
    op->last_seq = 0;
    op->result.len = 0;
}

static bool audits_failure(const struct op *op, int err)
{
    return op_audits_failure(op, err) || err == MIRAI_E_FORBIDDEN;
}

void writer_work(struct mirai_job *job, void *thread)
{
    struct writer *writer = thread;
    struct op *op = op_of_job(job);
    if (writer->err != 0) {
        op->err = op->err != 0 ? op->err : writer->err;
        return;
    }
    op->db = writer->db;
    struct audit_tail tail = writer->store->audit.present; /* the savepoint's */
    int err = op->err; /* an earlier step failed and comes here for its audit row */
    if (err == 0) {
        err = db_savepoint(writer->db);
        if (err == 0) {
            err = run_once(op);
        }
        if (err == 0) {
            err = db_savepoint_release(writer->db);
        }
        if (err != 0) {
            db_savepoint_rollback(writer->db);
            writer->store->audit.present = tail;
            forget_effects(op);
        }
    }
    if (err != 0 && db_in_transaction(writer->db) && audits_failure(op, err)) {
        journal_audit(op, err);
    }
    if (!db_in_transaction(writer->db)) { /* SQLite gave the whole transaction up: disk full, I/O error */
        writer->err = err != 0 ? err : MIRAI_E_INTERNAL;
    }
    op->err = err;
    op->db = NULL;
}

static void fail_all(struct mirai_job *jobs, int err)
{
    for (struct mirai_job *job = jobs; job != NULL; job = job->next) {
        struct op *op = op_of_job(job);
        if (op->err == 0) {
            op->err = err;
            op->detail = NULL;
            forget_effects(op);
        }
    }
}

/* After the commit: what others are told. */
static void publish(struct writer *writer, struct mirai_job *jobs)
{
    struct store *store = writer->store;
    int64_t seq = 0, articles = 0, size = 0;
    for (struct mirai_job *job = jobs; job != NULL; job = job->next) {
        const struct op *op = op_of_job(job);
        seq = op->last_seq > seq ? op->last_seq : seq;
        articles += op->articles_delta;
        size++;
    }
    atomic_fetch_add(&store->articles, articles);
    mirai_counter_add(store->metrics.commits, 1);
    mirai_counter_add(store->metrics.committed_ops, (uint64_t)size);
    mirai_gauge_set(store->metrics.group_size, size);
    if (seq > 0) {
        atomic_store(&store->feed_seq, seq);
        feed_publish(store, seq);
    }
}

void writer_end(void *thread, struct mirai_job *jobs)
{
    struct writer *writer = thread;
    if (writer->err == 0) {
        writer->err = db_commit(writer->db);
    }
    if (writer->err != 0) {
        db_rollback(writer->db);
        writer->store->audit.known = false;
        fail_all(jobs, writer->err);
    } else {
        publish(writer, jobs);
    }
    writer->wal_bytes = db_wal_bytes(writer->db);
}

void writer_idle(void *thread)
{
    struct writer *writer = thread;
    if (db_wal_bytes(writer->db) > 0) {
        shorten_log(writer);
    }
}

void writer_checkpoint_all(struct writer *writer)
{
    checkpoint(writer, DB_CHECKPOINT_TRUNCATE);
}
