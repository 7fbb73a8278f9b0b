#include "services/gateway/gateway.h"

/* R(method, path, role, method of a daemon, status of success, flags): calls the daemon and gives its result
 * as JSON. H(method, path, role, handler, method of a daemon or NO_RPC, status, flags, summary): has a
 * handler of its own. */
#define NO_RPC (-1)
#define R(method, path, role, rpc, status, flags)                                                            \
    {ROUTE_##method, path, MIRAI_ROLE_##role, handle_rpc, MIRAI_METHOD_ID_##rpc, status, flags, NULL},
#define H(method, path, role, handler, rpc, status, flags, summary)                                          \
    {ROUTE_##method, path, MIRAI_ROLE_##role, handler, rpc, status, flags, summary},
#define RPC(id) MIRAI_METHOD_ID_##id
#define API     "/api/v1"
#define ARTICLE API "/articles/{id}"

/* clang-format off */
const struct route routes[] = {
    R(GET,    API "/articles",                             VIEWER, article_list,      200, 0)
    R(POST,   API "/articles",                             EDITOR, article_create,    201, ROUTE_ETAG)
    R(GET,    API "/articles/by-slug/{slug}",              VIEWER, article_get,       200, ROUTE_ETAG | ROUTE_COUNTS_VIEWS)
    R(GET,    ARTICLE,                                     VIEWER, article_get,       200, ROUTE_ETAG | ROUTE_COUNTS_VIEWS | ROUTE_KEPT)
    R(PUT,    ARTICLE,                                     EDITOR, article_replace,   200, ROUTE_ETAG | ROUTE_IF_MATCH | ROUTE_MUST_MATCH)
    R(PATCH,  ARTICLE,                                     EDITOR, article_patch,     200, ROUTE_ETAG | ROUTE_IF_MATCH | ROUTE_MUST_MATCH)
    R(DELETE, ARTICLE,                                     EDITOR, article_delete,    204, ROUTE_IF_MATCH)
    R(POST,   ARTICLE "/restore",                          EDITOR, article_restore,   200, ROUTE_ETAG)
    R(GET,    ARTICLE "/stats",                            VIEWER, article_stats,     200, 0)
    H(GET,    ARTICLE "/render", VIEWER, handle_render, RPC(article_get), 200, ROUTE_ETAG | ROUTE_COUNTS_VIEWS,
      "the article's text as safe HTML")
    R(GET,    ARTICLE "/revisions",                        VIEWER, revision_list,     200, 0)
    R(GET,    ARTICLE "/revisions/{version}",              VIEWER, revision_get,      200, 0)
    R(GET,    ARTICLE "/revisions/{version}/diff",         VIEWER, revision_diff,     200, 0)
    R(POST,   ARTICLE "/revisions/{version}/restore",      EDITOR, revision_restore,  200, ROUTE_ETAG | ROUTE_IF_MATCH)
    R(GET,    ARTICLE "/relations",                        VIEWER, relation_list,     200, 0)
    R(POST,   ARTICLE "/relations",                        EDITOR, relation_create,   201, 0)
    R(DELETE, ARTICLE "/relations/{relation_id}",          EDITOR, relation_delete,   204, 0)
    R(GET,    ARTICLE "/feedback",                         VIEWER, feedback_list,     200, 0)
    R(POST,   ARTICLE "/feedback",                         VIEWER, feedback_create,   201, 0)
    R(GET,    ARTICLE "/comments",                         VIEWER, comment_list,      200, 0)
    R(POST,   ARTICLE "/comments",                         VIEWER, comment_create,    201, 0)
    R(DELETE, ARTICLE "/comments/{comment_id}",            VIEWER, comment_delete,    204, 0)
    R(GET,    ARTICLE "/attachments",                      VIEWER, attachment_list,   200, 0)
    H(POST,   ARTICLE "/attachments", EDITOR, handle_upload, RPC(upload_begin), 201, ROUTE_ANY_BODY,
      "add a file: the body is its content, Content-Type its media type")
    R(GET,    ARTICLE "/attachments/{attachment_id}",      VIEWER, attachment_get,    200, 0)
    R(DELETE, ARTICLE "/attachments/{attachment_id}",      EDITOR, attachment_delete, 204, 0)
    H(GET,    ARTICLE "/attachments/{attachment_id}/content", VIEWER, handle_download, RPC(attachment_get), 200, 0,
      "the file's content")
    H(GET,    API "/bin",       EDITOR, handle_rpc, RPC(article_list), 200, ROUTE_IN_BIN,
      "articles in the bin")
    H(GET,    API "/bin/{id}",  EDITOR, handle_rpc, RPC(article_get),  200, ROUTE_ETAG | ROUTE_IN_BIN,
      "one article in the bin")
    R(DELETE, API "/bin/{id}",                             ADMIN,  article_purge,     204, 0)
    R(POST,   API "/imports",                              EDITOR, article_import,    200, 0)

    R(GET,    API "/search",                               VIEWER, search_query,      200, ROUTE_SEARCHES)
    R(POST,   API "/search",                               VIEWER, search_query,      200, ROUTE_SEARCHES)
    R(GET,    API "/suggest",                              VIEWER, search_suggest,    200, ROUTE_SEARCHES)
    R(GET,    ARTICLE "/similar",                          VIEWER, search_similar,    200, ROUTE_SEARCHES)
    R(POST,   API "/drafts/check",                         EDITOR, search_check,      200, ROUTE_SEARCHES)
    R(POST,   API "/search/clicks",                        VIEWER, asked_click,       204, 0)
    R(GET,    API "/search/queries",                       ADMIN,  asked_list,        200, 0)
    R(GET,    API "/search/synonyms",                      ADMIN,  synonyms_list,     200, 0)
    R(POST,   API "/search/synonyms",                      ADMIN,  synonyms_create,   201, 0)
    R(PUT,    API "/search/synonyms/{id}",                 ADMIN,  synonyms_replace,  200, 0)
    R(DELETE, API "/search/synonyms/{id}",                 ADMIN,  synonyms_delete,   204, 0)
    R(GET,    API "/search/words",                         ADMIN,  dictionary_list,   200, 0)
    R(POST,   API "/search/words",                         ADMIN,  dictionary_create, 201, 0)
    R(DELETE, API "/search/words/{id}",                    ADMIN,  dictionary_delete, 204, 0)
    R(POST,   API "/index/rebuild",                        ADMIN,  search_reindex,    202, 0)

    R(GET,    API "/tags",                                 VIEWER, tag_list,          200, 0)
    R(POST,   API "/tags",                                 EDITOR, tag_create,        201, 0)
    R(PATCH,  API "/tags/{id}",                            ADMIN,  tag_patch,         200, 0)
    R(DELETE, API "/tags/{id}",                            ADMIN,  tag_delete,        204, 0)
    R(GET,    API "/templates",                            VIEWER, template_list,     200, 0)
    R(PUT,    API "/templates",                            ADMIN,  template_put,      200, 0)

    R(GET,    API "/spaces",                               VIEWER, space_list,        200, 0)
    R(POST,   API "/spaces",                               ADMIN,  space_create,      201, ROUTE_ACCESS)
    R(PATCH,  API "/spaces/{id}",                          ADMIN,  space_patch,       200, ROUTE_ACCESS)
    R(DELETE, API "/spaces/{id}",                          ADMIN,  space_delete,      204, ROUTE_ACCESS)
    R(GET,    API "/groups",                               ADMIN,  group_list,        200, 0)
    R(POST,   API "/groups",                               ADMIN,  group_create,      201, ROUTE_ACCESS)
    R(PATCH,  API "/groups/{id}",                          ADMIN,  group_patch,       200, ROUTE_ACCESS)
    R(DELETE, API "/groups/{id}",                          ADMIN,  group_delete,      204, ROUTE_ACCESS)

    R(GET,    API "/users",                                ADMIN,  user_list,         200, 0)
    R(POST,   API "/users",                                ADMIN,  user_create,       201, ROUTE_ACCESS | ROUTE_SLOW)
    R(GET,    API "/users/me",                             VIEWER, user_self,         200, 0)
    R(PUT,    API "/users/me/password",                    VIEWER, user_password,     204, ROUTE_ACCESS | ROUTE_SLOW | ROUTE_TRIES_PASSWORD)
    R(POST,   API "/users/me/second-factor",               VIEWER, second_factor_begin,   201, ROUTE_ACCESS | ROUTE_SLOW | ROUTE_TRIES_PASSWORD)
    R(PUT,    API "/users/me/second-factor",               VIEWER, second_factor_confirm, 200, ROUTE_ACCESS)
    R(DELETE, API "/users/me/second-factor",               VIEWER, second_factor_end,     204, ROUTE_ACCESS | ROUTE_SLOW | ROUTE_BODY | ROUTE_TRIES_PASSWORD)
    R(GET,    API "/users/{id}",                           ADMIN,  user_get,          200, 0)
    R(PATCH,  API "/users/{id}",                           ADMIN,  user_patch,        200, ROUTE_ACCESS | ROUTE_SLOW)
    R(POST,   API "/users/{id}/hand-over",                 ADMIN,  user_hand_over,    200, ROUTE_ACCESS | ROUTE_SLOW)
    R(GET,    API "/tokens",                               VIEWER, token_list,        200, 0)
    R(POST,   API "/tokens",                               VIEWER, token_create,      201, ROUTE_ACCESS)
    R(DELETE, API "/tokens/{id}",                          VIEWER, token_delete,      204, ROUTE_ACCESS)
    H(GET,    API "/sessions",                 VIEWER, handle_session_list,    RPC(session_list),    200, 0, NULL)
    H(DELETE, API "/sessions",                 VIEWER, handle_session_end_all, RPC(session_end_all), 200, ROUTE_ACCESS,
      "end all of one's own sessions but the one that asks")
    H(DELETE, API "/sessions/{id}",            VIEWER, handle_session_delete,  RPC(session_delete),  204, ROUTE_ACCESS, NULL)
    H(GET,    API "/users/{user_id}/sessions", ADMIN,  handle_session_list,    RPC(session_list),    200, 0, NULL)
    H(DELETE, API "/users/{user_id}/sessions", ADMIN,  handle_session_end_all, RPC(session_end_all), 200, ROUTE_ACCESS, NULL)
    H(GET,    API "/session",   VIEWER, handle_session, RPC(user_self),  200, 0,
      "who is logged in, with the session's CSRF token")
    H(POST,   API "/session",   NONE,   handle_login,  RPC(auth_login),  201, ROUTE_ACCESS | ROUTE_SLOW | ROUTE_TRIES_PASSWORD,
      "log in with name and password: sets the session cookie")
    H(DELETE, API "/session",   VIEWER, handle_logout, RPC(auth_logout), 204, ROUTE_ACCESS,
      "end the session of the cookie or token")

    R(GET,    API "/audit",                                ADMIN,  audit_list,        200, 0)
    H(GET,    API "/audit/export", ADMIN, handle_audit_export, RPC(audit_export), 200, 0,
      "the whole audit log as JSON Lines, oldest first")
    R(GET,    API "/audit/heads",                          ADMIN,  audit_heads,       200, 0)
    R(GET,    API "/audit/key",                            ADMIN,  audit_key,         200, 0)
    R(GET,    API "/statistics",                           VIEWER, statistics_get,    200, 0)
    H(GET,    API "/status",    ADMIN,  handle_status, NO_RPC, 200, 0, "state of all daemons")
    R(GET,    API "/backups",                              ADMIN,  backup_list,       200, 0)
    R(POST,   API "/backups",                              ADMIN,  backup_run,        201, ROUTE_SLOW)
    R(POST,   API "/backups/verify",                       ADMIN,  backup_verify,     200, ROUTE_SLOW)

    H(GET,    API "/openapi.json", NONE, handle_openapi, NO_RPC, 200, 0, "this document")
    H(GET,    "/health",           NONE, handle_health,  NO_RPC, 200, ROUTE_PROBE, "the gateway runs")
    H(GET,    "/ready",            NONE, handle_ready,   NO_RPC, 200, ROUTE_PROBE, "the gateway and the daemons it needs serve")
    H(GET,    "/",                 NONE, handle_page,    NO_RPC, 200, ROUTE_HIDDEN, NULL)
    H(GET,    "/assets/{name}",    NONE, handle_page,    NO_RPC, 200, ROUTE_HIDDEN, NULL)
};
/* clang-format on */

const size_t routes_count = sizeof(routes) / sizeof(routes[0]);

const char *const route_method_names[ROUTE_METHODS] = {"GET", "POST", "PUT", "PATCH", "DELETE"};
