#include "services/metrics/exposition.h"

#include "libcommon/metrics.h"
#include "libcommon/mp.h"
#include "tests/unit/libcommon/test.h"

#include <math.h>

/* ------------------------------------------------------------------ what a daemon says */

static void family(struct mirai_buf *out, const char *name, const char *type, const char *help)
{
    mirai_mp_write_map(out, 4);
    mirai_mp_write_cstr(out, "name");
    mirai_mp_write_cstr(out, name);
    mirai_mp_write_cstr(out, "type");
    mirai_mp_write_cstr(out, type);
    mirai_mp_write_cstr(out, "help");
    mirai_mp_write_cstr(out, help);
    mirai_mp_write_cstr(out, "samples");
}

static void sample(struct mirai_buf *out, const char *labels, int64_t value)
{
    mirai_mp_write_map(out, 2);
    mirai_mp_write_cstr(out, "labels");
    mirai_mp_write_cstr(out, labels);
    mirai_mp_write_cstr(out, "value");
    mirai_mp_write_int(out, value);
}

/* A source with one family of one sample. */
static struct mirai_buf one(const char *name, const char *type, const char *help, const char *labels,
                            int64_t value)
{
    struct mirai_buf out = {0};
    mirai_mp_write_array(&out, 1);
    family(&out, name, type, help);
    mirai_mp_write_array(&out, 1);
    sample(&out, labels, value);
    return out;
}

static struct mirai_buf one_histogram(const char *name, const int64_t buckets[MIRAI_HISTOGRAM_BUCKETS + 1],
                                      double sum_us)
{
    struct mirai_buf out = {0};
    mirai_mp_write_array(&out, 1);
    family(&out, name, "histogram", "h");
    mirai_mp_write_array(&out, 1);
    mirai_mp_write_map(&out, 3);
    mirai_mp_write_cstr(&out, "labels");
    mirai_mp_write_cstr(&out, "k=\"v\"");
    mirai_mp_write_cstr(&out, "buckets");
    mirai_mp_write_array(&out, MIRAI_HISTOGRAM_BUCKETS + 1);
    for (size_t i = 0; i <= MIRAI_HISTOGRAM_BUCKETS; i++) {
        mirai_mp_write_int(&out, buckets[i]);
    }
    mirai_mp_write_cstr(&out, "sum_us");
    mirai_mp_write_double(&out, sum_us);
    return out;
}

/* ------------------------------------------------------------------ what is rendered */

#define UP_HEAD                                                                                              \
    "# HELP mirai_up Whether the daemon answered this scrape.\n"                                             \
    "# TYPE mirai_up gauge\n"

/* The text behind the head of mirai_up, NUL-terminated; free() it. */
static char *render(enum exposition_format format, const struct exposition_source *sources, size_t count)
{
    struct mirai_buf out = {0};
    exposition_render(&out, format, sources, count);
    mirai_buf_append_char(&out, '\0');
    assert_int_equal(strncmp(out.data, UP_HEAD, strlen(UP_HEAD)), 0);
    char *text = strdup(out.data + strlen(UP_HEAD));
    mirai_buf_free(&out);
    return text;
}

static void assert_text(enum exposition_format format, struct mirai_buf said, const char *expected)
{
    struct exposition_source source = {MIRAI_STR("backup"), MIRAI_STR("1"), mirai_buf_str(&said)};
    char *text = render(format, &source, 1);
    assert_string_equal(text, expected);
    free(text);
    mirai_buf_free(&said);
}

#define UP   "mirai_up{daemon=\"backup\",daemon_instance=\"1\"} 1\n"
#define DOWN "mirai_up{daemon=\"backup\",daemon_instance=\"1\"} 0\n"

static void counters_and_gauges(void **state)
{
    (void)state;
    assert_text(EXPOSITION_PROMETHEUS, one("x_total", "counter", "Things.", "", 7),
                UP "# HELP x_total Things.\n# TYPE x_total counter\n"
                   "x_total{daemon=\"backup\",daemon_instance=\"1\"} 7\n");
    assert_text(EXPOSITION_PROMETHEUS, one("x", "gauge", "Things.", "a=\"b\",c=\"d\"", -3),
                UP "# HELP x Things.\n# TYPE x gauge\n"
                   "x{daemon=\"backup\",daemon_instance=\"1\",a=\"b\",c=\"d\"} -3\n");
}

