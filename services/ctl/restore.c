/* miraictl restore: check a snapshot, lay it ready for the store, and let the store take it at its next
 * start. */
#include "services/ctl/restore.h"

#include "libcommon/config.h"
#include "libcommon/time.h"
#include "services/ctl/commands.h"

#include <ctype.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define RESTART_MS 60000 /* until the store answers again */
#define POLL_MS    100

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
    int fd = restore_open_source(restore, path);
    json_t *manifest = fd >= 0 ? json_loadfd(fd, JSON_REJECT_DUPLICATES, &error) : NULL;
    const char *reason = fd >= 0 ? error.text : strerror(errno);
    if (fd >= 0) {
        close(fd);
    }
    if (manifest == NULL) {
        return ctl_fail(
            restore->ctl, CTL_FAILED,
            text("スナップショット \"%s\" がありません（%s）", "there is no snapshot \"%s\" (%s)"),
            restore->name, reason);
    }
    const char *sha256 = json_string_value(json_object_get(manifest, "sha256"));
    bool sound = sha256 != NULL && strlen(sha256) == 64;
    snprintf(restore->sha256, sizeof(restore->sha256), "%s", sound ? sha256 : "");
    restore->articles = json_integer_value(json_object_get(manifest, "articles"));
    json_decref(manifest);
    return sound ? CTL_OK : ctl_fail(restore->ctl, CTL_FAILED, text("%s: 壊れています", "%s: damaged"), path);
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

static bool took_it(struct restore *restore, struct mirai_str before)
{
    struct mirai_str epoch;
    return !restore_lies_ready(restore) && read_epoch(restore->ctl, &epoch) == 0 &&
           !mirai_str_eq(epoch, before);
}

int restore_hand_over(struct restore *restore, struct mirai_str before, unsigned wait_ms)
{
    struct ctl *ctl = restore->ctl;
    bool unsure;
    bool found = false;
    int err = ctl_call_unsure(ctl, MIRAI_METHOD_ID_store_restart, NULL, CTL_DEADLINE_MS, &unsure);
    int code = err != 0 && !unsure ? restore_take_back(restore, &found) : CTL_OK;
    if (code != CTL_OK) {
        return code;
    }
    if (found) { /* otherwise it started anew meanwhile, on its own */
        return ctl_fail(ctl, ctl_exit_of(err),
                        text("knowledge-store: %s。復元を取りやめました。何も変わっていません",
                             "knowledge-store: %s; the restore was taken back, nothing has changed"),
                        text_error(err));
    }
    uint64_t until = mirai_monotonic_ms() + wait_ms;
    do {
        if (took_it(restore, before)) {
            return CTL_OK;
        }
        usleep(POLL_MS * 1000);
    } while (mirai_monotonic_ms() < until);
    if (restore_lies_ready(restore)) {
        return ctl_fail(
            ctl, CTL_UNAVAILABLE,
            text("データストアが応答しません（%s）。%s は用意されたままで、データストアの次の起動時に"
                 "適用されます。取り消すには miraictl restore --cancel",
                 "the store does not answer (%s). %s still lies ready; the store takes it at its next "
                 "start. To take it back: miraictl restore --cancel"),
            text_error(err != 0 ? err : MIRAI_E_UNAVAILABLE), restore->name);
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
        ctl_say(
            restore->ctl,
            text("%s を用意しました。データストアの次の起動時に適用されます。取り消すには miraictl restore "
                 "--cancel",
                 "%s lies ready; the store takes it at its next start. To take it back: miraictl restore "
                 "--cancel"),
            restore->name);
    }
}

/* miraictl restore --cancel */
static int cancel(struct ctl *ctl)
{
    struct restore restore;
    bool found = false;
    int code = restore_init(&restore, ctl, NULL);
    code = code == CTL_OK ? restore_take_back(&restore, &found) : code;
    if (code != CTL_OK) {
        return code;
    }
    if (!found) {
        return ctl_fail(ctl, CTL_FAILED, "%s", text("用意された復元はありません", "no restore lies ready"));
    }
    if (ctl->cli.json) {
        puts("{\"cancelled\": true}");
    }
    ctl_say(ctl, "%s", text("復元を取り消しました", "The restore was taken back"));
    return CTL_OK;
}

/* Lay it ready and, where the store runs, hand it over. */
static int run(struct restore *restore)
{
    struct mirai_str epoch;
    int err = read_epoch(restore->ctl, &epoch);
    if (err == MIRAI_E_OVERLOADED ||
        err == MIRAI_E_DEADLINE) { /* it runs, but would not hear of the restart */
        return ctl_report(restore->ctl, "knowledge-store", err, (struct mirai_str){0});
    }
    int code = restore_lay_ready(restore);
    if (code != CTL_OK) {
        return code;
    }
    if (err == MIRAI_E_UNAVAILABLE) { /* that took its time: it may run by now */
        err = read_epoch(restore->ctl, &epoch);
    }
    bool running = err != MIRAI_E_UNAVAILABLE;
    code = running ? restore_hand_over(restore, epoch, RESTART_MS) : CTL_OK;
    if (code == CTL_OK) {
        print_result(restore, running);
    }
    return code;
}

int command_restore(struct ctl *ctl)
{
    struct restore restore;
    bool cancels = cli_value(&ctl->cli, "--cancel") != NULL;
    if (ctl->cli.count != (cancels ? 0 : 1)) {
        return ctl_fail(ctl, CTL_USAGE, "%s",
                        text("スナップショット名か --cancel のどちらかが必要です",
                             "either a snapshot's name or --cancel is needed"));
    }
    if (cancels) {
        return cancel(ctl);
    }
    if (!name_is_safe(ctl_argument(ctl, 0))) {
        return ctl_fail(ctl, CTL_USAGE,
                        text("\"%s\" はスナップショット名ではありません", "\"%s\" is no snapshot's name"),
                        ctl_argument(ctl, 0));
    }
    int code = restore_init(&restore, ctl, ctl_argument(ctl, 0));
    code = code == CTL_OK ? read_manifest(&restore) : code;
    if (code != CTL_OK) {
        return code;
    }
    return confirmed(&restore) ? run(&restore) : CTL_USAGE;
}
