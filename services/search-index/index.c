#include "services/search-index/index_internal.h"

#include "libcommon/log.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Layout of the file; a file of another layout is rebuilt. */
#define INDEX_LAYOUT 2
#define USER_VERSION (INDEX_LAYOUT * 1000 + ANALYZER_VERSION)

static const char schema[] =
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;"
    /* what the catalogue is loaded from, apart from the texts so that loading does not read them */
    "CREATE TABLE documents (doc INTEGER PRIMARY KEY, id INTEGER NOT NULL, type INTEGER NOT NULL,"
    " status INTEGER NOT NULL, visibility INTEGER NOT NULL, space_id INTEGER NOT NULL,"
    " group_id INTEGER NOT NULL, owner_id INTEGER NOT NULL, updated_at INTEGER NOT NULL,"
    " tags TEXT NOT NULL) STRICT;"
    "CREATE TABLE texts (doc INTEGER PRIMARY KEY, slug TEXT NOT NULL, title TEXT NOT NULL,"
    " summary TEXT NOT NULL, tags TEXT NOT NULL, body TEXT NOT NULL) STRICT;"
    "CREATE TABLE suggestions (key TEXT NOT NULL, doc INTEGER NOT NULL, kind INTEGER NOT NULL,"
    " text TEXT NOT NULL, PRIMARY KEY (key, doc, kind)) STRICT, WITHOUT ROWID;"
    "CREATE INDEX suggestions_doc ON suggestions (doc);" POSTINGS_TABLE ";"
    /* index_tidy() merges any two segments of a level */
    "INSERT INTO postings (postings, rank) VALUES ('usermerge', 2);";

static const char *const statements[SQL_COUNT] = {
    [SQL_BEGIN] = "BEGIN IMMEDIATE",
    /* A savepoint makes FTS5 write its terms from memory to the file: work that is then not done under the
       lock. */
    [SQL_FLUSH] = "SAVEPOINT flush",
    [SQL_FLUSHED] = "RELEASE flush",
    [SQL_COMMIT] = "COMMIT",
    [SQL_ROLLBACK] = "ROLLBACK",
    [SQL_META_PUT] = "INSERT OR REPLACE INTO meta (name, value) VALUES (?1, ?2)",
    [SQL_TEXT_GET] = "SELECT slug, title, summary, tags, body FROM texts WHERE doc = ?1",
    [SQL_TEXT_PUT] = "INSERT OR REPLACE INTO texts VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    [SQL_TEXT_DELETE] = "DELETE FROM texts WHERE doc = ?1",
    [SQL_DOCUMENT_PUT] = "INSERT OR REPLACE INTO documents VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    [SQL_DOCUMENT_DELETE] = "DELETE FROM documents WHERE doc = ?1",
    [SQL_SUGGEST_PUT] = "INSERT OR IGNORE INTO suggestions (key, doc, kind, text) VALUES (?1, ?2, ?3, ?4)",
    [SQL_SUGGEST_DELETE] = "DELETE FROM suggestions WHERE doc = ?1",
    [SQL_POSTINGS_ADD] = "INSERT INTO postings (rowid, terms) VALUES (?1, ?2)",
    [SQL_POSTINGS_DELETE] = "INSERT INTO postings (postings, rowid, terms) VALUES ('delete', ?1, ?2)",
    [SQL_POSTINGS_MERGE] = "INSERT INTO postings (postings, rank) VALUES ('merge', 64)",
};

int index_run(struct index *index, enum statement which)
{
    sqlite3_stmt *statement = index->statements[which];
    int rc = sqlite3_step(statement);
    int reset = sqlite3_reset(statement);
    return rc == SQLITE_DONE || rc == SQLITE_ROW ? reset : rc;
}

void index_bind_str(sqlite3_stmt *statement, int at, struct mirai_str s)
{
    sqlite3_bind_text64(statement, at, s.len != 0 ? s.data : "", s.len, SQLITE_STATIC, SQLITE_UTF8);
}

struct mirai_str index_column_str(sqlite3_stmt *statement, int at)
{
    const char *data = (const char *)sqlite3_column_text(statement, at);
    return (struct mirai_str){data, (size_t)sqlite3_column_bytes(statement, at)};
}

