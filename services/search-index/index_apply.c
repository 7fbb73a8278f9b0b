#include "services/search-index/index_internal.h"

#include "libcommon/log.h"

#include <stdlib.h>

/* Pages in the WAL after which the writer copies them into the file. */
#define CHECKPOINT_PAGES 1000

/* One call of index_apply. Units first; their strings live as long as the changes, or in `arena`. */
struct batch {
    struct mirai_arena arena;
    struct index_unit *units;
    size_t len;
    size_t cap;
    uint32_t *gone; /* slots to erase */
    size_t gone_len;
    size_t gone_cap;
    uint32_t version; /* the next one */
};

/* ------------------------------------------------------------------ hashes */

/* Two texts of an article that have the same 64 bits are taken to be the same. */
static uint64_t hash_str(uint64_t hash, struct mirai_str s)
{
    hash = (hash ^ s.len) * 1099511628211u;
    size_t i = 0;
    for (; i + 8 <= s.len; i += 8) {
        uint64_t word;
        memcpy(&word, s.data + i, sizeof(word));
        hash = (hash ^ word) * 0x9E3779B97F4A7C15u;
        hash ^= hash >> 32;
    }
    for (; i < s.len; i++) {
        hash = (hash ^ (unsigned char)s.data[i]) * 1099511628211u;
    }
    hash ^= hash >> 29;
    return hash;
}

static uint64_t hash_int(uint64_t hash, uint64_t value)
{
    return hash_str(hash, (struct mirai_str){(const char *)&value, sizeof(value)});
}

#define HASH_START 14695981039346656037u

static uint64_t hash_unit(const struct index_unit *unit)
{
    uint64_t hash = hash_str(HASH_START, unit->title);
    hash = hash_str(hash, unit->summary);
    hash = hash_str(hash, unit->tags);
    return hash_str(hash, unit->body);
}

/* 0: no files. */
static uint64_t hash_files(const struct index_change *change)
{
    uint64_t hash = HASH_START;
    for (size_t i = 0; i < change->files_len; i++) {
        const struct index_file *file = &change->files[i];
        hash = hash_str(hash_int(hash, (uint64_t)file->id), file->name);
        for (size_t j = 0; j < file->pages_len; j++) {
            hash = hash_str(hash_int(hash, file->pages[j].number), file->pages[j].text);
        }
    }
    return change->files_len == 0 ? 0 : hash | 1;
}

/* ------------------------------------------------------------------ from changes to units */

static struct index_unit *add_unit(struct batch *batch)
{
    if (batch->len == batch->cap) {
        batch->cap = batch->cap == 0 ? 64 : batch->cap * 2;
        batch->units = mirai_realloc(batch->units, batch->cap * sizeof(batch->units[0]));
    }
    struct index_unit *unit = &batch->units[batch->len++];
    *unit = (struct index_unit){0};
    return unit;
}

static void add_gone(struct batch *batch, uint32_t slot)
{
    if (batch->gone_len == batch->gone_cap) {
        batch->gone_cap = batch->gone_cap == 0 ? 64 : batch->gone_cap * 2;
        batch->gone = mirai_realloc(batch->gone, batch->gone_cap * sizeof(batch->gone[0]));
    }
    batch->gone[batch->gone_len++] = slot;
}

static bool is_gone(const struct index_change *change)
{
    return change->article == NULL || mirai_has(article, change->article, deleted_at);
}

static struct mirai_str joined(struct mirai_arena *arena, const struct mirai_str *items, size_t count)
{
    size_t len = 0;
    size_t used = 0;
    struct mirai_str only = {0};
    for (size_t i = 0; i < count; i++) {
        if (items[i].len != 0) {
            only = items[i];
            len += items[i].len + 1;
            used++;
        }
    }
    if (used <= 1) {
        return only;
    }
    char *all = mirai_arena_alloc(arena, len);
    char *p = all;
    for (size_t i = 0; i < count; i++) {
        if (items[i].len != 0) {
            memcpy(p, items[i].data, items[i].len);
            p += items[i].len;
            *p++ = '\n';
        }
    }
    return (struct mirai_str){all, len - 1};
}

