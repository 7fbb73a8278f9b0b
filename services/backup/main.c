/* mirai-backup: keeps verified snapshots of the store's database and attachments. */
#include "libcommon/config.h"
#include "libcommon/log.h"
#include "proto/peers.h"
#include "services/backup/files.h"
#include "services/backup/methods.h"
#include "services/backup/snapshots.h"

static int backup_start(struct mirai_runtime *runtime)
{
    struct backup *backup = runtime->state;
    char path[PATH_MAX];
    if (schedule_parse(mirai_str(mirai_config_str(MIRAI_CONFIG_BACKUP_DAILY)), false, &backup->daily) != 0 ||
        schedule_parse(mirai_str(mirai_config_str(MIRAI_CONFIG_BACKUP_WEEKLY)), true, &backup->weekly) != 0) {
        mirai_log(
            ERROR,
            "MIRAI_BACKUP_DAILY must be HH:MM or off, MIRAI_BACKUP_WEEKLY DAY HH:MM (Sun, Mon, …) or off");
        return MIRAI_E_INVALID;
    }
    snapshots_path(path, "", "");
    if (files_make_directory(path) != 0) {
        return MIRAI_E_INTERNAL;
    }
    backup->worker = job_worker_new(runtime->loop);
    if (backup->worker == NULL) {
        return MIRAI_E_INTERNAL;
    }
    backup->clock.data = backup;
    uv_timer_init(runtime->loop, &backup->clock);
    uv_timer_start(&backup->clock, backup_on_clock, BACKUP_CLOCK_MS, BACKUP_CLOCK_MS);
    return 0;
}

static void backup_stop(struct mirai_runtime *runtime)
{
    struct backup *backup = runtime->state;
    uv_close((uv_handle_t *)&backup->clock, NULL);
    job_worker_free(backup->worker);
}

static size_t backup_status(struct mirai_runtime *runtime, struct mirai_buf *pairs)
{
    struct backup *backup = runtime->state;
    int64_t newest = 0;
    for (int kind = MIRAI_SNAPSHOT_DAILY; kind <= MIRAI_SNAPSHOT_MANUAL; kind++) {
        int64_t at = job_newest_ms(backup->worker, (enum mirai_snapshot_kind)kind);
        newest = at > newest ? at : newest;
    }
    if (newest == 0) {
        return 0; /* there is none yet */
    }
    mirai_mp_write_cstr(pairs, "newest_snapshot_ms");
    mirai_mp_write_int(pairs, newest);
    return 1;
}

static const struct mirai_service backup_service = {
    .name = "backup",
    .summary = "keeps verified snapshots of the knowledge base",
    .methods = backup_methods,
    .peers = mirai_peer_table,
    .start = backup_start,
    .stop = backup_stop,
    .status = backup_status,
};

int main(int argc, char **argv)
{
    struct backup backup = {0};
    return mirai_service_run(&backup_service, argc, argv, &backup);
}
