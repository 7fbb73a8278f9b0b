#include "services/backup/snapshots.h"

#include "libcommon/time.h"
#include "services/backup/files.h"
#include "tests/unit/backup/fixture.h"

#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#define DAY   INT64_C(86400000)
#define EPOCH "0123456789abcdef0123456789abcdef"

static struct mirai_str path_of(char out[PATH_MAX], const char *name, const char *file)
{
    snapshots_path(out, name, file);
    return mirai_str(out);
}

static bool exists(const char *name, const char *file)
{
    char path[PATH_MAX];
    return access(path_of(path, name, file).data, F_OK) == 0;
}

/* Put an attachment with this content where it belongs; its hash. */
static void attach(const char *content, char sha256[FILES_SHA256_SIZE])
{
    unsigned char digest[crypto_hash_sha256_BYTES];
    char path[PATH_MAX];
    crypto_hash_sha256(digest, (const unsigned char *)content, strlen(content));
    mirai_hex(sha256, digest, sizeof(digest));
    snapshots_attachment_path(path, mirai_str(sha256));
    char *slash = strrchr(path, '/');
    *slash = '\0';
    assert_int_equal(files_make_directory(path), 0);
    *slash = '/';
    assert_int_equal(files_write_atomic(path, mirai_str(content)), 0);
}

static bool attached(const char *sha256)
{
    char path[PATH_MAX];
    snapshots_attachment_path(path, mirai_str(sha256));
    return access(path, F_OK) == 0;
}

static void make_database(const char *path, int articles, int in_the_bin)
{
    sqlite3 *db;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "CREATE TABLE articles (id INTEGER PRIMARY KEY, deleted_at INTEGER)",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    for (int i = 0; i < articles + in_the_bin; i++) {
        assert_int_equal(sqlite3_exec(db,
                                      i < articles ? "INSERT INTO articles (deleted_at) VALUES (NULL)"
                                                   : "INSERT INTO articles (deleted_at) VALUES (1)",
                                      NULL, NULL, NULL),
                         SQLITE_OK);
    }
    sqlite3_close(db);
}

/* A whole snapshot of two articles; `sha256`: the attachment that it needs, or NULL. Its name. */
static void make(char name[SNAPSHOT_NAME_SIZE], int64_t at, enum mirai_snapshot_kind kind, const char *sha256)
{
    char path[PATH_MAX], hash[FILES_SHA256_SIZE], lines[FILES_SHA256_SIZE + 1] = "";
    struct mirai_snapshot_info info = {0};
    int64_t size;
    snapshots_name(name, at, kind);
    assert_int_equal(files_make_directory(path_of(path, name, "").data), 0);
    make_database(path_of(path, name, "knowledge.db").data, 2, 1);
    assert_int_equal(files_sha256(path, hash, &size), 0);
    if (sha256 != NULL) {
        snprintf(lines, sizeof(lines), "%s\n", sha256);
    }
    assert_int_equal(files_write_atomic(path_of(path, name, "attachments.txt").data, mirai_str(lines)), 0);
    mirai_set(snapshot_info, &info, name, mirai_str(name));
    mirai_set(snapshot_info, &info, kind, (int)kind);
    mirai_set(snapshot_info, &info, created_at, at);
    mirai_set(snapshot_info, &info, size, size);
    mirai_set(snapshot_info, &info, sha256, mirai_str(hash));
    mirai_set(snapshot_info, &info, epoch, MIRAI_STR(EPOCH));
    mirai_set(snapshot_info, &info, seq, 7);
    mirai_set(snapshot_info, &info, articles, 2);
    mirai_set(snapshot_info, &info, attachments, sha256 != NULL);
    assert_int_equal(snapshots_write(&info, name), 0);
}

/* ------------------------------------------------------------------ names and manifests */

