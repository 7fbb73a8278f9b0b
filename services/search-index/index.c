#include "services/search-index/index_internal.h"

#include "libcommon/log.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Layout of the files; an index of another layout is rebuilt. */
#define INDEX_LAYOUT 2
#define USER_VERSION (INDEX_LAYOUT * 1000 + ANALYZER_VERSION)

/* Bytes of a body; what claims to be longer is damaged. */
#define BODY_MAX (64u << 20)

static const char schema[] =
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;"
    /* what the catalogue is loaded from, apart from the texts so that loading does not read them */
    "CREATE TABLE documents (slot INTEGER PRIMARY KEY, id INTEGER NOT NULL, version INTEGER NOT NULL,"
    " parent INTEGER NOT NULL, attachment_id INTEGER NOT NULL, page INTEGER NOT NULL, type INTEGER NOT NULL,"
    " status INTEGER NOT NULL, visibility INTEGER NOT NULL, space_id INTEGER NOT NULL,"
    " group_id INTEGER NOT NULL, owner_id INTEGER NOT NULL, updated_at INTEGER NOT NULL,"
    " tags TEXT NOT NULL, owner TEXT NOT NULL) STRICT;"
    "CREATE INDEX documents_parent ON documents (parent) WHERE parent <> 0;"
    /* body: packed (zstd) when packed_from, its length before, is not 0 */
    "CREATE TABLE texts (slot INTEGER PRIMARY KEY, version INTEGER NOT NULL, slug TEXT NOT NULL,"
    " title TEXT NOT NULL, summary TEXT NOT NULL, tags TEXT NOT NULL, body BLOB NOT NULL,"
    " packed_from INTEGER NOT NULL, hash INTEGER NOT NULL, files_hash INTEGER NOT NULL) STRICT;"
    "CREATE TABLE suggestions (key TEXT NOT NULL, doc INTEGER NOT NULL, kind INTEGER NOT NULL,"
    " text TEXT NOT NULL, PRIMARY KEY (key, doc, kind)) STRICT, WITHOUT ROWID;"
    "CREATE INDEX suggestions_doc ON suggestions (doc);"
    /* the manifest */
    "CREATE TABLE segments (number INTEGER PRIMARY KEY) STRICT;"
    /* encoded documents that are in no file yet */
    "CREATE TABLE pending (slot INTEGER PRIMARY KEY, version INTEGER NOT NULL, terms BLOB NOT NULL) STRICT;";

