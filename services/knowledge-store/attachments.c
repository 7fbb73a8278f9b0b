#include "services/knowledge-store/attachments.h"

#include "libcommon/log.h"
#include "services/knowledge-store/articles.h"
#include "services/knowledge-store/blobs.h"
#include "services/knowledge-store/snapshot.h"
#include "services/knowledge-store/store.h"

#define ATTACHMENTS_MAX 1000 /* of one article: the bound of attachment_page */
#define HASH_LEN        (BLOB_HASH_SIZE - 1)

#define ATTACHMENT_COLUMNS                                                                                   \
    "t.id, t.name, t.media_type, t.size, t.sha256, t.created_at, t.article_id, " ARTICLE_USER("t.created_"   \
                                                                                              "by")

static void read_attachment(struct op *op, struct db_rows *rows, struct mirai_attachment *attachment)
{
    *attachment = (struct mirai_attachment){0};
    mirai_set(attachment, attachment, id, db_int(rows, 0));
    mirai_set(attachment, attachment, name, db_text_copy(rows, 1, &op->arena));
    mirai_set(attachment, attachment, media_type, db_text_copy(rows, 2, &op->arena));
    mirai_set(attachment, attachment, size, db_int(rows, 3));
    mirai_set(attachment, attachment, sha256, db_text_copy(rows, 4, &op->arena));
    mirai_set(attachment, attachment, created_at, db_int(rows, 5));
    mirai_set(attachment, attachment, article_id, db_int(rows, 6));
    if (!db_is_null(rows, 7)) {
        mirai_set(attachment, attachment, created_by, db_text_copy(rows, 7, &op->arena));
    }
}

int attachment_find(struct op *op, int64_t article_id, int64_t id, struct mirai_attachment *attachment)
{
    struct db_rows *rows = db_query(
        op->db, "SELECT " ATTACHMENT_COLUMNS " FROM attachments t WHERE t.id = ?1 AND t.article_id = ?2",
        DB_I(id), DB_I(article_id));
    bool found = db_next(rows);
    if (found) {
        read_attachment(op, rows, attachment);
    }
    int err = db_end(rows);
    return err == 0 && !found ? MIRAI_E_NOT_FOUND : err;
}

int attachment_insert(struct op *op, int64_t article_id, const struct mirai_attachment *attachment,
                      int64_t *id)
{
    int64_t count;
    int err = db_find_int(op->db, &count, "SELECT count(*) FROM attachments WHERE article_id = ?1",
                          DB_I(article_id));
    if (err == 0 && count >= ATTACHMENTS_MAX) {
        return op_fail(op, MIRAI_E_CONFLICT, "the article has too many attachments");
    }
    if (err == 0) {
        err = db_exec(
            op->db,
            "INSERT INTO attachments (article_id, name, media_type, size, sha256, created_at, created_by) "
            "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            DB_I(article_id), DB_S(attachment->name), DB_S(attachment->media_type), DB_I(attachment->size),
            DB_S(attachment->sha256), DB_I(op->now_ms), DB_I(op->principal->user_id));
    }
    *id = err == 0 ? db_last_id(op->db) : 0;
    return err;
}

/* ------------------------------------------------------------------ reading */

static int read_list(struct op *op, int64_t article_id, struct mirai_objects *list)
{
    struct mirai_attachment *items = NULL;
    size_t count = 0, cap = 0;
    struct db_rows *rows = db_query(op->db,
                                    "SELECT " ATTACHMENT_COLUMNS
                                    " FROM attachments t WHERE t.article_id = ?1 ORDER BY t.id LIMIT ?2",
                                    DB_I(article_id), DB_I(ATTACHMENTS_MAX));
    while (db_next(rows)) {
        if (count == cap) {
            cap = cap == 0 ? 4 : cap * 2;
            struct mirai_attachment *grown = mirai_arena_alloc(&op->arena, cap * sizeof(*grown));
            if (count > 0) {
                memcpy(grown, items, count * sizeof(*grown));
            }
            items = grown;
        }
        read_attachment(op, rows, &items[count++]);
    }
    *list = (struct mirai_objects){items, count};
    return db_end(rows);
}

int attachments_list(struct op *op)
{
    const struct mirai_by_id *params = op->params;
    struct mirai_attachment_page result = {0};
    int err = access_find_article(op, params->id, NULL);
    if (err == 0) {
        err = read_list(op, params->id, &result.items);
    }
    if (err != 0) {
        return err;
    }
    mirai_mark(attachment_page, &result, items);
    return op_result(op, &result);
}