static void names(void **state)
{
    (void)state;
    char name[SNAPSHOT_NAME_SIZE];
    snapshots_name(name, NOW + 5, MIRAI_SNAPSHOT_DAILY);
    assert_string_equal(name, "20260131T030000.005Z-daily");
    for (int kind = MIRAI_SNAPSHOT_DAILY; kind <= MIRAI_SNAPSHOT_MANUAL; kind++) {
        snapshots_name(name, INT64_C(253402300799999), (enum mirai_snapshot_kind)kind);
        assert_true(snapshots_name_valid(mirai_str(name)));
    }
    char earlier[SNAPSHOT_NAME_SIZE];
    snapshots_name(earlier, NOW - 1, MIRAI_SNAPSHOT_WEEKLY); /* sorted by name is sorted by time */
    snapshots_name(name, NOW, MIRAI_SNAPSHOT_DAILY);
    assert_true(strcmp(earlier, name) < 0);
    static const char *const bad[] = {"",
                                      ".",
                                      "..",
                                      ".20260131T030000Z-daily",
                                      "../x",
                                      "2026/x",
                                      "2026 x",
                                      "2026\n",
                                      "x",
                                      "2026語",
                                      "2222222222222222222222222222222222222222222222222222222222222222"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_false(snapshots_name_valid(mirai_str(bad[i])));
    }
    assert_false(snapshots_name_valid(BYTES("2026\0")));
    assert_false(snapshots_name_valid((struct mirai_str){NULL, 0}));
}

static void a_manifest_comes_back(void **state)
{
    (void)state;
    struct mirai_arena arena = {0};
    struct mirai_snapshot_info info;
    char name[SNAPSHOT_NAME_SIZE];
    make(name, NOW, MIRAI_SNAPSHOT_WEEKLY, NULL);
    assert_int_equal(snapshots_read(name, &arena, &info), 0);
    assert_true(mirai_str_eq(info.name, mirai_str(name)));
    assert_int_equal(info.kind, MIRAI_SNAPSHOT_WEEKLY);
    assert_int_equal(info.created_at, NOW);
    assert_int_equal(info.sha256.len, 64);
    assert_str(info.epoch, EPOCH);
    assert_int_equal(info.seq, 7);
    assert_int_equal(info.articles, 2);
    assert_false(mirai_has(snapshot_info, &info, verified_at) || mirai_has(snapshot_info, &info, fault));
    assert_int_equal(snapshots_read("20200101T000000.000Z-daily", &arena, &info), MIRAI_E_NOT_FOUND);
    mirai_arena_free(&arena);
}

static void replace_manifest(const char *name, struct mirai_str json)
{
    char path[PATH_MAX];
    assert_int_equal(files_write_atomic(path_of(path, name, "manifest.json").data, json), 0);
}

static void damaged_manifests_do_not_exist(void **state)
{
    (void)state;
    char name[SNAPSHOT_NAME_SIZE], other[SNAPSHOT_NAME_SIZE], path[PATH_MAX];
    struct mirai_buf whole = {0};
    make(name, NOW, MIRAI_SNAPSHOT_DAILY, NULL);
    make(other, NOW - DAY, MIRAI_SNAPSHOT_DAILY, NULL);
    assert_int_equal(files_read(path_of(path, name, "manifest.json").data, 65536, &whole), 0);
    for (size_t len = 0; len + 1 < whole.len; len += len > 20 && len + 22 < whole.len ? 20 : 1) {
        struct mirai_arena arena = {0};
        struct mirai_snapshot_info info;
        struct mirai_snapshot_list list;
        replace_manifest(name, (struct mirai_str){whole.data, len});
        assert_int_not_equal(snapshots_read(name, &arena, &info), 0);
        assert_int_equal(snapshots_list(&arena, &list), 0);
        assert_int_equal(list.items.count, 1);
        mirai_arena_free(&arena);
    }
    static const char *const bad[] = {
        "[]", "null", "{}", "{\"name\":\"x\"}", "{\"name\":[[[[[[[[[[[[[[[[[[[[", "\xff"};
    struct mirai_arena arena = {0};
    struct mirai_snapshot_info info;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        replace_manifest(name, mirai_str(bad[i]));
        assert_int_not_equal(snapshots_read(name, &arena, &info), 0);
    }
    char *endless = calloc(1, 1 << 20);
    memset(endless, ' ', (1 << 20) - 1);
    replace_manifest(name, mirai_str(endless));
    assert_int_equal(snapshots_read(name, &arena, &info), MIRAI_E_TOO_LARGE);
    free(endless);
    mirai_arena_free(&arena);
    mirai_buf_free(&whole);
}

