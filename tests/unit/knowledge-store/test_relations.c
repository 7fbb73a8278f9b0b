#include "tests/unit/knowledge-store/fixture.h"

static struct mirai_article create_private(struct fixture *f, const struct mirai_principal *who,
                                           const char *title)
{
    struct mirai_article_create params = new_article(title);
    struct mirai_article article;
    mirai_set(article_create, &params, visibility, MIRAI_VISIBILITY_PRIVATE);
    assert_int_equal(CALL(f, who, article_create, &params, &article), 0);
    return article;
}

static int relate_as(struct fixture *f, const struct mirai_principal *who, enum mirai_relation_type type,
                     int64_t from, int64_t to, struct mirai_relation *relation)
{
    struct mirai_relation_create params = {0};
    mirai_set(relation_create, &params, id, from);
    mirai_set(relation_create, &params, to_id, to);
    mirai_set(relation_create, &params, type, type);
    return CALL(f, who, relation_create, &params, relation);
}

static int relate(struct fixture *f, const struct mirai_principal *who, int64_t from, int64_t to,
                  struct mirai_relation *relation)
{
    return relate_as(f, who, MIRAI_RELATION_RELATED, from, to, relation);
}

static size_t count_relations(struct fixture *f, const struct mirai_principal *who, int64_t id)
{
    struct mirai_by_id params = {0};
    struct mirai_relation_page page;
    mirai_set(by_id, &params, id, id);
    assert_int_equal(CALL(f, who, relation_list, &params, &page), 0);
    return page.items.count;
}

static int unrelate(struct fixture *f, const struct mirai_principal *who, int64_t id, int64_t relation_id)
{
    struct mirai_relation_delete params = {0};
    mirai_set(relation_delete, &params, id, id);
    mirai_set(relation_delete, &params, relation_id, relation_id);
    return CALL(f, who, relation_delete, &params, NULL);
}

static void both_ends_show_the_relation(void **state)
{
    struct fixture *f = *state;
    struct mirai_article incident = create(f, &editor, "Incident"), problem = create(f, &editor, "Problem");
    struct mirai_relation relation;
    assert_int_equal(relate(f, &viewer, incident.id, problem.id, NULL), MIRAI_E_FORBIDDEN);
    assert_int_equal(relate(f, &editor, incident.id, problem.id, &relation), 0);
    assert_text(relation.from_title, "Incident");
    assert_text(relation.to_title, "Problem");
    assert_text(relation.created_by, "editor");
    assert_int_equal(relate(f, &editor, incident.id, problem.id, NULL), MIRAI_E_CONFLICT);
    assert_int_equal(relate(f, &editor, incident.id, incident.id, NULL), MIRAI_E_UNPROCESSABLE);
    assert_int_equal(relate(f, &editor, incident.id, 999, NULL), MIRAI_E_UNPROCESSABLE);
    assert_int_equal(relate(f, &editor, 999, incident.id, NULL), MIRAI_E_NOT_FOUND);
    assert_int_equal(count_relations(f, &viewer, incident.id), 1);
    assert_int_equal(count_relations(f, &viewer, problem.id), 1);
    assert_int_equal(unrelate(f, &viewer, incident.id, relation.id), MIRAI_E_FORBIDDEN);
    assert_int_equal(unrelate(f, &editor, 999, relation.id), MIRAI_E_NOT_FOUND);
    assert_int_equal(unrelate(f, &editor, problem.id, relation.id), 0);
    assert_int_equal(unrelate(f, &editor, problem.id, relation.id), MIRAI_E_NOT_FOUND);
    assert_int_equal(count_relations(f, &viewer, incident.id), 0);
}

static struct mirai_article create_of_type(struct fixture *f, enum mirai_itsm_type type)
{
    struct mirai_article_create params = new_article("typed");
    struct mirai_article article;
    mirai_set(article_create, &params, type, type);
    assert_int_equal(CALL(f, &editor, article_create, &params, &article), 0);
    return article;
}

