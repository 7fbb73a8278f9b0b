/* Any bytes as a query: it is answered, whatever it is; a snippet is valid UTF-8 with closed marks. */
#include "libcommon/log.h"
#include "libcommon/time.h"
#include "services/search-index/help/suggest.h"
#include "services/search-index/query/query.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static struct analyzer_model *model;
static struct analyzer *analyzer;
static struct index_reader *reader;
static struct query_workspace *workspace;

static void open_index(void)
{
    static const char *const bodies[] = {"# 手順\n電源を入れ、サーバーに接続する。",
                                         "Restart the VPN client (0x80070005).",
                                         "**強調** [文書](https://example.com) <b>&"};
    char dir[] = "/tmp/mirai-search-fuzz-XXXXXX";
    char path[64];
    model = analyzer_model_open();
    struct index *index = NULL;
    if (mkdtemp(dir) == NULL) {
        abort();
    }
    snprintf(path, sizeof(path), "%s/index.db", dir);
    if (index_create(path, model, &index) != 0 || index_publish(index, path) != 0) {
        abort();
    }
    for (int64_t id = 1; id <= 3; id++) {
        struct mirai_article article = {0};
        mirai_set(article, &article, id, id);
        mirai_set(article, &article, title, MIRAI_STR("接続の問題"));
        mirai_set(article, &article, body, mirai_str(bodies[id - 1]));
        const struct index_change change = {.id = id, .article = &article};
        const struct index_position position = {"epoch", id};
        if (index_apply(index, &change, 1, &position) != 0) {
            abort();
        }
    }
    analyzer = analyzer_new(model);
    static const struct query_boosts boosts = {3, 180, 3, 3, 15, 100};
    workspace = query_workspace_new();
    query_workspace_boost(workspace, &boosts);
    if (index_reader_open(index, &reader) != 0) {
        abort();
    }
    static const char *const names[] = {"index.db", "index.db-wal", "index.db-shm"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) { /* the open files stay readable */
        snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
        unlink(path);
    }
    rmdir(dir);
}

static void check_snippet(struct mirai_str snippet)
{
    int depth = 0;
    for (size_t i = 0; i < snippet.len; i++) {
        depth += snippet.len - i >= 6 && memcmp(snippet.data + i, "<mark>", 6) == 0;
        depth -= snippet.len - i >= 7 && memcmp(snippet.data + i, "</mark>", 7) == 0;
        if (depth < 0 || depth > 1) {
            abort();
        }
    }
    if (depth != 0) {
        abort();
    }
}

/* All pages of one hit: no article twice, and what explains a score is the score. */
static void check_pages(struct mirai_search_query *request, const struct mirai_principal *principal,
                        struct mirai_arena *arena)
{
    unsigned seen = 0;
    mirai_set(search_query, request, limit, 1);
    mirai_set(search_query, request, explain, true);
    for (bool more = true; more;) {
        struct mirai_search_result result = {0};
        if (query_run(reader, workspace, analyzer, request, principal, mirai_monotonic_us() + 10000000, arena,
                      &result) != 0 ||
            result.hits.count > 1) {
            abort();
        }
        for (size_t i = 0; i < result.hits.count; i++) {
            const struct mirai_search_hit *hit = &MIRAI_ITEMS(search_hit, &result.hits)[i];
            double sum = 0;
            for (size_t j = 0; j < hit->explain.count; j++) {
                sum += MIRAI_ITEMS(score_part, &hit->explain)[j].value;
            }
            if ((seen >> hit->id & 1) != 0 || sum != hit->score) {
                abort();
            }
            seen |= 1u << hit->id;
        }
        more = mirai_has(search_result, &result, next_cursor);
        mirai_set(search_query, request, cursor, result.next_cursor);
    }
}

/* Any bytes as a cursor: a page, or an error. */
static void check_cursor(struct mirai_search_query *request, const struct mirai_principal *principal,
                         struct mirai_str cursor, struct mirai_arena *arena)
{
    struct mirai_search_result result = {0};
    mirai_set(search_query, request, cursor, cursor);
    int err = query_run(reader, workspace, analyzer, request, principal, mirai_monotonic_us() + 10000000,
                        arena, &result);
    if (err != 0 && err != MIRAI_E_INVALID) {
        abort();
    }
}

/* First line: the query; the rest: a body, and a cursor. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct mirai_principal principal = {.user_id = -1};
    struct mirai_arena arena = {0};
    struct mirai_search_query request = {0};
    struct mirai_search_result result = {0};
    struct mirai_suggest_query typed = {0};
    struct mirai_suggest_result suggestions = {0};
    struct mirai_str in = {(const char *)data, size};
    const char *newline = size > 0 ? memchr(data, '\n', size) : NULL;
    struct mirai_str line = {in.data, newline != NULL ? (size_t)(newline - in.data) : size};
    struct mirai_str body = {in.data + line.len, size - line.len};
    if (reader == NULL) {
        open_index();
    }
    mirai_set(search_query, &request, q, line);
    mirai_set(suggest_query, &typed, q, line);
    const struct suggest_request suggest = {
        .reader = reader, .analyzer = analyzer, .principal = &principal, .query = &typed};
    if (query_run(reader, workspace, analyzer, &request, &principal, mirai_monotonic_us() + 10000000, &arena,
                  &result) != 0 ||
        suggest_run(&suggest, &arena, &suggestions) != 0 || result.total < 0 || result.total > 3) {
        abort();
    }
    check_pages(&request, &principal, &arena);
    check_cursor(&request, &principal, body.len > 0 ? (struct mirai_str){body.data + 1, body.len - 1} : body,
                 &arena);
    if (mirai_utf8_valid(body)) { /* the store keeps no other */
        struct query query;
        query_parse(analyzer, NULL, line, &arena, &query);
        struct mirai_str snippet = snippet_make(&query, body, &arena);
        if (!mirai_utf8_valid(snippet)) {
            abort();
        }
        check_snippet(snippet);
    }
    mirai_arena_free(&arena);
    return 0;
}
