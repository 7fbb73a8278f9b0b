#include "services/search-index/index.h"

#include "libcommon/log.h"
#include "libcommon/time.h"
#include "services/search-index/terms.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Layout of the file; a file of another layout is rebuilt. */
#define INDEX_LAYOUT 1
#define USER_VERSION (INDEX_LAYOUT * 1000 + ANALYZER_VERSION)

/* Pages in the WAL after which the writer copies them into the file. */
#define CHECKPOINT_PAGES 1000

/* Time of one turn of merging: a change waits no longer for it. */
#define TIDY_US 20000

/* Starting points of a title in the suggestions. */
#define SUGGEST_WORDS_MAX 8

static const char schema[] = "CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;"
                             "CREATE TABLE documents (doc INTEGER PRIMARY KEY, id INTEGER NOT NULL, type "
                             "INTEGER NOT NULL, status INTEGER NOT NULL,"
                             " visibility INTEGER NOT NULL, space_id INTEGER NOT NULL, group_id INTEGER NOT "
                             "NULL, owner_id INTEGER NOT NULL,"
                             " updated_at INTEGER NOT NULL, tags TEXT NOT NULL) STRICT;"
                             "CREATE TABLE texts (doc INTEGER PRIMARY KEY, slug TEXT NOT NULL, title TEXT "
                             "NOT NULL, summary TEXT NOT NULL,"
                             " tags TEXT NOT NULL, body TEXT NOT NULL) STRICT;"
                             "CREATE TABLE suggestions (key TEXT NOT NULL, doc INTEGER NOT NULL, kind "
                             "INTEGER NOT NULL, text TEXT NOT NULL,"
                             " PRIMARY KEY (key, doc, kind)) STRICT, WITHOUT ROWID;"
                             "CREATE INDEX suggestions_doc ON suggestions (doc);" POSTINGS_TABLE ";"
                             /* index_tidy() merges any two segments of a level */
                             "INSERT INTO postings (postings, rank) VALUES ('usermerge', 2);";

enum statement {
    SQL_BEGIN,
    SQL_FLUSH,
    SQL_FLUSHED,
    SQL_COMMIT,
    SQL_ROLLBACK,
    SQL_META_PUT,
    SQL_TEXT_GET,
    SQL_TEXT_PUT,
    SQL_TEXT_DELETE,
    SQL_DOCUMENT_PUT,
    SQL_DOCUMENT_DELETE,
    SQL_SUGGEST_PUT,
    SQL_SUGGEST_DELETE,
    SQL_POSTINGS_ADD,
    SQL_POSTINGS_DELETE,
    SQL_POSTINGS_MERGE,
    SQL_COUNT,
};

static const char *const statements[SQL_COUNT] = {
    [SQL_BEGIN] = "BEGIN IMMEDIATE",
    /* A savepoint makes FTS5 write its terms from memory to the file: work that the commit need not do under
       the lock. */
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

struct index {
    char *path;
    sqlite3 *db; /* the one read-write connection */
    struct postings_scan scan;
    sqlite3_stmt *statements[SQL_COUNT];
    struct catalog *catalog;
    struct analyzer *analyzer;
    struct terms *terms;
    struct index_position position;
    struct mirai_buf encoded;
    struct mirai_buf tags;
    struct mirai_buf summary;
    struct normalized key;
    struct index_change *batch;
    size_t batch_cap;
    uint32_t *batch_docs;
    int wal_pages;
    bool tidy; /* nothing to merge since the last change */
    atomic_bool damaged;
};

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

static int run(struct index *index, enum statement which)
{
    sqlite3_stmt *statement = index->statements[which];
    int rc = sqlite3_step(statement);
    int reset = sqlite3_reset(statement);
    return rc == SQLITE_DONE || rc == SQLITE_ROW ? reset : rc;
}

static void bind_str(sqlite3_stmt *statement, int at, struct mirai_str s)
{
    sqlite3_bind_text64(statement, at, s.len != 0 ? s.data : "", s.len, SQLITE_STATIC, SQLITE_UTF8);
}

static struct mirai_str column_str(sqlite3_stmt *statement, int at)
{
    const char *data = (const char *)sqlite3_column_text(statement, at);
    return (struct mirai_str){data, (size_t)sqlite3_column_bytes(statement, at)};
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
        struct mirai_str epoch = column_str(statement, 0);
        if (epoch.len < sizeof(index->position.epoch)) {
            memcpy(index->position.epoch, epoch.len != 0 ? epoch.data : "", epoch.len);
        }
        index->position.seq = sqlite3_column_int64(statement, 1);
    }
    sqlite3_finalize(statement);
    return rc == SQLITE_ROW ? SQLITE_OK : rc;
}

