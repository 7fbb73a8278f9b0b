#include "services/knowledge-store/methods.h"

#include "services/knowledge-store/articles.h"
#include "services/knowledge-store/attachments.h"
#include "services/knowledge-store/feed.h"
#include "services/knowledge-store/op.h"
#include "services/knowledge-store/revisions.h"
#include "services/knowledge-store/snapshot.h"
#include "services/knowledge-store/store.h"

static int store_restart(struct op *op)
{
    (void)op;
    return 0;
}

static void store_restart_finish(struct op *op)
{
    if (op->err == 0 && op->store->runtime != NULL) {
        mirai_service_shutdown(op->store->runtime, 0);
    }
}

/* One step, on a pool. */
#define ON(pool, run) .steps = {{OP_##pool, run}}

const struct op_method op_methods[MIRAI_METHOD_ID_COUNT] = {
    [MIRAI_METHOD_ID_article_get] = {ON(READ, article_get), .quick = article_get_quick,
                                     .finish = article_get_finish},
    [MIRAI_METHOD_ID_article_list] = {ON(READ, article_list)},
    [MIRAI_METHOD_ID_article_stats] = {ON(READ, article_stats)},
    [MIRAI_METHOD_ID_article_create] = {ON(WRITE, article_create)},
    [MIRAI_METHOD_ID_article_replace] = {ON(WRITE, article_replace)},
    [MIRAI_METHOD_ID_article_patch] = {ON(WRITE, article_patch)},
    [MIRAI_METHOD_ID_article_import] = {ON(WRITE, article_import)},
    [MIRAI_METHOD_ID_article_delete] = {ON(WRITE, article_delete)},
    [MIRAI_METHOD_ID_article_restore] = {ON(WRITE, article_restore)},
    [MIRAI_METHOD_ID_article_purge] = {ON(WRITE, article_purge), .finish = attachments_removed},
    [MIRAI_METHOD_ID_article_export] = {ON(BULK, feed_article_export)},

    [MIRAI_METHOD_ID_revision_list] = {ON(READ, revision_list)},
    [MIRAI_METHOD_ID_revision_get] = {ON(READ, revision_get)},
    [MIRAI_METHOD_ID_revision_diff] = {ON(BULK, revision_diff)},
    [MIRAI_METHOD_ID_revision_restore] = {ON(WRITE, revision_restore)},

    [MIRAI_METHOD_ID_changes_since] = {ON(BULK, feed_changes_since)},
    [MIRAI_METHOD_ID_snapshot_begin] = {ON(FILE, snapshot_begin)},
    [MIRAI_METHOD_ID_snapshot_read] = {ON(FILE, snapshot_read)},
    [MIRAI_METHOD_ID_snapshot_end] = {ON(FILE, snapshot_end)},
    [MIRAI_METHOD_ID_store_restart] = {ON(WRITE, store_restart), .finish = store_restart_finish},
};

#define HANDLER(id, ...)                                                                                     \
    static void handle_##id(struct mirai_rpc_request *request)                                               \
    {                                                                                                        \
        op_accept(request, MIRAI_METHOD_ID_##id);                                                            \
    }
MIRAI_STORE_METHODS(HANDLER)

#define ROW(id, name, ...) {name, handle_##id},
const struct mirai_rpc_method store_rpc_methods[] = {MIRAI_STORE_METHODS(ROW){NULL, NULL}};
