/* A bounded pool of worker threads with per-thread state; jobs are taken in batches, completions return to the loop. */
#ifndef MIRAI_POOL_H
#define MIRAI_POOL_H

#include <stddef.h>
#include <uv.h>

/* Embedded in the caller's own struct; the pool never allocates per job. */
struct mirai_job {
    void (*work)(struct mirai_job *job, void *thread); /* on a worker; thread = what thread_start gave */
    void (*done)(struct mirai_job *job);               /* on the loop, exactly once, never inside submit */
    struct mirai_job *next;                            /* the pool's */
};

struct mirai_pool_options {
    const char *name; /* thread name, at most 15 bytes */
    size_t threads;
    size_t queue_max; /* jobs waiting; more are refused */
    size_t batch_max; /* jobs that one thread takes at once (1: none are grouped) */
    void *data;
    /* On the worker, before its first job. May be NULL. Its result is passed to work, batch_begin, batch_end and thread_stop. */
    void *(*thread_start)(void *data);
    void (*thread_stop)(void *thread);
    /* Around each batch, on the worker: a group commit or one read snapshot for many reads. The `done`s of a batch run
     * only after batch_end, which may still change the jobs' results (walk the list by ->next). May be NULL. */
    void (*batch_begin)(void *thread, struct mirai_job *jobs);
    void (*batch_end)(void *thread, struct mirai_job *jobs);
    /* When idle for idle_ms, on the worker (checkpoints, expiry). 0: never. */
    unsigned idle_ms;
    void (*idle)(void *thread);
};

struct mirai_pool;

/* Start the threads (all signals blocked in them). NULL when a thread cannot be made. Loop thread. */
struct mirai_pool *mirai_pool_new(uv_loop_t *loop, const struct mirai_pool_options *options);

/* Queue a job (FIFO). 0, or MIRAI_E_OVERLOADED at queue_max (then done is not called). Loop thread only. */
int mirai_pool_submit(struct mirai_pool *pool, struct mirai_job *job);

size_t mirai_pool_queued(const struct mirai_pool *pool); /* waiting, not yet taken; any thread */

/* Finish all queued jobs, join the threads, run the last `done`s and free the pool's memory when the loop has closed
 * its handle (run the loop once more). Blocks. Loop thread. */
void mirai_pool_free(struct mirai_pool *pool);

#endif
