#include "libcommon/pool.h"

#include "libcommon/error.h"
#include "tests/unit/libcommon/test.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

/* A job that remembers what happened to it. */
struct counted {
    struct mirai_job job;
    struct bench *bench;
    int worked;
    int ended; /* by batch_end */
    int done;
    size_t order; /* in which it was done */
};

/* A loop, a pool and some jobs. */
struct bench {
    uv_loop_t loop;
    struct mirai_pool *pool;
    size_t jobs_len;
    size_t done;
    size_t resubmit; /* done() submits so many more */
    struct counted *jobs;
};

static void work(struct mirai_job *job, void *thread)
{
    (void)thread;
    ((struct counted *)job)->worked++;
}

static void done(struct mirai_job *job)
{
    struct counted *counted = (struct counted *)job;
    struct bench *bench = counted->bench;
    assert_int_equal(counted->worked, 1);
    counted->done++;
    counted->order = bench->done++;
    if (bench->done == bench->jobs_len) {
        uv_stop(&bench->loop);
    }
}

static struct bench *bench_new(size_t jobs, const struct mirai_pool_options *options)
{
    struct bench *bench = calloc(1, sizeof(*bench));
    bench->jobs = calloc(jobs, sizeof(*bench->jobs));
    bench->jobs_len = jobs;
    uv_loop_init(&bench->loop);
    bench->pool = mirai_pool_new(&bench->loop, options);
    assert_non_null(bench->pool);
    for (size_t i = 0; i < jobs; i++) {
        bench->jobs[i] = (struct counted){.job = {.work = work, .done = done}, .bench = bench};
    }
    return bench;
}

static void submit_all(struct bench *bench)
{
    for (size_t i = 0; i < bench->jobs_len; i++) {
        assert_int_equal(mirai_pool_submit(bench->pool, &bench->jobs[i].job), 0);
        assert_int_equal(bench->done, 0); /* never inside submit */
    }
}

/* Close; every job must have been worked on and done exactly once. */
static void bench_free(struct bench *bench)
{
    if (bench->pool != NULL) {
        mirai_pool_free(bench->pool);
    }
    while (uv_run(&bench->loop, UV_RUN_DEFAULT) != 0) { /* uv_stop may have been called */
    }
    assert_int_equal(uv_loop_close(&bench->loop), 0);
    for (size_t i = 0; i < bench->jobs_len; i++) {
        assert_int_equal(bench->jobs[i].worked, 1);
        assert_int_equal(bench->jobs[i].done, 1);
    }
    free(bench->jobs);
    free(bench);
}

static void test_one_thread_keeps_the_order(void **state)
{
    (void)state;
    const struct mirai_pool_options options = {
        .name = "test", .threads = 1, .queue_max = 1000, .batch_max = 7};
    struct bench *bench = bench_new(1000, &options);
    submit_all(bench);
    uv_run(&bench->loop, UV_RUN_DEFAULT);
    for (size_t i = 0; i < bench->jobs_len; i++) {
        assert_int_equal(bench->jobs[i].order, i);
    }
    assert_int_equal(mirai_pool_queued(bench->pool), 0);
    bench_free(bench);
}

static void test_many_threads_do_each_job_once(void **state)
{
    (void)state;
    const struct mirai_pool_options options = {
        .name = "test", .threads = 4, .queue_max = 20000, .batch_max = 3};
    struct bench *bench = bench_new(20000, &options);
    submit_all(bench);
    uv_run(&bench->loop, UV_RUN_DEFAULT);
    assert_int_equal(bench->done, 20000);
    bench_free(bench);
}

/* ------------------------------------------------------------------ a worker that can be held */

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;

static void work_behind_gate(struct mirai_job *job, void *thread)
{
    pthread_mutex_lock(&gate);
    pthread_mutex_unlock(&gate);
    work(job, thread);
}

