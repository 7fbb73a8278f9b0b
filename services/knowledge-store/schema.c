#include "services/knowledge-store/schema.h"

#include "libcommon/log.h"
#include "libcommon/time.h"
#include "services/knowledge-store/synonyms.h"

#include <stdio.h>

/* Made by CMake from schema/000n_*.sql: in order, ends with NULL. */
extern const char *const schema_migrations[];
extern const int schema_migrations_len;

/* Made by CMake from starter_synonyms.txt. */
extern const char starter_synonyms[];
extern const size_t starter_synonyms_len;

static int seed_synonyms(struct db *db)
{
    return synonyms_seed(db, (struct mirai_str){starter_synonyms, starter_synonyms_len}, mirai_now_ms());
}

/* What follows the statements of a migration, by its number: data that SQL cannot hold well. */
static int (*const afterwards[])(struct db *db) = {[4] = seed_synonyms};

static int run_afterwards(struct db *db, int64_t version)
{
    size_t count = sizeof(afterwards) / sizeof(afterwards[0]);
    return (size_t)version < count && afterwards[version] != NULL ? afterwards[version](db) : 0;
}

static int read_version(struct db *db, int64_t *version)
{
    return db_find_int(db, version, "PRAGMA user_version");
}

static int apply(struct db *db, int64_t from)
{
    char set_version[64];
    for (int64_t version = from; version < schema_migrations_len; version++) {
        int err = db_run_script(db, schema_migrations[version]);
        if (err == 0) {
            err = run_afterwards(db, version + 1);
        }
        if (err != 0) {
            mirai_log(ERROR, "a schema migration failed", MIRAI_LOG_I("version", version + 1));
            return err;
        }
    }
    snprintf(set_version, sizeof(set_version), "PRAGMA user_version = %d", schema_migrations_len);
    return db_run_script(db, set_version);
}

int schema_migrate(struct db *db)
{
    int64_t version;
    int err = read_version(db, &version);
    if (err != 0 || version == schema_migrations_len) {
        return err;
    }
    if (version > schema_migrations_len) {
        mirai_log(ERROR, "the database is newer than this program", MIRAI_LOG_I("database", version),
                  MIRAI_LOG_I("program", schema_migrations_len));
        return MIRAI_E_CONFLICT;
    }
    err = db_begin_write(db);
    if (err == 0) {
        err = apply(db, version);
    }
    if (err == 0) {
        err = db_commit(db);
    }
    db_rollback(db);
    if (err == 0) {
        mirai_log(INFO, "schema migrated", MIRAI_LOG_I("from", version),
                  MIRAI_LOG_I("to", schema_migrations_len));
    }
    return err;
}
