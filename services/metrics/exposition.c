#include "services/metrics/exposition.h"

#include "libcommon/error.h"
#include "libcommon/metrics.h"
#include "libcommon/mp.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define UP_NAME "mirai_up"

enum family_type {
    FAMILY_COUNTER,
    FAMILY_GAUGE,
    FAMILY_HISTOGRAM,
};
static const char *const type_names[] = {"counter", "gauge", "histogram"};

/* One family of one source; the same name of other sources follows after sorting. */
struct family {
    struct mirai_str name;
    struct mirai_str help;
    struct mirai_str samples; /* raw array */
    enum family_type type;
    const struct exposition_source *source;
};

struct families {
    struct family *list;
    size_t count;
    size_t cap;
};

const char *exposition_content_type(enum exposition_format format)
{
    return format == EXPOSITION_OPENMETRICS ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
                                            : "text/plain; version=0.0.4; charset=utf-8";
}

/* ------------------------------------------------------------------ reading */

/* Length of the metric or label name at the front (https://prometheus.io/docs/concepts/data_model/); 0: none.
 */
static size_t name_length(struct mirai_str s, bool colons)
{
    size_t n = 0;
    for (; n < s.len; n++) {
        char c = s.data[n];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (colons && c == ':');
        if (!letter && (n == 0 || c < '0' || c > '9')) {
            break;
        }
    }
    return n;
}

static bool family_name_valid(struct mirai_str name)
{
    return name.len > 0 && name_length(name, true) == name.len && !mirai_str_eq(name, MIRAI_STR(UP_NAME));
}

/* Length of a quoted label value with its quotes; 0: none. */
static size_t quoted_length(struct mirai_str s)
{
    if (s.len == 0 || s.data[0] != '"') {
        return 0;
    }
    for (size_t i = 1; i < s.len && s.data[i] != '\n'; i++) {
        if (s.data[i] == '"') {
            return i + 1;
        }
        if (s.data[i] == '\\') {
            i++;
            if (i == s.len || (s.data[i] != '\\' && s.data[i] != '"' && s.data[i] != 'n')) {
                return 0;
            }
        }
    }
    return 0;
}

/* Whether `labels` can stand between the braces: name="value", separated by commas. */
static bool labels_valid(struct mirai_str labels)
{
    bool more = labels.len > 0;
    if (!mirai_utf8_valid(labels)) {
        return false;
    }
    while (more) {
        size_t name = name_length(labels, false);
        if (name == 0 || name == labels.len || labels.data[name] != '=') {
            return false;
        }
        size_t value = quoted_length((struct mirai_str){labels.data + name + 1, labels.len - name - 1});
        size_t len = name + 1 + value;
        more = len < labels.len;
        if (value == 0 || (more && labels.data[len] != ',')) {
            return false;
        }
        labels.data += len + more;
        labels.len -= len + more;
    }
    return true;
}

static int read_family(struct mirai_mp *mp, struct family *family)
{
    uint32_t pairs;
    unsigned seen = 0;
    if (mirai_mp_read_map(mp, &pairs) != 0) {
        return MIRAI_E_INVALID;
    }
    for (uint32_t i = 0; i < pairs; i++) {
        struct mirai_str key;
        struct mirai_str type;
        if (mirai_mp_read_str(mp, &key) != 0) {
            return MIRAI_E_INVALID;
        }
        int err = 0;
        if (mirai_str_eq(key, MIRAI_STR("name"))) {
            err = mirai_mp_read_str(mp, &family->name);
            seen |= 1;
        } else if (mirai_str_eq(key, MIRAI_STR("help"))) {
            err = mirai_mp_read_str(mp, &family->help);
        } else if (mirai_str_eq(key, MIRAI_STR("samples"))) {
            err = mirai_mp_raw(mp, &family->samples);
            seen |= 2;
        } else if (mirai_str_eq(key, MIRAI_STR("type"))) {
            err = mirai_mp_read_str(mp, &type);
            for (int t = FAMILY_COUNTER; err == 0 && t <= FAMILY_HISTOGRAM; t++) {
                if (mirai_str_eq(type, mirai_str(type_names[t]))) {
                    family->type = (enum family_type)t;
                    seen |= 4;
                }
            }
        } else {
            err = mirai_mp_skip(mp);
        }
        if (err != 0) {
            return err;
        }
    }
    return seen == 7 && family_name_valid(family->name) && mirai_utf8_valid(family->help) ? 0
                                                                                          : MIRAI_E_INVALID;
}

