/* The backup worker: one thread that makes, verifies and lists snapshots, one job after the other. */
#ifndef BACKUP_JOB_H
#define BACKUP_JOB_H

#include "libcommon/pool.h"
#include "proto/messages.h"

enum job_kind {
    JOB_RUN,    /* make a snapshot, verify it, remove expired ones */
    JOB_VERIFY, /* check one */
    JOB_LIST,
};

/* One job; the owner frees it in `done`. */
struct job {
    struct mirai_job job;
    enum job_kind kind;
    enum mirai_snapshot_kind snapshot_kind; /* JOB_RUN */
    char name[128];                         /* JOB_VERIFY; "" = the newest */
    struct mirai_arena arena;
    int err;
    struct mirai_snapshot_info info; /* JOB_RUN, JOB_VERIFY */
    struct mirai_snapshot_list list; /* JOB_LIST */
    void (*done)(struct job *job);   /* on the loop */
    void *data;
};

struct job_worker;

struct job_worker *job_worker_new(uv_loop_t *loop);
void job_worker_free(struct job_worker *worker); /* finishes the job under way */
/* 0 or MIRAI_E_OVERLOADED. */
int job_submit(struct job_worker *worker, struct job *job);

/* Unix ms of the newest sound snapshot of a kind that the worker knows, 0: none; any thread. */
int64_t job_newest_ms(const struct job_worker *worker, enum mirai_snapshot_kind kind);

#endif
