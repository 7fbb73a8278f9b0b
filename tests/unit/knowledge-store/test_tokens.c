#include "tests/unit/knowledge-store/fixture.h"

static struct mirai_token_create new_token(const char *name)
{
    struct mirai_token_create params = {0};
    mirai_set(token_create, &params, name, mirai_str(name));
    return params;
}

static int whose(struct fixture *f, struct mirai_str token, struct mirai_identity *identity)
{
    unsigned char sha256[32];
    struct mirai_token_check params = {0};
    crypto_hash_sha256(sha256, (const unsigned char *)token.data, token.len);
    mirai_set(token_check, &params, sha256, ((struct mirai_str){(const char *)sha256, sizeof(sha256)}));
    return CALL(f, &daemon_, auth_token, &params, identity);
}

static int delete_token(struct fixture *f, const struct mirai_principal *who, int64_t id)
{
    struct mirai_by_id params = {0};
    mirai_set(by_id, &params, id, id);
    return CALL(f, who, token_delete, &params, NULL);
}

static void a_token_has_at_most_the_users_role(void **state)
{
    struct fixture *f = *state;
    struct mirai_token_create params = new_token("script");
    struct mirai_token_created made;
    struct mirai_identity identity;
    assert_int_equal(CALL(f, &editor, token_create, &params, &made), 0);
    assert_memory_equal(made.token.data, "mkt_", 4);
    assert_int_equal(whose(f, made.token, &identity), 0);
    assert_int_equal(identity.role, MIRAI_ROLE_EDITOR);
    assert_int_equal(identity.kind, MIRAI_TOKEN_KIND_API);
    mirai_set(token_create, &params, role, MIRAI_ROLE_VIEWER);
    assert_int_equal(CALL(f, &editor, token_create, &params, &made), 0);
    assert_int_equal(whose(f, made.token, &identity), 0);
    assert_int_equal(identity.role, MIRAI_ROLE_VIEWER);
    mirai_set(token_create, &params, role, MIRAI_ROLE_ADMIN);
    assert_int_equal(CALL(f, &editor, token_create, &params, NULL), MIRAI_E_UNPROCESSABLE);
    mirai_set(token_create, &params, role, MIRAI_ROLE_NONE);
    assert_int_equal(CALL(f, &editor, token_create, &params, NULL), MIRAI_E_UNPROCESSABLE);
}

/* Who acts with a token of a lower role must not come to the user's full role by it. */
static void a_lower_token_makes_no_higher_one(void **state)
{
    struct fixture *f = *state;
    static const struct mirai_principal reading_admin = PERSON(1, VIEWER, .spaces = general, .spaces_len = 1);
    struct mirai_token_create params = new_token("script");
    struct mirai_token_created made;
    struct mirai_identity identity;
    assert_int_equal(CALL(f, &reading_admin, token_create, &params, &made), 0);
    assert_int_equal(whose(f, made.token, &identity), 0);
    assert_int_equal(identity.role, MIRAI_ROLE_VIEWER);
    mirai_set(token_create, &params, role, MIRAI_ROLE_ADMIN);
    assert_int_equal(CALL(f, &reading_admin, token_create, &params, NULL), MIRAI_E_UNPROCESSABLE);
    mirai_set(token_create, &params, user_id, 2);
    assert_int_equal(CALL(f, &reading_admin, token_create, &params, NULL), MIRAI_E_FORBIDDEN);
}

static void a_token_outlives_not_the_one_that_made_it(void **state)
{
    struct fixture *f = *state;
    int64_t end = mirai_now_ms() + 3600000;
    struct mirai_principal by_token[] = {editor, admin};
    for (size_t i = 0; i < 2; i++) {
        struct mirai_token_create params = new_token("longer");
        struct mirai_token_created made;
        struct mirai_identity identity;
        by_token[i].expires_at = end;
        assert_int_equal(CALL(f, &by_token[i], token_create, &params, &made), 0);
        assert_int_equal(made.expires_at, end);
        mirai_set(token_create, &params, days, 3650);
        assert_int_equal(CALL(f, &by_token[i], token_create, &params, &made), 0);
        assert_int_equal(whose(f, made.token, &identity), 0);
        assert_int_equal(identity.expires_at, end);
        by_token[i].expires_at = 0; /* a session */
        assert_int_equal(CALL(f, &by_token[i], token_create, &params, &made), 0);
        assert_true(made.expires_at > end + INT64_C(3600) * 86400000);
    }
    struct mirai_token_create params = new_token("for the viewer");
    struct mirai_token_created made;
    by_token[1].expires_at = end;
    mirai_set(token_create, &params, user_id, 3);
    assert_int_equal(CALL(f, &by_token[1], token_create, &params, &made), 0);
    assert_int_equal(made.expires_at, end);
    by_token[1].expires_at = end + INT64_C(40) * 86400000;
    mirai_set(token_create, &params, days, 1); /* asked for less */
    assert_int_equal(CALL(f, &by_token[1], token_create, &params, &made), 0);
    assert_true(made.expires_at < end + INT64_C(2) * 86400000);
}

