#include "libcommon/metrics.h"

#include "libcommon/mp.h"
#include "tests/unit/libcommon/test.h"

#include <msgpack.h>
#include <pthread.h>

static const msgpack_object *member(const msgpack_object *map, const char *key)
{
    for (uint32_t i = 0; i < map->via.map.size; i++) {
        const msgpack_object_kv *kv = &map->via.map.ptr[i];
        if (kv->key.via.str.size == strlen(key) && memcmp(kv->key.via.str.ptr, key, strlen(key)) == 0) {
            return &kv->val;
        }
    }
    return NULL;
}

static bool text_is(const msgpack_object *object, const char *text)
{
    return object != NULL && object->type == MSGPACK_OBJECT_STR && object->via.str.size == strlen(text) &&
           memcmp(object->via.str.ptr, text, strlen(text)) == 0;
}

/* What the metrics daemon would get. */
static msgpack_unpacked gather(struct mirai_buf *buf)
{
    msgpack_unpacked unpacked;
    size_t offset = 0;
    mirai_metrics_encode(buf);
    msgpack_unpacked_init(&unpacked);
    assert_int_equal(msgpack_unpack_next(&unpacked, buf->data, buf->len, &offset), MSGPACK_UNPACK_SUCCESS);
    assert_int_equal(offset, buf->len);
    assert_int_equal(unpacked.data.type, MSGPACK_OBJECT_ARRAY);
    return unpacked;
}

static const msgpack_object *find_family(const msgpack_unpacked *all, const char *name, const char *type)
{
    const msgpack_object *found = NULL;
    for (uint32_t i = 0; i < all->data.via.array.size; i++) {
        const msgpack_object *family = &all->data.via.array.ptr[i];
        if (text_is(member(family, "name"), name)) {
            assert_null(found); /* a family stands there once */
            assert_true(text_is(member(family, "type"), type));
            found = family;
        }
    }
    return found;
}

static const msgpack_object *find_sample(const msgpack_unpacked *all, const char *name, const char *type,
                                         const char *labels)
{
    const msgpack_object *family = find_family(all, name, type);
    assert_non_null(family);
    const msgpack_object *samples = member(family, "samples");
    for (uint32_t i = 0; i < samples->via.array.size; i++) {
        if (text_is(member(&samples->via.array.ptr[i], "labels"), labels)) {
            return &samples->via.array.ptr[i];
        }
    }
    return NULL;
}

static void test_same_name_and_labels_are_the_same_metric(void **state)
{
    (void)state;
    struct mirai_counter *a = mirai_metric_counter("test_same_total", "Help", "x=\"1\"");
    assert_ptr_equal(a, mirai_metric_counter("test_same_total", "Help", "x=\"1\""));
    assert_ptr_not_equal(a, mirai_metric_counter("test_same_total", "Help", "x=\"2\""));
    assert_ptr_not_equal(a, mirai_metric_counter("test_same_total", "Help", NULL));
    assert_ptr_equal(mirai_metric_counter("test_same_total", "Help", NULL),
                     mirai_metric_counter("test_same_total", "Help", ""));
}

static void test_counter_and_gauge(void **state)
{
    (void)state;
    struct mirai_buf buf = {0};
    mirai_counter_add(mirai_metric_counter("test_calls_total", "Calls", "method=\"get\""), 2);
    mirai_counter_add(mirai_metric_counter("test_calls_total", "Calls", "method=\"get\""), 3);
    mirai_counter_add(mirai_metric_counter("test_calls_total", "Calls", "method=\"put\""), 1);
    mirai_gauge_set(mirai_metric_gauge("test_depth", "Depth", NULL), 10);
    mirai_gauge_add(mirai_metric_gauge("test_depth", "Depth", NULL), -12);
    msgpack_unpacked all = gather(&buf);
    const msgpack_object *get = find_sample(&all, "test_calls_total", "counter", "method=\"get\"");
    assert_int_equal(member(get, "value")->via.u64, 5);
    const msgpack_object *put = find_sample(&all, "test_calls_total", "counter", "method=\"put\"");
    assert_int_equal(member(put, "value")->via.u64, 1);
    assert_int_equal(member(find_sample(&all, "test_depth", "gauge", ""), "value")->via.i64, -2);
    assert_true(text_is(member(find_family(&all, "test_depth", "gauge"), "help"), "Depth"));
    msgpack_unpacked_destroy(&all);
    mirai_buf_free(&buf);
}

static double read_double(void *data)
{
    return *(double *)data;
}

