#include "services/backup/schedule.h"

#include "libcommon/error.h"

#include <strings.h>

#define DAY ((time_t)86400)

static const char *const weekdays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};

static int parse_time(struct mirai_str text, struct schedule *schedule)
{
    int64_t hour;
    int64_t minute;
    if (text.len != 5 || text.data[2] != ':' || memchr(text.data, '-', text.len) != NULL || /* "-0" is 0 */
        mirai_parse_int((struct mirai_str){text.data, 2}, 0, 23, &hour) != 0 ||
        mirai_parse_int((struct mirai_str){text.data + 3, 2}, 0, 59, &minute) != 0) {
        return MIRAI_E_INVALID;
    }
    schedule->hour = (int)hour;
    schedule->minute = (int)minute;
    return 0;
}

int schedule_parse(struct mirai_str text, bool weekly, struct schedule *schedule)
{
    *schedule = (struct schedule){.weekday = -1};
    if (mirai_str_eq(text, MIRAI_STR("off"))) {
        return 0;
    }
    schedule->on = true;
    if (!weekly) {
        return parse_time(text, schedule);
    }
    if (text.len != 9 || text.data[3] != ' ') {
        return MIRAI_E_INVALID;
    }
    for (int day = 0; day < 7; day++) {
        if (strncasecmp(text.data, weekdays[day], 3) == 0) {
            schedule->weekday = day;
        }
    }
    return schedule->weekday >= 0 ? parse_time((struct mirai_str){text.data + 4, 5}, schedule)
                                  : MIRAI_E_INVALID;
}

/* Seconds east of UTC at a moment. */
static time_t offset_at(time_t moment)
{
    struct tm local;
    localtime_r(&moment, &local);
    return local.tm_gmtoff;
}

/* The moment at which clocks show `wall` (a local time, counted as if it were UTC): the first one when it
 * comes twice, and when it does not come, the one that the old clock would have shown. mktime(3) leaves open
 * which of two it means, and glibc's answer depends on what it was asked before. */
static time_t moment_of(time_t wall)
{
    time_t by_old = wall - offset_at(wall - DAY);
    time_t by_new = wall - offset_at(wall + DAY);
    bool only_new = by_old + offset_at(by_old) != wall && by_new + offset_at(by_new) == wall;
    return only_new ? by_new : by_old;
}

time_t schedule_latest(const struct schedule *schedule, time_t now)
{
    struct tm today;
    if (!schedule->on) {
        return 0;
    }
    localtime_r(&now, &today);
    for (int back = 0; back <= 8; back++) {
        struct tm candidate = {.tm_year = today.tm_year,
                               .tm_mon = today.tm_mon,
                               .tm_mday = today.tm_mday - back,
                               .tm_hour = schedule->hour,
                               .tm_min = schedule->minute};
        time_t due = moment_of(timegm(&candidate)); /* which normalises the day and sets the weekday */
        if (due <= now && (schedule->weekday < 0 || candidate.tm_wday == schedule->weekday)) {
            return due;
        }
    }
    return 0;
}