int attachments_load(struct op *op, struct mirai_article *article)
{
    int err = read_list(op, article->id, &article->attachments);
    if (err == 0) {
        mirai_mark(article, article, attachments);
    }
    return err;
}

int attachments_get(struct op *op)
{
    const struct mirai_attachment_ref *params = op->params;
    struct mirai_attachment attachment;
    int err = access_find_article(op, params->id, NULL);
    if (err == 0) {
        err = attachment_find(op, params->id, params->attachment_id, &attachment);
    }
    return err != 0 ? err : op_result(op, &attachment);
}

/* op->state: the hash (struct mirai_str) of what may be read. */
int attachments_read_find(struct op *op)
{
    const struct mirai_attachment_read *params = op->params;
    struct mirai_attachment attachment;
    struct mirai_str *sha256 = mirai_arena_alloc(&op->arena, sizeof(*sha256));
    op->state = sha256;
    if (mirai_has(attachment_read, params, sha256)) {
        *sha256 = params->sha256;
        return op->principal->user_id == MIRAI_USER_SYSTEM ? 0 : MIRAI_E_FORBIDDEN;
    }
    if (!mirai_has(attachment_read, params, attachment_id)) {
        return op_fault(op, "/attachment_id", "required");
    }
    if (!mirai_has(attachment_read, params, id)) {
        return op_fault(op, "/id", "required");
    }
    int err = access_find_article(op, params->id, NULL);
    if (err == 0) {
        err = attachment_find(op, params->id, params->attachment_id, &attachment);
    }
    *sha256 = attachment.sha256;
    return err;
}

int attachments_read(struct op *op)
{
    const struct mirai_attachment_read *params = op->params;
    const struct mirai_str *sha256 = op->state;
    struct mirai_bytes result = {0};
    struct mirai_buf data = {0};
    int64_t total = 0;
    int err = blob_read(&op->store->blobs, *sha256, params->offset, params->length, &data, &total);
    if (err == 0) {
        mirai_set(bytes, &result, data, mirai_buf_str(&data));
        mirai_set(bytes, &result, total, total);
        err = op_result(op, &result);
    }
    mirai_buf_free(&data);
    return err;
}

/* ------------------------------------------------------------------ removing */

/* Rules that keep a content while any committed row names it: files are removed on the writer thread, as
 * commits of uploads put them there; only after the deletion of a row was committed; and not while another
 * deletion may still be undone, because the writer would not see that row. The last deletion to finish looks
 * again. While a snapshot is open nothing is removed, because its copy may name what the present rows do not; a copy
 * that begins after this was asked sees no row either. */
struct collection {
    size_t count;
    struct mirai_str *hashes;
};

int attachments_removing(struct op *op, int64_t article_id, int64_t id)
{
    struct collection *collection = mirai_arena_alloc(&op->arena, sizeof(*collection));
    collection->hashes = mirai_arena_alloc(&op->arena, ATTACHMENTS_MAX * sizeof(*collection->hashes));
    if (op->state == NULL) {
        atomic_fetch_add(&op->store->attachment_removals, 1);
    }
    op->state = collection;
    struct db_rows *rows = db_query(
        op->db, "SELECT sha256 FROM attachments WHERE article_id = ?1 AND (?2 = 0 OR id = ?2) LIMIT ?3",
        DB_I(article_id), DB_I(id), DB_I(ATTACHMENTS_MAX));
    while (db_next(rows)) {
        collection->hashes[collection->count++] = db_text_copy(rows, 0, &op->arena);
    }
    return db_end(rows);
}

/* On the writer, in a transaction of its group. What it does not get to stays in the collection. */
static int remove_unused(struct op *op)
{
    struct collection *collection = op->state;
    if (snapshots_hold_contents(op->store->snapshots)) {
        collection->count = 0; /* attachments_collect_held finds them */
    }
    while (collection->count > 0 && atomic_load(&op->store->attachment_removals) == 0) {
        int64_t id;
        struct mirai_str sha256 = collection->hashes[collection->count - 1];
        int err =
            db_find_int(op->db, &id, "SELECT id FROM attachments WHERE sha256 = ?1 LIMIT 1", DB_S(sha256));
        if (err == MIRAI_E_NOT_FOUND) {
            (void)blob_remove(&op->store->blobs, sha256);
        } else if (err != 0) {
            return err;
        }
        collection->count--;
    }
    return 0;
}

