/* Asks every daemon for its metrics and hands out the merged text. */
#ifndef METRICS_COLLECT_H
#define METRICS_COLLECT_H

#include "services/metrics/exposition.h"

#include <uv.h>

struct collector;

/* Made on the loop with the clients of the other daemons. */
struct collector *collector_new(uv_loop_t *loop);
void collector_free(struct collector *collector); /* waiting callbacks are dropped */

/* Called once with the sources of a fresh round, lent for the call. */
typedef void (*collect_cb)(void *data, const struct exposition_source *sources, size_t count);

/* Somebody who waits; embedded in the caller's memory, which must live until the callback or collect_cancel.
 */
struct collect_wait {
    collect_cb callback;
    void *data;
    struct collect_wait *next;
};

/* Start a round, or join the one that is under way: many scrapers cost as much as one. Ends after COLLECT_MS
 * at the latest. */
void collect(struct collector *collector, struct collect_wait *wait);
void collect_cancel(struct collector *collector, struct collect_wait *wait);

#define COLLECT_MS 1000

#endif
