#include "libcommon/config.h"
#include "libcommon/log.h"
#include "libcommon/time.h"
#include "proto/peers.h"
#include "services/gateway/addresses.h"
#include "services/gateway/gateway.h"
#include "services/gateway/identity/attempts.h"
#include "services/gateway/identity/cors.h"
#include "services/gateway/identity/directory.h"
#include "services/gateway/identity/held.h"
#include "services/gateway/throttle.h"

#include <sodium.h>

/* Time in which clients are told that the connection ends, even when nothing else is left to do. */
#define GOODBYE_MS 200

static struct gateway gateway;
static char cookie_name[32];
static char hsts_value[64];
static uint64_t drain_started_ms;

/* Different for installations that share a host name: cookies do not know ports (RFC 6265 §8.5). */
static struct mirai_str make_cookie_name(void)
{
    unsigned char hash[crypto_hash_sha256_BYTES];
    char hex[9];
    struct mirai_buf id = {0};
    const char *installation = mirai_config_str(MIRAI_CONFIG_INSTALLATION);
    if (installation[0] != '\0') {
        mirai_buf_append_str(&id, mirai_str(installation));
    } else {
        mirai_buf_printf(&id, "%s %s", mirai_config_str(MIRAI_CONFIG_DATA_DIR),
                         mirai_config_str(MIRAI_CONFIG_GATEWAY_LISTEN));
    }
    crypto_hash_sha256(hash, (const unsigned char *)id.data, id.len);
    mirai_hex(hex, hash, 4);
    snprintf(cookie_name, sizeof(cookie_name), "__Host-mirai-%s", hex);
    mirai_buf_free(&id);
    return mirai_str(cookie_name);
}

static bool listens_on_loopback(void)
{
    char host[64];
    int port;
    mirai_config_address(MIRAI_CONFIG_GATEWAY_LISTEN, host, &port);
    return strncmp(host, "127.", 4) == 0 || strcmp(host, "::1") == 0;
}

static struct mirai_str make_hsts(void)
{
    int64_t seconds = mirai_config_int(MIRAI_CONFIG_HSTS_SECONDS);
    if (seconds < 0) {
        seconds = listens_on_loopback() ? 0 : INT64_C(365) * 24 * 3600;
    }
    if (seconds == 0) {
        return (struct mirai_str){0};
    }
    snprintf(hsts_value, sizeof(hsts_value), "max-age=%lld; includeSubDomains", (long long)seconds);
    return mirai_str(hsts_value);
}

static struct gateway_settings read_settings(void)
{
    return (struct gateway_settings){
        .body_max = mirai_config_size(MIRAI_CONFIG_BODY_MAX_BYTES),
        .attachment_max = mirai_config_size(MIRAI_CONFIG_ATTACHMENT_MAX_BYTES),
        .uploads_max = (int)mirai_config_int(MIRAI_CONFIG_UPLOADS_MAX),
        .connections_max = (int)mirai_config_int(MIRAI_CONFIG_CONNECTIONS_MAX),
        .address_max = (int)mirai_config_int(MIRAI_CONFIG_CONNECTIONS_PER_ADDRESS),
        .http2_resets = mirai_config_int(MIRAI_CONFIG_HTTP2_RESETS_PER_SECOND),
        .http2_frames = mirai_config_int(MIRAI_CONFIG_HTTP2_FRAMES_PER_SECOND),
        .held_max = mirai_config_size(MIRAI_CONFIG_BODIES_MAX_BYTES),
        .cache_max = mirai_config_size(MIRAI_CONFIG_GATEWAY_CACHE_BYTES),
        .rpc_deadline_ms = (uint64_t)mirai_config_int(MIRAI_CONFIG_RPC_DEADLINE_MS),
        .scan_ms = mirai_config_str(MIRAI_CONFIG_CLAMD)[0] != '\0'
                       ? (uint64_t)mirai_config_int(MIRAI_CONFIG_CLAMD_TIMEOUT_MS)
                       : 0,
        .auth_cache_ms = (uint64_t)mirai_config_int(MIRAI_CONFIG_AUTH_CACHE_MS),
        .request_timeout_ms = (uint64_t)mirai_config_int(MIRAI_CONFIG_REQUEST_TIMEOUT_MS),
        .idle_timeout_ms = (uint64_t)mirai_config_int(MIRAI_CONFIG_IDLE_TIMEOUT_MS),
        .login_failure_ms = (uint64_t)mirai_config_int(MIRAI_CONFIG_LOGIN_FAILURE_MS),
        .directory_check_ms = (uint64_t)mirai_config_int(MIRAI_CONFIG_DIRECTORY_CHECK_SECONDS) * 1000,
        .drain_ms = (uint64_t)mirai_config_int(MIRAI_CONFIG_DRAIN_MS),
        .locale = mirai_str(mirai_config_str(MIRAI_CONFIG_LOCALE)),
        .cookie = make_cookie_name(),
        .hsts = make_hsts(),
        .proxy_protocol = mirai_config_int(MIRAI_CONFIG_PROXY_PROTOCOL) != 0,
    };
}

