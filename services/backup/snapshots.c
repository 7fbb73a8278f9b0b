#include "services/backup/snapshots.h"

#include "libcommon/config.h"
#include "libcommon/log.h"
#include "libcommon/time.h"
#include "services/backup/files.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <jansson.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define MANIFEST_MAX (64u << 10)
#define DAY_MS       INT64_C(86400000)

void snapshots_path(char out[PATH_MAX], const char *name, const char *file)
{
    snprintf(out, PATH_MAX, "%s/snapshots/%s%s%s", mirai_config_str(MIRAI_CONFIG_BACKUP_DIR), name,
             file[0] != '\0' ? "/" : "", file);
}

void snapshots_attachment_path(char out[PATH_MAX], struct mirai_str sha256)
{
    snprintf(out, PATH_MAX, "%s/attachments/%.2s/%.*s", mirai_config_str(MIRAI_CONFIG_BACKUP_DIR),
             sha256.data, MIRAI_STR_ARG(sha256));
}

void snapshots_name(char out[SNAPSHOT_NAME_SIZE], int64_t unix_ms, enum mirai_snapshot_kind kind)
{
    time_t seconds = (time_t)(unix_ms / 1000);
    struct tm utc;
    char stamp[24];
    gmtime_r(&seconds, &utc);
    strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%S", &utc);
    snprintf(out, SNAPSHOT_NAME_SIZE, "%s.%03dZ-%s", stamp, (int)(unix_ms % 1000),
             mirai_enum_snapshot_kind.values[kind]);
}

bool snapshots_name_valid(struct mirai_str name)
{
    if (name.len == 0 || name.len >= SNAPSHOT_NAME_SIZE || !isdigit((unsigned char)name.data[0])) {
        return false;
    }
    for (size_t i = 0; i < name.len; i++) {
        if (!isalnum((unsigned char)name.data[i]) && name.data[i] != '-' && name.data[i] != '.') {
            return false;
        }
    }
    return true;
}

/* ------------------------------------------------------------------ manifest */

int snapshots_read(const char *name, struct mirai_arena *arena, struct mirai_snapshot_info *info)
{
    char path[PATH_MAX];
    struct mirai_buf json = {0};
    struct mirai_buf mp = {0};
    snapshots_path(path, name, "manifest.json");
    int err = files_read(path, MANIFEST_MAX, &json);
    if (err == 0) {
        err = mirai_json_to_mp(mirai_buf_str(&json), &mp);
    }
    if (err == 0) {
        struct mirai_str bytes = mirai_arena_copy(arena, mirai_buf_str(&mp));
        err = mirai_message_decode(&mirai_message_snapshot_info, bytes, MIRAI_INNER, arena, info, NULL);
    }
    if (err == 0) { /* where it lies is its name, whatever the manifest says; paths need the NUL */
        const char *finished = name + (name[0] == '.');
        mirai_set(snapshot_info, info, name, mirai_arena_copy(arena, mirai_str(finished)));
    }
    mirai_buf_free(&json);
    mirai_buf_free(&mp);
    return err;
}

int snapshots_write(const struct mirai_snapshot_info *info, const char *directory)
{
    char path[PATH_MAX];
    struct mirai_buf mp = {0};
    struct mirai_buf json = {0};
    snapshots_path(path, directory, "manifest.json");
    mirai_message_encode(&mirai_message_snapshot_info, info, &mp);
    int err = mirai_mp_to_json(mirai_buf_str(&mp), &json);
    if (err == 0) {
        mirai_buf_append_char(&json, '\n');
        err = files_write_atomic(path, mirai_buf_str(&json));
    }
    mirai_buf_free(&mp);
    mirai_buf_free(&json);
    return err;
}

/* ------------------------------------------------------------------ list */

static int newest_first(const void *a, const void *b)
{
    const struct mirai_snapshot_info *x = a;
    const struct mirai_snapshot_info *y = b;
    return x->created_at > y->created_at ? -1 : x->created_at < y->created_at;
}

/* Names in a directory, NUL-terminated in `arena`; *names holds them. */
static int names_in(const char *path, struct mirai_arena *arena, struct mirai_strs *names)
{
    DIR *directory = opendir(path);
    *names = (struct mirai_strs){0};
    if (directory == NULL) {
        return errno == ENOENT ? 0 : files_error(errno);
    }
    struct mirai_buf list = {0};
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            struct mirai_str name = mirai_arena_copy(arena, mirai_str(entry->d_name));
            mirai_buf_append(&list, &name, sizeof(name));
        }
    }
    closedir(directory);
    names->count = list.len / sizeof(struct mirai_str);
    names->items = mirai_arena_alloc(arena, list.len);
    if (list.len > 0) {
        memcpy(names->items, list.data, list.len);
    }
    mirai_buf_free(&list);
    return 0;
}

