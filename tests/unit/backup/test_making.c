/* Making snapshots of a store of this test's own: the real RPC over a socket, a database and contents in files
 * and memory. */
#include "services/backup/job.h"

#include "libcommon/config.h"
#include "libcommon/log.h"
#include "libcommon/time.h"
#include "proto/methods.h"
#include "services/backup/files.h"
#include "services/backup/snapshots.h"
#include "tests/unit/libcommon/test.h"

#include <sodium.h>
#include <sqlite3.h>
#include <unistd.h>

#define DAY INT64_C(86400000)

static struct stage {
    char dir[64];
    char url[128];
    uv_loop_t loop;
    struct mirai_rpc_server *server;
    struct job_worker *worker;
    struct mirai_buf database; /* what the store copies */
    const char *contents[4];   /* what it has */
    bool open;                 /* a copy is */
    size_t reads;              /* of attachments */
    size_t early_ends;         /* contents asked for with no copy open */
} stage;

/* Their memory stays until the process ends. */
static struct job_worker *workers[16];
static size_t workers_len;

static void shell(const char *command)
{
    char text[400];
    snprintf(text, sizeof(text), command, stage.dir);
    assert_int_equal(system(text), 0);
}

static void hash_of(struct mirai_str content, char sha256[FILES_SHA256_SIZE])
{
    unsigned char digest[crypto_hash_sha256_BYTES];
    crypto_hash_sha256(digest, (const unsigned char *)content.data, content.len);
    mirai_hex(sha256, digest, sizeof(digest));
}

/* ------------------------------------------------------------------ the store */

static void snapshot_begin(struct mirai_rpc_request *request)
{
    char sha256[FILES_SHA256_SIZE];
    struct mirai_snapshot_begin_result result = {0};
    hash_of(mirai_buf_str(&stage.database), sha256);
    stage.open = true;
    mirai_set(snapshot_begin_result, &result, snapshot, MIRAI_STR("copy"));
    mirai_set(snapshot_begin_result, &result, size, (int64_t)stage.database.len);
    mirai_set(snapshot_begin_result, &result, sha256, mirai_str(sha256));
    mirai_set(snapshot_begin_result, &result, epoch, MIRAI_STR("0123456789abcdef0123456789abcdef"));
    mirai_set(snapshot_begin_result, &result, seq, 1);
    mirai_set(snapshot_begin_result, &result, articles, 0);
    mirai_reply_message(request, &mirai_message_snapshot_begin_result, &result);
}

static void reply_part(struct mirai_rpc_request *request, struct mirai_str whole, int64_t offset)
{
    struct mirai_bytes bytes = {0};
    mirai_set(bytes, &bytes, total, (int64_t)whole.len);
    mirai_set(bytes, &bytes, data, ((struct mirai_str){whole.data + offset, whole.len - (size_t)offset}));
    mirai_reply_message(request, &mirai_message_bytes, &bytes);
}

static void snapshot_read(struct mirai_rpc_request *request)
{
    struct mirai_arena arena = {0};
    struct mirai_snapshot_read params;
    if (mirai_method_accept(request, MIRAI_METHOD_ID_snapshot_read, &arena, &params)) {
        reply_part(request, mirai_buf_str(&stage.database), params.offset);
    }
    mirai_arena_free(&arena);
}

static void snapshot_end(struct mirai_rpc_request *request)
{
    stage.open = false;
    mirai_reply_message(request, &mirai_message_empty, &(struct mirai_empty){0});
}

static void attachment_read(struct mirai_rpc_request *request)
{
    struct mirai_arena arena = {0};
    struct mirai_attachment_read params;
    if (!mirai_method_accept(request, MIRAI_METHOD_ID_attachment_read, &arena, &params)) {
        return;
    }
    stage.reads++;
    stage.early_ends += !stage.open;
    const char *found = NULL;
    for (size_t i = 0; i < ARRAY_LEN(stage.contents); i++) {
        char sha256[FILES_SHA256_SIZE];
        if (stage.contents[i] != NULL) {
            hash_of(mirai_str(stage.contents[i]), sha256);
            found = mirai_str_eq(params.sha256, mirai_str(sha256)) ? stage.contents[i] : found;
        }
    }
    if (found != NULL) {
        reply_part(request, mirai_str(found), params.offset);
    } else {
        mirai_rpc_fail(request, MIRAI_E_NOT_FOUND, NULL);
    }
    mirai_arena_free(&arena);
}

static const struct mirai_rpc_method store_methods[] = {
    {"snapshot.begin", snapshot_begin},
    {"snapshot.read", snapshot_read},
    {"snapshot.end", snapshot_end},
    {"attachment.read", attachment_read},
    {NULL, NULL},
};

/* ------------------------------------------------------------------ stage */

