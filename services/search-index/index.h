/* One index: an SQLite file with texts and catalogue rows, the segments of the inverted index beside
 * it, and the feed position up to which both hold everything. */
#ifndef SEARCH_INDEX_H
#define SEARCH_INDEX_H

#include "proto/messages.h"
#include "services/search-index/analyzer/analyzer.h"
#include "services/search-index/catalog.h"
#include "services/search-index/postings/segment.h"

#include <sqlite3.h>

struct index;

/* Where in the store's change feed the index stands; an empty epoch: nowhere yet. */
struct index_position {
    char epoch[41];
    int64_t seq;
};

/* Text of a page of a file; files without pages have one of number 0. */
struct index_page {
    uint32_t number;
    struct mirai_str text;
};

struct index_file {
    int64_t id; /* of the attachment */
    struct mirai_str name;
    const struct index_page *pages;
    size_t pages_len;
};

/* Units of one file; what is behind them is not searched. */
#define INDEX_FILE_UNITS_MAX 2000
/* Bytes of a unit of a file, about 2,000 characters of Japanese. */
#define INDEX_FILE_UNIT_BYTES 6000

/* A changed article, or one that is gone (article == NULL, or it lies in the bin). */
struct index_change {
    int64_t id;
    const struct mirai_article *article;
    /* The texts of its files: all of them, or nothing is known of them and what was there stays. */
    bool has_files;
    const struct index_file *files;
    size_t files_len;
};

/* Make an empty index for a rebuild: fast, not yet safe against a crash, for one thread (which uses more to
 * analyse); index_publish() makes it a real one. 0 or an error (logged). */
int index_create(const char *path, struct analyzer_model *model, struct index **out);

/* Make what index_create made durable under its final name and open it for readers and changes. 0 or an
 * error. */
int index_publish(struct index *index, const char *path);

/* Open a published index. MIRAI_E_INVALID: damaged, or of another version of the program: throw it away and
 * rebuild. */
int index_open(const char *path, struct analyzer_model *model, struct index **out);

/* After its last reader. */
void index_close(struct index *index);

/* Remove the files of an index that is not open. */
void index_remove(const char *path);

/* Apply changes in order and move to `position`, in one transaction. Writer thread only. 0 or an error; then
 * nothing of it has happened, and index_damaged() tells whether trying again makes sense. */
int index_apply(struct index *index, const struct index_change *changes, size_t count,
                const struct index_position *position);

/* Copy pages of the WAL into the file when there are enough of them. Writer thread only. */
void index_checkpoint(struct index *index);

/* Take in what was merged in the background, begin the next merge, check some bytes against their checksums. True:
 * there is more to do. Writer thread only, when it is idle. */
bool index_tidy(struct index *index);

struct index_position index_position(const struct index *index); /* writer thread */
struct catalog *index_catalog(const struct index *index);
const char *index_path(const struct index *index);
bool index_damaged(const struct index *index); /* any thread: someone met bytes that cannot be */

/* The segments of one moment. */
struct index_view {
    uint64_t documents;    /* units that live */
    uint32_t next_version; /* what changed later has this version or a greater one */
    size_t count;
    struct segment *segments[];
};

/* What one thread reads with. */
struct index_reader {
    struct index *index;
    sqlite3 *db;
    sqlite3_stmt *text; /* index_text's */
    int place;          /* in the epoch */
    const struct index_view *view;
    struct mirai_buf body; /* index_text's */
    struct mirai_buf fields;
};

/* MIRAI_E_OVERLOADED: EPOCH_READERS_MAX are open. */
int index_reader_open(struct index *index, struct index_reader **out);
void index_reader_close(struct index_reader *reader);

/* Hold the segments of now and what the catalogue gives until index_view_leave. Takes no lock; not nested. */
const struct index_view *index_view_enter(struct index_reader *reader);
void index_view_leave(struct index_reader *reader);

/* The text of a unit; lent until the reader's next index_text. */
struct index_text {
    struct mirai_str slug;
    struct mirai_str title; /* of a file's part: the file's name */
    struct mirai_str summary;
    struct mirai_str tags; /* one a line */
    struct mirai_str body;
};

/* 0, MIRAI_E_NOT_FOUND when the unit is gone or its version another one meanwhile, or what index_fault says. */
int index_text(struct index_reader *reader, uint32_t slot, uint32_t version, struct index_text *out);

/* Note an SQLite code that a reader got; marks the index damaged when it says so. Returns the mirai_error for
 * it. */
int index_fault(struct index *index, int sqlite_code, const char *where);

#endif
