#include "services/ctl/audit_source.h"

#include <ctype.h>
#include <errno.h>
#include <jansson.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define PAGE      500
#define LINE_MAX_ 65536 /* of an export or a log */

/* ------------------------------------------------------------------ the running store */

int audit_each_entry(struct ctl *ctl, audit_entry_cb each, void *data)
{
    struct mirai_audit_export params = {0};
    struct mirai_arena keep = ctl->arena;
    struct mirai_audit_rows rows;
    int err;
    mirai_set(audit_export, &params, limit, PAGE);
    ctl->arena = (struct mirai_arena){0}; /* each page goes before the next comes */
    do {
        err = ctl_call(ctl, MIRAI_METHOD_ID_audit_export, &params, CTL_DEADLINE_MS, &rows);
        for (size_t i = 0; err == 0 && i < rows.items.count; i++) {
            const struct mirai_audit_entry *entry = &MIRAI_ITEMS(audit_entry, &rows.items)[i];
            mirai_set(audit_export, &params, after_id, entry->id);
            if (!each(data, entry)) {
                err = MIRAI_E_CANCELLED;
            }
        }
        bool more = err == 0 && rows.items.count == PAGE;
        mirai_arena_free(&ctl->arena);
        if (!more) {
            break;
        }
    } while (true);
    ctl->arena = keep;
    return ctl_exit_of(err);
}

static int too_many(struct ctl *ctl, const char *where)
{
    return ctl_fail(ctl, CTL_FAILED, text("%s: ヘッドが多すぎます", "%s: too many heads"), where);
}

int audit_anchors_of_store(struct ctl *ctl, struct verify *verify)
{
    struct mirai_page_request request = {0};
    struct mirai_audit_signer key;
    struct mirai_objects heads;
    int err =
        verify->keys_len > 0 ? 0 : ctl_call(ctl, MIRAI_METHOD_ID_audit_key, NULL, CTL_DEADLINE_MS, &key);
    if (err == 0 && verify->keys_len == 0) {
        verify_trust(verify, key.signer);
    }
    err = err == 0 ? ctl_list(ctl, MIRAI_METHOD_ID_audit_heads, &request, SIZE_MAX, &heads) : err;
    for (size_t i = 0; err == 0 && i < heads.count; i++) {
        if (!verify_anchor(verify, &MIRAI_ITEMS(audit_head, &heads)[i])) {
            return too_many(ctl, "knowledge-store");
        }
    }
    return ctl_exit_of(err);
}

/* ------------------------------------------------------------------ lines of JSON */

/* A message from one line of JSON; its text lives in `arena`. */
static bool read_message(const struct mirai_message *message, struct mirai_str json,
                         enum mirai_strictness strictness, struct mirai_arena *arena, void *out)
{
    struct mirai_buf mp = {0};
    int err = strictness == MIRAI_EDGE
                  ? mirai_message_from_json(message, json, NULL, &mp, &(struct mirai_faults){0})
                  : mirai_json_to_mp(json, &mp);
    if (err == 0) {
        err = mirai_message_decode(message, mirai_arena_copy(arena, mirai_buf_str(&mp)), strictness, arena,
                                   out, NULL);
    }
    mirai_buf_free(&mp);
    return err == 0;
}

typedef bool (*line_fn)(void *data, struct mirai_str line, int64_t number);

/* Each line, without its end and cut at LINE_MAX_, until `each` wants no more. 0 or an errno. */
static int read_lines(FILE *file, line_fn each, void *data)
{
    char *line = mirai_alloc(LINE_MAX_);
    int64_t number = 0;
    bool go_on = true, whole = true; /* the last piece ended its line */
    while (go_on && fgets(line, LINE_MAX_, file) != NULL) {
        size_t len = strlen(line);
        bool starts = whole;
        whole = len > 0 && line[len - 1] == '\n';
        len -= whole;
        if (starts) {
            go_on = each(data, (struct mirai_str){line, len}, ++number);
        }
    }
    int reason = ferror(file) != 0 ? errno : 0;
    free(line);
    return reason;
}

