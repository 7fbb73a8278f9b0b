#include "libcommon/stamps.h"

#include "libcommon/rpc_peers.h"
#include "libcommon/service.h"
#include "libcommon/time.h"
#include "tests/unit/libcommon/test.h"

#include <pthread.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[64];
static char path[128];

static int open_dir(void **state)
{
    (void)state;
    snprintf(dir, sizeof(dir), "/tmp/mirai-stamps-XXXXXX");
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/store@1.stamps", dir);
    return 0;
}

static int remove_dir(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(dir);
}

static void nothing_is_published_yet(void **state)
{
    (void)state;
    assert_null(mirai_stamps_open(path));
    FILE *file = fopen(path, "w"); /* of another version, or not yet finished */
    assert_non_null(file);
    assert_int_equal(fwrite("old", 1, 3, file), 3);
    fclose(file);
    assert_null(mirai_stamps_open(path));
    assert_int_equal(truncate(path, 1 << 20), 0);
    assert_null(mirai_stamps_open(path));
    unlink(path);
    assert_int_equal(symlink("/etc/passwd", path), 0); /* never followed */
    assert_null(mirai_stamps_open(path));
    assert_null(mirai_stamps_publish(path));
}

static void a_bump_is_seen_by_the_object_alone(void **state)
{
    struct mirai_stamps *publisher = mirai_stamps_publish(path), *reader = mirai_stamps_open(path);
    (void)state;
    assert_non_null(publisher);
    assert_non_null(reader);
    uint64_t one = mirai_stamps_read(reader, 1), two = mirai_stamps_read(reader, 2);
    assert_int_equal(mirai_stamps_read(reader, 1), one);
    mirai_stamps_bump(publisher, 1);
    assert_true(mirai_stamps_read(reader, 1) != one);
    assert_int_equal(mirai_stamps_read(reader, 2), two);
    mirai_stamps_bump_all(publisher);
    assert_true(mirai_stamps_read(reader, 2) != two);
    mirai_stamps_close(reader);
    mirai_stamps_close(publisher);
}

static void stamps_never_come_back(void **state)
{
    struct mirai_stamps *publisher = mirai_stamps_publish(path), *reader = mirai_stamps_open(path);
    uint64_t before = mirai_stamps_read(reader, 7);
    (void)state;
    for (int i = 0; i < 1000; i++) {
        if (i % 3 == 0) {
            mirai_stamps_bump_all(publisher);
        } else {
            mirai_stamps_bump(publisher, 7);
        }
        uint64_t now = mirai_stamps_read(reader, 7);
        assert_true(now > before);
        before = now;
    }
    mirai_stamps_close(reader);
    mirai_stamps_close(publisher);
}

static void the_lease_ends(void **state)
{
    struct mirai_stamps *publisher = mirai_stamps_publish(path), *reader = mirai_stamps_open(path);
    uint64_t now = mirai_monotonic_ms();
    (void)state;
    mirai_stamps_beat(publisher, now);
    assert_true(mirai_stamps_alive(reader, now));
    assert_true(mirai_stamps_alive(reader, now + MIRAI_STAMPS_LEASE_MS - 1));
    assert_true(mirai_stamps_alive(reader, now - 1)); /* a request that began before the beat */
    assert_false(mirai_stamps_alive(reader, now + MIRAI_STAMPS_LEASE_MS));
    mirai_stamps_beat(publisher, now + 3600000); /* left by the machine's life before this one */
    assert_false(mirai_stamps_alive(reader, now));
    mirai_stamps_beat(publisher, now);
    assert_true(mirai_stamps_alive(reader, now));
    mirai_stamps_close(publisher); /* a clean end tells at once */
    assert_false(mirai_stamps_alive(reader, now));
    mirai_stamps_close(reader);
}

