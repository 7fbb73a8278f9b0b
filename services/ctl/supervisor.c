/* miraictl run: start the daemons beside this program, start again what dies, stop them in order. */
#include "services/ctl/supervisor.h"

#include "libcommon/config.h"
#include "libcommon/log.h"
#include "libcommon/service.h"
#include "libcommon/time.h"
#include "services/ctl/commands.h"
#include "services/ctl/ctl.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define KILL_AFTER_MS 2000 /* beyond the time that a daemon gives itself to drain */

enum child_state {
    CHILD_UNUSED, /* not among --only */
    CHILD_WAITING,
    CHILD_RUNNING,
    CHILD_ENDED, /* while stopping */
};

struct child {
    struct supervisor *supervisor;
    const char *name;
    char path[PATH_MAX];
    enum child_state state;
    pid_t pid;
    uint64_t started_ms;
    uint64_t delay_ms;
    uv_timer_t timer; /* until the next start; while stopping: until SIGKILL */
};

/* The gateway goes first, so that no request meets a daemon that is gone; then all others at once. */
enum stage {
    STAGE_SERVING,
    STAGE_STOPPING_GATEWAY,
    STAGE_STOPPING_REST,
    STAGE_KILLING, /* a second signal */
};

struct supervisor {
    uv_loop_t *loop;
    uv_signal_t signals[4];
    struct child children[CTL_SERVICE_COUNT];
    enum stage stage;
    int lock_fd;
};

uint64_t supervisor_delay(uint64_t lived_ms, uint64_t *delay_ms)
{
    if (lived_ms >= SUPERVISOR_STABLE_MS) {
        *delay_ms = 0;
    }
    uint64_t delay = *delay_ms;
    *delay_ms = delay == 0 ? SUPERVISOR_DELAY_MIN_MS : 2 * delay;
    if (*delay_ms > SUPERVISOR_DELAY_MAX_MS) {
        *delay_ms = SUPERVISOR_DELAY_MAX_MS;
    }
    return delay;
}

/* ------------------------------------------------------------------ starting */

/* In the child, after fork. Its own process group: Ctrl-C reaches the supervisor alone, which then stops all
 * in order. PR_SET_PDEATHSIG: no daemon outlives a supervisor that was killed. */
static void become_daemon(const struct child *child, pid_t supervisor)
{
    sigset_t none;
    char *const argv[] = {(char *)child->path, NULL};
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    setpgid(0, 0);
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != supervisor) {
        _exit(127);
    }
    int null = open("/dev/null", O_RDONLY);
    if (null >= 0) {
        dup2(null, STDIN_FILENO);
    }
    execv(child->path, argv);
    _exit(127);
}

static void on_start(uv_timer_t *timer);

static void schedule(struct child *child, uint64_t lived_ms)
{
    child->state = CHILD_WAITING;
    uv_timer_start(&child->timer, on_start, supervisor_delay(lived_ms, &child->delay_ms), 0);
}

static void start(struct child *child)
{
    pid_t self = getpid();
    child->started_ms = mirai_monotonic_ms();
    child->pid = fork();
    if (child->pid == 0) {
        become_daemon(child, self);
    }
    if (child->pid < 0) {
        mirai_log(ERROR, "cannot start a process", MIRAI_LOG_Z("daemon", child->name),
                  MIRAI_LOG_Z("reason", strerror(errno)));
        schedule(child, 0);
        return;
    }
    child->state = CHILD_RUNNING;
    mirai_log(INFO, "started", MIRAI_LOG_Z("daemon", child->name), MIRAI_LOG_I("pid", child->pid));
}

static void on_start(uv_timer_t *timer)
{
    start(timer->data);
}

/* ------------------------------------------------------------------ stopping */

static bool in_stage(const struct supervisor *supervisor, const struct child *child)
{
    bool gateway = child == &supervisor->children[CTL_GATEWAY];
    return supervisor->stage == STAGE_KILLING || gateway == (supervisor->stage == STAGE_STOPPING_GATEWAY);
}

static void on_kill(uv_timer_t *timer)
{
    struct child *child = timer->data;
    mirai_log(WARNING, "killed: it did not stop in time", MIRAI_LOG_Z("daemon", child->name),
              MIRAI_LOG_I("pid", child->pid));
    kill(child->pid, SIGKILL);
}

static void stop_child(struct child *child)
{
    uv_timer_stop(&child->timer);
    if (child->state == CHILD_RUNNING) {
        bool now = child->supervisor->stage == STAGE_KILLING;
        kill(child->pid, now ? SIGKILL : SIGTERM);
        uv_timer_start(&child->timer, on_kill,
                       now ? 0 : (uint64_t)mirai_config_int(MIRAI_CONFIG_DRAIN_MS) + KILL_AFTER_MS, 0);
    } else if (child->state == CHILD_WAITING) {
        child->state = CHILD_ENDED;
    }
}

