/* The yardstick of durable creates: one process that writes the same rows as the store into the same schema. First by
 * group commit: so many clients, each a thread that waits until its row is durable before it asks for the next. Then as
 * fast as one thread can that waits for no one, in full groups of that size.
 * bench-group-commit DIRECTORY SECONDS CLIENTS */
#include "libcommon/str.h"
#include "libcommon/time.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

static sqlite3 *db;

static void fail(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, sqlite3_errmsg(db));
    exit(1);
}

static void run(const char *sql)
{
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK) {
        fail(sql);
    }
}

static sqlite3_stmt *prepare(const char *sql)
{
    sqlite3_stmt *statement;
    if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) != SQLITE_OK) {
        fail(sql);
    }
    return statement;
}

static void step(sqlite3_stmt *statement)
{
    if (sqlite3_step(statement) != SQLITE_DONE) {
        fail(sqlite3_sql(statement));
    }
    sqlite3_reset(statement);
}

static void load_schema(void)
{
    FILE *file = fopen(MIRAI_SCHEMA, "rb");
    char *sql = NULL;
    size_t size = 0;
    if (file == NULL || getdelim(&sql, &size, '\0', file) < 0) {
        fail(MIRAI_SCHEMA);
    }
    fclose(file);
    run(sql);
    free(sql);
}

struct statements {
    sqlite3_stmt *article;
    sqlite3_stmt *revision;
    sqlite3_stmt *change;
    sqlite3_stmt *audit;
};

static void insert(const struct statements *statements, int64_t n, const char *body)
{
    char name[64];
    snprintf(name, sizeof(name), "yardstick-%lld", (long long)n);
    sqlite3_bind_text(statements->article, 1, name, -1, SQLITE_TRANSIENT);
    sqlite3_bind_int64(statements->article, 2, mirai_now_ms());
    step(statements->article);
    int64_t id = sqlite3_last_insert_rowid(db);
    sqlite3_bind_int64(statements->revision, 1, id);
    sqlite3_bind_int64(statements->revision, 2, mirai_now_ms());
    sqlite3_bind_text(statements->revision, 3, name, -1, SQLITE_TRANSIENT);
    sqlite3_bind_text(statements->revision, 4, body, -1, SQLITE_STATIC);
    step(statements->revision);
    sqlite3_bind_int64(statements->change, 1, id);
    sqlite3_bind_int64(statements->change, 2, mirai_now_ms());
    step(statements->change);
    sqlite3_bind_int64(statements->audit, 1, mirai_now_ms());
    sqlite3_bind_text(statements->audit, 2, name, -1, SQLITE_TRANSIENT);
    step(statements->audit);
}

/* ------------------------------------------------------------------ one thread, full groups */

static double write_batches(const struct statements *statements, int64_t seconds, int64_t group,
                            const char *body)
{
    uint64_t from = mirai_monotonic_us();
    uint64_t until = from + (uint64_t)seconds * 1000000;
    int64_t rows = 0;
    while (mirai_monotonic_us() < until) {
        run("BEGIN IMMEDIATE");
        for (int64_t i = 0; i < group; i++) {
            insert(statements, ++rows, body);
        }
        run("COMMIT");
    }
    return (double)rows * 1e6 / (double)(mirai_monotonic_us() - from);
}

/* ------------------------------------------------------------------ group commit: each waits for its own row */