static int read_proxies(void)
{
    struct mirai_str fault, list = mirai_str(mirai_config_str(MIRAI_CONFIG_TRUSTED_PROXIES));
    int err = proxies_parse(list, &gateway.settings.proxies, &fault);
    if (err != 0) {
        mirai_log(ERROR, "MIRAI_TRUSTED_PROXIES: not an address or network in CIDR notation, or one too many",
                  MIRAI_LOG_S("member", fault));
    } else if (gateway.settings.proxy_protocol && gateway.settings.proxies.count == 0) {
        mirai_log(ERROR,
                  "MIRAI_PROXY_PROTOCOL is on, but MIRAI_TRUSTED_PROXIES is empty: nobody could connect");
        err = MIRAI_E_INVALID;
    }
    return err;
}

/* h2o's own limits; the finer ones are handler.c's and connections.c's. */
static void configure_http(void)
{
    h2o_globalconf_t *config = &gateway.config;
    const struct gateway_settings *settings = &gateway.settings;
    h2o_socket_buffer_mmap_settings.threshold = 4u << 20; /* larger bodies go to a temporary file */
    h2o_config_init(config);
    config->server_name = h2o_iovec_init("", 0);
    /* Above this HTTP/2 streams are reset without an answer: leave room for the one that says 413. */
    config->max_request_entity_size = gateway_largest_body(settings) + (16u << 20);
    config->http1.req_timeout = UINT64_C(3600) * 1000;
    config->http1.upgrade_to_http2 = 0;
    config->http2.idle_timeout = settings->idle_timeout_ms;
    config->http2.graceful_shutdown_timeout = settings->drain_ms;
    h2o_hostconf_t *host = h2o_config_register_host(config, h2o_iovec_init(H2O_STRLIT("default")), 65535);
    handler_register(&gateway, &host->fallback_path);
}

static int start(struct mirai_runtime *runtime)
{
    gateway.settings = read_settings();
    if (routes_init() != 0) {
        mirai_log(ERROR, "the route table is broken");
        return MIRAI_E_INTERNAL;
    }
    int err = held_init() != 0 ? MIRAI_E_INVALID : read_proxies();
    if (err == 0) {
        err = throttle_init();
    }
    if (err != 0) {
        return err;
    }
    cors_init(mirai_str(mirai_config_str(MIRAI_CONFIG_CORS_ORIGINS)));
    configure_http();
    traffic_init(&gateway);
    attempts_init();
    openapi_init(gateway.settings.cookie);
    static_init();
    render_init();
    if (directory_settings_new(&gateway.directory) != 0) {
        return MIRAI_E_INVALID;
    }
    directory_init();
    gateway.addresses = addresses_new(gateway.settings.address_max);
    gateway.tls = tls_new(&gateway, runtime->loop);
    if (gateway.tls == NULL) {
        return MIRAI_E_INVALID;
    }
    err = listener_start(&gateway);
    if (err != 0) {
        tls_free(gateway.tls);
        return err;
    }
    mirai_log(INFO, "serving", MIRAI_LOG_Z("listen", mirai_config_str(MIRAI_CONFIG_GATEWAY_LISTEN)),
              MIRAI_LOG_I("loops", (int64_t)gateway.loops_count));
    return 0;
}

static void drain(struct mirai_runtime *runtime)
{
    (void)runtime;
    drain_started_ms = mirai_monotonic_ms();
    listener_drain(&gateway);
}

static bool busy(struct mirai_runtime *runtime)
{
    (void)runtime;
    return listener_busy(&gateway) || mirai_monotonic_ms() < drain_started_ms + GOODBYE_MS;
}

static void stop(struct mirai_runtime *runtime)
{
    (void)runtime;
    listener_stop(&gateway);
    tls_free(gateway.tls);
    directory_settings_free(gateway.directory);
    addresses_free(gateway.addresses);
}

static size_t status(struct mirai_runtime *runtime, struct mirai_buf *pairs)
{
    (void)runtime;
    mirai_mp_write_cstr(pairs, "connections");
    mirai_mp_write_int(pairs, atomic_load(&gateway.connections));
    mirai_mp_write_cstr(pairs, "requests");
    mirai_mp_write_int(pairs, atomic_load(&gateway.requests));
    mirai_mp_write_cstr(pairs, "loops");
    mirai_mp_write_int(pairs, (int64_t)gateway.loops_count);
    return 3;
}

static bool hangs(struct mirai_runtime *runtime)
{
    (void)runtime;
    return listener_hangs(&gateway);
}

static int health(struct mirai_runtime *runtime)
{
    return hangs(runtime) ? MIRAI_E_DEADLINE : 0;
}

static const struct mirai_rpc_method methods[] = {{NULL, NULL}};

static const struct mirai_service service = {
    .name = "gateway",
    .summary = "HTTPS for people and programs: identity, routes, JSON",
    .methods = methods,
    .peers = mirai_peer_table,
    .start = start,
    .drain = drain,
    .busy = busy,
    .stop = stop,
    .status = status,
    .hangs = hangs,
    .health = health,
};

#ifdef __SANITIZE_ADDRESS__
/* h2o keeps freed chunks for each thread and never gives them back. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:h2o_mem_alloc_recycle";
}
#endif

int main(int argc, char **argv)
{
    return mirai_service_run(&service, argc, argv, &gateway);
}
