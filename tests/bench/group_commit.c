/* The yardstick of durable creates: one process that writes the same rows as the store into the same schema,
 * in groups of one size, each group durable before the next begins. bench-group-commit DIRECTORY SECONDS
 * GROUP */
#include "libcommon/str.h"
#include "libcommon/time.h"

#include <sqlite3.h>
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

int main(int argc, char **argv)
{
    struct mirai_buf path = {0};
    char body[901];
    int64_t seconds;
    int64_t group;
    if (argc != 4 || mirai_parse_int(mirai_str(argv[2]), 1, 3600, &seconds) != 0 ||
        mirai_parse_int(mirai_str(argv[3]), 1, 100000, &group) != 0) {
        fprintf(stderr, "usage: bench-group-commit DIRECTORY SECONDS GROUP\n");
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
    uint64_t from = mirai_monotonic_us();
    uint64_t until = from + (uint64_t)seconds * 1000000;
    int64_t rows = 0;
    while (mirai_monotonic_us() < until) {
        run("BEGIN IMMEDIATE");
        for (int64_t i = 0; i < group; i++) {
            insert(&statements, ++rows, body);
        }
        run("COMMIT");
    }
    printf("%.1f rows/s in groups of %lld\n", (double)rows * 1e6 / (double)(mirai_monotonic_us() - from),
           (long long)group);
    sqlite3_finalize(statements.article);
    sqlite3_finalize(statements.revision);
    sqlite3_finalize(statements.change);
    sqlite3_finalize(statements.audit);
    sqlite3_close(db);
    mirai_buf_free(&path);
    return 0;
}