/* The store's database names these contents. */
static void name_contents(const char *const *contents)
{
    char path[100];
    sqlite3 *db;
    snprintf(path, sizeof(path), "%s/store.db", stage.dir);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(
        sqlite3_exec(db,
                     "CREATE TABLE articles (id INTEGER PRIMARY KEY, deleted_at INTEGER); CREATE "
                     "TABLE attachments (id INTEGER PRIMARY KEY, sha256 TEXT, size INTEGER)",
                     NULL, NULL, NULL),
        SQLITE_OK);
    for (size_t i = 0; contents[i] != NULL; i++) {
        char sha256[FILES_SHA256_SIZE], row[200];
        hash_of(mirai_str(contents[i]), sha256);
        snprintf(row, sizeof(row), "INSERT INTO attachments (sha256, size) VALUES ('%s', %zu)", sha256,
                 strlen(contents[i]));
        assert_int_equal(sqlite3_exec(db, row, NULL, NULL, NULL), SQLITE_OK);
        stage.contents[i] = contents[i];
    }
    sqlite3_close(db);
    assert_int_equal(files_read(path, 1 << 20, &stage.database), 0);
}

static int stage_open(void **state)
{
    (void)state;
    char backup[128], run[128];
    stage = (struct stage){.dir = "/tmp/mirai-job-test-XXXXXX"};
    assert_non_null(mkdtemp(stage.dir));
    shell("mkdir %1$s/run");
    snprintf(backup, sizeof(backup), "MIRAI_BACKUP_DIR=%s/backup", stage.dir);
    snprintf(run, sizeof(run), "MIRAI_RUN_DIR=%s/run", stage.dir);
    char *environment[] = {backup, run, NULL};
    assert_int_equal(mirai_config_load(environment, stderr), 0);
    mirai_log_set_level(MIRAI_LOG_FATAL);
    snprintf(stage.url, sizeof(stage.url), "ipc://%s/run/knowledge-store@1.sock", stage.dir);
    uv_loop_init(&stage.loop);
    const struct mirai_rpc_server_options options = {
        .loop = &stage.loop, .url = stage.url, .methods = store_methods, .queue_max = 10};
    stage.server = mirai_rpc_server_new(&options);
    assert_non_null(stage.server);
    stage.worker = job_worker_new(&stage.loop);
    assert_non_null(stage.worker);
    workers[workers_len++] = stage.worker;
    return sodium_init() < 0;
}

static int stage_close(void **state)
{
    (void)state;
    job_worker_free(stage.worker);
    mirai_rpc_server_free(stage.server);
    uv_run(&stage.loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&stage.loop), 0);
    mirai_buf_free(&stage.database);
    shell("rm -rf %1$s");
    return 0;
}

static void on_done(struct job *job)
{
    *(bool *)job->data = true;
}

/* Make a snapshot; its error. *name: of the snapshot, where it was made. */
static int back_up(char name[SNAPSHOT_NAME_SIZE])
{
    bool done = false;
    struct job job = {.kind = JOB_RUN, .snapshot_kind = MIRAI_SNAPSHOT_DAILY, .done = on_done, .data = &done};
    assert_int_equal(job_submit(stage.worker, &job), 0);
    while (!done) {
        uv_run(&stage.loop, UV_RUN_ONCE);
    }
    if (job.err == 0) {
        snprintf(name, SNAPSHOT_NAME_SIZE, "%.*s", MIRAI_STR_ARG(job.info.name));
    }
    assert_false(stage.open);
    mirai_arena_free(&job.arena);
    return job.err;
}

static void assert_stored(const char *content)
{
    char path[PATH_MAX], sha256[FILES_SHA256_SIZE], actual[FILES_SHA256_SIZE];
    int64_t size;
    hash_of(mirai_str(content), sha256);
    snapshots_attachment_path(path, mirai_str(sha256));
    assert_int_equal(files_sha256(path, actual, &size), 0);
    assert_string_equal(actual, sha256);
}

/* ------------------------------------------------------------------ tests */

/* The live store names nothing any more, but keeps the contents until the copy is ended. */
static void what_the_copy_names_is_fetched(void **state)
{
    (void)state;
    static const char *const contents[] = {"one", "two", NULL};
    char name[SNAPSHOT_NAME_SIZE];
    name_contents(contents);
    assert_int_equal(back_up(name), 0);
    assert_stored("one");
    assert_stored("two");
    assert_int_equal(stage.early_ends, 0);
    assert_int_equal(back_up(name), 0);
    assert_int_equal(stage.reads, 2); /* once for both snapshots */
}

/* Put bytes where a content lies. */
static void overwrite(const char *content, const char *bytes)
{
    char path[PATH_MAX], sha256[FILES_SHA256_SIZE];
    hash_of(mirai_str(content), sha256);
    snapshots_attachment_path(path, mirai_str(sha256));
    assert_int_equal(files_write_atomic(path, mirai_str(bytes)), 0);
}

