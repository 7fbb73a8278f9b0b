#include "services/backup/job.h"

#include "libcommon/config.h"
#include "libcommon/log.h"
#include "libcommon/metrics.h"
#include "libcommon/service.h"
#include "libcommon/time.h"
#include "proto/methods.h"
#include "services/backup/files.h"
#include "services/backup/snapshots.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define CALL_MS     120000 /* the store copies its database within one call */
#define CHUNK_BYTES 1048576
#define KEEP_MS     60000 /* between reads of the store's copy */
#define QUEUE_MAX   64
#define KINDS       (MIRAI_SNAPSHOT_MANUAL + 1)

struct job_worker {
    struct mirai_pool *pool;
    _Atomic int64_t newest_ms[KINDS];
    struct mirai_counter *failures;
    struct mirai_gauge *size;
    _Atomic int64_t took_ms; /* of the newest snapshot */
    struct mirai_gauge *count;
};

/* The worker thread's own: its loop lets it wait for answers and for the disk without anyone else waiting. */
struct thread {
    struct job_worker *worker;
    uv_loop_t loop;
    struct mirai_rpc_client *store;
};

/* ------------------------------------------------------------------ calls, waited for */

struct answer {
    bool done;
    int status;
    struct mirai_buf result;
};

static void on_reply(void *data, const struct mirai_rpc_reply *reply)
{
    struct answer *answer = data;
    answer->done = true;
    answer->status = reply->status;
    mirai_buf_append_str(&answer->result, reply->result);
}

/* Call the store and decode its answer into *result; bytes live in `arena`. */
static int call_store(struct thread *thread, enum mirai_method_id method, const void *params,
                      struct mirai_arena *arena, void *result)
{
    struct answer answer = {0};
    struct mirai_context context = mirai_context_system();
    context.deadline_ms = mirai_monotonic_ms() + CALL_MS;
    uv_run(&thread->loop, UV_RUN_NOWAIT); /* it stood still: a connection may have been lost meanwhile */
    mirai_method_call(thread->store, method, &context, params, on_reply, &answer);
    while (!answer.done) {
        uv_run(&thread->loop, UV_RUN_ONCE);
    }
    int err = answer.status;
    if (err == 0 && result != NULL) {
        struct mirai_str bytes = mirai_arena_copy(arena, mirai_buf_str(&answer.result));
        err = mirai_message_decode(mirai_methods[method].result, bytes, MIRAI_INNER, arena, result, NULL);
    }
    mirai_buf_free(&answer.result);
    if (err != 0) {
        mirai_log(WARNING, "call to the store failed", MIRAI_LOG_Z("method", mirai_methods[method].name),
                  MIRAI_LOG_Z("error", mirai_error_slug(err)));
    }
    return err;
}

/* ------------------------------------------------------------------ copying by chunks */

/* Reads the next chunk at `offset` into *bytes. */
typedef int (*read_chunk)(struct thread *thread, struct mirai_str source, int64_t offset,
                          struct mirai_arena *arena, struct mirai_bytes *bytes);

static int read_database(struct thread *thread, struct mirai_str source, int64_t offset,
                         struct mirai_arena *arena, struct mirai_bytes *bytes)
{
    struct mirai_snapshot_read params = {0};
    mirai_set(snapshot_read, &params, snapshot, source);
    mirai_set(snapshot_read, &params, offset, offset);
    mirai_set(snapshot_read, &params, length, CHUNK_BYTES);
    return call_store(thread, MIRAI_METHOD_ID_snapshot_read, &params, arena, bytes);
}

static int read_attachment(struct thread *thread, struct mirai_str source, int64_t offset,
                           struct mirai_arena *arena, struct mirai_bytes *bytes)
{
    struct mirai_attachment_read params = {0};
    mirai_set(attachment_read, &params, sha256, source);
    mirai_set(attachment_read, &params, offset, offset);
    mirai_set(attachment_read, &params, length, CHUNK_BYTES);
    return call_store(thread, MIRAI_METHOD_ID_attachment_read, &params, arena, bytes);
}

static int write_all(int fd, struct mirai_str bytes)
{
    while (bytes.len > 0) {
        ssize_t n = write(fd, bytes.data, bytes.len);
        if (n < 0 && errno != EINTR) {
            return files_error(errno);
        }
        if (n > 0) {
            bytes.data += n;
            bytes.len -= (size_t)n;
        }
    }
    return 0;
}

