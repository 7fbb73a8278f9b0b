/* Every message that crosses a process border, declared once.
 *
 * F(M, kind, name, of, flags, min, max, doc) with M the message itself and the kinds of proto/message.h. `of`
 * names the message or enum of OBJECT, OBJECTS and ENUM fields, otherwise `none`. flags: REQ(uired),
 * OPT(ional), NUL(lable), INN (internal: set by daemons, refused from outside), LNG (long items of STRS). min and max bound code points of STR, bytes of BIN, values of INT, items of lists;
 * shorthands (proto/messages.c): ID = 1.., ANY = 0.., BODY = a text of at most 1 MiB. New fields are added at
 * the end and are optional: an older daemon ignores them, a newer one does without. */
#ifndef MIRAI_PROTO_MESSAGES_DEF_H
#define MIRAI_PROTO_MESSAGES_DEF_H

/* Pages: `limit` items after the opaque `cursor` of the page before. */
#define MIRAI_PAGE_IN(F, M)                                                                                  \
    F(M, INT, limit, none, OPT, 1, 200, "items in the page; default 20")                                     \
    F(M, STR, cursor, none, OPT, 1, 400, "opaque position: `next_cursor` of the page before")
#define MIRAI_PAGE_OUT(F, M)                                                                                 \
    F(M, STR, next_cursor, none, OPT, 1, 400, "position of the next page; absent on the last one")

/* ---------------------------------------------------------------- common */
#define MIRAI_MESSAGE_empty(F, M)
#define MIRAI_MESSAGE_by_id(F, M)        F(M, INT, id, none, REQ, ID, "id")
#define MIRAI_MESSAGE_id_result(F, M)    F(M, INT, id, none, REQ, ID, "id of what was made")
#define MIRAI_MESSAGE_page_request(F, M) MIRAI_PAGE_IN(F, M)
#define MIRAI_MESSAGE_fault_info(F, M)                                                                       \
    F(M, STR, path, none, REQ, 0, 96, "JSON Pointer (RFC 6901) to the member")                               \
    F(M, STR, problem, none, REQ, 1, 40, "what is wrong: required, type, too-long, unknown-field, …")

/* ---------------------------------------------------------------- articles */
#define MIRAI_MESSAGE_article(F, M)                                                                          \
    F(M, INT, id, none, REQ, ID, "id")                                                                       \
    F(M, STR, slug, none, REQ, 1, 200, "readable name, unique")                                              \
    F(M, STR, title, none, REQ, 1, 300, "title")                                                             \
    F(M, ENUM, type, itsm_type, REQ, 0, 0, "ITSM type")                                                      \
    F(M, ENUM, status, article_status, REQ, 0, 0, "state of the editorial work")                             \
    F(M, STR, body, none, OPT, BODY, "Markdown text; left out in lists")                                     \
    F(M, STR, summary_technical, none, OPT, 0, 2000, "summary for IT staff")                                 \
    F(M, STR, summary_non_technical, none, OPT, 0, 2000, "summary for everyone")                             \
    F(M, STRS, tags, none, OPT, 0, 50, "names of tags")                                                      \
    F(M, ENUM, language, locale, OPT, 0, 0, "language of the text")                                          \
    F(M, INT, owner_id, none, OPT, ID, "id of the user responsible for it")                                  \
    F(M, STR, owner, none, OPT, 0, 200, "name of that user")                                                 \
    F(M, DATE, review_by, none, OPT, 0, 0, "day by which it should be looked at again")                      \
    F(M, INT, space_id, none, OPT, ID, "space that it belongs to")                                           \
    F(M, ENUM, visibility, visibility, OPT, 0, 0,                                                            \
      "who may see it: readers of the space, a group, its owner")                                            \
    F(M, INT, group_id, none, OPT, ID, "group that may see it when visibility is group")                     \
    F(M, TIME, created_at, none, REQ, 0, 0, "when it was created")                                           \
    F(M, STR, created_by, none, OPT, 0, 200, "user who created it")                                          \
    F(M, TIME, updated_at, none, REQ, 0, 0, "when it was last saved")                                        \
    F(M, STR, updated_by, none, OPT, 0, 200, "user who saved it last")                                       \
    F(M, INT, version, none, REQ, ID, "number of its newest revision")                                       \
    F(M, STR, etag, none, REQ, 1, 60, "value for If-Match: epoch and version")                               \
    F(M, TIME, deleted_at, none, OPT, 0, 0, "when it was put into the bin")                                  \
    F(M, OBJECTS, attachments, attachment, INN, 0, 1000, "its files; in the feed and exports for indexing")

#define MIRAI_ARTICLE_INPUT(F, M, CLEARABLE)                                                                 \
    F(M, STR, slug, none, OPT, 1, 200, "readable name, unique; made from the title when absent")             \
    F(M, ENUM, status, article_status, OPT, 0, 0, "default draft")                                           \
    F(M, STR, summary_technical, none, CLEARABLE, 0, 2000, "summary for IT staff")                           \
    F(M, STR, summary_non_technical, none, CLEARABLE, 0, 2000, "summary for everyone")                       \
    F(M, STRS, tags, none, OPT, 0, 50, "names of tags; unknown ones are made")                               \
    F(M, ENUM, language, locale, OPT, 0, 0, "language of the text")                                          \
    F(M, INT, owner_id, none, CLEARABLE, ID, "default: who creates it; changed by the owner or an Admin")    \
    F(M, DATE, review_by, none, CLEARABLE, 0, 0, "day by which it should be looked at again")                \
    F(M, INT, space_id, none, OPT, ID, "default: the general space")                                         \
    F(M, ENUM, visibility, visibility, OPT, 0, 0, "default space")                                           \
    F(M, INT, group_id, none, CLEARABLE, ID, "required when visibility is group")                            \
    F(M, STR, reason, none, OPT, 0, 500, "why it was changed; kept with the revision")

#define MIRAI_MESSAGE_article_create(F, M)                                                                   \
    F(M, STR, title, none, REQ, 1, 300, "title")                                                             \
    F(M, ENUM, type, itsm_type, REQ, 0, 0, "ITSM type")                                                      \
    F(M, STR, body, none, REQ, BODY, "Markdown text")                                                        \
    MIRAI_ARTICLE_INPUT(F, M, OPT)
#define MIRAI_MESSAGE_article_replace(F, M)                                                                  \
    F(M, INT, id, none, REQ, ID, "id")                                                                       \
    F(M, STR, if_match, none, OPT, 1, 100, "etag that it must still have; `*`: any")                         \
    F(M, STR, title, none, REQ, 1, 300, "title")                                                             \
    F(M, ENUM, type, itsm_type, REQ, 0, 0, "ITSM type")                                                      \
    F(M, STR, body, none, REQ, BODY, "Markdown text")                                                        \
    MIRAI_ARTICLE_INPUT(F, M, OPT)
#define MIRAI_MESSAGE_article_patch(F, M)                                                                    \
    F(M, INT, id, none, REQ, ID, "id")                                                                       \
    F(M, STR, if_match, none, OPT, 1, 100, "etag that it must still have; `*`: any")                         \
    F(M, STR, title, none, OPT, 1, 300, "title")                                                             \
    F(M, ENUM, type, itsm_type, OPT, 0, 0, "ITSM type")                                                      \
    F(M, STR, body, none, OPT, BODY, "Markdown text")                                                        \
    MIRAI_ARTICLE_INPUT(F, M, NUL)
/* Create or replace by slug; says `unchanged` (and writes nothing) when nothing differs. */
#define MIRAI_MESSAGE_article_import(F, M)                                                                   \
    F(M, STR, title, none, REQ, 1, 300, "title")                                                             \
    F(M, ENUM, type, itsm_type, OPT, 0, 0, "default other")                                                  \
    F(M, STR, body, none, REQ, BODY, "Markdown text")                                                        \
    MIRAI_ARTICLE_INPUT(F, M, OPT)                                                                           \
    F(M, TIME, created_at, none, OPT, 0, 0, "original date; only the system and Admins may set it")          \
    F(M, TIME, updated_at, none, OPT, 0, 0, "original date; only the system and Admins may set it")
#define MIRAI_MESSAGE_article_import_result(F, M)                                                            \
    F(M, INT, id, none, REQ, ID, "id")                                                                       \
    F(M, INT, version, none, REQ, ID, "version")                                                             \
    F(M, ENUM, outcome, import_outcome, REQ, 0, 0, "what happened")
#define MIRAI_MESSAGE_article_get(F, M)                                                                      \
    F(M, INT, id, none, OPT, ID, "id; or slug")                                                              \
    F(M, STR, slug, none, OPT, 1, 200, "slug; or id")                                                        \
    F(M, BOOL, count_view, none, OPT, 0, 0, "count this as a view")                                          \
    F(M, BOOL, deleted, none, OPT, 0, 0, "from the bin instead (Editor)")
#define MIRAI_MESSAGE_article_list(F, M)                                                                     \
    MIRAI_PAGE_IN(F, M)                                                                                      \
    F(M, ENUM, type, itsm_type, OPT, 0, 0, "only this ITSM type")                                            \
    F(M, ENUM, status, article_status, OPT, 0, 0, "only this status")                                        \
    F(M, STR, tag, none, OPT, 1, 50, "only with this tag")                                                   \
    F(M, INT, owner_id, none, OPT, ID, "only of this owner")                                                 \
    F(M, INT, space_id, none, OPT, ID, "only of this space")                                                 \
    F(M, ENUM, sort, article_sort, OPT, 0, 0, "order; default -updated_at")                                  \
    F(M, BOOL, deleted, none, OPT, 0, 0, "what is in the bin instead (Editor)")                              \
    F(M, BOOL, review_due, none, OPT, 0, 0, "only those whose review day has passed")