static size_t split_tags(struct mirai_str joined, struct mirai_str tags[50])
{
    size_t count = 0;
    const char *end = joined.len != 0 ? joined.data + joined.len : joined.data;
    for (const char *p = joined.data; p < end && count < 50;) {
        const char *newline = memchr(p, '\n', (size_t)(end - p));
        const char *stop = newline != NULL ? newline : end;
        tags[count++] = (struct mirai_str){p, (size_t)(stop - p)};
        p = stop + 1;
    }
    return count;
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
        struct mirai_str tags[50];
        size_t count = split_tags(column_str(statement, 9), tags);
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

/* ------------------------------------------------------------------ changes */

struct document {
    struct mirai_str title;
    struct mirai_str summary;
    struct mirai_str tags; /* one a line */
    struct mirai_str body;
};

static struct mirai_str encode_document(struct index *index, const struct document *document)
{
    index->encoded.len = 0;
    terms_clear(index->terms);
    terms_add(index->terms, TERMS_TITLE, document->title);
    terms_add(index->terms, TERMS_TAGS, document->tags);
    terms_add(index->terms, TERMS_HEADINGS, document->summary);
    terms_add_markdown(index->terms, document->body);
    terms_encode(index->terms, &index->encoded);
    return mirai_buf_str(&index->encoded);
}

static int postings_change(struct index *index, enum statement which, uint32_t doc,
                           const struct document *document)
{
    sqlite3_stmt *statement = index->statements[which];
    sqlite3_bind_int64(statement, 1, doc);
    bind_str(statement, 2, encode_document(index, document));
    return run(index, which);
}

static int delete_row(struct index *index, enum statement which, uint32_t doc)
{
    sqlite3_bind_int64(index->statements[which], 1, doc);
    return run(index, which);
}

/* Take a document out of the postings and the suggestions: both are derived again from its stored text.
 * `same`: the text that is to come; *unchanged tells that nothing had to be done. */
static int forget(struct index *index, uint32_t doc, const struct document *same, bool *unchanged)
{
    sqlite3_stmt *statement = index->statements[SQL_TEXT_GET];
    sqlite3_bind_int64(statement, 1, doc);
    int rc = sqlite3_step(statement);
    if (rc == SQLITE_ROW) {
        const struct document old = {.title = column_str(statement, 1),
                                     .summary = column_str(statement, 2),
                                     .tags = column_str(statement, 3),
                                     .body = column_str(statement, 4)};
        *unchanged = same != NULL && mirai_str_eq(old.title, same->title) &&
                     mirai_str_eq(old.summary, same->summary) && mirai_str_eq(old.tags, same->tags) &&
                     mirai_str_eq(old.body, same->body);
        rc = *unchanged ? SQLITE_OK : postings_change(index, SQL_POSTINGS_DELETE, doc, &old);
    } else if (rc == SQLITE_DONE) {
        rc = SQLITE_OK;
    }
    sqlite3_reset(statement);
    return rc == SQLITE_OK && !*unchanged ? delete_row(index, SQL_SUGGEST_DELETE, doc) : rc;
}

static int suggest_put(struct index *index, uint32_t doc, enum index_suggestion kind, struct mirai_str key,
                       struct mirai_str text)
{
    sqlite3_stmt *statement = index->statements[SQL_SUGGEST_PUT];
    bind_str(statement, 1, mirai_utf8_prefix(key, INDEX_SUGGEST_KEY_MAX));
    sqlite3_bind_int64(statement, 2, doc);
    sqlite3_bind_int(statement, 3, kind);
    bind_str(statement, 4, text);
    return run(index, SQL_SUGGEST_PUT);
}

struct word_starts {
    size_t at[SUGGEST_WORDS_MAX];
    size_t count;
};

static void note_start(void *data, const struct analyzer_token *token)
{
    struct word_starts *starts = data;
    bool known = starts->count > 0 && token->start <= starts->at[starts->count - 1];
    if (token->view == ANALYZER_WORD && token->start > 0 && !known && starts->count < SUGGEST_WORDS_MAX) {
        starts->at[starts->count++] = token->start;
    }
}

static int suggest_document(struct index *index, uint32_t doc, const struct document *document)
{
    struct word_starts starts = {0};
    normalize(&index->key, document->title, false);
    struct mirai_str key = mirai_buf_str(&index->key.text);
    analyzer_run(index->analyzer, key, note_start, &starts);
    /* only the row of the whole title carries its text; the others are resolved through the document */
    int rc = suggest_put(index, doc, INDEX_SUGGEST_TITLE, key, (struct mirai_str){0});
    for (size_t i = 0; rc == SQLITE_OK && i < starts.count; i++) {
        struct mirai_str rest = {key.data + starts.at[i], key.len - starts.at[i]};
        rc = suggest_put(index, doc, INDEX_SUGGEST_WORD, rest, (struct mirai_str){0});
    }
    struct mirai_str tags[50];
    size_t count = split_tags(document->tags, tags);
    for (size_t i = 0; rc == SQLITE_OK && i < count; i++) {
        normalize(&index->key, tags[i], false);
        rc = suggest_put(index, doc, INDEX_SUGGEST_TAG, mirai_buf_str(&index->key.text), tags[i]);
    }
    return rc;
}

static struct mirai_str joined(struct mirai_buf *buf, const struct mirai_str *items, size_t count)
{
    buf->len = 0;
    for (size_t i = 0; i < count; i++) {
        if (items[i].len != 0) {
            if (buf->len != 0) {
                mirai_buf_append_char(buf, '\n');
            }
            mirai_buf_append_str(buf, items[i]);
        }
    }
    return mirai_buf_str(buf);
}

static int put_text(struct index *index, uint32_t doc, struct mirai_str slug, const struct document *document)
{
    sqlite3_stmt *statement = index->statements[SQL_TEXT_PUT];
    sqlite3_bind_int64(statement, 1, doc);
    bind_str(statement, 2, slug);
    bind_str(statement, 3, document->title);
    bind_str(statement, 4, document->summary);
    bind_str(statement, 5, document->tags);
    bind_str(statement, 6, document->body);
    return run(index, SQL_TEXT_PUT);
}

static int put_entry(struct index *index, uint32_t doc, const struct mirai_article *article,
                     struct mirai_str tags)
{
    const int64_t values[] = {doc,
                              article->id,
                              article->type,
                              article->status,
                              article->visibility,
                              article->space_id,
                              article->group_id,
                              article->owner_id,
                              article->updated_at};
    sqlite3_stmt *statement = index->statements[SQL_DOCUMENT_PUT];
    int at = 1;
    for (; at <= (int)(sizeof(values) / sizeof(values[0])); at++) {
        sqlite3_bind_int64(statement, at, values[at - 1]);
    }
    bind_str(statement, at, tags);
    return run(index, SQL_DOCUMENT_PUT);
}

static int write_article(struct index *index, uint32_t doc, bool known, const struct mirai_article *article)
{
    const struct mirai_str summaries[] = {article->summary_technical, article->summary_non_technical};
    const struct document document = {.title = article->title,
                                      .summary = joined(&index->summary, summaries, 2),
                                      .tags = joined(&index->tags, article->tags.items, article->tags.count),
                                      .body = article->body};
    bool unchanged = false;
    int rc = known ? forget(index, doc, &document, &unchanged) : SQLITE_OK;
    if (rc == SQLITE_OK && !unchanged) {
        rc = postings_change(index, SQL_POSTINGS_ADD, doc, &document);
        rc = rc == SQLITE_OK ? suggest_document(index, doc, &document) : rc;
    }
    rc = rc == SQLITE_OK ? put_text(index, doc, article->slug, &document) : rc;
    return rc == SQLITE_OK ? put_entry(index, doc, article, document.tags) : rc;
}

static int erase_article(struct index *index, uint32_t doc)
{
    bool unchanged = false;
    int rc = forget(index, doc, NULL, &unchanged);
    rc = rc == SQLITE_OK ? delete_row(index, SQL_TEXT_DELETE, doc) : rc;
    return rc == SQLITE_OK ? delete_row(index, SQL_DOCUMENT_DELETE, doc) : rc;
}

static int put_position(struct index *index, const struct index_position *position)
{
    sqlite3_stmt *statement = index->statements[SQL_META_PUT];
    bind_str(statement, 1, MIRAI_STR("epoch"));
    bind_str(statement, 2, mirai_str(position->epoch));
    int rc = run(index, SQL_META_PUT);
    if (rc == SQLITE_OK) {
        bind_str(statement, 1, MIRAI_STR("seq"));
        sqlite3_bind_int64(statement, 2, position->seq);
        rc = run(index, SQL_META_PUT);
    }
    return rc;
}

static bool is_gone(const struct index_change *change)
{
    return change->article == NULL || mirai_has(article, change->article, deleted_at);
}

/* Keep the last change of each article; the batch's order is kept. */
static size_t fill_batch(struct index *index, const struct index_change *changes, size_t count)
{
    if (count > index->batch_cap) {
        index->batch_cap = count;
        index->batch = mirai_realloc(index->batch, count * sizeof(index->batch[0]));
        index->batch_docs = mirai_realloc(index->batch_docs, count * sizeof(index->batch_docs[0]));
    }
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        bool last = true;
        for (size_t j = i + 1; last && j < count; j++) {
            last = changes[j].id != changes[i].id;
        }
        if (last) {
            index->batch[kept++] = changes[i];
        }
    }
    return kept;
}

