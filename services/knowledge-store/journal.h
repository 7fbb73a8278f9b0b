/* What each write leaves beside its own rows: an audit row, and its answer under an idempotency key. */
#ifndef STORE_JOURNAL_H
#define STORE_JOURNAL_H

#include "services/knowledge-store/audit_log.h"
#include "services/knowledge-store/op.h"

/* One row: who did what on which object with which result. 0 or an error of the database. */
int journal_audit(struct op *op, int result);
/* From where and by which request: address and request_id of an entry. */
void journal_context(const struct op *op, struct mirai_audit_entry *entry);

/* Whether this request was answered before: 1 with op->result filled, 0 when it is new,
 * MIRAI_E_CONFLICT when its key was used with other params (or its answer was a secret), or an error. */
int journal_find_answer(struct op *op);
/* Remember the answer in op->result. 0 or an error. Nothing without a key, nor of OP_SECRET_PARAMS. */
int journal_keep_answer(struct op *op);
/* Forget at most `limit` answers that have expired. 0 or an error. */
int journal_expire(struct db *db, int64_t now_ms, int64_t limit);

#endif