static void admins_make_tokens_for_others(void **state)
{
    struct fixture *f = *state;
    struct mirai_token_create params = new_token("for the viewer");
    struct mirai_token_created made;
    struct mirai_identity identity;
    mirai_set(token_create, &params, user_id, 3);
    assert_int_equal(CALL(f, &editor, token_create, &params, NULL), MIRAI_E_FORBIDDEN);
    assert_int_equal(CALL(f, &admin, token_create, &params, &made), 0);
    assert_int_equal(whose(f, made.token, &identity), 0);
    assert_int_equal(identity.user_id, 3);
    assert_int_equal(identity.role, MIRAI_ROLE_VIEWER);
    mirai_set(token_create, &params, user_id, 99);
    assert_int_equal(CALL(f, &admin, token_create, &params, NULL), MIRAI_E_NOT_FOUND);
    struct mirai_token_create nobodys = new_token("nobody's");
    assert_int_equal(CALL(f, &daemon_, token_create, &nobodys, NULL), MIRAI_E_UNPROCESSABLE);
}

static void lists_and_revokes_ones_own(void **state)
{
    struct fixture *f = *state;
    struct mirai_token_create params = new_token("mine");
    struct mirai_token_created editors, viewers;
    struct mirai_page_request all = {0};
    struct mirai_token_page page;
    assert_int_equal(CALL(f, &editor, token_create, &params, &editors), 0);
    assert_int_equal(CALL(f, &viewer, token_create, &params, &viewers), 0);
    assert_int_equal(CALL(f, &viewer, token_list, &all, &page), 0);
    assert_int_equal(page.items.count, 1);
    assert_int_equal(MIRAI_ITEMS(token, &page.items)[0].id, viewers.id);
    assert_int_equal(CALL(f, &admin, token_list, &all, &page), 0);
    assert_int_equal(page.items.count, 2);
    mirai_set(page_request, &all, limit, 1);
    assert_int_equal(CALL(f, &admin, token_list, &all, &page), 0);
    assert_true(mirai_has(token_page, &page, next_cursor));
    mirai_set(page_request, &all, cursor, page.next_cursor);
    assert_int_equal(CALL(f, &admin, token_list, &all, &page), 0);
    assert_int_equal(page.items.count, 1);
    assert_false(mirai_has(token_page, &page, next_cursor));

    assert_int_equal(delete_token(f, &viewer, editors.id), MIRAI_E_NOT_FOUND);
    assert_int_equal(whose(f, editors.token, NULL), 0);
    assert_int_equal(delete_token(f, &viewer, viewers.id), 0);
    assert_int_equal(whose(f, viewers.token, NULL), MIRAI_E_UNAUTHENTICATED);
    assert_int_equal(delete_token(f, &admin, editors.id), 0);
    assert_int_equal(whose(f, editors.token, NULL), MIRAI_E_UNAUTHENTICATED);
    assert_int_equal(delete_token(f, &admin, editors.id), MIRAI_E_NOT_FOUND);
}

static void a_repeated_creation_gives_no_second_secret(void **state)
{
    struct fixture *f = *state;
    struct mirai_token_create params = new_token("once");
    struct mirai_page_request all = {0};
    struct mirai_token_page page;
    assert_int_equal(call_keyed(f, &editor, "k1", MIRAI_METHOD_ID_token_create, &params).status, 0);
    assert_int_equal(call_keyed(f, &editor, "k1", MIRAI_METHOD_ID_token_create, &params).status,
                     MIRAI_E_CONFLICT);
    assert_int_equal(CALL(f, &editor, token_list, &all, &page), 0);
    assert_int_equal(page.items.count, 1);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, fixture_open, fixture_close)
    const struct CMUnitTest tests[] = {
        TEST(a_token_has_at_most_the_users_role),
        TEST(a_lower_token_makes_no_higher_one),
        TEST(a_token_outlives_not_the_one_that_made_it),
        TEST(admins_make_tokens_for_others),
        TEST(lists_and_revokes_ones_own),
        TEST(a_repeated_creation_gives_no_second_secret),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