static int write_batch(struct index *index, size_t count)
{
    int rc = SQLITE_OK;
    for (size_t i = 0; rc == SQLITE_OK && i < count; i++) {
        const struct index_change *change = &index->batch[i];
        uint32_t doc = catalog_doc(index->catalog, change->id);
        bool known = doc != 0;
        if (is_gone(change)) {
            rc = known ? erase_article(index, doc) : SQLITE_OK;
        } else {
            doc = known ? doc : catalog_free_doc(index->catalog);
            rc = write_article(index, doc, known, change->article);
        }
        index->batch_docs[i] = doc;
    }
    return rc;
}

static void apply_to_catalog(struct index *index, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct mirai_article *article = index->batch[i].article;
        uint32_t doc = index->batch_docs[i];
        if (is_gone(&index->batch[i])) {
            if (doc != 0) {
                catalog_remove(index->catalog, doc);
            }
            continue;
        }
        const struct catalog_entry entry = {.id = article->id,
                                            .owner_id = article->owner_id,
                                            .space_id = article->space_id,
                                            .group_id = article->group_id,
                                            .updated_at = article->updated_at,
                                            .type = (uint8_t)article->type,
                                            .status = (uint8_t)article->status,
                                            .visibility = (uint8_t)article->visibility};
        catalog_put(index->catalog, doc, &entry, article->tags.items, article->tags.count);
    }
}

