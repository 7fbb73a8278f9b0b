/* Signed states of the audit log. A chain shows that nothing in it was changed, not that its end was cut off: so the
 * store signs now and then what the newest row is, and hands that to places that whoever can change the database cannot
 * change: the log of the system, syslog, the backups.
 *
 * DATA_DIR/audit.key   Ed25519 seed, 64 hexadecimal digits (mode 0600); made at the first start unless
 *                      MIRAI_AUDIT_KEY is set
 * DATA_DIR/audit.head  the newest signed head as JSON: what a restore remembers of the history that it replaces */
#ifndef STORE_AUDIT_HEADS_H
#define STORE_AUDIT_HEADS_H

#include "proto/audit_chain.h"

struct store;
struct audit_heads;

/* Signed heads that the database keeps. */
#define AUDIT_HEADS_KEPT 10000

/* Read or make the key. NULL with the reason logged. */
struct audit_heads *audit_heads_open(struct store *store);
/* Sign each MIRAI_AUDIT_HEAD_SECONDS from now on, when there is something new. Loop thread. */
void audit_heads_start(struct audit_heads *heads);
/* The end of audit_heads_start; also of one that never was. */
void audit_heads_stop(struct audit_heads *heads);
/* Sign now, for the last time. When no other thread uses the writer's connection any more. */
void audit_heads_last(struct audit_heads *heads);
void audit_heads_close(struct audit_heads *heads);

/* The public key, hexadecimal; lives as long as `heads`. */
struct mirai_str audit_heads_signer(const struct audit_heads *heads);

/* The newest head from DATA_DIR/audit.head, if it is there and its signature holds: then true. Text in `arena`. */
bool audit_heads_read_last(const struct store *store, struct mirai_arena *arena,
                           struct mirai_audit_head *head);

#endif
