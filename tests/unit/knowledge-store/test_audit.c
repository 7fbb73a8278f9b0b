/* The audit log as it is written: chained, append-only, signed. (Writes and their rows: test_writer.c.) */
#include "proto/audit_chain.h"
#include "tests/unit/knowledge-store/fixture.h"

#include <sodium.h>
#include <sys/stat.h>

extern const char *const schema_migrations[];

static int64_t number(struct fixture *f, const char *sql)
{
    struct db *db;
    int64_t value = -1;
    assert_int_equal(db_open(f->store.db_path, DB_READ, &db), 0);
    assert_int_equal(db_find_int(db, &value, sql), 0);
    db_close(db);
    return value;
}

/* Walk the whole log as a stranger would; the number of its rows. */
static int64_t check_chain(struct fixture *f)
{
    unsigned char previous[MIRAI_AUDIT_HASH_SIZE] = {0};
    struct mirai_audit_export params = {0};
    struct mirai_audit_rows rows;
    struct mirai_buf scratch = {0};
    int64_t count = 0;
    mirai_set(audit_export, &params, limit, 7);
    do {
        assert_int_equal(CALL(f, &admin, audit_export, &params, &rows), 0);
        for (size_t i = 0; i < rows.items.count; i++) {
            const struct mirai_audit_entry *entry = &MIRAI_ITEMS(audit_entry, &rows.items)[i];
            unsigned char hash[MIRAI_AUDIT_HASH_SIZE], stored[MIRAI_AUDIT_HASH_SIZE];
            assert_int_equal(entry->id, ++count);
            mirai_audit_hash(hash, previous, entry, &scratch);
            assert_int_equal(mirai_unhex(stored, sizeof(stored), entry->hash), 0);
            assert_memory_equal(hash, stored, sizeof(hash));
            memcpy(previous, hash, sizeof(previous));
        }
        mirai_set(audit_export, &params, after_id, count);
    } while (rows.items.count == 7);
    mirai_buf_free(&scratch);
    return count;
}

static void rows_are_chained_over_failures_and_restarts(void **state)
{
    struct fixture *f = *state;
    struct answer answers[40];
    struct mirai_article_create params[40];
    for (size_t i = 0; i < 40; i++) { /* one group: some fail after their row was written down */
        params[i] = new_article("chained");
        mirai_set(article_create, &params[i], slug,
                  i % 3 == 0 ? MIRAI_STR("same") : mirai_arena_printf(&f->arena, "slug%zu", i));
        send_call(f, i % 5 == 0 ? &viewer : &editor, "", MIRAI_METHOD_ID_article_create, &params[i],
                  &answers[i]);
    }
    for (size_t i = 0; i < 40; i++) {
        wait_for(f, &answers[i]);
    }
    int64_t rows = check_chain(f);
    assert_true(rows > 15);
    restart(f);
    assert_int_equal(check_chain(f), rows);
    create(f, &member, "後から 🗾");
    assert_int_equal(check_chain(f), rows + 1);
}

static void nothing_is_changed_or_deleted(void **state)
{
    struct fixture *f = *state;
    struct db *db;
    create(f, &editor, "kept");
    mirai_log_set_level(MIRAI_LOG_FATAL);
    assert_int_equal(db_open(f->store.db_path, DB_WRITE, &db), 0);
    assert_int_not_equal(db_exec(db, "UPDATE audit SET user_id = 9"), 0);
    assert_int_not_equal(db_exec(db, "DELETE FROM audit"), 0);
    db_close(db);
    mirai_log_set_level(MIRAI_LOG_ERROR);
    assert_int_equal(number(f, "SELECT count(*) FROM audit WHERE user_id = 2"), 1);
}

/* A database of the first schema, whose rows had no chain. */
static void old_rows_are_chained_at_the_start(void **state)
{
    struct fixture *f = *state;
    char path[256];
    struct db *db;
    fixture_stop(f);
    snprintf(path, sizeof(path), "%s/knowledge.db", f->dir);
    unlink(path);
    assert_int_equal(db_open(path, DB_WRITE, &db), 0);
    assert_int_equal(db_run_script(db, schema_migrations[0]), 0);
    assert_int_equal(
        db_run_script(db, "PRAGMA user_version = 1;"
                          "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 12000)"
                          "INSERT INTO audit (at, user_id, action, object, result, address, request_id) "
                          "SELECT 1000 + i, i % 5, 'article.patch', 'article/' || i, 'ok', '2001:db8::1', '' "
                          "FROM n"),
        0);
    db_close(db);
    fixture_start(f);
    make_people(f);
    assert_int_equal(check_chain(f), 12000);
    assert_int_equal(number(f, "SELECT count(*) FROM sqlite_schema WHERE name = 'audit_unchained'"), 0);
    assert_int_equal(
        number(f, "SELECT count(*) FROM audit WHERE object = 'article/' || id AND at = 1000 + id"), 12000);
    create(f, &editor, "next");
    assert_int_equal(check_chain(f), 12001);
}

/* As a crash between two batches leaves it: some rows have moved, the rest has not. */
static void chaining_goes_on_after_a_crash(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 3; i++) {
        create(f, &editor, "moved");
    }
    fixture_stop(f);
    struct db *db;
    char path[256];
    snprintf(path, sizeof(path), "%s/knowledge.db", f->dir);
    assert_int_equal(db_open(path, DB_WRITE, &db), 0);
    assert_int_equal(
        db_run_script(
            db,
            "CREATE TABLE audit_unchained (id INTEGER PRIMARY KEY, at INTEGER, user_id INTEGER, action TEXT, "
            "object TEXT, result TEXT, address TEXT, request_id TEXT);"
            "INSERT INTO audit_unchained VALUES (4, 5, 6, 'tag.create', 'tag/1', 'ok', '', ''),"
            " (5, 6, -1, 'tag.delete', 'tag/1', 'forbidden', '', '')"),
        0);
    db_close(db);
    fixture_start(f);
    assert_int_equal(check_chain(f), 5);
    assert_int_equal(number(f, "SELECT count(*) FROM sqlite_schema WHERE name = 'audit_unchained'"), 0);
}

