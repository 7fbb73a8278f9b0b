#include "services/knowledge-store/db.h"

#include "libcommon/log.h"
#include "libcommon/time.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define CACHE_SLOTS      256  /* prepared statements a connection keeps; a power of two */
#define CACHE_WAYS       8    /* slots that a statement may stand in */
#define PAGE_CACHE_KIB   2048 /* of each connection */
#define BUSY_MS          1000 /* only a recovery of the WAL after a crash lets a connection wait */
#define PROGRESS_STEPS   4000 /* virtual machine steps between two looks at the clock */
#define WAL_HEADER_BYTES 32
#define WAL_FRAME_BYTES  24         /* before each page */
#define WAL_KEEP_BYTES   (16 << 20) /* the WAL file is cut to this when it starts from its beginning */

struct db_rows {
    struct db *db;
    sqlite3_stmt *stmt;
    uint64_t key; /* hash of the SQL */
    bool busy;
    bool temporary; /* not in the cache: freed by db_end */
    int result;     /* of SQLite */
};

struct db {
    sqlite3 *handle;
    enum db_mode mode;
    uint64_t interrupt_after_ms;
    int wal_frames; /* in the log after the last commit or checkpoint */
    int page_size;
    struct db_rows cache[CACHE_SLOTS];
};

/* ------------------------------------------------------------------ errors */

static bool is_no_space(struct db *db, int result)
{
    if ((result & 0xff) == SQLITE_FULL) {
        return true;
    }
    int system = sqlite3_system_errno(db->handle);
    return (result & 0xff) == SQLITE_IOERR && (system == ENOSPC || system == EDQUOT);
}

/* The meaning of a result of SQLite; what is not expected in a sound system is logged. */
static int map_result(struct db *db, int result, const char *sql)
{
    switch (result & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
        return 0;
    case SQLITE_CONSTRAINT:
        return MIRAI_E_CONFLICT;
    case SQLITE_INTERRUPT:
        return MIRAI_E_DEADLINE;
    case SQLITE_BUSY:
        return MIRAI_E_OVERLOADED;
    default:
        break;
    }
    if (is_no_space(db, result)) {
        return MIRAI_E_NO_SPACE;
    }
    mirai_log(ERROR, "database error", MIRAI_LOG_I("code", sqlite3_extended_errcode(db->handle)),
              MIRAI_LOG_Z("reason", sqlite3_errmsg(db->handle)),
              MIRAI_LOG_Z("statement", sql != NULL ? sql : ""));
    return MIRAI_E_INTERNAL;
}

static int on_progress(void *data)
{
    struct db *db = data;
    return db->interrupt_after_ms != 0 && mirai_monotonic_ms() >= db->interrupt_after_ms;
}

static int on_wal(void *data, sqlite3 *handle, const char *name, int frames)
{
    struct db *db = data;
    (void)handle;
    (void)name;
    db->wal_frames = frames;
    return SQLITE_OK;
}

/* ------------------------------------------------------------------ open and close */

