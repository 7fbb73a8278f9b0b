/* Snapshots of a real store, made, listed, checked and scheduled. */
#include "services/backup/job.h"

#include "libcommon/config.h"
#include "libcommon/log.h"
#include "libcommon/service.h"
#include "libcommon/time.h"
#include "proto/methods.h"
#include "services/backup/files.h"
#include "services/backup/methods.h"
#include "services/backup/snapshots.h"
#include "tests/unit/libcommon/test.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

struct fixture {
    char dir[64];
    uv_loop_t loop;
    uv_timer_t guard;                /* ends a test that hangs */
    pid_t store;                     /* a daemon of its own */
    struct mirai_rpc_client *client; /* of the store */
    struct job_worker *worker;
};

/* A worker's memory stays for its metrics as long as the process: kept within reach of the leak checker. */
static struct job_worker *workers[16];
static size_t worker_count;

static struct job_worker *new_worker(uv_loop_t *loop)
{
    struct job_worker *worker = job_worker_new(loop);
    assert_non_null(worker);
    assert_true(worker_count < ARRAY_LEN(workers));
    workers[worker_count++] = worker;
    return worker;
}

static void on_guard(uv_timer_t *timer)
{
    (void)timer;
    fprintf(stderr, "the test hangs\n");
    abort();
}

static pid_t start_store(const char *run_dir, const char *data_dir)
{
    pid_t pid = fork();
    if (pid == 0) {
        char *arguments[] = {"mirai-knowledge-store", NULL};
        char *environment[] = {(char *)run_dir, (char *)data_dir, "MIRAI_PASSWORD_MEMORY_KIB=8192",
                               "MIRAI_LOG_LEVEL=fatal", NULL};
        prctl(PR_SET_PDEATHSIG, SIGTERM); /* also when a test ends this process in its middle */
        execve(STORE_PROGRAM, arguments, environment);
        _exit(127);
    }
    return pid;
}

