/* Where an audit log and its signed heads are read from: the running store, an export, a database file. */
#ifndef CTL_AUDIT_SOURCE_H
#define CTL_AUDIT_SOURCE_H

#include "services/ctl/ctl.h"
#include "services/ctl/verify.h"

/* Called for each entry, oldest first; the entry is lent. False ends the reading. */
typedef bool (*audit_entry_cb)(void *data, const struct mirai_audit_entry *entry);

/* All entries of the running store. CTL_OK, or the exit code of what was reported. */
int audit_each_entry(struct ctl *ctl, audit_entry_cb each, void *data);

/* The signed heads and the public key of the running store, for *verify. */
int audit_anchors_of_store(struct ctl *ctl, struct verify *verify);
/* Signed heads in a file: one JSON object in a line, whatever stands before it (an audit-heads.jsonl of the backups, the
 * daemons' log, syslog). */
int audit_anchors_of_file(struct ctl *ctl, const char *path, struct verify *verify);
/* Trusted public keys in a file: 64 hexadecimal digits a line. */
int audit_keys_of_file(struct ctl *ctl, const char *path, struct verify *verify);

/* All of a file: an export (JSON Lines), or a database (knowledge.db, also of a snapshot), which is only read; a
 * database's own heads are anchors, too. */
int audit_verify_file(struct ctl *ctl, const char *path, struct verify *verify);

#endif