struct client {
    struct client *next; /* in the queue */
    pthread_t thread;
    pthread_cond_t written;
    bool waits;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t wanted = PTHREAD_COND_INITIALIZER;
static struct client *queue;
static bool over;

/* Ask for a row, wait until it is durable, ask for the next. */
static void *be_client(void *data)
{
    struct client *client = data;
    pthread_mutex_lock(&lock);
    while (!over) {
        client->next = queue;
        queue = client;
        client->waits = true;
        pthread_cond_signal(&wanted);
        while (client->waits) {
            pthread_cond_wait(&client->written, &lock);
        }
    }
    pthread_mutex_unlock(&lock);
    return NULL;
}

/* Write for all who wait, tell them, look who waits by now. */
static int64_t serve_clients(const struct statements *statements, uint64_t until, const char *body)
{
    int64_t rows = 0;
    pthread_mutex_lock(&lock);
    while (!over) {
        while (queue == NULL) {
            pthread_cond_wait(&wanted, &lock);
        }
        struct client *group = queue;
        queue = NULL;
        pthread_mutex_unlock(&lock);
        run("BEGIN IMMEDIATE");
        for (struct client *client = group; client != NULL; client = client->next) {
            insert(statements, -++rows, body);
        }
        run("COMMIT");
        pthread_mutex_lock(&lock);
        over = mirai_monotonic_us() >= until;
        for (struct client *client = group, *next; client != NULL; client = next) {
            next = client->next;
            client->waits = false;
            pthread_cond_signal(&client->written);
        }
    }
    for (struct client *client = queue; client != NULL; client = client->next) { /* too late */
        client->waits = false;
        pthread_cond_signal(&client->written);
    }
    pthread_mutex_unlock(&lock);
    return rows;
}

static double write_for_clients(const struct statements *statements, int64_t seconds, int64_t count,
                                const char *body)
{
    struct client *clients = calloc((size_t)count, sizeof(*clients));
    uint64_t from = mirai_monotonic_us();
    for (int64_t i = 0; i < count; i++) {
        pthread_cond_init(&clients[i].written, NULL);
        if (pthread_create(&clients[i].thread, NULL, be_client, &clients[i]) != 0) {
            fail("pthread_create");
        }
    }
    int64_t rows = serve_clients(statements, from + (uint64_t)seconds * 1000000, body);
    double rate = (double)rows * 1e6 / (double)(mirai_monotonic_us() - from);
    for (int64_t i = 0; i < count; i++) {
        pthread_join(clients[i].thread, NULL);
    }
    free(clients);
    return rate;
}

int main(int argc, char **argv)
{
    struct mirai_buf path = {0};
    char body[901];
    int64_t seconds;
    int64_t group;
    if (argc != 4 || mirai_parse_int(mirai_str(argv[2]), 1, 3600, &seconds) != 0 ||
        mirai_parse_int(mirai_str(argv[3]), 1, 100000, &group) != 0) {
        fprintf(stderr, "usage: bench-group-commit DIRECTORY SECONDS CLIENTS\n");
        return 2;
    }
    mirai_buf_printf(&path, "%s/yardstick.db", argv[1]);
    if (sqlite3_open(path.data, &db) != SQLITE_OK) {
        fail(path.data);
    }
    run("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON");
    load_schema();
    memset(body, 'x', sizeof(body) - 1);
    body[sizeof(body) - 1] = '\0';
    const struct statements statements = {
        .article = prepare(
            "INSERT INTO articles (slug, title, type, status, space_id, visibility, created_at, created_by, "
            "updated_at, updated_by, version) VALUES (?1, ?1, 0, 2, 1, 0, ?2, -1, ?2, -1, 1)"),
        .revision = prepare(
            "INSERT INTO revisions (article_id, version, created_at, created_by, title, type, status, body) "
            "VALUES (?1, 1, ?2, -1, ?3, 0, 2, ?4)"),
        .change = prepare("INSERT INTO changes (kind, object_id, at) VALUES (0, ?1, ?2)"),
        .audit = prepare("INSERT INTO audit (at, user_id, action, object, result, address, request_id) "
                         "VALUES (?1, -1, 'article.create', ?2, 'ok', '127.0.0.1', '')"),
    };
    printf("%.1f rows/s for %lld clients\n", write_for_clients(&statements, seconds, group, body),
           (long long)group);
    printf("%.1f rows/s in groups of %lld\n", write_batches(&statements, seconds, group, body),
           (long long)group);
    sqlite3_finalize(statements.article);
    sqlite3_finalize(statements.revision);
    sqlite3_finalize(statements.change);
    sqlite3_finalize(statements.audit);
    sqlite3_close(db);
    mirai_buf_free(&path);
    return 0;
}