#define MIRAI_MESSAGE_article_page(F, M)                                                                     \
    F(M, OBJECTS, items, article, REQ, 0, 200, "articles without body")                                      \
    MIRAI_PAGE_OUT(F, M)
#define MIRAI_MESSAGE_article_delete(F, M)                                                                   \
    F(M, INT, id, none, REQ, ID, "id")                                                                       \
    F(M, STR, if_match, none, OPT, 1, 100, "etag that it must still have; `*`: any")
#define MIRAI_MESSAGE_article_stats(F, M)                                                                    \
    F(M, INT, id, none, REQ, ID, "id")                                                                       \
    F(M, INT, views, none, REQ, ANY, "times it was opened")                                                  \
    F(M, INT, views_30_days, none, REQ, ANY, "of these in the last 30 days")                                 \
    F(M, INT, feedback_count, none, REQ, ANY, "entries of feedback")                                         \
    F(M, DOUBLE, rating_average, none, OPT, 0, 0, "mean of the ratings 1 to 5")                              \
    F(M, INT, rating_count, none, REQ, ANY, "ratings")                                                       \
    F(M, INT, comment_count, none, REQ, ANY, "comments")

/* ---------------------------------------------------------------- revisions */
#define MIRAI_MESSAGE_revision(F, M)                                                                         \
    F(M, INT, version, none, REQ, ID, "number, counted from 1")                                              \
    F(M, TIME, created_at, none, REQ, 0, 0, "when it was saved")                                             \
    F(M, STR, created_by, none, OPT, 0, 200, "who saved it")                                                 \
    F(M, STR, reason, none, OPT, 0, 500, "why")                                                              \
    F(M, STR, title, none, REQ, 1, 300, "title")                                                             \
    F(M, ENUM, type, itsm_type, REQ, 0, 0, "ITSM type")                                                      \
    F(M, ENUM, status, article_status, REQ, 0, 0, "status")                                                  \
    F(M, STR, body, none, OPT, BODY, "Markdown text; left out in lists")                                     \
    F(M, STRS, tags, none, OPT, 0, 50, "tags")
#define MIRAI_MESSAGE_revision_list(F, M) F(M, INT, id, none, REQ, ID, "article") MIRAI_PAGE_IN(F, M)
#define MIRAI_MESSAGE_revision_page(F, M)                                                                    \
    F(M, OBJECTS, items, revision, REQ, 0, 200, "newest first") MIRAI_PAGE_OUT(F, M)
#define MIRAI_MESSAGE_revision_get(F, M)                                                                     \
    F(M, INT, id, none, REQ, ID, "article")                                                                  \
    F(M, INT, version, none, REQ, ID, "revision")
#define MIRAI_MESSAGE_revision_diff(F, M)                                                                    \
    F(M, INT, id, none, REQ, ID, "article")                                                                  \
    F(M, INT, version, none, REQ, ID, "revision to compare")                                                 \
    F(M, INT, from, none, OPT, ID, "with this one; default: the one before")
#define MIRAI_MESSAGE_revision_diff_result(F, M)                                                             \
    F(M, INT, from, none, REQ, ANY, "older revision; 0: nothing")                                            \
    F(M, INT, to, none, REQ, ID, "newer revision")                                                           \
    F(M, STR, diff, none, REQ, 0, 4194304, "unified diff of title, meta data and body by line")
#define MIRAI_MESSAGE_revision_restore(F, M)                                                                 \
    F(M, INT, id, none, REQ, ID, "article")                                                                  \
    F(M, INT, version, none, REQ, ID, "revision whose content becomes the newest")                           \
    F(M, STR, if_match, none, OPT, 1, 100, "etag that the article must still have; `*`: any")

/* ---------------------------------------------------------------- relations, feedback, comments */
#define MIRAI_MESSAGE_relation(F, M)                                                                         \
    F(M, INT, id, none, REQ, ID, "id of the relation")                                                       \
    F(M, ENUM, type, relation_type, REQ, 0, 0, "kind")                                                       \
    F(M, INT, from_id, none, REQ, ID, "article")                                                             \
    F(M, INT, to_id, none, REQ, ID, "article")                                                               \
    F(M, STR, from_title, none, OPT, 0, 300, "its title")                                                    \
    F(M, STR, to_title, none, OPT, 0, 300, "its title")                                                      \
    F(M, TIME, created_at, none, REQ, 0, 0, "since when")                                                    \
    F(M, STR, created_by, none, OPT, 0, 200, "by whom")
#define MIRAI_MESSAGE_relation_page(F, M)                                                                    \
    F(M, OBJECTS, items, relation, REQ, 0, 1000, "relations that may be seen")
#define MIRAI_MESSAGE_relation_create(F, M)                                                                  \
    F(M, INT, id, none, REQ, ID, "article the relation starts from")                                         \
    F(M, ENUM, type, relation_type, REQ, 0, 0, "kind")                                                       \
    F(M, INT, to_id, none, REQ, ID, "article it points to")
#define MIRAI_MESSAGE_relation_delete(F, M)                                                                  \
    F(M, INT, id, none, REQ, ID, "article")                                                                  \
    F(M, INT, relation_id, none, REQ, ID, "relation")
#define MIRAI_MESSAGE_feedback(F, M)                                                                         \
    F(M, INT, id, none, REQ, ID, "id")                                                                       \
    F(M, ENUM, kind, feedback_kind, OPT, 0, 0, "what it says")                                               \
    F(M, INT, rating, none, OPT, 1, 5, "1 (poor) to 5 (very good)")                                          \
    F(M, STR, comment, none, OPT, 0, 4000, "in words")                                                       \
    F(M, TIME, created_at, none, REQ, 0, 0, "when")                                                          \
    F(M, STR, created_by, none, OPT, 0, 200, "by whom")
#define MIRAI_MESSAGE_feedback_page(F, M)                                                                    \
    F(M, OBJECTS, items, feedback, REQ, 0, 200, "newest first") MIRAI_PAGE_OUT(F, M)
#define MIRAI_MESSAGE_feedback_create(F, M)                                                                  \
    F(M, INT, id, none, REQ, ID, "article")                                                                  \
    F(M, ENUM, kind, feedback_kind, OPT, 0, 0, "what it says; kind or rating is needed")                     \
    F(M, INT, rating, none, OPT, 1, 5, "1 (poor) to 5 (very good)")                                          \
    F(M, STR, comment, none, OPT, 0, 4000, "in words")
#define MIRAI_MESSAGE_comment(F, M)                                                                          \
    F(M, INT, id, none, REQ, ID, "id")                                                                       \
    F(M, STR, body, none, REQ, 1, 10000, "text")                                                             \
    F(M, TIME, created_at, none, REQ, 0, 0, "when")                                                          \
    F(M, INT, user_id, none, OPT, ID, "by whom")                                                             \
    F(M, STR, created_by, none, OPT, 0, 200, "by whom")
#define MIRAI_MESSAGE_comment_page(F, M)                                                                     \
    F(M, OBJECTS, items, comment, REQ, 0, 200, "oldest first") MIRAI_PAGE_OUT(F, M)
#define MIRAI_MESSAGE_comment_create(F, M)                                                                   \
    F(M, INT, id, none, REQ, ID, "article")                                                                  \
    F(M, STR, body, none, REQ, 1, 10000, "text")
#define MIRAI_MESSAGE_comment_delete(F, M)                                                                   \
    F(M, INT, id, none, REQ, ID, "article")                                                                  \
    F(M, INT, comment_id, none, REQ, ID, "comment")
#define MIRAI_MESSAGE_article_children(F, M) F(M, INT, id, none, REQ, ID, "article") MIRAI_PAGE_IN(F, M)

/* ---------------------------------------------------------------- attachments */
#define MIRAI_MESSAGE_attachment(F, M)                                                                       \
    F(M, INT, id, none, REQ, ID, "id")                                                                       \
    F(M, STR, name, none, REQ, 1, 255, "file name")                                                          \
    F(M, STR, media_type, none, REQ, 1, 127, "media type (RFC 6838)")                                        \
    F(M, INT, size, none, REQ, ANY, "bytes")                                                                 \
    F(M, STR, sha256, none, REQ, 64, 64, "SHA-256 of the content, hexadecimal")                              \
    F(M, TIME, created_at, none, REQ, 0, 0, "when")                                                          \
    F(M, STR, created_by, none, OPT, 0, 200, "by whom")                                                      \
    F(M, INT, article_id, none, OPT, ID, "article it belongs to")
#define MIRAI_MESSAGE_attachment_page(F, M) F(M, OBJECTS, items, attachment, REQ, 0, 1000, "attachments")
/* An upload: begin, chunks in order, commit (or abort). Unfinished ones vanish after 10 minutes. */
#define MIRAI_MESSAGE_upload_begin(F, M)                                                                     \
    F(M, INT, id, none, REQ, ID, "article")                                                                  \
    F(M, STR, name, none, REQ, 1, 255, "file name")                                                          \
    F(M, STR, media_type, none, OPT, 1, 127, "default application/octet-stream")                             \
    F(M, INT, size, none, REQ, ANY, "bytes of the whole content")
