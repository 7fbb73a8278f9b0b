#include "libcommon/service.h"

#include "libcommon/config.h"
#include "libcommon/log.h"
#include "libcommon/metrics.h"
#include "libcommon/service_internal.h"
#include "libcommon/time.h"

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define EXIT_START    1
#define EXIT_USAGE    2
#define DRAIN_POLL_MS 10
#define CLOSE_MS      1000 /* longest wait for handles that stop() should have closed */
#define LAG_PERIOD_MS UINT64_C(1000)

extern char **environ;

/* A daemon while it runs. `runtime` is what the service sees. */
struct daemon {
    struct mirai_runtime runtime;
    struct service_place place;
    uv_signal_t terminate, interrupt, hangup;
    uv_timer_t watchdog; /* to systemd, at half of its period */
    uv_timer_t lag;      /* how late the loop runs its timers */
    uv_timer_t drain;    /* looks whether all work is done; afterwards: limits closing */
    uint64_t lag_due_us;
    double lag_seconds;
    uint64_t drain_until_ms;
};

const char *mirai_version(void)
{
    return MIRAI_VERSION;
}

/* ------------------------------------------------------------------ drain */

static void on_drain_poll(uv_timer_t *timer)
{
    struct daemon *daemon = timer->data;
    struct mirai_runtime *runtime = &daemon->runtime;
    size_t pending = runtime->rpc != NULL ? mirai_rpc_server_pending(runtime->rpc) : 0;
    bool busy = runtime->service->busy != NULL && runtime->service->busy(runtime);
    if (pending > 0 || busy) {
        if (mirai_monotonic_ms() < daemon->drain_until_ms) {
            return;
        }
        mirai_log(WARNING, "work was left when the time to drain was over",
                  MIRAI_LOG_I("pending", (int64_t)pending));
    }
    uv_timer_stop(timer);
    uv_stop(runtime->loop);
}

void mirai_service_shutdown(struct mirai_runtime *runtime, int exit_code)
{
    struct daemon *daemon = (struct daemon *)runtime; /* its first member */
    if (runtime->draining) {
        return;
    }
    runtime->draining = true;
    runtime->exit_code = exit_code;
    mirai_log(INFO, "stopping");
    mirai_notify("STOPPING=1");
    if (runtime->rpc != NULL) {
        mirai_rpc_server_drain(runtime->rpc);
    }
    if (runtime->service->drain != NULL) {
        runtime->service->drain(runtime);
    }
    /* A fifth of the time is for stop() and for closing. */
    uint64_t longest = (uint64_t)mirai_config_int(MIRAI_CONFIG_DRAIN_MS);
    daemon->drain_until_ms = mirai_monotonic_ms() + longest - longest / 5;
    uv_timer_start(&daemon->drain, on_drain_poll, 0, DRAIN_POLL_MS);
}

/* ------------------------------------------------------------------ signals and timers */

static void on_terminate(uv_signal_t *handle, int number)
{
    struct daemon *daemon = handle->data;
    mirai_log(INFO, "signal", MIRAI_LOG_I("number", number));
    mirai_service_shutdown(&daemon->runtime, 0);
}

static void on_hangup(uv_signal_t *handle, int number)
{
    (void)handle;
    (void)number;
    if (mirai_log_reopen() != 0) {
        mirai_log(ERROR, "cannot open the log file again", MIRAI_LOG_Z("reason", strerror(errno)));
    }
}

/* systemd restarts what does not say so. */
static void on_watchdog(uv_timer_t *timer)
{
    struct daemon *daemon = timer->data;
    const struct mirai_service *service = daemon->runtime.service;
    if (service->hangs == NULL || !service->hangs(&daemon->runtime)) {
        mirai_notify("WATCHDOG=1");
    }
}

static void on_lag(uv_timer_t *timer)
{
    struct daemon *daemon = timer->data;
    uint64_t now = mirai_monotonic_us();
    daemon->lag_seconds = now > daemon->lag_due_us ? (double)(now - daemon->lag_due_us) / 1e6 : 0;
    daemon->lag_due_us = now + LAG_PERIOD_MS * 1000;
}

