/* Lock-free counters, gauges and histograms; encoded for the metrics daemon, which renders them for Prometheus. */
#ifndef MIRAI_METRICS_H
#define MIRAI_METRICS_H

#include "libcommon/str.h"

#include <stdatomic.h>

/* Metrics are made at start (mirai_metric_* takes a lock, the same name and labels give the same metric again) and
 * live until the program ends; updates are one relaxed atomic operation, from any thread. Names follow Prometheus'
 * conventions: https://prometheus.io/docs/practices/naming/ ; `labels` is the finished inside of the braces, such as
 * `method="GET",endpoint="/api/v1/articles/{id}"`, or NULL. Label values never come from users. */

struct mirai_counter {
    _Atomic uint64_t value;
};

struct mirai_gauge {
    _Atomic int64_t value;
};

#define MIRAI_HISTOGRAM_BUCKETS 16
struct mirai_histogram {
    _Atomic uint64_t buckets[MIRAI_HISTOGRAM_BUCKETS + 1]; /* last: +Inf; not cumulative */
    _Atomic uint64_t sum_us;
};

/* Upper bounds of the buckets in µs: 50 100 250 500 1000 2500 5000 10000 25000 50000 100000 250000 500000 1000000
 * 2500000 5000000. */
extern const uint32_t mirai_histogram_bounds_us[MIRAI_HISTOGRAM_BUCKETS];

struct mirai_counter *mirai_metric_counter(const char *name, const char *help, const char *labels);
struct mirai_gauge *mirai_metric_gauge(const char *name, const char *help, const char *labels);
struct mirai_histogram *mirai_metric_histogram(const char *name, const char *help, const char *labels);
/* A gauge that is asked when metrics are gathered (on the loop thread). */
void mirai_metric_gauge_from(const char *name, const char *help, const char *labels,
                             double (*read)(void *data), void *data);
/* The same for a counter that something else counts; `read` never goes back. */
void mirai_metric_counter_from(const char *name, const char *help, const char *labels,
                               double (*read)(void *data), void *data);

static inline void mirai_counter_add(struct mirai_counter *counter, uint64_t n)
{
    atomic_fetch_add_explicit(&counter->value, n, memory_order_relaxed);
}
static inline void mirai_gauge_set(struct mirai_gauge *gauge, int64_t value)
{
    atomic_store_explicit(&gauge->value, value, memory_order_relaxed);
}
static inline void mirai_gauge_add(struct mirai_gauge *gauge, int64_t n)
{
    atomic_fetch_add_explicit(&gauge->value, n, memory_order_relaxed);
}
void mirai_histogram_observe(struct mirai_histogram *histogram, uint64_t us);

/* All metrics of this process as one MessagePack array of families:
 * [{name, type: "counter"|"gauge"|"histogram", help, samples: [{labels, value} | {labels, buckets: [n…], sum_us}]}] */
void mirai_metrics_encode(struct mirai_buf *buf);

/* Process metrics (CPU seconds, RSS, open fds, threads, start time) and build info: made by the service runtime, which
 * adds mirai_loop_lag_seconds. */
void mirai_metrics_register_process(void);

/* Resident memory of this process in bytes; 0 when unknown. */
int64_t mirai_process_rss(void);

#endif
