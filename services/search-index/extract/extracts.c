#include "services/search-index/extract/extracts.h"

#include "libcommon/error.h"
#include "libcommon/log.h"
#include "libcommon/time.h"

#include <limits.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <zstd.h>

#define LEVEL        3
#define USED_STEP_MS 3600000 /* a use within it is not written down again */
#define ROW_BYTES    256     /* what a row costs beside its text */
#define EVICT_MAX    64      /* rows that make room at once */

/* Heads of frames beside the text. */
#define PACKED_MAX (EXTRACT_TEXT_MAX + (EXTRACT_PAGES_MAX + 1) * EXTRACT_HEAD)

#define VERSION    1 /* of this file's form */

struct extracts {
    pthread_mutex_t lock;
    sqlite3 *db;
    sqlite3_stmt *find;
    sqlite3_stmt *used;
    sqlite3_stmt *put;
    sqlite3_stmt *evict;
    sqlite3_stmt *expire;
    sqlite3_stmt *sum;
    int64_t bytes;
    int64_t max_bytes;
    char by[120]; /* who reads: revision and limits */
};

static const char schema[] =
    "CREATE TABLE IF NOT EXISTS extracts("
    " sha256 BLOB PRIMARY KEY CHECK(length(sha256) = 32), outcome TEXT NOT NULL, made_by TEXT NOT NULL,"
    " used_at INTEGER NOT NULL, cost INTEGER NOT NULL, text BLOB) WITHOUT ROWID;"
    "CREATE INDEX IF NOT EXISTS extracts_used ON extracts(used_at, sha256, cost);";

static const struct {
    size_t at;
    const char *sql;
} statements[] = {
    {offsetof(struct extracts, find),
     "SELECT outcome, made_by, used_at, text FROM extracts WHERE sha256 = ?1"},
    {offsetof(struct extracts, used), "UPDATE extracts SET used_at = ?2 WHERE sha256 = ?1"},
    {offsetof(struct extracts, put), "INSERT OR REPLACE INTO extracts(sha256, outcome, made_by, used_at, "
                                     "cost, text) VALUES(?1, ?2, ?3, ?4, ?5, ?6)"},
    {offsetof(struct extracts, evict),
     "DELETE FROM extracts WHERE sha256 IN (SELECT sha256 FROM extracts ORDER BY used_at LIMIT ?1)"},
    {offsetof(struct extracts, expire), "DELETE FROM extracts WHERE used_at < ?1"},
    {offsetof(struct extracts, sum), "SELECT coalesce(sum(cost), 0) FROM extracts"},
};
#define STATEMENTS (sizeof(statements) / sizeof(statements[0]))

static sqlite3_stmt **statement(struct extracts *extracts, size_t at)
{
    return (sqlite3_stmt **)(void *)((char *)extracts + statements[at].at);
}

static int fault(struct extracts *extracts, const char *what)
{
    int code = sqlite3_errcode(extracts->db);
    mirai_log(ERROR, "the cache of attachments' texts fails", MIRAI_LOG_Z("what", what),
              MIRAI_LOG_Z("reason", sqlite3_errmsg(extracts->db)));
    return code == SQLITE_FULL ? MIRAI_E_NO_SPACE : MIRAI_E_INTERNAL;
}

/* ------------------------------------------------------------------ open */

static void close_db(struct extracts *extracts)
{
    for (size_t i = 0; i < STATEMENTS; i++) {
        sqlite3_finalize(*statement(extracts, i));
        *statement(extracts, i) = NULL;
    }
    sqlite3_close(extracts->db);
    extracts->db = NULL;
}

static int64_t one_number(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *row = NULL;
    int64_t value = -1;
    if (sqlite3_prepare_v2(db, sql, -1, &row, NULL) == SQLITE_OK && sqlite3_step(row) == SQLITE_ROW) {
        value = sqlite3_column_int64(row, 0);
    }
    sqlite3_finalize(row);
    return value;
}

static int64_t sum(struct extracts *extracts)
{
    int64_t bytes = sqlite3_step(extracts->sum) == SQLITE_ROW ? sqlite3_column_int64(extracts->sum, 0) : -1;
    sqlite3_reset(extracts->sum);
    return bytes;
}