/* All families of a source, or none when its bytes are damaged. */
static int read_source(struct families *families, const struct exposition_source *source)
{
    struct mirai_mp mp = mirai_mp(source->families);
    size_t before = families->count;
    uint32_t count;
    if (source->families.len == 0 || mirai_mp_read_array(&mp, &count) != 0) {
        return MIRAI_E_INVALID;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (families->count == families->cap) {
            families->cap = families->cap > 0 ? 2 * families->cap : 128;
            families->list = mirai_realloc(families->list, families->cap * sizeof(*families->list));
        }
        struct family *family = &families->list[families->count];
        *family = (struct family){.source = source};
        if (read_family(&mp, family) != 0) {
            families->count = before;
            return MIRAI_E_INVALID;
        }
        families->count++;
    }
    if (mp.at != mp.end) {
        families->count = before;
        return MIRAI_E_INVALID;
    }
    return 0;
}

static int compare_families(const void *a, const void *b)
{
    const struct family *x = a;
    const struct family *y = b;
    size_t n = x->name.len < y->name.len ? x->name.len : y->name.len;
    int order = memcmp(x->name.data, y->name.data, n);
    if (order != 0 || x->name.len != y->name.len) {
        return order != 0 ? order : (x->name.len < y->name.len ? -1 : 1);
    }
    return x->source < y->source ? -1 : x->source > y->source;
}

/* ------------------------------------------------------------------ writing */

static void append_escaped(struct mirai_buf *out, struct mirai_str value, bool quotes)
{
    for (size_t i = 0; i < value.len; i++) {
        char c = value.data[i];
        if (c == '\\' || (quotes && c == '"')) {
            mirai_buf_append_char(out, '\\');
        }
        if (c == '\n') {
            mirai_buf_append(out, "\\n", 2);
        } else {
            mirai_buf_append_char(out, c);
        }
    }
}

static void append_labels(struct mirai_buf *out, const struct exposition_source *source,
                          struct mirai_str labels, const char *bound)
{
    mirai_buf_append_str(out, MIRAI_STR("{daemon=\""));
    append_escaped(out, source->service, true);
    mirai_buf_append_str(out, MIRAI_STR("\",daemon_instance=\""));
    append_escaped(out, source->instance, true);
    mirai_buf_append_char(out, '"');
    if (labels.len > 0) {
        mirai_buf_append_char(out, ',');
        mirai_buf_append_str(out, labels);
    }
    if (bound != NULL) {
        mirai_buf_printf(out, ",le=\"%s\"", bound);
    }
    mirai_buf_append_str(out, MIRAI_STR("} "));
}

static void append_number(struct mirai_buf *out, double number)
{
    if (isnan(number)) {
        mirai_buf_append_str(out, MIRAI_STR("NaN\n"));
    } else if (isinf(number)) {
        mirai_buf_append_str(out, number > 0 ? MIRAI_STR("+Inf\n") : MIRAI_STR("-Inf\n"));
    } else {
        mirai_buf_printf(out, "%.15g\n", number);
    }
}

static bool ends_in_total(struct mirai_str name)
{
    return name.len > 6 && memcmp(name.data + name.len - 6, "_total", 6) == 0;
}

/* The family's name for HELP and TYPE: OpenMetrics leaves `_total` to the samples of a counter. */
static struct mirai_str base_name(const struct family *family, enum exposition_format format)
{
    struct mirai_str name = family->name;
    if (format == EXPOSITION_OPENMETRICS && family->type == FAMILY_COUNTER && ends_in_total(name)) {
        name.len -= 6;
    }
    return name;
}

/* Names of the replaced application stay, also where a gauge is called `…_total`; Prometheus' linter takes
 * that only from a metric that claims no type. */
static const char *type_name(const struct family *family, enum exposition_format format)
{
    if (family->type == FAMILY_GAUGE && ends_in_total(family->name)) {
        return format == EXPOSITION_OPENMETRICS ? "unknown" : "untyped";
    }
    if (family->type == FAMILY_COUNTER && !ends_in_total(family->name) && format == EXPOSITION_OPENMETRICS) {
        return "unknown"; /* there every counter's sample ends in `_total` */
    }
    return type_names[family->type];
}

static void append_head(struct mirai_buf *out, const struct family *family, enum exposition_format format)
{
    struct mirai_str name = base_name(family, format);
    mirai_buf_printf(out, "# HELP %.*s ", MIRAI_STR_ARG(name));
    append_escaped(out, family->help,
                   format == EXPOSITION_OPENMETRICS); /* the older format does not know \\" */
    mirai_buf_printf(out, "\n# TYPE %.*s %s\n", MIRAI_STR_ARG(name), type_name(family, format));
}

