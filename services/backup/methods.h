/* The RPC methods of the backup daemon, and its timetable. */
#ifndef BACKUP_METHODS_H
#define BACKUP_METHODS_H

#include "libcommon/service.h"
#include "services/backup/job.h"
#include "services/backup/schedule.h"

struct backup {
    struct job_worker *worker;
    uv_timer_t clock;
    struct schedule daily;
    struct schedule weekly;
    bool scheduled; /* a scheduled snapshot is being made */
    int64_t retry_at_ms;
};

extern const struct mirai_rpc_method backup_methods[];

/* Look whether a snapshot is due, each time the clock ticks. */
void backup_on_clock(uv_timer_t *clock);

#define BACKUP_CLOCK_MS 15000
#define BACKUP_RETRY_MS 300000 /* after a scheduled snapshot failed */

#endif
