#include "tests/unit/knowledge-store/fixture.h"

static struct mirai_by_id by_id(int64_t id)
{
    struct mirai_by_id params = {0};
    mirai_set(by_id, &params, id, id);
    return params;
}

static size_t count_access_changes(struct fixture *f)
{
    struct mirai_changes_since params = {0};
    struct mirai_changes changes;
    size_t count = 0;
    mirai_set(changes_since, &params, epoch, mirai_str(f->store.epoch));
    mirai_set(changes_since, &params, seq, 0);
    mirai_set(changes_since, &params, limit, 1000);
    assert_int_equal(CALL(f, &daemon_, changes_since, &params, &changes), 0);
    for (size_t i = 0; i < changes.items.count; i++) {
        count += MIRAI_ITEMS(change, &changes.items)[i].kind == MIRAI_CHANGE_ACCESS;
    }
    return count;
}

static void spaces_are_made_and_changed(void **state)
{
    struct fixture *f = *state;
    struct mirai_space_create params = {0};
    struct mirai_space_patch patch = {0};
    struct mirai_space space;
    int64_t readers[] = {1}, editors[] = {2}, both[] = {1, 2};
    mirai_set(space_create, &params, name, MIRAI_STR("ネットワーク"));
    mirai_set(space_create, &params, reader_groups, ((struct mirai_ints){readers, 1}));
    mirai_set(space_create, &params, editor_groups, ((struct mirai_ints){editors, 1}));
    assert_int_equal(CALL(f, &editor, space_create, &params, NULL), MIRAI_E_FORBIDDEN);
    assert_int_equal(CALL(f, &admin, space_create, &params, &space), 0);
    assert_int_equal(space.reader_groups.count, 1);
    assert_int_equal(space.editor_groups.items[0], 2);
    assert_int_equal(CALL(f, &admin, space_create, &params, NULL), MIRAI_E_CONFLICT);
    mirai_set(space_patch, &patch, id, space.id);
    mirai_set(space_patch, &patch, reader_groups, ((struct mirai_ints){both, 2}));
    assert_int_equal(CALL(f, &admin, space_patch, &patch, &space), 0);
    assert_int_equal(space.reader_groups.count, 2);
    assert_int_equal(space.editor_groups.count, 1);
    assert_text(space.name, "ネットワーク");
    assert_int_equal(count_access_changes(f), 2);

    mirai_set(space_patch, &patch, name, MIRAI_STR("GENERAL")); /* general without regard to case */
    assert_int_equal(CALL(f, &admin, space_patch, &patch, NULL), MIRAI_E_CONFLICT);
    int64_t twice[] = {1, 1}, unknown[] = {99};
    mirai_clear(space_patch, &patch, name);
    mirai_set(space_patch, &patch, reader_groups, ((struct mirai_ints){twice, 2}));
    assert_int_equal(CALL(f, &admin, space_patch, &patch, NULL), MIRAI_E_UNPROCESSABLE);
    mirai_set(space_patch, &patch, reader_groups, ((struct mirai_ints){unknown, 1}));
    assert_int_equal(CALL(f, &admin, space_patch, &patch, NULL), MIRAI_E_UNPROCESSABLE);
    mirai_set(space_patch, &patch, id, 99);
    mirai_clear(space_patch, &patch, reader_groups);
    assert_int_equal(CALL(f, &admin, space_patch, &patch, NULL), MIRAI_E_NOT_FOUND);
    assert_int_equal(count_access_changes(f), 2);
}

static void one_sees_the_spaces_one_may_read(void **state)
{
    struct fixture *f = *state;
    struct mirai_space_page page;
    assert_int_equal(CALL(f, &viewer, space_list, NULL, &page), 0);
    assert_int_equal(page.items.count, 1);
    assert_int_equal(MIRAI_ITEMS(space, &page.items)[0].id, 1);
    assert_false(mirai_has(space, &MIRAI_ITEMS(space, &page.items)[0], reader_groups));
    assert_int_equal(CALL(f, &admin, space_list, NULL, &page), 0);
    assert_int_equal(page.items.count, 2);
    assert_true(mirai_has(space, &MIRAI_ITEMS(space, &page.items)[0], reader_groups));
}