static void a_new_publisher_goes_on_with_the_readers_it_finds(void **state)
{
    struct mirai_stamps *first = mirai_stamps_publish(path), *reader = mirai_stamps_open(path);
    uint64_t before = mirai_stamps_read(reader, 3);
    (void)state;
    struct mirai_stamps *second = mirai_stamps_publish(path); /* the first was killed: it ended nothing */
    assert_non_null(second);
    assert_true(mirai_stamps_read(reader, 3) > before);
    before = mirai_stamps_read(reader, 3);
    mirai_stamps_bump(second, 3);
    assert_true(mirai_stamps_read(reader, 3) > before);
    assert_true(mirai_stamps_alive(reader, mirai_monotonic_ms()));
    mirai_stamps_close(first);
    mirai_stamps_close(second);
    mirai_stamps_close(reader);
}

static void others_may_not_read_it(void **state)
{
    struct stat found;
    struct mirai_stamps *publisher = mirai_stamps_publish(path);
    (void)state;
    assert_int_equal(stat(path, &found), 0);
    assert_int_equal(found.st_mode & 0027, 0);
    mirai_stamps_close(publisher);
    mirai_stamps_close(NULL);
}

/* A version and its stamp as store and gateway use them: what was read under a stamp that still stands is new. */
struct race {
    struct mirai_stamps *publisher, *reader;
    _Atomic uint64_t version;      /* the database */
    _Atomic uint64_t acknowledged; /* newest version that a client was told of */
    _Atomic bool done;
};

static void *write_versions(void *data)
{
    struct race *race = data;
    for (uint64_t i = 1; i <= 20000; i++) {
        race->version = i;
        mirai_stamps_bump(race->publisher, 9);
        race->acknowledged = i;
    }
    race->done = true;
    return NULL;
}

static void what_is_kept_is_never_older_than_what_was_acknowledged(void **state)
{
    struct race race = {.publisher = mirai_stamps_publish(path), .reader = mirai_stamps_open(path)};
    pthread_t writer;
    uint64_t kept = 0, stamp = mirai_stamps_read(race.reader, 9);
    (void)state;
    assert_int_equal(pthread_create(&writer, NULL, write_versions, &race), 0);
    while (!race.done) {
        uint64_t acknowledged = race.acknowledged;
        uint64_t now = mirai_stamps_read(race.reader, 9);
        if (now == stamp) {
            assert_true(kept >= acknowledged);
        }
        stamp = now; /* read before the version is */
        kept = race.version;
    }
    pthread_join(writer, NULL);
    mirai_stamps_close(race.reader);
    mirai_stamps_close(race.publisher);
}

/* Only the daemon that the file is named after is believed, and it writes into no file of others. */
static void the_owner_counts(void **state)
{
    static const struct mirai_peer table[] = {
        {.name = "store", .user = "daemon"}, {.name = "other", .user = "games"}, {.name = NULL}};
    (void)state;
    if (geteuid() != 0) {
        skip();
    }
    assert_int_equal(mirai_service_secure(table, stderr), 0);
    struct mirai_stamps *publisher = mirai_stamps_publish(path), *reader = mirai_stamps_open(path);
    assert_non_null(reader); /* our own */
    mirai_stamps_close(reader);
    assert_int_equal(chown(path, getpwnam("daemon")->pw_uid, (gid_t)-1), 0);
    reader = mirai_stamps_open(path);
    assert_non_null(reader); /* the store's */
    mirai_stamps_close(reader);
    assert_int_equal(chown(path, getpwnam("games")->pw_uid, (gid_t)-1), 0);
    assert_null(mirai_stamps_open(path)); /* another daemon's */
    assert_int_equal(chown(path, getpwnam("mail")->pw_uid, (gid_t)-1), 0);
    assert_null(mirai_stamps_open(path)); /* a stranger's */
    mirai_stamps_close(publisher);
    assert_null(mirai_stamps_publish(path));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_dir, remove_dir)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nothing_is_published_yet),
        TEST(a_bump_is_seen_by_the_object_alone),
        TEST(stamps_never_come_back),
        TEST(the_lease_ends),
        TEST(a_new_publisher_goes_on_with_the_readers_it_finds),
        TEST(others_may_not_read_it),
        TEST(the_owner_counts),
        TEST(what_is_kept_is_never_older_than_what_was_acknowledged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
