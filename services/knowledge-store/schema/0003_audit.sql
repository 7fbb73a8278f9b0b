-- The audit log becomes append-only, and each row holds the hash of all before it (proto/audit_chain.h).
-- What is there already is copied from audit_unchained in order by audit_log.c, which then drops that table.
DROP INDEX audit_user;
ALTER TABLE audit RENAME TO audit_unchained;

CREATE TABLE audit (
    id INTEGER PRIMARY KEY,
    epoch TEXT NOT NULL,
    at INTEGER NOT NULL,
    user_id INTEGER NOT NULL, -- -1: the system, 0: nobody
    action TEXT NOT NULL,
    object TEXT NOT NULL,
    result TEXT NOT NULL,
    address TEXT NOT NULL,
    request_id TEXT NOT NULL,
    name TEXT NOT NULL, -- login name that was given
    count INTEGER NOT NULL,
    hash BLOB NOT NULL
) STRICT;
CREATE INDEX audit_user ON audit (user_id);
CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit
BEGIN
    SELECT raise(ABORT, 'the audit log is append-only: rows are never changed');
END;
CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit
BEGIN
    SELECT raise(ABORT, 'the audit log is append-only: rows are never deleted');
END;

-- Signed states of the log; the newest ones are kept.
CREATE TABLE audit_heads (
    id INTEGER PRIMARY KEY,
    epoch TEXT NOT NULL,
    audit_id INTEGER NOT NULL,
    hash BLOB NOT NULL,
    at INTEGER NOT NULL,
    signer BLOB NOT NULL,
    signature BLOB NOT NULL
) STRICT;
