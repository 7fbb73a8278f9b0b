#include "services/knowledge-store/blobs.h"

#include "libcommon/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static const struct mirai_str abc_hash =
    MIRAI_STR("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"); /* FIPS 180-2, B.1 */

struct fixture {
    char directory[64];
    struct blobs blobs;
};

static int open_fixture(void **state)
{
    struct fixture *f = mirai_alloc(sizeof(*f));
    (void)snprintf(f->directory, sizeof(f->directory), "/tmp/mirai-blobs-XXXXXX");
    *state = f;
    return mkdtemp(f->directory) != NULL && blobs_open(&f->blobs, f->directory) == 0 ? 0 : -1;
}

static int close_fixture(void **state)
{
    struct fixture *f = *state;
    char command[128];
    blobs_close(&f->blobs);
    (void)snprintf(command, sizeof(command), "rm -rf '%s'", f->directory);
    int result = system(command);
    free(f);
    return result;
}

static bool exists(const struct fixture *f, const char *path)
{
    char full[256];
    struct stat status;
    (void)snprintf(full, sizeof(full), "%s/%s", f->directory, path);
    return stat(full, &status) == 0;
}

static void store_abc(struct fixture *f)
{
    struct blob_writer writer;
    char sha256[BLOB_HASH_SIZE];
    assert_int_equal(blob_writer_open(&f->blobs, &writer), 0);
    assert_int_equal(blob_writer_append(&writer, MIRAI_STR("a")), 0);
    assert_int_equal(blob_writer_append(&writer, MIRAI_STR("bc")), 0);
    assert_int_equal(writer.size, 3);
    assert_int_equal(blob_writer_finish(&writer, sha256), 0);
    assert_true(mirai_str_eq(mirai_str(sha256), abc_hash));
    assert_int_equal(blob_writer_keep(&f->blobs, &writer, sha256), 0);
    blob_writer_discard(&f->blobs, &writer);
}

static void content_is_found_by_its_hash(void **state)
{
    struct fixture *f = *state;
    struct mirai_buf buf = {0};
    int64_t total = 0;
    store_abc(f);
    store_abc(f); /* the same content again is the same file */
    assert_true(exists(f, "attachments/ba/ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"));
    assert_int_equal(blob_read(&f->blobs, abc_hash, 1, 100, &buf, &total), 0);
    assert_int_equal(total, 3);
    assert_true(mirai_str_eq(mirai_buf_str(&buf), MIRAI_STR("bc")));
    buf.len = 0;
    assert_int_equal(blob_read(&f->blobs, abc_hash, INT64_MAX, 1, &buf, &total), 0);
    assert_int_equal(buf.len, 0);
    assert_int_equal(blob_remove(&f->blobs, abc_hash), 0);
    assert_int_equal(blob_remove(&f->blobs, abc_hash), MIRAI_E_NOT_FOUND);
    assert_int_equal(blob_read(&f->blobs, abc_hash, 0, 1, &buf, &total), MIRAI_E_NOT_FOUND);
    mirai_buf_free(&buf);
}

static void names_that_are_no_hash_are_not_found(void **state)
{
    struct fixture *f = *state;
    struct mirai_buf buf = {0};
    int64_t total = 0;
    static const struct mirai_str hostile[] = {
        MIRAI_STR(""),
        MIRAI_STR("../../../../../../etc/passwd"),
        MIRAI_STR("../../../../../../../../../../../../../../../../../../etc/passwd.."),
        MIRAI_STR("BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD"),
        MIRAI_STR("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015a/"),
    };
    store_abc(f);
    for (size_t i = 0; i < sizeof(hostile) / sizeof(hostile[0]); i++) {
        assert_int_equal(blob_read(&f->blobs, hostile[i], 0, 10, &buf, &total), MIRAI_E_NOT_FOUND);
        assert_int_equal(blob_remove(&f->blobs, hostile[i]), MIRAI_E_NOT_FOUND);
    }
    assert_int_equal(buf.len, 0);
}

static void unfinished_uploads_vanish(void **state)
{
    struct fixture *f = *state;
    struct blob_writer discarded, left;
    char path[64];
    assert_int_equal(blob_writer_open(&f->blobs, &discarded), 0);
    (void)snprintf(path, sizeof(path), "uploads/%s", discarded.name);
    assert_true(exists(f, path));
    blob_writer_discard(&f->blobs, &discarded);
    assert_false(exists(f, path));

    assert_int_equal(blob_writer_open(&f->blobs, &left), 0);
    assert_int_equal(blob_writer_append(&left, MIRAI_STR("half of it")), 0);
    close(left.fd);
    blobs_close(&f->blobs);
    assert_int_equal(blobs_open(&f->blobs, f->directory), 0);
    (void)snprintf(path, sizeof(path), "uploads/%s", left.name);
    assert_false(exists(f, path));
}

static void a_full_disk_is_said_so(void **state)
{
    struct fixture *f = *state;
    struct blob_writer writer;
    assert_int_equal(blob_writer_open(&f->blobs, &writer), 0);
    FILE *full = fopen("/dev/full", "w");
    assert_non_null(full);
    assert_true(dup2(fileno(full), writer.fd) == writer.fd);
    (void)fclose(full);
    assert_int_equal(blob_writer_append(&writer, MIRAI_STR("no room for this")), MIRAI_E_NO_SPACE);
    blob_writer_discard(&f->blobs, &writer);
}

static void count_visit(void *data, struct mirai_str sha256)
{
    assert_true(mirai_str_eq(sha256, abc_hash));
    ++*(int *)data;
}

static void each_visits_contents_only(void **state)
{
    struct fixture *f = *state;
    int count = 0;
    char path[128];
    store_abc(f);
    (void)snprintf(path, sizeof(path), "%s/attachments/ba/notes.txt", f->directory);
    FILE *stray = fopen(path, "w");
    assert_non_null(stray);
    (void)fclose(stray);
    blobs_each(&f->blobs, count_visit, &count);
    assert_int_equal(count, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(content_is_found_by_its_hash, open_fixture, close_fixture),
        cmocka_unit_test_setup_teardown(names_that_are_no_hash_are_not_found, open_fixture, close_fixture),
        cmocka_unit_test_setup_teardown(unfinished_uploads_vanish, open_fixture, close_fixture),
        cmocka_unit_test_setup_teardown(a_full_disk_is_said_so, open_fixture, close_fixture),
        cmocka_unit_test_setup_teardown(each_visits_contents_only, open_fixture, close_fixture),
    };
    return sodium_init() < 0 ? EXIT_FAILURE : cmocka_run_group_tests(tests, NULL, NULL);
}
