/* Pages of lists that are ordered by one number, and their opaque cursors. */
#ifndef STORE_PAGE_H
#define STORE_PAGE_H

#include "libcommon/arena.h"
#include "services/knowledge-store/db.h"

#define PAGE_LIMIT_DEFAULT 20

struct op;

/* One page while it is read: ask for limit + 1 rows, `more` tells whether there was one too many. */
struct page {
    size_t limit;
    int64_t position; /* key of the last row of the page before; 0: this is the first */
    size_t count;     /* rows read */
    bool more;
};

/* From the members that MIRAI_PAGE_IN gives a message; `params` is the struct of `message` (page_request, …).
 * 0, or op_fault at a cursor that is not one of `list`. */
#define page_begin_from(op, page, list, message, params)                                                     \
    page_begin((op), (page), (list),                                                                         \
               mirai_has(message, params, limit) ? (params)->limit : PAGE_LIMIT_DEFAULT,                     \
               mirai_has(message, params, cursor) ? (params)->cursor : (struct mirai_str){NULL, 0})
int page_begin(struct op *op, struct page *page, const char *list, int64_t limit, struct mirai_str cursor);
/* db_next until the page is full; then count is the number of the present row, from 1. */
bool page_next(struct page *page, struct db_rows *rows);

/* The cursor of a page that ended at `position` of the list `list` ("user"). Lives in the arena. */
struct mirai_str page_cursor(struct mirai_arena *arena, const char *list, int64_t position);
/* Back. 0, or MIRAI_E_UNPROCESSABLE when this is not a cursor of that list. */
int page_position(struct mirai_str cursor, const char *list, int64_t *position);

#endif