int snapshots_list(struct mirai_arena *arena, struct mirai_snapshot_list *list)
{
    char path[PATH_MAX];
    struct mirai_strs names;
    *list = (struct mirai_snapshot_list){0};
    snapshots_path(path, "", "");
    int err = names_in(path, arena, &names);
    if (err != 0) {
        return err;
    }
    struct mirai_snapshot_info *items = mirai_arena_alloc(arena, (names.count + 1) * sizeof(*items));
    for (size_t i = 0; i < names.count; i++) {
        if (snapshots_name_valid(names.items[i]) &&
            snapshots_read(names.items[i].data, arena, &items[list->items.count]) == 0) {
            list->items.count++;
        }
    }
    if (list->items.count > 1) {
        qsort(items, list->items.count, sizeof(*items), newest_first);
    }
    list->items.items = items;
    mirai_mark(snapshot_list, list, items);
    return 0;
}

/* ------------------------------------------------------------------ the copy of the database */

/* To be closed also after an error. */
static int open_copy(const char *name, sqlite3 **db)
{
    char path[PATH_MAX];
    char uri[PATH_MAX + 32];
    snapshots_path(path, name, "knowledge.db");
    snprintf(uri, sizeof(uri), "file:%s?immutable=1", path);
    return sqlite3_open_v2(uri, db, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX, NULL);
}

/* A hash becomes part of a path. */
static bool is_sha256(struct mirai_str text)
{
    unsigned char bytes[(FILES_SHA256_SIZE - 1) / 2];
    return mirai_unhex(bytes, sizeof(bytes), text) == 0;
}

static int each_row(sqlite3_stmt *rows, snapshots_attachment each, void *data)
{
    int rc;
    while ((rc = sqlite3_step(rows)) == SQLITE_ROW) {
        const struct mirai_str sha256 = {(const char *)sqlite3_column_text(rows, 0),
                                         (size_t)sqlite3_column_bytes(rows, 0)};
        int err = is_sha256(sha256) ? each(data, sha256, sqlite3_column_int64(rows, 1)) : MIRAI_E_INTERNAL;
        if (err != 0) {
            return err;
        }
    }
    return rc == SQLITE_DONE ? 0 : MIRAI_E_INTERNAL;
}

int snapshots_each_attachment(const char *name, snapshots_attachment each, void *data)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *rows = NULL;
    int err = MIRAI_E_INTERNAL;
    if (open_copy(name, &db) == SQLITE_OK) {
        bool none = sqlite3_table_column_metadata(db, NULL, "attachments", "sha256", NULL, NULL, NULL, NULL,
                                                  NULL) == SQLITE_ERROR; /* in a schema without attachments */
        if (none) {
            err = 0;
        } else if (sqlite3_prepare_v2(
                       db, "SELECT sha256, max(size) FROM attachments GROUP BY sha256 ORDER BY sha256", -1,
                       &rows, NULL) == SQLITE_OK) {
            err = each_row(rows, each, data);
        }
    }
    sqlite3_finalize(rows);
    sqlite3_close(db);
    return err;
}

/* ------------------------------------------------------------------ expiry */

static bool expired(const struct mirai_snapshot_info *info, int64_t now_ms)
{
    int64_t keep_ms = info->kind == MIRAI_SNAPSHOT_WEEKLY
                          ? mirai_config_int(MIRAI_CONFIG_BACKUP_KEEP_WEEKS) * 7 * DAY_MS
                          : mirai_config_int(MIRAI_CONFIG_BACKUP_KEEP_DAYS) * DAY_MS;
    return now_ms - info->created_at > keep_ms;
}

static int compare_lines(const void *a, const void *b)
{
    return memcmp(a, b, FILES_SHA256_SIZE);
}

/* Hashes that the listed snapshots need, sorted, FILES_SHA256_SIZE bytes each (with the line's end). */
static int needed_attachments(const struct mirai_snapshot_list *list, struct mirai_buf *needed)
{
    for (size_t i = 0; i < list->items.count; i++) {
        char path[PATH_MAX];
        snapshots_path(path, MIRAI_ITEMS(snapshot_info, &list->items)[i].name.data, "attachments.txt");
        int err = files_read(path, SIZE_MAX / 2, needed);
        if (err != 0 || needed->len % FILES_SHA256_SIZE != 0) {
            return err != 0 ? err : MIRAI_E_INTERNAL; /* better keep all than too few */
        }
    }
    if (needed->len > 0) {
        qsort(needed->data, needed->len / FILES_SHA256_SIZE, FILES_SHA256_SIZE, compare_lines);
    }
    return 0;
}