static void append_histogram(struct mirai_buf *out, const struct family *family, struct mirai_str labels,
                             const uint64_t *buckets, double sum_us)
{
    uint64_t count = 0;
    for (size_t i = 0; i <= MIRAI_HISTOGRAM_BUCKETS; i++) {
        char bound[32] = "+Inf";
        count += buckets[i];
        if (i < MIRAI_HISTOGRAM_BUCKETS) {
            snprintf(bound, sizeof(bound), "%g", (double)mirai_histogram_bounds_us[i] / 1e6);
        }
        mirai_buf_printf(out, "%.*s_bucket", MIRAI_STR_ARG(family->name));
        append_labels(out, family->source, labels, bound);
        mirai_buf_printf(out, "%llu\n", (unsigned long long)count);
    }
    mirai_buf_printf(out, "%.*s_sum", MIRAI_STR_ARG(family->name));
    append_labels(out, family->source, labels, NULL);
    append_number(out, sum_us / 1e6);
    mirai_buf_printf(out, "%.*s_count", MIRAI_STR_ARG(family->name));
    append_labels(out, family->source, labels, NULL);
    mirai_buf_printf(out, "%llu\n", (unsigned long long)count);
}

/* A number of any kind. False for other values. */
static bool read_number(struct mirai_mp *mp, double *number)
{
    struct mirai_mp_value value;
    if (mirai_mp_read(mp, &value) != 0) {
        return false;
    }
    switch (value.type) {
    case MIRAI_MP_INT:
        *number = (double)value.integer;
        return true;
    case MIRAI_MP_UINT:
        *number = (double)value.uinteger;
        return true;
    case MIRAI_MP_FLOAT:
        *number = value.real;
        return true;
    default:
        return false;
    }
}

static bool read_buckets(struct mirai_mp *mp, uint64_t *buckets)
{
    uint64_t total = 0;
    uint32_t count;
    if (mirai_mp_read_array(mp, &count) != 0 || count != MIRAI_HISTOGRAM_BUCKETS + 1) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        int64_t n;
        if (mirai_mp_read_int(mp, &n) != 0 || n < 0 || __builtin_add_overflow(total, (uint64_t)n, &total)) {
            return false;
        }
        buckets[i] = (uint64_t)n;
    }
    return true;
}

/* One sample; damaged ones are left out. */
static void append_sample(struct mirai_buf *out, const struct family *family, struct mirai_str sample)
{
    struct mirai_str labels = {0};
    struct mirai_str raw;
    struct mirai_mp mp;
    if (mirai_mp_find(sample, "labels", &raw) == 0) {
        mp = mirai_mp(raw);
        if (mirai_mp_read_str(&mp, &labels) != 0 || !labels_valid(labels)) {
            return;
        }
    }
    if (family->type == FAMILY_HISTOGRAM) {
        uint64_t buckets[MIRAI_HISTOGRAM_BUCKETS + 1];
        double sum_us;
        if (mirai_mp_find(sample, "buckets", &raw) != 0 ||
            (mp = mirai_mp(raw), !read_buckets(&mp, buckets)) || mirai_mp_find(sample, "sum_us", &raw) != 0 ||
            (mp = mirai_mp(raw), !read_number(&mp, &sum_us))) {
            return;
        }
        append_histogram(out, family, labels, buckets, sum_us);
        return;
    }
    double number;
    if (mirai_mp_find(sample, "value", &raw) != 0 || (mp = mirai_mp(raw), !read_number(&mp, &number))) {
        return;
    }
    mirai_buf_append_str(out, family->name);
    append_labels(out, family->source, labels, NULL);
    append_number(out, number);
}

static void append_family(struct mirai_buf *out, const struct family *family)
{
    struct mirai_mp mp = mirai_mp(family->samples);
    uint32_t count;
    if (mirai_mp_read_array(&mp, &count) != 0) {
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        struct mirai_str sample;
        if (mirai_mp_raw(&mp, &sample) != 0) {
            return;
        }
        append_sample(out, family, sample);
    }
}

void exposition_render(struct mirai_buf *out, enum exposition_format format,
                       const struct exposition_source *sources, size_t count)
{
    struct families families = {0};
    mirai_buf_append_str(out, MIRAI_STR("# HELP " UP_NAME " Whether the daemon answered this scrape.\n"
                                        "# TYPE " UP_NAME " gauge\n"));
    for (size_t i = 0; i < count; i++) {
        int err = read_source(&families, &sources[i]);
        mirai_buf_append_str(out, MIRAI_STR(UP_NAME));
        append_labels(out, &sources[i], (struct mirai_str){0}, NULL);
        append_number(out, err == 0 ? 1 : 0);
    }
    if (families.count > 0) {
        qsort(families.list, families.count, sizeof(*families.list), compare_families);
    }
    const struct family *first = NULL; /* of the families of one name */
    for (size_t i = 0; i < families.count; i++) {
        const struct family *family = &families.list[i];
        if (first == NULL || !mirai_str_eq(first->name, family->name)) {
            first = family;
            append_head(out, family, format);
        } else if (first->type != family->type) {
            continue; /* two versions disagree: the text must stay parseable */
        }
        append_family(out, family);
    }
    if (format == EXPOSITION_OPENMETRICS) {
        mirai_buf_append_str(out, MIRAI_STR("# EOF\n"));
    }
    free(families.list);
}
