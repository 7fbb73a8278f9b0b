#include "libcommon/log.h"
#include "libcommon/metrics.h"
#include "libcommon/time.h"
#include "services/gateway/gateway.h"

/* Answers that took longer than this are logged at every level. */
#define SLOW_US 1000000

/* The names are those of the application that this one replaces, so that its dashboards go on. */
struct endpoint {
    struct mirai_counter *requests;
    struct mirai_counter *errors;
    struct mirai_histogram *seconds;
};

#define ENDPOINTS_MAX 128
static struct endpoint endpoints[ENDPOINTS_MAX]; /* by route; the last one: no route */

static struct endpoint endpoint_new(const char *method, const char *pattern)
{
    char labels[160];
    snprintf(labels, sizeof(labels), "method=\"%s\",endpoint=\"%s\"", method, pattern);
    return (struct endpoint){
        .requests = mirai_metric_counter("app_requests_total", "HTTP requests answered", labels),
        .errors = mirai_metric_counter("app_errors_total", "HTTP requests answered with 5xx", labels),
        .seconds =
            mirai_metric_histogram("app_response_time_seconds", "Time until the answer was ready", labels),
    };
}

/* ------------------------------------------------------------------ active users */

/* Who was here lately: a hash table without locks. A slot belongs to a user until that one has been away for
 * long. */
#define ACTIVE_S 300
#define SLOTS    8192
#define PROBES   8

static struct slot {
    _Atomic int64_t user_id;
    _Atomic int64_t seen_s; /* mirai_monotonic_ms() / 1000 */
} slots[SLOTS];

void traffic_user_seen(int64_t user_id, uint64_t now_us)
{
    int64_t now = (int64_t)(now_us / 1000000);
    size_t start = (size_t)((uint64_t)user_id * UINT64_C(0x9e3779b97f4a7c15) >> 32);
    struct slot *vacant = NULL;
    for (size_t i = 0; i < PROBES; i++) {
        struct slot *slot = &slots[(start + i) % SLOTS];
        int64_t owner = atomic_load_explicit(&slot->user_id, memory_order_relaxed);
        int64_t seen = atomic_load_explicit(&slot->seen_s, memory_order_relaxed);
        if (owner == user_id) {
            if (seen != now) {
                atomic_store_explicit(&slot->seen_s, now, memory_order_relaxed);
            }
            return;
        }
        if (vacant == NULL && (owner == 0 || seen + ACTIVE_S < now)) {
            vacant = slot;
        }
    }
    if (vacant != NULL) {
        int64_t owner = atomic_load_explicit(&vacant->user_id, memory_order_relaxed);
        if (atomic_compare_exchange_strong(&vacant->user_id, &owner, user_id)) {
            atomic_store_explicit(&vacant->seen_s, now, memory_order_relaxed);
        }
    }
}

static double read_active_users(void *data)
{
    int64_t now = (int64_t)(mirai_monotonic_ms() / 1000);
    size_t active = 0;
    (void)data;
    for (size_t i = 0; i < SLOTS; i++) {
        active += atomic_load_explicit(&slots[i].user_id, memory_order_relaxed) != 0 &&
                  atomic_load_explicit(&slots[i].seen_s, memory_order_relaxed) + ACTIVE_S >= now;
    }
    return (double)active;
}

static double read_connections(void *data)
{
    const struct gateway *gateway = data;
    return atomic_load_explicit(&gateway->connections, memory_order_relaxed);
}

static const char *const refusals[GATEWAY_REFUSALS] = {
    [GATEWAY_REFUSED_GONE] = "gone",
    [GATEWAY_REFUSED_FULL] = "full",
    [GATEWAY_REFUSED_HANDSHAKES] = "handshakes",
    [GATEWAY_REFUSED_ADDRESS] = "address",
    [GATEWAY_REFUSED_PROXY] = "proxy",
};

void traffic_init(struct gateway *gateway)
{
    char labels[64];
    for (size_t i = 0; i < routes_count && i < ENDPOINTS_MAX - 1; i++) {
        endpoints[i] = endpoint_new(route_method_names[routes[i].method], routes[i].pattern);
    }
    endpoints[ENDPOINTS_MAX - 1] = endpoint_new("other", "other");
    gateway->metrics.kept_hits =
        mirai_metric_counter("mirai_gateway_kept_hits_total", "Reads answered without a call", NULL);
    gateway->metrics.kept_misses = mirai_metric_counter(
        "mirai_gateway_kept_misses_total", "Reads whose answer was not kept, or no longer", NULL);
    for (enum h2_verdict verdict = H2_FINE + 1; verdict < H2_VERDICTS; verdict++) {
        snprintf(labels, sizeof(labels), "kind=\"%s\"", h2_verdict_name(verdict));
        gateway->metrics.floods[verdict] = mirai_metric_counter(
            "mirai_gateway_floods_total", "HTTP/2 connections ended because they flooded", labels);
    }
    for (enum gateway_refusal refusal = GATEWAY_ADMITTED + 1; refusal < GATEWAY_REFUSALS; refusal++) {
        snprintf(labels, sizeof(labels), "reason=\"%s\"", refusals[refusal]);
        gateway->metrics.refused[refusal] = mirai_metric_counter(
            "mirai_gateway_connections_refused_total", "Connections ended before they began", labels);
    }
    mirai_metric_gauge_from("app_active_users", "Users seen in the last 5 minutes", NULL, read_active_users,
                            NULL);
    mirai_metric_gauge_from("mirai_gateway_connections", "Open client connections", NULL, read_connections,
                            gateway);
}

/* ------------------------------------------------------------------ answers */

static void log_answer(struct exchange *exchange, int status, size_t bytes, uint64_t us)
{
    exchange_peer(exchange);
    const struct mirai_log_field fields[] = {
        MIRAI_LOG_S("request_id", exchange_id(exchange)),
        MIRAI_LOG_S("method", ((struct mirai_str){exchange->req->method.base, exchange->req->method.len})),
        MIRAI_LOG_Z("route", exchange->route != NULL ? exchange->route->pattern : ""),
        MIRAI_LOG_I("status", status),
        MIRAI_LOG_I("bytes", (int64_t)bytes),
        MIRAI_LOG_D("ms", (double)us / 1000),
        MIRAI_LOG_I("user_id", exchange->context.principal.user_id),
        MIRAI_LOG_S("address", exchange->context.client_address),
        {.key = NULL},
    };
    mirai_log_write(status >= 500  ? MIRAI_LOG_WARNING
                    : us > SLOW_US ? MIRAI_LOG_INFO
                                   : MIRAI_LOG_DEBUG,
                    __FILE__, __func__, "answered", fields);
}

void traffic_answered(struct exchange *exchange, size_t bytes)
{
    uint64_t us = mirai_monotonic_us() - exchange->started_us;
    int status = exchange->req->res.status;
    const struct endpoint *endpoint =
        &endpoints[exchange->route != NULL ? (size_t)(exchange->route - routes) : ENDPOINTS_MAX - 1];
    mirai_counter_add(endpoint->requests, 1);
    mirai_histogram_observe(endpoint->seconds, us);
    if (status >= 500) {
        mirai_counter_add(endpoint->errors, 1);
    }
    if (status >= 500 || us > SLOW_US || mirai_log_enabled(MIRAI_LOG_DEBUG)) {
        log_answer(exchange, status, bytes, us);
    }
}
