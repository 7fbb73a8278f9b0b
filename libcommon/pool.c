#include "libcommon/pool.h"

#include "libcommon/error.h"
#include "libcommon/str.h"
#include "libcommon/thread.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

/* First in, first out. */
struct job_list {
    struct mirai_job *head;
    struct mirai_job **tail;
};

/* What one turn of the loop submits stays with the loop until the turn's end, then goes to the workers with
 * one lock and at most one wake-up a sleeper; what a batch finishes returns with one lock and, when the loop
 * has not been told yet, one uv_async_send. */
struct mirai_pool {
    struct mirai_pool_options options;
    uv_idle_t turn_end;
    uv_async_t finished;
    unsigned handles_open;

    bool closing;              /* loop: free was called */
    struct job_list submitted; /* loop: not yet handed over */
    struct job_list returned;  /* loop: `done` is next */
    atomic_size_t queued;      /* jobs that no worker has taken */

    pthread_mutex_t lock; /* for everything below */
    pthread_cond_t filled;
    struct job_list waiting;
    size_t waiting_len;
    size_t sleeping;  /* workers in pthread_cond_wait */
    size_t signalled; /* of these, how many have been signalled and are on their way */
    bool stop;
    struct job_list done;

    size_t threads_len;
    pthread_t threads[];
};

static void list_init(struct job_list *list)
{
    list->head = NULL;
    list->tail = &list->head;
}

static void list_push(struct job_list *list, struct mirai_job *job)
{
    job->next = NULL;
    *list->tail = job;
    list->tail = &job->next;
}

static struct mirai_job *list_pop(struct job_list *list)
{
    struct mirai_job *job = list->head;
    if (job != NULL) {
        list->head = job->next;
        if (list->head == NULL) {
            list->tail = &list->head;
        }
    }
    return job;
}

/* Move all of `from` to the end of `to`. */
static void list_move(struct job_list *to, struct job_list *from)
{
    if (from->head != NULL) {
        *to->tail = from->head;
        to->tail = from->tail;
        list_init(from);
    }
}

/* ------------------------------------------------------------------ workers */

/* Take a batch into `batch`: at most batch_max, and no more than this worker's share when others could help.
 * Called with the lock. */
static void take_batch(struct mirai_pool *pool, struct job_list *batch)
{
    size_t share = (pool->waiting_len + pool->threads_len - 1) / pool->threads_len;
    size_t len = share < pool->options.batch_max ? share : pool->options.batch_max;
    list_init(batch);
    for (size_t i = 0; i < len; i++) {
        list_push(batch, list_pop(&pool->waiting));
    }
    pool->waiting_len -= len;
    atomic_fetch_sub_explicit(&pool->queued, len, memory_order_relaxed);
}

static void run_batch(struct mirai_pool *pool, void *thread, struct job_list *batch)
{
    const struct mirai_pool_options *options = &pool->options;
    if (options->batch_begin != NULL) {
        options->batch_begin(thread, batch->head);
    }
    for (struct mirai_job *job = batch->head; job != NULL; job = job->next) {
        job->work(job, thread);
    }
    if (options->batch_end != NULL) {
        options->batch_end(thread, batch->head);
    }
}

/* Sleep until there is work or the pool stops. False when idle_ms passed first. Called with the lock. */
static bool sleep_for_work(struct mirai_pool *pool)
{
    bool idle_hook = pool->options.idle_ms > 0 && pool->options.idle != NULL;
    struct timespec deadline = mirai_cond_deadline(pool->options.idle_ms);
    int result = 0;
    while (pool->waiting.head == NULL && !pool->stop && result != ETIMEDOUT) {
        pool->sleeping++;
        result = idle_hook ? pthread_cond_timedwait(&pool->filled, &pool->lock, &deadline)
                           : pthread_cond_wait(&pool->filled, &pool->lock);
        pool->sleeping--;
        pool->signalled -= pool->signalled > 0;
    }
    return pool->waiting.head != NULL || pool->stop;
}

static void *worker_main(void *data)
{
    struct mirai_pool *pool = data;
    const struct mirai_pool_options *options = &pool->options;
    void *thread = options->thread_start != NULL ? options->thread_start(options->data) : NULL;
    pthread_mutex_lock(&pool->lock);
    for (;;) {
        if (pool->waiting.head != NULL) {
            struct job_list batch;
            take_batch(pool, &batch);
            pthread_mutex_unlock(&pool->lock);
            run_batch(pool, thread, &batch);
            pthread_mutex_lock(&pool->lock);
            bool tell_loop = pool->done.head == NULL;
            list_move(&pool->done, &batch);
            if (tell_loop) { /* a system call: not under the lock */
                pthread_mutex_unlock(&pool->lock);
                uv_async_send(&pool->finished);
                pthread_mutex_lock(&pool->lock);
            }
        } else if (pool->stop) {
            break;
        } else if (!sleep_for_work(pool)) {
            pthread_mutex_unlock(&pool->lock);
            options->idle(thread);
            pthread_mutex_lock(&pool->lock);
        }
    }
    pthread_mutex_unlock(&pool->lock);
    if (options->thread_stop != NULL) {
        options->thread_stop(thread);
    }
    return NULL;
}

