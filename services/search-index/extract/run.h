/* One run of mirai-extract: fed from the store piece by piece, watched, and ended at its deadline. */
#ifndef EXTRACT_RUN_H
#define EXTRACT_RUN_H

#include "libcommon/rpc.h"
#include "proto/messages.h"
#include "services/search-index/extract/frames.h"

struct run;

struct run_options {
    uv_loop_t *loop;
    struct mirai_rpc_client *store;
    const char *program; /* path of mirai-extract */
    int64_t size_max;
    int64_t memory_bytes;
    int64_t timeout_ms; /* of the wall clock; half of it may be processor time */
};

/* Runs once, with the frames lent. outcome UNREADABLE: `gone` tells whether the store has no such content (any more). */
struct run_result {
    enum extract_outcome outcome;
    bool gone;
    struct frames_reader *frames;
};
typedef void (*run_cb)(void *data, const struct run_result *result);

/* Loop thread. Begin to read the content of `sha256` (64 digits). The strings are copied. The callback runs exactly once,
 * never before this returned; then the run is freed. */
struct run *run_start(const struct run_options *options, struct mirai_str sha256, struct mirai_str name,
                      struct mirai_str media_type, run_cb callback, void *data);

/* End it now; the callback will not run. */
void run_cancel(struct run *run);

#endif
