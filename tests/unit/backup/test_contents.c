/* The contents that a snapshot needs: by its database, its list, and what lies beside it. */
#include "services/backup/files.h"
#include "services/backup/snapshots.h"
#include "tests/unit/backup/fixture.h"

#include <sqlite3.h>
#include <unistd.h>

static void hash_of(const char *content, char sha256[FILES_SHA256_SIZE])
{
    unsigned char digest[crypto_hash_sha256_BYTES];
    crypto_hash_sha256(digest, (const unsigned char *)content, strlen(content));
    mirai_hex(sha256, digest, sizeof(digest));
}

static void store_content(const char *content)
{
    char path[PATH_MAX], sha256[FILES_SHA256_SIZE];
    hash_of(content, sha256);
    snapshots_attachment_path(path, mirai_str(sha256));
    *strrchr(path, '/') = '\0';
    assert_int_equal(files_make_directory(path), 0);
    snapshots_attachment_path(path, mirai_str(sha256));
    assert_int_equal(files_write_atomic(path, mirai_str(content)), 0);
}

/* Each string of `sql` that is not NULL is run. */
static void make_database(const char *path, const char *const *sql)
{
    sqlite3 *db;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    for (size_t i = 0; sql[i] != NULL; i++) {
        assert_int_equal(sqlite3_exec(db, sql[i], NULL, NULL, NULL), SQLITE_OK);
    }
    sqlite3_close(db);
}

/* A snapshot whose database names `named` (may be a whole sha256 column value) and whose list has `listed`;
 * NULL: none. */
static void make(char name[SNAPSHOT_NAME_SIZE], const char *named, const char *listed)
{
    char path[PATH_MAX], hash[FILES_SHA256_SIZE], row[200] = "", lines[FILES_SHA256_SIZE + 1] = "";
    struct mirai_snapshot_info info = {0};
    int64_t size;
    if (named != NULL) {
        snprintf(row, sizeof(row), "INSERT INTO attachments VALUES (1, '%s', 7), (2, '%s', 7)", named, named);
    }
    if (listed != NULL) {
        snprintf(lines, sizeof(lines), "%s\n", listed);
    }
    const char *sql[] = {"CREATE TABLE articles (id INTEGER PRIMARY KEY, deleted_at INTEGER)",
                         "CREATE TABLE attachments (id INTEGER PRIMARY KEY, sha256 TEXT, size INTEGER)", row,
                         NULL};
    snapshots_name(name, NOW, MIRAI_SNAPSHOT_DAILY);
    snapshots_path(path, name, "");
    assert_int_equal(files_make_directory(path), 0);
    snapshots_path(path, name, "attachments.txt");
    assert_int_equal(files_write_atomic(path, mirai_str(lines)), 0);
    snapshots_path(path, name, "knowledge.db");
    make_database(path, sql);
    assert_int_equal(files_sha256(path, hash, &size), 0);
    mirai_set(snapshot_info, &info, name, mirai_str(name));
    mirai_set(snapshot_info, &info, kind, MIRAI_SNAPSHOT_DAILY);
    mirai_set(snapshot_info, &info, created_at, NOW);
    mirai_set(snapshot_info, &info, size, size);
    mirai_set(snapshot_info, &info, sha256, mirai_str(hash));
    mirai_set(snapshot_info, &info, epoch, MIRAI_STR("0123456789abcdef0123456789abcdef"));
    mirai_set(snapshot_info, &info, seq, 7);
    mirai_set(snapshot_info, &info, articles, 0);
    mirai_set(snapshot_info, &info, attachments, listed != NULL);
    assert_int_equal(snapshots_write(&info, name), 0);
}

static void assert_verified(const char *name, const char *fault)
{
    struct mirai_arena arena = {0};
    struct mirai_snapshot_info info;
    assert_int_equal(snapshots_verify(name, &arena, &info), fault == NULL ? 0 : MIRAI_E_CONFLICT);
    if (fault != NULL) {
        assert_true(mirai_str_eq(info.fault, mirai_str(fault)));
    }
    mirai_arena_free(&arena);
}

/* ------------------------------------------------------------------ tests */

static void what_the_database_names_must_be_listed(void **state)
{
    (void)state;
    char name[SNAPSHOT_NAME_SIZE], named[FILES_SHA256_SIZE], other[FILES_SHA256_SIZE];
    hash_of("named", named);
    hash_of("other", other);
    store_content("named");
    store_content("other");
    make(name, named, named);
    assert_verified(name, NULL);
    shell("rm -rf %s/backup/snapshots");
    make(name, NULL, other); /* more than needed does no harm */
    assert_verified(name, NULL);
    shell("rm -rf %s/backup/snapshots");
    make(name, named, NULL);
    assert_verified(name, "the list of attachments lacks what the database names");
    shell("rm -rf %s/backup/snapshots");
    make(name, named, other);
    assert_verified(name, "the list of attachments lacks what the database names");
}

struct seen {
    int64_t count;
    int64_t size;
    int err;
};

static int see(void *data, struct mirai_str sha256, int64_t size)
{
    struct seen *seen = data;
    assert_int_equal(sha256.len, FILES_SHA256_SIZE - 1);
    seen->count++;
    seen->size += size;
    return seen->err;
}

static void contents_are_read_from_the_copy(void **state)
{
    (void)state;
    char name[SNAPSHOT_NAME_SIZE], named[FILES_SHA256_SIZE], path[PATH_MAX];
    struct seen seen = {0};
    hash_of("named", named);
    make(name, named, NULL);
    assert_int_equal(snapshots_each_attachment(name, see, &seen), 0);
    assert_int_equal(seen.count, 1); /* two rows, one content */
    assert_int_equal(seen.size, 7);
    seen.err = MIRAI_E_NO_SPACE;
    assert_int_equal(snapshots_each_attachment(name, see, &seen), MIRAI_E_NO_SPACE);
    snapshots_path(path, name, "knowledge.db");
    assert_int_equal(files_write_atomic(path, MIRAI_STR("no database at all, but some bytes of text")), 0);
    assert_int_not_equal(snapshots_each_attachment(name, see, &seen), 0);
    unlink(path);
    assert_int_not_equal(snapshots_each_attachment(name, see, &seen), 0);
}

static void a_name_that_is_no_hash_leads_nowhere(void **state)
{
    (void)state;
    char name[SNAPSHOT_NAME_SIZE];
    struct seen seen = {0};
    make(name, "../../../../../../../../../../../../../../../../../../etc/passwd", NULL);
    assert_int_not_equal(snapshots_each_attachment(name, see, &seen), 0);
    assert_int_equal(seen.count, 0);
}

#define CONTENTS_TEST(function) cmocka_unit_test_setup(function, empty)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CONTENTS_TEST(what_the_database_names_must_be_listed),
        CONTENTS_TEST(contents_are_read_from_the_copy),
        CONTENTS_TEST(a_name_that_is_no_hash_leads_nowhere),
    };
    return cmocka_run_group_tests_name("contents", tests, load_configuration, remove_directory);
}
