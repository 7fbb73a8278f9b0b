#include "services/search-index/index_internal.h"

#include "libcommon/time.h"

#include <stdlib.h>

/* Pages in the WAL after which the writer copies them into the file. */
#define CHECKPOINT_PAGES 1000

/* Time of one turn of merging: a change waits no longer for it. */
#define TIDY_US 20000

/* Starting points of a title in the suggestions. */
#define SUGGEST_WORDS_MAX 8

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
    terms_encode_lines(index->terms, &index->encoded);
    return mirai_buf_str(&index->encoded);
}

static int postings_change(struct index *index, enum statement which, uint32_t doc,
                           const struct document *document)
{
    sqlite3_stmt *statement = index->statements[which];
    sqlite3_bind_int64(statement, 1, doc);
    index_bind_str(statement, 2, encode_document(index, document));
    return index_run(index, which);
}

static int delete_row(struct index *index, enum statement which, uint32_t doc)
{
    sqlite3_bind_int64(index->statements[which], 1, doc);
    return index_run(index, which);
}

/* Take a document out of the postings and the suggestions: both are derived again from its stored text.
 * `same`: the text that is to come; *unchanged tells that nothing had to be done. */
static int forget(struct index *index, uint32_t doc, const struct document *same, bool *unchanged)
{
    sqlite3_stmt *statement = index->statements[SQL_TEXT_GET];
    sqlite3_bind_int64(statement, 1, doc);
    int rc = sqlite3_step(statement);
    if (rc == SQLITE_ROW) {
        const struct document old = {.title = index_column_str(statement, 1),
                                     .summary = index_column_str(statement, 2),
                                     .tags = index_column_str(statement, 3),
                                     .body = index_column_str(statement, 4)};
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
    index_bind_str(statement, 1, mirai_utf8_prefix(key, INDEX_SUGGEST_KEY_MAX));
    sqlite3_bind_int64(statement, 2, doc);
    sqlite3_bind_int(statement, 3, kind);
    index_bind_str(statement, 4, text);
    return index_run(index, SQL_SUGGEST_PUT);
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
    struct mirai_str tags[INDEX_TAGS_MAX];
    size_t count = index_split_tags(document->tags, tags);
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
    index_bind_str(statement, 2, slug);
    index_bind_str(statement, 3, document->title);
    index_bind_str(statement, 4, document->summary);
    index_bind_str(statement, 5, document->tags);
    index_bind_str(statement, 6, document->body);
    return index_run(index, SQL_TEXT_PUT);
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
    index_bind_str(statement, at, tags);
    return index_run(index, SQL_DOCUMENT_PUT);
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
    index_bind_str(statement, 1, MIRAI_STR("epoch"));
    index_bind_str(statement, 2, mirai_str(position->epoch));
    int rc = index_run(index, SQL_META_PUT);
    if (rc == SQLITE_OK) {
        index_bind_str(statement, 1, MIRAI_STR("seq"));
        sqlite3_bind_int64(statement, 2, position->seq);
        rc = index_run(index, SQL_META_PUT);
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
    int rc = index_run(index, SQL_BEGIN);
    if (rc != SQLITE_OK) {
        return index_fault(index, rc, "begin");
    }
    rc = write_batch(index, count);
    rc = rc == SQLITE_OK ? put_position(index, position) : rc;
    rc = rc == SQLITE_OK ? index_run(index, SQL_FLUSH) : rc;
    rc = rc == SQLITE_OK ? index_run(index, SQL_FLUSHED) : rc;
    if (rc == SQLITE_OK) {
        catalog_write_lock(index->catalog);
        rc = index_run(index, SQL_COMMIT);
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
            index_run(index, SQL_ROLLBACK);
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
        rc = index_run(index, SQL_POSTINGS_MERGE);
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
