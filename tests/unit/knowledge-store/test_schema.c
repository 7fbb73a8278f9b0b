#include "services/knowledge-store/schema.h"
#include "tests/unit/knowledge-store/accounts.h"

extern const char *const schema_migrations[];
extern const int schema_migrations_len;

/* A database as the first release left it. */
static void make_first_release(const char *path)
{
    struct db *db;
    assert_int_equal(db_open(path, DB_WRITE, &db), 0);
    assert_int_equal(db_begin_write(db), 0);
    assert_int_equal(db_run_script(db, schema_migrations[0]), 0);
    assert_int_equal(
        db_run_script(
            db,
            "INSERT INTO users (id, name, name_key, display_name, role, password_hash, disabled, created_at) "
            "VALUES"
            " (7, 'Tanaka', 'tanaka', '田中', 3, '$argon2id$hash', 0, 5), (8, 'x', 'x', '', 1, '', 1, 6);"
            "INSERT INTO tokens (id, sha256, user_id, name, kind, role, created_at, expires_at) VALUES"
            " (3, zeroblob(32), 7, 'login', 1, 3, 5, 4102444800000);"
            "INSERT INTO groups (id, name, created_at) VALUES (2, '情報', 0);"
            "INSERT INTO group_members (group_id, user_id) VALUES (2, 7);"
            "INSERT INTO articles (id, slug, title, type, status, owner_id, space_id, visibility, created_at,"
            " updated_at, version) VALUES (1, 'a', 'A', 0, 0, 7, 1, 0, 5, 5, 1);"
            "INSERT INTO revisions (article_id, version, created_at, title, type, status, body)"
            " VALUES (1, 1, 5, 'A', 0, 0, '本文');"
            "PRAGMA user_version = 1"),
        0);
    assert_int_equal(db_commit(db), 0);
    db_close(db);
}

static void data_of_the_first_release_stays(void **state)
{
    char dir[] = "/tmp/mirai-schema-XXXXXX", path[64], command[64];
    struct db *db;
    int64_t found;
    (void)state;
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/knowledge.db", dir);
    make_first_release(path);
    assert_int_equal(db_open(path, DB_WRITE, &db), 0);
    assert_int_equal(schema_migrate(db), 0);
    assert_int_equal(db_find_int(db, &found, "PRAGMA user_version"), 0);
    assert_int_equal(found, schema_migrations_len);
    static const char *const holds[] = {
        "SELECT 1 FROM users WHERE id = 7 AND name = 'Tanaka' AND password_hash = '$argon2id$hash' AND "
        "enabled"
        " AND source = 0 AND must_change_password = 0 AND session_epoch = 0 AND directory_name = ''",
        "SELECT 1 FROM users WHERE id = 8 AND NOT enabled",
        "SELECT 1 FROM tokens WHERE id = 3 AND user_id = 7 AND address = '' AND agent = ''",
        "SELECT 1 FROM groups g JOIN group_members m ON m.group_id = g.id WHERE g.name = '情報' AND"
        " g.directory = '' AND m.user_id = 7",
        "SELECT 1 FROM synonyms WHERE instr(terms, 'パソコン') > 0 AND note = ''",
        "SELECT 1 FROM articles a JOIN revisions r ON r.article_id = a.id WHERE a.owner_id = 7 AND r.body = "
        "'本文'",
    };
    for (size_t i = 0; i < sizeof(holds) / sizeof(holds[0]); i++) {
        assert_int_equal(db_find_int(db, &found, holds[i]), 0);
    }
    assert_int_equal(db_check(db), 0);
    assert_int_equal(db_run_script(db, "DELETE FROM synonyms WHERE id = 1"), 0);
    assert_int_equal(schema_migrate(db), 0); /* nothing left to do */
    assert_int_equal(db_find_int(db, &found, "SELECT id FROM synonyms WHERE id = 1"), MIRAI_E_NOT_FOUND);
    assert_int_equal(db_run_script(db, "PRAGMA user_version = 999"), 0);
    mirai_log_set_level(MIRAI_LOG_FATAL);
    assert_int_equal(schema_migrate(db), MIRAI_E_CONFLICT);
    db_close(db);
    snprintf(command, sizeof(command), "rm -rf '%s'", dir);
    assert_int_equal(system(command), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(data_of_the_first_release_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