/* Copy everything that `read` gives into a new file, synced. */
static int copy_to(struct thread *thread, read_chunk read, struct mirai_str source, const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    if (fd < 0) {
        return files_error(errno);
    }
    int64_t offset = 0;
    int64_t total = 0;
    int err;
    do {
        struct mirai_arena arena = {0};
        struct mirai_bytes bytes;
        err = read(thread, source, offset, &arena, &bytes);
        if (err == 0) {
            err = write_all(fd, bytes.data);
            offset += (int64_t)bytes.data.len;
            total = bytes.total;
            if (err == 0 && bytes.data.len == 0 && offset < total) {
                err = MIRAI_E_INTERNAL; /* it ended too early */
            }
        }
        mirai_arena_free(&arena);
    } while (err == 0 && offset < total);
    if (err == 0) {
        err = files_sync(fd);
    }
    close(fd);
    return err;
}

/* Whether an earlier snapshot brought it. The hash of what is there is looked at when the snapshot is verified;
 * what cannot be right goes at once. */
static bool already_there(const char *path, int64_t expected)
{
    struct stat status;
    if (lstat(path, &status) != 0) {
        return false;
    }
    if (S_ISREG(status.st_mode) && status.st_size == expected) {
        return true;
    }
    mirai_log(WARNING, "a stored attachment is damaged; fetching it again", MIRAI_LOG_Z("path", path));
    unlink(path);
    return false;
}

/* Fetch one attachment that is not there. */
static int fetch_attachment(struct thread *thread, struct mirai_str sha256, int64_t expected)
{
    char path[PATH_MAX];
    char temporary[PATH_MAX + 8];
    char actual[FILES_SHA256_SIZE];
    int64_t size;
    snapshots_attachment_path(path, sha256);
    if (already_there(path, expected)) {
        return 0;
    }
    char *slash = strrchr(path, '/');
    *slash = '\0';
    int err = files_make_directory(path);
    *slash = '/';
    snprintf(temporary, sizeof(temporary), "%s.tmp", path);
    if (err == 0) {
        err = copy_to(thread, read_attachment, sha256, temporary);
    }
    if (err == 0) {
        err = files_sha256(temporary, actual, &size);
    }
    if (err == 0 && !mirai_str_eq(sha256, mirai_str(actual))) {
        mirai_log(ERROR, "the store's attachment is not what its hash says", MIRAI_LOG_S("sha256", sha256));
        err = MIRAI_E_INTERNAL;
    }
    if (err == 0 && rename(temporary, path) != 0) {
        err = files_error(errno);
    }
    if (err != 0) {
        unlink(temporary);
        return err;
    }
    *slash = '\0';
    return files_sync_directory(path);
}

/* A snapshot being made. */
struct making {
    struct thread *thread;
    struct job *job;
    const char *name;
    const char *directory; /* until it is finished: a name that is no snapshot's */
    struct mirai_snapshot_begin_result begun;
    uint64_t read_at_ms;    /* when the store's copy was read last */
    struct mirai_buf lines; /* hashes of its attachments, one a line */
    int64_t attachments;
};

/* The store drops a copy that nobody reads, and may then remove contents that only the copy still names. */
static int keep_copy(struct making *making)
{
    struct mirai_arena arena = {0};
    struct mirai_bytes bytes;
    uint64_t now_ms = mirai_monotonic_ms();
    if (now_ms - making->read_at_ms < KEEP_MS) {
        return 0;
    }
    making->read_at_ms = now_ms;
    int err = read_database(making->thread, making->begun.snapshot, 0, &arena, &bytes);
    mirai_arena_free(&arena);
    return err;
}

static int fetch_named(void *data, struct mirai_str sha256, int64_t size)
{
    struct making *making = data;
    mirai_buf_append_str(&making->lines, sha256);
    mirai_buf_append_char(&making->lines, '\n');
    making->attachments++;
    int err = keep_copy(making);
    return err == 0 ? fetch_attachment(making->thread, sha256, size) : err;
}

/* All attachments that the copied database names, no others: what was deleted since stays in the store until
 * its copy is ended, what came since belongs to the next snapshot. */