size_t index_split_tags(struct mirai_str joined, struct mirai_str tags[INDEX_TAGS_MAX])
{
    size_t count = 0;
    const char *end = joined.len != 0 ? joined.data + joined.len : joined.data;
    for (const char *p = joined.data; p < end && count < INDEX_TAGS_MAX;) {
        const char *newline = memchr(p, '\n', (size_t)(end - p));
        const char *stop = newline != NULL ? newline : end;
        tags[count++] = (struct mirai_str){p, (size_t)(stop - p)};
        p = stop + 1;
    }
    return count;
}

int index_fault(struct index *index, int sqlite_code, const char *where)
{
    int code = sqlite_code & 0xFF;
    if (code == SQLITE_INTERRUPT) {
        return MIRAI_E_DEADLINE;
    }
    mirai_log(ERROR, "index file failed", MIRAI_LOG_Z("where", where),
              MIRAI_LOG_Z("error", sqlite3_errstr(sqlite_code)));
    if (code == SQLITE_CORRUPT || code == SQLITE_NOTADB) {
        atomic_store(&index->damaged, true);
        return MIRAI_E_INVALID;
    }
    return code == SQLITE_FULL ? MIRAI_E_NO_SPACE : MIRAI_E_INTERNAL;
}

static int on_wal(void *data, sqlite3 *db, const char *name, int pages)
{
    (void)db;
    (void)name;
    ((struct index *)data)->wal_pages = pages;
    return SQLITE_OK;
}

static int connect_writer(struct index *index, const char *path, int flags, const char *pragmas)
{
    int rc = sqlite3_open_v2(path, &index->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | flags, NULL);
    if (rc == SQLITE_OK) {
        sqlite3_busy_timeout(index->db, 1000);
        rc = sqlite3_exec(index->db, pragmas, NULL, NULL, NULL);
    }
    if (rc == SQLITE_OK) {
        rc = postings_register(index->db, &index->scan);
    }
    sqlite3_wal_hook(index->db, on_wal, index);
    return rc;
}

static int prepare_all(struct index *index)
{
    int rc = SQLITE_OK;
    for (int i = 0; rc == SQLITE_OK && i < SQL_COUNT; i++) {
        rc = sqlite3_prepare_v3(index->db, statements[i], -1, SQLITE_PREPARE_PERSISTENT,
                                &index->statements[i], NULL);
    }
    return rc;
}

static void disconnect_writer(struct index *index)
{
    for (int i = 0; i < SQL_COUNT; i++) {
        sqlite3_finalize(index->statements[i]);
        index->statements[i] = NULL;
    }
    sqlite3_close(index->db);
    index->db = NULL;
}

static struct index *index_new(const char *path, struct analyzer_model *model)
{
    struct index *index = mirai_alloc(sizeof(*index));
    index->path = mirai_str_dup(mirai_str(path));
    index->catalog = catalog_new();
    index->analyzer = analyzer_new(model);
    index->terms = index->analyzer != NULL ? terms_new(index->analyzer) : NULL;
    return index;
}

void index_close(struct index *index)
{
    if (index == NULL) {
        return;
    }
    disconnect_writer(index);
    terms_free(index->terms);
    analyzer_free(index->analyzer);
    catalog_free(index->catalog);
    mirai_buf_free(&index->encoded);
    mirai_buf_free(&index->tags);
    mirai_buf_free(&index->summary);
    normalized_free(&index->key);
    free(index->batch);
    free(index->batch_docs);
    free(index->path);
    free(index);
}

int index_create(const char *path, struct analyzer_model *model, struct index **out)
{
    struct index *index = index_new(path, model);
    unlink(path);
    int rc = index->terms == NULL
                 ? SQLITE_NOMEM
                 : connect_writer(index, path, SQLITE_OPEN_CREATE,
                                  "PRAGMA page_size=4096; PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF;"
                                  "PRAGMA locking_mode=EXCLUSIVE; PRAGMA secure_delete=OFF;");
    if (rc == SQLITE_OK) {
        char version[64];
        snprintf(version, sizeof(version), "PRAGMA user_version=%d", USER_VERSION);
        rc = sqlite3_exec(index->db, schema, NULL, NULL, NULL);
        rc = rc == SQLITE_OK ? sqlite3_exec(index->db, version, NULL, NULL, NULL) : rc;
    }
    rc = rc == SQLITE_OK ? prepare_all(index) : rc;
    if (rc != SQLITE_OK) {
        int err = index_fault(index, rc, "create");
        index_close(index);
        return err;
    }
    *out = index;
    return 0;
}