static void a_space_with_articles_stays(void **state)
{
    struct fixture *f = *state;
    struct mirai_article_create params = new_article("In the secret space");
    struct mirai_article article;
    struct mirai_by_id secret = by_id(2), general_space = by_id(1);
    mirai_set(article_create, &params, space_id, 2);
    assert_int_equal(CALL(f, &admin, article_create, &params, &article), 0);
    assert_int_equal(CALL(f, &admin, space_delete, &secret, NULL), MIRAI_E_CONFLICT);
    assert_int_equal(delete_article(f, &admin, article.id), 0);
    assert_int_equal(CALL(f, &admin, space_delete, &secret, NULL), MIRAI_E_CONFLICT); /* it is in the bin */
    struct mirai_by_id id = by_id(article.id);
    assert_int_equal(CALL(f, &admin, article_purge, &id, NULL), 0);
    assert_int_equal(CALL(f, &admin, space_delete, &secret, NULL), 0);
    assert_int_equal(CALL(f, &admin, space_delete, &secret, NULL), MIRAI_E_NOT_FOUND);
    assert_int_equal(CALL(f, &admin, space_delete, &general_space, NULL), MIRAI_E_CONFLICT);
}

static void groups_have_members(void **state)
{
    struct fixture *f = *state;
    struct mirai_group_create params = {0};
    struct mirai_group_patch patch = {0};
    struct mirai_group group;
    struct mirai_group_page page;
    int64_t members[] = {2, 3}, twice[] = {2, 2}, unknown[] = {99};
    mirai_set(group_create, &params, name, MIRAI_STR("Network"));
    mirai_set(group_create, &params, members, ((struct mirai_ints){members, 2}));
    assert_int_equal(CALL(f, &admin, group_create, &params, &group), 0);
    assert_int_equal(group.members.count, 2);
    mirai_set(group_create, &params, name, MIRAI_STR("NETWORK"));
    assert_int_equal(CALL(f, &admin, group_create, &params, NULL), MIRAI_E_CONFLICT);
    mirai_set(group_patch, &patch, id, group.id);
    mirai_set(group_patch, &patch, members, ((struct mirai_ints){twice, 2}));
    assert_int_equal(CALL(f, &admin, group_patch, &patch, NULL), MIRAI_E_UNPROCESSABLE);
    mirai_set(group_patch, &patch, members, ((struct mirai_ints){unknown, 1}));
    assert_int_equal(CALL(f, &admin, group_patch, &patch, NULL), MIRAI_E_UNPROCESSABLE);
    assert_int_equal(CALL(f, &admin, group_list, NULL, &page), 0);
    assert_int_equal(page.items.count, 3);
    assert_int_equal(MIRAI_ITEMS(group, &page.items)[2].members.count,
                     2); /* a refused change leaves no trace */
    mirai_set(group_patch, &patch, id, 1);
    assert_int_equal(CALL(f, &admin, group_patch, &patch, NULL), MIRAI_E_CONFLICT);
}

static void a_group_in_use_stays(void **state)
{
    struct fixture *f = *state;
    struct mirai_by_id group = by_id(2), everyone = by_id(1);
    struct mirai_space_patch patch = {0};
    int64_t readers[] = {2};
    mirai_set(space_patch, &patch, id, 2);
    mirai_set(space_patch, &patch, reader_groups, ((struct mirai_ints){readers, 1}));
    assert_int_equal(CALL(f, &admin, space_patch, &patch, NULL), 0);
    assert_int_equal(CALL(f, &admin, group_delete, &group, NULL), MIRAI_E_CONFLICT);
    mirai_set(space_patch, &patch, reader_groups, ((struct mirai_ints){readers, 0}));
    assert_int_equal(CALL(f, &admin, space_patch, &patch, NULL), 0);
    assert_int_equal(CALL(f, &editor, group_delete, &group, NULL), MIRAI_E_FORBIDDEN);
    assert_int_equal(CALL(f, &admin, group_delete, &group, NULL), 0);
    assert_int_equal(CALL(f, &admin, group_delete, &group, NULL), MIRAI_E_NOT_FOUND);
    assert_int_equal(CALL(f, &admin, group_delete, &everyone, NULL), MIRAI_E_CONFLICT);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, fixture_open, fixture_close)
    const struct CMUnitTest tests[] = {
        TEST(spaces_are_made_and_changed), TEST(one_sees_the_spaces_one_may_read),
        TEST(a_space_with_articles_stays), TEST(groups_have_members),
        TEST(a_group_in_use_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
