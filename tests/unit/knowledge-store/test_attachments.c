#include "tests/unit/knowledge-store/fixture.h"

#include <sys/stat.h>

static const struct mirai_str abc_hash =
    MIRAI_STR("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"); /* FIPS 180-2, B.1 */

static struct mirai_upload_begin new_upload(int64_t article, const char *name, int64_t size)
{
    struct mirai_upload_begin params = {0};
    mirai_set(upload_begin, &params, id, article);
    mirai_set(upload_begin, &params, name, mirai_str(name));
    mirai_set(upload_begin, &params, size, size);
    return params;
}

static struct mirai_str begin(struct fixture *f, const struct mirai_principal *who, int64_t article,
                              int64_t size)
{
    struct mirai_upload_begin params = new_upload(article, "構成図.png", size);
    struct mirai_upload_begin_result result;
    assert_int_equal(CALL(f, who, upload_begin, &params, &result), 0);
    return result.upload;
}

static int chunk(struct fixture *f, const struct mirai_principal *who, struct mirai_str upload,
                 int64_t offset, const char *data)
{
    struct mirai_upload_chunk params = {0};
    mirai_set(upload_chunk, &params, upload, upload);
    mirai_set(upload_chunk, &params, offset, offset);
    mirai_set(upload_chunk, &params, data, mirai_str(data));
    return CALL(f, who, upload_chunk, &params, NULL);
}

static int commit(struct fixture *f, const struct mirai_principal *who, struct mirai_str upload,
                  struct mirai_attachment *attachment)
{
    struct mirai_upload_ref params = {0};
    mirai_set(upload_ref, &params, upload, upload);
    return CALL(f, who, upload_commit, &params, attachment);
}

static int read_part(struct fixture *f, const struct mirai_principal *who, int64_t article, int64_t id,
                     int64_t offset, int64_t length, struct mirai_bytes *bytes)
{
    struct mirai_attachment_read params = {0};
    mirai_set(attachment_read, &params, id, article);
    mirai_set(attachment_read, &params, attachment_id, id);
    mirai_set(attachment_read, &params, offset, offset);
    mirai_set(attachment_read, &params, length, length);
    return CALL(f, who, attachment_read, &params, bytes);
}

static int detach(struct fixture *f, const struct mirai_principal *who, int64_t article, int64_t id)
{
    struct mirai_attachment_ref params = {0};
    mirai_set(attachment_ref, &params, id, article);
    mirai_set(attachment_ref, &params, attachment_id, id);
    return CALL(f, who, attachment_delete, &params, NULL);
}

static bool content_exists(const struct fixture *f, struct mirai_str sha256)
{
    char path[256];
    struct stat status;
    snprintf(path, sizeof(path), "%s/attachments/%.2s/%.64s", f->dir, sha256.data, sha256.data);
    return stat(path, &status) == 0;
}

static void arrives_in_chunks_and_is_read_in_parts(void **state)
{
    struct fixture *f = *state;
    struct mirai_article article = create(f, &editor, "With a file");
    struct mirai_attachment attachment;
    struct mirai_bytes bytes;
    struct mirai_str upload = begin(f, &editor, article.id, 3);
    assert_int_equal(chunk(f, &editor, upload, 0, "a"), 0);
    assert_int_equal(commit(f, &editor, upload, NULL), MIRAI_E_CONFLICT); /* not all is there */
    assert_int_equal(chunk(f, &editor, upload, 1, "bc"), 0);
    assert_int_equal(commit(f, &editor, upload, &attachment), 0);
    assert_true(mirai_str_eq(attachment.sha256, abc_hash));
    assert_text(attachment.name, "構成図.png");
    assert_text(attachment.media_type, "application/octet-stream");
    assert_int_equal(attachment.size, 3);
    assert_text(attachment.created_by, "editor");
    assert_int_equal(commit(f, &editor, upload, NULL), MIRAI_E_NOT_FOUND); /* once only */

    assert_int_equal(read_part(f, &viewer, article.id, attachment.id, 1, 100, &bytes), 0);
    assert_text(bytes.data, "bc");
    assert_int_equal(bytes.total, 3);
    assert_int_equal(read_part(f, &viewer, article.id, attachment.id, 3, 100, &bytes), 0);
    assert_int_equal(bytes.data.len, 0);
    struct mirai_by_id id = {0};
    struct mirai_attachment_page page;
    mirai_set(by_id, &id, id, article.id);
    assert_int_equal(CALL(f, &viewer, attachment_list, &id, &page), 0);
    assert_int_equal(page.items.count, 1);
}