/* Send the signal to who belongs to the stage. Returns whether anyone still runs in it. */
static bool stop_stage(struct supervisor *supervisor)
{
    bool running = false;
    for (int i = 0; i < CTL_SERVICE_COUNT; i++) {
        struct child *child = &supervisor->children[i];
        if (in_stage(supervisor, child)) {
            stop_child(child);
            running = running || child->state == CHILD_RUNNING;
        }
    }
    return running;
}

static bool stage_runs(const struct supervisor *supervisor)
{
    for (int i = 0; i < CTL_SERVICE_COUNT; i++) {
        if (in_stage(supervisor, &supervisor->children[i]) &&
            supervisor->children[i].state == CHILD_RUNNING) {
            return true;
        }
    }
    return false;
}

/* Go on to the next stage once this one has ended. */
static void advance(struct supervisor *supervisor)
{
    if (stage_runs(supervisor)) {
        return;
    }
    if (supervisor->stage == STAGE_STOPPING_GATEWAY) {
        supervisor->stage = STAGE_STOPPING_REST;
        if (stop_stage(supervisor)) {
            return;
        }
    }
    uv_stop(supervisor->loop);
}

static void begin_stop(struct supervisor *supervisor)
{
    supervisor->stage = supervisor->stage == STAGE_SERVING ? STAGE_STOPPING_GATEWAY : STAGE_KILLING;
    mirai_log(INFO, "stopping");
    mirai_notify("STOPPING=1");
    stop_stage(supervisor);
    advance(supervisor);
}

/* ------------------------------------------------------------------ signals */

static void on_end(struct child *child, int status)
{
    struct supervisor *supervisor = child->supervisor;
    bool by_signal = WIFSIGNALED(status);
    uint64_t lived = mirai_monotonic_ms() - child->started_ms;
    int number = by_signal ? WTERMSIG(status) : WEXITSTATUS(status);
    uv_timer_stop(&child->timer);
    if (supervisor->stage != STAGE_SERVING) {
        child->state = CHILD_ENDED;
        mirai_log(INFO, "ended", MIRAI_LOG_Z("daemon", child->name), MIRAI_LOG_I("pid", child->pid),
                  MIRAI_LOG_I(by_signal ? "signal" : "exit_code", number));
        advance(supervisor);
        return;
    }
    mirai_log(WARNING, "ended, starting it again", MIRAI_LOG_Z("daemon", child->name),
              MIRAI_LOG_I("pid", child->pid), MIRAI_LOG_I(by_signal ? "signal" : "exit_code", number),
              MIRAI_LOG_I("lived_ms", (int64_t)lived));
    schedule(child, lived);
}

static void on_child(uv_signal_t *handle, int signal_number)
{
    struct supervisor *supervisor = handle->data;
    (void)signal_number;
    for (int i = 0; i < CTL_SERVICE_COUNT; i++) {
        struct child *child = &supervisor->children[i];
        int status;
        if (child->state == CHILD_RUNNING && waitpid(child->pid, &status, WNOHANG) == child->pid) {
            on_end(child, status);
        }
    }
}

static void on_terminate(uv_signal_t *handle, int signal_number)
{
    mirai_log(INFO, "signal", MIRAI_LOG_I("number", signal_number));
    begin_stop(handle->data);
}

static void on_hangup(uv_signal_t *handle, int signal_number)
{
    struct supervisor *supervisor = handle->data;
    mirai_log_reopen();
    for (int i = 0; i < CTL_SERVICE_COUNT; i++) {
        if (supervisor->children[i].state == CHILD_RUNNING) {
            kill(supervisor->children[i].pid, signal_number);
        }
    }
}

static void start_signals(struct supervisor *supervisor)
{
    static const struct {
        int number;
        uv_signal_cb callback;
    } signals[] = {{SIGCHLD, on_child}, {SIGTERM, on_terminate}, {SIGINT, on_terminate}, {SIGHUP, on_hangup}};
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
        uv_signal_init(supervisor->loop, &supervisor->signals[i]);
        supervisor->signals[i].data = supervisor;
        uv_signal_start(&supervisor->signals[i], signals[i].callback, signals[i].number);
    }
}

/* ------------------------------------------------------------------ life */

/* One supervisor for a run directory. The lock's file stays: whoever removed it could remove a successor's.
 */
