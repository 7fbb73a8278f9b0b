/* When a daemon that died is started again. */
#ifndef CTL_SUPERVISOR_H
#define CTL_SUPERVISOR_H

#include <stdint.h>

#define SUPERVISOR_DELAY_MIN_MS 50
#define SUPERVISOR_DELAY_MAX_MS 1000
#define SUPERVISOR_STABLE_MS    10000 /* who lived so long begins anew with a restart at once */

/* The delay before the next start of a daemon that lived `lived_ms`; *delay_ms is its memory between deaths
 * (0 at first): at once, then 50 ms doubling up to 1 s. */
uint64_t supervisor_delay(uint64_t lived_ms, uint64_t *delay_ms);

#endif