static double read_lag(void *daemon)
{
    return ((const struct daemon *)daemon)->lag_seconds;
}

/* Half of systemd's WatchdogSec= in ms, 0 when it does not watch this process (sd_watchdog_enabled(3)). */
static uint64_t watchdog_period_ms(void)
{
    int64_t us, pid;
    const char *usec = getenv("WATCHDOG_USEC");
    const char *for_pid = getenv("WATCHDOG_PID");
    if (usec == NULL || mirai_parse_int(mirai_str(usec), 1, INT64_MAX, &us) != 0) {
        return 0;
    }
    if (for_pid != NULL &&
        (mirai_parse_int(mirai_str(for_pid), 1, INT32_MAX, &pid) != 0 || pid != getpid())) {
        return 0;
    }
    return us >= 2000 ? (uint64_t)us / 2000 : 1;
}

static void start_signal(struct daemon *daemon, uv_signal_t *handle, uv_signal_cb callback, int number)
{
    uv_signal_init(daemon->runtime.loop, handle);
    handle->data = daemon;
    uv_signal_start(handle, callback, number);
    uv_unref((uv_handle_t *)handle);
}

static void init_timer(struct daemon *daemon, uv_timer_t *timer)
{
    uv_timer_init(daemon->runtime.loop, timer);
    timer->data = daemon;
}

static void start_handles(struct daemon *daemon)
{
    uint64_t watchdog = watchdog_period_ms();
    start_signal(daemon, &daemon->terminate, on_terminate, SIGTERM);
    start_signal(daemon, &daemon->interrupt, on_terminate, SIGINT);
    start_signal(daemon, &daemon->hangup, on_hangup, SIGHUP);
    init_timer(daemon, &daemon->drain);
    init_timer(daemon, &daemon->watchdog);
    init_timer(daemon, &daemon->lag);
    if (watchdog > 0) {
        uv_timer_start(&daemon->watchdog, on_watchdog, 0, watchdog);
    }
    daemon->lag_due_us = mirai_monotonic_us() + LAG_PERIOD_MS * 1000;
    uv_timer_start(&daemon->lag, on_lag, LAG_PERIOD_MS, LAG_PERIOD_MS); /* also keeps the loop alive */
    mirai_metric_gauge_from("mirai_loop_lag_seconds", "How late the event loop ran its last timer", NULL,
                            read_lag, daemon);
}

static void on_close_limit(uv_timer_t *timer)
{
    uv_stop(timer->loop);
}

