#include "services/backup/schedule.h"

#include "libcommon/error.h"
#include "libcommon/time.h"
#include "tests/unit/libcommon/test.h"

static void zone(const char *name)
{
    setenv("TZ", name, 1);
    tzset();
}

static time_t utc(const char *text)
{
    int64_t unix_ms = 0;
    assert_int_equal(mirai_rfc3339_parse(mirai_str(text), &unix_ms), 0);
    return (time_t)(unix_ms / 1000);
}

static struct schedule parsed(const char *text, bool weekly)
{
    struct schedule schedule;
    assert_int_equal(schedule_parse(mirai_str(text), weekly, &schedule), 0);
    return schedule;
}

/* At `now` the latest moment was `due`; both RFC 3339 with any offset. */
static void assert_latest(const struct schedule *schedule, const char *now, const char *due)
{
    char actual[MIRAI_RFC3339_SIZE], expected[MIRAI_RFC3339_SIZE];
    mirai_rfc3339_format(actual, (int64_t)schedule_latest(schedule, utc(now)) * 1000);
    mirai_rfc3339_format(expected, (int64_t)utc(due) * 1000);
    if (strcmp(actual, expected) != 0) {
        fail_msg("at %s: %s instead of %s", now, actual, expected);
    }
}

static void what_is_written_is_read(void **state)
{
    (void)state;
    struct schedule daily = parsed("03:00", false);
    assert_true(daily.on && daily.weekday == -1 && daily.hour == 3 && daily.minute == 0);
    struct schedule weekly = parsed("Sat 23:59", true);
    assert_true(weekly.on && weekly.weekday == 6 && weekly.hour == 23 && weekly.minute == 59);
    weekly = parsed("sun 00:00", true);
    assert_true(weekly.on && weekly.weekday == 0 && weekly.hour == 0 && weekly.minute == 0);
    assert_false(parsed("off", false).on);
    assert_false(parsed("off", true).on);
}

static void other_texts_are_refused(void **state)
{
    (void)state;
    struct schedule schedule;
    static const char *const daily[] = {"",      "3:00",   "03:0",  "03-00", "24:00",     "03:60", "-1:00",
                                        "-0:30", "03:-0",  "+3:00", " 3:00", "03:00 ",    "Off",   "03:00:00",
                                        "aa:bb", "03:00Z", "on",    "0x:00", "Sun 03:00", "03 00"};
    for (size_t i = 0; i < ARRAY_LEN(daily); i++) {
        if (schedule_parse(mirai_str(daily[i]), false, &schedule) != MIRAI_E_INVALID) {
            fail_msg("\"%s\" is taken", daily[i]);
        }
    }
    static const char *const weekly[] = {"",           "03:00",      "Sun",       "Sun  4:00", "Sunday 04:00",
                                         "Xyz 04:00",  "04:00 Sun",  "Sun 24:00", "Sun04:00",  "Sun,04:00",
                                         "Sun 04:00 ", " Sun 04:00", "0 04:00",   "Sun -0:00"};
    for (size_t i = 0; i < ARRAY_LEN(weekly); i++) {
        if (schedule_parse(mirai_str(weekly[i]), true, &schedule) != MIRAI_E_INVALID) {
            fail_msg("\"%s\" is taken", weekly[i]);
        }
    }
    assert_int_equal(schedule_parse((struct mirai_str){NULL, 0}, false, &schedule), MIRAI_E_INVALID);
}

static void daily_in_local_time(void **state)
{
    (void)state;
    struct schedule daily = parsed("03:00", false);
    zone("Asia/Tokyo");
    assert_latest(&daily, "2026-01-31T02:59:59+09:00", "2026-01-30T03:00:00+09:00");
    assert_latest(&daily, "2026-01-31T03:00:00+09:00", "2026-01-31T03:00:00+09:00");
    assert_latest(&daily, "2026-01-31T23:59:59+09:00", "2026-01-31T03:00:00+09:00");
    assert_latest(&daily, "2026-03-01T00:00:00+09:00", "2026-02-28T03:00:00+09:00");
    assert_latest(&daily, "2027-01-01T01:00:00+09:00", "2026-12-31T03:00:00+09:00");
    zone("UTC");
    assert_latest(&daily, "2026-01-31T03:00:00Z", "2026-01-31T03:00:00Z");
}