static void a_repeated_commit_with_a_key_is_answered_again(void **state)
{
    struct fixture *f = *state;
    struct mirai_article article = create(f, &editor, "With a file");
    struct mirai_upload_ref params = {0};
    struct mirai_str upload = begin(f, &editor, article.id, 3);
    mirai_set(upload_ref, &params, upload, upload);
    assert_int_equal(chunk(f, &editor, upload, 0, "abc"), 0);
    struct answer first = call_keyed(f, &editor, "key", MIRAI_METHOD_ID_upload_commit, &params);
    struct answer again = call_keyed(f, &editor, "key", MIRAI_METHOD_ID_upload_commit, &params);
    assert_int_equal(first.status, 0);
    assert_int_equal(again.status, 0);
    assert_true(mirai_str_eq(first.result, again.result));
    assert_int_equal(call_keyed(f, &editor, "another", MIRAI_METHOD_ID_upload_commit, &params).status,
                     MIRAI_E_NOT_FOUND);
}

static void chunks_come_in_order_and_not_too_many(void **state)
{
    struct fixture *f = *state;
    struct mirai_article article = create(f, &editor, "With a file");
    struct mirai_str upload = begin(f, &editor, article.id, 3);
    assert_int_equal(chunk(f, &editor, upload, 1, "bc"), MIRAI_E_CONFLICT);
    assert_int_equal(chunk(f, &editor, upload, 0, "a"), 0);
    assert_int_equal(chunk(f, &editor, upload, 0, "a"), MIRAI_E_CONFLICT);
    assert_int_equal(chunk(f, &editor, upload, 1, "bcd"), MIRAI_E_TOO_LARGE);
    assert_int_equal(chunk(f, &editor, upload, 1, "bc"), 0);
    assert_int_equal(chunk(f, &editor, MIRAI_STR("../../knowledge.db"), 0, "a"), MIRAI_E_NOT_FOUND);
    assert_int_equal(commit(f, &editor, upload, NULL), 0);
}

static void an_upload_belongs_to_who_began_it(void **state)
{
    struct fixture *f = *state;
    struct mirai_article article = create(f, &editor, "With a file");
    struct mirai_str upload = begin(f, &editor, article.id, 3);
    struct mirai_upload_ref params = {0};
    mirai_set(upload_ref, &params, upload, upload);
    assert_int_equal(chunk(f, &member, upload, 0, "abc"), MIRAI_E_NOT_FOUND);
    assert_int_equal(commit(f, &admin, upload, NULL), MIRAI_E_NOT_FOUND);
    assert_int_equal(CALL(f, &member, upload_abort, &params, NULL), MIRAI_E_NOT_FOUND);
    assert_int_equal(CALL(f, &editor, upload_abort, &params, NULL), 0);
    assert_int_equal(chunk(f, &editor, upload, 0, "abc"), MIRAI_E_NOT_FOUND);
}

static void hostile_names_and_sizes_are_refused(void **state)
{
    struct fixture *f = *state;
    struct mirai_article article = create(f, &editor, "With a file");
    static const char *const names[] = {"../../etc/passwd", "..", "a/b", "a\\b", "a\r\nX: y", " a"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct mirai_upload_begin params = new_upload(article.id, names[i], 1);
        assert_int_equal(CALL(f, &editor, upload_begin, &params, NULL), MIRAI_E_UNPROCESSABLE);
    }
    struct mirai_upload_begin params = new_upload(article.id, "ok.txt", 52428801);
    assert_int_equal(CALL(f, &editor, upload_begin, &params, NULL), MIRAI_E_TOO_LARGE);
    params = new_upload(article.id, "ok.txt", INT64_MAX);
    assert_int_equal(CALL(f, &editor, upload_begin, &params, NULL), MIRAI_E_TOO_LARGE);
    params = new_upload(article.id, "ok.txt", 1);
    mirai_set(upload_begin, &params, media_type, MIRAI_STR("text/html\r\nX: y"));
    assert_int_equal(CALL(f, &editor, upload_begin, &params, NULL), MIRAI_E_UNPROCESSABLE);
    params = new_upload(999, "ok.txt", 1);
    assert_int_equal(CALL(f, &editor, upload_begin, &params, NULL), MIRAI_E_NOT_FOUND);
}

