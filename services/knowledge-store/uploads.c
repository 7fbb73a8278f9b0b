#include "services/knowledge-store/uploads.h"

#include "libcommon/config.h"
#include "libcommon/log.h"
#include "libcommon/time.h"
#include "services/knowledge-store/attachments.h"
#include "services/knowledge-store/blobs.h"
#include "services/knowledge-store/checks.h"
#include "services/knowledge-store/store.h"

#include <stdlib.h>
#include <unistd.h>

#define UPLOAD_LIFE_MS     600000 /* from begin to commit */
#define REPLY_MS           250    /* of a call's time is kept for its answer after a scan */
#define MEDIA_TYPE_DEFAULT "application/octet-stream"

struct upload {
    struct upload *next;
    int64_t owner_id; /* the principal that began it */
    int64_t article_id;
    int64_t size; /* announced */
    char *name;
    char *media_type;
    uint64_t begun_ms; /* monotonic */
    struct blob_writer writer;
    char sha256[BLOB_HASH_SIZE];
};

struct uploads {
    struct upload *first;
    size_t count;
    atomic_size_t committing; /* no longer in the list, but still on the disk beside its contents */
};

struct uploads *uploads_new(void)
{
    return mirai_alloc(sizeof(struct uploads));
}

static void upload_free(struct store *store, struct upload *upload)
{
    blob_writer_discard(&store->blobs, &upload->writer);
    free(upload->name);
    free(upload->media_type);
    free(upload);
}

/* Take the upload that *link points to out of the table. */
static struct upload *detach(struct uploads *uploads, struct upload **link)
{
    struct upload *upload = *link;
    *link = upload->next;
    upload->next = NULL;
    uploads->count--;
    return upload;
}

void uploads_free(struct store *store, struct uploads *uploads)
{
    if (uploads == NULL) {
        return;
    }
    while (uploads->first != NULL) {
        upload_free(store, detach(uploads, &uploads->first));
    }
    free(uploads);
}

/* Uploads are found by those only who began them. */
static struct upload **find(const struct op *op, struct mirai_str name)
{
    for (struct upload **link = &op->store->uploads->first; *link != NULL; link = &(*link)->next) {
        if (mirai_str_eq(mirai_str((*link)->writer.name), name) &&
            (*link)->owner_id == op->principal->user_id) {
            return link;
        }
    }
    return NULL;
}

static int remove_expired(struct op *op)
{
    struct uploads *uploads = op->store->uploads;
    uint64_t now_ms = mirai_monotonic_ms();
    for (struct upload **link = &uploads->first; *link != NULL;) {
        if (now_ms - (*link)->begun_ms >= UPLOAD_LIFE_MS) {
            upload_free(op->store, detach(uploads, link));
        } else {
            link = &(*link)->next;
        }
    }
    return 0;
}

void uploads_expire(struct store *store)
{
    static const struct op_method method = {.steps = {{OP_FILE, remove_expired}}, .flags = OP_NO_AUDIT};
    op_advance(op_new_internal(store, &method));
}

/* ------------------------------------------------------------------ begin */

int upload_begin_check(struct op *op)
{
    const struct mirai_upload_begin *params = op->params;
    int err = access_find_writable_article(op, params->id);
    if (err != 0) {
        return err;
    }
    if (!check_file_name(params->name)) {
        return op_fault(op, "/name", "format");
    }
    if (params->media_type.len > 0 && !check_media_type(params->media_type)) {
        return op_fault(op, "/media_type", "format");
    }
    return params->size > mirai_config_int(MIRAI_CONFIG_ATTACHMENT_MAX_BYTES) ? MIRAI_E_TOO_LARGE : 0;
}

static struct upload *upload_new(const struct op *op, const struct mirai_upload_begin *params)
{
    struct upload *upload = mirai_alloc(sizeof(*upload));
    upload->owner_id = op->principal->user_id;
    upload->article_id = params->id;
    upload->size = params->size;
    upload->name = mirai_str_dup(params->name);
    upload->media_type =
        mirai_str_dup(params->media_type.len > 0 ? params->media_type : MIRAI_STR(MEDIA_TYPE_DEFAULT));
    upload->begun_ms = mirai_monotonic_ms();
    upload->writer.fd = -1;
    return upload;
}

