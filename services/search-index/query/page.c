/* Pages: a cursor is where the page before ended, and from which day the ages of articles were counted:
 * "s<score>.<id>.<day>", in hexadecimal; r instead of s: within what the second stage put in order; t: by time.
 *
 * The best SECOND_STAGE_MAX articles by the words form a set that does not depend on the page; the second stage orders
 * it, all others follow. So a page that begins within the set works the set out again and goes on from the cursor in
 * the new order; a page behind it only looks for what is worse than its cursor by the words. */
#include "services/search-index/query/internal.h"

#include "libcommon/time.h"

#include <stdlib.h>

#define HITS_DEFAULT 20
#define DAY_MS       (INT64_C(24) * 3600 * 1000)

/* A whole number that a double could hold, too. */
#define SCORE_LIMIT (INT64_C(1) << 53)

struct mirai_str page_cursor(const struct search *search, const struct candidate *last, bool staged)
{
    return mirai_arena_printf(search->arena, "%c%llx.%llx.%llx",
                              !search->scored ? 't'
                              : staged        ? 'r'
                                              : 's',
                              (unsigned long long)last->score, (unsigned long long)last->id,
                              (unsigned long long)search->page.day);
}

/* 1 to 16 hexadecimal digits, then `end` (0: the end of the text). False: something else. */
static bool take_hex(struct mirai_str *rest, char end, int64_t *out)
{
    uint64_t value = 0;
    size_t at = 0;
    for (; at < rest->len && at < 16; at++) {
        char c = rest->data[at];
        int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
        if (digit < 0) {
            break;
        }
        value = value << 4 | (unsigned)digit;
    }
    bool ended = end == '\0' ? at == rest->len : at < rest->len && rest->data[at] == end;
    if (at == 0 || !ended || value >= (uint64_t)SCORE_LIMIT) {
        return false;
    }
    *rest = (struct mirai_str){rest->data + at + (end != '\0'), rest->len - at - (end != '\0')};
    *out = (int64_t)value;
    return true;
}

static bool decode(struct search *search, struct mirai_str cursor)
{
    struct page *page = &search->page;
    const char *kinds = !search->scored ? "t" : search->stage > 0 ? "rs" : "s";
    if (cursor.len == 0 || memchr(kinds, cursor.data[0], strlen(kinds)) == NULL) {
        return false;
    }
    page->kind = cursor.data[0];
    struct mirai_str rest = {cursor.data + 1, cursor.len - 1};
    return take_hex(&rest, '.', &page->after.score) && take_hex(&rest, '.', &page->after.id) &&
           take_hex(&rest, '\0', &page->day);
}

int page_begin(struct search *search)
{
    const struct mirai_search_query *request = search->request;
    int64_t limit = mirai_has(search_query, request, limit) ? request->limit : HITS_DEFAULT;
    search->page.limit = (size_t)(limit < 1 ? 1 : limit > HITS_MAX ? HITS_MAX : limit);
    search->page.day = mirai_now_ms() / DAY_MS;
    return !mirai_has(search_query, request, cursor) || decode(search, request->cursor) ? 0 : MIRAI_E_INVALID;
}