static bool open_db(struct extracts *extracts, const char *path)
{
    static const char setup[] = "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA cache_size=-512;"
                                "PRAGMA journal_size_limit=8388608; PRAGMA secure_delete=ON;";
    char version[40];
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    if (sqlite3_open_v2(path, &extracts->db, flags, NULL) != SQLITE_OK) {
        return false;
    }
    sqlite3_extended_result_codes(extracts->db, 1);
    int64_t found = one_number(extracts->db, "PRAGMA user_version");
    snprintf(version, sizeof(version), "PRAGMA user_version=%d", VERSION);
    if ((found != 0 && found != VERSION) ||
        sqlite3_exec(extracts->db, setup, NULL, NULL, NULL) != SQLITE_OK ||
        sqlite3_exec(extracts->db, schema, NULL, NULL, NULL) != SQLITE_OK ||
        sqlite3_exec(extracts->db, version, NULL, NULL, NULL) != SQLITE_OK) {
        return false;
    }
    for (size_t i = 0; i < STATEMENTS; i++) {
        if (sqlite3_prepare_v3(extracts->db, statements[i].sql, -1, SQLITE_PREPARE_PERSISTENT,
                               statement(extracts, i), NULL) != SQLITE_OK) {
            return false;
        }
    }
    extracts->bytes = sum(extracts);
    return extracts->bytes >= 0;
}

static void remove_files(const char *path)
{
    static const char *const endings[] = {"", "-wal", "-shm", "-journal"};
    char name[PATH_MAX];
    for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
        snprintf(name, sizeof(name), "%s%s", path, endings[i]);
        unlink(name);
    }
}

int extracts_open(const char *path, int64_t max_bytes, const char *limits, struct extracts **out)
{
    struct extracts *extracts = mirai_alloc(sizeof(*extracts));
    pthread_mutex_init(&extracts->lock, NULL);
    extracts->max_bytes = max_bytes;
    snprintf(extracts->by, sizeof(extracts->by), "%d %s", EXTRACTS_REVISION, limits);
    *out = extracts;
    if (open_db(extracts, path)) {
        return 0;
    }
    mirai_log(WARNING, "the cache of attachments' texts is damaged or of another version; beginning anew",
              MIRAI_LOG_Z("path", path), MIRAI_LOG_Z("reason", sqlite3_errmsg(extracts->db)));
    close_db(extracts);
    remove_files(path);
    if (open_db(extracts, path)) {
        return 0;
    }
    int err = fault(extracts, "open");
    extracts_close(extracts);
    *out = NULL;
    return err;
}

void extracts_close(struct extracts *extracts)
{
    if (extracts != NULL) {
        close_db(extracts);
        pthread_mutex_destroy(&extracts->lock);
        free(extracts);
    }
}

/* ------------------------------------------------------------------ rows */

static bool outcome_of(const char *name, enum extract_outcome *out)
{
    for (unsigned i = 0; name != NULL && i < EXTRACT_OUTCOME_COUNT; i++) {
        if (strcmp(name, extract_outcome_name((enum extract_outcome)i)) == 0) {
            *out = (enum extract_outcome)i;
            return true;
        }
    }
    return false;
}

static int unpack(struct mirai_str compressed, struct mirai_arena *arena, struct mirai_str *out)
{
    unsigned long long size = ZSTD_getFrameContentSize(compressed.data, compressed.len);
    if (compressed.len == 0) {
        *out = (struct mirai_str){NULL, 0};
        return 0;
    }
    if (size > PACKED_MAX) { /* unknown and damaged ones, too */
        return MIRAI_E_NOT_FOUND;
    }
    char *room = mirai_arena_alloc(arena, (size_t)size + 1);
    *out = (struct mirai_str){room, (size_t)size};
    return ZSTD_decompress(room, (size_t)size, compressed.data, compressed.len) == size ? 0
                                                                                        : MIRAI_E_NOT_FOUND;
}

static int note_use(struct extracts *extracts, const unsigned char *hash, int64_t used_at)
{
    int64_t now = mirai_now_ms();
    if (now - used_at < USED_STEP_MS && used_at <= now) {
        return 0;
    }
    sqlite3_bind_blob(extracts->used, 1, hash, 32, SQLITE_STATIC);
    sqlite3_bind_int64(extracts->used, 2, now);
    int rc = sqlite3_step(extracts->used);
    int err = rc == SQLITE_DONE ? 0 : fault(extracts, "use");
    sqlite3_reset(extracts->used);
    return err;
}

/* The row of the statement `find`, which stands on it. */
static int take_row(struct extracts *extracts, struct mirai_arena *arena, struct extracts_text *out)
{
    const char *made_by = (const char *)sqlite3_column_text(extracts->find, 1);
    if (!outcome_of((const char *)sqlite3_column_text(extracts->find, 0), &out->outcome)) {
        return MIRAI_E_NOT_FOUND;
    }
    bool whole = out->outcome == EXTRACT_DONE || out->outcome == EXTRACT_CUT;
    if (!whole && strcmp(made_by, extracts->by) != 0) {
        return MIRAI_E_NOT_FOUND;
    }
    struct mirai_str text = {sqlite3_column_blob(extracts->find, 3),
                             (size_t)sqlite3_column_bytes(extracts->find, 3)};
    return unpack(text, arena, &out->packed);
}