int index_apply(struct index *index, const struct index_change *changes, size_t count,
                const struct index_position *position)
{
    count = fill_batch(index, changes, count);
    int rc = run(index, SQL_BEGIN);
    if (rc != SQLITE_OK) {
        return index_fault(index, rc, "begin");
    }
    rc = write_batch(index, count);
    rc = rc == SQLITE_OK ? put_position(index, position) : rc;
    rc = rc == SQLITE_OK ? run(index, SQL_FLUSH) : rc;
    rc = rc == SQLITE_OK ? run(index, SQL_FLUSHED) : rc;
    if (rc == SQLITE_OK) {
        catalog_write_lock(index->catalog);
        rc = run(index, SQL_COMMIT);
        if (rc == SQLITE_OK) {
            apply_to_catalog(index, count);
            index->position = *position;
            index->tidy = false;
        }
        catalog_unlock(index->catalog);
    }
    if (rc != SQLITE_OK) {
        int err = index_fault(index, rc, "apply");
        if (!sqlite3_get_autocommit(index->db)) {
            run(index, SQL_ROLLBACK);
        }
        return err;
    }
    return 0;
}

void index_checkpoint(struct index *index)
{
    if (index->wal_pages >= CHECKPOINT_PAGES) {
        index->wal_pages = 0;
        sqlite3_wal_checkpoint_v2(index->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    }
}

bool index_tidy(struct index *index)
{
    if (index->tidy) {
        return false;
    }
    uint64_t until = mirai_monotonic_us() + TIDY_US;
    bool more = true;
    int rc = SQLITE_OK;
    while (rc == SQLITE_OK && more && mirai_monotonic_us() < until) {
        int before = sqlite3_total_changes(index->db);
        rc = run(index, SQL_POSTINGS_MERGE);
        more = sqlite3_total_changes(index->db) - before >=
               2; /* FTS5's documentation: fewer mean that nothing was merged */
    }
    if (rc != SQLITE_OK) {
        index_fault(index, rc, "merge");
    }
    index_checkpoint(index);
    index->tidy = rc != SQLITE_OK || !more;
    return !index->tidy;
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
