#include "services/knowledge-store/restore.h"

#include "libcommon/error.h"
#include "libcommon/log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static int fail(const char *what, const char *path)
{
    mirai_log(ERROR, what, MIRAI_LOG_Z("path", path), MIRAI_LOG_Z("reason", strerror(errno)));
    return errno == ENOSPC ? MIRAI_E_NO_SPACE : MIRAI_E_INTERNAL;
}

static bool exists(const char *path)
{
    return access(path, F_OK) == 0;
}

static int sync_directory(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int err = fd >= 0 && fsync(fd) == 0 ? 0 : fail("cannot make a directory durable", path);
    if (fd >= 0) {
        close(fd);
    }
    return err;
}

static int make_directory(const char *path)
{
    return mkdir(path, 0750) == 0 || errno == EEXIST ? 0 : fail("cannot make a directory", path);
}

/* Rename when it is there. */
static int move_file(const char *from, const char *to)
{
    return rename(from, to) == 0 || errno == ENOENT ? 0 : fail("cannot move a file", from);
}

/* The database and what SQLite keeps beside it. */
static int move_aside(const char *data_dir, const char *aside)
{
    static const char *const names[] = {"knowledge.db", "knowledge.db-wal", "knowledge.db-shm"};
    int err = make_directory(aside);
    for (size_t i = 0; err == 0 && i < sizeof(names) / sizeof(names[0]); i++) {
        char from[PATH_MAX + 2 * (NAME_MAX + 2)], to[PATH_MAX + 2 * (NAME_MAX + 2)];
        snprintf(from, sizeof(from), "%s/%s", data_dir, names[i]);
        snprintf(to, sizeof(to), "%s/%s", aside, names[i]);
        err = move_file(from, to);
    }
    return err == 0 ? sync_directory(aside) : err;
}

/* A second name for the same content: no bytes are copied, and removing one name leaves the other. File systems
 * without such names are told of and cost the way back, not the restore. */
static int link_file(const char *from, const char *to)
{
    if (link(from, to) == 0 || errno == EEXIST || errno == ENOENT) {
        return 0;
    }
    if (errno == EPERM || errno == EOPNOTSUPP || errno == EMLINK || errno == EXDEV) {
        static bool told;
        if (!told) {
            mirai_log(WARNING, "cannot keep all attachments of before the restore", MIRAI_LOG_Z("path", from),
                      MIRAI_LOG_Z("reason", strerror(errno)));
        }
        told = true;
        return 0;
    }
    return fail("cannot link a file", from);
}

/* Move or link what one folder, attachments/ab, has to another. */
static int each_content(const char *from_dir, const char *to_dir,
                        int (*place)(const char *from, const char *to))
{
    DIR *dir = opendir(from_dir);
    if (dir == NULL) {
        return errno == ENOENT || errno == ENOTDIR ? 0 : fail("cannot read a directory", from_dir);
    }
    int err = make_directory(to_dir);
    for (struct dirent *entry; err == 0 && (entry = readdir(dir)) != NULL;) {
        char from[PATH_MAX + 2 * (NAME_MAX + 2)], to[PATH_MAX + 2 * (NAME_MAX + 2)];
        if (entry->d_name[0] != '.') {
            snprintf(from, sizeof(from), "%s/%s", from_dir, entry->d_name);
            snprintf(to, sizeof(to), "%s/%s", to_dir, entry->d_name);
            err = place(from, to);
        }
    }
    closedir(dir);
    return err == 0 ? sync_directory(to_dir) : err;
}

static int each_attachment(const char *from_dir, const char *to_dir,
                           int (*place)(const char *from, const char *to))
{
    char from_root[PATH_MAX + 16], to_root[PATH_MAX + 16];
    snprintf(from_root, sizeof(from_root), "%s/attachments", from_dir);
    snprintf(to_root, sizeof(to_root), "%s/attachments", to_dir);
    if (!exists(from_root)) {
        return 0;
    }
    int err = make_directory(to_root);
    for (int folder = 0; err == 0 && folder < 256; folder++) {
        char from[PATH_MAX + 24], to[PATH_MAX + 24];
        snprintf(from, sizeof(from), "%s/%02x", from_root, folder);
        snprintf(to, sizeof(to), "%s/%02x", to_root, folder);
        err = each_content(from, to, place);
    }
    return err == 0 ? sync_directory(to_root) : err;
}

