/* miraictl restore: check a snapshot, lay it ready for the store, and let the store take it at its next
 * start. */
#include "libcommon/config.h"
#include "libcommon/time.h"
#include "services/ctl/commands.h"
#include "services/ctl/ctl.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define COPY_BYTES (1u << 20)
#define RESTART_MS 60000 /* until the store answers again */
#define POLL_MS    100

/* From:  BACKUP_DIR/snapshots/<name>/{manifest.json,knowledge.db,attachments.txt},
 * BACKUP_DIR/attachments/ab/<sha256> To:    DATA_DIR/restore/{knowledge.db,attachments/ab/<sha256>,READY};
 * READY last: what has none is not taken. */
struct restore {
    struct ctl *ctl;
    const char *name;
    char from[PATH_MAX];
    char to[PATH_MAX];
    char sha256[65]; /* of the database, by the manifest */
    json_int_t articles;
    struct stat owner; /* of DATA_DIR: the files must belong to the store's user */
    int64_t attachments;
    char *bytes;
};

static int fail(struct restore *restore, const char *path)
{
    return ctl_fail(restore->ctl, CTL_FAILED, "%s: %s", path, strerror(errno));
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
    if (mkdir(path, 0750) != 0 && errno != EEXIST) {
        return fail(restore, path);
    }
    if (geteuid() == 0 && chown(path, restore->owner.st_uid, restore->owner.st_gid) != 0) {
        return fail(restore, path);
    }
    return CTL_OK;
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
    return n == 0 && (geteuid() != 0 || fchown(out, restore->owner.st_uid, restore->owner.st_gid) == 0) &&
           fsync(out) == 0;
}

/* Copy `from` to `to` and check that it is what `sha256` says. */
static int copy_checked(struct restore *restore, const char *from, const char *to, const char *sha256)
{
    char hex[65] = "";
    int code = CTL_OK;
    int in = open(from, O_RDONLY | O_CLOEXEC);
    if (in < 0) {
        return fail(restore, from);
    }
    int out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0640);
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

/* ------------------------------------------------------------------ the snapshot */

/* The name becomes part of a path. */
static bool name_is_safe(const char *name)
{
    for (const char *c = name; *c != '\0'; c++) {
        if (!isalnum((unsigned char)*c) && strchr("-_.", *c) == NULL) {
            return false;
        }
    }
    return name[0] != '\0' && name[0] != '.' && strlen(name) < 100;
}

static int read_manifest(struct restore *restore)
{
    char path[PATH_MAX + 20];
    json_error_t error;
    snprintf(path, sizeof(path), "%s/manifest.json", restore->from);
    json_t *manifest = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
    if (manifest == NULL) {
        return ctl_fail(
            restore->ctl, CTL_FAILED,
            text("スナップショット \"%s\" がありません（%s）", "there is no snapshot \"%s\" (%s)"),
            restore->name, error.text);
    }
    const char *sha256 = json_string_value(json_object_get(manifest, "sha256"));
    bool sound = sha256 != NULL && strlen(sha256) == 64;
    snprintf(restore->sha256, sizeof(restore->sha256), "%s", sound ? sha256 : "");
    restore->articles = json_integer_value(json_object_get(manifest, "articles"));
    json_decref(manifest);
    return sound ? CTL_OK : ctl_fail(restore->ctl, CTL_FAILED, text("%s: 壊れています", "%s: damaged"), path);
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
    FILE *list = fopen(path, "re");
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

/* ------------------------------------------------------------------ laying it ready */

/* Remove what an earlier attempt left; READY first. */
static void remove_tree(const char *path, int depth)
{
    DIR *dir = opendir(path);
    struct dirent *entry;
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        char child[PATH_MAX];
        bool self = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
        int n = snprintf(child, sizeof(child), "%s/%s", path, entry->d_name);
        if (self || n >= (int)sizeof(child)) {
            continue;
        }
        if (unlink(child) != 0 && depth > 0) {
            remove_tree(child, depth - 1);
        }
    }
    if (dir != NULL) {
        closedir(dir);
        rmdir(path);
    }
}

static int mark_ready(struct restore *restore)
{
    char path[PATH_MAX + 10];
    int code = sync_folder(restore, restore->to);
    if (code != CTL_OK) {
        return code;
    }
    snprintf(path, sizeof(path), "%s/READY", restore->to);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0640);
    if (fd < 0 || (geteuid() == 0 && fchown(fd, restore->owner.st_uid, restore->owner.st_gid) != 0) ||
        fsync(fd) != 0) {
        code = fail(restore, path);
    }
    if (fd >= 0) {
        close(fd);
    }
    return code == CTL_OK ? sync_folder(restore, restore->to) : code;
}

