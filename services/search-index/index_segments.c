#include "services/search-index/index_internal.h"

#include "libcommon/log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

/* What is in memory becomes a file from so much on. */
#define FLUSH_BYTES (8u << 20)
#define FLUSH_DOCS  2000
/* Files that are being merged are left alone for it from so much on. */
#define FLUSH_URGENT (64u << 20)

/* Files of one tier (each four times the one before) before they are merged. */
#define TIER_FIRST  (8u << 20)
#define TIER_FILES  6
#define MERGE_MAX   12 /* files at once */

#define MERGE_NICE  15
#define SCRUB_BYTES (4u << 20)

void index_segment_path(const char *path, uint32_t number, char *out, size_t size)
{
    snprintf(out, size, "%s-seg-%u", path, number);
}

/* ------------------------------------------------------------------ parts and view */

static void add_part(struct index *index, struct segment *segment, uint32_t number)
{
    if (index->parts_len == index->parts_cap) {
        index->parts_cap = index->parts_cap == 0 ? 16 : index->parts_cap * 2;
        index->parts = mirai_realloc(index->parts, index->parts_cap * sizeof(index->parts[0]));
    }
    index->parts[index->parts_len++] = (struct index_part){segment, number, false};
}

static void remove_part(struct index *index, size_t at)
{
    segment_release(index->parts[at].segment);
    index->parts_len--;
    memmove(&index->parts[at], &index->parts[at + 1], (index->parts_len - at) * sizeof(index->parts[0]));
}

static void view_release(void *object)
{
    struct index_view *view = object;
    for (size_t i = 0; i < view->count; i++) {
        segment_release(view->segments[i]);
    }
    free(view);
}

void index_view_publish(struct index *index, size_t coming)
{
    size_t count = index->parts_len;
    struct index_view *view = mirai_alloc(sizeof(*view) + count * sizeof(view->segments[0]));
    view->count = count;
    view->documents = catalog_units(index->catalog) + coming;
    view->next_version = index->next_version;
    for (size_t i = 0; i < count; i++) {
        view->segments[i] = segment_retain(index->parts[i].segment);
    }
    struct epoch *epoch = catalog_epoch(index->catalog);
    epoch_retire(epoch, atomic_exchange(&index->view, view), view_release);
    epoch_reclaim(epoch);
}

static bool is_live(void *data, const struct segment_doc *doc)
{
    const struct index *index = data;
    struct epoch *epoch = catalog_epoch(index->catalog);
    epoch_enter(epoch, index->merge.place);
    const struct catalog_entry *entry = catalog_get(index->catalog, doc->slot);
    bool live = entry != NULL && entry->version == doc->version;
    epoch_leave(epoch, index->merge.place);
    return live;
}

/* The same in the writer's thread, which nothing is taken from. */
static bool is_live_here(void *data, const struct segment_doc *doc)
{
    const struct catalog_entry *entry = catalog_get(((const struct index *)data)->catalog, doc->slot);
    return entry != NULL && entry->version == doc->version;
}

/* ------------------------------------------------------------------ memory */

int index_memory_segment(struct index *index, struct segment **out)
{
    struct segment_builder *builder = index->workers[0].builder;
    struct segment_sink sink = {.fd = -1};
    *out = NULL;
    if (segment_builder_count(builder) == 0) {
        return 0;
    }
    int err = segment_builder_finish(builder, &sink);
    return err == 0 ? segment_from_buffer(&sink.bytes, out) : err;
}

void index_memory_add(struct index *index, struct segment *segment)
{
    if (segment != NULL) {
        add_part(index, segment, 0);
    }
}

static bool is_idle_memory(const struct index_part *part)
{
    return part->number == 0 && !part->busy;
}

/* Merge the last two in memory while they are of like size: their number stays logarithmic, and each document is
 * copied as often. True: something has changed. */
static bool merge_memory(struct index *index)
{
    bool changed = false;
    while (index->parts_len >= 2) {
        struct index_part *pair = &index->parts[index->parts_len - 2];
        struct segment *inputs[2] = {pair[0].segment, pair[1].segment};
        struct segment_sink sink = {.fd = -1};
        struct segment *merged = NULL;
        if (!is_idle_memory(&pair[0]) || !is_idle_memory(&pair[1]) ||
            segment_bytes(inputs[0]) > 2 * segment_bytes(inputs[1]) ||
            segment_bytes(inputs[0]) > FLUSH_BYTES) {
            break;
        }
        if (segment_merge(inputs, 2, is_live_here, index, NULL, &sink) != 0 ||
            segment_from_buffer(&sink.bytes, &merged) != 0) {
            mirai_buf_free(&sink.bytes);
            break;
        }
        remove_part(index, index->parts_len - 1);
        remove_part(index, index->parts_len - 1);
        add_part(index, merged, 0);
        changed = true;
    }
    return changed;
}

