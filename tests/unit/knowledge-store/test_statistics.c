#include "tests/unit/knowledge-store/fixture.h"

static void figures_are_of_visible_articles_only(void **state)
{
    struct fixture *f = *state;
    static struct mirai_str tag[] = {MIRAI_STR("vpn")};
    struct mirai_article_create params = new_article("Hidden");
    struct mirai_article hidden, open = create(f, &editor, "Open");
    struct mirai_statistics figures;
    struct mirai_feedback_create rating = {0};
    mirai_set(article_create, &params, visibility, MIRAI_VISIBILITY_PRIVATE);
    mirai_set(article_create, &params, type, MIRAI_ITSM_TYPE_PROBLEM);
    mirai_set(article_create, &params, review_by, MIRAI_STR("2020-01-01"));
    mirai_set(article_create, &params, tags, ((struct mirai_strs){tag, 1}));
    assert_int_equal(CALL(f, &editor, article_create, &params, &hidden), 0);
    mirai_set(feedback_create, &rating, id, hidden.id);
    mirai_set(feedback_create, &rating, rating, 2);
    assert_int_equal(CALL(f, &editor, feedback_create, &rating, NULL), 0);

    assert_int_equal(CALL(f, &viewer, statistics_get, NULL, &figures), 0);
    assert_int_equal(figures.articles, 1);
    assert_int_equal(figures.by_type.count, 1);
    assert_text(MIRAI_ITEMS(tally, &figures.by_type)[0].key, "incident");
    assert_int_equal(figures.top_tags.count, 0);
    assert_int_equal(figures.recent.count, 1);
    assert_int_equal(MIRAI_ITEMS(article, &figures.recent)[0].id, open.id);
    assert_int_equal(figures.review_due, 0);
    assert_false(mirai_has(statistics, &figures, rating_average));

    assert_int_equal(CALL(f, &editor, statistics_get, NULL, &figures), 0);
    assert_int_equal(figures.articles, 2);
    assert_int_equal(figures.by_type.count, 2);
    assert_int_equal(MIRAI_ITEMS(tally, &figures.by_status)[0].count, 2);
    assert_int_equal(figures.top_tags.count, 1);
    assert_int_equal(figures.review_due, 1);
    assert_true(figures.rating_average == 2.0);
    assert_int_equal(delete_article(f, &editor, hidden.id), 0);
    assert_int_equal(CALL(f, &editor, statistics_get, NULL, &figures), 0);
    assert_int_equal(figures.articles, 1);
    assert_int_equal(figures.review_due, 0);
}

static size_t count_entries(struct fixture *f, const struct mirai_audit_list *params)
{
    struct mirai_audit_page page;
    assert_int_equal(CALL(f, &admin, audit_list, params, &page), 0);
    return page.items.count;
}

static void the_audit_log_is_filtered_and_paged(void **state)
{
    struct fixture *f = *state;
    struct mirai_audit_list params = {0};
    struct mirai_audit_page page;
    int64_t last = INT64_MAX, before = mirai_now_ms() - 1;
    size_t count = 0;
    for (int i = 0; i < 5; i++) {
        create(f, i % 2 == 0 ? &editor : &member, "Audited");
    }
    assert_int_equal(CALL(f, &editor, audit_list, &params, NULL), MIRAI_E_FORBIDDEN);
    mirai_set(audit_list, &params, limit, 2);
    mirai_set(audit_list, &params, action, MIRAI_STR("article.create"));
    do {
        assert_int_equal(CALL(f, &admin, audit_list, &params, &page), 0);
        for (size_t i = 0; i < page.items.count; i++, count++) {
            struct mirai_audit_entry *entry = &MIRAI_ITEMS(audit_entry, &page.items)[i];
            assert_true(entry->id < last);
            last = entry->id;
            assert_text(entry->result, "ok");
            assert_text(entry->address, "192.0.2.7");
            assert_memory_equal(entry->object.data, "article/", 8);
        }
        mirai_set(audit_list, &params, cursor, page.next_cursor);
    } while (mirai_has(audit_page, &page, next_cursor));
    assert_int_equal(count, 5);

    params = (struct mirai_audit_list){0};
    mirai_set(audit_list, &params, user_id, 4);
    assert_int_equal(count_entries(f, &params), 2);
    mirai_set(audit_list, &params, after, before);
    assert_int_equal(count_entries(f, &params), 2);
    mirai_set(audit_list, &params, before, before);
    assert_int_equal(count_entries(f, &params), 0);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, fixture_open, fixture_close)
    const struct CMUnitTest tests[] = {
        TEST(figures_are_of_visible_articles_only),
        TEST(the_audit_log_is_filtered_and_paged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
