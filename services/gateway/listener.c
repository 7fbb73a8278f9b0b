#include "libcommon/config.h"
#include "libcommon/log.h"
#include "libcommon/pool.h"
#include "libcommon/stamps.h"
#include "libcommon/thread.h"
#include "libcommon/time.h"
#include "services/gateway/answers.h"
#include "services/gateway/gateway.h"
#include "services/gateway/identity/held.h"
#include "services/gateway/identity/recheck.h"
#include "services/gateway/notes.h"
#include "services/gateway/shared_rates.h"
#include "services/gateway/throttle.h"

#include <sodium.h>
#include <stdlib.h>
#include <unistd.h>

#define BACKLOG      1024
#define CLOSE_MS     500
#define SWEEPS_CLOSE 5    /* one of so many looks closely; between them a client brings what 50 ms allow */
#define HANGS_MS     5000 /* a loop that has not come round for so long serves nobody */

static const char *const upstream_names[UPSTREAM_COUNT] = {
    [UPSTREAM_STORE] = "knowledge-store", [UPSTREAM_SEARCH] = "search-index", [UPSTREAM_BACKUP] = "backup",
    [UPSTREAM_METRICS] = "metrics",       [UPSTREAM_GATEWAY] = "gateway",
};

/* ------------------------------------------------------------------ socket */

/* One socket for each loop at the same address: the kernel spreads connections over them. */
static int bind_socket(void)
{
    char host[64];
    int port, on = 1;
    struct sockaddr_storage address = {0};
    mirai_config_address(MIRAI_CONFIG_GATEWAY_LISTEN, host, &port);
    bool is_v4 = uv_ip4_addr(host, port, (struct sockaddr_in *)&address) == 0;
    if (!is_v4 && uv_ip6_addr(host, port, (struct sockaddr_in6 *)&address) != 0) {
        mirai_log(ERROR, "not an address", MIRAI_LOG_Z("address", host));
        return -1;
    }
    int fd = socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
        setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) != 0 ||
        bind(fd, (struct sockaddr *)&address,
             is_v4 ? (socklen_t)sizeof(struct sockaddr_in) : (socklen_t)sizeof(struct sockaddr_in6)) != 0) {
        mirai_log(ERROR, "cannot listen", MIRAI_LOG_Z("address", host), MIRAI_LOG_I("port", port),
                  MIRAI_LOG_Z("reason", strerror(errno)));
        if (fd >= 0) {
            close(fd);
        }
        return -1;
    }
    return fd;
}

static void on_connection(uv_stream_t *listener, int status)
{
    if (status == 0) {
        connections_accept(listener->data);
    }
}

static int open_listener(struct gateway_loop *loop)
{
    int fd = bind_socket();
    uv_tcp_init(&loop->uv, &loop->listener);
    loop->listener.data = loop;
    loop->listening = true; /* the handle must be closed */
    if (fd < 0) {
        return MIRAI_E_UNAVAILABLE;
    }
    if (uv_tcp_open(&loop->listener, fd) != 0 ||
        uv_listen((uv_stream_t *)&loop->listener, BACKLOG, on_connection) != 0) {
        mirai_log(ERROR, "cannot listen");
        return MIRAI_E_UNAVAILABLE;
    }
    return 0;
}

static void close_listener(struct gateway_loop *loop)
{
    if (loop->listening) {
        loop->listening = false;
        uv_close((uv_handle_t *)&loop->listener, NULL);
    }
}

/* ------------------------------------------------------------------ loop */

static void on_wake(uv_async_t *async)
{
    struct gateway_loop *loop = async->data;
    SSL_CTX *tls = atomic_exchange(&loop->new_tls, NULL);
    if (tls != NULL) {
        SSL_CTX_free(loop->accept.ssl_ctx); /* connections hold on to what they use */
        loop->accept.ssl_ctx = tls;
    }
    if (atomic_load(&loop->drain) && loop->listening) {
        close_listener(loop);
        h2o_context_request_shutdown(&loop->http);
    }
    if (atomic_load(&loop->stop)) {
        uv_stop(&loop->uv);
    }
}

