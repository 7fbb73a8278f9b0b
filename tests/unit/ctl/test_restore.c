/* Laying a snapshot ready, handing it to a store of this test's own, and taking it back. */
#include "services/ctl/restore.h"

#include "libcommon/config.h"
#include "libcommon/log.h"
#include "libcommon/time.h"
#include "services/ctl/commands.h"
#include "tests/unit/libcommon/test.h"

#include <fcntl.h>
#include <sodium.h>
#include <sys/file.h>
#include <unistd.h>

#define SNAPSHOT "20260131T030000.000Z-daily"
#define WAIT_MS  300

/* What store.restart does. */
enum answer {
    OBEY,   /* takes what lies ready and comes back with another epoch */
    REFUSE, /* answers that it is overloaded */
    VANISH, /* is gone before it answers */
    RETURN, /* the same, but it has taken what lay ready, and comes back */
};

static struct stage {
    char dir[64];
    char url[128];
    struct ctl ctl;
    struct mirai_rpc_server *server;
    struct mirai_rpc_request *unanswered;
    uv_timer_t later;
    enum answer answer;
    const char *epoch;
    bool overloaded; /* in all it is asked */
} stage;

static const char *path_of(const char *name)
{
    static char path[2][256];
    static int next;
    next = !next;
    snprintf(path[next], sizeof(path[next]), "%s/%s", stage.dir, name);
    return path[next];
}

static bool exists(const char *name)
{
    return access(path_of(name), F_OK) == 0;
}

static void shell(const char *format)
{
    char command[600];
    snprintf(command, sizeof(command), format, stage.dir);
    assert_int_equal(system(command), 0);
}

static void put_file(const char *name, const char *content)
{
    FILE *file = fopen(path_of(name), "w");
    assert_non_null(file);
    fputs(content, file);
    fclose(file);
}

static void content_is(const char *name, const char *content)
{
    char bytes[100] = "";
    FILE *file = fopen(path_of(name), "r");
    assert_non_null(file);
    bytes[fread(bytes, 1, sizeof(bytes) - 1, file)] = '\0';
    fclose(file);
    assert_string_equal(bytes, content);
}

/* ------------------------------------------------------------------ the store */

static void open_store(void);

static void close_store(void)
{
    if (stage.server != NULL) {
        mirai_rpc_server_free(stage.server);
        stage.server = NULL;
        unlink(stage.url + strlen("ipc://"));
    }
}

static void take(void)
{
    shell("mv %1$s/data/restore/knowledge.db %1$s/data/knowledge.db && rm -r %1$s/data/restore");
    stage.epoch = "two";
}

static void on_later(uv_timer_t *timer)
{
    (void)timer;
    close_store();
    if (stage.answer == RETURN) {
        take();
        open_store();
    }
}

static void store_restart(struct mirai_rpc_request *request)
{
    switch (stage.answer) {
    case OBEY:
        take();
        mirai_reply_message(request, &mirai_message_empty, &(struct mirai_empty){0});
        break;
    case REFUSE:
        mirai_rpc_fail(request, MIRAI_E_OVERLOADED, NULL);
        break;
    case VANISH:
    case RETURN:
        stage.unanswered = request;
        uv_timer_start(&stage.later, on_later, 0, 0);
        break;
    }
}

static void changes_since(struct mirai_rpc_request *request)
{
    struct mirai_changes page = {0};
    if (stage.overloaded) {
        mirai_rpc_fail(request, MIRAI_E_OVERLOADED, NULL);
        return;
    }
    mirai_set(changes, &page, epoch, mirai_str(stage.epoch));
    mirai_set(changes, &page, reset, true);
    mirai_set(changes, &page, last_seq, 1);
    mirai_mark(changes, &page, items);
    mirai_reply_message(request, &mirai_message_changes, &page);
}

static void open_store(void)
{
    static const struct mirai_rpc_method methods[] = {
        {"store.restart", store_restart}, {"changes.since", changes_since}, {NULL, NULL}};
    const struct mirai_rpc_server_options options = {
        .loop = &stage.ctl.loop, .url = stage.url, .methods = methods, .queue_max = 10};
    stage.server = mirai_rpc_server_new(&options);
    assert_non_null(stage.server);
}

/* ------------------------------------------------------------------ stage */

