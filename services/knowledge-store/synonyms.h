/* Words and phrases that mean the same for search. A term may be in several sets: search takes them together. */
#ifndef STORE_SYNONYMS_H
#define STORE_SYNONYMS_H

#include "services/knowledge-store/op.h"

/* Put the sets of a text into a database that has none, as the migration does with the starter set: one set a line,
 * terms separated by " = ", lines that begin with # are comments. What breaks the rules of synonyms_create is left out.
 * 0 or a database error. */
int synonyms_seed(struct db *db, struct mirai_str text, int64_t now_ms);

/* Steps. */
int synonyms_list(struct op *op);    /* BULK */
int synonyms_create(struct op *op);  /* WRITE */
int synonyms_replace(struct op *op); /* WRITE */
int synonyms_delete(struct op *op);  /* WRITE */

#endif
