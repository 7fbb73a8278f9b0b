"""What time does to accounts, done in the database: the clock cannot be moved in a test."""

import contextlib
import sqlite3


def store_database(stack):
    """Path of the store's database."""
    return next(path for path in stack.data_dir.rglob("*.db") if "search" not in str(path))


def age_everything_of(stack, user_id):
    """End all tokens and sessions of a user by their time. The store must be stopped."""
    with contextlib.closing(sqlite3.connect(store_database(stack))) as database, database:
        aged = 0
        for table in ("tokens", "sessions"):
            columns = {row[1] for row in database.execute(f"PRAGMA table_info({table})")}
            if "expires_at" in columns:
                aged += database.execute(f"UPDATE {table} SET expires_at = 1000 WHERE user_id = ?", (user_id,)).rowcount
        assert aged >= 2, "a token and a session of the user"