/* The slots of an article's files are gone. */
static int drop_parts(struct index *index, struct batch *batch, uint32_t slot)
{
    sqlite3_stmt *statement = index->statements[SQL_PARTS_GET];
    int rc;
    sqlite3_bind_int64(statement, 1, slot);
    while ((rc = sqlite3_step(statement)) == SQLITE_ROW) {
        add_gone(batch, (uint32_t)sqlite3_column_int64(statement, 0));
    }
    sqlite3_reset(statement);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

/* What is stored of a known article. */
static int read_hashes(struct index *index, uint32_t slot, uint64_t *text, uint64_t *files)
{
    sqlite3_stmt *statement = index->statements[SQL_HASH_GET];
    sqlite3_bind_int64(statement, 1, slot);
    int rc = sqlite3_step(statement);
    if (rc == SQLITE_ROW) {
        *text = (uint64_t)sqlite3_column_int64(statement, 0);
        *files = (uint64_t)sqlite3_column_int64(statement, 1);
    }
    sqlite3_reset(statement);
    return rc == SQLITE_ROW ? SQLITE_OK : rc == SQLITE_DONE ? SQLITE_CORRUPT : rc;
}

/* At most INDEX_FILE_UNIT_BYTES of the text from `at` on: whole lines when that costs no more than half. */
static struct mirai_str take_piece(struct mirai_str text, size_t at)
{
    struct mirai_str rest = {text.data + at, text.len - at};
    struct mirai_str piece = mirai_utf8_prefix(rest, INDEX_FILE_UNIT_BYTES);
    if (piece.len < rest.len) {
        const char *newline = memrchr(piece.data, '\n', piece.len);
        if (newline != NULL && (size_t)(newline - piece.data) > piece.len / 2) {
            piece.len = (size_t)(newline - piece.data) + 1;
        }
    }
    return piece;
}

static int add_file_unit(struct index *index, struct batch *batch, const struct catalog_entry *article,
                         uint32_t parent, const struct index_file *file, uint32_t page, struct mirai_str text)
{
    uint32_t slot = catalog_take_slot(index->catalog);
    if (slot == 0) {
        return SQLITE_FULL;
    }
    struct index_unit *unit = add_unit(batch);
    unit->slot = slot;
    unit->is_new = true;
    unit->version = batch->version++;
    unit->entry = (struct catalog_entry){.id = article->id,
                                         .updated_at = article->updated_at,
                                         .attachment_id = file->id,
                                         .version = unit->version,
                                         .parent = parent,
                                         .page = page};
    unit->title = file->name;
    unit->body = text;
    unit->hash = hash_unit(unit);
    return SQLITE_OK;
}

static int add_file(struct index *index, struct batch *batch, const struct catalog_entry *article,
                    uint32_t parent, const struct index_file *file)
{
    size_t units = 0;
    int rc = SQLITE_OK;
    for (size_t i = 0; i < file->pages_len; i++) {
        struct mirai_str text = file->pages[i].text;
        for (size_t at = 0; at < text.len && units < INDEX_FILE_UNITS_MAX && rc == SQLITE_OK; units++) {
            struct mirai_str piece = take_piece(text, at);
            if (piece.len == 0) {
                break; /* not UTF-8: cannot be */
            }
            rc = add_file_unit(index, batch, article, parent, file, file->pages[i].number, piece);
            at += piece.len;
        }
    }
    return rc;
}

static void describe(struct batch *batch, struct index_unit *unit, const struct mirai_article *article)
{
    const struct mirai_str summaries[] = {article->summary_technical, article->summary_non_technical};
    unit->slug = article->slug;
    unit->title = article->title;
    unit->summary = joined(&batch->arena, summaries, 2);
    unit->tags = joined(&batch->arena, article->tags.items, article->tags.count);
    unit->body = article->body;
    unit->owner = article->owner;
    unit->hash = hash_unit(unit);
    unit->entry = (struct catalog_entry){.id = article->id,
                                         .owner_id = article->owner_id,
                                         .space_id = article->space_id,
                                         .group_id = article->group_id,
                                         .updated_at = article->updated_at,
                                         .type = (uint8_t)article->type,
                                         .status = (uint8_t)article->status,
                                         .visibility = (uint8_t)article->visibility};
}

static int add_article(struct index *index, struct batch *batch, const struct index_change *change)
{
    uint32_t slot = catalog_slot(index->catalog, change->article->id);
    bool is_new = slot == 0;
    uint64_t text_hash = 0;
    uint64_t files_hash = 0;
    int rc = is_new ? SQLITE_OK : read_hashes(index, slot, &text_hash, &files_hash);
    slot = is_new ? catalog_take_slot(index->catalog) : slot;
    if (rc != SQLITE_OK || slot == 0) {
        return rc != SQLITE_OK ? rc : SQLITE_FULL;
    }
    struct index_unit *unit = add_unit(batch);
    describe(batch, unit, change->article);
    unit->slot = slot;
    unit->is_new = is_new;
    unit->unchanged = !is_new && unit->hash == text_hash;
    unit->version = unit->unchanged ? catalog_get(index->catalog, slot)->version : batch->version++;
    unit->entry.version = unit->version;
    unit->files_hash = change->has_files ? hash_files(change) : files_hash;
    if (unit->files_hash == files_hash) {
        return SQLITE_OK;
    }
    struct catalog_entry article = unit->entry; /* adding units moves them */
    rc = files_hash != 0 ? drop_parts(index, batch, slot) : SQLITE_OK;
    for (size_t i = 0; rc == SQLITE_OK && i < change->files_len; i++) {
        rc = add_file(index, batch, &article, slot, &change->files[i]);
    }
    return rc;
}

static int drop_article(struct index *index, struct batch *batch, int64_t id)
{
    uint32_t slot = catalog_slot(index->catalog, id);
    if (slot == 0) {
        return SQLITE_OK;
    }
    add_gone(batch, slot);
    return drop_parts(index, batch, slot);
}

/* Only the last change of each article counts; the batch's order is kept. */
static int collect(struct index *index, struct batch *batch, const struct index_change *changes, size_t count)
{
    int rc = SQLITE_OK;
    for (size_t i = 0; rc == SQLITE_OK && i < count; i++) {
        bool last = true;
        for (size_t j = i + 1; last && j < count; j++) {
            last = changes[j].id != changes[i].id;
        }
        if (last) {
            rc = is_gone(&changes[i]) ? drop_article(index, batch, changes[i].id)
                                      : add_article(index, batch, &changes[i]);
        }
    }
    return rc;
}

/* ------------------------------------------------------------------ writing */

static int delete_row(struct index *index, enum statement which, uint32_t slot)
{
    sqlite3_bind_int64(index->statements[which], 1, slot);
    return index_run(index, which);
}

static int put_suggestions(struct index *index, const struct index_unit *unit)
{
    sqlite3_stmt *statement = index->statements[SQL_SUGGEST_PUT];
    const char *p = unit->suggestions.data;
    const char *end = p != NULL ? p + unit->suggestions.len : p;
    int rc = unit->is_new || unit->entry.parent != 0 ? SQLITE_OK
                                                     : delete_row(index, SQL_SUGGEST_DELETE, unit->slot);
    while (rc == SQLITE_OK && p < end) {
        uint32_t lengths[2];
        memcpy(lengths, p + 1, sizeof(lengths));
        const char *key = p + 1 + sizeof(lengths);
        index_bind_str(statement, 1, (struct mirai_str){key, lengths[0]});
        sqlite3_bind_int64(statement, 2, unit->slot);
        sqlite3_bind_int(statement, 3, *p);
        index_bind_str(statement, 4, (struct mirai_str){key + lengths[0], lengths[1]});
        rc = index_run(index, SQL_SUGGEST_PUT);
        p = key + lengths[0] + lengths[1];
    }
    return rc;
}

static int put_text(struct index *index, const struct index_unit *unit)
{
    sqlite3_stmt *statement = index->statements[SQL_TEXT_PUT];
    struct mirai_str body = unit->packed.len != 0 ? mirai_buf_str(&unit->packed) : unit->body;
    sqlite3_bind_int64(statement, 1, unit->slot);
    sqlite3_bind_int64(statement, 2, unit->version);
    index_bind_str(statement, 3, unit->slug);
    index_bind_str(statement, 4, unit->title);
    index_bind_str(statement, 5, unit->summary);
    index_bind_str(statement, 6, unit->tags);
    sqlite3_bind_blob64(statement, 7, body.len != 0 ? body.data : "", body.len, SQLITE_STATIC);
    sqlite3_bind_int64(statement, 8, unit->packed.len != 0 ? (int64_t)unit->body.len : 0);
    sqlite3_bind_int64(statement, 9, (int64_t)unit->hash);
    sqlite3_bind_int64(statement, 10, (int64_t)unit->files_hash);
    return index_run(index, SQL_TEXT_PUT);
}

/* What may change while the text does not. */
static int put_slug(struct index *index, const struct index_unit *unit)
{
    sqlite3_stmt *statement = index->statements[SQL_SLUG_PUT];
    sqlite3_bind_int64(statement, 1, unit->slot);
    index_bind_str(statement, 2, unit->slug);
    sqlite3_bind_int64(statement, 3, (int64_t)unit->files_hash);
    return index_run(index, SQL_SLUG_PUT);
}

static int put_pending(struct index *index, const struct index_unit *unit)
{
    sqlite3_stmt *statement = index->statements[SQL_PENDING_PUT];
    sqlite3_bind_int64(statement, 1, unit->slot);
    sqlite3_bind_int64(statement, 2, unit->version);
    sqlite3_bind_blob64(statement, 3, unit->encoded.len != 0 ? unit->encoded.data : "", unit->encoded.len,
                        SQLITE_STATIC);
    return index_run(index, SQL_PENDING_PUT);
}

static int put_entry(struct index *index, const struct index_unit *unit, struct mirai_str owner)
{
    const struct catalog_entry *entry = &unit->entry;
    const int64_t values[] = {unit->slot,           entry->id,       entry->version,  entry->parent,
                              entry->attachment_id, entry->page,     entry->type,     entry->status,
                              entry->visibility,    entry->space_id, entry->group_id, entry->owner_id,
                              entry->updated_at};
    sqlite3_stmt *statement = index->statements[SQL_DOCUMENT_PUT];
    int at = 1;
    for (; at <= (int)(sizeof(values) / sizeof(values[0])); at++) {
        sqlite3_bind_int64(statement, at, values[at - 1]);
    }
    index_bind_str(statement, at, unit->tags);
    index_bind_str(statement, at + 1, owner);
    return index_run(index, SQL_DOCUMENT_PUT);
}

static int write_unit(struct index *index, const struct index_unit *unit)
{
    int rc = unit->unchanged ? put_slug(index, unit) : put_text(index, unit);
    if (rc == SQLITE_OK && !unit->unchanged) {
        rc = put_suggestions(index, unit);
        rc = rc == SQLITE_OK && index->published ? put_pending(index, unit) : rc;
    }
    return rc == SQLITE_OK ? put_entry(index, unit, unit->owner) : rc;
}

static int erase_unit(struct index *index, uint32_t slot)
{
    int rc = delete_row(index, SQL_TEXT_DELETE, slot);
    rc = rc == SQLITE_OK ? delete_row(index, SQL_SUGGEST_DELETE, slot) : rc;
    rc = rc == SQLITE_OK ? delete_row(index, SQL_PENDING_DELETE, slot) : rc;
    return rc == SQLITE_OK ? delete_row(index, SQL_DOCUMENT_DELETE, slot) : rc;
}

static int put_meta(struct index *index, const struct index_position *position, uint32_t version)
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
    if (rc == SQLITE_OK) {
        index_bind_str(statement, 1, MIRAI_STR("version"));
        sqlite3_bind_int64(statement, 2, version);
        rc = index_run(index, SQL_META_PUT);
    }
    return rc;
}

