#include "services/knowledge-store/methods.h"

#include "services/knowledge-store/articles.h"
#include "services/knowledge-store/asked.h"
#include "services/knowledge-store/attachments.h"
#include "services/knowledge-store/audit.h"
#include "services/knowledge-store/auth.h"
#include "services/knowledge-store/comments.h"
#include "services/knowledge-store/dictionary.h"
#include "services/knowledge-store/directory.h"
#include "services/knowledge-store/feed.h"
#include "services/knowledge-store/feedback.h"
#include "services/knowledge-store/groups.h"
#include "services/knowledge-store/hand_over.h"
#include "services/knowledge-store/identity.h"
#include "services/knowledge-store/op.h"
#include "services/knowledge-store/relations.h"
#include "services/knowledge-store/revisions.h"
#include "services/knowledge-store/second_factor.h"
#include "services/knowledge-store/sessions.h"
#include "services/knowledge-store/signals.h"
#include "services/knowledge-store/snapshot.h"
#include "services/knowledge-store/spaces.h"
#include "services/knowledge-store/statistics.h"
#include "services/knowledge-store/store.h"
#include "services/knowledge-store/synonyms.h"
#include "services/knowledge-store/tags.h"
#include "services/knowledge-store/templates.h"
#include "services/knowledge-store/tokens.h"
#include "services/knowledge-store/uploads.h"
#include "services/knowledge-store/users.h"

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
/* Two steps, each on its pool. */
#define THEN(first_pool, first, second_pool, second)                                                         \
    .steps = {{OP_##first_pool, first}, {OP_##second_pool, second}}

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

    [MIRAI_METHOD_ID_relation_list] = {ON(READ, relations_list)},
    [MIRAI_METHOD_ID_relation_create] = {ON(WRITE, relations_create)},
    [MIRAI_METHOD_ID_relation_delete] = {ON(WRITE, relations_delete)},
    [MIRAI_METHOD_ID_feedback_list] = {ON(READ, feedback_list)},
    [MIRAI_METHOD_ID_feedback_create] = {ON(WRITE, feedback_create)},
    [MIRAI_METHOD_ID_comment_list] = {ON(READ, comments_list)},
    [MIRAI_METHOD_ID_comment_create] = {ON(WRITE, comments_create)},
    [MIRAI_METHOD_ID_comment_delete] = {ON(WRITE, comments_delete)},

    [MIRAI_METHOD_ID_attachment_list] = {ON(READ, attachments_list)},
    [MIRAI_METHOD_ID_attachment_get] = {ON(READ, attachments_get)},
    [MIRAI_METHOD_ID_attachment_read] = {THEN(READ, attachments_read_find, FILE, attachments_read)},
    [MIRAI_METHOD_ID_attachment_delete] = {ON(WRITE, attachments_delete), .finish = attachments_removed},
    [MIRAI_METHOD_ID_upload_begin] = {THEN(READ, upload_begin_check, FILE, upload_begin)},
    [MIRAI_METHOD_ID_upload_chunk] = {ON(FILE, upload_chunk)},
    [MIRAI_METHOD_ID_upload_commit] = {.steps = {{OP_FILE, upload_commit_file},
                                                 {OP_SCAN, upload_scan},
                                                 {OP_WRITE, upload_commit}},
                                       .finish = upload_commit_finish},
    [MIRAI_METHOD_ID_upload_abort] = {ON(FILE, upload_abort)},

    [MIRAI_METHOD_ID_tag_list] = {ON(READ, tags_list)},
    [MIRAI_METHOD_ID_tag_create] = {ON(WRITE, tags_create)},
    [MIRAI_METHOD_ID_tag_patch] = {ON(WRITE, tags_patch)},
    [MIRAI_METHOD_ID_tag_delete] = {ON(WRITE, tags_delete)},
    [MIRAI_METHOD_ID_template_list] = {ON(READ, templates_list)},
    [MIRAI_METHOD_ID_template_put] = {ON(WRITE, templates_put)},
    [MIRAI_METHOD_ID_space_list] = {ON(READ, spaces_list)},
    [MIRAI_METHOD_ID_space_create] = {ON(WRITE, spaces_create)},
    [MIRAI_METHOD_ID_space_patch] = {ON(WRITE, spaces_patch)},
    [MIRAI_METHOD_ID_space_delete] = {ON(WRITE, spaces_delete)},
    [MIRAI_METHOD_ID_group_list] = {ON(READ, groups_list)},
    [MIRAI_METHOD_ID_group_create] = {ON(WRITE, groups_create)},
    [MIRAI_METHOD_ID_group_patch] = {ON(WRITE, groups_patch)},
    [MIRAI_METHOD_ID_group_delete] = {ON(WRITE, groups_delete)},

    [MIRAI_METHOD_ID_user_list] = {ON(READ, users_list)},
    [MIRAI_METHOD_ID_user_get] = {ON(READ, users_get)},
    [MIRAI_METHOD_ID_user_self] = {ON(READ, users_self)},
    [MIRAI_METHOD_ID_user_create] = {THEN(PASSWORD, users_create_hash, WRITE, users_create)},
    [MIRAI_METHOD_ID_user_patch] = {.steps = {{OP_READ, users_patch_check},
                                              {OP_PASSWORD, users_patch_hash},
                                              {OP_WRITE, users_patch}}},
    [MIRAI_METHOD_ID_user_hand_over] = {ON(WRITE, hand_over)},
    [MIRAI_METHOD_ID_user_password] = {.steps = {{OP_READ, auth_password_find},
                                                 {OP_PASSWORD, auth_password_change},
                                                 {OP_WRITE, auth_password}},
                                       .flags = OP_AUDIT_FAILURES},
    [MIRAI_METHOD_ID_auth_login] = {.steps = {{OP_READ, auth_login_find},
                                              {OP_PASSWORD, auth_login_verify},
                                              {OP_WRITE, auth_login}},
                                    .flags = OP_AUDIT_FAILURES},
    [MIRAI_METHOD_ID_auth_logout] = {ON(WRITE, auth_logout)},
    [MIRAI_METHOD_ID_auth_token] = {ON(READ, identity_of_token), .finish = identity_of_token_finish},
    [MIRAI_METHOD_ID_auth_held] = {ON(READ, identity_of_held)},
    [MIRAI_METHOD_ID_auth_place] = {ON(READ, directory_place)},
    [MIRAI_METHOD_ID_auth_directory] = {ON(WRITE, directory_login), .flags = OP_AUDIT_FAILURES},
    [MIRAI_METHOD_ID_directory_claim] = {ON(WRITE, directory_claim), .flags = OP_NO_AUDIT},
    [MIRAI_METHOD_ID_directory_update] = {ON(WRITE, directory_update)},
    [MIRAI_METHOD_ID_session_list] = {ON(READ, sessions_list)},
    [MIRAI_METHOD_ID_session_delete] = {ON(WRITE, sessions_delete)},
    [MIRAI_METHOD_ID_session_end_all] = {ON(WRITE, sessions_end_all)},
    [MIRAI_METHOD_ID_second_factor_begin] = {.steps = {{OP_READ, second_factor_find},
                                                       {OP_PASSWORD, second_factor_begin_verify},
                                                       {OP_WRITE, second_factor_begin}},
                                             .flags = OP_AUDIT_FAILURES},
    [MIRAI_METHOD_ID_second_factor_confirm] = {ON(WRITE, second_factor_confirm)},
    [MIRAI_METHOD_ID_second_factor_end] = {.steps = {{OP_READ, second_factor_find},
                                                     {OP_PASSWORD, second_factor_end_verify},
                                                     {OP_WRITE, second_factor_end}},
                                           .flags = OP_AUDIT_FAILURES},
    [MIRAI_METHOD_ID_token_list] = {ON(READ, tokens_list)},
    [MIRAI_METHOD_ID_token_create] = {ON(WRITE, tokens_create), .flags = OP_SECRET_RESULT},
    [MIRAI_METHOD_ID_token_delete] = {ON(WRITE, tokens_delete)},

    [MIRAI_METHOD_ID_audit_append] = {ON(WRITE, audit_log_note), .flags = OP_NO_AUDIT},
    [MIRAI_METHOD_ID_audit_list] = {ON(READ, audit_list)},
    [MIRAI_METHOD_ID_audit_export] = {ON(BULK, audit_export)},
    [MIRAI_METHOD_ID_audit_heads] = {ON(READ, audit_heads)},
    [MIRAI_METHOD_ID_audit_key] = {ON(READ, audit_key)},
    [MIRAI_METHOD_ID_statistics_get] = {ON(BULK, statistics_get)},

    [MIRAI_METHOD_ID_synonyms_list] = {ON(BULK, synonyms_list)},
    [MIRAI_METHOD_ID_synonyms_create] = {ON(WRITE, synonyms_create)},
    [MIRAI_METHOD_ID_synonyms_replace] = {ON(WRITE, synonyms_replace)},
    [MIRAI_METHOD_ID_synonyms_delete] = {ON(WRITE, synonyms_delete)},
    [MIRAI_METHOD_ID_dictionary_list] = {ON(BULK, dictionary_list)},
    [MIRAI_METHOD_ID_dictionary_create] = {ON(WRITE, dictionary_create)},
    [MIRAI_METHOD_ID_dictionary_delete] = {ON(WRITE, dictionary_delete)},
    /* The query log names no user: neither does an audit row beside it. */
    [MIRAI_METHOD_ID_asked_append] = {ON(WRITE, asked_append), .flags = OP_NO_AUDIT},
    [MIRAI_METHOD_ID_asked_click] = {ON(WRITE, asked_click), .flags = OP_NO_AUDIT},
    [MIRAI_METHOD_ID_asked_list] = {ON(BULK, asked_list)},
    [MIRAI_METHOD_ID_signal_list] = {ON(BULK, signals_list)},

    [MIRAI_METHOD_ID_changes_since] = {ON(BULK, feed_changes_since)},
    [MIRAI_METHOD_ID_snapshot_begin] = {ON(SNAPSHOT, snapshot_begin), .finish = snapshot_finish},
    [MIRAI_METHOD_ID_snapshot_read] = {ON(FILE, snapshot_read)},
    [MIRAI_METHOD_ID_snapshot_end] = {ON(FILE, snapshot_end), .finish = snapshot_finish},
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
