/* The inverted index: FTS5 as a compressed store of (term, document, impact), read without its own ranking.
 */
#ifndef SEARCH_POSTINGS_H
#define SEARCH_POSTINGS_H

#include "libcommon/str.h"

#include <sqlite3.h>

/* One contentless table. Each term stands once in a document, and its position is its impact's level - 1
 * (terms.h): a posting is some three bytes, and scoring needs neither document lengths nor position lists. */
#define POSTINGS_TABLE                                                                                       \
    "CREATE VIRTUAL TABLE postings USING fts5(terms, content='', columnsize=0, tokenize='mirai_levels')"

struct postings_term {
    struct mirai_str key;
    bool prefix; /* every term that begins with key */
};

/* One posting: number of the term in the list, document, level. Return false to stop. */
typedef bool (*postings_cb)(void *data, size_t term, int64_t doc, unsigned level);

struct postings_scan {
    postings_cb callback;
    void *data;
};

/* Register tokenizer and scan function on a connection; `scan` must live as long as it. 0 or an SQLite code.
 */
int postings_register(sqlite3 *db, struct postings_scan *scan);

/* All postings of each term, term by term, documents ascending. 0 or an SQLite code (SQLITE_INTERRUPT when
 * stopped). */
int postings_each(sqlite3 *db, const struct postings_term *terms, size_t count);

/* Append an FTS5 expression of the terms joined by `joiner` (" OR ", " AND "). */
void postings_expression(struct mirai_buf *out, const struct postings_term *terms, size_t count,
                         const char *joiner);

#endif
