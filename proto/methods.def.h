/* Every method between daemons, declared once.
 *
 * M(name, service, kind, role, params, result, doc). kind: READ, WRITE or ONCE (what the client library may retry);
 * role: the lowest enum mirai_role that may call it, checked by the serving daemon before the handler runs;
 * SYSTEM: only daemons and the operator on this host (principal -1). */
#ifndef MIRAI_PROTO_METHODS_DEF_H
#define MIRAI_PROTO_METHODS_DEF_H

#define MIRAI_STORE_METHODS(M)                                                                               \
    M(article_create, "article.create", WRITE, EDITOR, article_create, article, "make an article")           \
    M(article_get, "article.get", READ, VIEWER, article_get, article, "one article by id or slug")           \
    M(article_list, "article.list", READ, VIEWER, article_list, article_page, "articles by meta data")       \
    M(article_replace, "article.replace", WRITE, EDITOR, article_replace, article, "save all of an article") \
    M(article_patch, "article.patch", WRITE, EDITOR, article_patch, article, "save parts of an article")     \
    M(article_import, "article.import", WRITE, EDITOR, article_import, article_import_result,                \
      "make or replace by slug")                                                                             \
    M(article_delete, "article.delete", WRITE, EDITOR, article_delete, empty, "put into the bin")            \
    M(article_restore, "article.restore", WRITE, EDITOR, by_id, article, "take out of the bin")              \
    M(article_purge, "article.purge", WRITE, ADMIN, by_id, empty, "remove for good what is in the bin")      \
    M(article_stats, "article.stats", READ, VIEWER, by_id, article_stats, "use and rating")                  \
    M(article_export, "article.export", READ, SYSTEM, article_export, article_export_page,                   \
      "all articles, for indexing")                                                                          \
    M(revision_list, "revision.list", READ, VIEWER, revision_list, revision_page, "saved states")            \
    M(revision_get, "revision.get", READ, VIEWER, revision_get, revision, "one saved state")                 \
    M(revision_diff, "revision.diff", READ, VIEWER, revision_diff, revision_diff_result,                     \
      "differences of two states")                                                                           \
    M(revision_restore, "revision.restore", WRITE, EDITOR, revision_restore, article, "bring a state back")  \
    M(relation_list, "relation.list", READ, VIEWER, by_id, relation_page, "relations of an article")         \
    M(relation_create, "relation.create", WRITE, EDITOR, relation_create, relation, "relate two articles")   \
    M(relation_delete, "relation.delete", WRITE, EDITOR, relation_delete, empty, "remove a relation")        \
    M(feedback_list, "feedback.list", READ, VIEWER, article_children, feedback_page,                         \
      "feedback on an article")                                                                              \
    M(feedback_create, "feedback.create", WRITE, VIEWER, feedback_create, feedback, "give feedback")         \
    M(comment_list, "comment.list", READ, VIEWER, article_children, comment_page, "comments on an article")  \
    M(comment_create, "comment.create", WRITE, VIEWER, comment_create, comment, "comment on an article")     \
    M(comment_delete, "comment.delete", WRITE, VIEWER, comment_delete, empty,                                \
      "remove one's own comment (Admin: any)")                                                               \
    M(attachment_list, "attachment.list", READ, VIEWER, by_id, attachment_page, "files of an article")       \
    M(attachment_get, "attachment.get", READ, VIEWER, attachment_ref, attachment, "one file's description")  \
    M(attachment_read, "attachment.read", READ, VIEWER, attachment_read, bytes, "part of a file")            \
    M(attachment_delete, "attachment.delete", WRITE, EDITOR, attachment_ref, empty, "remove a file")         \
    M(upload_begin, "upload.begin", WRITE, EDITOR, upload_begin, upload_begin_result, "start an upload")     \
    M(upload_chunk, "upload.chunk", WRITE, EDITOR, upload_chunk, empty, "next bytes")                        \
    M(upload_commit, "upload.commit", WRITE, EDITOR, upload_ref, attachment, "finish an upload")             \
    M(upload_abort, "upload.abort", WRITE, EDITOR, upload_ref, empty, "give an upload up")                   \
    M(tag_list, "tag.list", READ, VIEWER, empty, tag_page, "tags with counts")                               \
    M(tag_create, "tag.create", WRITE, EDITOR, tag_create, tag, "make a tag")                                \
    M(tag_patch, "tag.patch", WRITE, ADMIN, tag_patch, tag, "change name, colour, category")                 \
    M(tag_delete, "tag.delete", WRITE, ADMIN, by_id, empty, "remove a tag from all articles")                \
    M(template_list, "template.list", READ, VIEWER, empty, template_page,                                    \
      "templates by ITSM type and language")                                                                 \
    M(template_put, "template.put", WRITE, ADMIN, article_template, article_template, "set a template")      \
    M(space_list, "space.list", READ, VIEWER, empty, space_page, "spaces")                                   \
    M(space_create, "space.create", WRITE, ADMIN, space_create, space, "make a space")                       \
    M(space_patch, "space.patch", WRITE, ADMIN, space_patch, space, "change a space")                        \
    M(space_delete, "space.delete", WRITE, ADMIN, by_id, empty, "remove an empty space")                     \
    M(group_list, "group.list", READ, ADMIN, empty, group_page, "groups")                                    \
    M(group_create, "group.create", WRITE, ADMIN, group_create, group, "make a group")                       \
    M(group_patch, "group.patch", WRITE, ADMIN, group_patch, group, "change a group")                        \
    M(group_delete, "group.delete", WRITE, ADMIN, by_id, empty, "remove an unused group")                    \
    M(user_list, "user.list", READ, ADMIN, page_request, user_page, "users")                                 \
    M(user_get, "user.get", READ, ADMIN, by_id, user, "one user")                                            \
    M(user_create, "user.create", ONCE, ADMIN, user_create, user, "make a user")                             \
    M(user_patch, "user.patch", ONCE, ADMIN, user_patch, user, "change a user")                              \
    M(user_self, "user.self", READ, VIEWER, empty, user, "one's own account")                                \
    M(user_password, "user.password", ONCE, VIEWER, password_change, empty, "change one's own password")     \
    M(auth_login, "auth.login", ONCE, NONE, login, login_result, "name and password for a session")          \
    M(auth_logout, "auth.logout", WRITE, NONE, token_check, empty, "end a session")                          \
    M(auth_token, "auth.token", READ, NONE, token_check, identity, "whose secret is this")                   \
    M(auth_place, "auth.place", READ, SYSTEM, account_name, account_place, "where a password is checked")    \
    M(auth_directory, "auth.directory", ONCE, SYSTEM, directory_login, login_result,                         \
      "a session for a login that the directory has found good")                                             \
    M(auth_held, "auth.held", READ, SYSTEM, held_session, identity,                                          \
      "who a session kept elsewhere belongs to")                                                             \
    M(directory_claim, "directory.claim", WRITE, SYSTEM, directory_claim, directory_accounts,                \
      "accounts that are due for a check against the directory; counts them as checked")                     \
    M(directory_update, "directory.update", WRITE, SYSTEM, directory_state, empty,                           \
      "what the directory says of an account now")                                                           \
    M(session_list, "session.list", READ, VIEWER, session_list, session_page, "browser sessions")            \
    M(session_delete, "session.delete", WRITE, VIEWER, by_id, empty, "end a session")                        \
    M(session_end_all, "session.end_all", WRITE, VIEWER, sessions_end, sessions_ended,                       \
      "end all sessions of a user")                                                                          \
    M(second_factor_begin, "second_factor.begin", ONCE, VIEWER, second_factor_begin, second_factor_secret,   \
      "make a secret for one-time codes (RFC 6238)")                                                         \
    M(second_factor_confirm, "second_factor.confirm", ONCE, VIEWER, second_factor_confirm, recovery_codes,   \
      "from now on logins need a one-time code")                                                             \
    M(second_factor_end, "second_factor.end", ONCE, VIEWER, second_factor_end, empty,                        \
      "logins need no one-time code any more")                                                               \
    M(user_hand_over, "user.hand_over", WRITE, ADMIN, hand_over, handed_over,                                \
      "give all articles of a user to another")                                                              \
    M(token_list, "token.list", READ, VIEWER, page_request, token_page, "one's own tokens (Admin: all)")     \
    M(token_create, "token.create", WRITE, VIEWER, token_create, token_created, "make an API token")         \
    M(token_delete, "token.delete", WRITE, VIEWER, by_id, empty, "revoke a token")                           \
    M(audit_append, "audit.append", WRITE, SYSTEM, audit_note, empty,                                        \
      "note what a daemon has decided itself")                                                               \
    M(audit_list, "audit.list", READ, ADMIN, audit_list, audit_page, "audit log")                            \
    M(audit_export, "audit.export", READ, ADMIN, audit_export, audit_rows, "whole audit log, in order")      \
    M(audit_heads, "audit.heads", READ, ADMIN, page_request, audit_head_page,                                \
      "signed states of the audit log")                                                                      \
    M(audit_key, "audit.key", READ, ADMIN, empty, audit_signer, "key that signs the audit log")              \
    M(statistics_get, "statistics.get", READ, VIEWER, empty, statistics, "figures")                          \
    M(changes_since, "changes.since", READ, SYSTEM, changes_since, changes, "change feed")                   \
    M(snapshot_begin, "snapshot.begin", WRITE, SYSTEM, empty, snapshot_begin_result,                         \
      "consistent copy of the database")                                                                     \
    M(snapshot_read, "snapshot.read", READ, SYSTEM, snapshot_read, bytes, "part of the copy")                \
    M(snapshot_end, "snapshot.end", WRITE, SYSTEM, snapshot_ref, empty, "the copy is no longer needed")      \
    M(synonyms_list, "synonyms.list", READ, ADMIN, empty, synonyms_page, "words that mean the same")         \
    M(synonyms_create, "synonyms.create", WRITE, ADMIN, synonyms_create, synonyms,                           \
      "make words mean the same")                                                                            \
    M(synonyms_replace, "synonyms.replace", WRITE, ADMIN, synonyms_replace, synonyms,                        \
      "change words that mean the same")                                                                     \
    M(synonyms_delete, "synonyms.delete", WRITE, ADMIN, by_id, empty, "words no longer mean the same")       \
    M(dictionary_list, "dictionary.list", READ, ADMIN, empty, dictionary_page, "words of this organisation") \
    M(dictionary_create, "dictionary.create", WRITE, ADMIN, dictionary_word_create, dictionary_word,         \
      "add a word")                                                                                          \
    M(dictionary_delete, "dictionary.delete", WRITE, ADMIN, by_id, empty, "remove a word")                   \
    M(asked_append, "asked.append", WRITE, SYSTEM, search_notes, empty, "note what was searched for")        \
    M(asked_click, "asked.click", WRITE, VIEWER, search_click, empty, "note which hit was opened")           \
    M(asked_list, "asked.list", READ, ADMIN, asked_query_list, asked_query_page, "what was searched for")    \
    M(signal_list, "signal.list", READ, SYSTEM, article_signal_list, article_signals,                        \
      "use of articles, for ranking")                                                                        \
    M(store_restart, "store.restart", WRITE, SYSTEM, empty, empty,                                           \
      "stop cleanly so that the supervisor starts it anew (after a restore)")

#define MIRAI_SEARCH_METHODS(M)                                                                              \
    M(search_query, "search.query", READ, VIEWER, search_query, search_result, "find articles")              \
    M(search_suggest, "search.suggest", READ, VIEWER, suggest_query, suggest_result,                         \
      "proposals while typing")                                                                              \
    M(search_similar, "search.similar", READ, VIEWER, similar_query, similar_result,                         \
      "articles like this one")                                                                              \
    M(search_check, "search.check", READ, VIEWER, draft, draft_report,                                       \
      "look at an article before it is saved")                                                               \
    M(search_reindex, "search.reindex", WRITE, ADMIN, empty, empty, "rebuild the index from the store")

#define MIRAI_BACKUP_METHODS(M)                                                                              \
    M(backup_run, "backup.run", WRITE, ADMIN, empty, snapshot_info, "make a snapshot now")                   \
    M(backup_list, "backup.list", READ, ADMIN, empty, snapshot_list, "stored snapshots")                     \
    M(backup_verify, "backup.verify", READ, ADMIN, snapshot_name, snapshot_info,                             \
      "check a snapshot: hash, integrity, attachments")

/* Every daemon's own (served by the runtime of libcommon): service.health, service.metrics, service.status,
 * service.log_level. */

#endif
