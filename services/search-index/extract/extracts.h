/* What was read from files, by the SHA-256 of their content: kept across rebuilds of the index, within a size. */
#ifndef EXTRACT_EXTRACTS_H
#define EXTRACT_EXTRACTS_H

#include "libcommon/arena.h"
#include "services/search-index/extract/frames.h"

struct extracts;

struct extracts_text {
    enum extract_outcome outcome;
    struct mirai_str packed; /* frames_next() walks it; empty: no text */
};

/* Raise it when files are read better: what had no text is then read again. */
#define EXTRACTS_REVISION 1

/* Open or make the file `path`; one that is damaged is thrown away, as all in it can be read again. `max_bytes`: of the
 * compressed texts together; the ones that were not used for longest go first. `limits`: what a run may take, as text; an
 * outcome without text is believed as long as these and the revision stay. 0 or an error (logged). Any thread may call
 * what follows; calls wait for one another. */
int extracts_open(const char *path, int64_t max_bytes, const char *limits, struct extracts **out);
void extracts_close(struct extracts *extracts);

/* What was read from this content; marks it as used. `sha256`: 64 hexadecimal digits. out->packed lives in `arena`.
 * 0, MIRAI_E_NOT_FOUND: nothing known, or worth another try; or an error of the file (logged): the same to the caller. */
int extracts_find(struct extracts *extracts, struct mirai_str sha256, struct mirai_arena *arena,
                  struct extracts_text *out);

/* Keep it. 0 or an error (logged). */
int extracts_put(struct extracts *extracts, struct mirai_str sha256, const struct extracts_text *text);

/* Remove what was last used before `ms` (since 1970): no article names it. Uses are noted to the hour. */
int extracts_expire(struct extracts *extracts, int64_t ms);

int64_t extracts_bytes(struct extracts *extracts); /* compressed */

#endif