/* Each line of a file; "-": of standard input. CTL_OK, or what was reported. */
static int each_line(struct ctl *ctl, const char *path, line_fn each, void *data)
{
    int reason = 0;
    if (strcmp(path, "-") == 0) {
        reason = read_lines(stdin, each, data);
    } else {
        FILE *file = fopen(path, "re");
        reason = file != NULL ? read_lines(file, each, data) : errno;
        if (file != NULL) {
            fclose(file);
        }
    }
    return reason != 0 ? ctl_fail(ctl, CTL_FAILED, "%s: %s", path, strerror(reason)) : CTL_OK;
}

struct reading {
    struct verify *verify;
    bool full;
};

static bool head_line(void *data, struct mirai_str line, int64_t number)
{
    struct reading *reading = data;
    struct mirai_audit_head head;
    struct mirai_arena arena = {0};
    const char *brace = line.len > 0 ? memchr(line.data, '{', line.len) : NULL;
    (void)number;
    if (brace != NULL && read_message(&mirai_message_audit_head,
                                      (struct mirai_str){brace, line.len - (size_t)(brace - line.data)},
                                      MIRAI_INNER, &arena, &head)) {
        reading->full = !verify_anchor(reading->verify, &head);
    }
    mirai_arena_free(&arena);
    return !reading->full;
}

int audit_anchors_of_file(struct ctl *ctl, const char *path, struct verify *verify)
{
    struct reading reading = {.verify = verify};
    size_t before = verify->anchors_len + verify->findings_len;
    int code = each_line(ctl, path, head_line, &reading);
    if (code == CTL_OK && reading.full) {
        return too_many(ctl, path);
    }
    if (code == CTL_OK && verify->anchors_len + verify->findings_len == before) {
        return ctl_fail(ctl, CTL_FAILED,
                        text("%s: 署名付きヘッドがありません", "%s: there is no signed head in it"), path);
    }
    return code;
}

static bool key_line(void *data, struct mirai_str line, int64_t number)
{
    struct reading *reading = data;
    (void)number;
    while (line.len > 0 && isspace((unsigned char)line.data[line.len - 1])) {
        line.len--;
    }
    reading->full = line.len > 0 && !verify_trust(reading->verify, line);
    return !reading->full;
}

int audit_keys_of_file(struct ctl *ctl, const char *path, struct verify *verify)
{
    struct reading reading = {.verify = verify};
    int code = each_line(ctl, path, key_line, &reading);
    if (code == CTL_OK && (reading.full || verify->keys_len == 0)) {
        return ctl_fail(ctl, CTL_FAILED,
                        text("%s: 公開鍵（16 進数 64 桁を 1 行に 1 つ、最大 %d 個）ではありません",
                             "%s: not public keys (64 hexadecimal digits a line, at most %d)"),
                        path, VERIFY_KEYS_MAX);
    }
    return code;
}

static bool entry_line(void *data, struct mirai_str line, int64_t number)
{
    struct verify *verify = data;
    struct mirai_audit_entry entry;
    struct mirai_arena arena = {0};
    if (read_message(&mirai_message_audit_entry, line, MIRAI_EDGE, &arena, &entry)) {
        verify_entry(verify, &entry);
    } else {
        verify_unreadable(verify, number);
    }
    mirai_arena_free(&arena);
    return true;
}

/* ------------------------------------------------------------------ a database */

/* Only read: a file that no process has open and that has no log beside it is not even locked. */
static int open_database(const char *path, sqlite3 **db)
{
    struct mirai_buf uri = {0}, log = {0};
    struct stat status;
    mirai_buf_append_str(&uri, MIRAI_STR("file:"));
    for (const char *c = path; *c != '\0'; c++) {
        bool plain = isalnum((unsigned char)*c) || strchr("/._-", *c) != NULL;
        plain ? mirai_buf_append_char(&uri, *c) : mirai_buf_printf(&uri, "%%%02X", (unsigned char)*c);
    }
    mirai_buf_printf(&log, "%s-wal", path);
    bool has_log = stat(log.data, &status) == 0 && status.st_size > 0;
    mirai_buf_printf(&uri, has_log ? "?mode=ro" : "?mode=ro&immutable=1");
    int result = sqlite3_open_v2(uri.data, db, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, NULL);
    mirai_buf_free(&uri);
    mirai_buf_free(&log);
    return result;
}