static void openmetrics_differs_in_names_and_end(void **state)
{
    (void)state;
    assert_text(EXPOSITION_OPENMETRICS, one("x_total", "counter", "Things.", "", 7),
                UP "# HELP x Things.\n# TYPE x counter\n"
                   "x_total{daemon=\"backup\",daemon_instance=\"1\"} 7\n# EOF\n");
    assert_text(EXPOSITION_OPENMETRICS, one("x", "gauge", "h", "", 1),
                UP "# HELP x h\n# TYPE x gauge\nx{daemon=\"backup\",daemon_instance=\"1\"} 1\n# EOF\n");
    /* a counter without the ending that the format asks for */
    assert_text(EXPOSITION_OPENMETRICS, one("x", "counter", "h", "", 1),
                UP "# HELP x h\n# TYPE x unknown\nx{daemon=\"backup\",daemon_instance=\"1\"} 1\n# EOF\n");
    assert_non_null(strstr(exposition_content_type(EXPOSITION_OPENMETRICS), "application/openmetrics-text"));
    assert_string_equal(exposition_content_type(EXPOSITION_PROMETHEUS),
                        "text/plain; version=0.0.4; charset=utf-8");
}

static void a_gauge_that_is_called_total_claims_no_type(void **state)
{
    (void)state;
    assert_text(EXPOSITION_PROMETHEUS, one("articles_total", "gauge", "h", "", 2),
                UP "# HELP articles_total h\n# TYPE articles_total untyped\n"
                   "articles_total{daemon=\"backup\",daemon_instance=\"1\"} 2\n");
    assert_text(EXPOSITION_OPENMETRICS, one("articles_total", "gauge", "h", "", 2),
                UP "# HELP articles_total h\n# TYPE articles_total unknown\n"
                   "articles_total{daemon=\"backup\",daemon_instance=\"1\"} 2\n# EOF\n");
}

static void histograms_are_cumulative(void **state)
{
    (void)state;
    const int64_t buckets[MIRAI_HISTOGRAM_BUCKETS + 1] = {1, 2, [4] = 5, [MIRAI_HISTOGRAM_BUCKETS] = 3};
    struct mirai_buf said = one_histogram("t_seconds", buckets, 2500000);
    struct exposition_source source = {MIRAI_STR("backup"), MIRAI_STR("1"), mirai_buf_str(&said)};
    char *text = render(EXPOSITION_PROMETHEUS, &source, 1);
#define BUCKET(le, n)                                                                                        \
    "t_seconds_bucket{daemon=\"backup\",daemon_instance=\"1\",k=\"v\",le=\"" le "\"} " n "\n"
    assert_non_null(strstr(text, "# TYPE t_seconds histogram\n" BUCKET("5e-05", "1") BUCKET("0.0001", "3")
                                     BUCKET("0.00025", "3") BUCKET("0.0005", "3") BUCKET("0.001", "8")));
    assert_non_null(strstr(
        text, BUCKET("5", "8") BUCKET(
                  "+Inf", "11") "t_seconds_sum{daemon=\"backup\",daemon_instance=\"1\",k=\"v\"} 2.5\n"
                                "t_seconds_count{daemon=\"backup\",daemon_instance=\"1\",k=\"v\"} 11\n"));
    free(text);
    mirai_buf_free(&said);
}

static void impossible_histograms_are_left_out(void **state)
{
    (void)state;
    static const char head[] = UP "# HELP t h\n# TYPE t histogram\n";
    const int64_t negative[MIRAI_HISTOGRAM_BUCKETS + 1] = {5, -1};
    const int64_t too_many[MIRAI_HISTOGRAM_BUCKETS + 1] = {INT64_MAX, INT64_MAX, INT64_MAX};
    assert_text(EXPOSITION_PROMETHEUS, one_histogram("t", negative, 1), head);
    assert_text(EXPOSITION_PROMETHEUS, one_histogram("t", too_many, 1), head);
    static const double sums[] = {-1, 1e300, INFINITY, -INFINITY, NAN};
    const int64_t fine[MIRAI_HISTOGRAM_BUCKETS + 1] = {1};
    for (size_t i = 0; i < ARRAY_LEN(sums); i++) { /* no trap, whatever it says */
        struct mirai_buf said = one_histogram("t", fine, sums[i]);
        struct exposition_source source = {MIRAI_STR("backup"), MIRAI_STR("1"), mirai_buf_str(&said)};
        char *text = render(EXPOSITION_PROMETHEUS, &source, 1);
        assert_non_null(strstr(text, UP));
        free(text);
        mirai_buf_free(&said);
    }
}