static int lay_ready(struct restore *restore)
{
    char from[PATH_MAX + 20], to[PATH_MAX + 20];
    const char *data = mirai_config_str(MIRAI_CONFIG_DATA_DIR);
    if (stat(data, &restore->owner) != 0) {
        return fail(restore, data);
    }
    snprintf(to, sizeof(to), "%s/READY", restore->to);
    unlink(to);
    remove_tree(restore->to, 3);
    int code = make_folder(restore, restore->to);
    snprintf(from, sizeof(from), "%s/knowledge.db", restore->from);
    snprintf(to, sizeof(to), "%s/knowledge.db", restore->to);
    code = code == CTL_OK ? copy_checked(restore, from, to, restore->sha256) : code;
    code = code == CTL_OK ? copy_attachments(restore) : code;
    code = code == CTL_OK ? sync_folder(restore, data) : code;
    return code == CTL_OK ? mark_ready(restore) : code;
}

/* ------------------------------------------------------------------ the store */

/* The store's epoch. 0 or an error; *epoch lives until the command ends. */
static int read_epoch(struct ctl *ctl, struct mirai_str *epoch)
{
    struct mirai_changes_since since = {0};
    struct mirai_changes changes;
    mirai_set(changes_since, &since, seq, 0);
    mirai_set(changes_since, &since, limit, 1);
    int err = ctl_call_quiet(ctl, MIRAI_METHOD_ID_changes_since, &since, CTL_DEADLINE_MS, &changes);
    *epoch = err == 0 ? changes.epoch : (struct mirai_str){0};
    return err;
}

/* Let the store start anew and wait until it answers with another epoch. */
static int restart_store(struct restore *restore, struct mirai_str before)
{
    struct ctl *ctl = restore->ctl;
    uint64_t until = mirai_monotonic_ms() + RESTART_MS;
    struct mirai_str epoch;
    int err = ctl_call(ctl, MIRAI_METHOD_ID_store_restart, NULL, CTL_DEADLINE_MS, NULL);
    if (err != 0) {
        return ctl_exit_of(err);
    }
    while (mirai_monotonic_ms() < until) {
        if (read_epoch(ctl, &epoch) == 0 && !mirai_str_eq(epoch, before)) {
            return CTL_OK;
        }
        usleep(POLL_MS * 1000);
    }
    return ctl_fail(ctl, CTL_UNAVAILABLE, "%s",
                    text("データストアが新しい内容で起動しません。ログを確認してください",
                         "the store did not come back with the new content; see its log"));
}

static bool confirmed(struct restore *restore)
{
    char answer[16] = "";
    if (cli_value(&restore->ctl->cli, "--yes") != NULL) {
        return true;
    }
    if (!isatty(STDIN_FILENO)) {
        ctl_fail(restore->ctl, CTL_USAGE, "%s", text("--yes が必要です", "--yes is needed"));
        return false;
    }
    fprintf(
        stderr,
        text("スナップショット %s（記事 %lld 件）に戻します。それ以降の変更は失われます。続けるには yes "
             "と入力: ",
             "Going back to snapshot %s (%lld articles); what changed since is lost. Type yes to go on: "),
        restore->name, (long long)restore->articles);
    return fgets(answer, sizeof(answer), stdin) != NULL && strcmp(answer, "yes\n") == 0;
}

static void print_result(const struct restore *restore, bool restarted)
{
    if (restore->ctl->cli.json) {
        printf("{\"snapshot\": \"%s\", \"articles\": %lld, \"attachments\": %lld, \"restarted\": %s}\n",
               restore->name, (long long)restore->articles, (long long)restore->attachments,
               restarted ? "true" : "false");
    } else if (restarted) {
        ctl_say(restore->ctl, text("%s に戻しました（記事 %lld 件）", "Restored %s (%lld articles)"),
                restore->name, (long long)restore->articles);
    } else {
        ctl_say(restore->ctl,
                text("%s を用意しました。データストアの次の起動時に適用されます",
                     "%s lies ready; the store takes it at its next start"),
                restore->name);
    }
}

int command_restore(struct ctl *ctl)
{
    struct restore restore = {.ctl = ctl, .name = ctl_argument(ctl, 0)};
    struct mirai_str epoch;
    snprintf(restore.from, sizeof(restore.from), "%s/snapshots/%s", mirai_config_str(MIRAI_CONFIG_BACKUP_DIR),
             restore.name);
    snprintf(restore.to, sizeof(restore.to), "%s/restore", mirai_config_str(MIRAI_CONFIG_DATA_DIR));
    if (!name_is_safe(restore.name)) {
        return ctl_fail(ctl, CTL_USAGE,
                        text("\"%s\" はスナップショット名ではありません", "\"%s\" is no snapshot's name"),
                        restore.name);
    }
    int code = read_manifest(&restore);
    if (code != CTL_OK) {
        return code;
    }
    if (!confirmed(&restore)) {
        return CTL_USAGE;
    }
    restore.bytes = mirai_alloc(COPY_BYTES);
    code = lay_ready(&restore);
    free(restore.bytes);
    if (code != CTL_OK) {
        remove_tree(restore.to, 3);
        return code;
    }
    bool running = read_epoch(ctl, &epoch) == 0;
    code = running ? restart_store(&restore, epoch) : CTL_OK;
    if (code == CTL_OK) {
        print_result(&restore, running);
    }
    return code;
}
