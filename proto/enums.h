/* The closed sets of words, each declared once: V(constant, "wire string"). */
#ifndef MIRAI_PROTO_ENUMS_H
#define MIRAI_PROTO_ENUMS_H

#include "libcommon/rpc.h" /* enum mirai_role */

#define MIRAI_ENUM_itsm_type(V)                                                                              \
    V(MIRAI_ITSM_TYPE_INCIDENT, "incident")                                                                  \
    V(MIRAI_ITSM_TYPE_PROBLEM, "problem")                                                                    \
    V(MIRAI_ITSM_TYPE_CHANGE, "change")                                                                      \
    V(MIRAI_ITSM_TYPE_RELEASE, "release")                                                                    \
    V(MIRAI_ITSM_TYPE_REQUEST, "request")                                                                    \
    V(MIRAI_ITSM_TYPE_OTHER, "other")

#define MIRAI_ENUM_article_status(V)                                                                         \
    V(MIRAI_ARTICLE_STATUS_DRAFT, "draft")                                                                   \
    V(MIRAI_ARTICLE_STATUS_IN_REVIEW, "in_review")                                                           \
    V(MIRAI_ARTICLE_STATUS_PUBLISHED, "published")                                                           \
    V(MIRAI_ARTICLE_STATUS_ARCHIVED, "archived")

#define MIRAI_ENUM_visibility(V)                                                                             \
    V(MIRAI_VISIBILITY_SPACE, "space")                                                                       \
    V(MIRAI_VISIBILITY_GROUP, "group")                                                                       \
    V(MIRAI_VISIBILITY_PRIVATE, "private")

#define MIRAI_ENUM_relation_type(V)                                                                          \
    V(MIRAI_RELATION_INCIDENT_PROBLEM, "incident_problem")                                                   \
    V(MIRAI_RELATION_PROBLEM_CHANGE, "problem_change")                                                       \
    V(MIRAI_RELATION_CHANGE_RELEASE, "change_release")                                                       \
    V(MIRAI_RELATION_REQUEST_CHANGE, "request_change")                                                       \
    V(MIRAI_RELATION_DUPLICATE, "duplicate")                                                                 \
    V(MIRAI_RELATION_RELATED, "related")                                                                     \
    V(MIRAI_RELATION_PARENT_CHILD, "parent_child")                                                           \
    V(MIRAI_RELATION_REFERENCE, "reference")

#define MIRAI_ENUM_feedback_kind(V)                                                                          \
    V(MIRAI_FEEDBACK_HELPFUL, "helpful")                                                                     \
    V(MIRAI_FEEDBACK_NOT_HELPFUL, "not_helpful")                                                             \
    V(MIRAI_FEEDBACK_INCORRECT, "incorrect")                                                                 \
    V(MIRAI_FEEDBACK_INCOMPLETE, "incomplete")                                                               \
    V(MIRAI_FEEDBACK_SUGGESTION, "suggestion")

#define MIRAI_ENUM_locale(V)                                                                                 \
    V(MIRAI_LOCALE_JA, "ja")                                                                                 \
    V(MIRAI_LOCALE_EN, "en")

#define MIRAI_ENUM_token_kind(V)                                                                             \
    V(MIRAI_TOKEN_KIND_API, "api")                                                                           \
    V(MIRAI_TOKEN_KIND_SESSION, "session")

/* Where a password is checked. */
#define MIRAI_ENUM_account_source(V)                                                                         \
    V(MIRAI_ACCOUNT_LOCAL, "local")                                                                          \
    V(MIRAI_ACCOUNT_DIRECTORY, "directory")                                                                  \
    V(MIRAI_ACCOUNT_NONE, "none")

#define MIRAI_ENUM_import_outcome(V)                                                                         \
    V(MIRAI_IMPORT_CREATED, "created")                                                                       \
    V(MIRAI_IMPORT_UPDATED, "updated")                                                                       \
    V(MIRAI_IMPORT_UNCHANGED, "unchanged")