static void remove_rest(struct op *op);

/* A new operation that has the contents of `collection` removed. */
static void start_removal(struct store *store, const struct collection *collection)
{
    static const struct op_method method = {
        .steps = {{OP_WRITE, remove_unused}}, .flags = OP_NO_AUDIT, .finish = remove_rest};
    struct op *op = op_new_internal(store, &method);
    struct collection *copy = mirai_arena_alloc(&op->arena, sizeof(*copy));
    copy->hashes = mirai_arena_alloc(&op->arena, collection->count * sizeof(*copy->hashes));
    for (; copy->count < collection->count; copy->count++) {
        copy->hashes[copy->count] = mirai_arena_copy(&op->arena, collection->hashes[copy->count]);
    }
    op->state = copy;
    op_advance(op);
}

/* After an error the next start finds them. */
static void remove_rest(struct op *op)
{
    const struct collection *collection = op->state;
    if (op->err == 0 && collection != NULL && collection->count > 0) {
        start_removal(op->store, collection);
    }
}

void attachments_removed(struct op *op)
{
    const struct collection *collection = op->state;
    if (collection == NULL) {
        return;
    }
    atomic_fetch_sub(&op->store->attachment_removals, 1);
    if (op->err == 0 && collection->count > 0) {
        start_removal(op->store, collection);
    }
}

int attachments_delete(struct op *op)
{
    const struct mirai_attachment_ref *params = op->params;
    struct mirai_attachment attachment;
    op_object(op, "attachment", params->attachment_id);
    int err = access_find_writable_article(op, params->id);
    if (err == 0) {
        err = attachment_find(op, params->id, params->attachment_id, &attachment);
    }
    if (err == 0) {
        err = attachments_removing(op, params->id, params->attachment_id);
    }
    if (err == 0) {
        err = db_exec(op->db, "DELETE FROM attachments WHERE id = ?1", DB_I(params->attachment_id));
    }
    return err != 0 ? err : op_change(op, MIRAI_CHANGE_ARTICLE, params->id);
}

/* ------------------------------------------------------------------ after a crash */

struct candidates {
    struct op *op;
    struct collection collection;
    size_t cap;
};

static void add_candidate(void *data, struct mirai_str sha256)
{
    struct candidates *candidates = data;
    struct collection *collection = &candidates->collection;
    if (collection->count == candidates->cap) {
        size_t cap = candidates->cap == 0 ? 256 : candidates->cap * 2;
        struct mirai_str *grown = mirai_arena_alloc(&candidates->op->arena, cap * sizeof(*grown));
        if (collection->count > 0) {
            memcpy(grown, collection->hashes, collection->count * sizeof(*grown));
        }
        collection->hashes = grown;
        candidates->cap = cap;
    }
    collection->hashes[collection->count++] = mirai_arena_copy(&candidates->op->arena, sha256);
}

static int list_contents(struct op *op)
{
    struct candidates *candidates = mirai_arena_alloc(&op->arena, sizeof(*candidates));
    candidates->op = op;
    blobs_each(&op->store->blobs, add_candidate, candidates);
    op->state = &candidates->collection;
    return 0;
}

/* Keep those without a row: few are left for the writer to look at again. */
static int keep_unused(struct op *op)
{
    struct collection *collection = op->state;
    size_t kept = 0;
    for (size_t i = 0; i < collection->count; i++) {
        int64_t id;
        int err = db_find_int(op->db, &id, "SELECT id FROM attachments WHERE sha256 = ?1 LIMIT 1",
                              DB_S(collection->hashes[i]));
        if (err == MIRAI_E_NOT_FOUND) {
            collection->hashes[kept++] = collection->hashes[i];
        } else if (err != 0) {
            return err;
        }
    }
    collection->count = kept;
    if (kept > 0) {
        mirai_log(INFO, "removing attachment contents without a row", MIRAI_LOG_I("count", (int64_t)kept));
    }
    return 0;
}

void attachments_collect_held(struct store *store)
{
    if (snapshots_released(store->snapshots)) {
        attachments_collect(store);
    }
}

void attachments_collect(struct store *store)
{
    static const struct op_method method = {
        .steps = {{OP_FILE, list_contents}, {OP_BULK, keep_unused}, {OP_WRITE, remove_unused}},
        .flags = OP_NO_AUDIT,
        .finish = remove_rest,
    };
    op_advance(op_new_internal(store, &method));
}