static void make_snapshot(void)
{
    unsigned char hash[crypto_hash_sha256_BYTES];
    char hex[65], name[200], manifest[300];
    shell("mkdir -p %1$s/run %1$s/data %1$s/backup/snapshots/" SNAPSHOT);
    crypto_hash_sha256(hash, (const unsigned char *)"attached", 8);
    mirai_hex(hex, hash, sizeof(hash));
    snprintf(name, sizeof(name), "mkdir -p %%s/backup/attachments/%.2s", hex);
    shell(name);
    snprintf(name, sizeof(name), "backup/attachments/%.2s/%s", hex, hex);
    put_file(name, "attached");
    put_file("backup/snapshots/" SNAPSHOT "/attachments.txt", hex);
    put_file("backup/snapshots/" SNAPSHOT "/knowledge.db", "old");
    crypto_hash_sha256(hash, (const unsigned char *)"old", 3);
    mirai_hex(hex, hash, sizeof(hash));
    snprintf(manifest, sizeof(manifest), "{\"sha256\": \"%s\", \"articles\": 3}", hex);
    put_file("backup/snapshots/" SNAPSHOT "/manifest.json", manifest);
    put_file("data/knowledge.db", "new");
}

static int stage_open(void **state)
{
    (void)state;
    char data[128], backup[128], run[128];
    stage = (struct stage){.epoch = "one", .dir = "/tmp/mirai-restore-test-XXXXXX"};
    assert_non_null(mkdtemp(stage.dir));
    snprintf(data, sizeof(data), "MIRAI_DATA_DIR=%s/data", stage.dir);
    snprintf(backup, sizeof(backup), "MIRAI_BACKUP_DIR=%s/backup", stage.dir);
    snprintf(run, sizeof(run), "MIRAI_RUN_DIR=%s/run", stage.dir);
    char deadline[] = "MIRAI_RPC_DEADLINE_MS=200";
    char *environment[] = {data, backup, run, deadline, NULL};
    assert_int_equal(mirai_config_load(environment, stderr), 0);
    mirai_log_set_level(MIRAI_LOG_FATAL);
    snprintf(stage.url, sizeof(stage.url), "ipc://%s/run/knowledge-store@1.sock", stage.dir);
    make_snapshot();
    ctl_init(&stage.ctl);
    uv_timer_init(&stage.ctl.loop, &stage.later);
    return sodium_init() < 0;
}

static int stage_close(void **state)
{
    (void)state;
    close_store();
    if (stage.unanswered != NULL) {
        mirai_rpc_fail(stage.unanswered, MIRAI_E_UNAVAILABLE, NULL);
    }
    uv_close((uv_handle_t *)&stage.later, NULL);
    ctl_close(&stage.ctl);
    shell("rm -rf %1$s");
    return 0;
}

/* `miraictl restore …` */
static int run(char *argument)
{
    char *argv[] = {(char *)"miraictl", (char *)"restore", argument, (char *)"--yes", NULL};
    assert_int_equal(cli_parse(ctl_commands, 4, argv, &stage.ctl.cli, stderr), CLI_RUN);
    return stage.ctl.cli.command->run(&stage.ctl);
}

static int restore_it(void)
{
    return run((char *)SNAPSHOT);
}

static int cancel(void)
{
    return run((char *)"--cancel");
}

static struct restore lie_ready(void)
{
    struct restore restore;
    unsigned char hash[crypto_hash_sha256_BYTES];
    assert_int_equal(restore_init(&restore, &stage.ctl, SNAPSHOT), CTL_OK);
    crypto_hash_sha256(hash, (const unsigned char *)"old", 3);
    mirai_hex(restore.sha256, hash, sizeof(hash));
    assert_int_equal(restore_lay_ready(&restore), CTL_OK);
    assert_true(restore_lies_ready(&restore));
    return restore;
}

/* ------------------------------------------------------------------ tests */

static void a_store_that_obeys(void **state)
{
    (void)state;
    open_store();
    assert_int_equal(restore_it(), CTL_OK);
    content_is("data/knowledge.db", "old");
    assert_int_equal(cancel(), CTL_FAILED); /* nothing lies ready any more */
}

static void a_stopped_store_takes_it_later(void **state)
{
    (void)state;
    assert_int_equal(restore_it(), CTL_OK);
    assert_true(exists("data/restore/READY") && exists("data/restore/knowledge.db"));
    assert_int_equal(restore_it(), CTL_OK); /* once more in its place */
    assert_int_equal(cancel(), CTL_OK);
    assert_false(exists("data/restore"));
    assert_int_equal(cancel(), CTL_FAILED);
    content_is("data/knowledge.db", "new");
}

/* The store says no: nothing may wait for its next start, some day. */
static void a_store_that_refuses_leaves_nothing_ready(void **state)
{
    (void)state;
    open_store();
    stage.answer = REFUSE;
    assert_int_equal(restore_it(), CTL_UNAVAILABLE);
    assert_false(exists("data/restore"));
    stage.overloaded = true;
    assert_int_equal(restore_it(), CTL_UNAVAILABLE);
    assert_false(exists("data/restore"));
    content_is("data/knowledge.db", "new");
}