static int take_lock(struct ctl *ctl, struct supervisor *supervisor)
{
    const char *dir = mirai_config_str(MIRAI_CONFIG_RUN_DIR);
    char path[PATH_MAX];
    if (mkdir(dir, 0750) != 0 && errno != EEXIST) {
        return ctl_fail(ctl, CTL_FAILED, "%s: %s", dir, strerror(errno));
    }
    snprintf(path, sizeof(path), "%s/supervisor.lock", dir);
    supervisor->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
    if (supervisor->lock_fd < 0) {
        return ctl_fail(ctl, CTL_FAILED, "%s: %s", path, strerror(errno));
    }
    if (flock(supervisor->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        return ctl_fail(ctl, CTL_FAILED,
                        text("別の miraictl run がこの MIRAI_RUN_DIR で動いています（%s）",
                             "another miraictl run works in this MIRAI_RUN_DIR (%s)"),
                        path);
    }
    return CTL_OK;
}

/* Whether `name` is among the comma-separated `only` (NULL: everyone is). */
static bool wanted(const char *only, const char *name)
{
    size_t len = strlen(name);
    while (only != NULL && *only != '\0') {
        size_t n = strcspn(only, ",");
        if (n == len && memcmp(only, name, n) == 0) {
            return true;
        }
        only += n + (only[n] == ',');
    }
    return only == NULL;
}

static bool known_names(struct ctl *ctl, const char *only)
{
    while (only != NULL && *only != '\0') {
        size_t n = strcspn(only, ",");
        char name[64];
        snprintf(name, sizeof(name), "%.*s", (int)n, only);
        if (ctl_service_find(name) == CTL_SERVICE_COUNT) {
            ctl_fail(ctl, CTL_USAGE,
                     text("--only: デーモン \"%s\" はありません", "--only: there is no daemon \"%s\""), name);
            return false;
        }
        only += n + (only[n] == ',');
    }
    return true;
}

/* The daemons' programs, found beside this one. */
static int find_programs(struct ctl *ctl, struct supervisor *supervisor)
{
    const char *only = cli_value(&ctl->cli, "--only");
    char self[PATH_MAX];
    ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
    if (!known_names(ctl, only)) {
        return CTL_USAGE;
    }
    self[len > 0 ? len : 0] = '\0';
    char *slash = strrchr(self, '/');
    if (slash == NULL) {
        return ctl_fail(ctl, CTL_FAILED, "/proc/self/exe: %s", strerror(errno));
    }
    *slash = '\0';
    for (int i = 0; i < CTL_SERVICE_COUNT; i++) {
        struct child *child = &supervisor->children[i];
        child->supervisor = supervisor;
        child->name = ctl_services[i];
        child->state = wanted(only, child->name) ? CHILD_WAITING : CHILD_UNUSED;
        int n = snprintf(child->path, sizeof(child->path), "%s/mirai-%s", self, child->name);
        if (child->state == CHILD_WAITING &&
            (n >= (int)sizeof(child->path) || access(child->path, X_OK) != 0)) {
            return ctl_fail(ctl, CTL_FAILED, "%s: %s", child->path, strerror(errno));
        }
        uv_timer_init(supervisor->loop, &child->timer);
        child->timer.data = child;
    }
    return CTL_OK;
}

static void on_close(uv_handle_t *handle, void *data)
{
    (void)data;
    if (!uv_is_closing(handle)) {
        uv_close(handle, NULL);
    }
}

static void supervise(struct supervisor *supervisor)
{
    /* What systemd told this process is not for the daemons. */
    mirai_notify("READY=1");
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
    start_signals(supervisor);
    for (int i = 0; i < CTL_SERVICE_COUNT; i++) {
        if (supervisor->children[i].state == CHILD_WAITING) {
            start(&supervisor->children[i]);
        }
    }
    uv_run(supervisor->loop, UV_RUN_DEFAULT);
    mirai_log(INFO, "stopped");
}

int command_run(struct ctl *ctl)
{
    struct supervisor supervisor = {.loop = &ctl->loop, .lock_fd = -1};
    const char *log_file = mirai_config_str(MIRAI_CONFIG_LOG_FILE);
    int code = find_programs(ctl, &supervisor);
    code = code == CTL_OK ? take_lock(ctl, &supervisor) : code;
    if (code == CTL_OK &&
        mirai_log_open("supervisor", mirai_config_str(MIRAI_CONFIG_INSTANCE), log_file) != 0) {
        code = ctl_fail(ctl, CTL_FAILED, "MIRAI_LOG_FILE: %s: %s", log_file, strerror(errno));
    }
    if (code == CTL_OK) {
        mirai_log_set_level(MIRAI_LOG_INFO);
        supervise(&supervisor);
    }
    uv_walk(&ctl->loop, on_close, NULL);
    uv_run(&ctl->loop, UV_RUN_DEFAULT);
    if (supervisor.lock_fd >= 0) {
        close(supervisor.lock_fd);
    }
    return code;
}