static void notes_of_daemons_are_bounded(void **state)
{
    struct fixture *f = *state;
    enum { NOTES = 3 * AUDIT_NOTES_MAX };
    static struct answer answers[NOTES];
    struct mirai_audit_note note = {0};
    mirai_set(audit_note, &note, action, MIRAI_STR("auth.login"));
    mirai_set(audit_note, &note, result, MIRAI_STR("directory-disabled"));
    mirai_set(audit_note, &note, name, MIRAI_STR("ＣＯＲＰ\\山田"));
    mirai_set(audit_note, &note, count, 3);
    assert_int_equal(CALL(f, &admin, audit_append, &note, NULL), MIRAI_E_FORBIDDEN);
    for (size_t i = 0; i < NOTES; i++) {
        send_call(f, &daemon_, "", MIRAI_METHOD_ID_audit_append, &note, &answers[i]);
    }
    for (size_t i = 0; i < NOTES; i++) {
        wait_for(f, &answers[i]);
        assert_int_equal(answers[i].status, 0);
    }
    restart(f); /* what was summed is written by the stop at the latest */
    int64_t taken = number(f, "SELECT count(*) FROM audit WHERE name = 'ＣＯＲＰ\\山田' AND count = 3 "
                              "AND result = 'directory-disabled' AND address = '192.0.2.7'");
    assert_in_range(taken, AUDIT_NOTES_MAX, NOTES - 1); /* the burst may have met a new second */
    assert_int_equal(number(f, "SELECT sum(count) FROM audit WHERE action = 'audit.append'"),
                     3 * (NOTES - taken));
    check_chain(f);
}

static void the_head_is_signed_at_the_end(void **state)
{
    struct fixture *f = *state;
    struct mirai_page_request request = {0};
    struct mirai_audit_head_page page;
    struct mirai_audit_signer key;
    struct mirai_audit_head last;
    struct stat status;
    char path[256];
    create(f, &editor, "one");
    restart(f);
    create(f, &editor, "two");
    restart(f);
    restart(f); /* nothing new */
    assert_int_equal(CALL(f, &viewer, audit_heads, &request, NULL), MIRAI_E_FORBIDDEN);
    assert_int_equal(CALL(f, &admin, audit_heads, &request, &page), 0);
    assert_int_equal(CALL(f, &admin, audit_key, NULL, &key), 0);
    assert_int_equal(page.items.count, 2);
    for (size_t i = 0; i < 2; i++) {
        const struct mirai_audit_head *head = &MIRAI_ITEMS(audit_head, &page.items)[i];
        assert_int_equal(head->id, 2 - i);
        assert_true(mirai_audit_head_valid(head));
        assert_true(mirai_str_eq(head->signer, key.signer));
        assert_text(head->epoch, f->store.epoch);
    }
    assert_true(audit_heads_read_last(&f->store, &f->arena, &last));
    assert_int_equal(last.id, 2);
    snprintf(path, sizeof(path), "%s/audit.key", f->dir);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
    assert_int_equal(number(f, "SELECT count(*) FROM audit_heads"), 2);
}

static void a_key_that_others_may_read_is_refused(void **state)
{
    struct fixture *f = *state;
    char path[256];
    fixture_stop(f);
    snprintf(path, sizeof(path), "%s/audit.key", f->dir);
    assert_int_equal(chmod(path, 0644), 0);
    mirai_log_set_level(MIRAI_LOG_FATAL);
    assert_int_not_equal(store_open(&f->store, f->dir), 0);
    memset(&f->store, 0, sizeof(f->store));
    assert_int_equal(chmod(path, 0600), 0);
    assert_int_equal(truncate(path, 10), 0);
    assert_int_not_equal(store_open(&f->store, f->dir), 0);
    memset(&f->store, 0, sizeof(f->store));
    mirai_log_set_level(MIRAI_LOG_ERROR);
    unlink(path);
    fixture_start(f);
}

static void filters(void **state)
{
    struct fixture *f = *state;
    struct mirai_audit_list list = {0};
    struct mirai_audit_page page;
    struct mirai_article made = create(f, &editor, "filtered");
    create(f, &editor, "other");
    mirai_set(audit_list, &list, object, mirai_arena_printf(&f->arena, "article/%lld", (long long)made.id));
    assert_int_equal(CALL(f, &admin, audit_list, &list, &page), 0);
    assert_int_equal(page.items.count, 1);
    const struct mirai_audit_entry *entry = MIRAI_ITEMS(audit_entry, &page.items);
    assert_int_equal(entry->hash.len, 64);
    assert_text(entry->epoch, f->store.epoch);
    assert_false(mirai_has(audit_entry, entry, count));
    list = (struct mirai_audit_list){0};
    mirai_set(audit_list, &list, result, MIRAI_STR("forbidden"));
    assert_int_equal(CALL(f, &admin, audit_list, &list, &page), 0);
    assert_int_equal(page.items.count, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_open, fixture_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(rows_are_chained_over_failures_and_restarts),
        TEST(nothing_is_changed_or_deleted),
        TEST(old_rows_are_chained_at_the_start),
        TEST(chaining_goes_on_after_a_crash),
        TEST(notes_of_daemons_are_bounded),
        TEST(the_head_is_signed_at_the_end),
        TEST(a_key_that_others_may_read_is_refused),
        TEST(filters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