static void a_store_that_is_not_there_leaves_nothing_ready(void **state)
{
    (void)state;
    struct restore restore = lie_ready();
    assert_int_equal(restore_hand_over(&restore, MIRAI_STR("one"), WAIT_MS), CTL_UNAVAILABLE);
    assert_false(exists("data/restore"));
}

/* Whether it has heard is not known: it stays, and can be taken back. */
static void a_store_that_vanishes_may_still_take_it(void **state)
{
    (void)state;
    struct restore restore = lie_ready();
    open_store();
    stage.answer = VANISH;
    assert_int_equal(restore_hand_over(&restore, MIRAI_STR("one"), WAIT_MS), CTL_UNAVAILABLE);
    assert_true(exists("data/restore/READY"));
    assert_int_equal(cancel(), CTL_OK);
    assert_false(exists("data/restore"));
}

static void a_store_that_comes_back_has_taken_it(void **state)
{
    (void)state;
    struct restore restore = lie_ready();
    open_store();
    stage.answer = RETURN;
    assert_int_equal(restore_hand_over(&restore, MIRAI_STR("one"), 10000), CTL_OK);
    content_is("data/knowledge.db", "old");
}

/* The store died while it moved files: only what lies ready has them all. */
static void what_was_begun_is_not_taken_back(void **state)
{
    (void)state;
    lie_ready();
    int fd = open(path_of("data/restore/READY"), O_RDONLY);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    assert_int_equal(cancel(), CTL_FAILED); /* the store is at it */
    close(fd);
    shell("cd %1$s/data && d=before-restore-$(date -u -r restore/READY +%%Y%%m%%dT%%H%%M%%SZ) && mkdir $d && "
          "mv knowledge.db $d/");
    assert_int_equal(cancel(), CTL_FAILED);
    assert_int_equal(restore_it(), CTL_FAILED);
    assert_true(exists("data/restore/READY"));
    content_is("data/restore/knowledge.db", "old");
    shell("mv %1$s/data/restore/knowledge.db %1$s/data/");
    assert_int_equal(cancel(), CTL_FAILED);
    assert_true(exists("data/restore/READY"));
}

static void a_damaged_snapshot_leaves_nothing(void **state)
{
    (void)state;
    put_file("backup/snapshots/" SNAPSHOT "/knowledge.db", "odd");
    assert_int_equal(restore_it(), CTL_FAILED);
    assert_false(exists("data/restore"));
    assert_int_equal(run((char *)"--yes"), CTL_USAGE); /* neither a name nor --cancel */
}

/* Root restores into a folder whose owner has put links there. */
static void root_follows_no_ones_links(void **state)
{
    (void)state;
    struct stat status;
    if (getuid() != 0) {
        skip();
    }
    shell("cd %1$s && chmod 755 . && mkdir precious && touch precious/READY precious/knowledge.db && "
          "ln -s ../precious data/restore && chown -hR 12345:12346 data && chown -hR 12347:12348 backup");
    assert_int_equal(restore_it(), CTL_OK);
    assert_true(exists("precious/READY") && exists("precious/knowledge.db"));
    assert_int_equal(stat(path_of("precious"), &status), 0);
    assert_int_equal(status.st_uid, 0);
    content_is("data/restore/knowledge.db", "old");
    shell("test -z \"$(find %1$s/data -not -user 12345 -o -not -group 12346)\"");
    assert_int_equal(geteuid(), 0);
    assert_int_equal(getegid(), 0);
    assert_int_equal(cancel(), CTL_OK);
    /* nor those of the owner of the snapshots: they must not read for each other with root's rights */
    shell("cd %1$s/backup/snapshots/" SNAPSHOT " && printf old > %1$s/secret && chmod 600 %1$s/secret && "
          "ln -sf %1$s/secret knowledge.db");
    assert_int_equal(restore_it(), CTL_FAILED);
    assert_false(exists("data/restore"));
}

#define RESTORE_TEST(function) cmocka_unit_test_setup_teardown(function, stage_open, stage_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RESTORE_TEST(a_store_that_obeys),
        RESTORE_TEST(a_stopped_store_takes_it_later),
        RESTORE_TEST(a_store_that_refuses_leaves_nothing_ready),
        RESTORE_TEST(a_store_that_is_not_there_leaves_nothing_ready),
        RESTORE_TEST(a_store_that_vanishes_may_still_take_it),
        RESTORE_TEST(a_store_that_comes_back_has_taken_it),
        RESTORE_TEST(what_was_begun_is_not_taken_back),
        RESTORE_TEST(a_damaged_snapshot_leaves_nothing),
        RESTORE_TEST(root_follows_no_ones_links),
    };
    return cmocka_run_group_tests_name("restore", tests, NULL, NULL);
}