static void texts_are_escaped(void **state)
{
    (void)state;
    struct mirai_buf said = one("x", "gauge", "a\\b\nc \"d\" 障害", "", 1);
    const struct exposition_source source = {MIRAI_STR("a\"b\\c"), MIRAI_STR("x\ny"), mirai_buf_str(&said)};
    char *text = render(EXPOSITION_PROMETHEUS, &source, 1);
    assert_string_equal(text, "mirai_up{daemon=\"a\\\"b\\\\c\",daemon_instance=\"x\\ny\"} 1\n"
                              "# HELP x a\\\\b\\nc \"d\" 障害\n# TYPE x gauge\n"
                              "x{daemon=\"a\\\"b\\\\c\",daemon_instance=\"x\\ny\"} 1\n");
    free(text);
    text = render(EXPOSITION_OPENMETRICS, &source, 1);
    assert_non_null(strstr(text, "# HELP x a\\\\b\\nc \\\"d\\\" 障害\n")); /* there quotes are escaped too */
    free(text);
    mirai_buf_free(&said);
}

static void numbers_that_are_none(void **state)
{
    (void)state;
    static const struct {
        double value;
        const char *text;
    } cases[] = {{0.5, "0.5"}, {NAN, "NaN"}, {INFINITY, "+Inf"}, {-INFINITY, "-Inf"}, {1e15, "1e+15"}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct mirai_buf said = {0};
        char expected[200];
        mirai_mp_write_array(&said, 1);
        family(&said, "x", "gauge", "h");
        mirai_mp_write_array(&said, 1);
        mirai_mp_write_map(&said, 1);
        mirai_mp_write_cstr(&said, "value");
        mirai_mp_write_double(&said, cases[i].value);
        snprintf(expected, sizeof(expected),
                 UP "# HELP x h\n# TYPE x gauge\nx{daemon=\"backup\",daemon_instance=\"1\"} %s\n",
                 cases[i].text);
        assert_text(EXPOSITION_PROMETHEUS, said, expected);
    }
}

static void families_are_merged_by_name_and_sorted(void **state)
{
    (void)state;
    struct mirai_buf a = {0}, b = one("b_total", "counter", "b of b", "", 3);
    mirai_mp_write_array(&a, 2);
    family(&a, "b_total", "counter", "b of a");
    mirai_mp_write_array(&a, 2);
    sample(&a, "k=\"1\"", 1);
    sample(&a, "k=\"2\"", 2);
    family(&a, "a", "gauge", "a");
    mirai_mp_write_array(&a, 1);
    sample(&a, "", 9);
    const struct exposition_source sources[] = {{MIRAI_STR("gateway"), MIRAI_STR("1"), mirai_buf_str(&a)},
                                                {MIRAI_STR("gateway"), MIRAI_STR("2"), mirai_buf_str(&b)}};
    char *text = render(EXPOSITION_PROMETHEUS, sources, 2);
    assert_string_equal(text, "mirai_up{daemon=\"gateway\",daemon_instance=\"1\"} 1\n"
                              "mirai_up{daemon=\"gateway\",daemon_instance=\"2\"} 1\n"
                              "# HELP a a\n# TYPE a gauge\na{daemon=\"gateway\",daemon_instance=\"1\"} 9\n"
                              "# HELP b_total b of a\n# TYPE b_total counter\n"
                              "b_total{daemon=\"gateway\",daemon_instance=\"1\",k=\"1\"} 1\n"
                              "b_total{daemon=\"gateway\",daemon_instance=\"1\",k=\"2\"} 2\n"
                              "b_total{daemon=\"gateway\",daemon_instance=\"2\"} 3\n");
    free(text);
    mirai_buf_free(&a);
    mirai_buf_free(&b);
}

/* Versions disagree about a type: only those who agree with the head are under it. */
static void one_name_has_one_type(void **state)
{
    (void)state;
    const int64_t buckets[MIRAI_HISTOGRAM_BUCKETS + 1] = {1};
    struct mirai_buf said[] = {one("t", "gauge", "h", "", 1), one_histogram("t", buckets, 1),
                               one_histogram("t", buckets, 1), one("t", "gauge", "h", "", 4)};
    struct exposition_source sources[ARRAY_LEN(said)];
    static const char *const instances[] = {"1", "2", "3", "4"};
    for (size_t i = 0; i < ARRAY_LEN(said); i++) {
        sources[i] = (struct exposition_source){MIRAI_STR("gateway"), mirai_str(instances[i]),
                                                mirai_buf_str(&said[i])};
    }
    char *text = render(EXPOSITION_PROMETHEUS, sources, ARRAY_LEN(said));
    assert_string_equal(strstr(text, "# HELP"),
                        "# HELP t h\n# TYPE t gauge\nt{daemon=\"gateway\",daemon_instance=\"1\"} 1\n"
                        "t{daemon=\"gateway\",daemon_instance=\"4\"} 4\n");
    free(text);
    for (size_t i = 0; i < ARRAY_LEN(said); i++) {
        mirai_buf_free(&said[i]);
    }
}