static void weekly_on_its_day(void **state)
{
    (void)state;
    struct schedule weekly = parsed("Sun 04:00", true);
    zone("Asia/Tokyo");
    assert_latest(&weekly, "2026-02-01T03:59:59+09:00", "2026-01-25T04:00:00+09:00"); /* a Sunday */
    assert_latest(&weekly, "2026-02-01T04:00:00+09:00", "2026-02-01T04:00:00+09:00");
    assert_latest(&weekly, "2026-02-07T23:59:59+09:00", "2026-02-01T04:00:00+09:00");
    assert_latest(&weekly, "2026-02-08T03:59:59+09:00", "2026-02-01T04:00:00+09:00");
    static const char *const days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    for (int day = 0; day < 7; day++) { /* 2026-02-01 is a Sunday */
        char text[16], due[32];
        snprintf(text, sizeof(text), "%s 04:00", days[day]);
        snprintf(due, sizeof(due), "2026-02-%02dT04:00:00+09:00", 1 + day);
        struct schedule other = parsed(text, true);
        assert_latest(&other, "2026-02-07T12:00:00+09:00", due);
    }
}

static void off_is_never(void **state)
{
    (void)state;
    struct schedule off = parsed("off", false);
    assert_int_equal(schedule_latest(&off, utc("2026-02-01T00:00:00Z")), 0);
}

static void an_hour_that_does_not_exist_is_due_once(void **state)
{
    (void)state;
    struct schedule daily = parsed("02:30", false);
    zone("Europe/Berlin"); /* 2026-03-29: 02:00 becomes 03:00 */
    assert_latest(&daily, "2026-03-29T01:15:00+01:00", "2026-03-28T02:30:00+01:00");
    time_t moment = schedule_latest(&daily, utc("2026-03-29T12:00:00+02:00"));
    assert_in_range(moment, utc("2026-03-29T01:30:00+01:00"), utc("2026-03-29T03:30:00+02:00"));
    for (time_t now = moment; now < utc("2026-03-30T02:30:00+02:00"); now += 300) {
        assert_int_equal(schedule_latest(&daily, now), moment);
    }
    assert_latest(&daily, "2026-03-30T02:30:00+02:00", "2026-03-30T02:30:00+02:00");
}

static void an_hour_that_comes_twice_is_due_once(void **state)
{
    (void)state;
    struct schedule daily = parsed("02:30", false);
    zone("Europe/Berlin"); /* 2026-10-25: 03:00 becomes 02:00 */
    time_t moment = schedule_latest(&daily, utc("2026-10-25T12:00:00+01:00"));
    assert_true(moment == utc("2026-10-25T02:30:00+02:00") || moment == utc("2026-10-25T02:30:00+01:00"));
    for (time_t now = utc("2026-10-24T02:30:00+02:00"); now < utc("2026-10-26T02:30:00+01:00"); now += 300) {
        /* Asking about other seasons in between changes nothing. */
        schedule_latest(&daily, now % 600 == 0 ? utc("2026-07-01T12:00:00Z") : utc("2026-12-01T12:00:00Z"));
        assert_int_equal(schedule_latest(&daily, now),
                         now < moment ? utc("2026-10-24T02:30:00+02:00") : moment);
    }
    assert_latest(&daily, "2026-10-26T02:30:00+01:00", "2026-10-26T02:30:00+01:00");
}

/* Not only summer time: Moscow changed its offset, and Samoa left a day out. */
static void a_zone_that_is_changed_by_law(void **state)
{
    (void)state;
    struct schedule daily = parsed("01:30", false);
    zone("Europe/Moscow"); /* 2014-10-26: 02:00 becomes 01:00 for good */
    assert_latest(&daily, "2014-10-26T12:00:00+03:00", "2014-10-26T01:30:00+04:00");
    assert_latest(&daily, "2014-10-26T01:45:00+03:00", "2014-10-26T01:30:00+04:00");
    assert_latest(&daily, "2014-10-27T01:30:00+03:00", "2014-10-27T01:30:00+03:00");
    zone("Pacific/Apia"); /* no 2011-12-30, a Friday */
    assert_latest(&daily, "2011-12-31T00:30:00+14:00", "2011-12-29T01:30:00-10:00");
    assert_latest(&daily, "2011-12-31T12:00:00+14:00", "2011-12-31T01:30:00+14:00");
}

