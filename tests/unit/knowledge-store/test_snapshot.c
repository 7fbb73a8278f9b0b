/* Copies of the database for backups, and what goes on beside them. */
#include "tests/unit/knowledge-store/fixture.h"

static const struct mirai_str abc_hash =
    MIRAI_STR("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"); /* FIPS 180-2, B.1 */

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

static struct mirai_str begin_snapshot(struct fixture *f)
{
    struct mirai_snapshot_begin_result result;
    assert_int_equal(CALL(f, &daemon_, snapshot_begin, NULL, &result), 0);
    return result.snapshot;
}

static void end_snapshot(struct fixture *f, struct mirai_str name)
{
    struct mirai_snapshot_ref params = {0};
    mirai_set(snapshot_ref, &params, snapshot, name);
    assert_int_equal(CALL(f, &daemon_, snapshot_end, &params, NULL), 0);
    settle(f);
}

static void remove_attachment(struct fixture *f, const struct mirai_attachment *attachment)
{
    struct mirai_attachment_ref params = {0};
    mirai_set(attachment_ref, &params, id, attachment->article_id);
    mirai_set(attachment_ref, &params, attachment_id, attachment->id);
    assert_int_equal(CALL(f, &editor, attachment_delete, &params, NULL), 0);
    settle(f);
}

static int read_content(struct fixture *f, struct mirai_str sha256)
{
    struct mirai_attachment_read params = by_hash(sha256);
    return CALL(f, &daemon_, attachment_read, &params, NULL);
}

/* A backup fetches the database first and what it names after that. */
static void contents_stay_as_long_as_a_snapshot_is_open(void **state)
{
    struct fixture *f = *state;
    struct mirai_article article = create(f, &editor, "with files");
    struct mirai_attachment named = attach(f, article.id, "abc"), kept = attach(f, article.id, "kept");
    struct mirai_str first = begin_snapshot(f), second = begin_snapshot(f);
    remove_attachment(f, &named);
    struct mirai_attachment later = attach(f, article.id, "later");
    assert_int_equal(read_content(f, named.sha256), 0);
    remove_attachment(f, &later);
    end_snapshot(f, first);
    assert_int_equal(read_content(f, named.sha256), 0); /* the second names it, too */
    end_snapshot(f, second);
    assert_int_equal(read_content(f, named.sha256), MIRAI_E_NOT_FOUND);
    assert_int_equal(read_content(f, later.sha256), MIRAI_E_NOT_FOUND);
    assert_int_equal(read_content(f, kept.sha256), 0);

    remove_attachment(f, &kept);
    assert_int_equal(read_content(f, kept.sha256), MIRAI_E_NOT_FOUND); /* as ever without a snapshot */
}

/* A snapshot that was left open ends with the store; the next start removes what it held. */
static void a_start_removes_what_a_snapshot_held(void **state)
{
    struct fixture *f = *state;
    struct mirai_article article = create(f, &editor, "with a file");
    struct mirai_attachment named = attach(f, article.id, "abc");
    begin_snapshot(f);
    remove_attachment(f, &named);
    assert_int_equal(read_content(f, named.sha256), 0);
    restart(f);
    settle(f);
    assert_int_equal(read_content(f, named.sha256), MIRAI_E_NOT_FOUND);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, fixture_open, fixture_close)
    const struct CMUnitTest tests[] = {
        TEST(a_copy_does_not_hold_up_attachments),
        TEST(contents_stay_as_long_as_a_snapshot_is_open),
        TEST(a_start_removes_what_a_snapshot_held),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
