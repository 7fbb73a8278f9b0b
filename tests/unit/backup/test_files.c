#include "services/backup/files.h"

#include "libcommon/error.h"
#include "libcommon/log.h"
#include "tests/unit/libcommon/test.h"

#include <errno.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

static char directory[] = "/tmp/mirai-files-XXXXXX";

static int make_directory(void **state)
{
    (void)state;
    mirai_log_set_level(MIRAI_LOG_FATAL);
    return mkdtemp(directory) != NULL ? 0 : -1;
}

static int remove_directory(void **state)
{
    (void)state;
    return rmdir(directory); /* every test leaves it empty */
}

static const char *in_directory(char path[PATH_MAX], const char *name)
{
    snprintf(path, PATH_MAX, "%s/%s", directory, name);
    return path;
}

static void assert_content(const char *path, const char *expected)
{
    struct mirai_buf content = {0};
    assert_int_equal(files_read(path, 1000, &content), 0);
    assert_true(mirai_str_eq(mirai_buf_str(&content), mirai_str(expected)));
    mirai_buf_free(&content);
}

static void a_file_is_written_whole_or_not_at_all(void **state)
{
    (void)state;
    char path[PATH_MAX], temporary[PATH_MAX];
    struct stat status;
    in_directory(path, "file");
    assert_int_equal(files_write_atomic(path, MIRAI_STR("first and long")), 0);
    assert_content(path, "first and long");
    assert_int_equal(files_write_atomic(path, MIRAI_STR("second")), 0);
    assert_content(path, "second");
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 07, 0); /* nobody else reads it */
    assert_int_not_equal(access(in_directory(temporary, "file.tmp"), F_OK), 0);
    assert_int_equal(files_write_atomic(path, (struct mirai_str){NULL, 0}), 0);
    assert_content(path, "");
    unlink(path);
    assert_int_equal(files_write_atomic(in_directory(path, "none/file"), MIRAI_STR("x")), MIRAI_E_NOT_FOUND);
    /* A directory stands in the way: it stays, and nothing is left beside it. */
    assert_int_equal(files_make_directory(in_directory(path, "dir/inner")), 0);
    assert_int_not_equal(files_write_atomic(in_directory(path, "dir"), MIRAI_STR("x")), 0);
    assert_int_equal(access(in_directory(path, "dir/inner"), F_OK), 0);
    assert_int_not_equal(access(in_directory(temporary, "dir.tmp"), F_OK), 0);
    rmdir(path);
    rmdir(in_directory(path, "dir"));
}

static void reading_is_bounded(void **state)
{
    (void)state;
    char path[PATH_MAX];
    struct mirai_buf content = {0};
    in_directory(path, "file");
    assert_int_equal(files_write_atomic(path, MIRAI_STR("0123456789")), 0);
    mirai_buf_append_char(&content, '>');
    assert_int_equal(files_read(path, 100, &content), 0);
    assert_str(mirai_buf_str(&content), ">0123456789"); /* appended */
    content.len = 0;
    assert_int_equal(files_read(path, 10, &content), 0);
    content.len = 0;
    assert_int_equal(files_read(path, 9, &content), MIRAI_E_TOO_LARGE);
    unlink(path);
    assert_int_equal(files_read(path, 10, &content), MIRAI_E_NOT_FOUND);
    mirai_buf_free(&content);
}

static void directories_with_their_parents(void **state)
{
    (void)state;
    char path[PATH_MAX];
    assert_int_equal(files_make_directory(in_directory(path, "a/b/c")), 0);
    assert_int_equal(files_make_directory(path), 0); /* it is there already */
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0750);
    rmdir(path);
    rmdir(in_directory(path, "a/b"));
    rmdir(in_directory(path, "a"));
    assert_int_equal(files_write_atomic(in_directory(path, "file"), MIRAI_STR("x")), 0);
    assert_int_not_equal(files_make_directory(in_directory(path, "file/a")), 0);
    unlink(in_directory(path, "file"));
}

static void a_directory_with_its_files_goes(void **state)
{
    (void)state;
    char path[PATH_MAX], target[PATH_MAX], link[PATH_MAX];
    in_directory(target, "target");
    assert_int_equal(files_write_atomic(target, MIRAI_STR("stays")), 0);
    assert_int_equal(files_make_directory(in_directory(path, "tree")), 0);
    assert_int_equal(files_write_atomic(in_directory(path, "tree/.hidden"), MIRAI_STR("x")), 0);
    assert_int_equal(files_write_atomic(in_directory(path, "tree/b"), MIRAI_STR("x")), 0);
    assert_int_equal(symlink(target, in_directory(link, "tree/link")), 0);
    assert_int_equal(files_remove_tree(in_directory(path, "tree")), 0);
    assert_int_not_equal(access(path, F_OK), 0);
    assert_content(target, "stays");
    assert_int_equal(files_remove_tree(path), 0); /* nothing is there: nothing to do */
    unlink(target);
}

/* FIPS 180-4 */
static void hashes(void **state)
{
    (void)state;
    char path[PATH_MAX], sha256[FILES_SHA256_SIZE];
    int64_t size;
    in_directory(path, "file");
    assert_int_equal(files_write_atomic(path, MIRAI_STR("abc")), 0);
    assert_int_equal(files_sha256(path, sha256, &size), 0);
    assert_string_equal(sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_int_equal(size, 3);
    char *million = malloc(1000000);
    memset(million, 'a', 1000000);
    assert_int_equal(files_write_atomic(path, (struct mirai_str){million, 1000000}), 0);
    free(million);
    assert_int_equal(files_sha256(path, sha256, &size), 0);
    assert_string_equal(sha256, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    assert_int_equal(size, 1000000);
    unlink(path);
    assert_int_equal(files_sha256(path, sha256, &size), MIRAI_E_NOT_FOUND);
}

static void a_full_disk_has_its_own_error(void **state)
{
    (void)state;
    assert_int_equal(files_error(ENOSPC), MIRAI_E_NO_SPACE);
    assert_int_equal(files_error(EDQUOT), MIRAI_E_NO_SPACE);
    assert_int_equal(files_error(ENOENT), MIRAI_E_NOT_FOUND);
    assert_int_equal(files_error(EIO), MIRAI_E_INTERNAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_is_written_whole_or_not_at_all),
        cmocka_unit_test(reading_is_bounded),
        cmocka_unit_test(directories_with_their_parents),
        cmocka_unit_test(a_directory_with_its_files_goes),
        cmocka_unit_test(hashes),
        cmocka_unit_test(a_full_disk_has_its_own_error),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
