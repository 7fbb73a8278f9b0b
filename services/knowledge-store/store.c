#include "services/knowledge-store/store.h"

#include "libcommon/config.h"
#include "libcommon/log.h"
#include "libcommon/stamps.h"
#include "libcommon/time.h"
#include "services/knowledge-store/asked.h"
#include "services/knowledge-store/attachments.h"
#include "services/knowledge-store/cache.h"
#include "services/knowledge-store/feed.h"
#include "services/knowledge-store/journal.h"
#include "services/knowledge-store/passwords.h"
#include "services/knowledge-store/restore.h"
#include "services/knowledge-store/schema.h"
#include "services/knowledge-store/snapshot.h"
#include "services/knowledge-store/uploads.h"
#include "services/knowledge-store/views.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_BATCH       16
#define TICK_MS          5000   /* views to disk, snapshots expire */
#define UPKEEP_PERIOD_MS 600000 /* old rows go */
#define UPKEEP_FIRST_MS  30000
#define UPKEEP_ROWS      5000
#define WRITER_IDLE_MS   1000
#define PASSWORD_QUEUE   64
#define FILE_QUEUE       256
#define SCAN_THREADS     4
#define SCAN_QUEUE       64
#define SNAPSHOT_QUEUE   4

/* ------------------------------------------------------------------ open */