static int open_fixture(void **state)
{
    struct fixture *f = mirai_alloc(sizeof(*f));
    char run[96], data[96], backup[96];
    *state = f;
    strcpy(f->dir, "/tmp/mirai-job-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    snprintf(run, sizeof(run), "MIRAI_RUN_DIR=%s", f->dir);
    snprintf(data, sizeof(data), "MIRAI_DATA_DIR=%s/data", f->dir);
    snprintf(backup, sizeof(backup), "MIRAI_BACKUP_DIR=%s/backup", f->dir);
    char *environment[] = {run, backup, NULL};
    assert_int_equal(mirai_config_load(environment, stderr), 0);
    mirai_log_set_level(MIRAI_LOG_FATAL);
    f->store = start_store(run, data);
    assert_true(f->store > 0);
    uv_loop_init(&f->loop);
    uv_timer_init(&f->loop, &f->guard);
    uv_timer_start(&f->guard, on_guard, 60000, 0);
    f->client = mirai_service_client(&f->loop, "knowledge-store");
    f->worker = new_worker(&f->loop);
    return 0;
}

static int close_fixture(void **state)
{
    struct fixture *f = *state;
    char command[96];
    int status;
    job_worker_free(f->worker);
    mirai_rpc_client_free(f->client);
    uv_close((uv_handle_t *)&f->guard, NULL);
    assert_int_equal(uv_run(&f->loop, UV_RUN_DEFAULT), 0);
    assert_int_equal(uv_loop_close(&f->loop), 0);
    kill(f->store, SIGTERM);
    assert_int_equal(waitpid(f->store, &status, 0), f->store);
    snprintf(command, sizeof(command), "rm -rf %s", f->dir);
    free(f);
    return system(command) != 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0;
}

/* ------------------------------------------------------------------ jobs, waited for */

static void on_done(struct job *job)
{
    *(bool *)job->data = true;
}

/* Its memory is the caller's: end_job. */
static struct job *run_job(struct fixture *f, enum job_kind kind, const char *name)
{
    struct job *job = mirai_alloc(sizeof(*job));
    bool done = false;
    job->kind = kind;
    job->snapshot_kind = MIRAI_SNAPSHOT_MANUAL;
    job->done = on_done;
    job->data = &done;
    snprintf(job->name, sizeof(job->name), "%s", name);
    assert_int_equal(job_submit(f->worker, job), 0);
    while (!done) {
        uv_run(&f->loop, UV_RUN_ONCE);
    }
    return job;
}

static void end_job(struct job *job)
{
    mirai_arena_free(&job->arena);
    free(job);
}

static void on_reply(void *data, const struct mirai_rpc_reply *reply)
{
    assert_int_equal(reply->status, 0);
    *(bool *)data = true;
}

static void call_store(struct fixture *f, enum mirai_method_id id, int64_t user_id, const void *params)
{
    struct mirai_context context = {.principal = {.user_id = user_id, .role = MIRAI_ROLE_ADMIN},
                                    .deadline_ms = mirai_monotonic_ms() + 20000};
    bool done = false;
    mirai_method_call(f->client, id, &context, params, on_reply, &done);
    while (!done) {
        uv_run(&f->loop, UV_RUN_ONCE);
    }
}

static void make_article(struct fixture *f)
{
    struct mirai_user_create user = {0};
    struct mirai_article_create article = {0};
    mirai_set(user_create, &user, name, MIRAI_STR("hanako"));
    mirai_set(user_create, &user, password, MIRAI_STR("correct horse battery"));
    mirai_set(user_create, &user, role, MIRAI_ROLE_ADMIN);
    call_store(f, MIRAI_METHOD_ID_user_create, MIRAI_USER_SYSTEM, &user);
    mirai_set(article_create, &article, title, MIRAI_STR("VPN の設定"));
    mirai_set(article_create, &article, type, MIRAI_ITSM_TYPE_REQUEST);
    mirai_set(article_create, &article, body, MIRAI_STR("body"));
    call_store(f, MIRAI_METHOD_ID_article_create, 1, &article);
}

/* ------------------------------------------------------------------ tests */

static void a_snapshot_is_made_and_verified(void **state)
{
    struct fixture *f = *state;
    int64_t from = mirai_now_ms();
    make_article(f);
    struct job *job = run_job(f, JOB_RUN, "");
    assert_int_equal(job->err, 0);
    assert_int_equal(job->info.articles, 1);
    assert_int_equal(job->info.kind, MIRAI_SNAPSHOT_MANUAL);
    assert_true(mirai_has(snapshot_info, &job->info, verified_at));
    assert_false(mirai_has(snapshot_info, &job->info, fault));
    assert_in_range(job->info.created_at, from, mirai_now_ms());
    assert_int_equal(job_newest_ms(f->worker, MIRAI_SNAPSHOT_MANUAL), job->info.created_at);
    assert_int_equal(job_newest_ms(f->worker, MIRAI_SNAPSHOT_DAILY), 0);

    struct job *list = run_job(f, JOB_LIST, "");
    assert_int_equal(list->err, 0);
    assert_int_equal(list->list.items.count, 1);
    assert_true(mirai_str_eq(MIRAI_ITEMS(snapshot_info, &list->list.items)[0].name, job->info.name));
    end_job(list);
    end_job(job);
}

static void a_check_finds_the_newest_or_the_named_one(void **state)
{
    struct fixture *f = *state;
    char path[PATH_MAX], name[SNAPSHOT_NAME_SIZE];
    struct job *job = run_job(f, JOB_VERIFY, "");
    assert_int_equal(job->err, MIRAI_E_NOT_FOUND); /* there is none */
    end_job(job);
    end_job(run_job(f, JOB_RUN, ""));
    job = run_job(f, JOB_RUN, "");
    snprintf(name, sizeof(name), "%.*s", MIRAI_STR_ARG(job->info.name));
    end_job(job);
    job = run_job(f, JOB_VERIFY, "");
    assert_int_equal(job->err, 0);
    assert_true(mirai_str_eq(job->info.name, mirai_str(name)));
    end_job(job);
    snapshots_path(path, name, "knowledge.db");
    assert_int_equal(truncate(path, 100), 0);
    job = run_job(f, JOB_VERIFY, name);
    assert_int_equal(job->err, 0); /* that it is damaged is an answer */
    assert_true(mirai_has(snapshot_info, &job->info, fault));
    end_job(job);
    static const char *const others[] = {"20200101T000000.000Z-daily", "../backup", ".", "x"};
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        job = run_job(f, JOB_VERIFY, others[i]);
        assert_int_equal(job->err, MIRAI_E_NOT_FOUND);
        end_job(job);
    }
}