/* ------------------------------------------------------------------ files */

/* Write a segment into the file `number` by `write` and open it. */
static int make_file(struct index *index, uint32_t number, bool sync,
                     int (*write_segment)(void *data, struct segment_sink *sink), void *data,
                     struct segment **out)
{
    char path[PATH_MAX];
    index_segment_path(index->path, number, path, sizeof(path));
    struct segment_sink sink = {.fd = open(path, O_CREAT | O_TRUNC | O_RDWR | O_CLOEXEC, 0640)};
    if (sink.fd < 0) {
        return errno == ENOSPC ? MIRAI_E_NO_SPACE : MIRAI_E_INTERNAL;
    }
    int err = write_segment(data, &sink);
    mirai_buf_free(&sink.bytes);
    if (err == 0 && sync && (fdatasync(sink.fd) != 0 || index_sync_dir(path) != 0)) {
        err = MIRAI_E_INTERNAL;
    }
    close(sink.fd);
    err = err == 0 ? segment_open(path, out) : err;
    if (err != 0) {
        unlink(path);
    }
    return err;
}

static int write_builder(void *data, struct segment_sink *sink)
{
    return segment_builder_finish(data, sink);
}

int index_builder_flush(struct index *index, struct segment_builder *builder)
{
    struct segment *segment = NULL;
    pthread_mutex_lock(&index->files_lock);
    uint32_t number = index->next_number++;
    pthread_mutex_unlock(&index->files_lock);
    int err = make_file(index, number, false, write_builder, builder, &segment);
    if (err == 0) {
        pthread_mutex_lock(&index->files_lock);
        add_part(index, segment, number);
        pthread_mutex_unlock(&index->files_lock);
    }
    return err;
}

static int note_file(struct index *index, enum statement which, uint32_t number)
{
    sqlite3_bind_int64(index->statements[which], 1, number);
    return index_run(index, which);
}

static void unlink_file(const struct index *index, uint32_t number)
{
    char path[PATH_MAX];
    index_segment_path(index->path, number, path, sizeof(path));
    unlink(path);
}

int index_segments_finish(struct index *index)
{
    int err = 0;
    for (size_t i = 0; err == 0 && i < index->workers_len; i++) {
        if (segment_builder_count(index->workers[i].builder) > 0) {
            err = index_builder_flush(index, index->workers[i].builder);
        }
    }
    atomic_store(&index->merge.stop, true);
    while (err == 0 && atomic_load(&index->merge.state) != MERGE_IDLE) {
        index_merge_step(index);
    }
    for (size_t i = 0; err == 0 && i < index->parts_len; i++) {
        char path[PATH_MAX];
        index_segment_path(index->path, index->parts[i].number, path, sizeof(path));
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        err = fd >= 0 && fdatasync(fd) == 0 ? 0 : MIRAI_E_INTERNAL;
        if (fd >= 0) {
            close(fd);
        }
        int rc = note_file(index, SQL_SEGMENT_PUT, index->parts[i].number);
        err = err == 0 && rc != SQLITE_OK ? index_fault(index, rc, "segments") : err;
    }
    return err;
}

int index_segments_rename(struct index *index, const char *path)
{
    for (size_t i = 0; i < index->parts_len; i++) {
        char from[PATH_MAX];
        char to[PATH_MAX];
        index_segment_path(index->path, index->parts[i].number, from, sizeof(from));
        index_segment_path(path, index->parts[i].number, to, sizeof(to));
        if (rename(from, to) != 0) {
            return -1;
        }
    }
    return 0;
}

/* ------------------------------------------------------------------ merging in the background */

static int write_merge(void *data, struct segment_sink *sink)
{
    struct index *index = data;
    struct index_merge *merge = &index->merge;
    return segment_merge(merge->inputs, merge->inputs_len, is_live, index, &merge->stop, sink);
}

