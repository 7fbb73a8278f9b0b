/* Inside of an index: shared by its life (index.c), its changes (index_apply.c), what is worked out for a change
 * (index_prepare.c) and its segments (index_segments.c). */
#ifndef SEARCH_INDEX_INTERNAL_H
#define SEARCH_INDEX_INTERNAL_H

#include "services/search-index/index.h"
#include "services/search-index/postings/build.h"
#include "services/search-index/terms.h"

#include <pthread.h>
#include <stdatomic.h>
#include <zstd.h>

/* Most tags of an article, as proto/ has it. */
#define INDEX_TAGS_MAX CATALOG_TAGS_MAX

/* Threads that analyse a page of articles during a rebuild. */
#define INDEX_WORKERS_MAX 16

/* The writer's prepared statements; their text is in index.c. */
enum statement {
    SQL_BEGIN,
    SQL_COMMIT,
    SQL_ROLLBACK,
    SQL_META_PUT,
    SQL_HASH_GET,
    SQL_TEXT_PUT,
    SQL_SLUG_PUT,
    SQL_TEXT_DELETE,
    SQL_DOCUMENT_PUT,
    SQL_DOCUMENT_DELETE,
    SQL_PARTS_GET,
    SQL_SUGGEST_PUT,
    SQL_SUGGEST_DELETE,
    SQL_PENDING_PUT,
    SQL_PENDING_DELETE,
    SQL_PENDING_FLUSHED,
    SQL_SEGMENT_PUT,
    SQL_SEGMENT_DELETE,
    SQL_COUNT,
};

/* What one thread analyses with. */
struct index_worker {
    struct analyzer *analyzer;
    struct terms *terms;
    struct segment_builder *builder;
    ZSTD_CCtx *zstd;
    struct normalized key;
    struct mirai_buf scratch;
};

/* A unit to be written, and what was worked out for it. */
struct index_unit {
    uint32_t slot; /* new ones have theirs, too */
    uint32_t version;
    bool is_new;
    struct catalog_entry entry; /* without tags */
    struct mirai_str slug;
    struct mirai_str title;
    struct mirai_str summary;
    struct mirai_str tags; /* one a line */
    struct mirai_str body;
    struct mirai_str owner; /* name */
    uint64_t hash;
    uint64_t files_hash; /* of an article: of all its files; 0: none */
    bool unchanged;      /* the text; `version` is the one it has */
    /* worked out by index_prepare */
    struct mirai_buf encoded;
    struct mirai_buf packed;      /* the body, when that is shorter */
    struct mirai_buf suggestions; /* for each: kind, length of key, key, length of text, text */
    int err;
};

/* A segment and its file. */
struct index_part {
    struct segment *segment;
    uint32_t number; /* of the file; 0: in memory */
    bool busy;       /* an input of the merge that runs */
};

/* Merging in a thread of its own. */
enum merge_state {
    MERGE_IDLE,
    MERGE_RUNNING,
    MERGE_DONE,
};

struct index_merge {
    pthread_t thread;
    bool started; /* the thread; to be joined */
    _Atomic(int) state;
    atomic_bool stop;
    struct segment **inputs; /* counted */
    size_t inputs_len;
    uint32_t number;        /* of the file that is made */
    uint32_t flushed;       /* inputs are all in memory, up to this version; 0: files */
    struct segment *result; /* NULL: all documents were dead */
    int err;
    int place; /* in the epoch */
};

struct index {
    char *path;
    sqlite3 *db; /* the one read-write connection */
    sqlite3_stmt *statements[SQL_COUNT];
    struct catalog *catalog;
    struct analyzer_model *model;
    struct index_worker *workers; /* the first is the writer thread's */
    size_t workers_len;
    struct index_position position;
    uint32_t next_version;
    bool published;
    int wal_pages;
    atomic_bool damaged;
    /* segments: files first, older ones before newer ones */
    struct index_part *parts;
    size_t parts_len;
    size_t parts_cap;
    uint32_t next_number;
    pthread_mutex_t files_lock; /* rebuild: workers that write files */
    struct index_merge merge;
    _Atomic(struct index_view *) view;
    struct segment_scrub scrub;
    uint32_t scrubbed; /* number of the file that is or was checked last */
};

/* ---- index.c */

/* Step and reset. 0 or an SQLite code. */
int index_run(struct index *index, enum statement which);
/* The bytes must live until the statement has run. */
void index_bind_str(sqlite3_stmt *statement, int at, struct mirai_str s);
struct mirai_str index_column_str(sqlite3_stmt *statement, int at); /* lent until the next step */
/* Tags are stored one a line. */
size_t index_split_tags(struct mirai_str joined, struct mirai_str tags[INDEX_TAGS_MAX]);
/* Make file names of `path` durable. 0 or -1. */
int index_sync_dir(const char *path);

/* ---- index_prepare.c */

bool index_worker_open(struct index_worker *worker, struct analyzer_model *model);
void index_worker_close(struct index_worker *worker);
/* Work out terms, suggestions and the packed body of all units whose text has changed, with as many workers as
 * make sense, and add them to the workers' builders. 0 or the first error. */
int index_prepare(struct index *index, struct index_unit *units, size_t count);
void index_unit_free(struct index_unit *unit);

/* ---- index_segments.c */

/* The file of segment `number`. */
void index_segment_path(const char *path, uint32_t number, char *out, size_t size);
/* Open the files of the manifest and what was only in memory. 0, an SQLite code, or SQLITE_CORRUPT. */
int index_segments_load(struct index *index);
void index_segments_close(struct index *index);
/* Write a worker's builder as a file (rebuild). Any worker's thread. 0 or an error. */
int index_builder_flush(struct index *index, struct segment_builder *builder);
/* What is left in builders, and the end of merging; all files synced. 0 or an error. */
int index_segments_finish(struct index *index);
/* After finish: put the files beside `path`. 0 or -1. */
int index_segments_rename(struct index *index, const char *path);
/* What the writer's builder has, as a segment in memory; NULL when there is nothing. 0 or an error. */
int index_memory_segment(struct index *index, struct segment **out);
void index_memory_add(struct index *index, struct segment *segment);
/* Show the parts as they are now to readers; `coming`: units that are about to come into the catalogue. */
void index_view_publish(struct index *index, size_t coming);
/* Take in a finished merge, begin the next one. True: one is running or to be begun. */
bool index_merge_step(struct index *index);
bool index_scrub_step(struct index *index);

#endif