static void remove_unneeded(const struct mirai_buf *needed, struct mirai_arena *arena)
{
    char root[PATH_MAX];
    struct mirai_strs folders;
    snprintf(root, sizeof(root), "%s/attachments", mirai_config_str(MIRAI_CONFIG_BACKUP_DIR));
    if (names_in(root, arena, &folders) != 0) {
        return;
    }
    for (size_t i = 0; i < folders.count; i++) {
        char folder[PATH_MAX + 256];
        struct mirai_strs files;
        snprintf(folder, sizeof(folder), "%s/%s", root, folders.items[i].data);
        if (names_in(folder, arena, &files) != 0) {
            continue;
        }
        for (size_t j = 0; j < files.count; j++) {
            char line[FILES_SHA256_SIZE + 1];
            char path[PATH_MAX + 512];
            snprintf(line, sizeof(line), "%.64s\n", files.items[j].data);
            bool wanted = files.items[j].len == FILES_SHA256_SIZE - 1 && needed->len > 0 &&
                          bsearch(line, needed->data, needed->len / FILES_SHA256_SIZE, FILES_SHA256_SIZE,
                                  compare_lines) != NULL;
            if (!wanted) {
                snprintf(path, sizeof(path), "%s/%s", folder, files.items[j].data);
                unlink(path);
            }
        }
    }
}

/* Under a name that does not exist for anyone, before the first file of it goes: what a power cut leaves of
 * it goes the next time. */
static int remove_snapshot(struct mirai_str name)
{
    char from[PATH_MAX];
    char to[PATH_MAX];
    char hidden[SNAPSHOT_NAME_SIZE + 1];
    snprintf(hidden, sizeof(hidden), ".%.*s", MIRAI_STR_ARG(name));
    snapshots_path(from, name.data, "");
    snapshots_path(to, hidden, "");
    if (rename(from, to) != 0) {
        return files_error(errno);
    }
    mirai_log(INFO, "removed an expired snapshot", MIRAI_LOG_S("snapshot", name));
    return files_remove_tree(to);
}

/* Place of the newest one without a known fault, or of the newest at all: it stays however old it is. */
static size_t last_resort(const struct mirai_snapshot_list *list)
{
    for (size_t i = 0; i < list->items.count; i++) {
        if (!mirai_has(snapshot_info, &MIRAI_ITEMS(snapshot_info, &list->items)[i], fault)) {
            return i;
        }
    }
    return 0;
}

/* Only one job runs at a time, so a temporary directory is left over from a crash. */
static void remove_leftovers(struct mirai_arena *arena)
{
    char path[PATH_MAX];
    struct mirai_strs names;
    snapshots_path(path, "", "");
    if (names_in(path, arena, &names) != 0) {
        return;
    }
    for (size_t i = 0; i < names.count; i++) {
        if (names.items[i].data[0] == '.') {
            snapshots_path(path, names.items[i].data, "");
            files_remove_tree(path);
        }
    }
}

/* *list: those that stay, when it could be read; 0 or the last error. */
static int remove_expired(int64_t now_ms, struct mirai_arena *arena, struct mirai_snapshot_list *list)
{
    remove_leftovers(arena);
    int err = snapshots_list(arena, list);
    if (err != 0) {
        return err;
    }
    struct mirai_snapshot_info *items = list->items.items;
    size_t stays = last_resort(list);
    size_t kept = 0;
    for (size_t i = 0; i < list->items.count; i++) {
        if (i == stays || !expired(&items[i], now_ms)) {
            items[kept++] = items[i];
            continue;
        }
        int failure = remove_snapshot(items[i].name);
        if (failure != 0) {
            items[kept++] = items[i];
            err = failure;
        }
    }
    list->items.count = kept;
    return err;
}

int snapshots_remove_expired(int64_t now_ms)
{
    struct mirai_arena arena = {0};
    struct mirai_snapshot_list list;
    int err = remove_expired(now_ms, &arena, &list);
    mirai_arena_free(&arena);
    return err;
}

int snapshots_expire(int64_t now_ms)
{
    struct mirai_arena arena = {0};
    struct mirai_buf needed = {0};
    struct mirai_snapshot_list list = {0};
    int failure = remove_expired(now_ms, &arena, &list);
    int err = list.items.items != NULL ? needed_attachments(&list, &needed) : failure;
    if (err == 0) {
        remove_unneeded(&needed, &arena);
    }
    mirai_buf_free(&needed);
    mirai_arena_free(&arena);
    return err != 0 ? err : failure;
}

/* ------------------------------------------------------------------ verify */

