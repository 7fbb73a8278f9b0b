/* The life of a daemon, seen from outside: this program runs itself as one ("test_service serve"), calls it
 * over RPC, sends it signals and looks at how it ends. */
#include "libcommon/service.h"

#include "libcommon/log.h"
#include "libcommon/time.h"
#include "tests/unit/libcommon/test.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/* ------------------------------------------------------------------ the daemon */

static struct mirai_rpc_request *held;
static uv_timer_t release;

static void answer_held(uv_timer_t *timer)
{
    (void)timer;
    mirai_rpc_reply(held, MIRAI_STR("\xa4late"));
    held = NULL;
}

/* Answers 300 ms later. */
static void handle_slow(struct mirai_rpc_request *request)
{
    held = request;
    uv_timer_start(&release, answer_held, 300, 0);
}

/* Answers never. */
static void handle_never(struct mirai_rpc_request *request)
{
    held = request;
}

static int daemon_start(struct mirai_runtime *runtime)
{
    if (getenv("TEST_FAIL_START") != NULL) {
        return MIRAI_E_INTERNAL;
    }
    return uv_timer_init(runtime->loop, &release);
}

static void daemon_stop(struct mirai_runtime *runtime)
{
    (void)runtime;
    if (held != NULL) {
        mirai_rpc_fail(held, MIRAI_E_UNAVAILABLE, NULL);
    }
    uv_close((uv_handle_t *)&release, NULL);
}

static size_t daemon_status(struct mirai_runtime *runtime, struct mirai_buf *pairs)
{
    mirai_mp_write_cstr(pairs, "own");
    mirai_mp_write_str(pairs, mirai_str(runtime->state));
    return 1;
}

static int serve(int argc, char **argv)
{
    static const struct mirai_rpc_method methods[] = {
        {"slow", handle_slow}, {"never", handle_never}, {NULL, NULL}};
    static const struct mirai_service service = {
        .name = "test-service",
        .summary = "a daemon under test",
        .methods = methods,
        .start = daemon_start,
        .stop = daemon_stop,
        .status = daemon_status,
    };
    return mirai_service_run(&service, argc, argv, "state");
}

/* ------------------------------------------------------------------ handling it */

static char directory[] = "/tmp/mirai-test-service-XXXXXX";

static void in_directory(char path[128], const char *name)
{
    snprintf(path, 128, "%s/%s", directory, name);
}

/* Start this program as the daemon; `variable` = "NAME=value" more in its environment, or NULL. */
static pid_t start(const char *argument, const char *variable)
{
    pid_t child = fork();
    if (child == 0) {
        char run[128], log[128];
        int null = open("/dev/null", O_WRONLY);
        dup2(null, STDOUT_FILENO);
        dup2(null, STDERR_FILENO);
        in_directory(run, "run");
        in_directory(log, "log");
        setenv("MIRAI_RUN_DIR", run, 1);
        setenv("MIRAI_LOG_FILE", log, 1);
        setenv("MIRAI_DRAIN_MS", "1500", 1);
        if (variable != NULL) {
            putenv((char *)variable);
        }
        execl("/proc/self/exe", "test_service", "serve", argument, NULL);
        _exit(127);
    }
    return child;
}