static int fetch_attachments(struct making *making)
{
    making->lines.len = 0;
    making->attachments = 0;
    return snapshots_each_attachment(making->directory, fetch_named, making);
}

/* ------------------------------------------------------------------ jobs */

static int copy_database(struct making *making)
{
    char path[PATH_MAX];
    char actual[FILES_SHA256_SIZE];
    int64_t size = 0;
    snapshots_path(path, making->directory, "knowledge.db");
    int err = copy_to(making->thread, read_database, making->begun.snapshot, path);
    making->read_at_ms = mirai_monotonic_ms();
    if (err == 0) {
        err = files_sha256(path, actual, &size);
    }
    if (err == 0 && (size != making->begun.size || !mirai_str_eq(making->begun.sha256, mirai_str(actual)))) {
        mirai_log(ERROR, "the copy differs from the store's checksum", MIRAI_LOG_Z("snapshot", making->name));
        err = MIRAI_E_INTERNAL;
    }
    return err;
}

static int write_manifest(struct making *making)
{
    const struct mirai_snapshot_begin_result *begun = &making->begun;
    struct job *job = making->job;
    struct mirai_snapshot_info *info = &job->info;
    *info = (struct mirai_snapshot_info){0};
    mirai_set(snapshot_info, info, name, mirai_arena_copy(&job->arena, mirai_str(making->name)));
    mirai_set(snapshot_info, info, kind, (int)job->snapshot_kind);
    mirai_set(snapshot_info, info, created_at, mirai_now_ms());
    mirai_set(snapshot_info, info, size, begun->size);
    mirai_set(snapshot_info, info, sha256, begun->sha256);
    mirai_set(snapshot_info, info, epoch, begun->epoch);
    mirai_set(snapshot_info, info, seq, begun->seq);
    mirai_set(snapshot_info, info, articles, begun->articles);
    mirai_set(snapshot_info, info, attachments, making->attachments);
    return snapshots_write(info, making->directory);
}

/* Fill the directory: database, attachments, manifest. */
static int fill_snapshot(struct making *making)
{
    char path[PATH_MAX];
    int err = copy_database(making);
    if (err == 0) {
        err = fetch_attachments(making);
    }
    if (err == 0) {
        snapshots_path(path, making->directory, "attachments.txt");
        err = files_write_atomic(path, mirai_buf_str(&making->lines));
    }
    return err == 0 ? write_manifest(making) : err;
}

/* Verify what was made. Contents that an earlier snapshot brought and that went bad since are replaced, once. */
static int verify_snapshot(struct making *making)
{
    struct job *job = making->job;
    int err = snapshots_verify(making->directory, &job->arena, &job->info);
    if (err == MIRAI_E_CONFLICT && snapshots_remove_damaged(making->directory) > 0) {
        err = fetch_attachments(making);
        if (err == 0) {
            err = snapshots_verify(making->directory, &job->arena, &job->info);
        }
    }
    return err;
}

/* The store's copy is ended last: until then the store keeps what it names. */
static int make_snapshot(struct making *making)
{
    struct mirai_arena *arena = &making->job->arena;
    struct mirai_snapshot_ref ref = {0};
    int err = call_store(making->thread, MIRAI_METHOD_ID_snapshot_begin, NULL, arena, &making->begun);
    if (err != 0) {
        return err;
    }
    err = fill_snapshot(making);
    if (err == 0) {
        err = verify_snapshot(making);
    }
    mirai_set(snapshot_ref, &ref, snapshot, making->begun.snapshot);
    call_store(making->thread, MIRAI_METHOD_ID_snapshot_end, &ref, arena, NULL);
    mirai_buf_free(&making->lines);
    return err;
}

/* It gets its name when it is verified: what is found faulty never becomes a snapshot. */
static int run_snapshot(struct thread *thread, struct job *job)
{
    char name[SNAPSHOT_NAME_SIZE];
    char temporary[SNAPSHOT_NAME_SIZE + 1];
    char from[PATH_MAX];
    char to[PATH_MAX];
    snapshots_name(name, mirai_now_ms(), job->snapshot_kind);
    snprintf(temporary, sizeof(temporary), ".%s", name);
    snapshots_path(from, temporary, "");
    snapshots_path(to, name, "");
    struct making making = {.thread = thread, .job = job, .name = name, .directory = temporary};
    int err = files_make_directory(from);
    if (err == 0) {
        err = make_snapshot(&making);
    }
    if (err == 0 && rename(from, to) != 0) {
        err = files_error(errno);
    }
    if (err != 0) {
        files_remove_tree(from);
        return err;
    }
    snapshots_path(to, "", "");
    return files_sync_directory(to);
}

