/* The virus scanner clamd, asked over its socket (clamd(8), command INSTREAM). */
#ifndef STORE_CLAMD_H
#define STORE_CLAMD_H

#include "libcommon/str.h"

#include <stdatomic.h>

enum clamd_verdict {
    CLAMD_CLEAN,
    CLAMD_INFECTED,
    CLAMD_TOO_LARGE, /* more than its StreamMaxLength: it has not looked at all of it */
    CLAMD_NO_ANSWER, /* it is away, silent, or says what nobody understands */
};

#define CLAMD_REASON_SIZE 128

/* One answer, without the NUL that ends it. `reason`: the name of what was found, or why there is no verdict, in
 * printable ASCII. Whatever is not exactly a verdict is none. Any thread. */
enum clamd_verdict clamd_parse(struct mirai_str answer, char reason[CLAMD_REASON_SIZE]);

/* Have what can be read from the descriptor `fd` looked at by the clamd at `target` ("unix:/PATH" or
 * "tcp://ADDRESS:PORT", as the configuration has checked). Blocks, at most until mirai_monotonic_ms() passes
 * `deadline_ms` or *stop becomes true. */
enum clamd_verdict clamd_scan(const char *target, int fd, uint64_t deadline_ms, const atomic_bool *stop,
                              char reason[CLAMD_REASON_SIZE]);

#endif
