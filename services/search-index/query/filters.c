#include "services/search-index/query/filters.h"

#include "libcommon/time.h"
#include "proto/enums.h"

#include <time.h>

#define SECOND_MS 1000
#define HOUR_MS   (3600 * INT64_C(1000))

struct name {
    const char *name; /* normalised */
    int value;
};

static const struct name types[] = {
    {"incident", MIRAI_ITSM_TYPE_INCIDENT}, {"インシデント", MIRAI_ITSM_TYPE_INCIDENT},
    {"障害", MIRAI_ITSM_TYPE_INCIDENT},     {"problem", MIRAI_ITSM_TYPE_PROBLEM},
    {"問題", MIRAI_ITSM_TYPE_PROBLEM},      {"change", MIRAI_ITSM_TYPE_CHANGE},
    {"変更", MIRAI_ITSM_TYPE_CHANGE},       {"release", MIRAI_ITSM_TYPE_RELEASE},
    {"リリース", MIRAI_ITSM_TYPE_RELEASE},  {"request", MIRAI_ITSM_TYPE_REQUEST},
    {"要求", MIRAI_ITSM_TYPE_REQUEST},      {"サービス要求", MIRAI_ITSM_TYPE_REQUEST},
    {"依頼", MIRAI_ITSM_TYPE_REQUEST},      {"other", MIRAI_ITSM_TYPE_OTHER},
    {"その他", MIRAI_ITSM_TYPE_OTHER},
};

static const struct name statuses[] = {
    {"draft", MIRAI_ARTICLE_STATUS_DRAFT},          {"下書き", MIRAI_ARTICLE_STATUS_DRAFT},
    {"in_review", MIRAI_ARTICLE_STATUS_IN_REVIEW},  {"in-review", MIRAI_ARTICLE_STATUS_IN_REVIEW},
    {"review", MIRAI_ARTICLE_STATUS_IN_REVIEW},     {"レビュー", MIRAI_ARTICLE_STATUS_IN_REVIEW},
    {"レビュー中", MIRAI_ARTICLE_STATUS_IN_REVIEW}, {"確認中", MIRAI_ARTICLE_STATUS_IN_REVIEW},
    {"published", MIRAI_ARTICLE_STATUS_PUBLISHED},  {"公開", MIRAI_ARTICLE_STATUS_PUBLISHED},
    {"公開中", MIRAI_ARTICLE_STATUS_PUBLISHED},     {"公開済み", MIRAI_ARTICLE_STATUS_PUBLISHED},
    {"archived", MIRAI_ARTICLE_STATUS_ARCHIVED},    {"アーカイブ", MIRAI_ARTICLE_STATUS_ARCHIVED},
    {"保管", MIRAI_ARTICLE_STATUS_ARCHIVED},
};

static int find(const struct name *names, size_t count, struct mirai_str name)
{
    for (size_t i = 0; i < count; i++) {
        if (mirai_str_eq(name, mirai_str(names[i].name))) {
            return names[i].value;
        }
    }
    return -1;
}

int filter_type(struct mirai_str name)
{
    return find(types, sizeof(types) / sizeof(types[0]), name);
}

int filter_status(struct mirai_str name)
{
    return find(statuses, sizeof(statuses) / sizeof(statuses[0]), name);
}

enum unit { UNIT_DAY, UNIT_WEEK, UNIT_MONTH, UNIT_YEAR, UNIT_HOUR };

/* Periods counted from the one that now lies in. */
static const struct {
    const char *name;
    enum unit unit;
    int back;
} relative[] = {
    {"today", UNIT_DAY, 0},       {"今日", UNIT_DAY, 0},      {"本日", UNIT_DAY, 0},
    {"yesterday", UNIT_DAY, 1},   {"昨日", UNIT_DAY, 1},      {"一昨日", UNIT_DAY, 2},
    {"おととい", UNIT_DAY, 2},    {"thisweek", UNIT_WEEK, 0}, {"今週", UNIT_WEEK, 0},
    {"lastweek", UNIT_WEEK, 1},   {"先週", UNIT_WEEK, 1},     {"先々週", UNIT_WEEK, 2},
    {"thismonth", UNIT_MONTH, 0}, {"今月", UNIT_MONTH, 0},    {"lastmonth", UNIT_MONTH, 1},
    {"先月", UNIT_MONTH, 1},      {"先々月", UNIT_MONTH, 2},  {"thisyear", UNIT_YEAR, 0},
    {"今年", UNIT_YEAR, 0},       {"lastyear", UNIT_YEAR, 1}, {"去年", UNIT_YEAR, 1},
    {"昨年", UNIT_YEAR, 1},       {"一昨年", UNIT_YEAR, 2},   {"おととし", UNIT_YEAR, 2},
};

