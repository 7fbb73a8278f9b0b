/* Articles: read, list, write, import, bin. */
#ifndef STORE_ARTICLES_H
#define STORE_ARTICLES_H

#include "services/knowledge-store/op.h"

/* Columns that article_load reads, of articles AS a; article_load_body follows them with r.body. */
#define ARTICLE_COLUMNS                                                                                      \
    "a.id, a.slug, a.title, a.type, a.status, a.summary_technical, a.summary_non_technical, a.tags, "        \
    "a.language, a.owner_id, " ARTICLE_USER(                                                                 \
        "a.owner_id") ", a.review_by, a.space_id, a.visibility, "                                            \
                      "a.group_id, a.created_at, a.created_by, " ARTICLE_USER(                               \
                          "a.created_by") ", a.updated_at, a.updated_by, " ARTICLE_USER("a.updated_by") ", " \
                                                                                                        "a." \
                                                                                                        "ve" \
                                                                                                        "rs" \
                                                                                                        "io" \
                                                                                                        "n," \
                                                                                                        " a" \
                                                                                                        ".d" \
                                                                                                        "el" \
                                                                                                        "et" \
                                                                                                        "ed" \
                                                                                                        "_a" \
                                                                                                        "t"
#define ARTICLE_COLUMN_BODY 23
/* Name of a user for people. */
#define ARTICLE_USER(id)                                                                                     \
    "(SELECT CASE WHEN u.display_name <> '' THEN u.display_name ELSE u.name END FROM users u WHERE u.id "    \
    "= " id ")"
/* The row of the same version holds the text. */
#define ARTICLE_BODY_JOIN " JOIN revisions r ON r.article_id = a.id AND r.version = a.version"

/* One row of ARTICLE_COLUMNS (and the body, when with_body) as a message. Text is copied to op->arena. */
void article_load(struct op *op, struct db_rows *rows, bool with_body, struct mirai_article *article);
/* What decides who may see it. */
struct access_fields article_access(const struct mirai_article *article);
/* An article by id with its body, whoever may see it, also from the bin: 0, MIRAI_E_NOT_FOUND or a database
 * error. */
int article_find(struct op *op, int64_t id, struct mirai_article *article);
/* "<epoch>-<version>", in op->arena. */
struct mirai_str article_etag(struct op *op, int64_t version);

/* articles_read.c */
bool article_get_quick(struct store *store, struct mirai_rpc_request *request);
int article_get(struct op *op);
void article_get_finish(struct op *op);
int article_list(struct op *op);
int article_stats(struct op *op);

/* articles_write.c */
int article_create(struct op *op);
int article_replace(struct op *op);
int article_patch(struct op *op);
int article_import(struct op *op);

/* articles_bin.c */
int article_delete(struct op *op);
int article_restore(struct op *op);
int article_purge(struct op *op);

#endif
