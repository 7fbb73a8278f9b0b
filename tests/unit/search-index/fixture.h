/* What the tests of search-index share: a model, articles made in one line, an index in a directory of its
 * own. */
#ifndef TEST_SEARCH_FIXTURE_H
#define TEST_SEARCH_FIXTURE_H

#include "libcommon/log.h"
#include "libcommon/time.h"
#include "services/search-index/index.h"
#include "services/search-index/query/query.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

struct fixture {
    char dir[64];
    struct analyzer_model *model;
    struct analyzer *analyzer;
    struct query_workspace *workspace;
    struct index *index;
    struct index_reader *reader;
    struct mirai_arena arena;
    int64_t seq;
};

static inline struct mirai_article article_make(int64_t id, const char *title, const char *body)
{
    struct mirai_article article = {0};
    mirai_set(article, &article, id, id);
    mirai_set(article, &article, title, mirai_str(title));
    mirai_set(article, &article, body, mirai_str(body));
    mirai_set(article, &article, slug, MIRAI_STR("slug"));
    mirai_set(article, &article, type, MIRAI_ITSM_TYPE_INCIDENT);
    mirai_set(article, &article, status, MIRAI_ARTICLE_STATUS_PUBLISHED);
    mirai_set(article, &article, space_id, 1);
    mirai_set(article, &article, updated_at, 1000 + id);
    return article;
}

static inline void article_tag(struct mirai_article *article, struct mirai_str *tags, size_t count)
{
    mirai_set(article, article, tags, ((struct mirai_strs){tags, count}));
}

static inline struct index *index_make(struct fixture *f, const char *name)
{
    char path[128];
    char temporary[160];
    struct index *index = NULL;
    snprintf(path, sizeof(path), "%s/%s", f->dir, name);
    snprintf(temporary, sizeof(temporary), "%s.tmp", path);
    assert_int_equal(index_create(temporary, f->model, &index), 0);
    assert_int_equal(index_publish(index, path), 0);
    return index;
}

static inline void put(struct fixture *f, const struct mirai_article *article)
{
    const struct index_change change = {.id = article->id, .article = article};
    struct index_position position = {"epoch", ++f->seq};
    assert_int_equal(index_apply(f->index, &change, 1, &position), 0);
}

static inline void drop(struct fixture *f, int64_t id)
{
    const struct index_change change = {.id = id};
    struct index_position position = {"epoch", ++f->seq};
    assert_int_equal(index_apply(f->index, &change, 1, &position), 0);
}

static inline const struct mirai_principal *admin(void)
{
    static const struct mirai_principal principal = {.user_id = 1, .role = MIRAI_ROLE_ADMIN};
    return &principal;
}

static inline int search_as(struct fixture *f, const struct mirai_search_query *query,
                            const struct mirai_principal *principal, struct mirai_search_result *result)
{
    *result = (struct mirai_search_result){0};
    return query_run(f->reader, f->workspace, f->analyzer, query, principal, mirai_monotonic_us() + 10000000,
                     &f->arena, result);
}

static inline struct mirai_search_result search(struct fixture *f, const char *q)
{
    struct mirai_search_query query = {0};
    struct mirai_search_result result;
    mirai_set(search_query, &query, q, mirai_str(q));
    assert_int_equal(search_as(f, &query, admin(), &result), 0);
    return result;
}

static inline const struct mirai_search_hit *hit(const struct mirai_search_result *result, size_t at)
{
    assert_true(at < result->hits.count);
    return &MIRAI_ITEMS(search_hit, &result->hits)[at];
}

/* Id of the best hit; 0: nothing found. */
static inline int64_t first_id(struct fixture *f, const char *q)
{
    struct mirai_search_result result = search(f, q);
    return result.hits.count > 0 ? hit(&result, 0)->id : 0;
}

static inline int fixture_open(void **state)
{
    struct fixture *f = mirai_alloc(sizeof(*f));
    snprintf(f->dir, sizeof(f->dir), "/tmp/mirai-search-test-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    f->model = analyzer_model_open();
    assert_non_null(f->model);
    f->analyzer = analyzer_new(f->model);
    f->workspace = query_workspace_new();
    f->index = index_make(f, "index-1.db");
    assert_int_equal(index_reader_open(f->index, &f->reader), 0);
    *state = f;
    return 0;
}

static inline int fixture_close(void **state)
{
    struct fixture *f = *state;
    char command[128];
    index_reader_close(f->reader);
    index_close(f->index);
    mirai_arena_free(&f->arena);
    query_workspace_free(f->workspace);
    analyzer_free(f->analyzer);
    analyzer_model_close(f->model);
    snprintf(command, sizeof(command), "rm -rf '%s'", f->dir);
    int status = system(command);
    free(f);
    return status;
}

#define SEARCH_TEST(function) cmocka_unit_test_setup_teardown(function, fixture_open, fixture_close)

#endif