/* Units behind a number: that long ago. */
static const struct {
    const char *name;
    enum unit unit;
} units[] = {
    {"d", UNIT_DAY},        {"day", UNIT_DAY},    {"days", UNIT_DAY},   {"日", UNIT_DAY},
    {"日間", UNIT_DAY},     {"w", UNIT_WEEK},     {"week", UNIT_WEEK},  {"weeks", UNIT_WEEK},
    {"週", UNIT_WEEK},      {"週間", UNIT_WEEK},  {"m", UNIT_MONTH},    {"month", UNIT_MONTH},
    {"months", UNIT_MONTH}, {"か月", UNIT_MONTH}, {"ヶ月", UNIT_MONTH}, {"ケ月", UNIT_MONTH},
    {"カ月", UNIT_MONTH},   {"ヵ月", UNIT_MONTH}, {"箇月", UNIT_MONTH}, {"y", UNIT_YEAR},
    {"year", UNIT_YEAR},    {"years", UNIT_YEAR}, {"年", UNIT_YEAR},    {"年間", UNIT_YEAR},
    {"h", UNIT_HOUR},       {"hour", UNIT_HOUR},  {"hours", UNIT_HOUR}, {"時間", UNIT_HOUR},
};

static int64_t local_ms(struct tm day)
{
    day.tm_isdst = -1;
    return (int64_t)mktime(&day) * SECOND_MS;
}

static struct tm local_day(int64_t now)
{
    time_t seconds = (time_t)(now / SECOND_MS);
    struct tm day = {0};
    localtime_r(&seconds, &day);
    day.tm_hour = 0;
    day.tm_min = 0;
    day.tm_sec = 0;
    return day;
}

static void move(struct tm *day, enum unit unit, int count)
{
    day->tm_year += unit == UNIT_YEAR ? count : 0;
    day->tm_mon += unit == UNIT_MONTH ? count : 0;
    day->tm_mday += unit == UNIT_DAY ? count : unit == UNIT_WEEK ? 7 * count : 0;
}

/* The period of one unit that begins with `day`. */
static struct filter_period period(struct tm day, enum unit unit)
{
    struct tm next = day;
    move(&next, unit, 1);
    return (struct filter_period){local_ms(day), local_ms(next)};
}

static bool by_name(struct mirai_str name, int64_t now, struct filter_period *out)
{
    for (size_t i = 0; i < sizeof(relative) / sizeof(relative[0]); i++) {
        if (mirai_str_eq(name, mirai_str(relative[i].name))) {
            enum unit unit = relative[i].unit;
            struct tm day = local_day(now);
            day.tm_mday -= unit == UNIT_WEEK ? (day.tm_wday + 6) % 7 : 0;
            day.tm_mday = unit == UNIT_MONTH || unit == UNIT_YEAR ? 1 : day.tm_mday;
            day.tm_mon = unit == UNIT_YEAR ? 0 : day.tm_mon;
            move(&day, unit, -relative[i].back);
            *out = period(day, unit);
            return true;
        }
    }
    return false;
}

/* Up to `max` digits from *at on. */
static int digits(struct mirai_str text, size_t *at, size_t max, int *value)
{
    size_t from = *at;
    *value = 0;
    while (*at < text.len && *at - from < max && text.data[*at] >= '0' && text.data[*at] <= '9') {
        *value = *value * 10 + (text.data[(*at)++] - '0');
    }
    return (int)(*at - from);
}

