/* What lies ready in DATA_DIR/restore: laying it there and taking it back. */
#include "services/ctl/restore.h"

#include "libcommon/config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#define COPY_BYTES (1u << 20)

static int fail(struct restore *restore, const char *path)
{
    bool other = getuid() == 0 && geteuid() != 0;
    return ctl_fail(restore->ctl, CTL_FAILED, "%s: %s%s", path, strerror(errno),
                    other ? text("（フォルダーの所有者の権限で）", " (with the rights of the folder's owner)")
                          : "");
}

/* ------------------------------------------------------------------ whose rights */

/* Root takes on the rights of a folder's owner: the files it makes belong to them, and where their links lead
 * it can do no more than they could. Anyone else stays who they are. */
static void act_as(uid_t user, gid_t group)
{
    if (getuid() != 0 || (geteuid() == user && getegid() == group)) {
        return;
    }
    if (seteuid(0) != 0 || setgroups(0, NULL) != 0 || setegid(group) != 0 || seteuid(user) != 0) {
        perror("miraictl");
        _exit(CTL_FAILED); /* never go on with other rights than meant */
    }
}

static void act_as_owner(const struct stat *folder)
{
    act_as(folder->st_uid, folder->st_gid);
}

static void act_as_self(void)
{
    act_as(0, 0);
}

/* ------------------------------------------------------------------ files that survive a power cut */

static int sync_folder(struct restore *restore, const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) != 0) {
        fail(restore, path);
        if (fd >= 0) {
            close(fd);
        }
        return CTL_FAILED;
    }
    close(fd);
    return CTL_OK;
}

static int make_folder(struct restore *restore, const char *path)
{
    return mkdir(path, 0750) == 0 || errno == EEXIST ? CTL_OK : fail(restore, path);
}

/* Copy what is open; the hash of the bytes goes into `hex`. False with errno set. */
static bool copy_open(struct restore *restore, int in, int out, char hex[65])
{
    crypto_hash_sha256_state state;
    unsigned char hash[crypto_hash_sha256_BYTES];
    ssize_t n;
    crypto_hash_sha256_init(&state);
    while ((n = read(in, restore->bytes, COPY_BYTES)) > 0) {
        crypto_hash_sha256_update(&state, (const unsigned char *)restore->bytes, (unsigned long long)n);
        if (write(out, restore->bytes, (size_t)n) != n) {
            return false;
        }
    }
    crypto_hash_sha256_final(&state, hash);
    mirai_hex(hex, hash, sizeof(hash));
    return n == 0 && fsync(out) == 0;
}

/* As the owner of DATA_DIR; so it is left. */
static int open_source(const struct restore *restore, const char *path)
{
    act_as_owner(&restore->source);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    int reason = errno;
    act_as_owner(&restore->target);
    errno = reason;
    return fd;
}

int restore_open_source(const struct restore *restore, const char *path)
{
    int fd = open_source(restore, path);
    int reason = errno;
    act_as_self();
    errno = reason;
    return fd;
}

/* Copy `from` to `to` and check that it is what `sha256` says. */
static int copy_checked(struct restore *restore, const char *from, const char *to, const char *sha256)
{
    char hex[65] = "";
    int code = CTL_OK;
    int in = open_source(restore, from);
    if (in < 0) {
        return fail(restore, from);
    }
    int out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
    if (out < 0 || !copy_open(restore, in, out, hex)) {
        code = fail(restore, to);
    } else if (strcmp(hex, sha256) != 0) {
        code = ctl_fail(
            restore->ctl, CTL_FAILED,
            text("%s: 内容が記録された SHA-256 と違います", "%s: the content is not what its SHA-256 says"),
            from);
    }
    close(in);
    if (out >= 0) {
        close(out);
    }
    return code;
}

static int copy_attachment(struct restore *restore, const char *sha256)
{
    char from[PATH_MAX], to[PATH_MAX + 100];
    const char *backups = mirai_config_str(MIRAI_CONFIG_BACKUP_DIR);
    unsigned char bytes[32];
    if (mirai_unhex(bytes, sizeof(bytes), mirai_str(sha256)) != 0) {
        return ctl_fail(restore->ctl, CTL_FAILED, text("%s: 壊れています", "%s: damaged"), "attachments.txt");
    }
    snprintf(to, sizeof(to), "%s/attachments/%.2s", restore->to, sha256);
    int code = make_folder(restore, to);
    if (code != CTL_OK) {
        return code;
    }
    snprintf(from, sizeof(from), "%s/attachments/%.2s/%s", backups, sha256, sha256);
    snprintf(to, sizeof(to), "%s/attachments/%.2s/%s", restore->to, sha256, sha256);
    code = copy_checked(restore, from, to, sha256);
    if (code == CTL_OK) {
        snprintf(to, sizeof(to), "%s/attachments/%.2s", restore->to, sha256);
        code = sync_folder(restore, to);
        restore->attachments++;
    }
    return code;
}

static int copy_attachments(struct restore *restore)
{
    char path[PATH_MAX + 20], line[80];
    snprintf(path, sizeof(path), "%s/attachments", restore->to);
    int code = make_folder(restore, path);
    snprintf(path, sizeof(path), "%s/attachments.txt", restore->from);
    int fd = open_source(restore, path);
    FILE *list = fd >= 0 ? fdopen(fd, "r") : NULL;
    if (list == NULL) {
        return fail(restore, path);
    }
    while (code == CTL_OK && fgets(line, sizeof(line), list) != NULL) {
        line[strcspn(line, "\r\n")] = '\0';
        if (line[0] != '\0') {
            code = copy_attachment(restore, line);
        }
    }
    fclose(list);
    snprintf(path, sizeof(path), "%s/attachments", restore->to);
    return code == CTL_OK ? sync_folder(restore, path) : code;
}

