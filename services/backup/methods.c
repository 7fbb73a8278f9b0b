#include "services/backup/methods.h"

#include "libcommon/log.h"
#include "libcommon/time.h"
#include "proto/methods.h"

#include <stdio.h>
#include <stdlib.h>

static void free_job(struct job *job)
{
    mirai_arena_free(&job->arena);
    free(job);
}

/* ------------------------------------------------------------------ methods */

static void answer(struct job *job)
{
    struct mirai_rpc_request *request = job->data;
    if (job->err != 0) {
        mirai_rpc_fail(request, job->err,
                       job->kind == JOB_RUN ? "the snapshot could not be made; see the backup daemon's log"
                                            : NULL);
    } else if (job->kind == JOB_LIST) {
        mirai_reply_message(request, &mirai_message_snapshot_list, &job->list);
    } else {
        mirai_reply_message(request, &mirai_message_snapshot_info, &job->info);
    }
    free_job(job);
}

static void start(struct mirai_rpc_request *request, struct job *job)
{
    struct backup *backup = request->data;
    job->done = answer;
    job->data = request;
    int err = job_submit(backup->worker, job);
    if (err != 0) {
        mirai_rpc_fail(request, err, NULL);
        free_job(job);
    }
}

static void backup_run(struct mirai_rpc_request *request)
{
    struct job *job = mirai_alloc(sizeof(*job));
    struct mirai_empty params;
    if (!mirai_method_accept(request, MIRAI_METHOD_ID_backup_run, &job->arena, &params)) {
        free_job(job);
        return;
    }
    job->kind = JOB_RUN;
    job->snapshot_kind = MIRAI_SNAPSHOT_MANUAL;
    start(request, job);
}

static void backup_list(struct mirai_rpc_request *request)
{
    struct job *job = mirai_alloc(sizeof(*job));
    struct mirai_empty params;
    if (!mirai_method_accept(request, MIRAI_METHOD_ID_backup_list, &job->arena, &params)) {
        free_job(job);
        return;
    }
    job->kind = JOB_LIST;
    start(request, job);
}

static void backup_verify(struct mirai_rpc_request *request)
{
    struct job *job = mirai_alloc(sizeof(*job));
    struct mirai_snapshot_name params;
    if (!mirai_method_accept(request, MIRAI_METHOD_ID_backup_verify, &job->arena, &params)) {
        free_job(job);
        return;
    }
    job->kind = JOB_VERIFY;
    snprintf(job->name, sizeof(job->name), "%.*s", MIRAI_STR_ARG(params.name));
    start(request, job);
}

const struct mirai_rpc_method backup_methods[] = {
    {"backup.run", backup_run},
    {"backup.list", backup_list},
    {"backup.verify", backup_verify},
    {NULL, NULL},
};

/* ------------------------------------------------------------------ timetable */

static void on_scheduled_done(struct job *job)
{
    struct backup *backup = job->data;
    backup->scheduled = false;
    if (job->err != 0) {
        backup->retry_at_ms = mirai_now_ms() + BACKUP_RETRY_MS;
    }
    free_job(job);
}

/* Whether a snapshot of `kind` is older than the schedule's latest moment. One that was missed while the
 * machine was off is made up for. */
static bool due(const struct backup *backup, const struct schedule *schedule, enum mirai_snapshot_kind kind,
                time_t now)
{
    time_t latest = schedule_latest(schedule, now);
    return latest > 0 && job_newest_ms(backup->worker, kind) < (int64_t)latest * 1000;
}

void backup_on_clock(uv_timer_t *clock)
{
    struct backup *backup = clock->data;
    int64_t now_ms = mirai_now_ms();
    if (backup->scheduled || now_ms < backup->retry_at_ms) {
        return;
    }
    bool weekly = due(backup, &backup->weekly, MIRAI_SNAPSHOT_WEEKLY, (time_t)(now_ms / 1000));
    bool daily = due(backup, &backup->daily, MIRAI_SNAPSHOT_DAILY, (time_t)(now_ms / 1000));
    if (!weekly && !daily) {
        return;
    }
    struct job *job = mirai_alloc(sizeof(*job));
    job->kind = JOB_RUN;
    job->snapshot_kind = weekly ? MIRAI_SNAPSHOT_WEEKLY : MIRAI_SNAPSHOT_DAILY;
    job->done = on_scheduled_done;
    job->data = backup;
    backup->scheduled = true;
    if (job_submit(backup->worker, job) != 0) {
        backup->scheduled = false;
        free_job(job);
    }
}