int extracts_find(struct extracts *extracts, struct mirai_str sha256, struct mirai_arena *arena,
                  struct extracts_text *out)
{
    unsigned char hash[32];
    int64_t used_at = 0;
    if (mirai_unhex(hash, sizeof(hash), sha256) != 0) {
        return MIRAI_E_NOT_FOUND;
    }
    pthread_mutex_lock(&extracts->lock);
    sqlite3_bind_blob(extracts->find, 1, hash, sizeof(hash), SQLITE_STATIC);
    int rc = sqlite3_step(extracts->find);
    int err = rc == SQLITE_DONE ? MIRAI_E_NOT_FOUND : 0;
    if (rc == SQLITE_ROW) {
        used_at = sqlite3_column_int64(extracts->find, 2);
        err = take_row(extracts, arena, out);
    } else if (rc != SQLITE_DONE) {
        err = fault(extracts, "find");
    }
    sqlite3_reset(extracts->find);
    if (err == 0) {
        note_use(extracts, hash, used_at); /* a use that is not noted costs little */
    }
    pthread_mutex_unlock(&extracts->lock);
    return err;
}

/* Until `more` bytes fit. */
static int make_room(struct extracts *extracts, int64_t more)
{
    while (extracts->bytes > 0 && extracts->bytes + more > extracts->max_bytes) {
        sqlite3_bind_int(extracts->evict, 1, EVICT_MAX);
        int rc = sqlite3_step(extracts->evict);
        sqlite3_reset(extracts->evict);
        extracts->bytes = sum(extracts);
        if (rc != SQLITE_DONE || extracts->bytes < 0) {
            return fault(extracts, "evict");
        }
    }
    return 0;
}

static int put_row(struct extracts *extracts, const unsigned char *hash, enum extract_outcome outcome,
                   struct mirai_str compressed)
{
    int64_t cost = (int64_t)compressed.len + ROW_BYTES;
    int err = make_room(extracts, cost);
    if (err != 0) {
        return err;
    }
    sqlite3_bind_blob(extracts->put, 1, hash, 32, SQLITE_STATIC);
    sqlite3_bind_text(extracts->put, 2, extract_outcome_name(outcome), -1, SQLITE_STATIC);
    sqlite3_bind_text(extracts->put, 3, extracts->by, -1, SQLITE_STATIC);
    sqlite3_bind_int64(extracts->put, 4, mirai_now_ms());
    sqlite3_bind_int64(extracts->put, 5, cost);
    sqlite3_bind_blob64(extracts->put, 6, compressed.data, compressed.len, SQLITE_STATIC);
    err = sqlite3_step(extracts->put) == SQLITE_DONE ? 0 : fault(extracts, "put");
    sqlite3_reset(extracts->put);
    sqlite3_clear_bindings(extracts->put);
    extracts->bytes += cost; /* too much where a row was replaced; summed up anew when room is made */
    return err;
}

int extracts_put(struct extracts *extracts, struct mirai_str sha256, const struct extracts_text *text)
{
    unsigned char hash[32];
    if (mirai_unhex(hash, sizeof(hash), sha256) != 0 || text->packed.len > PACKED_MAX) {
        return MIRAI_E_INVALID;
    }
    struct mirai_buf compressed = {0};
    if (text->packed.len > 0) {
        mirai_buf_reserve(&compressed, ZSTD_compressBound(text->packed.len));
        compressed.len =
            ZSTD_compress(compressed.data, compressed.cap, text->packed.data, text->packed.len, LEVEL);
    }
    if (ZSTD_isError(compressed.len)) {
        mirai_buf_free(&compressed);
        return MIRAI_E_INTERNAL;
    }
    pthread_mutex_lock(&extracts->lock);
    int err = put_row(extracts, hash, text->outcome, mirai_buf_str(&compressed));
    pthread_mutex_unlock(&extracts->lock);
    mirai_buf_free(&compressed);
    return err;
}

int extracts_expire(struct extracts *extracts, int64_t ms)
{
    pthread_mutex_lock(&extracts->lock);
    sqlite3_bind_int64(extracts->expire, 1, ms - USED_STEP_MS);
    int rc = sqlite3_step(extracts->expire);
    int err = rc == SQLITE_DONE ? 0 : fault(extracts, "expire");
    sqlite3_reset(extracts->expire);
    extracts->bytes = sum(extracts);
    pthread_mutex_unlock(&extracts->lock);
    return err;
}

int64_t extracts_bytes(struct extracts *extracts)
{
    pthread_mutex_lock(&extracts->lock);
    int64_t bytes = extracts->bytes;
    pthread_mutex_unlock(&extracts->lock);
    return bytes;
}