/* A member that a newer version wrote does no harm. */
static void a_newer_manifest_is_read(void **state)
{
    (void)state;
    char name[SNAPSHOT_NAME_SIZE], path[PATH_MAX];
    struct mirai_buf json = {0};
    struct mirai_arena arena = {0};
    struct mirai_snapshot_info info;
    make(name, NOW, MIRAI_SNAPSHOT_DAILY, NULL);
    assert_int_equal(files_read(path_of(path, name, "manifest.json").data, 65536, &json), 0);
    json.len -= 2; /* "}\n" */
    mirai_buf_append_str(&json, MIRAI_STR(",\"compression\":{\"name\":\"zstd\"}}\n"));
    replace_manifest(name, mirai_buf_str(&json));
    assert_int_equal(snapshots_read(name, &arena, &info), 0);
    assert_int_equal(info.created_at, NOW);
    mirai_buf_free(&json);
    mirai_arena_free(&arena);
}

/* ------------------------------------------------------------------ list and expiry */

static void the_list_is_newest_first(void **state)
{
    (void)state;
    char name[4][SNAPSHOT_NAME_SIZE];
    struct mirai_arena arena = {0};
    struct mirai_snapshot_list list;
    assert_int_equal(snapshots_list(&arena, &list), 0); /* there is no directory yet */
    assert_int_equal(list.items.count, 0);
    make(name[0], NOW - 2 * DAY, MIRAI_SNAPSHOT_DAILY, NULL);
    make(name[1], NOW, MIRAI_SNAPSHOT_MANUAL, NULL);
    make(name[2], NOW - DAY, MIRAI_SNAPSHOT_WEEKLY, NULL);
    make(name[3], NOW - 3 * DAY, MIRAI_SNAPSHOT_DAILY, NULL);
    shell("mkdir %1$s/backup/snapshots/.20260101T000000.000Z-daily "
          "%1$s/backup/snapshots/20260101T000000.000Z-daily "
          "&& touch %1$s/backup/snapshots/notes.txt");
    assert_int_equal(snapshots_list(&arena, &list), 0);
    assert_int_equal(list.items.count, 4);
    static const int order[] = {1, 2, 0, 3};
    for (size_t i = 0; i < 4; i++) {
        const struct mirai_snapshot_info *info = &MIRAI_ITEMS(snapshot_info, &list.items)[i];
        assert_true(mirai_str_eq(info->name, mirai_str(name[order[i]])));
    }
    mirai_arena_free(&arena);
}

static void what_is_too_old_goes(void **state)
{
    (void)state;
    char recent[SNAPSHOT_NAME_SIZE], kept[SNAPSHOT_NAME_SIZE], daily[SNAPSHOT_NAME_SIZE],
        manual[SNAPSHOT_NAME_SIZE], weekly[SNAPSHOT_NAME_SIZE], old_weekly[SNAPSHOT_NAME_SIZE];
    make(recent, NOW - DAY, MIRAI_SNAPSHOT_DAILY, NULL);
    make(kept, NOW - 30 * DAY, MIRAI_SNAPSHOT_DAILY, NULL);
    make(daily, NOW - 30 * DAY - 1, MIRAI_SNAPSHOT_DAILY, NULL);
    make(manual, NOW - 31 * DAY, MIRAI_SNAPSHOT_MANUAL, NULL);
    make(weekly, NOW - 52 * 7 * DAY, MIRAI_SNAPSHOT_WEEKLY, NULL);
    make(old_weekly, NOW - 52 * 7 * DAY - 1, MIRAI_SNAPSHOT_WEEKLY, NULL);
    assert_int_equal(snapshots_expire(NOW), 0);
    assert_true(exists(recent, "manifest.json") && exists(kept, "manifest.json") &&
                exists(weekly, "manifest.json"));
    assert_false(exists(daily, "") || exists(manual, "") || exists(old_weekly, ""));
}

static void the_newest_stays_however_old(void **state)
{
    (void)state;
    char newest[SNAPSHOT_NAME_SIZE], older[SNAPSHOT_NAME_SIZE];
    make(newest, NOW - 400 * DAY, MIRAI_SNAPSHOT_DAILY, NULL);
    make(older, NOW - 401 * DAY, MIRAI_SNAPSHOT_DAILY, NULL);
    assert_int_equal(snapshots_expire(NOW), 0);
    assert_true(exists(newest, "manifest.json"));
    assert_false(exists(older, ""));
}

