/* A schedule from the configuration, asked at any time: the latest moment is never in the future and never
 * older than its period. The first five bytes choose zone and time. */
#include "services/backup/schedule.h"
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const zones[] = {"UTC",          "Asia/Tokyo",          "Europe/Berlin",
                                        "Africa/Cairo", "Australia/Lord_Howe", "America/Asuncion"};
    const time_t day = 86400;
    uint32_t seconds;
    if (size < 1 + sizeof(seconds)) {
        return 0;
    }
    memcpy(&seconds, data + 1, sizeof(seconds)); /* 1970 to 2106 */
    setenv("TZ", zones[data[0] % 6], 1);
    tzset();
    size_t len = size - 1 - sizeof(seconds);
    char *copy = malloc(len > 0 ? len : 1);
    if (len > 0) {
        memcpy(copy, data + 1 + sizeof(seconds), len);
    }
    for (int weekly = 0; weekly <= 1; weekly++) {
        struct schedule schedule;
        if (schedule_parse((struct mirai_str){copy, len}, weekly != 0, &schedule) != 0) {
            continue;
        }
        expect(!schedule.on || (schedule.hour >= 0 && schedule.hour <= 23 && schedule.minute >= 0 &&
                                schedule.minute <= 59 && (schedule.weekday >= 0) == (weekly != 0)));
        time_t now = (time_t)seconds + 30 * day;
        time_t latest = schedule_latest(&schedule, now);
        expect(schedule.on ? latest <= now && now - latest <= (weekly != 0 ? 7 : 1) * day + 3 * 3600
                           : latest == 0);
    }
    free(copy);
    return 0;
}