/* Exit code of the child; minus the signal when one killed it. */
static int wait_exit(pid_t child)
{
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* One call, with a loop and a client of its own. */
struct call {
    uv_loop_t loop;
    uv_timer_t later; /* runs `meanwhile` while the call is under way */
    void (*meanwhile)(struct call *call);
    pid_t daemon;
    int status;
    struct mirai_buf result;
};

static void on_reply(void *data, const struct mirai_rpc_reply *reply)
{
    struct call *call = data;
    call->status = reply->status;
    mirai_buf_append_str(&call->result, reply->result);
    uv_stop(&call->loop);
}

static void on_later(uv_timer_t *timer)
{
    struct call *call = timer->data;
    call->meanwhile(call);
}

static void call_full(struct call *call, const char *method, struct mirai_str params, enum mirai_role role)
{
    char run[128];
    in_directory(run, "run");
    uv_loop_init(&call->loop);
    uv_timer_init(&call->loop, &call->later);
    call->later.data = call;
    if (call->meanwhile != NULL) {
        uv_timer_start(&call->later, on_later, 100, 0);
    }
    struct mirai_rpc_client *client = mirai_rpc_client_new(&(struct mirai_rpc_client_options){
        .loop = &call->loop,
        .service = "test-service",
        .run_dir = run,
        .endpoints = "",
        .outstanding_max = 10,
        .deadline_ms = 8000,
    });
    assert_non_null(client);
    const struct mirai_context context = {.principal = {.user_id = 5, .role = role}};
    mirai_rpc_call(client, method, MIRAI_RPC_READ, &context, params, on_reply, call);
    uv_run(&call->loop, UV_RUN_DEFAULT);
    uv_close((uv_handle_t *)&call->later, NULL);
    mirai_rpc_client_free(client);
    while (uv_run(&call->loop, UV_RUN_DEFAULT) != 0) {
    }
    uv_loop_close(&call->loop);
}

static struct call call(const char *method)
{
    struct call result = {0};
    call_full(&result, method, MIRAI_STR("\xc0"), MIRAI_ROLE_VIEWER);
    return result;
}

static void assert_member(const struct call *answer, const char *key, const char *value)
{
    struct mirai_str raw, text;
    assert_int_equal(answer->status, 0);
    assert_int_equal(mirai_mp_find(mirai_buf_str(&answer->result), key, &raw), 0);
    struct mirai_mp mp = mirai_mp(raw);
    assert_int_equal(mirai_mp_read_str(&mp, &text), 0);
    assert_int_equal(text.len, strlen(value));
    assert_memory_equal(text.data, value, text.len);
}

static void assert_served(void)
{
    struct call answer = call("service.health"); /* waits until it listens */
    assert_member(&answer, "status", "ok");
    mirai_buf_free(&answer.result);
}

/* ------------------------------------------------------------------ tests */

static void test_arguments(void **state)
{
    (void)state;
    assert_int_equal(wait_exit(start("--help", NULL)), 0);
    assert_int_equal(wait_exit(start("--version", NULL)), 0);
    assert_int_equal(wait_exit(start("--check-config", NULL)), 0);
    assert_int_equal(wait_exit(start("--check-config", "MIRAI_LOCALE=fr")), 2);
    assert_int_equal(wait_exit(start("--check-config", "MIRAI_NO_SUCH=1")), 2);
    assert_int_equal(wait_exit(start("--no-such", NULL)), 2);
    assert_int_equal(wait_exit(start("", NULL)), 2);
}

static void test_faults_at_start(void **state)
{
    (void)state;
    static char long_dir[200] = "MIRAI_RUN_DIR=/tmp/";
    memset(long_dir + strlen(long_dir), 'x', 120);
    assert_int_equal(wait_exit(start(NULL, "MIRAI_DRAIN_MS=never")), 2);
    assert_int_equal(wait_exit(start(NULL, long_dir)), 2);
    assert_int_equal(wait_exit(start(NULL, "MIRAI_LOG_FILE=/nonexistent/log")), 1);
    assert_int_equal(wait_exit(start(NULL, "MIRAI_RUN_DIR=/nonexistent/run")), 1);
    assert_int_equal(wait_exit(start(NULL, "TEST_FAIL_START=1")), 1);
}

static void test_own_methods(void **state)
{
    (void)state;
    char path[128];
    struct stat st;
    pid_t daemon = start(NULL, NULL);
    struct call answer = call("service.health");
    assert_member(&answer, "status", "ok");
    assert_member(&answer, "service", "test-service");
    assert_member(&answer, "instance", "1");
    mirai_buf_free(&answer.result);

    answer = call("service.status");
    assert_member(&answer, "version", mirai_version());
    assert_member(&answer, "own", "state");
    struct mirai_str raw;
    struct mirai_mp mp = mirai_mp(mirai_buf_str(&answer.result));
    assert_int_equal(mirai_mp_raw(&mp, &raw), 0);
    assert_int_equal(raw.len, answer.result.len); /* the announced number of pairs is true */
    int64_t pid;
    assert_int_equal(mirai_mp_find(mirai_buf_str(&answer.result), "pid", &raw), 0);
    mp = mirai_mp(raw);
    assert_int_equal(mirai_mp_read_int(&mp, &pid), 0);
    assert_int_equal(pid, daemon);
    mirai_buf_free(&answer.result);

    answer = call("service.metrics");
    assert_int_equal(answer.status, 0);
    assert_non_null(memmem(answer.result.data, answer.result.len, "process_cpu_seconds_total", 25));
    assert_non_null(memmem(answer.result.data, answer.result.len, "mirai_loop_lag_seconds", 22));
    mirai_buf_free(&answer.result);

    in_directory(path, "run");
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0750);
    in_directory(path, "run/test-service@1.sock");
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0660);
    kill(daemon, SIGTERM);
    assert_int_equal(wait_exit(daemon), 0);
    assert_int_equal(access(path, F_OK), -1);
}

