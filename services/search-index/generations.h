/* The index files of one instance: the one that answers, the one that is being built, and the swap between
 * them. */
#ifndef SEARCH_GENERATIONS_H
#define SEARCH_GENERATIONS_H

#include "services/search-index/index.h"

/* Files are DIR/index-<n>.db; the highest number is current. A new number for each rebuild, never a rename
 * over a file in use: SQLite would apply the old file's WAL to the new one. */
struct generations;

/* One published file with its users counted. */
struct generation;

/* Open the newest usable file of `dir` (made when missing), or begin with an empty one; remove all others.
 * NULL with the reason logged. */
struct generations *generations_open(const char *dir, struct analyzer_model *model);

/* After everyone has released. */
void generations_close(struct generations *generations);

/* Any thread: the current one, counted; ends with generation_release. */
struct generation *generations_acquire(struct generations *generations);
void generation_release(struct generation *generation);
struct index *generation_index(const struct generation *generation);
bool generation_retired(const struct generation *generation); /* a newer one is current: release it soon */

/* One thread at a time: begin an empty file beside the current one. 0 or an error. */
int generations_build(struct generations *generations, struct index **building);
/* Make it durable and current. It belongs to the generations now, also when this fails (then it is thrown
 * away). */
int generations_swap(struct generations *generations, struct index *building);
/* Throw it away. */
void generations_abandon(struct index *building);

#endif
