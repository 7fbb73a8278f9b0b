#include "services/knowledge-store/audit.h"

#include "services/knowledge-store/page.h"

#define USER_NAME "iif(a.user_id = -1, 'system', (SELECT u.name FROM users u WHERE u.id = a.user_id))"

/* A text that is empty in the table is absent in the message. */
#define SET_TEXT(entry, member, column)                                                                      \
    do {                                                                                                     \
        if (db_text(rows, column).len > 0) {                                                                 \
            mirai_set(audit_entry, entry, member, db_text_copy(rows, column, &op->arena));                   \
        }                                                                                                    \
    } while (0)

static void read_entry(struct op *op, struct db_rows *rows, struct mirai_audit_entry *entry)
{
    mirai_set(audit_entry, entry, id, db_int(rows, 0));
    mirai_set(audit_entry, entry, at, db_int(rows, 1));
    mirai_set(audit_entry, entry, user_id, db_int(rows, 2));
    SET_TEXT(entry, user, 3);
    mirai_set(audit_entry, entry, action, db_text_copy(rows, 4, &op->arena));
    SET_TEXT(entry, object, 5);
    mirai_set(audit_entry, entry, result, db_text_copy(rows, 6, &op->arena));
    SET_TEXT(entry, address, 7);
    SET_TEXT(entry, request_id, 8);
}

int audit_list(struct op *op)
{
    const struct mirai_audit_list *params = op->params;
    struct mirai_audit_page result = {0};
    struct page page;
    int err = page_begin_from(op, &page, "audit", audit_list, params);
    if (err != 0) {
        return err;
    }
    struct mirai_audit_entry *items = mirai_arena_alloc(&op->arena, page.limit * sizeof(*items));
    struct db_rows *rows = db_query(
        op->db,
        "SELECT a.id, a.at, a.user_id, " USER_NAME ", action, object, result, address, request_id "
        "FROM audit a WHERE id < ?1 AND (?2 IS NULL OR user_id = ?2) AND (?3 IS NULL OR action = ?3) "
        "AND (?4 IS NULL OR at > ?4) AND (?5 IS NULL OR at < ?5) ORDER BY id DESC LIMIT ?6",
        DB_I(page.position > 0 ? page.position : INT64_MAX),
        DB_I_IF(mirai_has(audit_list, params, user_id), params->user_id),
        DB_S_IF(mirai_has(audit_list, params, action), params->action),
        DB_I_IF(mirai_has(audit_list, params, after), params->after),
        DB_I_IF(mirai_has(audit_list, params, before), params->before), DB_I((int64_t)page.limit + 1));
    while (page_next(&page, rows)) {
        read_entry(op, rows, &items[page.count - 1]);
    }
    err = db_end(rows);
    if (err != 0) {
        return err;
    }
    mirai_set(audit_page, &result, items, ((struct mirai_objects){items, page.count}));
    if (page.more) {
        mirai_set(audit_page, &result, next_cursor,
                  page_cursor(&op->arena, "audit", items[page.count - 1].id));
    }
    return op_result(op, &result);
}
