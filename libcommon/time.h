/* Clocks and RFC 3339 timestamps. */
#ifndef MIRAI_TIME_H
#define MIRAI_TIME_H

#include "libcommon/str.h"

#define MIRAI_RFC3339_SIZE 25 /* "2026-01-31T23:59:59.123Z" and NUL */

int64_t mirai_now_ms(void);        /* Unix time, ms (CLOCK_REALTIME) */
uint64_t mirai_monotonic_us(void); /* CLOCK_MONOTONIC, µs: for durations and deadlines */
static inline uint64_t mirai_monotonic_ms(void)
{
    return mirai_monotonic_us() / 1000;
}

/* Unix ms as "2026-01-31T23:59:59.123Z" in UTC. Years outside 0..9999 are clamped. */
void mirai_rfc3339_format(char out[MIRAI_RFC3339_SIZE], int64_t unix_ms);

/* RFC 3339 date-time, or a plain date "2026-01-31" (midnight UTC), to Unix ms. 0 or MIRAI_E_INVALID. */
int mirai_rfc3339_parse(struct mirai_str s, int64_t *unix_ms);

#endif