static void uploads_under_way_are_bounded(void **state)
{
    struct fixture *f = *state;
    struct mirai_article article = create(f, &editor, "With a file");
    struct mirai_upload_begin params = new_upload(article.id, "one too many", 1);
    struct mirai_str upload = {0};
    for (int i = 0; i < 8; i++) {
        upload = begin(f, &editor, article.id, 1);
    }
    assert_int_equal(CALL(f, &editor, upload_begin, &params, NULL), MIRAI_E_OVERLOADED);
    assert_int_equal(chunk(f, &editor, upload, 0, "x"), 0);
    assert_int_equal(commit(f, &editor, upload, NULL), 0);
    assert_int_equal(CALL(f, &editor, upload_begin, &params, NULL), 0);
}

static void attachments_are_as_hidden_as_their_article(void **state)
{
    struct fixture *f = *state;
    struct mirai_article_create params = new_article("Hidden");
    struct mirai_article hidden, open = create(f, &editor, "Open");
    struct mirai_attachment_ref ref = {0};
    struct mirai_by_id id = {0};
    mirai_set(article_create, &params, visibility, MIRAI_VISIBILITY_PRIVATE);
    assert_int_equal(CALL(f, &editor, article_create, &params, &hidden), 0);
    struct mirai_attachment attachment = attach(f, hidden.id, "abc");
    assert_int_equal(read_part(f, &editor, hidden.id, attachment.id, 0, 3, NULL), 0);
    assert_int_equal(read_part(f, &member, hidden.id, attachment.id, 0, 3, NULL), MIRAI_E_NOT_FOUND);
    assert_int_equal(read_part(f, &member, open.id, attachment.id, 0, 3, NULL), MIRAI_E_NOT_FOUND);
    mirai_set(attachment_ref, &ref, id, hidden.id);
    mirai_set(attachment_ref, &ref, attachment_id, attachment.id);
    assert_int_equal(CALL(f, &member, attachment_get, &ref, NULL), MIRAI_E_NOT_FOUND);
    assert_int_equal(detach(f, &member, hidden.id, attachment.id), MIRAI_E_NOT_FOUND);
    assert_int_equal(detach(f, &member, open.id, attachment.id), MIRAI_E_NOT_FOUND);
    mirai_set(by_id, &id, id, hidden.id);
    assert_int_equal(CALL(f, &member, attachment_list, &id, NULL), MIRAI_E_NOT_FOUND);
    struct mirai_attachment_read by_hash = {0};
    mirai_set(attachment_read, &by_hash, sha256, abc_hash);
    mirai_set(attachment_read, &by_hash, offset, 0);
    mirai_set(attachment_read, &by_hash, length, 3);
    assert_int_equal(CALL(f, &admin, attachment_read, &by_hash, NULL), MIRAI_E_FORBIDDEN);
    assert_int_equal(CALL(f, &daemon_, attachment_read, &by_hash, NULL), 0);
}

static void viewers_attach_nothing(void **state)
{
    struct fixture *f = *state;
    struct mirai_article article = create(f, &editor, "With a file");
    struct mirai_upload_begin params = new_upload(article.id, "a", 1);
    struct mirai_attachment attachment = attach(f, article.id, "abc");
    assert_int_equal(CALL(f, &viewer, upload_begin, &params, NULL), MIRAI_E_FORBIDDEN);
    assert_int_equal(detach(f, &viewer, article.id, attachment.id), MIRAI_E_FORBIDDEN);
}

static void a_shared_content_lives_as_long_as_its_last_row(void **state)
{
    struct fixture *f = *state;
    struct mirai_article one = create(f, &editor, "One"), two = create(f, &editor, "Two");
    struct mirai_attachment first = attach(f, one.id, "abc"), second = attach(f, two.id, "abc");
    assert_int_equal(detach(f, &editor, one.id, first.id), 0);
    settle(f);
    assert_true(content_exists(f, abc_hash));
    assert_int_equal(read_part(f, &viewer, two.id, second.id, 0, 3, NULL), 0);
    assert_int_equal(detach(f, &editor, two.id, second.id), 0);
    settle(f);
    assert_false(content_exists(f, abc_hash));
}