static struct mirai_str column_text(sqlite3_stmt *row, int column)
{
    return (struct mirai_str){(const char *)sqlite3_column_text(row, column),
                              (size_t)sqlite3_column_bytes(row, column)};
}

static struct mirai_str column_hex(sqlite3_stmt *row, int column, struct mirai_arena *arena)
{
    size_t len = (size_t)sqlite3_column_bytes(row, column);
    char *hex = mirai_arena_alloc(arena, 2 * len + 1);
    mirai_hex(hex, sqlite3_column_blob(row, column), len);
    return (struct mirai_str){hex, 2 * len};
}

static void database_head(struct verify *verify, sqlite3_stmt *row)
{
    struct mirai_arena arena = {0};
    const struct mirai_audit_head head = {
        .epoch = column_text(row, 0),
        .id = sqlite3_column_int64(row, 1),
        .hash = column_hex(row, 2, &arena),
        .at = sqlite3_column_int64(row, 3),
        .signer = column_hex(row, 4, &arena),
        .signature = column_hex(row, 5, &arena),
    };
    verify_anchor(verify, &head);
    mirai_arena_free(&arena);
}

static void database_entry(struct verify *verify, sqlite3_stmt *row)
{
    struct mirai_arena arena = {0};
    struct mirai_audit_entry entry = {
        .id = sqlite3_column_int64(row, 0),
        .epoch = column_text(row, 1),
        .at = sqlite3_column_int64(row, 2),
        .user_id = sqlite3_column_int64(row, 3),
        .action = column_text(row, 4),
        .object = column_text(row, 5),
        .result = column_text(row, 6),
        .address = column_text(row, 7),
        .request_id = column_text(row, 8),
        .name = column_text(row, 9),
        .hash = column_hex(row, 11, &arena),
    };
    mirai_set(audit_entry, &entry, count, sqlite3_column_int64(row, 10));
    verify_entry(verify, &entry);
    mirai_arena_free(&arena);
}

static int each_row(sqlite3 *db, const char *sql, void (*each)(struct verify *verify, sqlite3_stmt *row),
                    struct verify *verify)
{
    sqlite3_stmt *rows = NULL;
    int result = sqlite3_prepare_v2(db, sql, -1, &rows, NULL);
    while (result == SQLITE_OK || result == SQLITE_ROW) {
        result = sqlite3_step(rows);
        if (result == SQLITE_ROW) {
            each(verify, rows);
        }
    }
    sqlite3_finalize(rows);
    return result == SQLITE_DONE ? SQLITE_OK : result;
}

static int verify_database(struct ctl *ctl, const char *path, struct verify *verify)
{
    sqlite3 *db = NULL;
    int result = open_database(path, &db);
    if (result == SQLITE_OK) {
        result = each_row(
            db, "SELECT epoch, audit_id, hash, at, signer, signature FROM audit_heads ORDER BY id DESC",
            database_head, verify);
    }
    if (result == SQLITE_OK) {
        result = each_row(
            db,
            "SELECT id, epoch, at, user_id, action, object, result, address, request_id, name, count, "
            "hash FROM audit ORDER BY id",
            database_entry, verify);
    }
    if (result != SQLITE_OK) {
        ctl_fail(ctl, CTL_FAILED, "%s: %s", path, db != NULL ? sqlite3_errmsg(db) : sqlite3_errstr(result));
    }
    sqlite3_close(db);
    return result == SQLITE_OK ? CTL_OK : CTL_FAILED;
}

/* "SQLite format 3" and NUL (https://www.sqlite.org/fileformat2.html §1.3) */
static bool is_database(const char *path)
{
    char magic[16] = "";
    FILE *file = strcmp(path, "-") != 0 ? fopen(path, "re") : NULL;
    bool is = file != NULL && fread(magic, 1, sizeof(magic), file) == sizeof(magic) &&
              memcmp(magic, "SQLite format 3", sizeof(magic)) == 0;
    if (file != NULL) {
        fclose(file);
    }
    return is;
}

int audit_verify_file(struct ctl *ctl, const char *path, struct verify *verify)
{
    return is_database(path) ? verify_database(ctl, path, verify) : each_line(ctl, path, entry_line, verify);
}
