/* Brings a database to this program's schema. */
#ifndef STORE_SCHEMA_H
#define STORE_SCHEMA_H

#include "services/knowledge-store/db.h"

/* Run the migrations that `db` (DB_WRITE) lacks, all in one transaction. 0, MIRAI_E_CONFLICT when the
 * database is newer than this program, or another error; its reason is logged. */
int schema_migrate(struct db *db);

#endif