static void attachments_stay_while_a_snapshot_needs_them(void **state)
{
    (void)state;
    char name[SNAPSHOT_NAME_SIZE], old[SNAPSHOT_NAME_SIZE];
    char needed[FILES_SHA256_SIZE], expired[FILES_SHA256_SIZE], unknown[FILES_SHA256_SIZE];
    attach("needed", needed);
    attach("expired", expired);
    attach("unknown", unknown);
    make(name, NOW - DAY, MIRAI_SNAPSHOT_DAILY, needed);
    make(old, NOW - 31 * DAY, MIRAI_SNAPSHOT_DAILY, expired);
    assert_int_equal(snapshots_expire(NOW), 0);
    assert_true(attached(needed));
    assert_false(attached(expired) || attached(unknown));
}

static void a_damaged_list_of_attachments_keeps_them_all(void **state)
{
    (void)state;
    char name[SNAPSHOT_NAME_SIZE], path[PATH_MAX], sha256[FILES_SHA256_SIZE];
    attach("content", sha256);
    make(name, NOW, MIRAI_SNAPSHOT_DAILY, NULL);
    assert_int_equal(files_write_atomic(path_of(path, name, "attachments.txt").data, MIRAI_STR("cut off")),
                     0);
    assert_int_not_equal(snapshots_expire(NOW), 0);
    assert_true(attached(sha256));
    unlink(path);
    assert_int_not_equal(snapshots_expire(NOW), 0);
    assert_true(attached(sha256) && exists(name, "manifest.json"));
}

static void what_a_crash_left_goes(void **state)
{
    (void)state;
    char name[SNAPSHOT_NAME_SIZE], path[PATH_MAX];
    make(name, NOW, MIRAI_SNAPSHOT_DAILY, NULL);
    assert_int_equal(files_make_directory(path_of(path, ".20260130T030000.000Z-daily", "").data), 0);
    assert_int_equal(
        files_write_atomic(path_of(path, ".20260130T030000.000Z-daily", "knowledge.db").data, MIRAI_STR("x")),
        0);
    assert_int_equal(snapshots_expire(NOW), 0);
    assert_false(exists(".20260130T030000.000Z-daily", ""));
    assert_true(exists(name, "manifest.json"));
}

/* A manifest says another name than its directory's: what it says must not lead anywhere else. */
static void a_name_in_a_manifest_leads_nowhere(void **state)
{
    (void)state;
    char newest[SNAPSHOT_NAME_SIZE], old[SNAPSHOT_NAME_SIZE], path[PATH_MAX];
    struct mirai_buf json = {0};
    make(newest, NOW, MIRAI_SNAPSHOT_DAILY, NULL);
    make(old, NOW - 60 * DAY, MIRAI_SNAPSHOT_DAILY, NULL);
    shell("mkdir -p %1$s/backup/precious && touch %1$s/backup/precious/file");
    assert_int_equal(files_read(path_of(path, old, "manifest.json").data, 65536, &json), 0);
    mirai_buf_append_char(&json, '\0');
    char *at = strstr(json.data, old);
    assert_non_null(at);
    memcpy(at, "../precious\",\"x\":\"", 18); /* of the same length as the name's beginning */
    json.len--;
    replace_manifest(old, mirai_buf_str(&json));
    snapshots_expire(NOW);
    snprintf(path, sizeof(path), "%s/backup/precious/file", directory);
    assert_int_equal(access(path, F_OK), 0);
    assert_true(exists(newest, "manifest.json"));
    mirai_buf_free(&json);
}

/* ------------------------------------------------------------------ verification */

static void assert_verified(const char *name, const char *fault)
{
    struct mirai_arena arena = {0};
    struct mirai_snapshot_info info, stored;
    assert_int_equal(snapshots_verify(name, &arena, &info), fault == NULL ? 0 : MIRAI_E_CONFLICT);
    assert_int_equal(snapshots_read(name, &arena, &stored), 0); /* the outcome is kept */
    assert_true(mirai_has(snapshot_info, &info, verified_at) == (fault == NULL));
    assert_true(mirai_has(snapshot_info, &stored, verified_at) == (fault == NULL));
    assert_true(mirai_has(snapshot_info, &stored, fault) == (fault != NULL));
    if (fault != NULL) {
        assert_true(mirai_str_eq(info.fault, mirai_str(fault)));
        assert_true(mirai_str_eq(stored.fault, mirai_str(fault)));
    }
    mirai_arena_free(&arena);
}