#define MIRAI_MESSAGE_upload_begin_result(F, M) F(M, STR, upload, none, REQ, 1, 64, "name of the upload")
#define MIRAI_MESSAGE_upload_chunk(F, M)                                                                     \
    F(M, STR, upload, none, REQ, 1, 64, "name of the upload")                                                \
    F(M, INT, offset, none, REQ, ANY, "bytes before this chunk; must be what has arrived so far")            \
    F(M, BIN, data, none, REQ, 1, 1048576, "bytes")
#define MIRAI_MESSAGE_upload_ref(F, M) F(M, STR, upload, none, REQ, 1, 64, "name of the upload")
#define MIRAI_MESSAGE_attachment_ref(F, M)                                                                   \
    F(M, INT, id, none, REQ, ID, "article")                                                                  \
    F(M, INT, attachment_id, none, REQ, ID, "attachment")
#define MIRAI_MESSAGE_attachment_read(F, M)                                                                  \
    F(M, INT, id, none, OPT, ID, "article; with attachment_id")                                              \
    F(M, INT, attachment_id, none, OPT, ID, "attachment")                                                    \
    F(M, STR, sha256, none, OPT, 64, 64, "content by hash instead (system only)")                            \
    F(M, INT, offset, none, REQ, ANY, "first byte")                                                          \
    F(M, INT, length, none, REQ, 1, 1048576, "bytes at most")
#define MIRAI_MESSAGE_bytes(F, M)                                                                            \
    F(M, BIN, data, none, REQ, 0, 1048576, "bytes; fewer than asked only at the end")                        \
    F(M, INT, total, none, REQ, ANY, "bytes of the whole")

/* ---------------------------------------------------------------- tags, templates, spaces, groups */
#define MIRAI_MESSAGE_tag(F, M)                                                                              \
    F(M, INT, id, none, REQ, ID, "id")                                                                       \
    F(M, STR, name, none, REQ, 1, 50, "name, unique")                                                        \
    F(M, STR, color, none, OPT, 7, 7, "#rrggbb")                                                             \
    F(M, STR, category, none, OPT, 0, 50, "heading it is shown under")                                       \
    F(M, INT, article_count, none, OPT, ANY, "articles that carry it and may be seen")
#define MIRAI_MESSAGE_tag_page(F, M) F(M, OBJECTS, items, tag, REQ, 0, 10000, "tags by name")
#define MIRAI_MESSAGE_tag_create(F, M)                                                                       \
    F(M, STR, name, none, REQ, 1, 50, "name, unique")                                                        \
    F(M, STR, color, none, OPT, 7, 7, "#rrggbb")                                                             \
    F(M, STR, category, none, OPT, 0, 50, "heading it is shown under")
#define MIRAI_MESSAGE_tag_patch(F, M)                                                                        \
    F(M, INT, id, none, REQ, ID, "id")                                                                       \
    F(M, STR, name, none, OPT, 1, 50, "name, unique")                                                        \
    F(M, STR, color, none, NUL, 7, 7, "#rrggbb")                                                             \
    F(M, STR, category, none, NUL, 0, 50, "heading it is shown under")
#define MIRAI_MESSAGE_article_template(F, M)                                                                 \
    F(M, ENUM, type, itsm_type, REQ, 0, 0, "ITSM type")                                                      \
    F(M, ENUM, language, locale, REQ, 0, 0, "language")                                                      \
    F(M, STR, title, none, REQ, 1, 300, "proposed title")                                                    \
    F(M, STR, body, none, REQ, BODY, "Markdown with the headings to fill")
#define MIRAI_MESSAGE_template_page(F, M) F(M, OBJECTS, items, article_template, REQ, 0, 100, "templates")
#define MIRAI_MESSAGE_space(F, M)                                                                            \
    F(M, INT, id, none, REQ, ID, "id")                                                                       \
    F(M, STR, name, none, REQ, 1, 100, "name, unique")                                                       \
    F(M, STR, description, none, OPT, 0, 1000, "what it is for")                                             \
    F(M, INTS, reader_groups, none, OPT, 0, 200, "groups whose members may read")                            \
    F(M, INTS, editor_groups, none, OPT, 0, 200, "groups whose Editors may write")
#define MIRAI_MESSAGE_space_page(F, M) F(M, OBJECTS, items, space, REQ, 0, 1000, "spaces that may be read")
#define MIRAI_MESSAGE_space_create(F, M)                                                                     \
    F(M, STR, name, none, REQ, 1, 100, "name, unique")                                                       \
    F(M, STR, description, none, OPT, 0, 1000, "what it is for")                                             \
    F(M, INTS, reader_groups, none, OPT, 0, 200, "groups whose members may read")                            \
    F(M, INTS, editor_groups, none, OPT, 0, 200, "groups whose Editors may write")
#define MIRAI_MESSAGE_space_patch(F, M)                                                                      \
    F(M, INT, id, none, REQ, ID, "id")                                                                       \
    F(M, STR, name, none, OPT, 1, 100, "name, unique")                                                       \
    F(M, STR, description, none, NUL, 0, 1000, "what it is for")                                             \
    F(M, INTS, reader_groups, none, OPT, 0, 200, "groups whose members may read")                            \
    F(M, INTS, editor_groups, none, OPT, 0, 200, "groups whose Editors may write")
#define MIRAI_MESSAGE_group(F, M)                                                                            \
    F(M, INT, id, none, REQ, ID, "id")                                                                       \
    F(M, STR, name, none, REQ, 1, 100, "name, unique")                                                       \
    F(M, INTS, members, none, OPT, 0, 10000, "ids of users; everyone is in the group `everyone`")            \
    F(M, STR, directory, none, OPT, 0, 1000,                                                                 \
      "group of the directory whose members belong to it: its DN or name")
#define MIRAI_MESSAGE_group_page(F, M) F(M, OBJECTS, items, group, REQ, 0, 1000, "groups")
#define MIRAI_MESSAGE_group_create(F, M)                                                                     \
    F(M, STR, name, none, REQ, 1, 100, "name, unique")                                                       \
    F(M, INTS, members, none, OPT, 0, 10000, "ids of users")                                                 \
    F(M, STR, directory, none, OPT, 0, 1000,                                                                 \
      "group of the directory whose members belong to it: its DN or name")
#define MIRAI_MESSAGE_group_patch(F, M)                                                                      \
    F(M, INT, id, none, REQ, ID, "id")                                                                       \
    F(M, STR, name, none, OPT, 1, 100, "name, unique")                                                       \
    F(M, INTS, members, none, OPT, 0, 10000, "ids of users: the whole new list")                             \
    F(M, STR, directory, none, NUL, 0, 1000,                                                                 \
      "group of the directory whose members belong to it: its DN or name")

/* ---------------------------------------------------------------- users, login, tokens */
#define MIRAI_MESSAGE_user(F, M)                                                                             \
    F(M, INT, id, none, REQ, ID, "id")                                                                       \
    F(M, STR, name, none, REQ, 1, 100, "login name, unique without regard to case")                          \
    F(M, STR, display_name, none, OPT, 0, 200, "name for people")                                            \
    F(M, STR, email, none, OPT, 0, 254, "mail address")                                                      \
    F(M, ENUM, role, role, REQ, 0, 0, "role")                                                                \
    F(M, BOOL, disabled, none, REQ, 0, 0, "may not log in")                                                  \
    F(M, TIME, created_at, none, REQ, 0, 0, "since when")                                                    \
    F(M, TIME, last_login_at, none, OPT, 0, 0, "last login")                                                 \
    F(M, INTS, groups, none, OPT, 0, 1000, "groups")                                                         \
    F(M, ENUM, source, account_source, OPT, 0, 0, "where its password is checked")                           \
    F(M, STR, directory_name, none, OPT, 0, 1000, "its name (DN) in the directory")                          \
    F(M, BOOL, must_change_password, none, OPT, 0, 0, "the next login must set a new password")              \
    F(M, BOOL, second_factor, none, OPT, 0, 0, "logs in with a one-time code too")
#define MIRAI_MESSAGE_user_page(F, M)                                                                        \
    F(M, OBJECTS, items, user, REQ, 0, 200, "users by id") MIRAI_PAGE_OUT(F, M)
#define MIRAI_MESSAGE_user_create(F, M)                                                                      \
    F(M, STR, name, none, REQ, 1, 100, "login name")                                                         \
    F(M, STR, password, none, REQ, 8, 1024, "password")                                                      \
    F(M, ENUM, role, role, REQ, 0, 0, "role")                                                                \
    F(M, STR, display_name, none, OPT, 0, 200, "name for people")                                            \
    F(M, STR, email, none, OPT, 0, 254, "mail address")                                                      \
    F(M, BOOL, must_change_password, none, OPT, 0, 0, "the first login must set a new password")
#define MIRAI_MESSAGE_user_patch(F, M)                                                                       \
    F(M, INT, id, none, REQ, ID, "id")                                                                       \
    F(M, ENUM, role, role, OPT, 0, 0, "role")                                                                \
    F(M, BOOL, disabled, none, OPT, 0, 0, "may not log in; ends all sessions and tokens")                    \
    F(M, STR, display_name, none, OPT, 0, 200, "name for people")                                            \
    F(M, STR, email, none, OPT, 0, 254, "mail address")                                                      \
    F(M, STR, password, none, OPT, 8, 1024, "new password; ends all sessions")                               \
    F(M, BOOL, must_change_password, none, OPT, 0, 0, "the next login must set a new password")              \
    F(M, BOOL, second_factor, none, OPT, 0, 0, "only false: takes the second factor away, when it is lost")
#define MIRAI_MESSAGE_password_change(F, M)                                                                  \
    F(M, STR, old_password, none, REQ, 1, 1024, "password in force")                                         \
    F(M, STR, new_password, none, REQ, 8, 1024, "new password; ends all other sessions")
