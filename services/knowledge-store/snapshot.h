/* Consistent copies of the database, made on demand and read in parts by the backup daemon.
 *
 * A copy names attachments, whose contents are fetched after it: as long as one is open, no content is removed
 * (attachments.h). */
#ifndef STORE_SNAPSHOT_H
#define STORE_SNAPSHOT_H

#include "services/knowledge-store/op.h"

struct snapshots;

/* Copies live in <data_dir>/snapshots; what an earlier run left there is removed. */
struct snapshots *snapshots_new(const char *data_dir);
void snapshots_free(struct snapshots *snapshots); /* and their files */
/* Remove copies that have not been used for ten minutes. Any thread. */
void snapshots_expire(struct snapshots *snapshots);

/* Whether one is open or being made, so that contents have to stay; snapshots_released will tell of the end.
 * Any thread. */
bool snapshots_hold_contents(struct snapshots *snapshots);
/* Whether contents had to stay and none is open any more: true once. Any thread. */
bool snapshots_released(struct snapshots *snapshots);

int snapshot_begin(struct op *op);   /* SNAPSHOT */
int snapshot_read(struct op *op);    /* FILE */
int snapshot_end(struct op *op);     /* FILE */
void snapshot_finish(struct op *op); /* of begin and end */

#endif