/* Let the clock strike, and wait for what that starts. Whether it started something. */
static bool strike(struct fixture *f, struct backup *backup)
{
    backup_on_clock(&backup->clock);
    bool started = backup->scheduled;
    backup_on_clock(&backup->clock); /* one at a time */
    while (backup->scheduled) {
        uv_run(&f->loop, UV_RUN_ONCE);
    }
    return started;
}

static void what_is_due_is_made_once(void **state)
{
    struct fixture *f = *state;
    struct backup backup = {.worker = f->worker};
    backup.clock.data = &backup;
    assert_false(strike(f, &backup)); /* all is off */
    assert_int_equal(schedule_parse(MIRAI_STR("00:00"), false, &backup.daily), 0);
    assert_true(strike(f, &backup)); /* never made before: missed */
    assert_true(job_newest_ms(f->worker, MIRAI_SNAPSHOT_DAILY) > 0);
    assert_false(strike(f, &backup));
    assert_int_equal(schedule_parse(MIRAI_STR("Wed 00:00"), true, &backup.weekly), 0);
    assert_true(strike(f, &backup)); /* the daily one does not stand for it */
    assert_true(job_newest_ms(f->worker, MIRAI_SNAPSHOT_WEEKLY) > 0);
    assert_false(strike(f, &backup));
    struct job *list = run_job(f, JOB_LIST, "");
    assert_int_equal(list->list.items.count, 2);
    end_job(list);
}

static void what_failed_is_tried_again_later(void **state)
{
    struct fixture *f = *state;
    struct backup backup = {.worker = f->worker};
    char path[PATH_MAX];
    backup.clock.data = &backup;
    assert_int_equal(schedule_parse(MIRAI_STR("00:00"), false, &backup.daily), 0);
    snprintf(path, sizeof(path), "%s/backup", f->dir);
    assert_int_equal(files_write_atomic(path, MIRAI_STR("in the way of the directory")), 0);
    int64_t before = mirai_now_ms();
    assert_true(strike(f, &backup));
    assert_int_equal(job_newest_ms(f->worker, MIRAI_SNAPSHOT_DAILY), 0);
    assert_in_range(backup.retry_at_ms, before + BACKUP_RETRY_MS, mirai_now_ms() + BACKUP_RETRY_MS);
    assert_false(strike(f, &backup)); /* not at once */
    unlink(path);
    backup.retry_at_ms = mirai_now_ms();
    assert_true(strike(f, &backup));
    assert_true(job_newest_ms(f->worker, MIRAI_SNAPSHOT_DAILY) >= before);
}

/* A daemon that starts knows what is there. */
static void a_new_worker_knows_the_newest(void **state)
{
    struct fixture *f = *state;
    struct job *job = run_job(f, JOB_RUN, "");
    int64_t made = job->info.created_at;
    end_job(job);
    job_worker_free(f->worker);
    f->worker = new_worker(&f->loop);
    end_job(run_job(f, JOB_LIST, "")); /* its thread runs */
    assert_int_equal(job_newest_ms(f->worker, MIRAI_SNAPSHOT_MANUAL), made);
}

#define with_a_store(test) cmocka_unit_test_setup_teardown(test, open_fixture, close_fixture)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_a_store(a_snapshot_is_made_and_verified),
        with_a_store(a_check_finds_the_newest_or_the_named_one),
        with_a_store(what_is_due_is_made_once),
        with_a_store(what_failed_is_tried_again_later),
        with_a_store(a_new_worker_knows_the_newest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
