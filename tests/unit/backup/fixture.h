/* A backup directory of the test's own, emptied between tests. */
#ifndef BACKUP_FIXTURE_H
#define BACKUP_FIXTURE_H

#include "libcommon/config.h"
#include "libcommon/log.h"
#include "tests/unit/libcommon/test.h"

#include <sodium.h>

#define NOW INT64_C(1769828400000) /* 2026-01-31T03:00:00Z */

static char directory[] = "/tmp/mirai-backup-XXXXXX"; /* the backup directory is below it */

/* Run a command with the directory in the place of %1$s. */
static inline void shell(const char *command)
{
    char text[300];
    snprintf(text, sizeof(text), command, directory);
    assert_int_equal(system(text), 0);
}

static inline int load_configuration(void **state)
{
    (void)state;
    char setting[64];
    assert_non_null(mkdtemp(directory));
    snprintf(setting, sizeof(setting), "MIRAI_BACKUP_DIR=%s/backup", directory);
    char *environment[] = {setting, NULL};
    assert_int_equal(mirai_config_load(environment, stderr), 0);
    mirai_log_set_level(MIRAI_LOG_FATAL);
    return sodium_init() < 0;
}

static inline int remove_directory(void **state)
{
    (void)state;
    shell("rm -rf %1$s");
    return 0;
}

static inline int empty(void **state)
{
    (void)state;
    shell("rm -rf %1$s/backup");
    return 0;
}

#endif
