#include "tests/unit/knowledge-store/accounts.h"

static int give(struct fixture *f, const struct mirai_principal *who, int64_t id, int64_t to,
                int64_t *articles)
{
    struct mirai_hand_over params = {0};
    struct mirai_handed_over result;
    mirai_set(hand_over, &params, id, id);
    mirai_set(hand_over, &params, to, to);
    int status = CALL(f, who, user_hand_over, &params, &result);
    if (status == 0 && articles != NULL) {
        *articles = result.articles;
    }
    return status;
}

static int make_private(struct fixture *f, const struct mirai_article *article)
{
    struct mirai_article_patch params = {0};
    mirai_set(article_patch, &params, id, article->id);
    mirai_set(article_patch, &params, if_match, MIRAI_STR("*"));
    mirai_set(article_patch, &params, visibility, MIRAI_VISIBILITY_PRIVATE);
    return CALL(f, &editor, article_patch, &params, NULL);
}

static void all_articles_get_the_new_owner(void **state)
{
    struct fixture *f = *state;
    struct mirai_article open = create(f, &editor, "Open"), secret = create(f, &editor, "Secret");
    struct mirai_article binned = create(f, &editor, "Binned"), others = create(f, &admin, "Another's");
    struct mirai_article article;
    int64_t moved = 0;
    assert_int_equal(make_private(f, &secret), 0);
    assert_int_equal(delete_article(f, &editor, binned.id), 0);
    assert_int_equal(get(f, &viewer, open.id, &article), 0); /* it is cached now */
    assert_int_equal(get(f, &member, secret.id, NULL), MIRAI_E_NOT_FOUND);
    int64_t seq = find_int(f, "SELECT max(seq) FROM changes");
    uint64_t stamp = mirai_stamps_read(f->store.stamps, open.id);

    assert_int_equal(give(f, &admin, editor.user_id, member.user_id, &moved), 0);
    assert_int_equal(moved, 3);
    assert_true(mirai_stamps_read(f->store.stamps, open.id) != stamp);
    assert_int_equal(get(f, &viewer, open.id, &article), 0);
    assert_text(article.owner, "member");
    assert_int_equal(article.version, open.version);
    assert_int_equal(get(f, &member, secret.id, &article), 0);
    assert_int_equal(article.owner_id, member.user_id);
    assert_int_equal(get(f, &editor, secret.id, NULL), MIRAI_E_NOT_FOUND);
    assert_int_equal(get(f, &viewer, others.id, &article), 0);
    assert_text(article.owner, "admin");
    assert_int_equal(find_int(f, "SELECT owner_id FROM articles WHERE deleted_at IS NOT NULL"),
                     member.user_id);

    struct mirai_changes_since since = {0};
    struct mirai_changes changes;
    mirai_set(changes_since, &since, epoch, mirai_str(f->store.epoch));
    mirai_set(changes_since, &since, seq, seq);
    assert_int_equal(CALL(f, &daemon_, changes_since, &since, &changes), 0);
    assert_int_equal(changes.items.count, 2); /* not the one in the bin: nobody follows it */
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(MIRAI_ITEMS(change, &changes.items)[i].article.owner_id, member.user_id);
    }
    assert_int_equal(f->store.feed_seq, changes.last_seq);
    assert_int_equal(give(f, &admin, editor.user_id, member.user_id, &moved), 0);
    assert_int_equal(moved, 0);
}

static void only_to_somebody_who_can_take_them(void **state)
{
    struct fixture *f = *state;
    struct mirai_user_patch patch = {0};
    assert_int_equal(give(f, &editor, 2, 3, NULL), MIRAI_E_FORBIDDEN);
    assert_int_equal(give(f, &admin, 2, 2, NULL), MIRAI_E_UNPROCESSABLE);
    assert_int_equal(give(f, &admin, 2, 99, NULL), MIRAI_E_UNPROCESSABLE);
    assert_int_equal(give(f, &admin, 99, 2, NULL), MIRAI_E_NOT_FOUND);
    mirai_set(user_patch, &patch, id, 3);
    mirai_set(user_patch, &patch, disabled, true);
    assert_int_equal(CALL(f, &admin, user_patch, &patch, NULL), 0);
    assert_int_equal(give(f, &admin, 2, 3, NULL), MIRAI_E_UNPROCESSABLE);
    assert_int_equal(give(f, &admin, 3, 2, NULL), 0); /* who leaves may be disabled already */
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, fixture_open, fixture_close)
    const struct CMUnitTest tests[] = {
        TEST(all_articles_get_the_new_owner),
        TEST(only_to_somebody_who_can_take_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
