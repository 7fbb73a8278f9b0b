#include "services/search-index/help/suggest.h"
#include "tests/unit/search-index/fixture.h"

/* Article n is seen by: 1 space 1; 2 space 2; 3 group 7; 4 its owner 42 (private); 5 no owner (private); 6
 * space 3, owner 42. */
static void put_mixed(struct fixture *f)
{
    static const struct {
        const char *title;
        const char *tag;
        int visibility;
        int64_t space;
        int64_t group;
        int64_t owner;
    } rows[] = {
        {"電源 一般", "alpha", MIRAI_VISIBILITY_SPACE, 1, 0, 9},
        {"電源 経理", "beta", MIRAI_VISIBILITY_SPACE, 2, 0, 9},
        {"電源 委員会", "gamma", MIRAI_VISIBILITY_GROUP, 1, 7, 9},
        {"電源 下書き", "delta", MIRAI_VISIBILITY_PRIVATE, 1, 7, 42},
        {"電源 無主", "epsilon", MIRAI_VISIBILITY_PRIVATE, 1, 7, 0},
        {"電源 人事", "zeta", MIRAI_VISIBILITY_SPACE, 3, 0, 42},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct mirai_article article = article_make((int64_t)i + 1, rows[i].title, "電源の秘密");
        struct mirai_str tag = mirai_str(rows[i].tag);
        mirai_set(article, &article, visibility, rows[i].visibility);
        mirai_set(article, &article, space_id, rows[i].space);
        if (rows[i].group != 0) {
            mirai_set(article, &article, group_id, rows[i].group);
        }
        if (rows[i].owner != 0) {
            mirai_set(article, &article, owner_id, rows[i].owner);
        }
        article_tag(&article, &tag, 1);
        put(f, &article);
    }
}

static const int64_t spaces[] = {1};
static const int64_t both[] = {1, 2};
static const int64_t groups[] = {3, 7};

static const struct {
    const char *what;
    struct mirai_principal principal;
    unsigned seen; /* bit n: article n */
} viewers[] = {
    {"nobody", {.role = MIRAI_ROLE_VIEWER}, 0},
    {"reader of a space",
     {.user_id = 5, .role = MIRAI_ROLE_VIEWER, .spaces = spaces, .spaces_len = 1},
     1u << 1},
    {"reader of two",
     {.user_id = 5, .role = MIRAI_ROLE_EDITOR, .spaces = both, .spaces_len = 2},
     1u << 1 | 1u << 2},
    {"member", {.user_id = 5, .role = MIRAI_ROLE_VIEWER, .groups = groups, .groups_len = 2}, 1u << 3},
    {"owner",
     {.user_id = 42, .role = MIRAI_ROLE_VIEWER, .spaces = spaces, .spaces_len = 1},
     1u << 1 | 1u << 4 | 1u << 6},
    {"admin", {.user_id = 5, .role = MIRAI_ROLE_ADMIN}, 0x7E},
    {"system", {.user_id = -1}, 0x7E},
};

static void check_result(const struct mirai_search_result *result, unsigned seen)
{
    size_t count = (size_t)__builtin_popcount(seen);
    size_t typed = 0;
    unsigned found = 0;
    for (size_t i = 0; i < result->hits.count; i++) {
        found |= 1u << hit(result, i)->id;
    }
    assert_int_equal(found, seen);
    assert_int_equal(result->total, count);
    for (size_t i = 0; i < result->facets.type.count; i++) {
        typed += (size_t)MIRAI_ITEMS(tally, &result->facets.type)[i].count;
    }
    assert_int_equal(typed, count);
    assert_int_equal(result->facets.tag.count, count); /* each article has a tag of its own */
}