static void purging_an_article_removes_its_contents(void **state)
{
    struct fixture *f = *state;
    struct mirai_article article = create(f, &editor, "One");
    struct mirai_by_id id = {0};
    attach(f, article.id, "abc");
    mirai_set(by_id, &id, id, article.id);
    assert_int_equal(delete_article(f, &editor, article.id), 0);
    settle(f);
    assert_true(content_exists(f, abc_hash)); /* the bin keeps it */
    assert_int_equal(CALL(f, &admin, article_purge, &id, NULL), 0);
    settle(f);
    assert_false(content_exists(f, abc_hash));
}

/* Many deletions and uploads of one content in the same groups: while a row names it, it is there. */
static void removal_never_races_with_a_commit(void **state)
{
    struct fixture *f = *state;
    struct mirai_article article = create(f, &editor, "Busy");
    struct mirai_attachment kept = attach(f, article.id, "abc");
    for (int round = 0; round < 30; round++) {
        struct mirai_str upload = begin(f, &editor, article.id, 3);
        struct mirai_upload_ref commit_params = {0};
        struct mirai_attachment_ref delete_params = {0};
        struct answer removed, committed;
        assert_int_equal(chunk(f, &editor, upload, 0, "abc"), 0);
        mirai_set(attachment_ref, &delete_params, id, article.id);
        mirai_set(attachment_ref, &delete_params, attachment_id, kept.id);
        mirai_set(upload_ref, &commit_params, upload, upload);
        send_call(f, &editor, "", MIRAI_METHOD_ID_attachment_delete, &delete_params, &removed);
        send_call(f, &editor, "", MIRAI_METHOD_ID_upload_commit, &commit_params, &committed);
        wait_for(f, &removed);
        wait_for(f, &committed);
        assert_int_equal(removed.status, 0);
        assert_int_equal(committed.status, 0);
        assert_int_equal(mirai_message_decode(&mirai_message_attachment, committed.result, MIRAI_EDGE,
                                              &f->arena, &kept, NULL),
                         0);
        settle(f);
        assert_true(content_exists(f, abc_hash));
        assert_int_equal(read_part(f, &viewer, article.id, kept.id, 0, 3, NULL), 0);
    }
}

static void a_start_collects_what_a_crash_left(void **state)
{
    struct fixture *f = *state;
    struct mirai_article article = create(f, &editor, "One");
    struct mirai_attachment attachment = attach(f, article.id, "abc");
    static const struct mirai_str orphan =
        MIRAI_STR("aa00000000000000000000000000000000000000000000000000000000000000");
    struct mirai_str upload = begin(f, &editor, article.id, 10);
    char path[256];
    snprintf(path, sizeof(path), "%s/attachments/aa", f->dir);
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(path, sizeof(path), "%s/attachments/aa/%s", f->dir, orphan.data);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    (void)fclose(file);
    assert_int_equal(chunk(f, &editor, upload, 0, "half"), 0);
    restart(f);
    settle(f);
    assert_false(content_exists(f, orphan));
    assert_true(content_exists(f, abc_hash));
    assert_int_equal(read_part(f, &viewer, article.id, attachment.id, 0, 3, NULL), 0);
    assert_int_equal(chunk(f, &editor, upload, 4, "more"), MIRAI_E_NOT_FOUND);
    snprintf(path, sizeof(path), "%s/uploads/%.*s", f->dir, MIRAI_STR_ARG(upload));
    assert_int_equal(access(path, F_OK), -1);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, fixture_open, fixture_close)
    const struct CMUnitTest tests[] = {
        TEST(arrives_in_chunks_and_is_read_in_parts),
        TEST(a_repeated_commit_with_a_key_is_answered_again),
        TEST(chunks_come_in_order_and_not_too_many),
        TEST(an_upload_belongs_to_who_began_it),
        TEST(hostile_names_and_sizes_are_refused),
        TEST(uploads_under_way_are_bounded),
        TEST(attachments_are_as_hidden_as_their_article),
        TEST(viewers_attach_nothing),
        TEST(a_shared_content_lives_as_long_as_its_last_row),
        TEST(purging_an_article_removes_its_contents),
        TEST(removal_never_races_with_a_commit),
        TEST(a_start_collects_what_a_crash_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