static void damaged_contents_are_fetched_again(void **state)
{
    (void)state;
    static const char *const contents[] = {"one", "two", NULL};
    char name[SNAPSHOT_NAME_SIZE];
    name_contents(contents);
    assert_int_equal(back_up(name), 0);
    overwrite("one", "on");  /* too short */
    overwrite("two", "twO"); /* of the right size */
    assert_int_equal(back_up(name), 0);
    assert_stored("one");
    assert_stored("two");
    assert_int_equal(stage.reads, 4);
    assert_int_equal(stage.early_ends, 0);
}

/* The snapshots there are. */
static size_t stored(struct mirai_arena *arena, struct mirai_snapshot_list *list)
{
    assert_int_equal(snapshots_list(arena, list), 0);
    return list->items.count;
}

/* Move a snapshot back in time, and give it a fault. */
static void age(const char *name, int64_t created_at, const char *fault)
{
    struct mirai_arena arena = {0};
    struct mirai_snapshot_info info;
    assert_int_equal(snapshots_read(name, &arena, &info), 0);
    mirai_set(snapshot_info, &info, created_at, created_at);
    if (fault != NULL) {
        mirai_set(snapshot_info, &info, fault, mirai_str(fault));
    }
    assert_int_equal(snapshots_write(&info, name), 0);
    mirai_arena_free(&arena);
}

/* The store has lost a content: each attempt fails and leaves nothing, and old snapshots still go. */
static void failures_do_not_pile_up(void **state)
{
    (void)state;
    static const char *const contents[] = {"one", "two", NULL};
    struct mirai_arena arena = {0};
    struct mirai_snapshot_list list;
    char sound[SNAPSHOT_NAME_SIZE], old[SNAPSHOT_NAME_SIZE], faulty[SNAPSHOT_NAME_SIZE];
    name_contents(contents);
    assert_int_equal(back_up(old), 0);
    assert_int_equal(back_up(sound), 0);
    assert_int_equal(back_up(faulty), 0);
    age(old, mirai_now_ms() - 90 * DAY, NULL);
    age(sound, mirai_now_ms() - 80 * DAY, NULL);
    age(faulty, mirai_now_ms() - 70 * DAY, "for a test");
    overwrite("two", "twO");
    stage.contents[1] = NULL;
    for (int attempt = 0; attempt < 3; attempt++) {
        assert_int_not_equal(back_up(sound), 0);
        assert_int_equal(stored(&arena, &list), 1);
        assert_true(mirai_str_eq(MIRAI_ITEMS(snapshot_info, &list.items)[0].name, mirai_str(sound)));
    }
    assert_stored("one"); /* the next attempt needs not fetch it again */
    stage.contents[1] = "two";
    assert_int_equal(back_up(old), 0);
    assert_int_equal(stored(&arena, &list), 1); /* a sound one again: the other is too old */
    assert_true(mirai_str_eq(MIRAI_ITEMS(snapshot_info, &list.items)[0].name, mirai_str(old)));
    assert_int_equal(job_newest_ms(stage.worker, MIRAI_SNAPSHOT_DAILY),
                     MIRAI_ITEMS(snapshot_info, &list.items)[0].created_at);
    mirai_arena_free(&arena);
}

/* Its copy of the database is no database: what was made of it is not kept. */
static void a_faulty_copy_is_not_kept(void **state)
{
    (void)state;
    struct mirai_arena arena = {0};
    struct mirai_snapshot_list list;
    char name[SNAPSHOT_NAME_SIZE];
    mirai_buf_append_str(&stage.database, MIRAI_STR("no database at all, but some bytes of text"));
    assert_int_not_equal(back_up(name), 0);
    assert_int_equal(stored(&arena, &list), 0);
    shell("test -z \"$(ls -A %1$s/backup/snapshots)\"");
    mirai_arena_free(&arena);
}

/* As its manifest says, too. */
static void a_finished_snapshot_has_its_name(void **state)
{
    (void)state;
    static const char *const contents[] = {NULL};
    char name[SNAPSHOT_NAME_SIZE];
    name_contents(contents);
    assert_int_equal(back_up(name), 0);
    assert_true(snapshots_name_valid(mirai_str(name)));
    shell("cd %1$s/backup/snapshots && grep -q \"\\\"name\\\": *\\\"$(ls)\\\"\" */manifest.json");
}

#define JOB_TEST(function) cmocka_unit_test_setup_teardown(function, stage_open, stage_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        JOB_TEST(what_the_copy_names_is_fetched),   JOB_TEST(damaged_contents_are_fetched_again),
        JOB_TEST(failures_do_not_pile_up),          JOB_TEST(a_faulty_copy_is_not_kept),
        JOB_TEST(a_finished_snapshot_has_its_name),
    };
    return cmocka_run_group_tests_name("jobs", tests, NULL, NULL);
}