#define MIRAI_ENUM_article_sort(V)                                                                           \
    V(MIRAI_SORT_UPDATED_DESC, "-updated_at")                                                                \
    V(MIRAI_SORT_UPDATED_ASC, "updated_at")                                                                  \
    V(MIRAI_SORT_CREATED_DESC, "-created_at")                                                                \
    V(MIRAI_SORT_CREATED_ASC, "created_at")                                                                  \
    V(MIRAI_SORT_ID_DESC, "-id")                                                                             \
    V(MIRAI_SORT_ID_ASC, "id")

#define MIRAI_ENUM_change_kind(V)                                                                            \
    V(MIRAI_CHANGE_ARTICLE, "article")                                                                       \
    V(MIRAI_CHANGE_ARTICLE_GONE, "article_gone")                                                             \
    V(MIRAI_CHANGE_TAG, "tag")                                                                               \
    V(MIRAI_CHANGE_ACCESS, "access")                                                                         \
    V(MIRAI_CHANGE_VOCABULARY, "vocabulary")

#define MIRAI_ENUM_snapshot_kind(V)                                                                          \
    V(MIRAI_SNAPSHOT_DAILY, "daily")                                                                         \
    V(MIRAI_SNAPSHOT_WEEKLY, "weekly")                                                                       \
    V(MIRAI_SNAPSHOT_MANUAL, "manual")

/* Same values as enum mirai_role. */
#define MIRAI_ENUM_role(V)                                                                                   \
    V(MIRAI_ROLE_NONE, "none")                                                                               \
    V(MIRAI_ROLE_VIEWER, "viewer")                                                                           \
    V(MIRAI_ROLE_EDITOR, "editor")                                                                           \
    V(MIRAI_ROLE_ADMIN, "admin")

/* X(name): each enum above. */
#define MIRAI_ENUMS(X)                                                                                       \
    X(itsm_type)                                                                                             \
    X(article_status)                                                                                        \
    X(visibility)                                                                                            \
    X(relation_type)                                                                                         \
    X(feedback_kind)                                                                                         \
    X(locale)                                                                                                \
    X(token_kind)                                                                                            \
    X(account_source)                                                                                        \
    X(import_outcome)                                                                                        \
    X(article_sort)                                                                                          \
    X(change_kind)                                                                                           \
    X(snapshot_kind)                                                                                         \
    X(role)

#define MIRAI_ENUM_CONSTANT(constant, wire) constant,
enum mirai_itsm_type { MIRAI_ENUM_itsm_type(MIRAI_ENUM_CONSTANT) };
enum mirai_article_status { MIRAI_ENUM_article_status(MIRAI_ENUM_CONSTANT) };
enum mirai_visibility { MIRAI_ENUM_visibility(MIRAI_ENUM_CONSTANT) };
enum mirai_relation_type { MIRAI_ENUM_relation_type(MIRAI_ENUM_CONSTANT) };
enum mirai_feedback_kind { MIRAI_ENUM_feedback_kind(MIRAI_ENUM_CONSTANT) };
enum mirai_locale { MIRAI_ENUM_locale(MIRAI_ENUM_CONSTANT) };
enum mirai_token_kind { MIRAI_ENUM_token_kind(MIRAI_ENUM_CONSTANT) };
enum mirai_account_source { MIRAI_ENUM_account_source(MIRAI_ENUM_CONSTANT) };
enum mirai_import_outcome { MIRAI_ENUM_import_outcome(MIRAI_ENUM_CONSTANT) };
enum mirai_article_sort { MIRAI_ENUM_article_sort(MIRAI_ENUM_CONSTANT) };
enum mirai_change_kind { MIRAI_ENUM_change_kind(MIRAI_ENUM_CONSTANT) };
enum mirai_snapshot_kind { MIRAI_ENUM_snapshot_kind(MIRAI_ENUM_CONSTANT) };
#undef MIRAI_ENUM_CONSTANT

#endif
