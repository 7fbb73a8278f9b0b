#include "services/backup/schedule.h"

#include "libcommon/error.h"

#include <strings.h>

static const char *const weekdays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};

static int parse_time(struct mirai_str text, struct schedule *schedule)
{
    int64_t hour;
    int64_t minute;
    if (text.len != 5 || text.data[2] != ':' ||
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
                               .tm_min = schedule->minute,
                               .tm_isdst = -1};
        time_t due = mktime(&candidate); /* normalises the day and sets the weekday */
        if (due != (time_t)-1 && due <= now &&
            (schedule->weekday < 0 || candidate.tm_wday == schedule->weekday)) {
            return due;
        }
    }
    return 0;
}