/* What the gateway adds to a login. */
#define MIRAI_MESSAGE_session_client(F, M)                                                                   \
    F(M, STR, agent, none, OPT, 0, 200, "User-Agent")                                                        \
    F(M, BIN, ends, none, OPT, 32, 32, "SHA-256 of the session that the browser had and that ends now")      \
    F(M, BOOL, held, none, OPT, 0, 0, "the gateway keeps the session: make none, give the identity")
#define MIRAI_MESSAGE_login(F, M)                                                                            \
    F(M, STR, name, none, REQ, 1, 100, "login name: NAME, NAME@DOMAIN or DOMAIN\\NAME")                      \
    F(M, STR, password, none, REQ, 1, 1024, "password")                                                      \
    F(M, STR, otp, none, OPT, 6, 40, "one-time code or recovery code, when the account has a second factor") \
    F(M, STR, new_password, none, OPT, 8, 1024, "when the account must change it")                           \
    F(M, OBJECT, client, session_client, INN, 0, 0, "of the gateway")
#define MIRAI_MESSAGE_login_result(F, M)                                                                     \
    F(M, STR, token, none, OPT, 1, 100, "secret; shown once; absent when the gateway keeps the session")     \
    F(M, TIME, expires_at, none, REQ, 0, 0, "end of its life")                                               \
    F(M, OBJECT, user, user, REQ, 0, 0, "who logged in")                                                     \
    F(M, INT, session_epoch, none, OPT, ANY, "rises when all sessions of the user end")
/* A login that the directory has found good. */
#define MIRAI_MESSAGE_directory_login(F, M)                                                                  \
    F(M, STR, name, none, REQ, 1, 100, "login name as the directory spells it")                              \
    F(M, STR, directory_name, none, REQ, 1, 1000, "DN")                                                      \
    F(M, STR, display_name, none, OPT, 0, 200, "name for people")                                            \
    F(M, STR, email, none, OPT, 0, 254, "mail address")                                                      \
    F(M, ENUM, role, role, REQ, 0, 0, "highest role that its groups give")                                   \
    F(M, STRS, groups, none, LNG, 0, 1000, "DNs and names of its groups, nested ones too")                   \
    F(M, STR, otp, none, OPT, 6, 40, "one-time code or recovery code")                                       \
    F(M, OBJECT, client, session_client, OPT, 0, 0, "of the gateway")
#define MIRAI_MESSAGE_account_name(F, M) F(M, STR, name, none, REQ, 1, 100, "login name")
#define MIRAI_MESSAGE_account_place(F, M)                                                                    \
    F(M, ENUM, source, account_source, REQ, 0, 0,                                                            \
      "where its password is checked; none: there is no such account")
#define MIRAI_MESSAGE_directory_claim(F, M)                                                                  \
    F(M, TIME, before, none, REQ, 0, 0, "accounts that were last checked before this time")                  \
    F(M, INT, limit, none, OPT, 1, 1000, "default 100")
#define MIRAI_MESSAGE_directory_account(F, M)                                                                \
    F(M, INT, id, none, REQ, ID, "user")                                                                     \
    F(M, STR, name, none, REQ, 1, 100, "login name")                                                         \
    F(M, STR, directory_name, none, REQ, 1, 1000, "DN")
#define MIRAI_MESSAGE_directory_accounts(F, M)                                                               \
    F(M, OBJECTS, items, directory_account, REQ, 0, 1000,                                                    \
      "accounts with living sessions or tokens, longest unchecked first")
/* What the directory says of an account now. */
#define MIRAI_MESSAGE_directory_state(F, M)                                                                  \
    F(M, INT, id, none, REQ, ID, "user")                                                                     \
    F(M, ENUM, role, role, REQ, 0, 0,                                                                        \
      "role that its groups give; none: gone, disabled, or in no group that gives one")                      \
    F(M, STR, display_name, none, OPT, 0, 200, "name for people")                                            \
    F(M, STR, email, none, OPT, 0, 254, "mail address")                                                      \
    F(M, STR, directory_name, none, OPT, 1, 1000, "DN")                                                      \
    F(M, STRS, groups, none, LNG, 0, 1000, "DNs and names of its groups, nested ones too")
/* A session that the gateway keeps: whose it is, and whether it still counts. */
#define MIRAI_MESSAGE_held_session(F, M)                                                                     \
    F(M, INT, user_id, none, REQ, ID, "user")                                                                \
    F(M, INT, session_epoch, none, REQ, ANY, "of the login")                                                 \
    F(M, INT, token_id, none, REQ, ID, "number of the session")                                              \
    F(M, TIME, expires_at, none, REQ, 0, 0, "end of its life")
/* What a gateway keeps of a session in Redis, signed. */
#define MIRAI_MESSAGE_held_record(F, M)                                                                      \
    F(M, INT, id, none, REQ, ID, "number of the session")                                                    \
    F(M, INT, user_id, none, REQ, ID, "whose it is")                                                         \
    F(M, INT, session_epoch, none, REQ, ANY, "of the login")                                                 \
    F(M, TIME, created_at, none, REQ, 0, 0, "login")                                                         \
    F(M, TIME, expires_at, none, REQ, 0, 0, "end of its life, used or not")                                  \
    F(M, STR, address, none, OPT, 0, 64, "where it was opened from")                                         \
    F(M, STR, agent, none, OPT, 0, 200, "User-Agent that opened it")
#define MIRAI_MESSAGE_session(F, M)                                                                          \
    F(M, INT, id, none, REQ, ID, "id")                                                                       \
    F(M, INT, user_id, none, REQ, ID, "whose it is")                                                         \
    F(M, STR, user, none, OPT, 0, 100, "whose it is")                                                        \
    F(M, TIME, created_at, none, REQ, 0, 0, "login")                                                         \
    F(M, TIME, last_used_at, none, OPT, 0, 0, "last use, to the minute")                                     \
    F(M, TIME, expires_at, none, REQ, 0, 0, "end of its life, used or not")                                  \
    F(M, STR, address, none, OPT, 0, 64, "where it was opened from")                                         \
    F(M, STR, agent, none, OPT, 0, 200, "User-Agent that opened it")                                         \
    F(M, BOOL, current, none, OPT, 0, 0, "the one that asks")
#define MIRAI_MESSAGE_session_list(F, M)                                                                     \
    MIRAI_PAGE_IN(F, M)                                                                                      \
    F(M, INT, user_id, none, OPT, ID, "of this user (Admin); default: one's own")
#define MIRAI_MESSAGE_session_page(F, M)                                                                     \
    F(M, OBJECTS, items, session, REQ, 0, 200, "living sessions") MIRAI_PAGE_OUT(F, M)
#define MIRAI_MESSAGE_sessions_end(F, M)                                                                     \
    F(M, INT, user_id, none, OPT, ID, "all of this user (Admin); default: one's own, but the one that asks")
#define MIRAI_MESSAGE_sessions_ended(F, M)                                                                   \
    F(M, INT, count, none, REQ, ANY, "sessions that ended")                                                  \
    F(M, INT, session_epoch, none, OPT, ANY, "what a session that the gateway keeps and spares has now")
#define MIRAI_MESSAGE_second_factor_begin(F, M)                                                              \
    F(M, STR, password, none, REQ, 1, 1024, "password in force")                                             \
    F(M, BOOL, checked, none, INN, 0, 0, "the directory has found the password good")
#define MIRAI_MESSAGE_second_factor_secret(F, M)                                                             \
    F(M, STR, secret, none, REQ, 1, 100, "shared secret in base32 (RFC 6238); shown once")                   \
    F(M, STR, uri, none, REQ, 1, 600, "otpauth:// URI for an authenticator app")
#define MIRAI_MESSAGE_second_factor_confirm(F, M)                                                            \
    F(M, STR, otp, none, REQ, 6, 10, "one-time code of the new secret")
#define MIRAI_MESSAGE_recovery_codes(F, M)                                                                   \
    F(M, STRS, codes, none, REQ, 1, 20, "each works once in place of a one-time code; shown once")
#define MIRAI_MESSAGE_second_factor_end(F, M)                                                                \
    F(M, STR, password, none, REQ, 1, 1024, "password in force")                                             \
    F(M, STR, otp, none, REQ, 6, 40, "one-time code or recovery code")                                       \
    F(M, BOOL, checked, none, INN, 0, 0, "the directory has found the password good")
#define MIRAI_MESSAGE_hand_over(F, M)                                                                        \
    F(M, INT, id, none, REQ, ID, "user who leaves")                                                          \
    F(M, INT, to, none, REQ, ID, "user who becomes the owner of the articles")
#define MIRAI_MESSAGE_handed_over(F, M) F(M, INT, articles, none, REQ, ANY, "articles that have a new owner")
/* The gateway asks whom a secret belongs to; sha256 of the secret so that no secret travels. */
#define MIRAI_MESSAGE_token_check(F, M) F(M, BIN, sha256, none, REQ, 32, 32, "SHA-256 of the secret")
#define MIRAI_MESSAGE_identity(F, M)                                                                         \
    F(M, INT, user_id, none, REQ, ID, "user")                                                                \
    F(M, STR, name, none, REQ, 1, 100, "login name")                                                         \
    F(M, ENUM, role, role, REQ, 0, 0, "role: the lower one of user and token")                               \
    F(M, INTS, spaces, none, OPT, 0, 1000, "spaces that may be read, ascending")                             \
    F(M, INTS, groups, none, OPT, 0, 1000, "groups, ascending")                                              \
    F(M, TIME, expires_at, none, OPT, 0, 0, "end of the token's life")                                       \
    F(M, INT, token_id, none, REQ, ID, "token")                                                              \
    F(M, ENUM, kind, token_kind, REQ, 0, 0, "API token or browser session")                                  \
    F(M, TIME, idle_at, none, OPT, 0, 0, "when a session ends that is not used")