static void a_sound_snapshot_is_verified(void **state)
{
    (void)state;
    char name[SNAPSHOT_NAME_SIZE], sha256[FILES_SHA256_SIZE];
    attach("content", sha256);
    make(name, NOW, MIRAI_SNAPSHOT_DAILY, sha256);
    assert_verified(name, NULL);
    assert_verified(name, NULL); /* checking changes nothing in it */
}

/* Change one byte of a file. */
static void flip(const char *path, long offset)
{
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    fseek(file, offset, offset < 0 ? SEEK_END : SEEK_SET);
    int byte = fgetc(file);
    fseek(file, -1, SEEK_CUR);
    fputc(byte ^ 1, file);
    fclose(file);
}

static void damage_is_found(void **state)
{
    (void)state;
    char name[SNAPSHOT_NAME_SIZE], sha256[FILES_SHA256_SIZE], path[PATH_MAX];
    attach("content", sha256);
    make(name, NOW, MIRAI_SNAPSHOT_DAILY, sha256);
    flip(path_of(path, name, "knowledge.db").data, 4200);
    assert_verified(name, "the database differs from its checksum");
    flip(path, 4200);
    assert_verified(name, NULL);
    assert_int_equal(truncate(path, 4096), 0);
    assert_verified(name, "the database differs from its checksum");
    unlink(path);
    assert_verified(name, "the database is missing");
}

static void damaged_attachments_are_found(void **state)
{
    (void)state;
    char name[SNAPSHOT_NAME_SIZE], sha256[FILES_SHA256_SIZE], path[PATH_MAX];
    attach("content", sha256);
    make(name, NOW, MIRAI_SNAPSHOT_DAILY, sha256);
    snapshots_attachment_path(path, mirai_str(sha256));
    flip(path, 0);
    assert_verified(name, "an attachment is damaged");
    unlink(path);
    assert_verified(name, "an attachment is missing");
    assert_int_equal(files_write_atomic(path_of(path, name, "attachments.txt").data, MIRAI_STR("")), 0);
    assert_verified(name, "the list of attachments is damaged");
    unlink(path);
    assert_verified(name, "the list of attachments is damaged");
}

/* Not the snapshot was damaged but what it was made from: hash and size agree, the content does not. */
static void a_copy_of_something_else_is_found(void **state)
{
    (void)state;
    static const struct {
        const char *content; /* NULL: another number of articles */
        const char *fault;
    } cases[] = {{"no database at all, but some bytes of text", "the integrity check failed"},
                 {NULL, "the number of articles differs"}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct mirai_arena arena = {0};
        struct mirai_snapshot_info info;
        char name[SNAPSHOT_NAME_SIZE], path[PATH_MAX], sha256[FILES_SHA256_SIZE];
        make(name, NOW + (int64_t)i, MIRAI_SNAPSHOT_DAILY, NULL);
        unlink(path_of(path, name, "knowledge.db").data);
        if (cases[i].content != NULL) {
            assert_int_equal(files_write_atomic(path, mirai_str(cases[i].content)), 0);
        } else {
            make_database(path, 3, 0);
        }
        assert_int_equal(snapshots_read(name, &arena, &info), 0);
        assert_int_equal(files_sha256(path, sha256, &info.size), 0);
        info.sha256 = mirai_str(sha256);
        assert_int_equal(snapshots_write(&info, name), 0);
        assert_verified(name, cases[i].fault);
        mirai_arena_free(&arena);
    }
}

#define in_an_empty_directory(test) cmocka_unit_test_setup(test, empty)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names),
        in_an_empty_directory(a_manifest_comes_back),
        in_an_empty_directory(damaged_manifests_do_not_exist),
        in_an_empty_directory(a_newer_manifest_is_read),
        in_an_empty_directory(the_list_is_newest_first),
        in_an_empty_directory(what_is_too_old_goes),
        in_an_empty_directory(the_newest_stays_however_old),
        in_an_empty_directory(attachments_stay_while_a_snapshot_needs_them),
        in_an_empty_directory(a_damaged_list_of_attachments_keeps_them_all),
        in_an_empty_directory(what_a_crash_left_goes),
        in_an_empty_directory(a_name_in_a_manifest_leads_nowhere),
        in_an_empty_directory(a_sound_snapshot_is_verified),
        in_an_empty_directory(damage_is_found),
        in_an_empty_directory(damaged_attachments_are_found),
        in_an_empty_directory(a_copy_of_something_else_is_found),
    };
    return cmocka_run_group_tests(tests, load_configuration, remove_directory);
}
