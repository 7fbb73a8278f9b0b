#include "services/knowledge-store/audit.h"

#include "services/knowledge-store/page.h"
#include "services/knowledge-store/store.h"

#define EXPORT_LIMIT_DEFAULT 500

#define USER_NAME            "iif(a.user_id = -1, 'system', (SELECT u.name FROM users u WHERE u.id = a.user_id))"

/* A text that is empty in the table is absent in the message. */
#define SET_TEXT(entry, member, column)                                                                      \
    do {                                                                                                     \
        if (db_text(rows, column).len > 0) {                                                                 \
            mirai_set(audit_entry, entry, member, db_text_copy(rows, column, &op->arena));                   \
        }                                                                                                    \
    } while (0)

#define COLUMNS                                                                                              \
    "a.id, a.at, a.user_id, " USER_NAME ", action, object, result, address, request_id, name, count, "       \
    "epoch, hash "

static struct mirai_str hex_copy(struct op *op, struct mirai_str bytes)
{
    char *hex = mirai_arena_alloc(&op->arena, 2 * bytes.len + 1);
    mirai_hex(hex, bytes.data, bytes.len);
    return (struct mirai_str){hex, 2 * bytes.len};
}

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
    SET_TEXT(entry, name, 9);
    if (db_int(rows, 10) != 1) {
        mirai_set(audit_entry, entry, count, db_int(rows, 10));
    }
    SET_TEXT(entry, epoch, 11);
    mirai_set(audit_entry, entry, hash, hex_copy(op, db_text(rows, 12)));
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
        "SELECT " COLUMNS
        "FROM audit a WHERE id < ?1 AND (?2 IS NULL OR user_id = ?2) AND (?3 IS NULL OR action = ?3) "
        "AND (?4 IS NULL OR at > ?4) AND (?5 IS NULL OR at < ?5) AND (?6 IS NULL OR object = ?6) "
        "AND (?7 IS NULL OR result = ?7) ORDER BY id DESC LIMIT ?8",
        DB_I(page.position > 0 ? page.position : INT64_MAX),
        DB_I_IF(mirai_has(audit_list, params, user_id), params->user_id),
        DB_S_IF(mirai_has(audit_list, params, action), params->action),
        DB_I_IF(mirai_has(audit_list, params, after), params->after),
        DB_I_IF(mirai_has(audit_list, params, before), params->before),
        DB_S_IF(mirai_has(audit_list, params, object), params->object),
        DB_S_IF(mirai_has(audit_list, params, result), params->result), DB_I((int64_t)page.limit + 1));
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

int audit_export(struct op *op)
{
    const struct mirai_audit_export *params = op->params;
    struct mirai_audit_rows result = {0};
    size_t limit = mirai_has(audit_export, params, limit) ? (size_t)params->limit : EXPORT_LIMIT_DEFAULT;
    size_t count = 0;
    struct mirai_audit_entry *items = mirai_arena_alloc(&op->arena, limit * sizeof(*items));
    struct db_rows *rows =
        db_query(op->db, "SELECT " COLUMNS "FROM audit a WHERE id > ?1 ORDER BY id LIMIT ?2",
                 DB_I(params->after_id), DB_I((int64_t)limit));
    while (count < limit && db_next(rows)) {
        read_entry(op, rows, &items[count++]);
    }
    int err = db_end(rows);
    if (err != 0) {
        return err;
    }
    mirai_set(audit_rows, &result, items, ((struct mirai_objects){items, count}));
    return op_result(op, &result);
}

int audit_heads(struct op *op)
{
    const struct mirai_page_request *params = op->params;
    struct mirai_audit_head_page result = {0};
    struct page page;
    int64_t last = 0;
    int err = page_begin_from(op, &page, "audit_head", page_request, params);
    if (err != 0) {
        return err;
    }
    struct mirai_audit_head *items = mirai_arena_alloc(&op->arena, page.limit * sizeof(*items));
    struct db_rows *rows =
        db_query(op->db,
                 "SELECT id, epoch, audit_id, hash, at, signer, signature FROM audit_heads "
                 "WHERE id < ?1 ORDER BY id DESC LIMIT ?2",
                 DB_I(page.position > 0 ? page.position : INT64_MAX), DB_I((int64_t)page.limit + 1));
    while (page_next(&page, rows)) {
        struct mirai_audit_head *head = &items[page.count - 1];
        last = db_int(rows, 0);
        mirai_set(audit_head, head, epoch, db_text_copy(rows, 1, &op->arena));
        mirai_set(audit_head, head, id, db_int(rows, 2));
        mirai_set(audit_head, head, hash, hex_copy(op, db_text(rows, 3)));
        mirai_set(audit_head, head, at, db_int(rows, 4));
        mirai_set(audit_head, head, signer, hex_copy(op, db_text(rows, 5)));
        mirai_set(audit_head, head, signature, hex_copy(op, db_text(rows, 6)));
    }
    err = db_end(rows);
    if (err != 0) {
        return err;
    }
    mirai_set(audit_head_page, &result, items, ((struct mirai_objects){items, page.count}));
    if (page.more) {
        mirai_set(audit_head_page, &result, next_cursor, page_cursor(&op->arena, "audit_head", last));
    }
    return op_result(op, &result);
}

int audit_key(struct op *op)
{
    struct mirai_audit_signer result = {0};
    mirai_set(audit_signer, &result, signer, audit_heads_signer(op->store->audit_heads));
    return op_result(op, &result);
}
