/* The storage seam: one connection to the database, its queries and its transactions, without naming the
 * engine.
 *
 * A connection belongs to one thread at a time. There is one DB_WRITE connection, which also does every
 * checkpoint; all others are DB_READ (a second writer or checkpointer can lose pages, see docs/adr).
 * SQL is a literal or otherwise stable text with parameters ?1, ?2, …; prepared statements are kept by their
 * text. */
#ifndef STORE_DB_H
#define STORE_DB_H

#include "libcommon/arena.h"
#include "libcommon/error.h"
#include "libcommon/str.h"

struct db;
struct db_rows;

enum db_mode {
    DB_WRITE, /* makes the database when it does not exist */
    DB_READ,
};

/* A parameter of a query. Text and bytes are lent until db_end. */
struct db_value {
    enum { DB_VALUE_END, DB_VALUE_NULL, DB_VALUE_INT, DB_VALUE_DOUBLE, DB_VALUE_TEXT, DB_VALUE_BYTES } kind;
    int64_t integer;
    double real;
    struct mirai_str text;
};

#define DB_NULL ((struct db_value){.kind = DB_VALUE_NULL})
#define DB_I(v) ((struct db_value){.kind = DB_VALUE_INT, .integer = (v)})
#define DB_D(v) ((struct db_value){.kind = DB_VALUE_DOUBLE, .real = (v)})
#define DB_S(v) ((struct db_value){.kind = DB_VALUE_TEXT, .text = (v)})
#define DB_B(v) ((struct db_value){.kind = DB_VALUE_BYTES, .text = (v)})
/* NULL when the condition does not hold. */
#define DB_I_IF(condition, v) ((condition) ? DB_I(v) : DB_NULL)
#define DB_S_IF(condition, v) ((condition) ? DB_S(v) : DB_NULL)

#define DB_VALUES(...)        ((const struct db_value[]){__VA_ARGS__ __VA_OPT__(, ){.kind = DB_VALUE_END}})

/* "column IN DB_IN_LIST("?3")": membership in the JSON array of integers that ?3 is bound to. */
#define DB_IN_LIST(parameter) "(SELECT value FROM json_each(" parameter "))"

/* Open the database file. 0, or an error with its reason logged. */
int db_open(const char *path, enum db_mode mode, struct db **db);
void db_close(struct db *db);

/* Start a query: while (db_next(rows)) { db_int(rows, 0) … } err = db_end(rows);
 * Never NULL: what fails is told by db_end. */
#define db_query(db, sql, ...) db_query_values(db, sql, DB_VALUES(__VA_ARGS__))
struct db_rows *db_query_values(struct db *db, const char *sql, const struct db_value *values);
bool db_next(struct db_rows *rows);
/* End it before its last row or after: 0, MIRAI_E_CONFLICT (a constraint), MIRAI_E_NO_SPACE,
 * MIRAI_E_DEADLINE (db_interrupt_after) or MIRAI_E_INTERNAL (logged). */
int db_end(struct db_rows *rows);

/* Columns of the present row, from 0. Text is lent until db_next or db_end unless copied to the arena. */
int64_t db_int(struct db_rows *rows, int column); /* 0 for NULL */
double db_double(struct db_rows *rows, int column);
bool db_is_null(struct db_rows *rows, int column);
struct mirai_str db_text(struct db_rows *rows, int column); /* also bytes */
struct mirai_str db_text_copy(struct db_rows *rows, int column, struct mirai_arena *arena);

/* A statement without rows. As db_end. */
#define db_exec(db, sql, ...) db_exec_values(db, sql, DB_VALUES(__VA_ARGS__))
int db_exec_values(struct db *db, const char *sql, const struct db_value *values);

/* The first column of the first row: 0, MIRAI_E_NOT_FOUND when there is none, or as db_end. */
#define db_find_int(db, out, sql, ...) db_find_int_values(db, out, sql, DB_VALUES(__VA_ARGS__))
int db_find_int_values(struct db *db, int64_t *out, const char *sql, const struct db_value *values);

int64_t db_last_id(struct db *db);      /* key of the row inserted last */
int64_t db_rows_changed(struct db *db); /* by the last db_exec */

/* Several statements without parameters (migrations). As db_end. */
int db_run_script(struct db *db, const char *sql);

/* Transactions. After an I/O error or a full disk the engine may have ended the transaction by itself:
 * db_in_transaction tells. */
int db_begin_read(struct db *db);  /* one consistent state until db_commit */
int db_begin_write(struct db *db); /* takes the write lock */
int db_commit(struct db *db);
void db_rollback(struct db *db); /* nothing when there is no transaction */
bool db_in_transaction(struct db *db);
int db_savepoint(struct db *db);           /* one level */
int db_savepoint_release(struct db *db);   /* keep what was done since */
void db_savepoint_rollback(struct db *db); /* undo it */

/* Statements started from now on end with MIRAI_E_DEADLINE when mirai_monotonic_ms() passes this; 0: never.
 */
void db_interrupt_after(struct db *db, uint64_t monotonic_ms);

/* Bytes of the write-ahead log that are not yet reusable; DB_WRITE only. */
int64_t db_wal_bytes(const struct db *db);

enum db_checkpoint {
    DB_CHECKPOINT_PASSIVE,  /* as much as goes without waiting */
    DB_CHECKPOINT_TRUNCATE, /* all, and cut the log to nothing, once those who read the old state have ended */
};
/* Outside a transaction, DB_WRITE only. TRUNCATE waits for readers for at most `wait_ms`; those who begin
 * meanwhile are not in its way. 0, MIRAI_E_CONFLICT when readers kept it from finishing, or an error. */
int db_checkpoint(struct db *db, enum db_checkpoint how, unsigned wait_ms);

/* Copy the whole database, as the read transaction in which `db` must be sees it, to a new file, and fsync
 * it. 0 or an error; the file may then be left half-written. */
int db_copy(struct db *db, const char *path);

/* Structural check of the whole database: 0 or MIRAI_E_INTERNAL (logged). */
int db_check(struct db *db);

#endif