/* What is wrong with a copy of the database, or NULL. */
static const char *database_fault(const char *name, int64_t articles)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *check = NULL;
    sqlite3_stmt *count = NULL;
    const char *fault = NULL;
    if (open_copy(name, &db) != SQLITE_OK) {
        fault = "the database cannot be opened";
    } else if (sqlite3_prepare_v2(db, "PRAGMA integrity_check(1)", -1, &check, NULL) != SQLITE_OK ||
               sqlite3_step(check) != SQLITE_ROW ||
               strcmp((const char *)sqlite3_column_text(check, 0), "ok") != 0) {
        fault = "the integrity check failed";
    } else if (sqlite3_prepare_v2(db, "SELECT count(*) FROM articles WHERE deleted_at IS NULL", -1, &count,
                                  NULL) != SQLITE_OK ||
               sqlite3_step(count) != SQLITE_ROW || sqlite3_column_int64(count, 0) != articles) {
        fault = "the number of articles differs";
    }
    sqlite3_finalize(check);
    sqlite3_finalize(count);
    sqlite3_close(db);
    return fault;
}

/* `data`: the list, sorted. */
static int is_listed(void *data, struct mirai_str sha256, int64_t size)
{
    const struct mirai_buf *lines = data;
    char line[FILES_SHA256_SIZE + 1];
    (void)size;
    snprintf(line, sizeof(line), "%.64s\n", sha256.data);
    bool listed = lines->len > 0 && bsearch(line, lines->data, lines->len / FILES_SHA256_SIZE,
                                            FILES_SHA256_SIZE, compare_lines) != NULL;
    return listed ? 0 : MIRAI_E_NOT_FOUND;
}

static const char *attachments_fault(const char *name, int64_t expected)
{
    char path[PATH_MAX];
    struct mirai_buf lines = {0};
    const char *fault = NULL;
    snapshots_path(path, name, "attachments.txt");
    if (files_read(path, SIZE_MAX / 2, &lines) != 0 || lines.len != (size_t)expected * FILES_SHA256_SIZE) {
        fault = "the list of attachments is damaged";
    }
    for (size_t i = 0; fault == NULL && i < lines.len; i += FILES_SHA256_SIZE) {
        struct mirai_str wanted = {lines.data + i, FILES_SHA256_SIZE - 1};
        char actual[FILES_SHA256_SIZE];
        int64_t size;
        snapshots_attachment_path(path, wanted);
        if (files_sha256(path, actual, &size) != 0) {
            fault = "an attachment is missing";
        } else if (!mirai_str_eq(wanted, mirai_str(actual))) {
            fault = "an attachment is damaged";
        }
    }
    if (fault == NULL && lines.len > 0) {
        qsort(lines.data, lines.len / FILES_SHA256_SIZE, FILES_SHA256_SIZE, compare_lines);
    }
    if (fault == NULL && snapshots_each_attachment(name, is_listed, &lines) != 0) {
        fault = "the list of attachments lacks what the database names";
    }
    mirai_buf_free(&lines);
    return fault;
}

static const char *snapshot_fault(const char *name, const struct mirai_snapshot_info *info)
{
    char path[PATH_MAX];
    char sha256[FILES_SHA256_SIZE];
    int64_t size;
    snapshots_path(path, name, "knowledge.db");
    if (files_sha256(path, sha256, &size) != 0) {
        return "the database is missing";
    }
    if (size != info->size || !mirai_str_eq(info->sha256, mirai_str(sha256))) {
        return "the database differs from its checksum";
    }
    const char *fault = database_fault(name, info->articles);
    return fault != NULL ? fault : attachments_fault(name, info->attachments);
}

static int remove_damaged(void *data, struct mirai_str sha256, int64_t size)
{
    size_t *count = data;
    char path[PATH_MAX];
    char actual[FILES_SHA256_SIZE];
    (void)size;
    snapshots_attachment_path(path, sha256);
    int err = files_sha256(path, actual, &size);
    bool damaged = err == 0 && !mirai_str_eq(sha256, mirai_str(actual));
    if (damaged) {
        mirai_log(WARNING, "a stored attachment is damaged; removing it", MIRAI_LOG_Z("path", path));
        unlink(path);
    }
    *count += damaged || err == MIRAI_E_NOT_FOUND;
    return 0;
}

size_t snapshots_remove_damaged(const char *name)
{
    size_t count = 0;
    snapshots_each_attachment(name, remove_damaged, &count);
    return count;
}

int snapshots_verify(const char *name, struct mirai_arena *arena, struct mirai_snapshot_info *info)
{
    int err = snapshots_read(name, arena, info);
    if (err != 0) {
        return err;
    }
    const char *fault = snapshot_fault(name, info);
    if (fault != NULL) {
        mirai_set(snapshot_info, info, fault, mirai_str(fault));
        mirai_clear(snapshot_info, info, verified_at);
        mirai_log(ERROR, "snapshot is damaged", MIRAI_LOG_Z("snapshot", name), MIRAI_LOG_Z("reason", fault));
    } else {
        mirai_set(snapshot_info, info, verified_at, mirai_now_ms());
        mirai_clear(snapshot_info, info, fault);
    }
    err = snapshots_write(info, name);
    return fault != NULL ? MIRAI_E_CONFLICT : err;
}
