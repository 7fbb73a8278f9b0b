/* The data directory: one store at a time, and a prepared database in the place of the present one. */
#include "tests/unit/knowledge-store/fixture.h"

#include <sys/stat.h>

static void write_file(const struct fixture *f, const char *name, const char *text)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/%s", f->dir, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static bool exists(const struct fixture *f, const char *name)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/%s", f->dir, name);
    return access(path, F_OK) == 0;
}

static void make_directory(const struct fixture *f, const char *name)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/%s", f->dir, name);
    assert_int_equal(mkdir(path, 0700), 0);
}

/* It touches nothing: neither uploads under way nor a restore that waits. */
static void a_second_store_leaves_the_directory_alone(void **state)
{
    struct fixture *f = *state;
    static struct store second;
    make_directory(f, "restore");
    write_file(f, "restore/READY", "");
    write_file(f, "restore/knowledge.db", "not yet");
    write_file(f, "uploads/under-way", "");
    mirai_log_set_level(MIRAI_LOG_FATAL);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(store_open(&second, f->dir), MIRAI_E_CONFLICT);
    }
    assert_true(exists(f, "restore/knowledge.db"));
    assert_true(exists(f, "uploads/under-way"));
    create(f, &editor, "goes on");
}

static void the_directory_is_free_after_the_end(void **state)
{
    struct fixture *f = *state;
    create(f, &editor, "stays");
    restart(f);
    restart(f);
    assert_int_equal(f->store.articles, 1);
}

static void run(const struct fixture *f, const char *command)
{
    char whole[512];
    snprintf(whole, sizeof(whole), "cd '%s' && %s", f->dir, command);
    assert_int_equal(system(whole), 0);
}

static int read_attachment(struct fixture *f, const struct mirai_attachment *attachment)
{
    struct mirai_attachment_read params = {0};
    mirai_set(attachment_read, &params, id, attachment->article_id);
    mirai_set(attachment_read, &params, attachment_id, attachment->id);
    mirai_set(attachment_read, &params, offset, 0);
    mirai_set(attachment_read, &params, length, 100);
    return CALL(f, &viewer, attachment_read, &params, NULL);
}

/* As after a kill: what was committed is in the log only. */
static void leave_log(const struct fixture *f, const char *sql)
{
    char path[128];
    struct db *db;
    snprintf(path, sizeof(path), "%s/knowledge.db", f->dir);
    assert_int_equal(db_open(path, DB_WRITE, &db), 0);
    assert_int_equal(db_run_script(db, sql), 0);
    db_close(db);
    run(f, "test -s knowledge.db-wal");
}

/* What was there before a restore is laid aside whole: the restored database does not name the newer content,
 * and still there is a way back to it. */
static void a_restore_can_be_undone(void **state)
{
    struct fixture *f = *state;
    struct mirai_article article = create(f, &editor, "first");
    struct mirai_attachment old = attach(f, article.id, "old");
    fixture_stop(f);
    run(f, "mkdir backup && cp -r knowledge.db attachments backup");
    fixture_start(f);
    struct mirai_attachment newer = attach(f, article.id, "newer");
    fixture_stop(f);
    leave_log(f, "UPDATE articles SET title = 'in the log'");
    run(f, "mv backup restore && touch restore/READY");
    fixture_start(f);
    settle(f);
    assert_int_equal(read_attachment(f, &old), 0);
    assert_int_equal(read_attachment(f, &newer), MIRAI_E_NOT_FOUND);
    assert_false(exists(f, "restore"));
    restart(f);
    settle(f);
    fixture_stop(f);
    run(f, "! grep -rqs newer attachments && grep -rqs newer before-restore-*/attachments");
    run(f, "mv before-restore-* restore && touch restore/READY");
    fixture_start(f);
    settle(f);
    assert_int_equal(read_attachment(f, &old), 0);
    assert_int_equal(read_attachment(f, &newer), 0);
    assert_int_equal(get(f, &viewer, article.id, &article), 0);
    assert_text(article.title, "in the log");
    assert_false(exists(f, "restore"));
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, fixture_open, fixture_close)
    const struct CMUnitTest tests[] = {
        TEST(a_second_store_leaves_the_directory_alone),
        TEST(the_directory_is_free_after_the_end),
        TEST(a_restore_can_be_undone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