static const char *const statements[SQL_COUNT] = {
    [SQL_BEGIN] = "BEGIN IMMEDIATE",
    [SQL_COMMIT] = "COMMIT",
    [SQL_ROLLBACK] = "ROLLBACK",
    [SQL_META_PUT] = "INSERT OR REPLACE INTO meta (name, value) VALUES (?1, ?2)",
    [SQL_HASH_GET] = "SELECT hash, files_hash FROM texts WHERE slot = ?1",
    [SQL_TEXT_PUT] = "INSERT OR REPLACE INTO texts VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    [SQL_SLUG_PUT] = "UPDATE texts SET slug = ?2, files_hash = ?3 WHERE slot = ?1",
    [SQL_TEXT_DELETE] = "DELETE FROM texts WHERE slot = ?1",
    [SQL_DOCUMENT_PUT] = "INSERT OR REPLACE INTO documents VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10,"
                         " ?11, ?12, ?13, ?14, ?15)",
    [SQL_DOCUMENT_DELETE] = "DELETE FROM documents WHERE slot = ?1",
    [SQL_PARTS_GET] = "SELECT slot FROM documents WHERE parent = ?1 AND parent <> 0",
    [SQL_SUGGEST_PUT] = "INSERT OR IGNORE INTO suggestions (key, doc, kind, text) VALUES (?1, ?2, ?3, ?4)",
    [SQL_SUGGEST_DELETE] = "DELETE FROM suggestions WHERE doc = ?1",
    [SQL_PENDING_PUT] = "INSERT OR REPLACE INTO pending VALUES (?1, ?2, ?3)",
    [SQL_PENDING_DELETE] = "DELETE FROM pending WHERE slot = ?1",
    [SQL_PENDING_FLUSHED] = "DELETE FROM pending WHERE version <= ?1",
    [SQL_SEGMENT_PUT] = "INSERT OR REPLACE INTO segments VALUES (?1)",
    [SQL_SEGMENT_DELETE] = "DELETE FROM segments WHERE number = ?1",
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

static size_t count_workers(void)
{
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    return cpus < 1 ? 1 : cpus > INDEX_WORKERS_MAX ? INDEX_WORKERS_MAX : (size_t)cpus;
}

/* `workers`: 1, or as many as analyse in a rebuild. NULL when MeCab refuses. */
static struct index *index_new(const char *path, struct analyzer_model *model, size_t workers)
{
    struct index *index = mirai_alloc(sizeof(*index));
    index->path = mirai_str_dup(mirai_str(path));
    index->model = model;
    index->catalog = catalog_new();
    index->next_version = 1;
    index->next_number = 1;
    pthread_mutex_init(&index->files_lock, NULL);
    index->merge.place = epoch_join(catalog_epoch(index->catalog));
    index->workers = mirai_alloc(workers * sizeof(index->workers[0]));
    for (; index->workers_len < workers; index->workers_len++) {
        if (!index_worker_open(&index->workers[index->workers_len], model)) {
            index_worker_close(&index->workers[index->workers_len]);
            index_close(index);
            return NULL;
        }
    }
    return index;
}

static void close_workers(struct index *index, size_t keep)
{
    while (index->workers_len > keep) {
        index_worker_close(&index->workers[--index->workers_len]);
    }
}

void index_close(struct index *index)
{
    if (index == NULL) {
        return;
    }
    index_segments_close(index);
    disconnect_writer(index);
    close_workers(index, 0);
    free(index->workers);
    catalog_free(index->catalog);
    pthread_mutex_destroy(&index->files_lock);
    free(index->path);
    free(index);
}

void index_remove(const char *path)
{
    char dir[PATH_MAX];
    const char *slash = strrchr(path, '/');
    const char *base = slash != NULL ? slash + 1 : path;
    size_t len = strlen(base);
    snprintf(dir, sizeof(dir), "%.*s", slash != NULL ? (int)(slash - path) : 1, slash != NULL ? path : ".");
    DIR *handle = opendir(dir);
    struct dirent *entry;
    while (handle != NULL && (entry = readdir(handle)) != NULL) {
        char after = strncmp(entry->d_name, base, len) == 0 ? entry->d_name[len] : 'x';
        if (after == '\0' || after == '-') { /* -wal, -shm, -journal, -seg-<n> */
            unlinkat(dirfd(handle), entry->d_name, 0);
        }
    }
    if (handle != NULL) {
        closedir(handle);
    }
}

int index_create(const char *path, struct analyzer_model *model, struct index **out)
{
    struct index *index = index_new(path, model, count_workers());
    if (index == NULL) {
        return MIRAI_E_INTERNAL;
    }
    index_remove(path);
    int rc = connect_writer(index, path, SQLITE_OPEN_CREATE,
                            "PRAGMA page_size=4096; PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF;"
                            "PRAGMA locking_mode=EXCLUSIVE; PRAGMA secure_delete=OFF;"
                            "PRAGMA cache_size=-32768;");
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

int index_sync_dir(const char *path)
{
    char dir[PATH_MAX];
    const char *slash = strrchr(path, '/');
    snprintf(dir, sizeof(dir), "%.*s", slash != NULL ? (int)(slash - path) : 1, slash != NULL ? path : ".");
    return sync_path(dir, O_RDONLY | O_DIRECTORY);
}

int index_publish(struct index *index, const char *path)
{
    int err = index_segments_finish(index);
    if (err != 0) {
        return err;
    }
    disconnect_writer(index);
    close_workers(index, 1);
    if (sync_path(index->path, O_RDONLY) != 0 || index_segments_rename(index, path) != 0 ||
        rename(index->path, path) != 0) {
        mirai_log(ERROR, "new index cannot be put into place", MIRAI_LOG_Z("path", path));
        return MIRAI_E_INTERNAL;
    }
    free(index->path);
    index->path = mirai_str_dup(mirai_str(path));
    index_sync_dir(path);
    index->published = true;
    index_view_publish(index, 0);
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
        "SELECT (SELECT value FROM meta WHERE name = 'epoch'), (SELECT value FROM meta WHERE name = 'seq'),"
        " (SELECT value FROM meta WHERE name = 'version')",
        -1, &statement, NULL);
    if (rc == SQLITE_OK && (rc = sqlite3_step(statement)) == SQLITE_ROW) {
        struct mirai_str epoch = index_column_str(statement, 0);
        if (epoch.len < sizeof(index->position.epoch)) {
            memcpy(index->position.epoch, epoch.len != 0 ? epoch.data : "", epoch.len);
        }
        index->position.seq = sqlite3_column_int64(statement, 1);
        int64_t next = sqlite3_column_int64(statement, 2);
        index->next_version = next > 1 && next < UINT32_MAX ? (uint32_t)next : 1;
    }
    sqlite3_finalize(statement);
    return rc == SQLITE_ROW ? SQLITE_OK : rc;
}

static int load_entry(struct index *index, sqlite3_stmt *statement)
{
    int64_t slot = sqlite3_column_int64(statement, 0);
    const struct catalog_entry entry = {
        .id = sqlite3_column_int64(statement, 1),
        .version = (uint32_t)sqlite3_column_int64(statement, 2),
        .parent = (uint32_t)sqlite3_column_int64(statement, 3),
        .attachment_id = sqlite3_column_int64(statement, 4),
        .page = (uint32_t)sqlite3_column_int64(statement, 5),
        .type = (uint8_t)sqlite3_column_int(statement, 6),
        .status = (uint8_t)sqlite3_column_int(statement, 7),
        .visibility = (uint8_t)sqlite3_column_int(statement, 8),
        .space_id = sqlite3_column_int64(statement, 9),
        .group_id = sqlite3_column_int64(statement, 10),
        .owner_id = sqlite3_column_int64(statement, 11),
        .updated_at = sqlite3_column_int64(statement, 12),
    };
    if (slot < 1 || slot >= CATALOG_SLOTS_MAX || entry.id == 0 || entry.version == 0 ||
        entry.version >= index->next_version ||
        (entry.parent == 0 && catalog_slot(index->catalog, entry.id) != 0)) {
        return SQLITE_CORRUPT;
    }
    struct mirai_str tags[INDEX_TAGS_MAX];
    size_t count = index_split_tags(index_column_str(statement, 13), tags);
    catalog_put(index->catalog, (uint32_t)slot, &entry, tags, count, index_column_str(statement, 14));
    return SQLITE_OK;
}

static int load_catalog(struct index *index)
{
    sqlite3_stmt *statement = NULL;
    int rc = sqlite3_prepare_v2(
        index->db,
        "SELECT slot, id, version, parent, attachment_id, page, type, status, visibility, space_id, group_id,"
        " owner_id, updated_at, tags, owner FROM documents ORDER BY slot",
        -1, &statement, NULL);
    while (rc == SQLITE_OK && (rc = sqlite3_step(statement)) == SQLITE_ROW) {
        rc = load_entry(index, statement);
    }
    sqlite3_finalize(statement);
    epoch_reclaim(catalog_epoch(index->catalog));
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

int index_open(const char *path, struct analyzer_model *model, struct index **out)
{
    struct index *index = index_new(path, model, 1);
    if (index == NULL) {
        return MIRAI_E_INTERNAL;
    }
    index->published = true;
    int rc = connect_published(index);
    rc = rc == SQLITE_OK ? load_meta(index) : rc;
    rc = rc == SQLITE_OK ? load_catalog(index) : rc;
    rc = rc == SQLITE_OK ? index_segments_load(index) : rc;
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

static const char text_sql[] =
    "SELECT slug, title, summary, tags, body, packed_from, version FROM texts WHERE slot = ?1";
static const char suggest_sql[] = "SELECT key, doc, kind, text FROM suggestions WHERE key >= ?1 AND key < ?2"
                                  " ORDER BY key, doc, kind LIMIT ?3";

int index_reader_open(struct index *index, struct index_reader **out)
{
    struct index_reader *reader = mirai_alloc(sizeof(*reader));
    reader->index = index;
    reader->place = epoch_join(catalog_epoch(index->catalog));
    if (reader->place < 0) {
        free(reader);
        return MIRAI_E_OVERLOADED;
    }
    int rc = sqlite3_open_v2(index->path, &reader->db, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL);
    if (rc == SQLITE_OK) {
        sqlite3_busy_timeout(reader->db, 1000);
        rc = sqlite3_exec(reader->db, "PRAGMA query_only=ON; PRAGMA cache_size=-2048;", NULL, NULL, NULL);
    }
    rc = rc == SQLITE_OK
             ? sqlite3_prepare_v3(reader->db, text_sql, -1, SQLITE_PREPARE_PERSISTENT, &reader->text, NULL)
             : rc;
    rc = rc == SQLITE_OK ? sqlite3_prepare_v3(reader->db, suggest_sql, -1, SQLITE_PREPARE_PERSISTENT,
                                              &reader->suggest, NULL)
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
        epoch_part(catalog_epoch(reader->index->catalog), reader->place);
        mirai_buf_free(&reader->body);
        mirai_buf_free(&reader->fields);
        free(reader);
    }
}

const struct index_view *index_view_enter(struct index_reader *reader)
{
    epoch_enter(catalog_epoch(reader->index->catalog), reader->place);
    reader->view = atomic_load(&reader->index->view);
    return reader->view;
}

void index_view_leave(struct index_reader *reader)
{
    for (size_t i = 0; i < reader->view->count; i++) {
        if (segment_damaged(reader->view->segments[i])) {
            atomic_store(&reader->index->damaged, true);
        }
    }
    reader->view = NULL;
    epoch_leave(catalog_epoch(reader->index->catalog), reader->place);
}

static int unpack_body(struct index_reader *reader, struct index_text *out)
{
    const void *body = sqlite3_column_blob(reader->text, 4);
    size_t len = (size_t)sqlite3_column_bytes(reader->text, 4);
    int64_t length = sqlite3_column_int64(reader->text, 5);
    reader->body.len = 0;
    if (length == 0) {
        mirai_buf_append(&reader->body, len != 0 ? body : "", len);
    } else {
        if (length < 0 || length > BODY_MAX) {
            return SQLITE_CORRUPT;
        }
        mirai_buf_reserve(&reader->body, (size_t)length);
        if (ZSTD_decompress(reader->body.data, (size_t)length, body, len) != (size_t)length) {
            return SQLITE_CORRUPT;
        }
        reader->body.len = (size_t)length;
    }
    out->body = mirai_buf_str(&reader->body);
    return SQLITE_OK;
}

/* The row's strings outlive the statement's reset. */
static void copy_fields(struct index_reader *reader, struct index_text *out)
{
    struct mirai_str *const fields[] = {&out->slug, &out->title, &out->summary, &out->tags};
    reader->fields.len = 0;
    for (int i = 0; i < 4; i++) {
        *fields[i] = index_column_str(reader->text, i);
        mirai_buf_append_str(&reader->fields, *fields[i]);
    }
    const char *p = reader->fields.data;
    for (int i = 0; i < 4; i++) {
        fields[i]->data = p;
        p = fields[i]->len != 0 ? p + fields[i]->len : p;
    }
}

int index_text(struct index_reader *reader, uint32_t slot, uint32_t version, struct index_text *out)
{
    sqlite3_bind_int64(reader->text, 1, slot);
    int rc = sqlite3_step(reader->text);
    bool found = rc == SQLITE_ROW && (uint32_t)sqlite3_column_int64(reader->text, 6) == version;
    *out = (struct index_text){0};
    if (found) {
        rc = unpack_body(reader, out);
        copy_fields(reader, out);
    }
    sqlite3_reset(reader->text);
    if (rc != SQLITE_OK && rc != SQLITE_ROW && rc != SQLITE_DONE) {
        return index_fault(reader->index, rc, "text");
    }
    return found ? 0 : MIRAI_E_NOT_FOUND;
}
