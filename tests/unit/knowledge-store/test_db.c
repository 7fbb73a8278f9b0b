/* The write-ahead log and those who read while it is moved into the database. */
#include "tests/unit/knowledge-store/fixture.h"

#include <pthread.h>
#include <time.h>

static void sleep_ms(long ms)
{
    nanosleep(&(struct timespec){.tv_nsec = ms * 1000000}, NULL);
}

static void fill(struct db *db)
{
    assert_int_equal(db_exec(db, "INSERT INTO t (x) VALUES (randomblob(100000))"), 0);
}

static int directory_open(void **state)
{
    static char dir[32];
    snprintf(dir, sizeof(dir), "/tmp/mirai-db-XXXXXX");
    mirai_log_set_level(MIRAI_LOG_ERROR);
    *state = mkdtemp(dir);
    return *state == NULL;
}

static int directory_close(void **state)
{
    char command[64];
    snprintf(command, sizeof(command), "rm -rf '%s'", (const char *)*state);
    return system(command);
}

static struct db *open_filled(const char *dir, char path[64])
{
    struct db *db;
    snprintf(path, 64, "%s/test.db", dir);
    assert_int_equal(db_open(path, DB_WRITE, &db), 0);
    assert_int_equal(db_run_script(db, "CREATE TABLE t (id INTEGER PRIMARY KEY, x BLOB)"), 0);
    fill(db);
    return db;
}

static struct db *open_reading(const char *path)
{
    struct db *db;
    int64_t count;
    assert_int_equal(db_open(path, DB_READ, &db), 0);
    assert_int_equal(db_begin_read(db), 0);
    assert_int_equal(db_find_int(db, &count, "SELECT count(*) FROM t"), 0);
    return db;
}

struct reading {
    const char *path;
    long phase_ms;
    _Atomic bool stop, failed;
    _Atomic int begun;
};

static void *read_on(void *data)
{
    struct reading *reading = data;
    struct db *db;
    int64_t count;
    if (db_open(reading->path, DB_READ, &db) != 0) {
        reading->failed = true;
        return NULL;
    }
    sleep_ms(reading->phase_ms);
    while (!reading->stop) {
        bool fine = db_begin_read(db) == 0 && db_find_int(db, &count, "SELECT count(*) FROM t") == 0;
        reading->begun++;
        sleep_ms(40);
        fine = db_commit(db) == 0 && fine;
        reading->failed = reading->failed || !fine;
    }
    db_close(db);
    return NULL;
}

/* At each instant one of two reads: there is never a gap, and yet the log starts anew. */
static void the_log_is_cut_under_overlapping_readers(void **state)
{
    char path[64];
    struct db *db = open_filled(*state, path);
    struct reading readings[2] = {{.path = path}, {.path = path, .phase_ms = 20}};
    pthread_t threads[2];
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, read_on, &readings[i]), 0);
    }
    while (readings[0].begun == 0 || readings[1].begun == 0) {
        sleep_ms(1);
    }
    for (int i = 0; i < 5; i++) {
        fill(db);
        assert_true(db_wal_bytes(db) > 100000);
        assert_int_equal(db_checkpoint(db, DB_CHECKPOINT_TRUNCATE, 5000), 0);
        assert_int_equal(db_wal_bytes(db), 0);
    }
    for (size_t i = 0; i < 2; i++) {
        readings[i].stop = true;
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_false(readings[i].failed);
    }
    db_close(db);
}

static void a_reader_that_stays_is_not_waited_for_long(void **state)
{
    char path[64];
    struct db *db = open_filled(*state, path);
    struct db *reader = open_reading(path);
    fill(db);
    uint64_t begin = mirai_monotonic_ms();
    assert_int_equal(db_checkpoint(db, DB_CHECKPOINT_PASSIVE, 5000), MIRAI_E_CONFLICT);
    assert_true(mirai_monotonic_ms() - begin < 2000);
    assert_int_equal(db_checkpoint(db, DB_CHECKPOINT_TRUNCATE, 100), MIRAI_E_CONFLICT);
    assert_true(mirai_monotonic_ms() - begin < 4000);
    fill(db); /* it holds up nothing else */
    db_rollback(reader);
    assert_int_equal(db_checkpoint(db, DB_CHECKPOINT_TRUNCATE, 100), 0);
    db_close(reader);
    db_close(db);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_log_is_cut_under_overlapping_readers, directory_open,
                                        directory_close),
        cmocka_unit_test_setup_teardown(a_reader_that_stays_is_not_waited_for_long, directory_open,
                                        directory_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