#define MIRAI_MESSAGE_token(F, M)                                                                            \
    F(M, INT, id, none, REQ, ID, "id")                                                                       \
    F(M, STR, name, none, REQ, 1, 100, "what it is for")                                                     \
    F(M, ENUM, role, role, REQ, 0, 0, "highest role it gives")                                               \
    F(M, ENUM, kind, token_kind, REQ, 0, 0, "API token or browser session")                                  \
    F(M, INT, user_id, none, REQ, ID, "whose it is")                                                         \
    F(M, STR, user, none, OPT, 0, 100, "whose it is")                                                        \
    F(M, TIME, created_at, none, REQ, 0, 0, "since when")                                                    \
    F(M, TIME, expires_at, none, OPT, 0, 0, "until when")                                                    \
    F(M, TIME, last_used_at, none, OPT, 0, 0, "last use, to the minute")
#define MIRAI_MESSAGE_token_page(F, M) F(M, OBJECTS, items, token, REQ, 0, 200, "tokens") MIRAI_PAGE_OUT(F, M)
#define MIRAI_MESSAGE_token_create(F, M)                                                                     \
    F(M, STR, name, none, REQ, 1, 100, "what it is for")                                                     \
    F(M, ENUM, role, role, OPT, 0, 0, "highest role it gives; default and maximum: the user's")              \
    F(M, INT, days, none, OPT, 1, 3650,                                                                      \
      "lifetime; default 90; made with an API token, it ends with that one at the latest")                   \
    F(M, INT, user_id, none, OPT, ID, "for another user (Admin)")
#define MIRAI_MESSAGE_token_created(F, M)                                                                    \
    F(M, INT, id, none, REQ, ID, "id")                                                                       \
    F(M, STR, token, none, REQ, 1, 100, "secret; shown once")                                                \
    F(M, TIME, expires_at, none, REQ, 0, 0, "until when")

/* ---------------------------------------------------------------- audit, statistics, status */
#define MIRAI_MESSAGE_audit_entry(F, M)                                                                      \
    F(M, INT, id, none, REQ, ID, "number")                                                                   \
    F(M, TIME, at, none, REQ, 0, 0, "when")                                                                  \
    F(M, INT, user_id, none, OPT, -1, INT64_MAX, "who; -1: the system")                                      \
    F(M, STR, user, none, OPT, 0, 100, "who")                                                                \
    F(M, STR, action, none, REQ, 1, 60, "method, such as article.create")                                    \
    F(M, STR, object, none, OPT, 0, 200, "on what, such as article/12")                                      \
    F(M, STR, result, none, REQ, 1, 40, "ok, or the error")                                                  \
    F(M, STR, address, none, OPT, 0, 64, "from where")                                                       \
    F(M, STR, request_id, none, OPT, 0, 64, "trace id of the request")                                       \
    F(M, STR, name, none, OPT, 0, 100, "login name that was given")                                          \
    F(M, INT, count, none, OPT, ID, "times, when several were noted as one; absent: once")                   \
    F(M, STR, epoch, none, OPT, 1, 40, "history that it belongs to; a restore begins a new one")             \
    F(M, STR, hash, none, OPT, 64, 64, "SHA-256 over the hash of the line before and this line")
#define MIRAI_MESSAGE_audit_list(F, M)                                                                       \
    MIRAI_PAGE_IN(F, M)                                                                                      \
    F(M, INT, user_id, none, OPT, -1, INT64_MAX, "only of this user")                                        \
    F(M, STR, action, none, OPT, 1, 60, "only this action")                                                  \
    F(M, TIME, after, none, OPT, 0, 0, "only after this time")                                               \
    F(M, TIME, before, none, OPT, 0, 0, "only before this time")                                             \
    F(M, STR, object, none, OPT, 1, 200, "only on this object")                                              \
    F(M, STR, result, none, OPT, 1, 40, "only with this result")
#define MIRAI_MESSAGE_audit_export(F, M)                                                                     \
    F(M, INT, after_id, none, OPT, ANY, "only lines after this number; default 0")                           \
    F(M, INT, limit, none, OPT, 1, 500, "lines at once; default 500")
#define MIRAI_MESSAGE_audit_rows(F, M)                                                                       \
    F(M, OBJECTS, items, audit_entry, REQ, 0, 500, "oldest first; fewer than asked for at the end")
#define MIRAI_MESSAGE_audit_head(F, M)                                                                       \
    F(M, STR, epoch, none, REQ, 1, 40, "history that the line belongs to")                                   \
    F(M, INT, id, none, REQ, ID, "number of the newest line")                                                \
    F(M, STR, hash, none, REQ, 64, 64, "its hash")                                                           \
    F(M, TIME, at, none, REQ, 0, 0, "when it was signed")                                                    \
    F(M, STR, signer, none, REQ, 64, 64, "Ed25519 public key, hexadecimal")                                  \
    F(M, STR, signature, none, REQ, 128, 128, "Ed25519 signature, hexadecimal")
#define MIRAI_MESSAGE_audit_head_page(F, M)                                                                  \
    F(M, OBJECTS, items, audit_head, REQ, 0, 200, "newest first") MIRAI_PAGE_OUT(F, M)
#define MIRAI_MESSAGE_audit_signer(F, M)                                                                     \
    F(M, STR, signer, none, REQ, 64, 64, "Ed25519 public key, hexadecimal")
/* What a daemon has seen and decided itself: failed directory logins, requests that were refused. */
#define MIRAI_MESSAGE_audit_note(F, M)                                                                       \
    F(M, STR, action, none, REQ, 1, 60, "such as auth.login")                                                \
    F(M, STR, object, none, OPT, 0, 100, "on what, such as user/12")                                         \
    F(M, STR, result, none, REQ, 1, 40, "error, or why")                                                     \
    F(M, INT, user_id, none, OPT, 0, INT64_MAX, "who; 0: nobody known")                                      \
    F(M, STR, name, none, OPT, 0, 100, "login name that was given")                                          \
    F(M, INT, count, none, OPT, ID, "times, when several are noted as one; default 1")
#define MIRAI_MESSAGE_audit_page(F, M)                                                                       \
    F(M, OBJECTS, items, audit_entry, REQ, 0, 200, "newest first") MIRAI_PAGE_OUT(F, M)
#define MIRAI_MESSAGE_tally(F, M)                                                                            \
    F(M, STR, key, none, REQ, 0, 100, "what was counted")                                                    \
    F(M, INT, count, none, REQ, ANY, "how many")
#define MIRAI_MESSAGE_statistics(F, M)                                                                       \
    F(M, INT, articles, none, REQ, ANY, "articles that may be seen")                                         \
    F(M, OBJECTS, by_type, tally, REQ, 0, 20, "by ITSM type")                                                \
    F(M, OBJECTS, by_status, tally, REQ, 0, 20, "by status")                                                 \
    F(M, OBJECTS, top_tags, tally, REQ, 0, 50, "most used tags")                                             \
    F(M, OBJECTS, recent, article, REQ, 0, 10, "changed last")                                               \
    F(M, INT, views_30_days, none, REQ, ANY, "views in the last 30 days")                                    \
    F(M, INT, review_due, none, REQ, ANY, "articles whose review day has passed")                            \
    F(M, DOUBLE, rating_average, none, OPT, 0, 0, "mean of all ratings")
#define MIRAI_MESSAGE_daemon_status(F, M)                                                                    \
    F(M, STR, service, none, REQ, 1, 40, "daemon")                                                           \
    F(M, STR, instance, none, REQ, 1, 64, "instance")                                                        \
    F(M, STR, state, none, REQ, 1, 40, "ok, or why not")                                                     \
    F(M, RAW, details, none, OPT, 0, 0, "what the daemon says of itself")
#define MIRAI_MESSAGE_system_status(F, M)                                                                    \
    F(M, STR, version, none, REQ, 1, 40, "version of the gateway")                                           \
    F(M, OBJECTS, daemons, daemon_status, REQ, 0, 200, "all instances that answered or should have")

/* ---------------------------------------------------------------- change feed (between daemons) */
#define MIRAI_MESSAGE_changes_since(F, M)                                                                    \
    F(M, STR, epoch, none, OPT, 0, 40, "epoch of the position; empty or another than the store's: reset")    \
    F(M, INT, seq, none, REQ, ANY, "all after this number")                                                  \
    F(M, INT, limit, none, OPT, 1, 1000, "changes at most; default 200")
#define MIRAI_MESSAGE_change(F, M)                                                                           \
    F(M, INT, seq, none, REQ, ID, "number within the epoch")                                                 \
    F(M, ENUM, kind, change_kind, REQ, 0, 0, "what changed")                                                 \
    F(M, INT, id, none, REQ, ANY, "of what: article, tag")                                                   \
    F(M, TIME, at, none, REQ, 0, 0, "commit time")                                                           \
    F(M, OBJECT, article, article, OPT, 0, 0, "its newest state, with body; absent when gone")
/* Several changes of one article within a page may carry its text with the last one only. */
#define MIRAI_MESSAGE_changes(F, M)                                                                          \
    F(M, STR, epoch, none, REQ, 1, 40, "epoch of the store")                                                 \
    F(M, BOOL, reset, none, REQ, 0, 0,                                                                       \
      "the position is of another epoch or too old: rebuild from article.export")                            \
    F(M, INT, last_seq, none, REQ, ANY, "newest number of the store")                                        \
    F(M, OBJECTS, items, change, REQ, 0, 1000, "in order")
