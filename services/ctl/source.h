/* Markdown files one after the other, out of folders and archives. */
#ifndef CTL_SOURCE_H
#define CTL_SOURCE_H

#include "libcommon/str.h"

#define SOURCE_REASON_SIZE 200

struct source_item {
    struct mirai_str path;  /* relative to what was given, with '/' */
    struct mirai_str root;  /* name of the folder or archive that was given, without extensions */
    struct mirai_str shown; /* the path for people */
    struct mirai_str text;  /* the file's bytes */
    const char *reason;     /* not NULL: it cannot be read, and why */
};

struct source;

/* paths: files, folders (walked in order of names; hidden files and what is no Markdown is skipped, links are
 * not followed) and archives (tar with any compression, zip). max: bytes of the largest file. */
struct source *source_open(char *const *paths, int count, size_t max);

/* The next file; what *item points to lives until the next call. False at the end. Paths of an archive that
 * would leave it are given with a reason. */
bool source_next(struct source *source, struct source_item *item);

/* How much has been read, 0 to 1; -1 when that is unknown. */
double source_progress(const struct source *source);

void source_close(struct source *source);

#endif