/* ------------------------------------------------------------------ taking it back */

/* Remove a file, or a directory of at most this depth; links are not followed. */
static void remove_tree(const char *path, int depth)
{
    if (unlink(path) == 0 || depth < 0) {
        return;
    }
    DIR *dir = opendir(path);
    struct dirent *entry;
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        char child[PATH_MAX];
        bool self = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
        int n = snprintf(child, sizeof(child), "%s/%s", path, entry->d_name);
        if (!self && n < (int)sizeof(child)) {
            remove_tree(child, depth - 1);
        }
    }
    if (dir != NULL) {
        closedir(dir);
        rmdir(path);
    }
}

static bool exists(const char *folder, const char *name)
{
    char path[PATH_MAX + 64];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    return access(path, F_OK) == 0;
}

/* Whether the store has begun to take what READY (open) announces: without what is left of it, it would start
 * with no database at all. It moves the old database aside first, into a folder named after READY's time. */
static bool begun(const struct restore *restore, int ready)
{
    const char *data = mirai_config_str(MIRAI_CONFIG_DATA_DIR);
    struct stat status;
    struct tm utc;
    char aside[64];
    if (flock(ready, LOCK_EX | LOCK_NB) != 0 || fstat(ready, &status) != 0 || status.st_nlink == 0) {
        return true;
    }
    gmtime_r(&status.st_mtim.tv_sec, &utc);
    strftime(aside, sizeof(aside), "before-restore-%Y%m%dT%H%M%SZ", &utc);
    return !exists(restore->to, "knowledge.db") || (!exists(data, "knowledge.db") && exists(data, aside));
}

/* With READY open; holding its lock keeps a store that starts from beginning meanwhile. */
static int remove_ready(struct restore *restore, int ready, const char *path)
{
    if (begun(restore, ready)) {
        return ctl_fail(restore->ctl, CTL_FAILED, "%s",
                        text("データストアが適用を始めています。データストアの起動で完了します",
                             "the store has begun to take it; its next start completes that"));
    }
    return unlink(path) == 0 ? sync_folder(restore, restore->to) : fail(restore, path);
}

static int take_back(struct restore *restore, bool *found)
{
    char path[PATH_MAX + 10];
    struct stat status;
    *found = false;
    if (lstat(restore->to, &status) == 0 && !S_ISDIR(status.st_mode)) { /* a link: not ours */
        return unlink(restore->to) == 0 ? CTL_OK : fail(restore, restore->to);
    }
    snprintf(path, sizeof(path), "%s/READY", restore->to);
    int ready = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    int code = CTL_OK;
    *found = ready >= 0;
    if (ready >= 0) {
        code = remove_ready(restore, ready, path);
    } else if (errno != ENOENT && errno != ENOTDIR) {
        code = fail(restore, path);
    }
    if (code == CTL_OK) {
        remove_tree(restore->to, 3);
    }
    if (ready >= 0) {
        close(ready);
    }
    return code;
}

int restore_take_back(struct restore *restore, bool *found)
{
    act_as_owner(&restore->target);
    int code = take_back(restore, found);
    act_as_self();
    return code;
}

bool restore_lies_ready(const struct restore *restore)
{
    return exists(restore->to, "READY");
}

/* ------------------------------------------------------------------ laying it ready */

static int mark_ready(struct restore *restore)
{
    char path[PATH_MAX + 10];
    int code = sync_folder(restore, restore->to);
    if (code != CTL_OK) {
        return code;
    }
    snprintf(path, sizeof(path), "%s/READY", restore->to);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
    if (fd < 0 || fsync(fd) != 0) {
        code = fail(restore, path);
    }
    if (fd >= 0) {
        close(fd);
    }
    return code == CTL_OK ? sync_folder(restore, restore->to) : code;
}

static int copy_all(struct restore *restore)
{
    char from[PATH_MAX + 20], to[PATH_MAX + 20];
    int code = make_folder(restore, restore->to);
    snprintf(from, sizeof(from), "%s/knowledge.db", restore->from);
    snprintf(to, sizeof(to), "%s/knowledge.db", restore->to);
    code = code == CTL_OK ? copy_checked(restore, from, to, restore->sha256) : code;
    code = code == CTL_OK ? copy_attachments(restore) : code;
    code = code == CTL_OK ? sync_folder(restore, mirai_config_str(MIRAI_CONFIG_DATA_DIR)) : code;
    return code == CTL_OK ? mark_ready(restore) : code;
}

static int lay_ready(struct restore *restore)
{
    bool found;
    int code = take_back(restore, &found);
    if (code != CTL_OK) {
        return code;
    }
    restore->bytes = mirai_alloc(COPY_BYTES);
    code = copy_all(restore);
    free(restore->bytes);
    restore->bytes = NULL;
    if (code != CTL_OK) {
        take_back(restore, &found);
    }
    return code;
}

int restore_lay_ready(struct restore *restore)
{
    act_as_owner(&restore->target);
    int code = lay_ready(restore);
    act_as_self();
    return code;
}

int restore_init(struct restore *restore, struct ctl *ctl, const char *name)
{
    const char *data = mirai_config_str(MIRAI_CONFIG_DATA_DIR);
    const char *backups = mirai_config_str(MIRAI_CONFIG_BACKUP_DIR);
    *restore = (struct restore){.ctl = ctl, .name = name};
    snprintf(restore->from, sizeof(restore->from), "%s/snapshots/%s", backups, name != NULL ? name : "");
    snprintf(restore->to, sizeof(restore->to), "%s/restore", data);
    if (name != NULL && stat(backups, &restore->source) != 0) {
        return fail(restore, backups);
    }
    return stat(data, &restore->target) == 0 ? CTL_OK : fail(restore, data);
}