#define MIRAI_MESSAGE_article_export(F, M)                                                                   \
    F(M, INT, after_id, none, REQ, ANY, "articles with a larger id")                                         \
    F(M, INT, limit, none, OPT, 1, 1000, "default 200; a page ends earlier at about 2 MiB")
#define MIRAI_MESSAGE_article_export_page(F, M)                                                              \
    F(M, STR, epoch, none, REQ, 1, 40, "epoch of the store")                                                 \
    F(M, INT, seq, none, REQ, ANY, "feed position that this page contains at least")                         \
    F(M, OBJECTS, items, article, REQ, 0, 1000, "with body, by id; empty: the end")
/* Published as a hint after each commit. */
#define MIRAI_MESSAGE_feed_hint(F, M)                                                                        \
    F(M, STR, epoch, none, REQ, 1, 40, "epoch")                                                              \
    F(M, INT, seq, none, REQ, ANY, "newest number")

/* ---------------------------------------------------------------- snapshots of the store (for backup) */
#define MIRAI_MESSAGE_snapshot_begin_result(F, M)                                                            \
    F(M, STR, snapshot, none, REQ, 1, 64, "name of the copy; vanishes 10 minutes after the last read")       \
    F(M, INT, size, none, REQ, ANY, "bytes of the database copy")                                            \
    F(M, STR, sha256, none, REQ, 64, 64, "SHA-256 of the database copy")                                     \
    F(M, STR, epoch, none, REQ, 1, 40, "epoch")                                                              \
    F(M, INT, seq, none, REQ, ANY, "newest change in it")                                                    \
    F(M, INT, articles, none, REQ, ANY, "articles in it")
#define MIRAI_MESSAGE_snapshot_read(F, M)                                                                    \
    F(M, STR, snapshot, none, REQ, 1, 64, "name of the copy")                                                \
    F(M, INT, offset, none, REQ, ANY, "first byte")                                                          \
    F(M, INT, length, none, REQ, 1, 1048576, "bytes at most")
#define MIRAI_MESSAGE_snapshot_ref(F, M) F(M, STR, snapshot, none, REQ, 1, 64, "name of the copy")
#define MIRAI_MESSAGE_snapshot_info(F, M)                                                                    \
    F(M, STR, name, none, REQ, 1, 100, "name, such as 20260131T030000Z-daily")                               \
    F(M, ENUM, kind, snapshot_kind, REQ, 0, 0, "why it was made")                                            \
    F(M, TIME, created_at, none, REQ, 0, 0, "when")                                                          \
    F(M, INT, size, none, REQ, ANY, "bytes of the database copy")                                            \
    F(M, STR, sha256, none, REQ, 64, 64, "its SHA-256")                                                      \
    F(M, STR, epoch, none, REQ, 1, 40, "epoch of the store")                                                 \
    F(M, INT, seq, none, REQ, ANY, "newest change in it")                                                    \
    F(M, INT, articles, none, REQ, ANY, "articles in it")                                                    \
    F(M, INT, attachments, none, REQ, ANY, "attachment files it needs")                                      \
    F(M, TIME, verified_at, none, OPT, 0, 0, "last successful verification")                                 \
    F(M, STR, fault, none, OPT, 0, 200, "why the last verification failed")
#define MIRAI_MESSAGE_snapshot_list(F, M) F(M, OBJECTS, items, snapshot_info, REQ, 0, 10000, "newest first")
#define MIRAI_MESSAGE_snapshot_name(F, M) F(M, STR, name, none, OPT, 1, 100, "snapshot; default: the newest")

/* ---------------------------------------------------------------- search */
#define MIRAI_MESSAGE_search_query(F, M)                                                                     \
    F(M, STR, q, none, OPT, 0, 200000,                                                                       \
      "words, \"phrases\", -not, OR, tag: type: status: author: title: before: after:; cut after 1,000 "     \
      "characters; empty: everything that the filters let through, newest first")                            \
    F(M, ENUM, type, itsm_type, OPT, 0, 0, "only this ITSM type")                                            \
    F(M, ENUM, status, article_status, OPT, 0, 0, "only this status")                                        \
    F(M, STRS, tag, none, OPT, 0, 10, "only with all these tags")                                            \
    F(M, INT, owner_id, none, OPT, ID, "only of this owner")                                                 \
    F(M, INT, space_id, none, OPT, ID, "only of this space")                                                 \
    F(M, TIME, after, none, OPT, 0, 0, "only updated at or after this time")                                 \
    F(M, TIME, before, none, OPT, 0, 0, "only updated before this time")                                     \
    F(M, INT, limit, none, OPT, 1, 100, "hits in the page; default 20")                                      \
    F(M, STR, cursor, none, OPT, 1, 400, "`next_cursor` of the page before")                                 \
    F(M, STR, author, none, OPT, 1, 200, "only of the owner with this name")                                 \
    F(M, BOOL, explain, none, OPT, 0, 0, "tell how each score came about")                                   \
    F(M, BOOL, boosts, none, OPT, 0, 0, "false: the words alone decide, not freshness, rating, use")         \
    F(M, BOOL, semantic, none, OPT, 0, 0, "false: do not ask the vectors, where they are configured")
#define MIRAI_MESSAGE_search_attachment(F, M)                                                                \
    F(M, INT, id, none, REQ, ID, "attachment")                                                               \
    F(M, STR, name, none, REQ, 1, 255, "file name")                                                          \
    F(M, INT, page, none, OPT, ID, "page, sheet or slide, from 1; absent: the file has none")
#define MIRAI_MESSAGE_score_part(F, M)                                                                       \
    F(M, STR, name, none, REQ, 1, 40,                                                                        \
      "word, bigram, phrase, proximity, freshness, rating, views, title, vectors")                           \
    F(M, STR, of, none, OPT, 0, 200, "which word")                                                           \
    F(M, DOUBLE, value, none, REQ, 0, 0, "what it adds to the score")                                        \
    F(M, STR, why, none, OPT, 0, 300, "the numbers behind it")
#define MIRAI_MESSAGE_search_hit(F, M)                                                                       \
    F(M, INT, id, none, REQ, ID, "article")                                                                  \
    F(M, STR, slug, none, OPT, 0, 200, "slug")                                                               \
    F(M, STR, title, none, REQ, 0, 300, "title")                                                             \
    F(M, STR, snippet, none, REQ, 0, 2000,                                                                   \
      "best passage as HTML-escaped text with <mark> around what was found")                                 \
    F(M, DOUBLE, score, none, REQ, 0, 0, "higher is better")                                                 \
    F(M, ENUM, type, itsm_type, REQ, 0, 0, "ITSM type")                                                      \
    F(M, ENUM, status, article_status, REQ, 0, 0, "status")                                                  \
    F(M, STRS, tags, none, OPT, 0, 50, "tags")                                                               \
    F(M, TIME, updated_at, none, REQ, 0, 0, "last saved")                                                    \
    F(M, STR, title_marked, none, OPT, 0, 4000, "title as HTML-escaped text with <mark>")                    \
    F(M, OBJECT, attachment, search_attachment, OPT, 0, 0, "where the passage stands, when it is in a file") \
    F(M, STRS, retrievers, none, OPT, 0, 4, "what found it: words, vectors")                                 \
    F(M, OBJECTS, explain, score_part, OPT, 0, 200, "parts of the score; their sum is the score")
#define MIRAI_MESSAGE_search_facets(F, M)                                                                    \
    F(M, OBJECTS, type, tally, REQ, 0, 20, "by ITSM type")                                                   \
    F(M, OBJECTS, status, tally, REQ, 0, 20, "by status")                                                    \
    F(M, OBJECTS, tag, tally, REQ, 0, 20, "most frequent tags")
#define MIRAI_MESSAGE_search_filter(F, M)                                                                    \
    F(M, STR, name, none, REQ, 1, 20, "tag, type, status, author, title, before, after")                     \
    F(M, STR, value, none, REQ, 0, 1000, "what it asks for")                                                 \
    F(M, BOOL, excluded, none, OPT, 0, 0, "true: what has it is left out")
#define MIRAI_MESSAGE_search_understood(F, M)                                                                \
    F(M, STRS, words, none, REQ, 0, 200, "words that are looked for, any of them")                           \
    F(M, STRS, phrases, none, REQ, 0, 20, "phrases that must stand in the text")                             \
    F(M, STRS, excluded, none, REQ, 0, 20, "words and phrases that must not")                                \
    F(M, OBJECTS, filters, search_filter, REQ, 0, 40, "filters")                                             \
    F(M, STRS, synonyms, none, OPT, 0, 200, "words that are looked for, too, because they mean the same")    \
    F(M, STRS, notices, none, OPT, 0, 10,                                                                    \
      "query-cut, terms-cut, value-not-understood, only-common-words, ...")
#define MIRAI_MESSAGE_search_result(F, M)                                                                    \
    F(M, INT, total, none, REQ, ANY, "articles found")                                                       \
    F(M, OBJECTS, hits, search_hit, REQ, 0, 100, "best first")                                               \
    F(M, OBJECT, facets, search_facets, REQ, 0, 0, "how the found ones divide")                              \
    F(M, DOUBLE, took_ms, none, REQ, 0, 0, "time in the search daemon")                                      \
    F(M, BOOL, total_exact, none, OPT, 0, 0,                                                                 \
      "false: at least so many were found, and the facets count the best of them")                           \
    F(M, OBJECT, understood, search_understood, OPT, 0, 0, "how the query was understood")                   \
    F(M, STR, did_you_mean, none, OPT, 0, 1000, "the query with words that exist here")                      \
    F(M, STRS, retrievers, none, OPT, 0, 4, "who was asked: words, vectors")                                 \
    MIRAI_PAGE_OUT(F, M)