/* ------------------------------------------------------------------ the loop's side */

static void hand_over(struct mirai_pool *pool)
{
    size_t wake = 0;
    if (pool->submitted.head == NULL) {
        return;
    }
    pthread_mutex_lock(&pool->lock);
    for (struct mirai_job *job = pool->submitted.head; job != NULL; job = job->next) {
        pool->waiting_len++;
        if (pool->signalled < pool->sleeping) {
            pool->signalled++;
            wake++;
        }
    }
    list_move(&pool->waiting, &pool->submitted);
    pthread_mutex_unlock(&pool->lock);
    while (wake-- > 0) {
        pthread_cond_signal(&pool->filled);
    }
}

/* An idle handle, because it works from every phase of the loop: while it is active the loop does not block,
 * so jobs submitted in a prepare callback do not wait for the next event. */
static void on_turn_end(uv_idle_t *handle)
{
    hand_over(handle->data);
    uv_idle_stop(handle);
}

/* Jobs leave the list one by one, because a `done` may free the pool, and with it run all the others. */
static void run_done(struct mirai_pool *pool)
{
    struct mirai_job *job;
    pthread_mutex_lock(&pool->lock);
    list_move(&pool->returned, &pool->done);
    pthread_mutex_unlock(&pool->lock);
    while ((job = list_pop(&pool->returned)) != NULL) {
        job->done(job);
    }
}

static void on_finished(uv_async_t *handle)
{
    run_done(handle->data);
}

int mirai_pool_submit(struct mirai_pool *pool, struct mirai_job *job)
{
    if (pool->closing || mirai_pool_queued(pool) >= pool->options.queue_max) {
        return MIRAI_E_OVERLOADED;
    }
    atomic_fetch_add_explicit(&pool->queued, 1, memory_order_relaxed);
    if (pool->submitted.head == NULL) {
        uv_idle_start(&pool->turn_end, on_turn_end);
    }
    list_push(&pool->submitted, job);
    return 0;
}

size_t mirai_pool_queued(const struct mirai_pool *pool)
{
    return atomic_load_explicit(&pool->queued, memory_order_relaxed);
}

/* ------------------------------------------------------------------ life */

static void on_close(uv_handle_t *handle)
{
    struct mirai_pool *pool = handle->data;
    if (--pool->handles_open == 0) {
        pthread_cond_destroy(&pool->filled);
        pthread_mutex_destroy(&pool->lock);
        free(pool);
    }
}

static void stop_threads(struct mirai_pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    pool->stop = true;
    pthread_cond_broadcast(&pool->filled);
    pthread_mutex_unlock(&pool->lock);
    for (size_t i = 0; i < pool->threads_len; i++) {
        pthread_join(pool->threads[i], NULL);
    }
}

void mirai_pool_free(struct mirai_pool *pool)
{
    pool->closing = true;
    hand_over(pool);
    stop_threads(pool);
    run_done(pool);
    uv_close((uv_handle_t *)&pool->turn_end, on_close);
    uv_close((uv_handle_t *)&pool->finished, on_close);
}

struct mirai_pool *mirai_pool_new(uv_loop_t *loop, const struct mirai_pool_options *options)
{
    struct mirai_pool *pool = mirai_alloc(sizeof(*pool) + options->threads * sizeof(pool->threads[0]));
    pool->options = *options;
    list_init(&pool->submitted);
    list_init(&pool->returned);
    list_init(&pool->waiting);
    list_init(&pool->done);
    pthread_mutex_init(&pool->lock, NULL);
    mirai_cond_init(&pool->filled);
    if (uv_async_init(loop, &pool->finished, on_finished) != 0) {
        free(pool);
        return NULL;
    }
    uv_idle_init(loop, &pool->turn_end);
    pool->finished.data = pool;
    pool->turn_end.data = pool;
    pool->handles_open = 2;
    for (size_t i = 0; i < options->threads; i++) {
        pthread_mutex_lock(&pool->lock);
        int err = mirai_thread_start(&pool->threads[i], options->name, worker_main, pool);
        pool->threads_len += err == 0;
        pthread_mutex_unlock(&pool->lock);
        if (err != 0) {
            mirai_pool_free(pool);
            return NULL;
        }
    }
    return pool;
}
