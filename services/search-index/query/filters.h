/* Values of the query language's filters: types and states by their names in both languages, moments in the ways in
 * which people write them. */
#ifndef SEARCH_QUERY_FILTERS_H
#define SEARCH_QUERY_FILTERS_H

#include "libcommon/str.h"

/* Index of the value named by `name` (normalised) in enum mirai_itsm_type or mirai_article_status; -1: no such. */
int filter_type(struct mirai_str name);
int filter_status(struct mirai_str name);

/* A stretch of time: Unix ms, [from, to). */
struct filter_period {
    int64_t from;
    int64_t to;
};

/* What `text` (normalised) names, seen from `now` (Unix ms): 2026-01-31, 2026/1/31, 2026-01, 2026, 2026年1月31日,
 * RFC 3339; today, yesterday, this-week, last month; 今日, 先週; 7d, 2w, 3m, 1y, 24h, 7日, 2週間前 (a moment that long
 * ago). Days begin when they do on this machine (TZ, /etc/localtime), weeks on Monday. False: not understood. */
bool filter_period(struct mirai_str text, int64_t now, struct filter_period *out);

#endif
