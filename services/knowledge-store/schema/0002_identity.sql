-- Accounts of a directory, forced changes of passwords, sessions that can be told apart, second factors.

ALTER TABLE users ADD COLUMN source INTEGER NOT NULL DEFAULT 0 CHECK (source BETWEEN 0 AND 1); -- account_source
ALTER TABLE users ADD COLUMN directory_name TEXT NOT NULL DEFAULT ''; -- its DN
ALTER TABLE users ADD COLUMN directory_checked_at INTEGER;
-- The directory does not let it in (any more). Apart from `disabled`, which is for Admins: each takes back only its own.
ALTER TABLE users ADD COLUMN directory_gone INTEGER NOT NULL DEFAULT 0 CHECK (directory_gone IN (0, 1));
ALTER TABLE users ADD COLUMN enabled INTEGER GENERATED ALWAYS AS (disabled = 0 AND directory_gone = 0) VIRTUAL;
ALTER TABLE users ADD COLUMN must_change_password INTEGER NOT NULL DEFAULT 0 CHECK (must_change_password IN (0, 1));
ALTER TABLE users ADD COLUMN session_epoch INTEGER NOT NULL DEFAULT 0; -- rises when all its sessions end
CREATE INDEX users_directory ON users (directory_checked_at) WHERE source = 1;

-- Where a session was opened, and with which program.
ALTER TABLE tokens ADD COLUMN address TEXT NOT NULL DEFAULT '';
ALTER TABLE tokens ADD COLUMN agent TEXT NOT NULL DEFAULT '';

-- The group of the directory whose members belong to it: DN or name. Empty: only members set by hand.
ALTER TABLE groups ADD COLUMN directory TEXT NOT NULL DEFAULT '';

-- One-time codes (RFC 6238).
CREATE TABLE second_factors (
    user_id INTEGER PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    secret BLOB NOT NULL, -- sealed with the key of the data directory, which no backup holds
    active INTEGER NOT NULL DEFAULT 0 CHECK (active IN (0, 1)), -- 0: not yet confirmed
    last_step INTEGER NOT NULL DEFAULT 0, -- of the newest code that was used: each works once
    created_at INTEGER NOT NULL
) STRICT;

-- Those not yet used. Of each only its SHA-256: they are random enough that it cannot be guessed.
CREATE TABLE recovery_codes (
    id INTEGER PRIMARY KEY,
    user_id INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    sha256 BLOB NOT NULL CHECK (length(sha256) = 32),
    UNIQUE (user_id, sha256)
) STRICT;