/* Clocks that change at midnight must not take a day's, or a week's, snapshot with them. */
static void a_midnight_that_does_not_exist(void **state)
{
    (void)state;
    struct schedule daily = parsed("00:30", false);
    struct schedule weekly = parsed("Sun 00:30", true);
    zone("America/Asuncion"); /* Sunday 2023-10-01: 00:00 becomes 01:00 */
    const struct schedule *both[] = {&daily, &weekly};
    for (size_t i = 0; i < ARRAY_LEN(both); i++) {
        time_t moment = schedule_latest(both[i], utc("2023-10-01T12:00:00-03:00"));
        assert_in_range(moment, utc("2023-09-30T23:00:00-04:00"), utc("2023-10-01T02:00:00-03:00"));
        assert_int_equal(schedule_latest(both[i], utc("2023-10-01T23:00:00-03:00")), moment);
    }
    assert_latest(&weekly, "2023-10-08T00:30:00-03:00", "2023-10-08T00:30:00-03:00");
}

/* Over years and zones: the latest moment lies not after now, never goes back, moves once a day (a week), and
 * no gap between two of them is longer than a day (a week) and the change of a clock. */
static void moments_follow_each_other(void **state)
{
    (void)state;
    static const char *const zones[] = {"Asia/Tokyo",   "Europe/Berlin",       "America/New_York",
                                        "Africa/Cairo", "Australia/Lord_Howe", "America/Sao_Paulo"};
    static const char *const texts[] = {"03:00", "02:30", "00:00", "23:45"};
    const time_t day = 86400;
    for (size_t z = 0; z < ARRAY_LEN(zones); z++) {
        zone(zones[z]);
        for (size_t t = 0; t < 2 * ARRAY_LEN(texts); t++) {
            char text[16];
            bool is_weekly = t >= ARRAY_LEN(texts);
            snprintf(text, sizeof(text), "%s%s", is_weekly ? "Sun " : "", texts[t % ARRAY_LEN(texts)]);
            struct schedule schedule = parsed(text, is_weekly);
            time_t period = is_weekly ? 7 * day : day;
            time_t before = schedule_latest(&schedule, utc("2016-01-01T00:00:00Z"));
            for (time_t now = utc("2016-01-01T00:00:00Z"); now < utc("2019-01-01T00:00:00Z"); now += 5400) {
                time_t latest = schedule_latest(&schedule, now);
                if (latest > now || latest < before || now - latest > period + 2 * 3600 ||
                    (latest != before && latest - before < period - 2 * 3600)) {
                    fail_msg("%s %s at %lld: %lld after %lld", zones[z], text, (long long)now,
                             (long long)latest, (long long)before);
                }
                before = latest;
            }
        }
    }
}

/* The machine was off, or its zone was set anew: what was missed is due at once, the newest of it once. */
static void what_was_missed_is_due(void **state)
{
    (void)state;
    struct schedule daily = parsed("03:00", false);
    zone("Asia/Tokyo");
    time_t made = utc("2026-01-10T03:00:05+09:00");
    assert_true(schedule_latest(&daily, utc("2026-01-11T02:00:00+09:00")) < made);  /* not yet */
    assert_true(schedule_latest(&daily, utc("2026-01-15T12:00:00+09:00")) >= made); /* off for five days */
    assert_latest(&daily, "2026-01-15T12:00:00+09:00", "2026-01-15T03:00:00+09:00");
    zone("UTC"); /* moves west: 03:00 comes nine hours later */
    assert_latest(&daily, "2026-01-15T02:00:00Z", "2026-01-14T03:00:00Z");
    assert_latest(&daily, "2026-01-15T03:00:00Z", "2026-01-15T03:00:00Z");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(other_texts_are_refused),
        cmocka_unit_test(daily_in_local_time),
        cmocka_unit_test(weekly_on_its_day),
        cmocka_unit_test(off_is_never),
        cmocka_unit_test(an_hour_that_does_not_exist_is_due_once),
        cmocka_unit_test(an_hour_that_comes_twice_is_due_once),
        cmocka_unit_test(a_zone_that_is_changed_by_law),
        cmocka_unit_test(a_midnight_that_does_not_exist),
        cmocka_unit_test(moments_follow_each_other),
        cmocka_unit_test(what_was_missed_is_due),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