static int write_batch(struct index *index, const struct batch *batch, const struct index_position *position)
{
    int rc = index_run(index, SQL_BEGIN);
    for (size_t i = 0; rc == SQLITE_OK && i < batch->gone_len; i++) {
        rc = erase_unit(index, batch->gone[i]);
    }
    for (size_t i = 0; rc == SQLITE_OK && i < batch->len; i++) {
        rc = write_unit(index, &batch->units[i]);
    }
    rc = rc == SQLITE_OK ? put_meta(index, position, batch->version) : rc;
    rc = rc == SQLITE_OK ? index_run(index, SQL_COMMIT) : rc;
    if (rc == SQLITE_OK) {
        return 0;
    }
    int err = index_fault(index, rc, "apply");
    if (!sqlite3_get_autocommit(index->db)) {
        index_run(index, SQL_ROLLBACK);
    }
    return err;
}

/* Readers see the new documents in segments first, then, one after the other, that they are the ones that live. */
static void show(struct index *index, const struct batch *batch)
{
    for (size_t i = 0; i < batch->gone_len; i++) {
        catalog_remove(index->catalog, batch->gone[i]);
    }
    for (size_t i = 0; i < batch->len; i++) {
        const struct index_unit *unit = &batch->units[i];
        struct mirai_str tags[INDEX_TAGS_MAX];
        size_t count = index_split_tags(unit->tags, tags);
        catalog_put(index->catalog, unit->slot, &unit->entry, tags, count, unit->owner);
    }
}