static int configure(struct db *db)
{
    char pragmas[512];
    snprintf(pragmas, sizeof(pragmas),
             "PRAGMA cache_size = -%d; PRAGMA temp_store = MEMORY; PRAGMA mmap_size = 0;"
             "PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON;%s",
             PAGE_CACHE_KIB,
             db->mode == DB_WRITE ? "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
                                    "PRAGMA wal_autocheckpoint = 0;"
                                  : "PRAGMA query_only = ON;");
    sqlite3_busy_timeout(db->handle, BUSY_MS);
    sqlite3_extended_result_codes(db->handle, 1);
    sqlite3_db_config(db->handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    sqlite3_db_config(db->handle, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(db->handle, SQLITE_DBCONFIG_DQS_DML, 0, NULL);
    sqlite3_db_config(db->handle, SQLITE_DBCONFIG_DQS_DDL, 0, NULL);
    sqlite3_limit(db->handle, SQLITE_LIMIT_ATTACHED, 0);
    int err = map_result(db, sqlite3_exec(db->handle, pragmas, NULL, NULL, NULL), "pragmas");
    int64_t page_size = 4096;
    if (err == 0) {
        err = db_find_int(db, &page_size, "PRAGMA page_size");
    }
    if (err == 0 && db->mode == DB_WRITE) {
        char limit[64];
        snprintf(limit, sizeof(limit), "PRAGMA journal_size_limit = %d", WAL_KEEP_BYTES);
        err = map_result(db, sqlite3_exec(db->handle, limit, NULL, NULL, NULL), "pragmas");
    }
    db->page_size = (int)page_size;
    sqlite3_progress_handler(db->handle, PROGRESS_STEPS, on_progress, db);
    if (db->mode == DB_WRITE) {
        sqlite3_wal_hook(db->handle, on_wal, db);
    }
    return err;
}

/* SQLite's count of its memory costs two locks for each allocation of any thread, and nobody asks for it. */
static void configure_library(void)
{
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

int db_open(const char *path, enum db_mode mode, struct db **out)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, configure_library);
    struct db *db = mirai_alloc(sizeof(*db));
    int flags = mode == DB_WRITE ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READONLY;
    db->mode = mode;
    *out = NULL;
    int result =
        sqlite3_open_v2(path, &db->handle, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);
    int err = result == SQLITE_OK ? configure(db) : map_result(db, result, path);
    if (err != 0) {
        mirai_log(ERROR, "cannot open the database", MIRAI_LOG_Z("path", path),
                  MIRAI_LOG_Z("error", mirai_error_slug(err)));
        db_close(db);
        return err;
    }
    *out = db;
    return 0;
}

void db_close(struct db *db)
{
    if (db == NULL) {
        return;
    }
    for (size_t i = 0; i < CACHE_SLOTS; i++) {
        sqlite3_finalize(db->cache[i].stmt);
    }
    if (sqlite3_close(db->handle) != SQLITE_OK) {
        mirai_log(ERROR, "a database connection was closed with statements in use");
    }
    free(db);
}

/* ------------------------------------------------------------------ queries */

/* FNV-1a over the text: a hundred nanoseconds against the microseconds of preparing it again. */
/* FNV-1a over eight bytes at a time: statements are some hundred bytes long, and each use looks one up. */
static uint64_t hash_sql(const char *sql)
{
    uint64_t hash = 14695981039346656037u, word;
    size_t left = strlen(sql);
    for (; left >= sizeof(word); left -= sizeof(word), sql += sizeof(word)) {
        memcpy(&word, sql, sizeof(word));
        hash = (hash ^ word) * 1099511628211u;
        hash ^= hash >> 32;
    }
    word = 0;
    memcpy(&word, sql, left);
    hash = (hash ^ word) * 1099511628211u;
    return hash ^ hash >> 32;
}

/* The slot that holds the statement, or else the one to put it in: one of CACHE_WAYS neighbours, so that two
 * statements with the same hash do not drive each other out for ever. NULL: all are in use. */
static struct db_rows *find_slot(struct db *db, const char *sql, uint64_t key)
{
    struct db_rows *place = NULL;
    for (uint64_t way = 0; way < CACHE_WAYS; way++) {
        struct db_rows *rows = &db->cache[(key + way) & (CACHE_SLOTS - 1)];
        bool same = rows->stmt != NULL && rows->key == key && strcmp(sqlite3_sql(rows->stmt), sql) == 0;
        if (same) {
            return rows->busy ? NULL : rows; /* busy: a query inside the loop over itself */
        }
        if (!rows->busy && (place == NULL || (place->stmt != NULL && rows->stmt == NULL))) {
            place = rows;
        }
    }
    return place;
}

static struct db_rows *prepare(struct db *db, const char *sql)
{
    uint64_t key = hash_sql(sql);
    struct db_rows *rows = find_slot(db, sql, key);
    if (rows == NULL) {
        rows = mirai_alloc(sizeof(*rows));
        rows->temporary = true;
    } else if (rows->stmt != NULL && rows->key == key && strcmp(sqlite3_sql(rows->stmt), sql) == 0) {
        rows->busy = true;
        rows->result = SQLITE_OK;
        return rows;
    }
    sqlite3_finalize(rows->stmt);
    rows->stmt = NULL;
    rows->db = db;
    rows->key = key;
    rows->busy = true;
    rows->result = sqlite3_prepare_v3(db->handle, sql, -1, rows->temporary ? 0 : SQLITE_PREPARE_PERSISTENT,
                                      &rows->stmt, NULL);
    if (rows->result != SQLITE_OK) {
        map_result(db, rows->result, sql);
    }
    return rows;
}

static int bind(sqlite3_stmt *stmt, int index, const struct db_value *value)
{
    switch (value->kind) {
    case DB_VALUE_INT:
        return sqlite3_bind_int64(stmt, index, value->integer);
    case DB_VALUE_DOUBLE:
        return sqlite3_bind_double(stmt, index, value->real);
    case DB_VALUE_TEXT:
        return sqlite3_bind_text64(stmt, index, value->text.len > 0 ? value->text.data : "", value->text.len,
                                   SQLITE_STATIC, SQLITE_UTF8);
    case DB_VALUE_BYTES:
        return sqlite3_bind_blob64(stmt, index, value->text.len > 0 ? value->text.data : "", value->text.len,
                                   SQLITE_STATIC);
    case DB_VALUE_NULL:
    case DB_VALUE_END:
        break;
    }
    return sqlite3_bind_null(stmt, index);
}

struct db_rows *db_query_values(struct db *db, const char *sql, const struct db_value *values)
{
    struct db_rows *rows = prepare(db, sql);
    for (int i = 0; values[i].kind != DB_VALUE_END && rows->result == SQLITE_OK; i++) {
        rows->result = bind(rows->stmt, i + 1, &values[i]);
    }
    return rows;
}

bool db_next(struct db_rows *rows)
{
    if (rows->result != SQLITE_OK && rows->result != SQLITE_ROW) {
        return false;
    }
    rows->result = sqlite3_step(rows->stmt);
    return rows->result == SQLITE_ROW;
}

int db_end(struct db_rows *rows)
{
    struct db *db = rows->db;
    int err = map_result(db, rows->result, rows->stmt != NULL ? sqlite3_sql(rows->stmt) : NULL);
    if (rows->stmt != NULL) {
        sqlite3_reset(rows->stmt);
        sqlite3_clear_bindings(rows->stmt);
    }
    rows->busy = false;
    if (rows->temporary) {
        sqlite3_finalize(rows->stmt);
        free(rows);
    }
    return err;
}

int64_t db_int(struct db_rows *rows, int column)
{
    return sqlite3_column_int64(rows->stmt, column);
}

double db_double(struct db_rows *rows, int column)
{
    return sqlite3_column_double(rows->stmt, column);
}

bool db_is_null(struct db_rows *rows, int column)
{
    return sqlite3_column_type(rows->stmt, column) == SQLITE_NULL;
}

struct mirai_str db_text(struct db_rows *rows, int column)
{
    const char *data = sqlite3_column_blob(rows->stmt, column);
    return (struct mirai_str){data, (size_t)sqlite3_column_bytes(rows->stmt, column)};
}

struct mirai_str db_text_copy(struct db_rows *rows, int column, struct mirai_arena *arena)
{
    return mirai_arena_copy(arena, db_text(rows, column));
}

int db_exec_values(struct db *db, const char *sql, const struct db_value *values)
{
    struct db_rows *rows = db_query_values(db, sql, values);
    while (db_next(rows)) {
    }
    return db_end(rows);
}

int db_find_int_values(struct db *db, int64_t *out, const char *sql, const struct db_value *values)
{
    struct db_rows *rows = db_query_values(db, sql, values);
    bool found = db_next(rows);
    if (found) {
        *out = db_int(rows, 0);
    }
    int err = db_end(rows);
    return err == 0 && !found ? MIRAI_E_NOT_FOUND : err;
}

int64_t db_last_id(struct db *db)
{
    return sqlite3_last_insert_rowid(db->handle);
}

int64_t db_rows_changed(struct db *db)
{
    return sqlite3_changes64(db->handle);
}

int db_run_script(struct db *db, const char *sql)
{
    return map_result(db, sqlite3_exec(db->handle, sql, NULL, NULL, NULL), "script");
}

void db_interrupt_after(struct db *db, uint64_t monotonic_ms)
{
    db->interrupt_after_ms = monotonic_ms;
}

/* ------------------------------------------------------------------ transactions */

int db_begin_read(struct db *db)
{
    return db_exec(db, "BEGIN");
}

int db_begin_write(struct db *db)
{
    return db_exec(db, "BEGIN IMMEDIATE");
}

int db_commit(struct db *db)
{
    return db_exec(db, "COMMIT");
}

void db_rollback(struct db *db)
{
    if (db_in_transaction(db)) {
        db_exec(db, "ROLLBACK");
    }
}

bool db_in_transaction(struct db *db)
{
    return sqlite3_get_autocommit(db->handle) == 0;
}

int db_savepoint(struct db *db)
{
    return db_exec(db, "SAVEPOINT op");
}

int db_savepoint_release(struct db *db)
{
    return db_exec(db, "RELEASE op");
}

void db_savepoint_rollback(struct db *db)
{
    if (db_in_transaction(db)) {
        db_exec(db, "ROLLBACK TO op");
        db_exec(db, "RELEASE op");
    }
}

/* ------------------------------------------------------------------ files */

int64_t db_wal_bytes(const struct db *db)
{
    return db->wal_frames > 0 ? WAL_HEADER_BYTES + (int64_t)db->wal_frames * (db->page_size + WAL_FRAME_BYTES)
                              : 0;
}

int db_checkpoint(struct db *db, enum db_checkpoint how, unsigned wait_ms)
{
    int frames = 0, done = 0;
    sqlite3_busy_timeout(db->handle, how == DB_CHECKPOINT_TRUNCATE ? (int)wait_ms : 0);
    int result = sqlite3_wal_checkpoint_v2(db->handle, NULL,
                                           how == DB_CHECKPOINT_TRUNCATE ? SQLITE_CHECKPOINT_TRUNCATE
                                                                         : SQLITE_CHECKPOINT_PASSIVE,
                                           &frames, &done);
    sqlite3_busy_timeout(db->handle, BUSY_MS);
    if ((result & 0xff) == SQLITE_BUSY) {
        return MIRAI_E_CONFLICT;
    }
    if (result != SQLITE_OK) {
        return map_result(db, result, "checkpoint");
    }
    /* All of it is in the database: the next commit begins the log anew. */
    db->wal_frames = done >= frames ? 0 : frames;
    return done >= frames ? 0 : MIRAI_E_CONFLICT;
}

/* The copy is one file on its own: no WAL, everything on the disk. */
static int finish_copy(sqlite3 *copy, const char *path)
{
    int result = sqlite3_exec(copy, "PRAGMA journal_mode = DELETE", NULL, NULL, NULL);
    if (result != SQLITE_OK || sqlite3_close(copy) != SQLITE_OK) {
        return MIRAI_E_INTERNAL;
    }
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    int err = fd >= 0 && fsync(fd) == 0 ? 0 : MIRAI_E_INTERNAL;
    if (fd >= 0) {
        close(fd);
    }
    return err;
}

int db_copy(struct db *db, const char *path)
{
    sqlite3 *copy = NULL;
    int err = MIRAI_E_INTERNAL;
    if (sqlite3_open_v2(path, &copy, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_EXRESCODE,
                        NULL) == SQLITE_OK) {
        sqlite3_exec(copy, "PRAGMA synchronous = OFF; PRAGMA cache_size = -1024", NULL, NULL, NULL);
        sqlite3_backup *backup = sqlite3_backup_init(copy, "main", db->handle, "main");
        if (backup != NULL) {
            sqlite3_backup_step(backup, -1);
            sqlite3_backup_finish(backup);
        }
        switch (sqlite3_errcode(copy) & 0xff) {
        case SQLITE_OK:
        case SQLITE_DONE:
            err = finish_copy(copy, path);
            copy = NULL;
            break;
        case SQLITE_FULL:
            err = MIRAI_E_NO_SPACE;
            break;
        default:
            err = sqlite3_system_errno(copy) == ENOSPC ? MIRAI_E_NO_SPACE : MIRAI_E_INTERNAL;
            mirai_log(ERROR, "cannot copy the database", MIRAI_LOG_Z("reason", sqlite3_errmsg(copy)));
            break;
        }
    }
    sqlite3_close(copy);
    return err;
}

int db_check(struct db *db)
{
    int err = MIRAI_E_INTERNAL;
    struct db_rows *rows = db_query(db, "PRAGMA quick_check(1)");
    if (db_next(rows) && mirai_str_eq(db_text(rows, 0), MIRAI_STR("ok"))) {
        err = 0;
    } else {
        mirai_log(ERROR, "the database is damaged");
    }
    int end = db_end(rows);
    return end != 0 ? end : err;
}