static void test_log_level(void **state)
{
    (void)state;
    pid_t daemon = start(NULL, NULL);
    struct call answer = {0};
    call_full(&answer, "service.log_level",
              MIRAI_STR("\x81\xa5level\xa5"
                        "debug"),
              MIRAI_ROLE_EDITOR);
    assert_int_equal(answer.status, MIRAI_E_FORBIDDEN);
    call_full(&answer, "service.log_level", MIRAI_STR("\x81\xa5level\xa4loud"), MIRAI_ROLE_ADMIN);
    assert_int_equal(answer.status, MIRAI_E_UNPROCESSABLE);
    call_full(&answer, "service.log_level", MIRAI_STR("\xc0"), MIRAI_ROLE_ADMIN);
    assert_int_equal(answer.status, MIRAI_E_UNPROCESSABLE);
    call_full(&answer, "service.log_level",
              MIRAI_STR("\x81\xa5level\xa5"
                        "error"),
              MIRAI_ROLE_ADMIN);
    assert_member(&answer, "level", "error");
    mirai_buf_free(&answer.result);
    kill(daemon, SIGINT);
    assert_int_equal(wait_exit(daemon), 0);
}

static void test_one_process_for_an_instance(void **state)
{
    (void)state;
    pid_t first = start(NULL, NULL);
    assert_served();
    assert_int_equal(wait_exit(start(NULL, NULL)), 1);
    assert_served(); /* the first one's socket is still there */
    pid_t other = start(NULL, "MIRAI_INSTANCE=2");
    kill(first, SIGTERM);
    assert_int_equal(wait_exit(first), 0);
    assert_served(); /* by the other */
    kill(other, SIGTERM);
    assert_int_equal(wait_exit(other), 0);
}

static void test_restart_after_kill(void **state)
{
    (void)state;
    pid_t daemon = start(NULL, NULL);
    assert_served();
    kill(daemon, SIGKILL);
    assert_int_equal(wait_exit(daemon), -SIGKILL);
    daemon = start(NULL, NULL); /* over the stale socket */
    assert_served();
    kill(daemon, SIGTERM);
    assert_int_equal(wait_exit(daemon), 0);
}

static void terminate(struct call *call)
{
    kill(call->daemon, SIGTERM);
}