static bool ago(struct mirai_str text, int64_t now, struct filter_period *out)
{
    size_t at = 0;
    int count;
    if (digits(text, &at, 4, &count) == 0) {
        return false;
    }
    struct mirai_str unit = {text.data + at, text.len - at};
    if (unit.len > 3 && memcmp(unit.data + unit.len - 3, "前", 3) == 0) {
        unit.len -= 3;
    } else if (at == 4) {
        return false; /* 2026年 is a year */
    } else if (unit.len > 3 && memcmp(unit.data + unit.len - 3, "ago", 3) == 0) {
        unit.len -= 3;
    }
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (!mirai_str_eq(unit, mirai_str(units[i].name))) {
            continue;
        }
        struct tm then = {0};
        time_t seconds = (time_t)(now / SECOND_MS);
        localtime_r(&seconds, &then);
        move(&then, units[i].unit, -count);
        out->from = units[i].unit == UNIT_HOUR ? now - count * HOUR_MS : local_ms(then);
        out->to = out->from;
        return true;
    }
    return false;
}

/* The sign between the numbers of a date: the same one each time, or 年 and 月. */
static bool separator(struct mirai_str text, size_t *at, const char *kanji, char *used)
{
    size_t len = strlen(kanji);
    if (text.len - *at >= len && memcmp(text.data + *at, kanji, len) == 0 && (*used == 0 || *used == 'k')) {
        *used = 'k';
        *at += len;
        return true;
    }
    if (*at < text.len && strchr("-/.", text.data[*at]) != NULL && (*used == 0 || *used == text.data[*at])) {
        *used = text.data[(*at)++];
        return true;
    }
    return false;
}

static int days_of(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (month == 2 && leap);
}

static bool by_date(struct mirai_str text, struct filter_period *out)
{
    size_t at = 0;
    int year;
    int month = 1;
    int day = 1;
    char used = 0;
    enum unit unit = UNIT_YEAR;
    if (digits(text, &at, 4, &year) != 4 || year < 1900) {
        return false;
    }
    bool more = separator(text, &at, "年", &used) && at < text.len;
    if (more) {
        unit = UNIT_MONTH;
        if (digits(text, &at, 2, &month) == 0 || month < 1 || month > 12) {
            return false;
        }
        more = separator(text, &at, "月", &used) && at < text.len;
    }
    if (more) {
        unit = UNIT_DAY;
        if (digits(text, &at, 2, &day) == 0 || day < 1 || day > days_of(year, month)) {
            return false;
        }
        at += used == 'k' && text.len - at == 3 && memcmp(text.data + at, "日", 3) == 0 ? 3 : 0;
    }
    *out = period((struct tm){.tm_year = year - 1900, .tm_mon = month - 1, .tm_mday = day}, unit);
    char last = text.data[text.len - 1];
    return at == text.len && strchr("-/.", last) == NULL;
}

bool filter_period(struct mirai_str text, int64_t now, struct filter_period *out)
{
    char name[64];
    size_t len = 0;
    if (text.len == 0 || text.len >= sizeof(name)) {
        return false;
    }
    char upper[64]; /* RFC 3339 has a T and a Z, normalising has made them small */
    for (size_t i = 0; i < text.len; i++) {
        upper[i] = text.data[i] >= 'a' && text.data[i] <= 'z' ? (char)(text.data[i] - 32) : text.data[i];
        bool letter = i > 0 && text.data[i - 1] >= 'a';
        bool filler = text.data[i] == ' ' || (letter && (text.data[i] == '-' || text.data[i] == '_'));
        if (!filler) {
            name[len++] = text.data[i];
        }
    }
    struct mirai_str squeezed = {name, len}; /* last week, last-week, 7 days */
    if (len == 0) {
        return false;
    }
    if (by_date(squeezed, out) || by_name(squeezed, now, out) || ago(squeezed, now, out)) {
        return true;
    }
    int64_t moment;
    bool known = memchr(upper, 'T', text.len) != NULL &&
                 mirai_rfc3339_parse((struct mirai_str){upper, text.len}, &moment) == 0;
    *out = known ? (struct filter_period){moment, moment} : *out;
    return known;
}