/* Close the runtime's own handles and run the loop until all are closed, also those of the service. */
static void close_handles(struct daemon *daemon)
{
    uv_loop_t *loop = daemon->runtime.loop;
    uv_handle_t *handles[] = {
        (uv_handle_t *)&daemon->terminate, (uv_handle_t *)&daemon->interrupt, (uv_handle_t *)&daemon->hangup,
        (uv_handle_t *)&daemon->watchdog,  (uv_handle_t *)&daemon->lag,
    };
    for (size_t i = 0; i < sizeof(handles) / sizeof(handles[0]); i++) {
        uv_close(handles[i], NULL);
    }
    /* Without its uv_signal_t a second signal would kill, and make a failure of a clean end that takes
     * CLOSE_MS at most. */
    signal(SIGTERM, SIG_IGN);
    signal(SIGINT, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    uv_timer_start(&daemon->drain, on_close_limit, CLOSE_MS, 0);
    uv_unref((uv_handle_t *)&daemon->drain);
    uv_run(loop, UV_RUN_DEFAULT);
    if (uv_loop_alive(loop)) {
        mirai_log(WARNING, "handles were left open at the end");
    }
    uv_close((uv_handle_t *)&daemon->drain, NULL);
    uv_run(loop, UV_RUN_NOWAIT);
    uv_loop_close(loop);
}

/* ------------------------------------------------------------------ life */

static struct mirai_rpc_server *open_rpc(struct daemon *daemon)
{
    const struct mirai_rpc_server_options options = {
        .loop = daemon->runtime.loop,
        .url = daemon->place.url,
        .methods = daemon->runtime.service->methods,
        .more = service_methods,
        .data = daemon->runtime.state,
        .queue_max = mirai_config_size(MIRAI_CONFIG_RPC_QUEUE_MAX),
    };
    return mirai_rpc_server_new(&options);
}

/* From the new loop to the closed loop. Returns the exit code. */
static int serve(struct daemon *daemon)
{
    struct mirai_runtime *runtime = &daemon->runtime;
    const struct mirai_service *service = runtime->service;
    start_handles(daemon);
    service_methods_set(runtime);
    runtime->exit_code = EXIT_START;
    if (service->start(runtime) != 0) {
        mirai_log(FATAL, "could not start");
        goto close;
    }
    runtime->rpc = open_rpc(daemon);
    if (runtime->rpc == NULL) {
        mirai_log(FATAL, "cannot listen", MIRAI_LOG_Z("url", daemon->place.url));
        goto stop;
    }
    runtime->exit_code = 0;
    mirai_log(INFO, "ready", MIRAI_LOG_Z("version", mirai_version()), MIRAI_LOG_I("pid", getpid()),
              MIRAI_LOG_I("start_ms", mirai_now_ms() - runtime->started_at_ms));
    mirai_notify("READY=1");
    uv_run(runtime->loop, UV_RUN_DEFAULT);
stop:
    if (service->stop != NULL) {
        service->stop(runtime);
    }
    if (runtime->rpc != NULL) { /* after stop(), which may still answer calls */
        mirai_rpc_server_free(runtime->rpc);
        runtime->rpc = NULL;
    }
close:
    close_handles(daemon);
    mirai_log(INFO, "stopped", MIRAI_LOG_I("exit_code", runtime->exit_code));
    return runtime->exit_code;
}

/* What every daemon wants from the system before its first thread. */
static void prepare_process(void)
{
    signal(SIGPIPE, SIG_IGN);
    umask(0027);
    /* Five daemons share one small host: few malloc arenas, memory back to the system, and no 2 MiB pages for
     * stacks and heaps of some hundred KiB. */
    mallopt(M_ARENA_MAX, 2);
    mallopt(M_MMAP_THRESHOLD, 1 << 20);
    mallopt(M_TRIM_THRESHOLD, 1 << 20);
    prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
}

static void print_help(const struct mirai_service *service, FILE *out)
{
    fprintf(out,
            "mirai-%s: %s\n\n"
            "Usage: mirai-%s [--help | --version | --check-config]\n\n"
            "  --help          print this text\n"
            "  --version       print the version\n"
            "  --check-config  check and print the configuration; exit code 0, or 2 when it has faults\n\n"
            "Configuration (environment variables; empty means the default):\n",
            service->name, service->summary, service->name);
    mirai_config_help(out);
}

enum command {
    COMMAND_RUN,
    COMMAND_HELP,
    COMMAND_VERSION,
    COMMAND_CHECK_CONFIG,
    COMMAND_UNKNOWN,
};

static enum command parse_arguments(int argc, char **argv)
{
    static const char *const names[] = {[COMMAND_HELP] = "--help",
                                        [COMMAND_VERSION] = "--version",
                                        [COMMAND_CHECK_CONFIG] = "--check-config"};
    if (argc < 2) {
        return COMMAND_RUN;
    }
    for (enum command command = COMMAND_HELP; argc == 2 && command < COMMAND_UNKNOWN; command++) {
        if (strcmp(argv[1], names[command]) == 0) {
            return command;
        }
    }
    return COMMAND_UNKNOWN;
}

/* MIRAI_LOG_LEVEL; a development installation that does not set it sees everything. */
static enum mirai_log_level configured_level(void)
{
    enum mirai_log_level level = MIRAI_LOG_INFO;
    mirai_log_parse_level(mirai_str(mirai_config_str(MIRAI_CONFIG_LOG_LEVEL)), &level);
    if (!mirai_config_is_set(MIRAI_CONFIG_LOG_LEVEL) &&
        strcmp(mirai_config_str(MIRAI_CONFIG_ENVIRONMENT), "development") == 0) {
        level = MIRAI_LOG_DEBUG;
    }
    return level;
}

/* Log and instance lock, then serve. */
static int run(const struct mirai_service *service, void *data)
{
    uv_loop_t loop;
    struct daemon daemon = {.runtime = {.service = service, .state = data, .started_at_ms = mirai_now_ms()}};
    const char *log_file = mirai_config_str(MIRAI_CONFIG_LOG_FILE);
    if (service_place_init(&daemon.place, service->name, stderr) != 0) {
        return EXIT_USAGE;
    }
    if (mirai_log_open(service->name, mirai_config_str(MIRAI_CONFIG_INSTANCE), log_file) != 0) {
        fprintf(stderr, "MIRAI_LOG_FILE: cannot open \"%s\": %s\n", log_file, strerror(errno));
        return EXIT_START;
    }
    mirai_log_set_level(configured_level());
    mirai_metrics_register_process();
    if (service_place_take(&daemon.place) != 0) {
        return EXIT_START;
    }
    int exit_code = EXIT_START;
    daemon.runtime.loop = &loop;
    if (uv_loop_init(&loop) == 0) {
        exit_code = serve(&daemon);
    } else {
        mirai_log(FATAL, "cannot make an event loop");
    }
    service_place_leave(&daemon.place);
    return exit_code;
}

int mirai_service_run(const struct mirai_service *service, int argc, char **argv, void *data)
{
    enum command command = parse_arguments(argc, argv);
    prepare_process();
    switch (command) {
    case COMMAND_HELP:
        print_help(service, stdout);
        return 0;
    case COMMAND_VERSION:
        printf("mirai-%s %s\n", service->name, mirai_version());
        return 0;
    case COMMAND_UNKNOWN:
        fprintf(stderr,
                "mirai-%s: unknown argument \"%s\"\nUsage: mirai-%s [--help | --version | --check-config]\n",
                service->name, argv[argc == 2 ? 1 : 2], service->name);
        return EXIT_USAGE;
    case COMMAND_RUN:
    case COMMAND_CHECK_CONFIG:
        break;
    }
    int err = mirai_config_load(environ, stderr);
    if (command == COMMAND_CHECK_CONFIG) {
        struct service_place place;
        err = err == 0 ? service_place_init(&place, service->name, stderr) : err;
        mirai_config_print(stdout, false);
        return err == 0 ? 0 : EXIT_USAGE;
    }
    mirai_config_wipe(environ, false);
    return err == 0 ? run(service, data) : EXIT_USAGE;
}

/* ------------------------------------------------------------------ clients */

struct mirai_rpc_client *mirai_service_client(uv_loop_t *loop, const char *service)
{
    static const struct {
        const char *service;
        enum mirai_config_key endpoints;
    } services[] = {
        {"knowledge-store", MIRAI_CONFIG_STORE_ENDPOINTS}, {"search-index", MIRAI_CONFIG_SEARCH_ENDPOINTS},
        {"backup", MIRAI_CONFIG_BACKUP_ENDPOINTS},         {"metrics", MIRAI_CONFIG_METRICS_ENDPOINTS},
        {"gateway", MIRAI_CONFIG_GATEWAY_ENDPOINTS},
    };
    struct mirai_rpc_client_options options = {
        .loop = loop,
        .service = service,
        .run_dir = mirai_config_str(MIRAI_CONFIG_RUN_DIR),
        .endpoints = "",
        .outstanding_max = mirai_config_size(MIRAI_CONFIG_RPC_OUTSTANDING_MAX),
        .deadline_ms = (uint64_t)mirai_config_int(MIRAI_CONFIG_RPC_DEADLINE_MS),
    };
    for (size_t i = 0; i < sizeof(services) / sizeof(services[0]); i++) {
        if (strcmp(services[i].service, service) == 0) {
            options.endpoints = mirai_config_str(services[i].endpoints);
        }
    }
    return mirai_rpc_client_new(&options);
}
