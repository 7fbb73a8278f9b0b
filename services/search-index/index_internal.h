/* Inside of an index file: shared by its life (index.c) and its changes (index_apply.c). */
#ifndef SEARCH_INDEX_INTERNAL_H
#define SEARCH_INDEX_INTERNAL_H

#include "services/search-index/index.h"
#include "services/search-index/terms.h"

#include <stdatomic.h>

/* Most tags of an article, as proto/ has it. */
#define INDEX_TAGS_MAX 50

/* The writer's prepared statements; their text is in index.c. */
enum statement {
    SQL_BEGIN,
    SQL_FLUSH,
    SQL_FLUSHED,
    SQL_COMMIT,
    SQL_ROLLBACK,
    SQL_META_PUT,
    SQL_TEXT_GET,
    SQL_TEXT_PUT,
    SQL_TEXT_DELETE,
    SQL_DOCUMENT_PUT,
    SQL_DOCUMENT_DELETE,
    SQL_SUGGEST_PUT,
    SQL_SUGGEST_DELETE,
    SQL_POSTINGS_ADD,
    SQL_POSTINGS_DELETE,
    SQL_POSTINGS_MERGE,
    SQL_COUNT,
};

struct index {
    char *path;
    sqlite3 *db; /* the one read-write connection */
    struct postings_scan scan;
    sqlite3_stmt *statements[SQL_COUNT];
    struct catalog *catalog;
    struct analyzer *analyzer;
    struct terms *terms;
    struct index_position position;
    struct mirai_buf encoded;
    struct mirai_buf tags;
    struct mirai_buf summary;
    struct normalized key;
    struct index_change *batch;
    size_t batch_cap;
    uint32_t *batch_docs;
    int wal_pages;
    bool tidy; /* nothing to merge since the last change */
    atomic_bool damaged;
};

/* Step and reset. 0 or an SQLite code. */
int index_run(struct index *index, enum statement which);
/* The bytes must live until the statement has run. */
void index_bind_str(sqlite3_stmt *statement, int at, struct mirai_str s);
struct mirai_str index_column_str(sqlite3_stmt *statement, int at); /* lent until the next step */
/* Tags are stored one a line. */
size_t index_split_tags(struct mirai_str joined, struct mirai_str tags[INDEX_TAGS_MAX]);

#endif