/* ------------------------------------------------------------------ audit log */

/* A line behind the others of a file, durable. */
static int append_line(const char *path, struct mirai_str line)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
    int err = fd >= 0 ? write_all(fd, line) : files_error(errno);
    if (err == 0) {
        err = files_sync(fd);
    }
    if (fd >= 0) {
        close(fd);
    }
    return err;
}

/* The newest signed head of the audit log, kept where the store cannot take it back: BACKUP_DIR/audit-heads.jsonl. */
static int fetch_head(struct thread *thread, struct mirai_buf *line)
{
    struct mirai_page_request params = {0};
    struct mirai_audit_head_page page;
    struct mirai_arena arena = {0};
    struct mirai_buf mp = {0};
    mirai_set(page_request, &params, limit, 1);
    int err = call_store(thread, MIRAI_METHOD_ID_audit_heads, &params, &arena, &page);
    if (err == 0 && page.items.count > 0) {
        mirai_message_encode(&mirai_message_audit_head, MIRAI_ITEMS(audit_head, &page.items), &mp);
        err = mirai_mp_to_json(mirai_buf_str(&mp), line);
        mirai_buf_append_char(line, '\n');
    }
    mirai_buf_free(&mp);
    mirai_arena_free(&arena);
    return err;
}

static void anchor_audit_log(struct thread *thread)
{
    char path[PATH_MAX];
    struct mirai_buf line = {0};
    snprintf(path, sizeof(path), "%s/audit-heads.jsonl", mirai_config_str(MIRAI_CONFIG_BACKUP_DIR));
    int err = fetch_head(thread, &line);
    if (err == 0 && line.len > 0) {
        err = append_line(path, mirai_buf_str(&line));
    }
    if (err != 0) { /* the snapshot is none the worse */
        mirai_log(WARNING, "the audit log's head could not be kept with the backups",
                  MIRAI_LOG_Z("path", path), MIRAI_LOG_Z("error", mirai_error_slug(err)));
    }
    mirai_buf_free(&line);
}

static void note_newest(struct job_worker *worker)
{
    struct mirai_arena arena = {0};
    struct mirai_snapshot_list list;
    if (snapshots_list(&arena, &list) == 0) {
        for (size_t i = list.items.count; i-- > 0;) {
            const struct mirai_snapshot_info *info = &MIRAI_ITEMS(snapshot_info, &list.items)[i];
            if (!mirai_has(snapshot_info, info, fault)) {
                atomic_store(&worker->newest_ms[info->kind], info->created_at);
            }
        }
        mirai_gauge_set(worker->count, (int64_t)list.items.count);
    }
    mirai_arena_free(&arena);
}

/* Also after a failure: room may be what the next attempt lacks. */
static void tidy(struct job_worker *worker, int err)
{
    /* contents fetched by a failed attempt are half of the next one's work */
    bool keep_contents = err != 0 && err != MIRAI_E_NO_SPACE;
    int failure = keep_contents ? snapshots_remove_expired(mirai_now_ms()) : snapshots_expire(mirai_now_ms());
    if (failure != 0) {
        mirai_log(WARNING, "expired snapshots could not be removed");
    }
    note_newest(worker);
}

static void run(struct thread *thread, struct job *job)
{
    struct job_worker *worker = thread->worker;
    uint64_t from = mirai_monotonic_ms();
    job->err = run_snapshot(thread, job);
    if (job->err != 0) {
        mirai_counter_add(worker->failures, 1);
        mirai_log(ERROR, "snapshot failed", MIRAI_LOG_Z("error", mirai_error_slug(job->err)));
    } else {
        uint64_t took_ms = mirai_monotonic_ms() - from;
        atomic_store(&worker->took_ms, (int64_t)took_ms);
        mirai_gauge_set(worker->size, job->info.size);
        mirai_log(INFO, "snapshot made", MIRAI_LOG_S("snapshot", job->info.name),
                  MIRAI_LOG_I("bytes", job->info.size), MIRAI_LOG_I("articles", job->info.articles),
                  MIRAI_LOG_I("ms", (int64_t)took_ms));
        anchor_audit_log(thread);
    }
    tidy(worker, job->err);
}

