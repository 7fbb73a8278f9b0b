/* When the next snapshot is due, in local time. */
#ifndef BACKUP_SCHEDULE_H
#define BACKUP_SCHEDULE_H

#include "libcommon/str.h"

#include <time.h>

/* "03:00" daily, or "Sun 04:00" weekly; "off". */
struct schedule {
    bool on;
    int weekday; /* 0 = Sunday … 6; -1: every day */
    int hour;
    int minute;
};

/* 0, or MIRAI_E_INVALID. `weekly`: the weekday is required, otherwise it is not allowed. */
int schedule_parse(struct mirai_str text, bool weekly, struct schedule *schedule);

/* The latest moment at or before `now` at which a snapshot was due (Unix seconds); 0 when the schedule is
 * off. Follows the local time zone over its changes of clock: 03:00 that does not exist or comes twice is due
 * once. */
time_t schedule_latest(const struct schedule *schedule, time_t now);

#endif