int upload_begin(struct op *op)
{
    const struct mirai_upload_begin *params = op->params;
    struct uploads *uploads = op->store->uploads;
    struct mirai_upload_begin_result result = {0};
    (void)remove_expired(op);
    if (uploads->count + atomic_load(&uploads->committing) >= mirai_config_size(MIRAI_CONFIG_UPLOADS_MAX)) {
        return op_fail(op, MIRAI_E_OVERLOADED, "too many uploads are under way");
    }
    struct upload *upload = upload_new(op, params);
    int err = blob_writer_open(&op->store->blobs, &upload->writer);
    if (err != 0) {
        upload_free(op->store, upload);
        return err;
    }
    upload->next = uploads->first;
    uploads->first = upload;
    uploads->count++;
    mirai_set(upload_begin_result, &result, upload, mirai_str(upload->writer.name));
    return op_result(op, &result);
}

/* ------------------------------------------------------------------ chunks */

int upload_chunk(struct op *op)
{
    const struct mirai_upload_chunk *params = op->params;
    struct upload **link = find(op, params->upload);
    if (link == NULL) {
        return MIRAI_E_NOT_FOUND;
    }
    struct upload *upload = *link;
    if (params->offset != upload->writer.size) {
        return op_fail(op, MIRAI_E_CONFLICT, "the offset is not what has arrived so far");
    }
    if ((int64_t)params->data.len > upload->size - upload->writer.size) {
        return op_fail(op, MIRAI_E_TOO_LARGE, "more bytes than announced");
    }
    int err = blob_writer_append(&upload->writer, params->data);
    if (err != 0) {
        upload_free(op->store, detach(op->store->uploads, link));
    }
    return err;
}

int upload_abort(struct op *op)
{
    const struct mirai_upload_ref *params = op->params;
    struct upload **link = find(op, params->upload);
    if (link == NULL) {
        return MIRAI_E_NOT_FOUND;
    }
    upload_free(op->store, detach(op->store->uploads, link));
    return 0;
}

/* ------------------------------------------------------------------ commit */

/* Leaves the upload in op->state. None: perhaps this is a repetition, to which the writer knows the answer.
 */
int upload_commit_file(struct op *op)
{
    const struct mirai_upload_ref *params = op->params;
    struct upload **link = find(op, params->upload);
    if (link == NULL) {
        return op->context->idempotency_key.len > 0 ? 0 : MIRAI_E_NOT_FOUND;
    }
    if ((*link)->writer.size != (*link)->size) {
        return op_fail(op, MIRAI_E_CONFLICT, "not all announced bytes have arrived");
    }
    struct upload *upload = detach(op->store->uploads, link);
    atomic_fetch_add(&op->store->uploads->committing, 1);
    op->state = upload;
    bool finished = upload->writer.fd < 0; /* it was committed before, but not scanned */
    return finished ? 0 : blob_writer_finish(&upload->writer, upload->sha256);
}

/* The scanner gets its own time, but not more than the call has left. */
static uint64_t scan_until(const struct op *op)
{
    uint64_t end = mirai_monotonic_ms() + (uint64_t)mirai_config_int(MIRAI_CONFIG_CLAMD_TIMEOUT_MS);
    uint64_t call = op->context->deadline_ms;
    return call == 0 || call > end + REPLY_MS ? end : call > REPLY_MS ? call - REPLY_MS : 0;
}

static void log_verdict(const struct op *op, const struct upload *upload, const char *what,
                        const char *reason)
{
    mirai_log(WARNING, what, MIRAI_LOG_Z("reason", reason), MIRAI_LOG_I("user", op->principal->user_id),
              MIRAI_LOG_I("article", upload->article_id), MIRAI_LOG_Z("sha256", upload->sha256),
              MIRAI_LOG_I("bytes", upload->size));
}

