/* Metrics of many processes as one text for Prometheus: families merged by name, each sample labelled by its
 * origin. */
#ifndef METRICS_EXPOSITION_H
#define METRICS_EXPOSITION_H

#include "libcommon/str.h"

enum exposition_format {
    EXPOSITION_PROMETHEUS,  /* text/plain; version=0.0.4 */
    EXPOSITION_OPENMETRICS, /* application/openmetrics-text; version=1.0.0 */
};

/* Content-Type of a format. */
const char *exposition_content_type(enum exposition_format format);

/* What one process said: the array that mirai_metrics_encode() makes. */
struct exposition_source {
    struct mirai_str service;
    struct mirai_str instance;
    struct mirai_str families; /* MessagePack; empty: the process did not answer (mirai_up 0) */
};

/* Append the text. Families are sorted by name; a source whose bytes are damaged counts as not answered.
 * Formats: https://prometheus.io/docs/instrumenting/exposition_formats/ , https://openmetrics.io (1.0.0). */
void exposition_render(struct mirai_buf *out, enum exposition_format format,
                       const struct exposition_source *sources, size_t count);

#endif