static size_t count_new(const struct batch *batch)
{
    size_t count = 0;
    for (size_t i = 0; i < batch->len; i++) {
        count += batch->units[i].is_new;
    }
    return count;
}

static void batch_free(struct index *index, struct batch *batch, bool failed)
{
    for (size_t i = 0; i < batch->len; i++) {
        if (failed && batch->units[i].is_new) {
            catalog_untake_slot(index->catalog, batch->units[i].slot);
        }
        index_unit_free(&batch->units[i]);
    }
    free(batch->units);
    free(batch->gone);
    mirai_arena_free(&batch->arena);
}

/* A failed batch leaves nothing: also not in the builder of what would have been its segment. */
static int prepare_batch(struct index *index, struct batch *batch, const struct index_change *changes,
                         size_t count, struct segment **segment)
{
    int rc = collect(index, batch, changes, count);
    if (rc != SQLITE_OK) {
        return index_fault(index, rc, "apply");
    }
    int err = index_prepare(index, batch->units, batch->len);
    if (!index->published) {
        return err;
    }
    int made = index_memory_segment(index, segment);
    return err != 0 ? err : made;
}

int index_apply(struct index *index, const struct index_change *changes, size_t count,
                const struct index_position *position)
{
    struct batch batch = {.version = index->next_version};
    struct segment *segment = NULL;
    if (index_damaged(index)) {
        return MIRAI_E_INVALID;
    }
    int err = prepare_batch(index, &batch, changes, count, &segment);
    err = err == 0 ? write_batch(index, &batch, position) : err;
    if (err == 0) {
        index->position = *position;
        index->next_version = batch.version;
        index_memory_add(index, segment);
        if (segment != NULL) {
            index_view_publish(index, count_new(&batch));
        }
        show(index, &batch);
        epoch_reclaim(catalog_epoch(index->catalog));
        index_merge_step(index);
    } else {
        segment_release(segment);
    }
    batch_free(index, &batch, err != 0);
    return err;
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
    bool more = index_merge_step(index);
    more |= index_scrub_step(index);
    epoch_reclaim(catalog_epoch(index->catalog));
    index_checkpoint(index);
    return more;
}
