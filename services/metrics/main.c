/* mirai-metrics: gathers the counters of all daemons and serves them to Prometheus. */
#include "libcommon/service.h"
#include "proto/peers.h"
#include "services/metrics/collect.h"
#include "services/metrics/http.h"

struct metrics {
    struct collector *collector;
    struct http *http;
};

static int metrics_start(struct mirai_runtime *runtime)
{
    struct metrics *metrics = runtime->state;
    metrics->collector = collector_new(runtime->loop);
    metrics->http = http_new(runtime->loop, metrics->collector);
    return metrics->http != NULL ? 0 : MIRAI_E_UNAVAILABLE;
}

static void metrics_stop(struct mirai_runtime *runtime)
{
    struct metrics *metrics = runtime->state;
    if (metrics->http != NULL) {
        http_free(metrics->http);
    }
    collector_free(metrics->collector);
}

static const struct mirai_rpc_method metrics_methods[] = {{NULL, NULL}};

static const struct mirai_service metrics_service = {
    .name = "metrics",
    .summary = "gathers the metrics of all daemons and serves them to Prometheus",
    .methods = metrics_methods,
    .peers = mirai_peer_table,
    .start = metrics_start,
    .stop = metrics_stop,
};

int main(int argc, char **argv)
{
    static struct metrics metrics; /* outlives the handles of its HTTP side */
    return mirai_service_run(&metrics_service, argc, argv, &metrics);
}