/* Reopen for service: readers beside, commits without fsync, checkpoints (with fsync) at our own time. */
static int connect_published(struct index *index)
{
    int rc = connect_writer(
        index, index->path, 0,
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA wal_autocheckpoint=0;"
        "PRAGMA journal_size_limit=8388608; PRAGMA secure_delete=OFF; PRAGMA cache_size=-1024;");
    /* wal_autocheckpoint replaces the hook */
    sqlite3_wal_hook(index->db, on_wal, index);
    return rc == SQLITE_OK ? prepare_all(index) : rc;
}

static int sync_path(const char *path, int flags)
{
    int fd = open(path, flags | O_CLOEXEC);
    int rc = fd >= 0 ? fsync(fd) : -1;
    if (fd >= 0) {
        close(fd);
    }
    return rc;
}

int index_publish(struct index *index, const char *path)
{
    /* one segment: a third faster to search than what many commits leave */
    int merged =
        sqlite3_exec(index->db, "INSERT INTO postings (postings) VALUES ('optimize')", NULL, NULL, NULL);
    if (merged != SQLITE_OK) {
        return index_fault(index, merged, "optimize");
    }
    disconnect_writer(index);
    if (sync_path(index->path, O_RDONLY) != 0 || rename(index->path, path) != 0) {
        mirai_log(ERROR, "new index cannot be put into place", MIRAI_LOG_Z("path", path));
        return MIRAI_E_INTERNAL;
    }
    free(index->path);
    index->path = mirai_str_dup(mirai_str(path));
    char *slash = strrchr(index->path, '/');
    if (slash != NULL) {
        *slash = '\0';
        sync_path(index->path, O_RDONLY | O_DIRECTORY);
        *slash = '/';
    }
    int rc = connect_published(index);
    return rc == SQLITE_OK ? 0 : index_fault(index, rc, "publish");
}

static int load_meta(struct index *index)
{
    sqlite3_stmt *statement = NULL;
    int version = 0;
    int rc =
        sqlite3_prepare_v2(index->db, "SELECT user_version FROM pragma_user_version", -1, &statement, NULL);
    if (rc == SQLITE_OK && (rc = sqlite3_step(statement)) == SQLITE_ROW) {
        version = sqlite3_column_int(statement, 0);
    }
    sqlite3_finalize(statement);
    if (version != USER_VERSION) {
        return rc == SQLITE_ROW ? SQLITE_MISMATCH : rc;
    }
    rc = sqlite3_prepare_v2(
        index->db,
        "SELECT (SELECT value FROM meta WHERE name = 'epoch'), (SELECT value FROM meta WHERE name = 'seq')",
        -1, &statement, NULL);
    if (rc == SQLITE_OK && (rc = sqlite3_step(statement)) == SQLITE_ROW) {
        struct mirai_str epoch = index_column_str(statement, 0);
        if (epoch.len < sizeof(index->position.epoch)) {
            memcpy(index->position.epoch, epoch.len != 0 ? epoch.data : "", epoch.len);
        }
        index->position.seq = sqlite3_column_int64(statement, 1);
    }
    sqlite3_finalize(statement);
    return rc == SQLITE_ROW ? SQLITE_OK : rc;
}

