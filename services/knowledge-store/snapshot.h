/* Consistent copies of the database, made on demand and read in parts by the backup daemon. */
#ifndef STORE_SNAPSHOT_H
#define STORE_SNAPSHOT_H

#include "services/knowledge-store/op.h"

struct snapshots;

/* Copies live in <data_dir>/snapshots; what an earlier run left there is removed. */
struct snapshots *snapshots_new(const char *data_dir);
void snapshots_free(struct snapshots *snapshots); /* and their files */
/* Remove copies that have not been read for ten minutes. Any thread. */
void snapshots_expire(struct snapshots *snapshots);

int snapshot_begin(struct op *op); /* SNAPSHOT */
int snapshot_read(struct op *op);  /* FILE */
int snapshot_end(struct op *op);   /* FILE */

#endif
