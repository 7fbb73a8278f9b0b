#include "libcommon/metrics.h"

#include "libcommon/log.h"
#include "libcommon/mp.h"

#include <pthread.h>
#include <stdlib.h>

const uint32_t mirai_histogram_bounds_us[MIRAI_HISTOGRAM_BUCKETS] = {
    50,    100,   250,    500,    1000,   2500,    5000,    10000,
    25000, 50000, 100000, 250000, 500000, 1000000, 2500000, 5000000,
};

enum type {
    TYPE_COUNTER,
    TYPE_GAUGE,
    TYPE_HISTOGRAM,
};

#define CACHE_LINE 64

/* One time series. It begins a cache line: two threads that count different things must not fight for one. */
struct sample {
    _Alignas(CACHE_LINE) union {
        struct mirai_counter counter;
        struct mirai_gauge gauge;
        struct mirai_histogram histogram;
    };
    struct sample *next;
    const char *labels;         /* never NULL */
    double (*read)(void *data); /* NULL: the value is above */
    void *data;
};

/* All series of one name. */
struct family {
    struct family *next;
    const char *name;
    const char *help;
    enum type type;
    struct sample *samples;
};

/* Both lists keep the order in which metrics were made, and only ever grow. */
static pthread_mutex_t registry_lock = PTHREAD_MUTEX_INITIALIZER;
static struct family *families;

static struct family *find_family(const char *name, const char *help, enum type type)
{
    struct family **at = &families;
    for (; *at != NULL; at = &(*at)->next) {
        if (strcmp((*at)->name, name) == 0) {
            if ((*at)->type != type) { /* a bug in the program, seen at its first start */
                mirai_log(FATAL, "metric made with two types", MIRAI_LOG_Z("metric", name));
                abort();
            }
            return *at;
        }
    }
    *at = mirai_alloc(sizeof(**at));
    **at = (struct family){
        .name = mirai_str_dup(mirai_str(name)), .help = mirai_str_dup(mirai_str(help)), .type = type};
    return *at;
}

static struct sample *find_sample(const char *name, const char *help, enum type type, const char *labels)
{
    labels = labels != NULL ? labels : "";
    pthread_mutex_lock(&registry_lock);
    struct sample **at = &find_family(name, help, type)->samples;
    while (*at != NULL && strcmp((*at)->labels, labels) != 0) {
        at = &(*at)->next;
    }
    if (*at == NULL) {
        struct sample *sample = aligned_alloc(CACHE_LINE, sizeof(*sample));
        if (sample == NULL) {
            abort();
        }
        memset(sample, 0, sizeof(*sample));
        sample->labels = mirai_str_dup(mirai_str(labels));
        *at = sample;
    }
    struct sample *found = *at;
    pthread_mutex_unlock(&registry_lock);
    return found;
}

struct mirai_counter *mirai_metric_counter(const char *name, const char *help, const char *labels)
{
    return &find_sample(name, help, TYPE_COUNTER, labels)->counter;
}

struct mirai_gauge *mirai_metric_gauge(const char *name, const char *help, const char *labels)
{
    return &find_sample(name, help, TYPE_GAUGE, labels)->gauge;
}

struct mirai_histogram *mirai_metric_histogram(const char *name, const char *help, const char *labels)
{
    return &find_sample(name, help, TYPE_HISTOGRAM, labels)->histogram;
}

static void set_reader(struct sample *sample, double (*read)(void *data), void *data)
{
    pthread_mutex_lock(&registry_lock);
    sample->read = read;
    sample->data = data;
    pthread_mutex_unlock(&registry_lock);
}

void mirai_metric_gauge_from(const char *name, const char *help, const char *labels,
                             double (*read)(void *data), void *data)
{
    set_reader(find_sample(name, help, TYPE_GAUGE, labels), read, data);
}

void mirai_metric_counter_from(const char *name, const char *help, const char *labels,
                               double (*read)(void *data), void *data)
{
    set_reader(find_sample(name, help, TYPE_COUNTER, labels), read, data);
}

void mirai_histogram_observe(struct mirai_histogram *histogram, uint64_t us)
{
    size_t bucket = 0;
    while (bucket < MIRAI_HISTOGRAM_BUCKETS && us > mirai_histogram_bounds_us[bucket]) {
        bucket++;
    }
    atomic_fetch_add_explicit(&histogram->buckets[bucket], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&histogram->sum_us, us, memory_order_relaxed);
}

/* ------------------------------------------------------------------ encode */

static void encode_value(struct mirai_buf *buf, enum type type, struct sample *sample)
{
    mirai_mp_write_cstr(buf, "value");
    if (sample->read != NULL) {
        mirai_mp_write_double(buf, sample->read(sample->data));
    } else if (type == TYPE_COUNTER) {
        mirai_mp_write_int(buf, (int64_t)atomic_load_explicit(&sample->counter.value, memory_order_relaxed));
    } else {
        mirai_mp_write_int(buf, atomic_load_explicit(&sample->gauge.value, memory_order_relaxed));
    }
}

static void encode_histogram(struct mirai_buf *buf, struct mirai_histogram *histogram)
{
    mirai_mp_write_cstr(buf, "buckets");
    mirai_mp_write_array(buf, MIRAI_HISTOGRAM_BUCKETS + 1);
    for (size_t i = 0; i <= MIRAI_HISTOGRAM_BUCKETS; i++) {
        mirai_mp_write_int(buf, (int64_t)atomic_load_explicit(&histogram->buckets[i], memory_order_relaxed));
    }
    mirai_mp_write_cstr(buf, "sum_us");
    mirai_mp_write_int(buf, (int64_t)atomic_load_explicit(&histogram->sum_us, memory_order_relaxed));
}

static void encode_family(struct mirai_buf *buf, const struct family *family)
{
    static const char *const types[] = {"counter", "gauge", "histogram"};
    size_t len = 0;
    mirai_mp_write_map(buf, 4);
    mirai_mp_write_cstr(buf, "name");
    mirai_mp_write_cstr(buf, family->name);
    mirai_mp_write_cstr(buf, "type");
    mirai_mp_write_cstr(buf, types[family->type]);
    mirai_mp_write_cstr(buf, "help");
    mirai_mp_write_cstr(buf, family->help);
    mirai_mp_write_cstr(buf, "samples");
    size_t samples = mirai_mp_begin_array(buf);
    for (struct sample *sample = family->samples; sample != NULL; sample = sample->next, len++) {
        mirai_mp_write_map(buf, family->type == TYPE_HISTOGRAM ? 3 : 2);
        mirai_mp_write_cstr(buf, "labels");
        mirai_mp_write_cstr(buf, sample->labels);
        if (family->type == TYPE_HISTOGRAM) {
            encode_histogram(buf, &sample->histogram);
        } else {
            encode_value(buf, family->type, sample);
        }
    }
    mirai_mp_end(buf, samples, len);
}

void mirai_metrics_encode(struct mirai_buf *buf)
{
    size_t len = 0;
    size_t array = mirai_mp_begin_array(buf);
    pthread_mutex_lock(&registry_lock);
    for (const struct family *family = families; family != NULL; family = family->next, len++) {
        encode_family(buf, family);
    }
    pthread_mutex_unlock(&registry_lock);
    mirai_mp_end(buf, array, len);
}