static void on_sweep(uv_timer_t *timer)
{
    struct gateway_loop *loop = timer->data;
    atomic_store(&loop->beaten_ms, mirai_monotonic_ms());
    connections_sweep(loop, loop->sweeps++ % SWEEPS_CLOSE == 0);
}

/* The directory, where there is one; the first loop also looks after those who are logged in. */
static int open_directory(struct gateway_loop *loop)
{
    const struct gateway *gateway = loop->gateway;
    if (gateway->directory == NULL) {
        return 0;
    }
    loop->directory = directory_new(gateway->directory, &loop->uv);
    if (loop->directory != NULL && loop == gateway->loops) {
        loop->recheck = recheck_new(&loop->uv, loop->directory, loop->clients[UPSTREAM_STORE],
                                    gateway->settings.directory_check_ms);
    }
    return loop->directory != NULL ? 0 : MIRAI_E_INVALID;
}

static void close_directory(struct gateway_loop *loop)
{
    struct directory *directory = loop->directory;
    recheck_free(loop->recheck);
    loop->recheck = NULL;
    loop->directory = NULL; /* logins that end now may not begin another */
    directory_free(directory);
}

static int open_loop(struct gateway *gateway, struct gateway_loop *loop, size_t cache_max)
{
    uint64_t sweep_ms = gateway->settings.request_timeout_ms / 4;
    loop->gateway = gateway;
    h2o_linklist_init_anchor(&loop->connections);
    randombytes_buf(loop->random, sizeof(loop->random));
    if (uv_loop_init(&loop->uv) != 0) {
        return MIRAI_E_INTERNAL;
    }
    h2o_context_init(&loop->http, &loop->uv, &gateway->config);
    loop->auth = auth_cache_new();
    loop->answers = answers_new(cache_max);
    loop->renderers = render_pool_new(&loop->uv);
    if (loop->renderers == NULL) {
        return MIRAI_E_INTERNAL;
    }
    uv_async_init(&loop->uv, &loop->wake, on_wake);
    loop->wake.data = loop;
    uv_timer_init(&loop->uv, &loop->sweep);
    loop->sweep.data = loop;
    sweep_ms = (sweep_ms < 25 ? 25 : sweep_ms > 250 ? 250 : sweep_ms) / SWEEPS_CLOSE;
    uv_timer_start(&loop->sweep, on_sweep, sweep_ms, sweep_ms);
    for (enum upstream upstream = 0; upstream < UPSTREAM_COUNT; upstream++) {
        loop->clients[upstream] = mirai_service_client(&loop->uv, upstream_names[upstream]);
        if (loop->clients[upstream] == NULL) {
            return MIRAI_E_INTERNAL;
        }
    }
    if (open_directory(loop) != 0) {
        return MIRAI_E_INVALID;
    }
    int err = held_open(loop);
    if (err != 0) {
        return err;
    }
    if (loop == gateway->loops) {
        throttle_share(loop);
    }
    loop->accept = (h2o_accept_ctx_t){
        .ctx = &loop->http, .hosts = gateway->config.hosts, .ssl_ctx = tls_context_new(gateway->tls)};
    if (loop->accept.ssl_ctx == NULL) {
        return MIRAI_E_INVALID;
    }
    return open_listener(loop);
}

/* Run the loop until its connections have ended, at most CLOSE_MS. */
static void run_until_closed(struct gateway_loop *loop)
{
    uint64_t end = mirai_monotonic_ms() + CLOSE_MS;
    while (!h2o_linklist_is_empty(&loop->connections) && mirai_monotonic_ms() < end) {
        uv_run(&loop->uv, UV_RUN_NOWAIT);
        connections_close(loop); /* the later ones, too */
        connections_sweep(loop, true);
        usleep(1000);
    }
}

