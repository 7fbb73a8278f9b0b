/* Copies of the database for backups, and what goes on beside them. */
#include "tests/unit/knowledge-store/fixture.h"

static const struct mirai_str abc_hash =
    MIRAI_STR("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"); /* FIPS 180-2, B.1 */

static struct mirai_attachment attach(struct fixture *f, int64_t article, const char *data)
{
    struct mirai_upload_begin begin = {0};
    struct mirai_upload_begin_result upload;
    struct mirai_upload_chunk chunk = {0};
    struct mirai_upload_ref commit = {0};
    struct mirai_attachment attachment;
    mirai_set(upload_begin, &begin, id, article);
    mirai_set(upload_begin, &begin, name, MIRAI_STR("a.txt"));
    mirai_set(upload_begin, &begin, size, (int64_t)strlen(data));
    assert_int_equal(CALL(f, &editor, upload_begin, &begin, &upload), 0);
    mirai_set(upload_chunk, &chunk, upload, upload.upload);
    mirai_set(upload_chunk, &chunk, offset, 0);
    mirai_set(upload_chunk, &chunk, data, mirai_str(data));
    assert_int_equal(CALL(f, &editor, upload_chunk, &chunk, NULL), 0);
    mirai_set(upload_ref, &commit, upload, upload.upload);
    assert_int_equal(CALL(f, &editor, upload_commit, &commit, &attachment), 0);
    return attachment;
}

static struct mirai_attachment_read by_hash(struct mirai_str sha256)
{
    struct mirai_attachment_read params = {0};
    mirai_set(attachment_read, &params, sha256, sha256);
    mirai_set(attachment_read, &params, offset, 0);
    mirai_set(attachment_read, &params, length, 100);
    return params;
}

/* 64 MiB take their time to be copied and hashed; a file is read meanwhile. */
static void a_copy_does_not_hold_up_attachments(void **state)
{
    struct fixture *f = *state;
    struct mirai_article article = create(f, &editor, "with a file");
    struct answer copied, read;
    attach(f, article.id, "abc");
    fixture_stop(f);
    assert_int_equal(store_open(&f->store, f->dir), 0);
    assert_int_equal(
        db_run_script(f->store.writer.db,
                      "CREATE TABLE ballast (x BLOB);"
                      "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 64) "
                      "INSERT INTO ballast SELECT zeroblob(1048576) FROM n"),
        0);
    store_close(&f->store);
    memset(&f->store, 0, sizeof(f->store));
    fixture_start(f);
    struct mirai_attachment_read params = by_hash(abc_hash);
    send_call(f, &daemon_, "", MIRAI_METHOD_ID_snapshot_begin, NULL, &copied);
    send_call(f, &daemon_, "", MIRAI_METHOD_ID_attachment_read, &params, &read);
    wait_for(f, &read);
    assert_int_equal(read.status, 0);
    assert_false(copied.done);
    wait_for(f, &copied);
    assert_int_equal(copied.status, 0);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, fixture_open, fixture_close)
    const struct CMUnitTest tests[] = {
        TEST(a_copy_does_not_hold_up_attachments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