static void test_drain_answers_what_is_pending(void **state)
{
    (void)state;
    struct call answer = {.meanwhile = terminate, .daemon = start(NULL, NULL)};
    assert_served();
    call_full(&answer, "slow", MIRAI_STR("\xc0"), MIRAI_ROLE_VIEWER);
    assert_int_equal(answer.status, 0);
    assert_str(mirai_buf_str(&answer.result), "\xa4late");
    mirai_buf_free(&answer.result);
    assert_int_equal(wait_exit(answer.daemon), 0);
}

static void test_drain_has_an_end(void **state)
{
    (void)state;
    struct call answer = {.meanwhile = terminate, .daemon = start(NULL, NULL)};
    assert_served();
    uint64_t before = mirai_monotonic_ms();
    call_full(&answer, "never", MIRAI_STR("\xc0"), MIRAI_ROLE_VIEWER);
    assert_int_not_equal(answer.status, 0);
    mirai_buf_free(&answer.result);
    kill(answer.daemon, SIGTERM); /* impatience changes nothing */
    assert_int_equal(wait_exit(answer.daemon), 0);
    assert_true(mirai_monotonic_ms() - before < 8000);
}

static void test_hangup_opens_the_log_again(void **state)
{
    (void)state;
    char path[128], rotated[128];
    in_directory(path, "log");
    in_directory(rotated, "log.1");
    pid_t daemon = start(NULL, NULL);
    assert_served();
    assert_int_equal(rename(path, rotated), 0);
    kill(daemon, SIGHUP);
    assert_served(); /* the signal is handled in the same or an earlier turn of the loop, or the next: ask
                        twice */
    assert_served();
    kill(daemon, SIGTERM);
    assert_int_equal(wait_exit(daemon), 0);
    assert_int_equal(access(path, F_OK), 0);
    unlink(rotated);
}

/* ------------------------------------------------------------------ systemd */

/* Wait for one datagram that equals `expected`, over others that may come between. */
static void expect_notification(int fd, const char *expected)
{
    char text[64] = "";
    while (strcmp(text, expected) != 0) {
        assert_int_equal(poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 10000), 1);
        ssize_t n = recv(fd, text, sizeof(text) - 1, 0);
        assert_true(n > 0);
        text[n] = '\0';
    }
}

static void test_notifications(void **state)
{
    (void)state;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "%s/notify", directory);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    setenv("NOTIFY_SOCKET", address.sun_path, 1);
    setenv("WATCHDOG_USEC", "200000", 1);
    pid_t daemon = start(NULL, NULL);
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    expect_notification(fd, "READY=1");
    expect_notification(fd, "WATCHDOG=1");
    expect_notification(fd, "WATCHDOG=1");
    kill(daemon, SIGTERM);
    expect_notification(fd, "STOPPING=1");
    assert_int_equal(wait_exit(daemon), 0);
    close(fd);
    unlink(address.sun_path);
}

static int make_directory(void **state)
{
    (void)state;
    mirai_log_set_level(MIRAI_LOG_FATAL); /* this process's own client need not tell */
    return mkdtemp(directory) != NULL ? 0 : -1;
}

static int remove_directory(void **state)
{
    (void)state;
    static const char *const files[] = {"run/test-service@1.lock", "run/test-service@2.lock", "log"};
    char path[128];
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        in_directory(path, files[i]);
        unlink(path);
    }
    in_directory(path, "run");
    rmdir(path);
    return rmdir(directory);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arguments),
        cmocka_unit_test(test_faults_at_start),
        cmocka_unit_test(test_own_methods),
        cmocka_unit_test(test_log_level),
        cmocka_unit_test(test_one_process_for_an_instance),
        cmocka_unit_test(test_restart_after_kill),
        cmocka_unit_test(test_drain_answers_what_is_pending),
        cmocka_unit_test(test_drain_has_an_end),
        cmocka_unit_test(test_hangup_opens_the_log_again),
        cmocka_unit_test(test_notifications),
    };
    if (argc > 1 && strcmp(argv[1], "serve") == 0) {
        return serve(argc - 1, argv + 1);
    }
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