static void typed_relations_link_articles_of_their_types(void **state)
{
    struct fixture *f = *state;
    static const struct {
        enum mirai_relation_type relation;
        enum mirai_itsm_type from, to;
    } rows[] = {
        {MIRAI_RELATION_INCIDENT_PROBLEM, MIRAI_ITSM_TYPE_INCIDENT, MIRAI_ITSM_TYPE_PROBLEM},
        {MIRAI_RELATION_PROBLEM_CHANGE, MIRAI_ITSM_TYPE_PROBLEM, MIRAI_ITSM_TYPE_CHANGE},
        {MIRAI_RELATION_CHANGE_RELEASE, MIRAI_ITSM_TYPE_CHANGE, MIRAI_ITSM_TYPE_RELEASE},
        {MIRAI_RELATION_REQUEST_CHANGE, MIRAI_ITSM_TYPE_REQUEST, MIRAI_ITSM_TYPE_CHANGE},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int64_t from = create_of_type(f, rows[i].from).id, to = create_of_type(f, rows[i].to).id;
        assert_int_equal(relate_as(f, &editor, rows[i].relation, to, from, NULL), MIRAI_E_UNPROCESSABLE);
        assert_int_equal(relate_as(f, &editor, rows[i].relation, from, to, NULL), 0);
        assert_int_equal(relate_as(f, &editor, MIRAI_RELATION_REFERENCE, to, from, NULL), 0);
    }
}

static void a_relation_does_not_betray_its_hidden_end(void **state)
{
    struct fixture *f = *state;
    struct mirai_article open = create(f, &editor, "Open");
    struct mirai_article hidden = create_private(f, &editor, "Hidden");
    struct mirai_relation relation;
    struct mirai_by_id id = {0};
    assert_int_equal(relate(f, &member, open.id, hidden.id, NULL), MIRAI_E_UNPROCESSABLE);
    assert_int_equal(relate(f, &editor, open.id, hidden.id, &relation), 0);
    assert_int_equal(count_relations(f, &editor, open.id), 1);
    assert_int_equal(count_relations(f, &viewer, open.id), 0);
    assert_int_equal(count_relations(f, &admin, open.id), 1);
    assert_int_equal(unrelate(f, &member, open.id, relation.id), MIRAI_E_NOT_FOUND);
    mirai_set(by_id, &id, id, hidden.id);
    assert_int_equal(CALL(f, &viewer, relation_list, &id, NULL), MIRAI_E_NOT_FOUND);
    assert_int_equal(delete_article(f, &editor, hidden.id), 0);
    assert_int_equal(count_relations(f, &editor, open.id), 0); /* in the bin */
}

static struct mirai_feedback_create new_feedback(int64_t article)
{
    struct mirai_feedback_create params = {0};
    mirai_set(feedback_create, &params, id, article);
    return params;
}

static void feedback_needs_a_kind_or_a_rating(void **state)
{
    struct fixture *f = *state;
    struct mirai_article article = create(f, &editor, "Rated");
    struct mirai_feedback_create params = new_feedback(article.id);
    struct mirai_feedback feedback;
    mirai_set(feedback_create, &params, comment, MIRAI_STR("分かりやすい"));
    assert_int_equal(CALL(f, &viewer, feedback_create, &params, NULL), MIRAI_E_UNPROCESSABLE);
    mirai_set(feedback_create, &params, rating, 6);
    assert_int_equal(CALL(f, &viewer, feedback_create, &params, NULL), MIRAI_E_UNPROCESSABLE);
    mirai_set(feedback_create, &params, rating, 5);
    assert_int_equal(CALL(f, &viewer, feedback_create, &params, &feedback), 0);
    assert_int_equal(feedback.rating, 5);
    assert_false(mirai_has(feedback, &feedback, kind));
    assert_text(feedback.created_by, "viewer");
}