static void test_gauge_that_is_asked(void **state)
{
    (void)state;
    struct mirai_buf buf = {0};
    static double value = 0.25; /* asked again by later tests */
    mirai_metric_gauge_from("test_asked", "Asked", NULL, read_double, &value);
    value = 0.75;
    msgpack_unpacked all = gather(&buf);
    assert_true(member(find_sample(&all, "test_asked", "gauge", ""), "value")->via.f64 == 0.75);
    msgpack_unpacked_destroy(&all);
    mirai_buf_free(&buf);
}

static void test_histogram_buckets(void **state)
{
    (void)state;
    struct mirai_buf buf = {0};
    struct mirai_histogram *histogram = mirai_metric_histogram("test_seconds", "Time", NULL);
    uint64_t sum = 0;
    for (size_t i = 0; i < MIRAI_HISTOGRAM_BUCKETS; i++) {
        uint64_t bound = mirai_histogram_bounds_us[i];
        mirai_histogram_observe(histogram, bound);     /* le: the bound belongs to its bucket */
        mirai_histogram_observe(histogram, bound + 1); /* the next one's */
        sum += 2 * bound + 1;
    }
    mirai_histogram_observe(histogram, 0);
    msgpack_unpacked all = gather(&buf);
    const msgpack_object *sample = find_sample(&all, "test_seconds", "histogram", "");
    const msgpack_object *buckets = member(sample, "buckets");
    assert_int_equal(buckets->via.array.size, MIRAI_HISTOGRAM_BUCKETS + 1);
    for (uint32_t i = 0; i < buckets->via.array.size; i++) {
        assert_int_equal(buckets->via.array.ptr[i].via.u64, i == MIRAI_HISTOGRAM_BUCKETS ? 1 : 2);
    }
    assert_int_equal(member(sample, "sum_us")->via.u64, sum);
    msgpack_unpacked_destroy(&all);
    mirai_buf_free(&buf);
}

static void *count(void *unused)
{
    (void)unused;
    for (int i = 0; i < 20000; i++) {
        mirai_counter_add(mirai_metric_counter("test_threads_total", "Threads", NULL), 1);
        mirai_histogram_observe(mirai_metric_histogram("test_threads_seconds", "Threads", NULL), (uint64_t)i);
    }
    return NULL;
}

static void test_threads_lose_nothing(void **state)
{
    (void)state;
    pthread_t threads[4];
    struct mirai_buf buf = {0};
    for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, count, NULL), 0);
    }
    mirai_metrics_encode(&buf); /* at the same time */
    for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
        pthread_join(threads[i], NULL);
    }
    buf.len = 0;
    msgpack_unpacked all = gather(&buf);
    assert_int_equal(member(find_sample(&all, "test_threads_total", "counter", ""), "value")->via.u64, 80000);
    const msgpack_object *buckets =
        member(find_sample(&all, "test_threads_seconds", "histogram", ""), "buckets");
    uint64_t observed = 0;
    for (uint32_t i = 0; i < buckets->via.array.size; i++) {
        observed += buckets->via.array.ptr[i].via.u64;
    }
    assert_int_equal(observed, 80000);
    msgpack_unpacked_destroy(&all);
    mirai_buf_free(&buf);
}

static void test_process_metrics(void **state)
{
    (void)state;
    static const char *const gauges[] = {"process_resident_memory_bytes", "process_open_fds",
                                         "process_threads", "process_start_time_seconds"};
    struct mirai_buf buf = {0};
    mirai_metrics_register_process();
    msgpack_unpacked all = gather(&buf);
    for (size_t i = 0; i < ARRAY_LEN(gauges); i++) {
        assert_true(member(find_sample(&all, gauges[i], "gauge", ""), "value")->via.f64 >= 1);
    }
    assert_true(member(find_sample(&all, "process_cpu_seconds_total", "counter", ""), "value")->via.f64 > 0);
    assert_non_null(find_family(&all, "mirai_build_info", "gauge"));
    assert_in_range(mirai_process_rss(), 100000, INT64_C(1) << 40);
    msgpack_unpacked_destroy(&all);
    mirai_buf_free(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_name_and_labels_are_the_same_metric),
        cmocka_unit_test(test_counter_and_gauge),
        cmocka_unit_test(test_gauge_that_is_asked),
        cmocka_unit_test(test_histogram_buckets),
        cmocka_unit_test(test_threads_lose_nothing),
        cmocka_unit_test(test_process_metrics),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