static void test_hits_counts_and_facets(void **state)
{
    struct fixture *f = *state;
    static const char *const queries[] = {"電源", "", "\"電源の秘密\"", "-存在しない"};
    put_mixed(f);
    for (size_t i = 0; i < ARRAY_LEN(viewers); i++) {
        for (size_t j = 0; j < ARRAY_LEN(queries); j++) {
            struct mirai_search_query query = {0};
            struct mirai_search_result result;
            mirai_set(search_query, &query, q, mirai_str(queries[j]));
            assert_int_equal(search_as(f, &query, &viewers[i].principal, &result), 0);
            check_result(&result, viewers[i].seen);
        }
    }
}

static size_t suggest(struct fixture *f, const char *typed, const struct mirai_principal *principal,
                      unsigned *ids)
{
    struct mirai_suggest_query query = {0};
    struct mirai_suggest_result result = {0};
    mirai_set(suggest_query, &query, q, mirai_str(typed));
    mirai_set(suggest_query, &query, limit, 20);
    const struct suggest_request request = {
        .reader = f->reader, .analyzer = f->analyzer, .principal = principal, .query = &query};
    assert_int_equal(suggest_run(&request, &f->arena, &result), 0);
    *ids = 0;
    for (size_t i = 0; i < result.items.count; i++) {
        *ids |= 1u << MIRAI_ITEMS(suggestion, &result.items)[i].id;
    }
    return result.items.count;
}

static void test_suggestions(void **state)
{
    struct fixture *f = *state;
    static const char *const tags[] = {"alpha", "beta", "gamma", "delta", "epsilon", "zeta"};
    put_mixed(f);
    for (size_t i = 0; i < ARRAY_LEN(viewers); i++) {
        unsigned ids;
        size_t count = suggest(f, "電", &viewers[i].principal, &ids);
        assert_int_equal(ids, viewers[i].seen);
        assert_int_equal(count, (size_t)__builtin_popcount(viewers[i].seen));
        for (size_t j = 0; j < ARRAY_LEN(tags); j++) {
            assert_int_equal(suggest(f, tags[j], &viewers[i].principal, &ids),
                             viewers[i].seen >> (j + 1) & 1);
        }
    }
}

static void test_suggestions_by_prefix_and_word(void **state)
{
    struct fixture *f = *state;
    unsigned ids;
    struct mirai_article article = article_make(3, "共有メールボックスのサーバー", "");
    put(f, &article);
    assert_int_equal(suggest(f, "共有", admin(), &ids), 1);
    assert_int_equal(suggest(f, "ｻｰﾊﾞ", admin(), &ids), 1);
    assert_int_equal(ids, 1u << 3);
    assert_int_equal(suggest(f, "ボックスの他", admin(), &ids), 0);
    assert_int_equal(suggest(f, "", admin(), &ids), 0);
    assert_int_equal(suggest(f, "%", admin(), &ids), 0);
    drop(f, 3);
    assert_int_equal(suggest(f, "共有", admin(), &ids), 0);
}

static void test_changes_of_visibility_take_hold(void **state)
{
    struct fixture *f = *state;
    struct mirai_search_query query = {0};
    struct mirai_search_result result;
    struct mirai_article article = article_make(1, "電源", "本文");
    mirai_set(search_query, &query, q, MIRAI_STR("電源"));
    put(f, &article);
    assert_int_equal(search_as(f, &query, &viewers[1].principal, &result), 0);
    assert_int_equal(result.total, 1);
    mirai_set(article, &article, visibility, MIRAI_VISIBILITY_PRIVATE);
    put(f, &article);
    assert_int_equal(search_as(f, &query, &viewers[1].principal, &result), 0);
    assert_int_equal(result.total, 0);
    assert_int_equal(result.hits.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SEARCH_TEST(test_hits_counts_and_facets),
        SEARCH_TEST(test_suggestions),
        SEARCH_TEST(test_suggestions_by_prefix_and_word),
        SEARCH_TEST(test_changes_of_visibility_take_hold),
    };
    return cmocka_run_group_tests_name("search visibility", tests, NULL, NULL);
}