static void test_full_queue_refuses(void **state)
{
    (void)state;
    const struct mirai_pool_options options = {.name = "test", .threads = 1, .queue_max = 4, .batch_max = 1};
    struct bench *bench = bench_new(5, &options);
    struct counted extra = {.job = {.work = work, .done = done}, .bench = bench};
    bench->jobs[0].job.work = work_behind_gate;
    pthread_mutex_lock(&gate);
    assert_int_equal(mirai_pool_submit(bench->pool, &bench->jobs[0].job), 0);
    while (mirai_pool_queued(bench->pool) > 0) {
        uv_run(&bench->loop, UV_RUN_NOWAIT); /* until the worker holds it */
    }
    for (size_t i = 1; i < 5; i++) {
        assert_int_equal(mirai_pool_submit(bench->pool, &bench->jobs[i].job), 0);
    }
    assert_int_equal(mirai_pool_queued(bench->pool), 4);
    assert_int_equal(mirai_pool_submit(bench->pool, &extra.job), MIRAI_E_OVERLOADED);
    pthread_mutex_unlock(&gate);
    uv_run(&bench->loop, UV_RUN_DEFAULT);
    assert_int_equal(extra.worked + extra.done, 0);
    assert_int_equal(mirai_pool_submit(bench->pool, &extra.job), 0); /* there is room again */
    bench->jobs_len = 6;
    uv_run(&bench->loop, UV_RUN_DEFAULT);
    assert_int_equal(extra.done, 1);
    bench->jobs_len = 5;
    bench_free(bench);
}

static void test_free_finishes_what_is_queued(void **state)
{
    (void)state;
    const struct mirai_pool_options options = {
        .name = "test", .threads = 2, .queue_max = 500, .batch_max = 4};
    struct bench *bench = bench_new(500, &options);
    submit_all(bench);
    mirai_pool_free(bench->pool); /* the loop has not even run */
    bench->pool = NULL;
    assert_int_equal(bench->done, 500);
    bench_free(bench);
}

static void done_frees_the_pool(struct mirai_job *job)
{
    struct bench *bench = ((struct counted *)job)->bench;
    struct mirai_pool *pool = bench->pool;
    done(job);
    if (pool != NULL) {
        bench->pool = NULL;
        mirai_pool_free(pool);
        assert_int_equal(bench->done, bench->jobs_len);
        assert_int_equal(mirai_pool_submit(pool, job), MIRAI_E_OVERLOADED);
    }
}

static void test_done_may_free_the_pool(void **state)
{
    (void)state;
    const struct mirai_pool_options options = {
        .name = "test", .threads = 1, .queue_max = 100, .batch_max = 100};
    struct bench *bench = bench_new(100, &options);
    bench->jobs[10].job.done = done_frees_the_pool;
    submit_all(bench);
    uv_run(&bench->loop, UV_RUN_DEFAULT);
    bench_free(bench);
}

/* ------------------------------------------------------------------ resubmission from every place of a turn
 */

static void done_submits_again(struct mirai_job *job)
{
    struct counted *counted = (struct counted *)job;
    struct bench *bench = counted->bench;
    if (bench->resubmit > 0) {
        bench->resubmit--;
        counted->worked = 0;
        assert_int_equal(mirai_pool_submit(bench->pool, job), 0);
    } else {
        done(job);
    }
}

static void test_done_may_submit(void **state)
{
    (void)state;
    const struct mirai_pool_options options = {.name = "test", .threads = 2, .queue_max = 8, .batch_max = 2};
    struct bench *bench = bench_new(8, &options);
    bench->resubmit = 5000;
    for (size_t i = 0; i < bench->jobs_len; i++) {
        bench->jobs[i].job.done = done_submits_again;
    }
    submit_all(bench);
    uv_run(&bench->loop, UV_RUN_DEFAULT);
    assert_int_equal(bench->resubmit, 0);
    bench_free(bench);
}

static void submit_in_prepare(uv_prepare_t *handle)
{
    struct bench *bench = handle->data;
    submit_all(bench);
    uv_prepare_stop(handle);
    uv_close((uv_handle_t *)handle, NULL);
}

static void on_watch(uv_timer_t *timer)
{
    (void)timer;
    fail_msg("the job waited for another event");
}

/* The last phase before the loop blocks. */
static void test_submit_in_prepare_is_not_forgotten(void **state)
{
    (void)state;
    const struct mirai_pool_options options = {.name = "test", .threads = 1, .queue_max = 8, .batch_max = 1};
    struct bench *bench = bench_new(1, &options);
    uv_prepare_t prepare;
    uv_timer_t watch;
    uv_prepare_init(&bench->loop, &prepare);
    prepare.data = bench;
    uv_prepare_start(&prepare, submit_in_prepare);
    uv_timer_init(&bench->loop, &watch);
    uv_timer_start(&watch, on_watch, 5000, 0);
    uv_run(&bench->loop, UV_RUN_DEFAULT);
    assert_int_equal(bench->done, 1);
    uv_close((uv_handle_t *)&watch, NULL);
    bench_free(bench);
}