static void verify(struct job *job)
{
    if (job->name[0] == '\0') {
        job->err = snapshots_list(&job->arena, &job->list);
        if (job->err != 0 || job->list.items.count == 0) {
            job->err = job->err != 0 ? job->err : MIRAI_E_NOT_FOUND;
            return;
        }
        snprintf(job->name, sizeof(job->name), "%.*s",
                 MIRAI_STR_ARG(MIRAI_ITEMS(snapshot_info, &job->list.items)[0].name));
    }
    job->err = snapshots_name_valid(mirai_str(job->name))
                   ? snapshots_verify(job->name, &job->arena, &job->info)
                   : MIRAI_E_NOT_FOUND;
    if (job->err == MIRAI_E_CONFLICT) {
        job->err = 0; /* found damaged is an answer: info.fault says why */
    }
}

static void work(struct mirai_job *base, void *data)
{
    struct job *job = (struct job *)base;
    struct thread *thread = data;
    switch (job->kind) {
    case JOB_RUN:
        run(thread, job);
        break;
    case JOB_VERIFY:
        verify(job);
        break;
    case JOB_LIST:
        job->err = snapshots_list(&job->arena, &job->list);
        break;
    }
}

static void *thread_start(void *data)
{
    struct thread *thread = mirai_alloc(sizeof(*thread));
    thread->worker = data;
    uv_loop_init(&thread->loop);
    thread->store = mirai_service_client(&thread->loop, "knowledge-store");
    note_newest(thread->worker);
    return thread;
}

static void thread_stop(void *data)
{
    struct thread *thread = data;
    mirai_rpc_client_free(thread->store);
    uv_run(&thread->loop, UV_RUN_DEFAULT);
    uv_loop_close(&thread->loop);
    free(thread);
}

static double read_age(void *data)
{
    struct job_worker *worker = data;
    int64_t newest = 0;
    for (int kind = 0; kind < KINDS; kind++) {
        int64_t at = atomic_load(&worker->newest_ms[kind]);
        newest = at > newest ? at : newest;
    }
    return newest > 0 ? (double)(mirai_now_ms() - newest) / 1000 : -1;
}

static double read_duration(void *data)
{
    return (double)atomic_load(&((struct job_worker *)data)->took_ms) / 1000;
}

struct job_worker *job_worker_new(uv_loop_t *loop)
{
    struct job_worker *worker = mirai_alloc(sizeof(*worker));
    worker->failures =
        mirai_metric_counter("mirai_backup_failures_total", "Snapshots that could not be made.", NULL);
    worker->size =
        mirai_metric_gauge("mirai_backup_size_bytes", "Size of the newest snapshot's database.", NULL);
    mirai_metric_gauge_from("mirai_backup_duration_seconds", "Time that the newest snapshot took.", NULL,
                            read_duration, worker);
    worker->count = mirai_metric_gauge("mirai_backup_snapshots", "Snapshots stored.", NULL);
    mirai_metric_gauge_from("mirai_backup_age_seconds",
                            "Age of the newest sound snapshot; -1: there is none.", NULL, read_age, worker);
    struct mirai_pool_options options = {.name = "backup",
                                         .threads = 1,
                                         .queue_max = QUEUE_MAX,
                                         .batch_max = 1,
                                         .data = worker,
                                         .thread_start = thread_start,
                                         .thread_stop = thread_stop};
    worker->pool = mirai_pool_new(loop, &options);
    if (worker->pool == NULL) {
        free(worker);
        return NULL;
    }
    return worker;
}

static void done(struct mirai_job *base)
{
    struct job *job = (struct job *)base;
    job->done(job);
}

int job_submit(struct job_worker *worker, struct job *job)
{
    job->job = (struct mirai_job){.work = work, .done = done};
    return mirai_pool_submit(worker->pool, &job->job);
}

void job_worker_free(struct job_worker *worker)
{
    mirai_pool_free(worker->pool);
    /* Its memory stays: the age gauge may be asked until the process ends. */
}

int64_t job_newest_ms(const struct job_worker *worker, enum mirai_snapshot_kind kind)
{
    return atomic_load(&worker->newest_ms[kind]);
}
