/* Memory that readers may still hold is given back when none can: readers never wait for the writer, nor the
 * writer for readers (epoch-based reclamation, Fraser 2004, "Practical lock-freedom"). */
#ifndef SEARCH_EPOCH_H
#define SEARCH_EPOCH_H

#include <stdbool.h>
#include <stddef.h>

#define EPOCH_READERS_MAX 256

struct epoch;

struct epoch *epoch_new(void);
/* Gives back all that waits. No reader may be inside. */
void epoch_free(struct epoch *epoch);

/* Any thread: a place for a reader, which one thread uses at a time. -1: all are taken. */
int epoch_join(struct epoch *epoch);
void epoch_part(struct epoch *epoch, int reader);

/* What a reader loads (atomically) between these two stays. May not be nested. */
void epoch_enter(struct epoch *epoch, int reader);
void epoch_leave(struct epoch *epoch, int reader);

/* Writer: `object`, which no reader can find any more (its place was overwritten atomically), is to be given to
 * `release` when no reader holds it. */
void epoch_retire(struct epoch *epoch, void *object, void (*release)(void *object));

/* Writer: release what no reader can hold any more. */
void epoch_reclaim(struct epoch *epoch);

#endif