static int act_on_verdict(struct op *op, struct upload *upload, enum clamd_verdict verdict,
                          const char *reason)
{
    switch (verdict) {
    case CLAMD_CLEAN:
        return 0;
    case CLAMD_INFECTED:
        blob_writer_discard(&op->store->blobs, &upload->writer);
        log_verdict(op, upload, "an upload was refused: the virus scanner found something", reason);
        op_object(op, "article", upload->article_id);
        return op_fail(op, MIRAI_E_INFECTED, mirai_arena_printf(&op->arena, "found: %s", reason).data);
    case CLAMD_TOO_LARGE:
        log_verdict(op, upload, "an upload was refused: clamd's StreamMaxLength is too small for it", reason);
        return op_fail(op, MIRAI_E_TOO_LARGE, "the virus scanner takes no file as large");
    case CLAMD_NO_ANSWER:
        break;
    }
    log_verdict(op, upload, "the virus scanner gives no verdict", reason);
    return MIRAI_E_SCANNER;
}

int upload_scan(struct op *op)
{
    struct upload *upload = op->state;
    const char *target = mirai_config_str(MIRAI_CONFIG_CLAMD);
    char reason[CLAMD_REASON_SIZE];
    if (upload == NULL || target[0] == '\0') {
        return 0;
    }
    int fd = blob_writer_reopen(&op->store->blobs, &upload->writer);
    if (fd < 0) {
        return MIRAI_E_INTERNAL;
    }
    enum clamd_verdict verdict = clamd_scan(target, fd, scan_until(op), &op->store->stopping, reason);
    close(fd);
    mirai_counter_add(op->store->metrics.scans[verdict], 1);
    return act_on_verdict(op, upload, verdict, reason);
}

int upload_commit(struct op *op)
{
    struct upload *upload = op->state;
    struct mirai_attachment attachment;
    int64_t id;
    if (upload == NULL) {
        return MIRAI_E_NOT_FOUND;
    }
    int err = access_find_writable_article(op, upload->article_id);
    if (err == 0) {
        err = attachment_insert(op, upload->article_id,
                                &(struct mirai_attachment){.name = mirai_str(upload->name),
                                                           .media_type = mirai_str(upload->media_type),
                                                           .size = upload->size,
                                                           .sha256 = mirai_str(upload->sha256)},
                                &id);
    }
    /* The file first, the row's commit later: a crash between them leaves a file without a row, never a row
     * without a file. */
    if (err == 0) {
        err = blob_writer_keep(&op->store->blobs, &upload->writer, upload->sha256);
    }
    if (err == 0) {
        op_object(op, "attachment", id);
        err = attachment_find(op, upload->article_id, id, &attachment);
    }
    if (err == 0) {
        err = op_change(op, MIRAI_CHANGE_ARTICLE, upload->article_id);
    }
    return err != 0 ? err : op_result(op, &attachment);
}

static int put_back(struct op *op)
{
    struct uploads *uploads = op->store->uploads;
    struct upload *upload = op->state;
    upload->next = uploads->first;
    uploads->first = upload;
    uploads->count++;
    op->state = NULL;
    return 0;
}

/* Of put_back: the store is stopping. */
static void drop(struct op *op)
{
    if (op->state != NULL) {
        upload_free(op->store, op->state);
    }
}

/* Whether it waits for the same commit once more: nobody has looked at it yet. */
static bool may_come_again(const struct op *op)
{
    bool scanning = op->method->steps[op->step].pool == OP_SCAN;
    return op->err != 0 && op->err != MIRAI_E_TOO_LARGE && op->err != MIRAI_E_INTERNAL && scanning;
}

void upload_commit_finish(struct op *op)
{
    static const struct op_method method = {
        .steps = {{OP_FILE, put_back}}, .flags = OP_NO_AUDIT, .finish = drop};
    if (op->state == NULL) {
        return;
    }
    atomic_fetch_sub(&op->store->uploads->committing, 1);
    if (may_come_again(op)) {
        struct op *back = op_new_internal(op->store, &method);
        back->state = op->state;
        op_advance(back); /* before the answer leaves: the file thread has it before a repetition */
    } else {
        upload_free(op->store, op->state);
    }
    op->state = NULL;
}
