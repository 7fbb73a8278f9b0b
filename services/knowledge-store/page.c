#include "services/knowledge-store/page.h"

#include "services/knowledge-store/op.h"

#include <sodium.h>

#define CURSOR_MAX 64

struct mirai_str page_cursor(struct mirai_arena *arena, const char *list, int64_t position)
{
    struct mirai_str plain = mirai_arena_printf(arena, "%s.%lld", list, (long long)position);
    size_t size = sodium_base64_encoded_len(plain.len, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    char *cursor = mirai_arena_alloc(arena, size);
    sodium_bin2base64(cursor, size, (const unsigned char *)plain.data, plain.len,
                      sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    return mirai_str(cursor);
}

int page_position(struct mirai_str cursor, const char *list, int64_t *position)
{
    char plain[CURSOR_MAX];
    size_t len, list_len = strlen(list);
    if (sodium_base642bin((unsigned char *)plain, sizeof(plain), cursor.data, cursor.len, NULL, &len, NULL,
                          sodium_base64_VARIANT_URLSAFE_NO_PADDING) != 0 ||
        len <= list_len || memcmp(plain, list, list_len) != 0 || plain[list_len] != '.' ||
        mirai_parse_int((struct mirai_str){plain + list_len + 1, len - list_len - 1}, 0, INT64_MAX,
                        position) != 0) {
        return MIRAI_E_UNPROCESSABLE;
    }
    return 0;
}

int page_begin(struct op *op, struct page *page, const char *list, int64_t limit, struct mirai_str cursor)
{
    *page = (struct page){.limit = (size_t)limit};
    if (cursor.len > 0 && page_position(cursor, list, &page->position) != 0) {
        return op_fault(op, "/cursor", "format");
    }
    return 0;
}

bool page_next(struct page *page, struct db_rows *rows)
{
    if (!db_next(rows)) {
        return false;
    }
    page->more = page->count == page->limit;
    page->count += !page->more;
    return !page->more;
}