/* ------------------------------------------------------------------ hooks */

struct hooks {
    _Atomic int started, stopped, begun, ended, idle;
    _Atomic size_t batch_longest;
    _Atomic bool signals_blocked;
};

static void *hook_start(void *data)
{
    struct hooks *hooks = data;
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    hooks->signals_blocked = sigismember(&mask, SIGTERM) == 1 && sigismember(&mask, SIGHUP) == 1;
    hooks->started++;
    return data;
}

static void hook_stop(void *thread)
{
    ((struct hooks *)thread)->stopped++;
}

static void hook_begin(void *thread, struct mirai_job *jobs)
{
    size_t len = 0;
    for (; jobs != NULL; jobs = jobs->next) {
        assert_int_equal(((struct counted *)jobs)->worked, 0);
        len++;
    }
    struct hooks *hooks = thread;
    hooks->begun++;
    if (len > hooks->batch_longest) {
        hooks->batch_longest = len;
    }
}

static void hook_end(void *thread, struct mirai_job *jobs)
{
    for (; jobs != NULL; jobs = jobs->next) {
        struct counted *counted = (struct counted *)jobs;
        assert_int_equal(counted->worked, 1);
        assert_int_equal(counted->done, 0); /* dones come after the batch */
        counted->ended++;
    }
    ((struct hooks *)thread)->ended++;
}

static void hook_idle(void *thread)
{
    ((struct hooks *)thread)->idle++;
}

static void test_batches(void **state)
{
    (void)state;
    struct hooks hooks = {0};
    const struct mirai_pool_options options = {
        .name = "test",
        .threads = 1,
        .queue_max = 1000,
        .batch_max = 16,
        .data = &hooks,
        .thread_start = hook_start,
        .thread_stop = hook_stop,
        .batch_begin = hook_begin,
        .batch_end = hook_end,
    };
    struct bench *bench = bench_new(1000, &options);
    submit_all(bench);
    uv_run(&bench->loop, UV_RUN_DEFAULT);
    for (size_t i = 0; i < bench->jobs_len; i++) {
        assert_int_equal(bench->jobs[i].ended, 1);
    }
    bench_free(bench);
    assert_int_equal(hooks.batch_longest, 16);
    assert_int_equal(hooks.begun, (1000 + 15) / 16);
    assert_int_equal(hooks.ended, hooks.begun);
    assert_int_equal(hooks.started, 1);
    assert_int_equal(hooks.stopped, 1);
    assert_int_equal(hooks.idle, 0);
    assert_true(hooks.signals_blocked);
}

static void on_timer(uv_timer_t *timer)
{
    uv_stop(timer->loop);
}

static void test_idle_hook(void **state)
{
    (void)state;
    struct hooks hooks = {0};
    const struct mirai_pool_options options = {
        .name = "test",
        .threads = 1,
        .queue_max = 10,
        .batch_max = 1,
        .data = &hooks,
        .thread_start = hook_start,
        .idle_ms = 10,
        .idle = hook_idle,
    };
    struct bench *bench = bench_new(1, &options);
    uv_timer_t timer;
    uv_timer_init(&bench->loop, &timer);
    uv_timer_start(&timer, on_timer, 200, 0);
    uv_run(&bench->loop, UV_RUN_DEFAULT);
    assert_in_range(hooks.idle, 1, 25); /* every 10 ms, however slow the machine is */
    submit_all(bench);
    uv_run(&bench->loop, UV_RUN_DEFAULT);
    uv_close((uv_handle_t *)&timer, NULL);
    bench_free(bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_thread_keeps_the_order),
        cmocka_unit_test(test_many_threads_do_each_job_once),
        cmocka_unit_test(test_full_queue_refuses),
        cmocka_unit_test(test_free_finishes_what_is_queued),
        cmocka_unit_test(test_done_may_free_the_pool),
        cmocka_unit_test(test_done_may_submit),
        cmocka_unit_test(test_submit_in_prepare_is_not_forgotten),
        cmocka_unit_test(test_batches),
        cmocka_unit_test(test_idle_hook),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