static int write_epoch(struct store *store)
{
    unsigned char random[(STORE_EPOCH_SIZE - 1) / 2];
    randombytes_buf(random, sizeof(random));
    mirai_hex(store->epoch, random, sizeof(random));
    return db_exec(store->writer.db,
                   "INSERT INTO meta (key, value) VALUES ('epoch', ?1)"
                   " ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                   DB_S(mirai_str(store->epoch)));
}

static int read_epoch(struct store *store)
{
    struct db_rows *rows = db_query(store->writer.db, "SELECT value FROM meta WHERE key = 'epoch'");
    if (db_next(rows)) {
        snprintf(store->epoch, sizeof(store->epoch), "%.*s", MIRAI_STR_ARG(db_text(rows, 0)));
    }
    return db_end(rows);
}

static int read_totals(struct store *store)
{
    int64_t seq = 0, articles = 0;
    int err = db_find_int(store->writer.db, &seq, "SELECT ifnull(max(seq), 0) FROM changes");
    if (err == 0) {
        err = db_find_int(store->writer.db, &articles,
                          "SELECT count(*) FROM articles WHERE deleted_at IS NULL");
    }
    store->feed_seq = seq;
    store->articles = articles;
    return err;
}

/* A new history begins, with a row that says what was known of the one before. */
static int begin_after_restore(struct store *store)
{
    struct db *db = store->writer.db;
    struct mirai_arena arena = {0};
    struct mirai_audit_head last;
    bool known = audit_heads_read_last(store, &arena, &last);
    int err = db_begin_write(db);
    if (err == 0) {
        err = write_epoch(store);
    }
    if (err == 0) {
        err = audit_log_restored(store, db, known ? &last : NULL);
    }
    if (err == 0) {
        err = db_commit(db);
    }
    db_rollback(db);
    store->audit.known = false;
    mirai_arena_free(&arena);
    return err == 0 ? restore_finish(store->data_dir) : err;
}

static int open_database(struct store *store, bool restored)
{
    int err = db_open(store->db_path, DB_WRITE, &store->writer.db);
    if (err == 0) {
        err = schema_migrate(store->writer.db);
    }
    if (err == 0) {
        err = read_epoch(store);
    }
    if (err == 0 && store->epoch[0] == '\0') {
        err = write_epoch(store);
    }
    if (err == 0) {
        err = audit_log_adopt(store, store->writer.db);
    }
    if (err == 0 && restored) {
        err = begin_after_restore(store);
    }
    if (err == 0) {
        store->audit_heads = audit_heads_open(store);
        err = store->audit_heads != NULL ? 0 : MIRAI_E_INVALID;
    }
    return err == 0 ? read_totals(store) : err;
}

/* A new key beside second factors of another one: this database came from another host. */
static int open_key(struct store *store)
{
    int64_t found;
    bool made;
    int err = seal_open(store->data_dir, store->seal_key, &made);
    if (err == 0 && made &&
        db_find_int(store->writer.db, &found, "SELECT 1 FROM second_factors LIMIT 1") == 0) {
        mirai_log(WARNING, "identity.key is missing: second factors work only by their recovery codes",
                  MIRAI_LOG_Z("data_dir", store->data_dir));
    }
    return err;
}

static void make_metrics(struct store *store)
{
    static const char *const verdicts[] = {
        [CLAMD_CLEAN] = "verdict=\"clean\"",
        [CLAMD_INFECTED] = "verdict=\"infected\"",
        [CLAMD_TOO_LARGE] = "verdict=\"too-large\"",
        [CLAMD_NO_ANSWER] = "verdict=\"none\"",
    };
    store->metrics.cache_hits =
        mirai_metric_counter("mirai_store_cache_hits_total", "Articles answered from memory", NULL);
    store->metrics.cache_misses =
        mirai_metric_counter("mirai_store_cache_misses_total", "Articles read from the database", NULL);
    store->metrics.commits =
        mirai_metric_counter("mirai_store_commits_total", "Transactions committed", NULL);
    store->metrics.committed_ops =
        mirai_metric_counter("mirai_store_committed_writes_total", "Writes in these transactions", NULL);
    store->metrics.checkpoints =
        mirai_metric_counter("mirai_sqlite_checkpoints_total", "Checkpoints of the write-ahead log", NULL);
    for (size_t i = 0; i < sizeof(verdicts) / sizeof(verdicts[0]); i++) {
        store->metrics.scans[i] = mirai_metric_counter("mirai_store_scans_total",
                                                       "Uploads by the virus scanner's verdict", verdicts[i]);
    }
    store->metrics.group_size =
        mirai_metric_gauge("mirai_store_group_commit_size", "Writes in the last transaction", NULL);
}

/* Before anything in the directory is touched: a second store, of another instance or run directory, would
 * checkpoint the same database and remove the other's uploads. */
static int lock_directory(struct store *store)
{
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/knowledge.lock", store->data_dir);
    store->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    if (store->lock_fd >= 0 && flock(store->lock_fd, LOCK_EX | LOCK_NB) == 0) {
        return 0;
    }
    bool taken = store->lock_fd >= 0 && errno == EWOULDBLOCK;
    mirai_log(ERROR,
              taken ? "another knowledge-store uses this data directory" : "cannot lock the data directory",
              MIRAI_LOG_Z("path", path), MIRAI_LOG_Z("reason", strerror(errno)));
    return taken ? MIRAI_E_CONFLICT : errno == ENOSPC ? MIRAI_E_NO_SPACE : MIRAI_E_INTERNAL;
}

int store_open(struct store *store, const char *data_dir)
{
    snprintf(store->data_dir, sizeof(store->data_dir), "%s", data_dir);
    snprintf(store->db_path, sizeof(store->db_path), "%s/knowledge.db", data_dir);
    store->writer.store = store;
    store->lock_fd = -1;
    store->blobs = (struct blobs){-1, -1};
    make_metrics(store);
    if (passwords_start() != 0) {
        return MIRAI_E_INTERNAL;
    }
    if (mkdir(data_dir, 0750) != 0 && errno != EEXIST) {
        mirai_log(ERROR, "cannot make the data directory", MIRAI_LOG_Z("path", data_dir),
                  MIRAI_LOG_Z("reason", strerror(errno)));
        return MIRAI_E_INTERNAL;
    }
    int err = lock_directory(store);
    if (err != 0) {
        store_close(store);
        return err;
    }
    int restored = restore_apply(store->data_dir);
    err = restored < 0 ? restored : open_database(store, restored > 0);
    if (err == 0) {
        err = blobs_open(&store->blobs, store->data_dir);
    }
    if (err == 0) {
        err = open_key(store);
    }
    if (err != 0) {
        mirai_log(ERROR, "cannot use the database", MIRAI_LOG_Z("path", store->db_path),
                  MIRAI_LOG_Z("error", mirai_error_slug(err)));
        store_close(store);
        return err;
    }
    store->cache = cache_new(mirai_config_size(MIRAI_CONFIG_STORE_CACHE_BYTES));
    store->views = views_new();
    store->code_limits = code_limits_new();
    store->snapshots = snapshots_new(store->data_dir);
    store->uploads = uploads_new();
    return 0;
}

void store_close(struct store *store)
{
    audit_heads_close(store->audit_heads);
    store->audit_heads = NULL;
    audit_log_close(&store->audit);
    if (store->writer.db != NULL) {
        writer_checkpoint_all(&store->writer);
        db_close(store->writer.db);
        store->writer.db = NULL;
    }
    cache_free(store->cache);
    views_free(store->views);
    snapshots_free(store->snapshots);
    if (store->uploads != NULL) {
        uploads_free(store, store->uploads);
        store->uploads = NULL;
    }
    blobs_close(&store->blobs);
    code_limits_free(store->code_limits);
    store->code_limits = NULL;
    sodium_memzero(store->seal_key, sizeof(store->seal_key));
    if (store->lock_fd >= 0) {
        close(store->lock_fd);
        store->lock_fd = -1;
    }
    store->cache = NULL;
    store->views = NULL;
    store->snapshots = NULL;
}

/* ------------------------------------------------------------------ threads */

static void *reader_start(void *data)
{
    const struct store *store = data;
    struct db *db;
    return db_open(store->db_path, DB_READ, &db) == 0 ? db : NULL;
}

static void reader_stop(void *thread)
{
    db_close(thread);
}

static void reader_begin(void *thread, struct mirai_job *jobs)
{
    (void)jobs;
    if (thread != NULL) {
        db_begin_read(thread);
    }
}

static void reader_end(void *thread, struct mirai_job *jobs)
{
    (void)jobs;
    if (thread != NULL) {
        db_commit(thread);
    }
}

static void *writer_start(void *data)
{
    return &((struct store *)data)->writer;
}

static struct mirai_pool *start_readers(struct store *store, const char *name, size_t threads, size_t batch)
{
    const struct mirai_pool_options options = {
        .name = name,
        .threads = threads,
        .queue_max = mirai_config_size(MIRAI_CONFIG_RPC_QUEUE_MAX),
        .batch_max = batch,
        .data = store,
        .thread_start = reader_start,
        .thread_stop = reader_stop,
        .batch_begin = reader_begin,
        .batch_end = reader_end,
    };
    return mirai_pool_new(store->loop, &options);
}

static struct mirai_pool *start_writer(struct store *store)
{
    const struct mirai_pool_options options = {
        .name = "writer",
        .threads = 1,
        .queue_max = mirai_config_size(MIRAI_CONFIG_RPC_QUEUE_MAX),
        .batch_max = mirai_config_size(MIRAI_CONFIG_STORE_GROUP_MAX),
        .data = store,
        .thread_start = writer_start,
        .batch_begin = writer_begin,
        .batch_end = writer_end,
        .idle_ms = WRITER_IDLE_MS,
        .idle = writer_idle,
    };
    return mirai_pool_new(store->loop, &options);
}

static struct mirai_pool *start_workers(struct store *store, const char *name, size_t threads, size_t queue)
{
    const struct mirai_pool_options options = {
        .name = name, .threads = threads, .queue_max = queue, .batch_max = 1, .data = store};
    return mirai_pool_new(store->loop, &options);
}

struct mirai_pool *store_pool(struct store *store, enum op_pool pool)
{
    switch (pool) {
    case OP_READ:
        return store->readers;
    case OP_BULK:
        return store->bulk;
    case OP_WRITE:
        return store->writers;
    case OP_PASSWORD:
        return store->passwords;
    case OP_FILE:
        return store->files;
    case OP_SCAN:
        return store->scanners;
    case OP_SNAPSHOT:
        return store->copier;
    case OP_LOOP:
        break;
    }
    return NULL;
}

/* ------------------------------------------------------------------ upkeep */

static int remove_old_rows(struct op *op)
{
    int err = feed_expire(op->db, op->now_ms, UPKEEP_ROWS);
    if (err == 0) {
        err = asked_expire(op->db, op->now_ms, UPKEEP_ROWS);
    }
    return err == 0 ? journal_expire(op->db, op->now_ms, UPKEEP_ROWS) : err;
}

static void on_tick(uv_timer_t *timer)
{
    static const struct op_method upkeep = {.steps = {{OP_WRITE, remove_old_rows}}, .flags = OP_NO_AUDIT};
    struct store *store = timer->data;
    views_flush(store);
    snapshots_expire(store->snapshots);
    attachments_collect_held(store);
    uploads_expire(store);
    if (mirai_monotonic_ms() >= store->upkeep_due_ms) {
        store->upkeep_due_ms = mirai_monotonic_ms() + UPKEEP_PERIOD_MS;
        op_advance(op_new_internal(store, &upkeep));
    }
}

static void on_beat(uv_timer_t *timer)
{
    const struct store *store = timer->data;
    mirai_stamps_beat(store->stamps, mirai_monotonic_ms());
}

void store_forget(struct store *store, int64_t article_id)
{
    cache_drop(store->cache, article_id);
    if (store->stamps != NULL) {
        mirai_stamps_bump(store->stamps, article_id);
    }
}

void store_forget_all(struct store *store)
{
    cache_drop_all(store->cache);
    if (store->stamps != NULL) {
        mirai_stamps_bump_all(store->stamps);
    }
}

void store_forget_access(struct store *store)
{
    if (store->stamps != NULL) {
        mirai_stamps_bump(store->stamps, MIRAI_STAMPS_ACCESS);
    }
}

/* ------------------------------------------------------------------ metrics */

static double read_articles(void *data)
{
    return (double)((struct store *)data)->articles;
}

static double read_feed_seq(void *data)
{
    return (double)((struct store *)data)->feed_seq;
}

static double read_wal_bytes(void *data)
{
    return (double)((struct store *)data)->writer.wal_bytes;
}

static double read_writer_queue(void *data)
{
    const struct store *store = data;
    return store->writers != NULL ? (double)mirai_pool_queued(store->writers) : 0;
}

static double read_cache_bytes(void *data)
{
    const struct store *store = data;
    return store->cache != NULL ? (double)cache_bytes(store->cache) : 0;
}

static void make_gauges(struct store *store)
{
    static const struct {
        const char *name, *help;
        double (*read)(void *data);
    } gauges[] = {
        {"app_knowledge_total", "Articles outside the bin", read_articles},
        {"mirai_feed_seq", "Newest number of the change feed", read_feed_seq},
        {"mirai_sqlite_wal_bytes", "Bytes in the write-ahead log", read_wal_bytes},
        {"mirai_store_writer_queue", "Writes waiting for the writer", read_writer_queue},
        {"mirai_store_cache_bytes", "Bytes of articles kept in memory", read_cache_bytes},
    };
    for (size_t i = 0; i < sizeof(gauges) / sizeof(gauges[0]); i++) {
        mirai_metric_gauge_from(gauges[i].name, gauges[i].help, NULL, gauges[i].read, store);
    }
}

/* ------------------------------------------------------------------ start and stop */

/* The feed's hints, here and, when configured, for other hosts. NULL with the reason logged. */
static struct mirai_publisher *open_publisher(struct store *store, const char *url)
{
    const char *remote = mirai_config_str(MIRAI_CONFIG_FEED_LISTEN);
    struct mirai_publisher *publisher = mirai_publisher_new(store->loop, mirai_service_security());
    if (mirai_publisher_listen(publisher, url) != 0 ||
        (remote[0] != '\0' && mirai_publisher_listen(publisher, remote) != 0)) {
        mirai_publisher_free(publisher);
        return NULL;
    }
    return publisher;
}

int store_start(struct store *store, struct mirai_runtime *runtime)
{
    char url[PATH_MAX];
    store->runtime = runtime;
    store->loop = runtime->loop;
    snprintf(url, sizeof(url), "ipc://%s/knowledge-store@%s.pub", mirai_config_str(MIRAI_CONFIG_RUN_DIR),
             mirai_config_str(MIRAI_CONFIG_INSTANCE));
    uv_timer_init(store->loop, &store->upkeep_timer);
    store->upkeep_timer.data = store;
    store->upkeep_due_ms = mirai_monotonic_ms() + UPKEEP_FIRST_MS;
    store->publisher = open_publisher(store, url);
    snprintf(url, sizeof(url), "%s/knowledge-store@%s.stamps", mirai_config_str(MIRAI_CONFIG_RUN_DIR),
             mirai_config_str(MIRAI_CONFIG_INSTANCE));
    store->stamps = mirai_stamps_publish(url);
    uv_timer_init(store->loop, &store->beat_timer);
    store->beat_timer.data = store;
    store->readers =
        start_readers(store, "reader", mirai_config_size(MIRAI_CONFIG_STORE_READERS), READ_BATCH);
    store->bulk = start_readers(store, "bulk", 1, 1);
    store->writers = start_writer(store);
    store->passwords =
        start_workers(store, "password", mirai_config_size(MIRAI_CONFIG_PASSWORD_WORKERS), PASSWORD_QUEUE);
    store->files = start_workers(store, "file", 1, FILE_QUEUE);
    bool scans = mirai_config_str(MIRAI_CONFIG_CLAMD)[0] != '\0';
    store->scanners = start_workers(store, "scan", scans ? SCAN_THREADS : 1, SCAN_QUEUE);
    store->copier = start_workers(store, "snapshot", 1, SNAPSHOT_QUEUE);
    if (store->publisher == NULL || store->readers == NULL || store->bulk == NULL || store->writers == NULL ||
        store->passwords == NULL || store->files == NULL || store->scanners == NULL ||
        store->copier == NULL) {
        mirai_log(ERROR, "cannot start the store's threads");
        store_stop(store);
        return MIRAI_E_INTERNAL;
    }
    make_gauges(store);
    if (store->stamps != NULL) {
        uv_timer_start(&store->beat_timer, on_beat, MIRAI_STAMPS_BEAT_MS, MIRAI_STAMPS_BEAT_MS);
    }
    uv_timer_start(&store->upkeep_timer, on_tick, TICK_MS, TICK_MS);
    audit_heads_start(store->audit_heads);
    attachments_collect(store);
    return 0;
}

void store_stop(struct store *store)
{
    /* In this order: an operation's later steps go to the pools further down. */
    struct mirai_pool **pools[] = {&store->bulk,     &store->readers, &store->passwords, &store->files,
                                   &store->scanners, &store->copier,  &store->writers};
    atomic_store(&store->stopping, true);
    uv_close((uv_handle_t *)&store->upkeep_timer, NULL);
    uv_close((uv_handle_t *)&store->beat_timer, NULL);
    audit_heads_stop(store->audit_heads);
    if (store->writers != NULL) {
        views_flush(store);
    }
    for (size_t i = 0; i < sizeof(pools) / sizeof(pools[0]); i++) {
        if (*pools[i] != NULL) {
            mirai_pool_free(*pools[i]);
            *pools[i] = NULL;
        }
    }
    audit_heads_last(store->audit_heads);
    if (store->publisher != NULL) {
        mirai_publisher_free(store->publisher);
        store->publisher = NULL;
    }
    mirai_stamps_close(store->stamps); /* the last write has been answered */
    store->stamps = NULL;
}
