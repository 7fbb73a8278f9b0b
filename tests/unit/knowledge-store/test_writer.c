#include "tests/unit/knowledge-store/fixture.h"

static int64_t number(struct fixture *f, const char *sql)
{
    struct db *db;
    int64_t value = -1;
    assert_int_equal(db_open(f->store.db_path, DB_READ, &db), 0);
    assert_int_equal(db_find_int(db, &value, sql), 0);
    db_close(db);
    return value;
}

/* Writes that are sent at once share transactions; one that fails takes nothing of the others with it. */
static void one_failure_in_a_group_undoes_only_itself(void **state)
{
    struct fixture *f = *state;
    struct answer answers[60];
    uint64_t commits = f->store.metrics.commits->value;
    for (size_t i = 0; i < 60; i++) {
        static struct mirai_str tag_names[60];
        char text[32];
        struct mirai_article_create params = new_article("group");
        snprintf(text, sizeof(text), "tag%zu", i);
        tag_names[i] = mirai_arena_copy(&f->arena, mirai_str(text));
        mirai_set(article_create, &params, tags, ((struct mirai_strs){&tag_names[i], 1}));
        /* Every third fails late: its tag would already have been made. */
        mirai_set(article_create, &params, slug, i % 3 == 0 ? MIRAI_STR("same") : tag_names[i]);
        send_call(f, &editor, "", MIRAI_METHOD_ID_article_create, &params, &answers[i]);
    }
    for (size_t i = 0; i < 60; i++) {
        wait_for(f, &answers[i]);
        assert_int_equal(answers[i].status, i % 3 == 0 && i > 0 ? MIRAI_E_CONFLICT : 0);
    }
    assert_true(f->store.metrics.commits->value - commits < 60);
    assert_int_equal(number(f, "SELECT count(*) FROM articles"), 41);
    assert_int_equal(number(f, "SELECT count(*) FROM revisions"), 41);
    assert_int_equal(number(f, "SELECT count(*) FROM tags"), 41);
    assert_int_equal(number(f, "SELECT count(*) FROM changes"), 41);
    assert_int_equal(number(f, "SELECT count(*) FROM audit WHERE result = 'ok'"), 41);
    assert_int_equal(f->store.articles, 41);
    assert_int_equal(f->store.feed_seq, number(f, "SELECT max(seq) FROM changes"));
}

static void an_idempotency_key_answers_again(void **state)
{
    struct fixture *f = *state;
    struct mirai_article_create params = new_article("once");
    struct answer first = call_keyed(f, &editor, "k1", MIRAI_METHOD_ID_article_create, &params);
    struct answer again = call_keyed(f, &editor, "k1", MIRAI_METHOD_ID_article_create, &params);
    assert_int_equal(first.status, 0);
    assert_int_equal(again.status, 0);
    assert_true(mirai_str_eq(first.result, again.result));
    assert_int_equal(number(f, "SELECT count(*) FROM articles"), 1);
    assert_int_equal(number(f, "SELECT count(*) FROM audit"), 1);
    /* The key is the user's own. */
    assert_int_equal(call_keyed(f, &member, "k1", MIRAI_METHOD_ID_article_create, &params).status, 0);
    mirai_set(article_create, &params, title, MIRAI_STR("other"));
    assert_int_equal(call_keyed(f, &editor, "k1", MIRAI_METHOD_ID_article_create, &params).status,
                     MIRAI_E_CONFLICT);
    assert_int_equal(number(f, "SELECT count(*) FROM articles"), 2);
}

static void a_failed_write_leaves_its_key_free(void **state)
{
    struct fixture *f = *state;
    struct mirai_article_create params = new_article("x");
    mirai_set(article_create, &params, slug, MIRAI_STR("taken"));
    assert_int_equal(call_keyed(f, &editor, "", MIRAI_METHOD_ID_article_create, &params).status, 0);
    assert_int_equal(call_keyed(f, &editor, "k", MIRAI_METHOD_ID_article_create, &params).status,
                     MIRAI_E_CONFLICT);
    mirai_set(article_create, &params, slug, MIRAI_STR("free"));
    assert_int_equal(call_keyed(f, &editor, "k", MIRAI_METHOD_ID_article_create, &params).status, 0);
}