static void damaged_sources_are_down(void **state)
{
    (void)state;
    struct mirai_buf whole = one("x", "gauge", "h", "a=\"b\"", 1);
    for (size_t len = 0; len < whole.len; len++) {
        struct mirai_buf part = {0};
        mirai_buf_append(&part, whole.data, len);
        assert_text(EXPOSITION_PROMETHEUS, part, DOWN);
    }
    mirai_buf_append_char(&whole, '\xc0'); /* something behind it */
    assert_text(EXPOSITION_PROMETHEUS, whole, DOWN);
    static const char *const names[] = {"", "1x", "a b", "a-b", "a\nb 1", "a{b=\"c\"}", "語", "mirai_up"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        assert_text(EXPOSITION_PROMETHEUS, one(names[i], "gauge", "h", "", 1), DOWN);
    }
    assert_text(EXPOSITION_PROMETHEUS, one("x", "summary", "h", "", 1), DOWN);
    assert_text(EXPOSITION_PROMETHEUS, one("x", "gauge", "\xff", "", 1), DOWN);
}

static void damaged_samples_are_left_out(void **state)
{
    (void)state;
    static const char *const labels[] = {"x",          "x=",         "x=\"",           "x=\"a\",", "x=\"a\" ",
                                         "=\"a\"",     "x=\"a\nb\"", "x=\"a\\qb\"",    "x=\"a\\",  "1x=\"a\"",
                                         "x=\"\xff\"", "x:y=\"a\"",  "x=\"a\"} 1\nz{", ",x=\"a\"", "x=a"};
    for (size_t i = 0; i < ARRAY_LEN(labels); i++) {
        assert_text(EXPOSITION_PROMETHEUS, one("x", "gauge", "h", labels[i], 1),
                    UP "# HELP x h\n# TYPE x gauge\n");
    }
    static const char *const fine[] = {"x=\"\"", "_x9=\"a\\\\\\\"\\n b,c=d}\",y=\"語\""};
    for (size_t i = 0; i < ARRAY_LEN(fine); i++) {
        char expected[300];
        snprintf(expected, sizeof(expected),
                 UP "# HELP x h\n# TYPE x gauge\nx{daemon=\"backup\",daemon_instance=\"1\",%s} 1\n", fine[i]);
        assert_text(EXPOSITION_PROMETHEUS, one("x", "gauge", "h", fine[i], 1), expected);
    }
}

static void the_encoder_and_this_agree(void **state)
{
    (void)state;
    struct mirai_buf said = {0};
    mirai_counter_add(mirai_metric_counter("test_things_total", "Things.", "kind=\"a\""), 3);
    mirai_gauge_set(mirai_metric_gauge("test_level", "Level.", NULL), -4);
    mirai_histogram_observe(mirai_metric_histogram("test_seconds", "Time.", NULL), 60);
    mirai_metrics_register_process();
    mirai_metrics_encode(&said);
    struct exposition_source source = {MIRAI_STR("backup"), MIRAI_STR("1"), mirai_buf_str(&said)};
    char *text = render(EXPOSITION_PROMETHEUS, &source, 1);
#define ME "{daemon=\"backup\",daemon_instance=\"1\""
    assert_non_null(strstr(text, UP));
    assert_non_null(strstr(text, "\ntest_things_total" ME ",kind=\"a\"} 3\n"));
    assert_non_null(strstr(text, "\ntest_level" ME "} -4\n"));
    assert_non_null(strstr(text, "\ntest_seconds_bucket" ME ",le=\"5e-05\"} 0\n"));
    assert_non_null(strstr(text, "\ntest_seconds_bucket" ME ",le=\"0.0001\"} 1\n"));
    assert_non_null(strstr(text, "\ntest_seconds_sum" ME "} 6e-05\n"));
    assert_non_null(strstr(text, "\nprocess_"));
    free(text);
    mirai_buf_free(&said);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counters_and_gauges),
        cmocka_unit_test(openmetrics_differs_in_names_and_end),
        cmocka_unit_test(a_gauge_that_is_called_total_claims_no_type),
        cmocka_unit_test(histograms_are_cumulative),
        cmocka_unit_test(impossible_histograms_are_left_out),
        cmocka_unit_test(texts_are_escaped),
        cmocka_unit_test(numbers_that_are_none),
        cmocka_unit_test(families_are_merged_by_name_and_sorted),
        cmocka_unit_test(one_name_has_one_type),
        cmocka_unit_test(damaged_sources_are_down),
        cmocka_unit_test(damaged_samples_are_left_out),
        cmocka_unit_test(the_encoder_and_this_agree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
