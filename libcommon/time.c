#include "libcommon/time.h"

#include "libcommon/error.h"

#include <stdio.h>
#include <time.h>

#define MS_PER_DAY INT64_C(86400000)
#define MAX_MS     INT64_C(253402300799999) /* 9999-12-31T23:59:59.999Z */
#define MIN_MS     INT64_C(-62167219200000) /* 0000-01-01T00:00:00.000Z */

int64_t mirai_now_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

uint64_t mirai_monotonic_us(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

/* Days between 1970-01-01 and a date of the proleptic Gregorian calendar, and back:
 * Howard Hinnant, "chrono-compatible low-level date algorithms". Years begin in March, so that the leap day
 * is last. */
static int64_t days_from_date(int64_t year, int64_t month, int64_t day)
{
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t year_of_era = year - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

static void date_from_days(int64_t days, int *year, int *month, int *day)
{
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int64_t day_of_era = days - era * 146097;
    int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t shifted_month = (5 * day_of_year + 2) / 153;
    *day = (int)(day_of_year - (153 * shifted_month + 2) / 5 + 1);
    *month = (int)(shifted_month < 10 ? shifted_month + 3 : shifted_month - 9);
    *year = (int)(year_of_era + era * 400 + (*month <= 2));
}

static void put_digits(char *out, int n, int64_t value)
{
    while (n-- > 0) {
        out[n] = (char)('0' + value % 10);
        value /= 10;
    }
}

/* Written by hand: a log line needs it, and strftime would take ten times as long. */
void mirai_rfc3339_format(char out[MIRAI_RFC3339_SIZE], int64_t unix_ms)
{
    int year, month, day;
    unix_ms = unix_ms < MIN_MS ? MIN_MS : unix_ms > MAX_MS ? MAX_MS : unix_ms;
    int64_t ms = unix_ms % MS_PER_DAY;
    ms += ms < 0 ? MS_PER_DAY : 0;
    date_from_days((unix_ms - ms) / MS_PER_DAY, &year, &month, &day);
    memcpy(out, "YYYY-MM-DDThh:mm:ss.mmmZ", MIRAI_RFC3339_SIZE);
    put_digits(out, 4, year);
    put_digits(out + 5, 2, month);
    put_digits(out + 8, 2, day);
    put_digits(out + 11, 2, ms / 3600000);
    put_digits(out + 14, 2, ms / 60000 % 60);
    put_digits(out + 17, 2, ms / 1000 % 60);
    put_digits(out + 20, 3, ms % 1000);
}

/* Exactly n digits at the front of *s, between min and max; *s moves on. */
static bool take_digits(struct mirai_str *s, size_t n, int64_t min, int64_t max, int64_t *value)
{
    if (s->len < n || s->data[0] == '-' ||
        mirai_parse_int((struct mirai_str){s->data, n}, min, max, value) != 0) {
        return false;
    }
    s->data += n;
    s->len -= n;
    return true;
}

/* One character out of `set` at the front of *s. */
static bool take_char(struct mirai_str *s, const char *set, char *c)
{
    if (s->len == 0 || s->data[0] == '\0' || strchr(set, s->data[0]) == NULL) {
        return false;
    }
    *c = s->data[0];
    s->data++;
    s->len--;
    return true;
}

static int64_t days_in_month(int64_t year, int64_t month)
{
    static const char days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return days[month - 1] + (month == 2 && leap);
}

/* Fraction of a second after the dot: at least one digit; finer than ms is cut off. */
static bool take_fraction(struct mirai_str *s, int64_t *ms)
{
    int64_t scale = 100;
    size_t n = 0;
    for (; n < s->len && s->data[n] >= '0' && s->data[n] <= '9'; n++) {
        *ms += (s->data[n] - '0') * scale;
        scale /= 10;
    }
    s->data += n;
    s->len -= n;
    return n > 0;
}

/* "Z", "+09:00", "-00:30" into ms east of UTC. */
static bool take_offset(struct mirai_str *s, int64_t *offset_ms)
{
    char sign, colon;
    int64_t hours, minutes;
    *offset_ms = 0;
    if (!take_char(s, "Zz+-", &sign)) {
        return false;
    }
    if (sign != '+' && sign != '-') {
        return true;
    }
    if (!take_digits(s, 2, 0, 23, &hours) || !take_char(s, ":", &colon) ||
        !take_digits(s, 2, 0, 59, &minutes)) {
        return false;
    }
    *offset_ms = (hours * 60 + minutes) * 60000 * (sign == '-' ? -1 : 1);
    return true;
}

int mirai_rfc3339_parse(struct mirai_str s, int64_t *unix_ms)
{
    int64_t year, month, day, hour, minute, second, ms = 0, offset_ms;
    char c;
    if (!take_digits(&s, 4, 0, 9999, &year) || !take_char(&s, "-", &c) ||
        !take_digits(&s, 2, 1, 12, &month) || !take_char(&s, "-", &c) ||
        !take_digits(&s, 2, 1, days_in_month(year, month), &day)) {
        return MIRAI_E_INVALID;
    }
    int64_t midnight = days_from_date(year, month, day) * MS_PER_DAY;
    if (s.len == 0) {
        *unix_ms = midnight;
        return 0;
    }
    /* RFC 3339 §5.6 allows small letters and a blank in place of T; second 60 is a leap second. */
    if (!take_char(&s, "Tt ", &c) || !take_digits(&s, 2, 0, 23, &hour) || !take_char(&s, ":", &c) ||
        !take_digits(&s, 2, 0, 59, &minute) || !take_char(&s, ":", &c) ||
        !take_digits(&s, 2, 0, 60, &second) || (take_char(&s, ".", &c) && !take_fraction(&s, &ms)) ||
        !take_offset(&s, &offset_ms) || s.len != 0) {
        return MIRAI_E_INVALID;
    }
    *unix_ms = midnight + ((hour * 60 + minute) * 60 + second) * 1000 + ms - offset_ms;
    return 0;
}