/* Named after the time of READY, so that each start after a crash uses the same. */
static int name_aside(const char *data_dir, const char *ready, char out[PATH_MAX])
{
    struct stat status;
    struct tm utc;
    char when[32];
    if (stat(ready, &status) != 0) {
        return fail("cannot read", ready);
    }
    gmtime_r(&status.st_mtim.tv_sec, &utc);
    strftime(when, sizeof(when), "%Y%m%dT%H%M%SZ", &utc);
    snprintf(out, PATH_MAX, "%s/before-restore-%s", data_dir, when);
    return 0;
}

/* All that the present database needs, into its folder. The database last: while it is not there, a start
 * after a crash does this again. */
static int keep_way_back(const char *data_dir, const char *aside)
{
    int err = make_directory(aside);
    if (err == 0) {
        err = each_attachment(data_dir, aside, link_file);
    }
    if (err == 0) {
        err = sync_directory(data_dir);
    }
    return err;
}

/* After the database is durably in its place, because until then a log beside it belongs to the present one. */
static int move_log(const char *data_dir)
{
    char from[PATH_MAX], to[PATH_MAX];
    snprintf(from, sizeof(from), "%s/restore/knowledge.db-wal", data_dir);
    snprintf(to, sizeof(to), "%s/knowledge.db-wal", data_dir);
    int err = move_file(from, to);
    return err == 0 ? sync_directory(data_dir) : err;
}

/* READY is there, and ours to use. 1, or an error. */
static int apply(const char *data_dir, const char *ready)
{
    char source[PATH_MAX], prepared[PATH_MAX], live[PATH_MAX], aside[PATH_MAX];
    snprintf(source, sizeof(source), "%s/restore", data_dir);
    snprintf(prepared, sizeof(prepared), "%s/restore/knowledge.db", data_dir);
    snprintf(live, sizeof(live), "%s/knowledge.db", data_dir);
    bool first = exists(prepared); /* false: a crash came after the database was in its place */
    int err = first ? name_aside(data_dir, ready, aside) : 0;
    if (err == 0 && first && exists(live)) {
        err = keep_way_back(data_dir, aside);
    }
    if (err == 0) {
        err = each_attachment(source, data_dir, move_file);
    }
    if (err == 0 && first) {
        mirai_log(INFO, "restoring the database");
        err = move_aside(data_dir, aside);
        if (err == 0) {
            err = move_file(prepared, live);
        }
        if (err == 0) {
            err = sync_directory(data_dir);
        }
    }
    if (err == 0 && !exists(live)) {
        errno = ENOENT;
        err = fail("there is no database to restore", prepared);
    }
    if (err == 0) {
        err = move_log(data_dir);
    }
    return err != 0 ? err : 1;
}

int restore_apply(const char *data_dir)
{
    char path[PATH_MAX];
    struct stat status;
    snprintf(path, sizeof(path), "%s/restore/READY", data_dir);
    int ready = open(path, O_RDONLY | O_CLOEXEC);
    if (ready < 0) {
        return errno == ENOENT || errno == ENOTDIR ? 0 : fail("cannot read", path);
    }
    /* Whoever takes the restore back holds the same lock until READY is gone. */
    int err = flock(ready, LOCK_EX) == 0 && fstat(ready, &status) == 0 ? 0 : fail("cannot lock", path);
    if (err == 0 && status.st_nlink > 0) {
        err = apply(data_dir, path);
    }
    close(ready);
    return err;
}

/* What is left is folders, empty now, and perhaps the index of a log, which SQLite makes anew. */
static void remove_folders(const char *data_dir)
{
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/restore/knowledge.db-shm", data_dir);
    unlink(path);
    for (int folder = 0; folder < 256; folder++) {
        snprintf(path, sizeof(path), "%s/restore/attachments/%02x", data_dir, folder);
        rmdir(path);
    }
    snprintf(path, sizeof(path), "%s/restore/attachments", data_dir);
    rmdir(path);
    snprintf(path, sizeof(path), "%s/restore", data_dir);
    rmdir(path);
}

int restore_finish(const char *data_dir)
{
    char ready[PATH_MAX];
    snprintf(ready, sizeof(ready), "%s/restore/READY", data_dir);
    if (unlink(ready) != 0 && errno != ENOENT) {
        return fail("cannot remove", ready);
    }
    remove_folders(data_dir);
    return sync_directory(data_dir);
}