static void feedback_is_paged_newest_first(void **state)
{
    struct fixture *f = *state;
    struct mirai_article article = create(f, &editor, "Rated"), hidden = create_private(f, &editor, "Hidden");
    struct mirai_feedback_create params = new_feedback(article.id);
    struct mirai_article_children list = {0};
    struct mirai_feedback_page page;
    int64_t last = INT64_MAX;
    size_t count = 0;
    mirai_set(feedback_create, &params, kind, MIRAI_FEEDBACK_HELPFUL);
    for (int i = 0; i < 7; i++) {
        assert_int_equal(CALL(f, &viewer, feedback_create, &params, NULL), 0);
    }
    mirai_set(article_children, &list, id, article.id);
    mirai_set(article_children, &list, limit, 3);
    do {
        assert_int_equal(CALL(f, &viewer, feedback_list, &list, &page), 0);
        for (size_t i = 0; i < page.items.count; i++, count++) {
            assert_true(MIRAI_ITEMS(feedback, &page.items)[i].id < last);
            last = MIRAI_ITEMS(feedback, &page.items)[i].id;
        }
        mirai_set(article_children, &list, cursor, page.next_cursor);
    } while (mirai_has(feedback_page, &page, next_cursor));
    assert_int_equal(count, 7);
    params.id = list.id = hidden.id;
    assert_int_equal(CALL(f, &viewer, feedback_create, &params, NULL), MIRAI_E_NOT_FOUND);
    mirai_clear(article_children, &list, cursor);
    assert_int_equal(CALL(f, &viewer, feedback_list, &list, NULL), MIRAI_E_NOT_FOUND);
}

static struct mirai_comment comment_on(struct fixture *f, const struct mirai_principal *who, int64_t article,
                                       const char *text)
{
    struct mirai_comment_create params = {0};
    struct mirai_comment comment;
    mirai_set(comment_create, &params, id, article);
    mirai_set(comment_create, &params, body, mirai_str(text));
    assert_int_equal(CALL(f, who, comment_create, &params, &comment), 0);
    return comment;
}

static int uncomment(struct fixture *f, const struct mirai_principal *who, int64_t article, int64_t id)
{
    struct mirai_comment_delete params = {0};
    mirai_set(comment_delete, &params, id, article);
    mirai_set(comment_delete, &params, comment_id, id);
    return CALL(f, who, comment_delete, &params, NULL);
}

static void one_removes_ones_own_comments(void **state)
{
    struct fixture *f = *state;
    struct mirai_article article = create(f, &editor, "Discussed"), other = create(f, &editor, "Other");
    struct mirai_comment first = comment_on(f, &viewer, article.id, "再起動で直りました");
    struct mirai_comment second = comment_on(f, &editor, article.id, "ありがとう");
    struct mirai_article_children list = {0};
    struct mirai_comment_page page;
    assert_int_equal(first.user_id, 3);
    mirai_set(article_children, &list, id, article.id);
    assert_int_equal(CALL(f, &viewer, comment_list, &list, &page), 0);
    assert_int_equal(page.items.count, 2);
    assert_int_equal(MIRAI_ITEMS(comment, &page.items)[0].id, first.id);
    assert_int_equal(uncomment(f, &viewer, article.id, second.id), MIRAI_E_FORBIDDEN);
    assert_int_equal(uncomment(f, &viewer, other.id, first.id), MIRAI_E_NOT_FOUND);
    assert_int_equal(uncomment(f, &viewer, article.id, first.id), 0);
    assert_int_equal(uncomment(f, &admin, article.id, second.id), 0);
    assert_int_equal(uncomment(f, &admin, article.id, second.id), MIRAI_E_NOT_FOUND);
}

static void comments_on_hidden_articles_are_hidden(void **state)
{
    struct fixture *f = *state;
    struct mirai_article hidden = create_private(f, &editor, "Hidden");
    struct mirai_comment comment = comment_on(f, &editor, hidden.id, "secret");
    struct mirai_article_children list = {0};
    struct mirai_comment_create params = {0};
    mirai_set(article_children, &list, id, hidden.id);
    mirai_set(comment_create, &params, id, hidden.id);
    mirai_set(comment_create, &params, body, MIRAI_STR("hello?"));
    assert_int_equal(CALL(f, &member, comment_list, &list, NULL), MIRAI_E_NOT_FOUND);
    assert_int_equal(CALL(f, &member, comment_create, &params, NULL), MIRAI_E_NOT_FOUND);
    assert_int_equal(uncomment(f, &member, hidden.id, comment.id), MIRAI_E_NOT_FOUND);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, fixture_open, fixture_close)
    const struct CMUnitTest tests[] = {
        TEST(both_ends_show_the_relation),
        TEST(typed_relations_link_articles_of_their_types),
        TEST(a_relation_does_not_betray_its_hidden_end),
        TEST(feedback_needs_a_kind_or_a_rating),
        TEST(feedback_is_paged_newest_first),
        TEST(one_removes_ones_own_comments),
        TEST(comments_on_hidden_articles_are_hidden),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
