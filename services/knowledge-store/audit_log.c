#include "services/knowledge-store/audit_log.h"

#include "libcommon/log.h"
#include "libcommon/time.h"
#include "services/knowledge-store/journal.h"
#include "services/knowledge-store/store.h"

#include <stdio.h>

#define ADOPT_ROWS 5000 /* in one transaction */

int audit_log_begin(struct audit_log *log, struct db *db)
{
    if (log->known) {
        return 0;
    }
    log->present = (struct audit_tail){0};
    struct db_rows *rows = db_query(db, "SELECT id, hash FROM audit ORDER BY id DESC LIMIT 1");
    bool odd = false;
    if (db_next(rows)) {
        struct mirai_str hash = db_text(rows, 1);
        log->present.id = db_int(rows, 0);
        odd = hash.len != MIRAI_AUDIT_HASH_SIZE;
        memcpy(log->present.hash, hash.data, odd ? 0 : hash.len);
    }
    int err = db_end(rows);
    if (err == 0 && odd) { /* somebody has been at it: go on, so that it shows at this row */
        mirai_log(ERROR, "the newest row of the audit log has no hash", MIRAI_LOG_I("id", log->present.id));
    }
    log->known = err == 0;
    return err;
}

int audit_log_append(struct store *store, struct db *db, struct mirai_audit_entry *entry)
{
    struct audit_log *log = &store->audit;
    struct audit_tail next = {.id = log->present.id + 1};
    mirai_set(audit_entry, entry, id, next.id);
    if (!mirai_has(audit_entry, entry, epoch)) {
        mirai_set(audit_entry, entry, epoch, mirai_str(store->epoch));
    }
    mirai_audit_hash(next.hash, log->present.hash, entry, &log->scratch);
    int err = db_exec(
        db,
        "INSERT INTO audit (id, epoch, at, user_id, action, object, result, address, request_id, "
        "name, count, hash) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
        DB_I(entry->id), DB_S(entry->epoch), DB_I(entry->at), DB_I(entry->user_id), DB_S(entry->action),
        DB_S(entry->object), DB_S(entry->result), DB_S(entry->address), DB_S(entry->request_id),
        DB_S(entry->name), DB_I(mirai_has(audit_entry, entry, count) ? entry->count : 1),
        DB_B(((struct mirai_str){(const char *)next.hash, sizeof(next.hash)})));
    if (err == 0) {
        log->present = next;
    }
    return err;
}

/* ------------------------------------------------------------------ rows from before the chain */

/* The next rows of audit_unchained. *last: id of the newest of them, 0 when there were none. */
static int adopt_rows(struct store *store, struct db *db, int64_t *last)
{
    struct db_rows *rows = db_query(db,
                                    "SELECT id, at, user_id, action, object, result, address, request_id "
                                    "FROM audit_unchained ORDER BY id LIMIT ?1",
                                    DB_I(ADOPT_ROWS));
    int err = 0;
    *last = 0;
    while (err == 0 && db_next(rows)) {
        struct mirai_audit_entry entry = {
            .at = db_int(rows, 1),
            .user_id = db_int(rows, 2),
            .action = db_text(rows, 3),
            .object = db_text(rows, 4),
            .result = db_text(rows, 5),
            .address = db_text(rows, 6),
            .request_id = db_text(rows, 7),
        };
        *last = db_int(rows, 0);
        store->audit.present.id = *last - 1; /* it keeps its number */
        err = audit_log_append(store, db, &entry);
    }
    int end = db_end(rows);
    return err != 0 ? err : end;
}

static int adopt_batch(struct store *store, struct db *db, bool *done)
{
    int64_t last;
    int err = db_begin_write(db);
    store->audit.known = false;
    if (err == 0) {
        err = audit_log_begin(&store->audit, db);
    }
    if (err == 0) {
        err = adopt_rows(store, db, &last);
    }
    if (err == 0) {
        *done = last == 0;
        err = *done ? db_run_script(db, "DROP TABLE audit_unchained")
                    : db_exec(db, "DELETE FROM audit_unchained WHERE id <= ?1", DB_I(last));
    }
    if (err == 0) {
        err = db_commit(db);
    }
    db_rollback(db);
    store->audit.known = false;
    return err;
}

int audit_log_adopt(struct store *store, struct db *db)
{
    int64_t left;
    int err = db_find_int(db, &left, "SELECT count(*) FROM sqlite_schema WHERE name = 'audit_unchained'");
    bool done = err != 0 || left == 0;
    while (err == 0 && !done) {
        err = adopt_batch(store, db, &done);
    }
    return err;
}

/* ------------------------------------------------------------------ restore */

int audit_log_restored(struct store *store, struct db *db, const struct mirai_audit_head *last)
{
    char object[200] = "";
    if (last != NULL) {
        snprintf(object, sizeof(object), "audit/%.*s/%lld/%.*s", MIRAI_STR_ARG(last->epoch),
                 (long long)last->id, MIRAI_STR_ARG(last->hash));
    }
    struct mirai_audit_entry entry = {
        .at = mirai_now_ms(),
        .user_id = MIRAI_USER_SYSTEM,
        .action = MIRAI_STR(MIRAI_AUDIT_RESTORED),
        .object = mirai_str(object),
        .result = MIRAI_STR("ok"),
    };
    store->audit.known = false;
    int err = audit_log_begin(&store->audit, db);
    return err == 0 ? audit_log_append(store, db, &entry) : err;
}

/* ------------------------------------------------------------------ notes of daemons */

int audit_log_sum(struct store *store, struct db *db, int64_t now_ms, int64_t summed)
{
    if (summed == 0) {
        return 0;
    }
    struct mirai_audit_entry entry = {
        .at = now_ms,
        .user_id = MIRAI_USER_SYSTEM,
        .action = MIRAI_STR("audit.append"),
        .result = MIRAI_STR("summed"),
    };
    mirai_set(audit_entry, &entry, count, summed);
    return audit_log_append(store, db, &entry);
}

/* Whether this second has room for one more. */
static bool take_note(struct audit_log *log)
{
    uint64_t second = mirai_monotonic_ms() / 1000;
    if (second != log->second) {
        log->second = second;
        log->taken = 0;
    }
    return log->taken++ < AUDIT_NOTES_MAX;
}

int audit_log_note(struct op *op)
{
    const struct mirai_audit_note *note = op->params;
    int64_t count = mirai_has(audit_note, note, count) ? note->count : 1;
    struct audit_log *log = &op->store->audit;
    if (!take_note(log)) {
        atomic_fetch_add(&log->summed, count);
        return 0;
    }
    struct mirai_audit_entry entry = {
        .at = op->now_ms,
        .user_id = note->user_id,
        .action = note->action,
        .object = note->object,
        .result = note->result,
        .name = note->name,
    };
    journal_context(op, &entry);
    if (count != 1) {
        mirai_set(audit_entry, &entry, count, count);
    }
    return audit_log_append(op->store, op->db, &entry);
}

void audit_log_close(struct audit_log *log)
{
    mirai_buf_free(&log->scratch);
}