#define MIRAI_MESSAGE_suggest_query(F, M)                                                                    \
    F(M, STR, q, none, REQ, 0, 200, "what has been typed so far")                                            \
    F(M, INT, limit, none, OPT, 1, 20, "default 8")
#define MIRAI_MESSAGE_suggestion(F, M)                                                                       \
    F(M, STR, text, none, REQ, 1, 300, "title, tag or query")                                                \
    F(M, STR, kind, none, REQ, 1, 20, "title, tag or query")                                                 \
    F(M, INT, id, none, OPT, ID, "article of a title")
#define MIRAI_MESSAGE_suggest_result(F, M) F(M, OBJECTS, items, suggestion, REQ, 0, 20, "best first")
#define MIRAI_MESSAGE_similar_query(F, M)                                                                    \
    F(M, INT, id, none, REQ, ID, "article")                                                                  \
    F(M, INT, limit, none, OPT, 1, 50, "default 10")
#define MIRAI_MESSAGE_similar_hit(F, M)                                                                      \
    F(M, INT, id, none, REQ, ID, "article")                                                                  \
    F(M, STR, slug, none, OPT, 0, 200, "slug")                                                               \
    F(M, STR, title, none, REQ, 0, 300, "title")                                                             \
    F(M, ENUM, type, itsm_type, REQ, 0, 0, "ITSM type")                                                      \
    F(M, ENUM, status, article_status, REQ, 0, 0, "status")                                                  \
    F(M, DOUBLE, similarity, none, REQ, 0, 0, "0 to 1; 0.85 and more: a duplicate")                          \
    F(M, STRS, shared, none, OPT, 0, 20, "words that both are about")                                        \
    F(M, TIME, updated_at, none, REQ, 0, 0, "last saved")
#define MIRAI_MESSAGE_similar_result(F, M) F(M, OBJECTS, items, similar_hit, REQ, 0, 50, "most similar first")
#define MIRAI_MESSAGE_draft(F, M)                                                                            \
    F(M, INT, id, none, OPT, ID, "the article that is being edited; absent: a new one")                      \
    F(M, STR, title, none, OPT, 0, 300, "title")                                                             \
    F(M, STR, body, none, OPT, 0, 1048576, "Markdown text")                                                  \
    F(M, ENUM, type, itsm_type, OPT, 0, 0, "ITSM type; absent: the proposed one")                            \
    F(M, STRS, tags, none, OPT, 0, 50, "tags")                                                               \
    F(M, ENUM, language, locale, OPT, 0, 0, "language of the answer's texts; default: of the request")
#define MIRAI_MESSAGE_type_proposal(F, M)                                                                    \
    F(M, ENUM, type, itsm_type, REQ, 0, 0, "ITSM type")                                                      \
    F(M, DOUBLE, confidence, none, REQ, 0, 0, "0 to 1; all together 1")                                      \
    F(M, STRS, reasons, none, REQ, 0, 10, "what speaks for it")
#define MIRAI_MESSAGE_deviation(F, M)                                                                        \
    F(M, STR, rule, none, REQ, 1, 60, "stable name, such as change-without-rollback")                        \
    F(M, STR, severity, none, REQ, 1, 20, "error, warning or info")                                          \
    F(M, STR, message, none, REQ, 1, 500, "what is missing and why it matters")                              \
    F(M, STR, hint, none, OPT, 0, 500, "heading or sentence that would cure it")
#define MIRAI_MESSAGE_tag_proposal(F, M)                                                                     \
    F(M, STR, name, none, REQ, 1, 50, "tag")                                                                 \
    F(M, BOOL, exists, none, REQ, 0, 0, "whether an article that may be seen carries it already")            \
    F(M, DOUBLE, confidence, none, REQ, 0, 0, "0 to 1")                                                      \
    F(M, STR, reason, none, REQ, 0, 300, "why")
#define MIRAI_MESSAGE_draft_report(F, M)                                                                     \
    F(M, OBJECTS, types, type_proposal, REQ, 0, 10, "ITSM types that it may be, most likely first")          \
    F(M, OBJECTS, deviations, deviation, REQ, 0, 50, "what good practice would have")                        \
    F(M, STR, summary_technical, none, REQ, 0, 2000, "sentences of the text for IT staff")                   \
    F(M, STR, summary_non_technical, none, REQ, 0, 2000, "sentences of the text for everyone")               \
    F(M, OBJECTS, tags, tag_proposal, REQ, 0, 20, "tags that fit")                                           \
    F(M, OBJECTS, duplicates, similar_hit, REQ, 0, 20,                                                       \
      "articles that say nearly the same, most similar first")                                               \
    F(M, BOOL, duplicate, none, REQ, 0, 0, "whether one of them has a similarity of 0.85 or more")

/* ---------------------------------------------------------------- vocabulary and use of the search (kept by the store) */
#define MIRAI_MESSAGE_synonyms(F, M)                                                                         \
    F(M, INT, id, none, REQ, ID, "id")                                                                       \
    F(M, STRS, terms, none, REQ, 0, 50, "words and phrases that mean the same")                              \
    F(M, STR, note, none, OPT, 0, 200, "for other Admins")                                                   \
    F(M, TIME, updated_at, none, REQ, 0, 0, "last changed")
#define MIRAI_MESSAGE_synonyms_create(F, M)                                                                  \
    F(M, STRS, terms, none, REQ, 0, 50, "at least two words and phrases that mean the same")                 \
    F(M, STR, note, none, OPT, 0, 200, "for other Admins")
#define MIRAI_MESSAGE_synonyms_replace(F, M)                                                                 \
    F(M, INT, id, none, REQ, ID, "id")                                                                       \
    F(M, STRS, terms, none, REQ, 0, 50, "at least two words and phrases that mean the same")                 \
    F(M, STR, note, none, OPT, 0, 200, "for other Admins")
#define MIRAI_MESSAGE_synonyms_page(F, M) F(M, OBJECTS, items, synonyms, REQ, 0, 10000, "by id")
#define MIRAI_MESSAGE_dictionary_word(F, M)                                                                  \
    F(M, INT, id, none, REQ, ID, "id")                                                                       \
    F(M, STR, surface, none, REQ, 1, 50, "as it is written: found as one word")                              \
    F(M, STR, reading, none, OPT, 0, 100, "in kana, for suggestions and corrections")                        \
    F(M, TIME, updated_at, none, REQ, 0, 0, "last changed")
#define MIRAI_MESSAGE_dictionary_word_create(F, M)                                                           \
    F(M, STR, surface, none, REQ, 1, 50, "as it is written: found as one word")                              \
    F(M, STR, reading, none, OPT, 0, 100, "in kana, for suggestions and corrections")
#define MIRAI_MESSAGE_dictionary_page(F, M) F(M, OBJECTS, items, dictionary_word, REQ, 0, 10000, "by id")
/* Sent by search-index in batches. */
#define MIRAI_MESSAGE_search_note(F, M)                                                                      \
    F(M, STR, q, none, REQ, 1, 200, "what was asked for")                                                    \
    F(M, INT, user_id, none, REQ, 0, INT64_MAX, "who")                                                       \
    F(M, INT, total, none, REQ, ANY, "articles found")                                                       \
    F(M, TIME, at, none, REQ, 0, 0, "when")
#define MIRAI_MESSAGE_search_notes(F, M) F(M, OBJECTS, items, search_note, REQ, 0, 1000, "searches")
#define MIRAI_MESSAGE_search_click(F, M)                                                                     \
    F(M, STR, q, none, REQ, 1, 200, "what was asked for")                                                    \
    F(M, INT, article_id, none, REQ, ID, "the hit that was opened")                                          \
    F(M, INT, position, none, REQ, 1, 1000, "its place among the hits, from 1")
#define MIRAI_MESSAGE_asked_query(F, M)                                                                      \
    F(M, STR, q, none, REQ, 0, 200, "what was asked for")                                                    \
    F(M, INT, count, none, REQ, ANY, "times")                                                                \
    F(M, INT, zero_count, none, REQ, ANY, "of these without a hit")                                          \
    F(M, INT, users, none, REQ, ANY, "different users")                                                      \
    F(M, INT, clicks, none, REQ, ANY, "hits that were opened")                                               \
    F(M, DOUBLE, click_position, none, OPT, 0, 0, "mean place of these")                                     \
    F(M, TIME, last_at, none, REQ, 0, 0, "last time")
#define MIRAI_MESSAGE_asked_query_list(F, M)                                                                 \
    F(M, INT, days, none, OPT, 1, 366, "of the last days; default 30")                                       \
    F(M, BOOL, zero, none, OPT, 0, 0, "true: only those that found nothing the last time")                   \
    F(M, INT, min_users, none, OPT, 1, 1000, "only those of at least so many users")                         \
    F(M, INT, limit, none, OPT, 1, 1000, "default 100")
#define MIRAI_MESSAGE_asked_query_page(F, M)                                                                 \
    F(M, OBJECTS, items, asked_query, REQ, 0, 1000, "most frequent first")