static void close_loop(struct gateway_loop *loop)
{
    close_listener(loop);
    notes_flush(loop);
    uv_run(&loop->uv, UV_RUN_NOWAIT); /* a GOAWAY on its way */
    loop->stopping = true;
    close_directory(loop);
    notes_close(loop);
    for (enum upstream upstream = 0; upstream < UPSTREAM_COUNT; upstream++) {
        if (loop->clients[upstream] != NULL) {
            mirai_rpc_client_free(
                loop->clients[upstream]); /* calls in flight end: their exchanges answer 503 */
            loop->clients[upstream] = NULL;
        }
    }
    shared_rates_free(loop->shared_rates);
    loop->shared_rates = NULL;
    held_close(loop);
    connections_close(loop);
    run_until_closed(loop);
    if (loop->renderers != NULL) {
        mirai_pool_free(loop->renderers);
    }
    uv_close((uv_handle_t *)&loop->sweep, NULL);
    uv_close((uv_handle_t *)&loop->wake, NULL);
    if (h2o_linklist_is_empty(&loop->connections)) {
        h2o_timeout_unlink(&loop->http.http2._graceful_shutdown_timeout); /* the second GOAWAY, for no one */
        h2o_context_dispose(&loop->http);
    }
    for (int turns = 0; uv_loop_close(&loop->uv) == UV_EBUSY && turns < 200; turns++) {
        uv_run(&loop->uv, UV_RUN_NOWAIT);
        usleep(turns < 20 ? 100 : 5000);
    }
    SSL_CTX_free(loop->accept.ssl_ctx);
    SSL_CTX_free(atomic_exchange(&loop->new_tls, NULL));
    auth_cache_free(loop->auth);
    answers_free(loop->answers);
    mirai_stamps_close(loop->stamps);
    mirai_arena_free(&loop->arena);
    mirai_buf_free(&loop->params);
    mirai_buf_free(&loop->json);
}

static void *run_loop(void *data)
{
    struct gateway_loop *loop = data;
    uv_run(&loop->uv, UV_RUN_DEFAULT);
    close_loop(loop);
    return NULL;
}

/* ------------------------------------------------------------------ all loops */

static size_t loops_wanted(void)
{
    int64_t threads = mirai_config_int(MIRAI_CONFIG_GATEWAY_THREADS);
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    return threads > 0 ? (size_t)threads : cores < 1 ? 1 : cores > 64 ? 64 : (size_t)cores;
}

int listener_start(struct gateway *gateway)
{
    size_t wanted = loops_wanted();
    gateway->loops = mirai_alloc(wanted * sizeof(gateway->loops[0]));
    for (size_t i = 0; i < wanted; i++) {
        struct gateway_loop *loop = &gateway->loops[i];
        char name[16];
        snprintf(name, sizeof(name), "http-%u", (unsigned char)(i + 1));
        int err = open_loop(gateway, loop, gateway->settings.cache_max / wanted);
        if (err == 0) {
            err = mirai_thread_start(&loop->thread, name, run_loop, loop);
        }
        if (err != 0) {
            close_loop(loop);
            listener_stop(gateway);
            return err;
        }
        gateway->loops_count = i + 1;
    }
    return 0;
}

void listener_set_tls(struct gateway *gateway)
{
    for (size_t i = 0; i < gateway->loops_count; i++) {
        SSL_CTX *context = tls_context_new(gateway->tls);
        if (context != NULL) {
            SSL_CTX_free(atomic_exchange(&gateway->loops[i].new_tls, context));
            uv_async_send(&gateway->loops[i].wake);
        }
    }
}

void listener_drain(struct gateway *gateway)
{
    for (size_t i = 0; i < gateway->loops_count; i++) {
        atomic_store(&gateway->loops[i].drain, true);
        uv_async_send(&gateway->loops[i].wake);
    }
}

bool listener_busy(const struct gateway *gateway)
{
    return atomic_load(&gateway->requests) > 0;
}

bool listener_hangs(const struct gateway *gateway)
{
    uint64_t now = mirai_monotonic_ms();
    for (size_t i = 0; i < gateway->loops_count; i++) {
        uint64_t beaten = atomic_load(&gateway->loops[i].beaten_ms);
        if (beaten != 0 && beaten + HANGS_MS < now) {
            return true;
        }
    }
    return false;
}

void listener_stop(struct gateway *gateway)
{
    for (size_t i = 0; i < gateway->loops_count; i++) {
        atomic_store(&gateway->loops[i].stop, true);
        uv_async_send(&gateway->loops[i].wake);
    }
    for (size_t i = 0; i < gateway->loops_count; i++) {
        pthread_join(gateway->loops[i].thread, NULL);
    }
    free(gateway->loops);
    gateway->loops = NULL;
    gateway->loops_count = 0;
}