static void *merge_thread(void *data)
{
    struct index *index = data;
    struct index_merge *merge = &index->merge;
    setpriority(PRIO_PROCESS, 0, MERGE_NICE); /* of this thread, on Linux */
    merge->err = make_file(index, merge->number, index->published, write_merge, index, &merge->result);
    atomic_store(&merge->state, MERGE_DONE);
    return NULL;
}

static void merge_begin(struct index *index, const size_t *parts, size_t count, uint32_t flushed)
{
    struct index_merge *merge = &index->merge;
    merge->inputs = mirai_alloc(count * sizeof(merge->inputs[0]));
    merge->inputs_len = count;
    for (size_t i = 0; i < count; i++) {
        struct index_part *part = &index->parts[parts[i]];
        part->busy = true;
        merge->inputs[i] = segment_retain(part->segment);
    }
    merge->number = index->next_number++;
    merge->flushed = flushed;
    merge->result = NULL;
    atomic_store(&merge->stop, false);
    atomic_store(&merge->state, MERGE_RUNNING);
    merge->started = pthread_create(&merge->thread, NULL, merge_thread, index) == 0;
    if (!merge->started) {
        merge->err = MIRAI_E_INTERNAL;
        atomic_store(&merge->state, MERGE_DONE);
    }
}

static bool is_input(const struct index_merge *merge, const struct segment *segment)
{
    for (size_t i = 0; i < merge->inputs_len; i++) {
        if (merge->inputs[i] == segment) {
            return true;
        }
    }
    return false;
}

/* The manifest and what `pending` keeps change together. */
static int note_merge(struct index *index)
{
    struct index_merge *merge = &index->merge;
    int rc = index_run(index, SQL_BEGIN);
    for (size_t i = 0; rc == SQLITE_OK && i < index->parts_len; i++) {
        const struct index_part *part = &index->parts[i];
        if (part->number != 0 && is_input(merge, part->segment)) {
            rc = note_file(index, SQL_SEGMENT_DELETE, part->number);
        }
    }
    rc = rc == SQLITE_OK ? note_file(index, SQL_SEGMENT_PUT, merge->number) : rc;
    if (rc == SQLITE_OK && merge->flushed != 0) {
        rc = note_file(index, SQL_PENDING_FLUSHED, merge->flushed);
    }
    rc = rc == SQLITE_OK ? index_run(index, SQL_COMMIT) : rc;
    if (rc != SQLITE_OK && !sqlite3_get_autocommit(index->db)) {
        index_run(index, SQL_ROLLBACK);
    }
    return rc == SQLITE_OK ? 0 : index_fault(index, rc, "merge");
}