/* What the ranking knows of an article beside its text. */
#define MIRAI_MESSAGE_article_signal(F, M)                                                                   \
    F(M, INT, id, none, REQ, ID, "article")                                                                  \
    F(M, INT, views, none, REQ, ANY, "times it was opened in the last 30 days")                              \
    F(M, DOUBLE, rating_average, none, OPT, 0, 0, "mean of the ratings 1 to 5")                              \
    F(M, INT, rating_count, none, REQ, ANY, "ratings")                                                       \
    F(M, INT, clicks, none, REQ, ANY, "times it was opened from a search in the last 30 days")
#define MIRAI_MESSAGE_article_signal_list(F, M)                                                              \
    F(M, INT, after_id, none, REQ, ANY, "articles with a larger id")                                         \
    F(M, INT, limit, none, OPT, 1, 5000, "default 1000")
#define MIRAI_MESSAGE_article_signals(F, M)                                                                  \
    F(M, OBJECTS, items, article_signal, REQ, 0, 5000,                                                       \
      "of articles that have any, by id; fewer than asked for at the end")

/* X(name, doc): every message, used ones before their users. */
#define MIRAI_MESSAGES(X)                                                                                    \
    X(empty, "no members")                                                                                   \
    X(by_id, "one object")                                                                                   \
    X(id_result, "what was made")                                                                            \
    X(page_request, "a page")                                                                                \
    X(fault_info, "one fault of an input")                                                                   \
    X(attachment, "a file that belongs to an article")                                                       \
    X(article, "an article")                                                                                 \
    X(article_create, "a new article")                                                                       \
    X(article_replace, "the whole new content of an article")                                                \
    X(article_patch, "changes to an article (RFC 7396 merge patch)")                                         \
    X(article_import, "an article that is made or replaced by its slug")                                     \
    X(article_import_result, "outcome of an import")                                                         \
    X(article_get, "which article")                                                                          \
    X(article_list, "which articles")                                                                        \
    X(article_page, "a page of articles")                                                                    \
    X(article_delete, "which article to put into the bin")                                                   \
    X(article_stats, "use and rating of an article")                                                         \
    X(article_children, "a page of what belongs to an article")                                              \
    X(revision, "a saved state of an article")                                                               \
    X(revision_list, "revisions of an article")                                                              \
    X(revision_page, "a page of revisions")                                                                  \
    X(revision_get, "which revision")                                                                        \
    X(revision_diff, "which revisions to compare")                                                           \
    X(revision_diff_result, "the differences")                                                               \
    X(revision_restore, "which revision to bring back")                                                      \
    X(relation, "a typed relation between two articles")                                                     \
    X(relation_page, "relations of an article")                                                              \
    X(relation_create, "a new relation")                                                                     \
    X(relation_delete, "which relation to remove")                                                           \
    X(feedback, "a reader's feedback")                                                                       \
    X(feedback_page, "a page of feedback")                                                                   \
    X(feedback_create, "new feedback")                                                                       \
    X(comment, "a comment on an article")                                                                    \
    X(comment_page, "a page of comments")                                                                    \
    X(comment_create, "a new comment")                                                                       \
    X(comment_delete, "which comment to remove")                                                             \
    X(attachment_page, "files of an article")                                                                \
    X(upload_begin, "start of an upload")                                                                    \
    X(upload_begin_result, "the upload's name")                                                              \
    X(upload_chunk, "next bytes of an upload")                                                               \
    X(upload_ref, "which upload")                                                                            \
    X(attachment_ref, "which attachment")                                                                    \
    X(attachment_read, "part of an attachment")                                                              \
    X(bytes, "part of a content")                                                                            \
    X(tag, "a tag")                                                                                          \
    X(tag_page, "all tags")                                                                                  \
    X(tag_create, "a new tag")                                                                               \
    X(tag_patch, "changes to a tag")                                                                         \
    X(article_template, "a template for articles of one ITSM type")                                          \
    X(template_page, "all templates")                                                                        \
    X(space, "a space: articles with common readers and editors")                                            \
    X(space_page, "spaces")                                                                                  \
    X(space_create, "a new space")                                                                           \
    X(space_patch, "changes to a space")                                                                     \
    X(group, "a group of users")                                                                             \
    X(group_page, "groups")                                                                                  \
    X(group_create, "a new group")                                                                           \
    X(group_patch, "changes to a group")                                                                     \
    X(user, "a user account")                                                                                \
    X(user_page, "a page of users")                                                                          \
    X(user_create, "a new user")                                                                             \
    X(user_patch, "changes to a user")                                                                       \
    X(password_change, "one's own new password")                                                             \
    X(session_client, "what the gateway adds to a login")                                                    \
    X(login, "name and password")                                                                            \
    X(directory_login, "a login that the directory has found good")                                          \
    X(account_name, "which account")                                                                         \
    X(account_place, "where an account's password is checked")                                               \
    X(directory_claim, "which accounts to check against the directory")                                      \
    X(directory_account, "an account of the directory")                                                      \
    X(directory_accounts, "accounts to check against the directory")                                         \
    X(directory_state, "what the directory says of an account")                                              \
    X(held_session, "a session that the gateway keeps")                                                      \
    X(held_record, "what a gateway keeps of a session in Redis")                                             \
    X(session, "a browser session, without its secret")                                                      \
    X(session_list, "whose sessions")                                                                        \
    X(session_page, "sessions")                                                                              \
    X(sessions_end, "whose sessions to end")                                                                 \
    X(sessions_ended, "sessions that ended")                                                                 \
    X(second_factor_begin, "a wish for a second factor")                                                     \
    X(second_factor_secret, "a new second factor")                                                           \
    X(second_factor_confirm, "proof that the new second factor works")                                       \
    X(recovery_codes, "codes for the day on which the second factor is lost")                                \
    X(second_factor_end, "the second factor is no longer wanted")                                            \
    X(hand_over, "articles that get a new owner")                                                            \
    X(handed_over, "outcome of a hand-over")                                                                 \
    X(login_result, "a session")                                                                             \
    X(token_check, "which secret")                                                                           \
    X(identity, "who acts, and what may be read")                                                            \
    X(token, "an API token or session, without its secret")                                                  \
    X(token_page, "tokens")                                                                                  \
    X(token_create, "a new API token")                                                                       \
    X(token_created, "a new API token with its secret")                                                      \
    X(audit_entry, "one line of the audit log")                                                              \
    X(audit_list, "which lines of the audit log")                                                            \
    X(audit_export, "a part of the audit log, in order")                                                     \
    X(audit_rows, "lines of the audit log, in order")                                                        \
    X(audit_head, "signed state of the audit log")                                                           \
    X(audit_head_page, "a page of signed states")                                                            \
    X(audit_signer, "who signs the states of the audit log")                                                 \
    X(audit_note, "a line for the audit log")                                                                \
    X(audit_page, "a page of the audit log")                                                                 \
    X(tally, "a number of something")                                                                        \
    X(statistics, "figures of the knowledge base")                                                           \
    X(daemon_status, "one daemon")                                                                           \
    X(system_status, "all daemons")                                                                          \
    X(changes_since, "a position in the change feed")                                                        \
    X(change, "one committed change")                                                                        \
    X(changes, "changes in order")                                                                           \
    X(article_export, "a position in all articles")                                                          \
    X(article_export_page, "articles in order")                                                              \
    X(feed_hint, "newest position of the change feed")                                                       \
    X(snapshot_begin_result, "a consistent copy of the store's database")                                    \
    X(snapshot_read, "part of that copy")                                                                    \
    X(snapshot_ref, "which copy")                                                                            \
    X(snapshot_info, "a stored backup")                                                                      \
    X(snapshot_list, "stored backups")                                                                       \
    X(snapshot_name, "which backup")                                                                         \
    X(search_query, "what to search for")                                                                    \
    X(search_attachment, "a place in a file")                                                                \
    X(score_part, "one part of a score")                                                                     \
    X(search_hit, "one article found")                                                                       \
    X(search_facets, "counts by property")                                                                   \
    X(search_filter, "one filter of a query")                                                                \
    X(search_understood, "a query as it was understood")                                                     \
    X(search_result, "articles found")                                                                       \
    X(suggest_query, "what is being typed")                                                                  \
    X(suggestion, "one proposal")                                                                            \
    X(suggest_result, "proposals")                                                                           \
    X(similar_query, "what to compare with")                                                                 \
    X(similar_hit, "a similar article")                                                                      \
    X(similar_result, "similar articles")                                                                    \
    X(draft, "an article before it is saved")                                                                \
    X(type_proposal, "an ITSM type that a text may be")                                                      \
    X(deviation, "something that good practice would have")                                                  \
    X(tag_proposal, "a tag that fits")                                                                       \
    X(draft_report, "what there is to say about a draft")                                                    \
    X(synonyms, "words that mean the same")                                                                  \
    X(synonyms_create, "words that mean the same")                                                           \
    X(synonyms_replace, "words that mean the same")                                                          \
    X(synonyms_page, "all synonyms")                                                                         \
    X(dictionary_word, "a word of this organisation")                                                        \
    X(dictionary_word_create, "a word of this organisation")                                                 \
    X(dictionary_page, "all words of this organisation")                                                     \
    X(search_note, "one search that was asked for")                                                          \
    X(search_notes, "searches that were asked for")                                                          \
    X(search_click, "a hit that was opened")                                                                 \
    X(asked_query, "a query and what became of it")                                                          \
    X(asked_query_list, "which queries")                                                                     \
    X(asked_query_page, "queries")                                                                           \
    X(article_signal, "use of an article")                                                                   \
    X(article_signal_list, "use of which articles")                                                          \
    X(article_signals, "use of articles")

#endif
