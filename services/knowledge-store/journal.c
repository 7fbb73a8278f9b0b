#include "services/knowledge-store/journal.h"

#include "libcommon/config.h"
#include "services/knowledge-store/store.h"

#include <sodium.h>

#define HASH_BYTES    32
#define HOUR_MS       3600000
#define TRACE_ID_AT   3 /* in "00-<trace id>-<span id>-01" */
#define TRACE_ID_LEN  32
#define ADDRESS_BYTES 64

static struct mirai_str trace_id(struct mirai_str traceparent)
{
    if (traceparent.len < TRACE_ID_AT + TRACE_ID_LEN) {
        return (struct mirai_str){NULL, 0};
    }
    return (struct mirai_str){traceparent.data + TRACE_ID_AT, TRACE_ID_LEN};
}

void journal_context(const struct op *op, struct mirai_audit_entry *entry)
{
    entry->address = mirai_utf8_prefix(op->context->client_address, ADDRESS_BYTES);
    entry->request_id = trace_id(op->context->traceparent);
}

int journal_audit(struct op *op, int result)
{
    if ((op->method->flags & OP_NO_AUDIT) != 0 || op->unaudited) {
        return 0;
    }
    struct mirai_audit_entry entry = {
        .at = op->now_ms,
        .user_id = op->principal->user_id,
        .action = mirai_str(op->declared->name),
        .object = mirai_str(op->object),
        .result = mirai_str(mirai_error_slug(result)),
        .name = op->audit_name,
    };
    journal_context(op, &entry);
    return audit_log_append(op->store, op->db, &entry);
}

static bool has_key(const struct op *op)
{
    return op->request != NULL && op->context->idempotency_key.len > 0 && !op_has_secrets(op);
}

static struct mirai_str hash_params(const struct op *op, unsigned char hash[HASH_BYTES])
{
    crypto_generichash(hash, HASH_BYTES, (const unsigned char *)op->request->params.data,
                       op->request->params.len, NULL, 0);
    return (struct mirai_str){(const char *)hash, HASH_BYTES};
}

int journal_find_answer(struct op *op)
{
    unsigned char bytes[HASH_BYTES];
    if (!has_key(op)) {
        return 0;
    }
    struct mirai_str hash = hash_params(op, bytes);
    struct db_rows *rows =
        db_query(op->db,
                 "SELECT params_hash, result FROM idempotency"
                 " WHERE user_id = ?1 AND method = ?2 AND key = ?3 AND epoch = ?4 AND expires_at > ?5",
                 DB_I(op->principal->user_id), DB_S(mirai_str(op->declared->name)),
                 DB_S(op->context->idempotency_key), DB_S(mirai_str(op->store->epoch)), DB_I(op->now_ms));
    int found = 0;
    if (db_next(rows)) {
        found = mirai_str_eq(db_text(rows, 0), hash) && (op->method->flags & OP_SECRET_RESULT) == 0
                    ? 1
                    : MIRAI_E_CONFLICT;
        if (found == 1) {
            mirai_buf_append_str(&op->result, db_text(rows, 1));
        }
    }
    int err = db_end(rows);
    if (err == 0 && found == MIRAI_E_CONFLICT) {
        op->detail = "the idempotency key was used before";
    }
    return err != 0 ? err : found;
}

int journal_keep_answer(struct op *op)
{
    unsigned char bytes[HASH_BYTES];
    if (!has_key(op)) {
        return 0;
    }
    bool secret = (op->method->flags & OP_SECRET_RESULT) != 0;
    struct mirai_str answer = secret ? MIRAI_STR("") : mirai_buf_str(&op->result);
    return db_exec(op->db,
                   "INSERT OR REPLACE INTO idempotency"
                   " (user_id, method, key, epoch, params_hash, result, expires_at)"
                   " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                   DB_I(op->principal->user_id), DB_S(mirai_str(op->declared->name)),
                   DB_S(op->context->idempotency_key), DB_S(mirai_str(op->store->epoch)),
                   DB_B(hash_params(op, bytes)), DB_B(answer),
                   DB_I(op->now_ms + mirai_config_int(MIRAI_CONFIG_IDEMPOTENCY_HOURS) * HOUR_MS));
}

int journal_expire(struct db *db, int64_t now_ms, int64_t limit)
{
    return db_exec(db,
                   "DELETE FROM idempotency WHERE id IN"
                   " (SELECT id FROM idempotency WHERE expires_at <= ?1 LIMIT ?2)",
                   DB_I(now_ms), DB_I(limit));
}
