/* Files that belong to articles: their rows, their contents, and the end of contents that no row uses. */
#ifndef STORE_ATTACHMENTS_H
#define STORE_ATTACHMENTS_H

#include "services/knowledge-store/op.h"

/* Add the row of a content that is in its place. 0 or a database error; *id is its key. WRITE. */
int attachment_insert(struct op *op, int64_t article_id, const struct mirai_attachment *attachment,
                      int64_t *id);
/* One attachment with its article: 0, MIRAI_E_NOT_FOUND or a database error. */
int attachment_find(struct op *op, int64_t article_id, int64_t id, struct mirai_attachment *attachment);

/* Give an article its list of files, in op->arena: what followers get. 0 or a database error. READ, BULK. */
int attachments_load(struct op *op, struct mirai_article *article);

/* Before the rows of an article's attachments (or of the one, when `id` is not 0) are deleted in a WRITE
 * step: remember their contents. The method's finish hook must then be attachments_removed, which has those
 * removed that no row uses any more - at once, or when the last open snapshot has ended. 0 or a database error. */
int attachments_removing(struct op *op, int64_t article_id, int64_t id);
void attachments_removed(struct op *op);

/* Have contents without a row looked for and removed: a crash may leave them, or a snapshot that was open when
 * their row went. Loop thread. */
void attachments_collect(struct store *store);
/* The same when snapshots held contents and none is open any more. Loop thread. */
void attachments_collect_held(struct store *store);

/* Steps. */
int attachments_list(struct op *op);      /* READ */
int attachments_get(struct op *op);       /* READ */
int attachments_read_find(struct op *op); /* READ, then */
int attachments_read(struct op *op);      /* FILE */
int attachments_delete(struct op *op);    /* WRITE */

#endif