/* Put the result in the place of the inputs. Their files go when the manifest without them is safe on the disk. */
static void merge_install(struct index *index)
{
    struct index_merge *merge = &index->merge;
    uint32_t gone[MERGE_MAX + 1];
    size_t gone_len = 0;
    if (index->published) {
        merge->err = note_merge(index);
    }
    if (merge->err != 0) {
        segment_release(merge->result);
        unlink_file(index, merge->number);
        return;
    }
    for (size_t i = index->parts_len; i > 0; i--) {
        struct index_part *part = &index->parts[i - 1];
        if (is_input(merge, part->segment)) {
            if (part->number != 0 && gone_len < MERGE_MAX) {
                gone[gone_len++] = part->number;
            }
            remove_part(index, i - 1);
        }
    }
    add_part(index, merge->result, merge->number);
    /* files first: what is in memory is merged at the end of the list */
    struct index_part fresh = index->parts[index->parts_len - 1];
    memmove(&index->parts[1], &index->parts[0], (index->parts_len - 1) * sizeof(index->parts[0]));
    index->parts[0] = fresh;
    index_view_publish(index, 0);
    if (index->published && gone_len > 0) {
        sqlite3_wal_checkpoint_v2(index->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    }
    for (size_t i = 0; i < gone_len; i++) {
        unlink_file(index, gone[i]);
    }
}

static void merge_end(struct index *index)
{
    struct index_merge *merge = &index->merge;
    if (merge->started) {
        pthread_join(merge->thread, NULL);
        merge->started = false;
    }
    if (merge->err == 0) {
        merge_install(index);
    }
    if (merge->err == MIRAI_E_INVALID) {
        atomic_store(&index->damaged, true);
    }
    if (merge->err != 0 && merge->err != MIRAI_E_CANCELLED) {
        mirai_log(WARNING, "segments were not merged", MIRAI_LOG_Z("reason", mirai_error_slug(merge->err)));
    }
    for (size_t i = 0; i < merge->inputs_len; i++) {
        segment_release(merge->inputs[i]);
    }
    free(merge->inputs);
    merge->inputs = NULL;
    merge->inputs_len = 0;
    for (size_t i = 0; i < index->parts_len; i++) {
        index->parts[i].busy = false;
    }
    atomic_store(&merge->state, MERGE_IDLE);
}

static unsigned tier_of(size_t bytes)
{
    unsigned tier = 0;
    for (size_t most = TIER_FIRST; bytes > most && tier < 16; most *= 4) {
        tier++;
    }
    return tier;
}

static size_t memory_bytes(const struct index *index, uint32_t *docs)
{
    size_t bytes = 0;
    *docs = 0;
    for (size_t i = 0; i < index->parts_len; i++) {
        if (index->parts[i].number == 0) {
            bytes += segment_bytes(index->parts[i].segment);
            *docs += segment_count(index->parts[i].segment);
        }
    }
    return bytes;
}

/* Number of parts to merge, 0: none. */
static size_t pick_memory(const struct index *index, size_t parts[MERGE_MAX])
{
    uint32_t docs;
    size_t bytes = memory_bytes(index, &docs);
    size_t count = 0;
    if (bytes < FLUSH_BYTES && docs < FLUSH_DOCS) {
        return 0;
    }
    for (size_t i = 0; i < index->parts_len; i++) {
        if (index->parts[i].number == 0) {
            if (count == MERGE_MAX) { /* cannot be: they grow geometrically; then the rest stays pending */
                return 0;
            }
            parts[count++] = i;
        }
    }
    return count;
}

static size_t pick_files(const struct index *index, size_t parts[MERGE_MAX])
{
    for (unsigned tier = 0; tier <= 16; tier++) {
        size_t count = 0;
        uint64_t docs = 0;
        for (size_t i = index->parts_len; i > 0 && count < MERGE_MAX; i--) { /* the oldest are behind */
            const struct index_part *part = &index->parts[i - 1];
            uint32_t more = segment_count(part->segment);
            if (part->number != 0 && tier_of(segment_bytes(part->segment)) == tier &&
                docs + more <= SEGMENT_DOCS_MAX) {
                docs += more;
                parts[count++] = i - 1;
            }
        }
        if (count >= TIER_FILES) {
            return count;
        }
    }
    return 0;
}

bool index_merge_step(struct index *index)
{
    struct index_merge *merge = &index->merge;
    size_t parts[MERGE_MAX];
    uint32_t docs;
    if (atomic_load(&merge->state) == MERGE_RUNNING) {
        if (atomic_load(&merge->stop)) {
            pthread_join(merge->thread, NULL);
            merge->started = false;
        } else if (merge->flushed == 0 && index->published && memory_bytes(index, &docs) > FLUSH_URGENT) {
            atomic_store(&merge->stop, true);
        } else {
            return true;
        }
    }
    if (atomic_load(&merge->state) == MERGE_DONE) {
        merge_end(index);
    }
    if (atomic_load(&merge->state) != MERGE_IDLE || index_damaged(index)) {
        return false;
    }
    if (merge_memory(index)) {
        index_view_publish(index, 0);
    }
    if (atomic_load(&merge->stop) && !index->published) {
        return false; /* index_segments_finish */
    }
    size_t count = index->published ? pick_memory(index, parts) : 0;
    uint32_t flushed = count > 0 ? index->next_version - 1 : 0;
    count = count > 0 ? count : pick_files(index, parts);
    if (count > 0) {
        merge_begin(index, parts, count, flushed);
    }
    return count > 0;
}

/* ------------------------------------------------------------------ opening and closing */

/* Remove files that a crash left: not in the manifest. */
static void remove_orphans(const struct index *index)
{
    char dir[PATH_MAX];
    char base[NAME_MAX + 1];
    const char *slash = strrchr(index->path, '/');
    snprintf(dir, sizeof(dir), "%.*s", slash != NULL ? (int)(slash - index->path) : 1,
             slash != NULL ? index->path : ".");
    int len = snprintf(base, sizeof(base), "%s-seg-", slash != NULL ? slash + 1 : index->path);
    DIR *handle = opendir(dir);
    struct dirent *entry;
    while (handle != NULL && (entry = readdir(handle)) != NULL) {
        bool known = strncmp(entry->d_name, base, (size_t)len) != 0;
        for (size_t i = 0; !known && i < index->parts_len; i++) {
            known = strtoul(entry->d_name + len, NULL, 10) == index->parts[i].number;
        }
        if (!known) {
            unlinkat(dirfd(handle), entry->d_name, 0);
        }
    }
    if (handle != NULL) {
        closedir(handle);
    }
}

static int load_files(struct index *index)
{
    sqlite3_stmt *statement = NULL;
    int rc =
        sqlite3_prepare_v2(index->db, "SELECT number FROM segments ORDER BY number", -1, &statement, NULL);
    while (rc == SQLITE_OK && (rc = sqlite3_step(statement)) == SQLITE_ROW) {
        char path[PATH_MAX];
        struct segment *segment = NULL;
        uint32_t number = (uint32_t)sqlite3_column_int64(statement, 0);
        index_segment_path(index->path, number, path, sizeof(path));
        rc = number != 0 && segment_open(path, &segment) == 0 ? SQLITE_OK : SQLITE_CORRUPT;
        if (rc == SQLITE_OK) {
            add_part(index, segment, number);
            index->next_number = number >= index->next_number ? number + 1 : index->next_number;
        }
    }
    sqlite3_finalize(statement);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int load_pending(struct index *index)
{
    sqlite3_stmt *statement = NULL;
    struct segment *segment = NULL;
    int rc = sqlite3_prepare_v2(index->db, "SELECT slot, version, terms FROM pending ORDER BY version", -1,
                                &statement, NULL);
    while (rc == SQLITE_OK && (rc = sqlite3_step(statement)) == SQLITE_ROW) {
        struct segment_doc doc = {(uint32_t)sqlite3_column_int64(statement, 0),
                                  (uint32_t)sqlite3_column_int64(statement, 1)};
        struct mirai_str terms = {sqlite3_column_blob(statement, 2),
                                  (size_t)sqlite3_column_bytes(statement, 2)};
        rc = segment_builder_add(index->workers[0].builder, doc, terms) == 0 ? SQLITE_OK : SQLITE_CORRUPT;
    }
    sqlite3_finalize(statement);
    if (rc != SQLITE_DONE) {
        return rc;
    }
    if (index_memory_segment(index, &segment) != 0) {
        return SQLITE_CORRUPT;
    }
    index_memory_add(index, segment);
    return SQLITE_OK;
}

int index_segments_load(struct index *index)
{
    int rc = load_files(index);
    rc = rc == SQLITE_OK ? load_pending(index) : rc;
    if (rc == SQLITE_OK) {
        remove_orphans(index);
        index_view_publish(index, 0);
    }
    return rc;
}

void index_segments_close(struct index *index)
{
    struct index_merge *merge = &index->merge;
    atomic_store(&merge->stop, true);
    if (merge->started) {
        pthread_join(merge->thread, NULL);
        merge->started = false;
    }
    if (atomic_load(&merge->state) != MERGE_IDLE) { /* what was made is not in the manifest */
        if (merge->err == 0) {
            segment_release(merge->result);
            unlink_file(index, merge->number);
        }
        merge->err = MIRAI_E_CANCELLED;
        merge_end(index);
    }
    while (index->parts_len > 0) {
        remove_part(index, index->parts_len - 1);
    }
    free(index->parts);
    struct index_view *view = atomic_load(&index->view);
    if (view != NULL) {
        view_release(view);
    }
}

/* ------------------------------------------------------------------ scrubbing */

/* Each file once since it was opened or made, in the order of numbers. */
bool index_scrub_step(struct index *index)
{
    struct index_part *next = NULL;
    for (size_t i = 0; i < index->parts_len; i++) {
        struct index_part *part = &index->parts[i];
        bool begun = index->scrub.section != 0 || index->scrub.at != 0;
        uint32_t from = begun ? index->scrubbed : index->scrubbed + 1;
        if (part->number >= from && part->number != 0 && (next == NULL || part->number < next->number)) {
            next = part;
        }
    }
    if (next == NULL) {
        return false;
    }
    if (next->number != index->scrubbed) {
        index->scrub = (struct segment_scrub){0};
        index->scrubbed = next->number;
    }
    if (!segment_scrub(next->segment, &index->scrub, SCRUB_BYTES)) {
        index->scrub = (struct segment_scrub){0};
    }
    if (segment_damaged(next->segment)) {
        mirai_log(ERROR, "segment is damaged", MIRAI_LOG_I("number", next->number));
        atomic_store(&index->damaged, true);
        return false;
    }
    return true;
}