static int load_catalog(struct index *index)
{
    sqlite3_stmt *statement = NULL;
    int rc = sqlite3_prepare_v2(
        index->db,
        "SELECT doc, id, type, status, visibility, space_id, group_id, owner_id, updated_at, tags"
        " FROM documents ORDER BY doc",
        -1, &statement, NULL);
    while (rc == SQLITE_OK && (rc = sqlite3_step(statement)) == SQLITE_ROW) {
        int64_t doc = sqlite3_column_int64(statement, 0);
        const struct catalog_entry entry = {
            .id = sqlite3_column_int64(statement, 1),
            .type = (uint8_t)sqlite3_column_int(statement, 2),
            .status = (uint8_t)sqlite3_column_int(statement, 3),
            .visibility = (uint8_t)sqlite3_column_int(statement, 4),
            .space_id = sqlite3_column_int64(statement, 5),
            .group_id = sqlite3_column_int64(statement, 6),
            .owner_id = sqlite3_column_int64(statement, 7),
            .updated_at = sqlite3_column_int64(statement, 8),
        };
        if (doc < 1 || doc > INT32_MAX || entry.id == 0 || catalog_doc(index->catalog, entry.id) != 0) {
            rc = SQLITE_CORRUPT;
            break;
        }
        struct mirai_str tags[INDEX_TAGS_MAX];
        size_t count = index_split_tags(index_column_str(statement, 9), tags);
        catalog_put(index->catalog, (uint32_t)doc, &entry, tags, count);
        rc = SQLITE_OK;
    }
    sqlite3_finalize(statement);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

/* Reads the inverted index's root: damage there shows at start and not in the first search. */
static int probe_postings(struct index *index)
{
    return sqlite3_exec(index->db, "SELECT rowid FROM postings WHERE postings MATCH '\"mirai\"' LIMIT 1",
                        NULL, NULL, NULL);
}

int index_open(const char *path, struct analyzer_model *model, struct index **out)
{
    struct index *index = index_new(path, model);
    int rc = index->terms == NULL ? SQLITE_NOMEM : connect_published(index);
    rc = rc == SQLITE_OK ? load_meta(index) : rc;
    rc = rc == SQLITE_OK ? load_catalog(index) : rc;
    rc = rc == SQLITE_OK ? probe_postings(index) : rc;
    if (rc != SQLITE_OK) {
        mirai_log(WARNING, "index file is unusable and will be rebuilt", MIRAI_LOG_Z("path", path),
                  MIRAI_LOG_Z("reason", sqlite3_errstr(rc)));
        index_close(index);
        return MIRAI_E_INVALID;
    }
    *out = index;
    return 0;
}

struct index_position index_position(const struct index *index)
{
    return index->position;
}

struct catalog *index_catalog(const struct index *index)
{
    return index->catalog;
}

const char *index_path(const struct index *index)
{
    return index->path;
}

bool index_damaged(const struct index *index)
{
    return atomic_load(&index->damaged);
}

/* ------------------------------------------------------------------ readers */

int index_reader_open(struct index *index, struct index_reader **out)
{
    struct index_reader *reader = mirai_alloc(sizeof(*reader));
    reader->index = index;
    int rc = sqlite3_open_v2(index->path, &reader->db, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL);
    if (rc == SQLITE_OK) {
        sqlite3_busy_timeout(reader->db, 1000);
        rc = sqlite3_exec(reader->db, "PRAGMA query_only=ON; PRAGMA cache_size=-2048;", NULL, NULL, NULL);
    }
    rc = rc == SQLITE_OK ? postings_register(reader->db, &reader->scan) : rc;
    rc = rc == SQLITE_OK ? sqlite3_prepare_v3(reader->db, statements[SQL_TEXT_GET], -1,
                                              SQLITE_PREPARE_PERSISTENT, &reader->text, NULL)
                         : rc;
    rc = rc == SQLITE_OK
             ? sqlite3_prepare_v3(reader->db,
                                  "SELECT key, doc, kind, text FROM suggestions WHERE key >= ?1 AND key < ?2"
                                  " ORDER BY key, doc, kind LIMIT ?3",
                                  -1, SQLITE_PREPARE_PERSISTENT, &reader->suggest, NULL)
             : rc;
    if (rc != SQLITE_OK) {
        int err = index_fault(index, rc, "open reader");
        index_reader_close(reader);
        return err;
    }
    *out = reader;
    return 0;
}

void index_reader_close(struct index_reader *reader)
{
    if (reader != NULL) {
        sqlite3_finalize(reader->text);
        sqlite3_finalize(reader->suggest);
        sqlite3_close(reader->db);
        free(reader);
    }
}
