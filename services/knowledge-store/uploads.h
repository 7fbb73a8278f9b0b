/* Attachments on their way in: begin, chunks in order, commit.
 *
 * The table belongs to the file thread, so it needs no lock. A commit takes its upload out of it for the scanner and the
 * writer, and puts it back when the scanner gave no verdict.
 */
#ifndef STORE_UPLOADS_H
#define STORE_UPLOADS_H

#include "services/knowledge-store/op.h"

struct uploads;

struct uploads *uploads_new(void);
/* Removes the files of what has not been committed. After the file thread has ended. */
void uploads_free(struct store *store, struct uploads *uploads);
/* Have the file thread remove what has been under way for too long. Loop thread. */
void uploads_expire(struct store *store);

/* Steps. */
int upload_begin_check(struct op *op); /* READ, then */
int upload_begin(struct op *op);       /* FILE */
int upload_chunk(struct op *op);       /* FILE */
int upload_abort(struct op *op);       /* FILE */
int upload_commit_file(struct op *op); /* FILE, then */
int upload_scan(struct op *op);        /* SCAN: MIRAI_E_INFECTED, MIRAI_E_SCANNER; then */
int upload_commit(struct op *op);      /* WRITE */
void upload_commit_finish(struct op *op);

#endif