static void each_write_leaves_an_audit_row(void **state)
{
    struct fixture *f = *state;
    struct mirai_article made = create(f, &member, "audited");
    char sql[256];
    struct mirai_article_patch patch = {0};
    mirai_set(article_patch, &patch, id, made.id);
    mirai_set(article_patch, &patch, if_match, made.etag);
    mirai_set(article_patch, &patch, visibility, MIRAI_VISIBILITY_PRIVATE);
    assert_int_equal(CALL(f, &editor, article_patch, &patch, NULL), MIRAI_E_FORBIDDEN);
    snprintf(sql, sizeof(sql),
             "SELECT count(*) FROM audit WHERE action = 'article.create' AND object = 'article/%lld'"
             " AND user_id = 4 AND result = 'ok' AND address = '192.0.2.7' AND length(request_id) = 32",
             (long long)made.id);
    assert_int_equal(number(f, sql), 1);
    snprintf(sql, sizeof(sql),
             "SELECT count(*) FROM audit WHERE action = 'article.patch' AND object = 'article/%lld'"
             " AND user_id = 2 AND result = 'forbidden'",
             (long long)made.id);
    assert_int_equal(number(f, sql), 1);
}

/* The log is moved into the database by the writer between transactions; nobody else does it. */
static void the_writer_checkpoints(void **state)
{
    struct fixture *f = *state;
    static char body[200000];
    struct mirai_article_create params = new_article("large");
    memset(body, 'x', sizeof(body));
    mirai_set(article_create, &params, body, ((struct mirai_str){body, sizeof(body)}));
    uint64_t before = f->store.metrics.checkpoints->value;
    for (int i = 0; i < 50; i++) {
        assert_int_equal(CALL(f, &editor, article_create, &params, NULL), 0);
    }
    assert_true(f->store.metrics.checkpoints->value > before);
    assert_true(f->store.writer.wal_bytes < 8 << 20);
}

/* A reader that stays, such as a long copy, makes the log grow; writes wait for it now and then, not each time. */
static void a_large_log_does_not_slow_each_write(void **state)
{
    struct fixture *f = *state;
    static char body[900000];
    struct mirai_article_create params = new_article("large");
    struct db *reader;
    int64_t count;
    memset(body, 'x', sizeof(body));
    mirai_set(article_create, &params, body, ((struct mirai_str){body, sizeof(body)}));
    create(f, &editor, "first");
    assert_int_equal(db_open(f->store.db_path, DB_READ, &reader), 0);
    assert_int_equal(db_begin_read(reader), 0);
    assert_int_equal(db_find_int(reader, &count, "SELECT count(*) FROM articles"), 0);
    for (int i = 0; f->store.writer.wal_bytes <= 64 << 20; i++) {
        assert_true(i < 100);
        assert_int_equal(CALL(f, &editor, article_create, &params, NULL), 0);
    }
    create(f, &editor, "waits");
    uint64_t begin = mirai_monotonic_ms();
    for (int i = 0; i < 4; i++) {
        create(f, &editor, "does not");
    }
    assert_true(mirai_monotonic_ms() - begin < 1500); /* four waits are 2 s */
    assert_true(f->store.writer.wal_bytes > 64 << 20);
    db_rollback(reader);
    db_close(reader);
}

static void a_full_disk_fails_writes_and_nothing_else(void **state)
{
    struct fixture *f = *state;
    struct mirai_article made = create(f, &editor, "before");
    struct mirai_article_create params = new_article("too much");
    static char body[300000];
    memset(body, 'y', sizeof(body));
    mirai_set(article_create, &params, body, ((struct mirai_str){body, sizeof(body)}));
    /* SQLite's own limit of pages stands in for the disk's. */
    assert_int_equal(db_run_script(f->store.writer.db, "PRAGMA max_page_count = 1"), 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(CALL(f, &editor, article_create, &params, NULL), MIRAI_E_NO_SPACE);
        assert_int_equal(get(f, &viewer, made.id, NULL), 0);
    }
    assert_int_equal(number(f, "SELECT count(*) FROM articles"), 1);
    assert_int_equal(number(f, "SELECT count(*) FROM changes"), 1);
    assert_int_equal(db_run_script(f->store.writer.db, "PRAGMA max_page_count = 1073741823"), 0);
    assert_int_equal(CALL(f, &editor, article_create, &params, NULL), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_open, fixture_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(one_failure_in_a_group_undoes_only_itself),
        TEST(an_idempotency_key_answers_again),
        TEST(a_failed_write_leaves_its_key_free),
        TEST(each_write_leaves_an_audit_row),
        TEST(the_writer_checkpoints),
        TEST(a_large_log_does_not_slow_each_write),
        TEST(a_full_disk_fails_writes_and_nothing_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
