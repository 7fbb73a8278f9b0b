#include "tests/unit/knowledge-store/accounts.h"

#define MINUTE INT64_C(60000)

static size_t count_sessions(struct fixture *f, const struct mirai_principal *who, int64_t user_id,
                             struct mirai_session_page *page)
{
    struct mirai_session_list list = {0};
    if (user_id != 0) {
        mirai_set(session_list, &list, user_id, user_id);
    }
    assert_int_equal(CALL(f, who, session_list, &list, page), 0);
    return page->items.count;
}

static int delete_session(struct fixture *f, const struct mirai_principal *who, int64_t id)
{
    struct mirai_by_id params = {0};
    mirai_set(by_id, &params, id, id);
    return CALL(f, who, session_delete, &params, NULL);
}

static void one_sees_ones_own_sessions(void **state)
{
    struct fixture *f = *state;
    struct mirai_user user = make_user(f, "tanaka", MIRAI_ROLE_EDITOR);
    struct mirai_login login = credentials("tanaka", PASSWORD);
    struct mirai_login_result first, second = log_in(f, "tanaka");
    struct mirai_session_page page;
    mirai_set(session_client, &login.client, agent, MIRAI_STR("Mozilla/5.0 (試験) 😀"));
    mirai_mark(login, &login, client);
    assert_int_equal(CALL(f, &nobody, auth_login, &login, &first), 0);
    const struct mirai_principal tanaka = principal_of(f, first.token);
    assert_int_equal(count_sessions(f, &tanaka, 0, &page), 2);
    const struct mirai_session *sessions = MIRAI_ITEMS(session, &page.items);
    assert_false(sessions[0].current);
    assert_true(sessions[1].current);
    assert_text(sessions[1].agent, "Mozilla/5.0 (試験) 😀");
    assert_text(sessions[1].address, "192.0.2.7");
    assert_text(sessions[1].user, "tanaka");
    assert_int_equal(sessions[1].user_id, user.id);
    assert_true(mirai_has(session, &sessions[1], last_used_at));
    assert_false(mirai_has(session, &sessions[0], last_used_at));
    assert_int_equal(count_sessions(f, &admin, user.id, &page), 2);
    assert_int_equal(count_sessions(f, &viewer, 0, &page), 0);

    struct mirai_session_list others = {0};
    mirai_set(session_list, &others, user_id, user.id);
    assert_int_equal(CALL(f, &viewer, session_list, &others, NULL), MIRAI_E_FORBIDDEN);
    mirai_set(session_list, &others, user_id, 999);
    assert_int_equal(CALL(f, &admin, session_list, &others, NULL), MIRAI_E_NOT_FOUND);
    struct mirai_session_list systems = {0};
    assert_int_equal(CALL(f, &daemon_, session_list, &systems, NULL), MIRAI_E_UNPROCESSABLE);
    mirai_set(session_list, &systems, user_id, user.id);
    mirai_set(session_list, &systems, limit, 1);
    assert_int_equal(CALL(f, &daemon_, session_list, &systems, &page), 0);
    mirai_set(session_list, &systems, cursor, page.next_cursor);
    assert_int_equal(CALL(f, &daemon_, session_list, &systems, &page), 0);
    assert_int_equal(page.items.count, 1);
    assert_false(mirai_has(session_page, &page, next_cursor));
    assert_int_equal(whose(f, second.token, NULL), 0);
}

static void one_ends_ones_own_sessions(void **state)
{
    struct fixture *f = *state;
    make_user(f, "tanaka", MIRAI_ROLE_EDITOR);
    struct mirai_login_result here = log_in(f, "tanaka"), there = log_in(f, "tanaka");
    const struct mirai_principal tanaka = principal_of(f, here.token);
    const struct mirai_principal elsewhere = principal_of(f, there.token);
    assert_int_equal(delete_session(f, &viewer, elsewhere.token_id), MIRAI_E_NOT_FOUND);
    uint64_t stamp = access_stamp(f);
    assert_int_equal(delete_session(f, &tanaka, elsewhere.token_id), 0);
    assert_true(access_stamp(f) != stamp);
    assert_int_equal(whose(f, there.token, NULL), MIRAI_E_UNAUTHENTICATED);
    assert_int_equal(delete_session(f, &tanaka, elsewhere.token_id), MIRAI_E_NOT_FOUND);
    assert_int_equal(delete_session(f, &admin, tanaka.token_id), 0);
    assert_int_equal(whose(f, here.token, NULL), MIRAI_E_UNAUTHENTICATED);
}

static void an_api_token_is_no_session(void **state)
{
    struct fixture *f = *state;
    struct mirai_token_create params = {0};
    struct mirai_token_created token;
    struct mirai_session_page page;
    struct mirai_sessions_ended ended;
    mirai_set(token_create, &params, name, MIRAI_STR("ci"));
    assert_int_equal(CALL(f, &editor, token_create, &params, &token), 0);
    assert_int_equal(count_sessions(f, &editor, 0, &page), 0);
    assert_int_equal(delete_session(f, &editor, token.id), MIRAI_E_NOT_FOUND);
    assert_int_equal(CALL(f, &editor, session_end_all, NULL, &ended), 0);
    assert_int_equal(ended.count, 0);
    assert_int_equal(whose(f, token.token, NULL), 0);
}

static void all_end_but_the_one_that_asks(void **state)
{
    struct fixture *f = *state;
    struct mirai_user user = make_user(f, "tanaka", MIRAI_ROLE_EDITOR);
    struct mirai_login_result here = log_in(f, "tanaka"), there = log_in(f, "tanaka");
    const struct mirai_principal tanaka = principal_of(f, here.token);
    struct mirai_sessions_ended ended;
    assert_int_equal(CALL(f, &tanaka, session_end_all, NULL, &ended), 0);
    assert_int_equal(ended.count, 1);
    assert_int_equal(ended.session_epoch, here.session_epoch + 1);
    assert_int_equal(whose(f, here.token, NULL), 0);
    assert_int_equal(whose(f, there.token, NULL), MIRAI_E_UNAUTHENTICATED);

    struct mirai_sessions_end all = {0};
    mirai_set(sessions_end, &all, user_id, user.id);
    assert_int_equal(CALL(f, &viewer, session_end_all, &all, NULL), MIRAI_E_FORBIDDEN);
    uint64_t stamp = access_stamp(f);
    assert_int_equal(CALL(f, &admin, session_end_all, &all, &ended), 0);
    assert_true(access_stamp(f) != stamp);
    assert_int_equal(ended.count, 1);
    assert_int_equal(whose(f, here.token, NULL), MIRAI_E_UNAUTHENTICATED);
}

static void a_login_ends_the_session_that_the_browser_had(void **state)
{
    struct fixture *f = *state;
    make_user(f, "tanaka", MIRAI_ROLE_EDITOR);
    make_user(f, "suzuki", MIRAI_ROLE_EDITOR);
    struct mirai_login_result planted = log_in(f, "suzuki"), other = log_in(f, "suzuki"), fresh;
    struct mirai_login login = credentials("tanaka", "wrong password");
    mirai_set(session_client, &login.client, ends, sha256_of(f, planted.token));
    mirai_mark(login, &login, client);
    assert_int_equal(CALL(f, &nobody, auth_login, &login, NULL), MIRAI_E_UNAUTHENTICATED);
    assert_int_equal(whose(f, planted.token, NULL), 0); /* nothing of a failed login stays */
    mirai_set(login, &login, password, MIRAI_STR(PASSWORD));
    uint64_t stamp = access_stamp(f);
    assert_int_equal(CALL(f, &nobody, auth_login, &login, &fresh), 0);
    assert_true(access_stamp(f) != stamp);
    assert_int_equal(whose(f, planted.token, NULL), MIRAI_E_UNAUTHENTICATED);
    assert_int_equal(whose(f, other.token, NULL), 0);
    assert_int_equal(whose(f, fresh.token, NULL), 0);
    assert_false(mirai_str_eq(fresh.token, planted.token));

    struct mirai_token_create params = {0};
    struct mirai_token_created api;
    mirai_set(token_create, &params, name, MIRAI_STR("ci"));
    assert_int_equal(CALL(f, &editor, token_create, &params, &api), 0);
    mirai_set(session_client, &login.client, ends, sha256_of(f, api.token));
    assert_int_equal(CALL(f, &nobody, auth_login, &login, NULL), 0);
    assert_int_equal(whose(f, api.token, NULL), 0); /* that is not a session */
}

static int held(struct fixture *f, int64_t user_id, int64_t epoch, int64_t expires_at,
                struct mirai_identity *identity)
{
    struct mirai_held_session params = {0};
    mirai_set(held_session, &params, user_id, user_id);
    mirai_set(held_session, &params, session_epoch, epoch);
    mirai_set(held_session, &params, token_id, 77);
    mirai_set(held_session, &params, expires_at, expires_at);
    return CALL(f, &daemon_, auth_held, &params, identity);
}

static void a_session_that_the_gateway_keeps_ends_too(void **state)
{
    struct fixture *f = *state;
    struct mirai_user user = make_user(f, "tanaka", MIRAI_ROLE_EDITOR);
    struct mirai_login login = credentials("tanaka", PASSWORD);
    struct mirai_login_result result;
    struct mirai_session_page page;
    struct mirai_identity identity;
    struct mirai_user_patch patch = {0};
    mirai_set(session_client, &login.client, held, true);
    mirai_mark(login, &login, client);
    assert_int_equal(CALL(f, &nobody, auth_login, &login, &result), 0);
    assert_false(mirai_has(login_result, &result, token));
    assert_true(mirai_has(login_result, &result, session_epoch));
    assert_int_equal(count_sessions(f, &admin, user.id, &page), 0);

    assert_int_equal(held(f, user.id, result.session_epoch, result.expires_at, &identity), 0);
    assert_int_equal(identity.user_id, user.id);
    assert_text(identity.name, "tanaka");
    assert_int_equal(identity.role, MIRAI_ROLE_EDITOR);
    assert_int_equal(identity.kind, MIRAI_TOKEN_KIND_SESSION);
    assert_int_equal(identity.token_id, 77);
    assert_int_equal(identity.expires_at, result.expires_at);
    assert_int_equal(identity.spaces.count, 1);
    assert_int_equal(held(f, user.id, result.session_epoch, mirai_now_ms() - 1, NULL),
                     MIRAI_E_UNAUTHENTICATED);
    assert_int_equal(held(f, 999, 0, result.expires_at, NULL), MIRAI_E_UNAUTHENTICATED);

    mirai_set(user_patch, &patch, id, user.id);
    mirai_set(user_patch, &patch, role, MIRAI_ROLE_VIEWER);
    assert_int_equal(CALL(f, &admin, user_patch, &patch, NULL), 0);
    assert_int_equal(held(f, user.id, result.session_epoch, result.expires_at, NULL),
                     MIRAI_E_UNAUTHENTICATED);
    assert_int_equal(CALL(f, &nobody, auth_login, &login, &result), 0);
    assert_int_equal(held(f, user.id, result.session_epoch, result.expires_at, &identity), 0);
    assert_int_equal(identity.role, MIRAI_ROLE_VIEWER);
    patch = (struct mirai_user_patch){0};
    mirai_set(user_patch, &patch, id, user.id);
    mirai_set(user_patch, &patch, disabled, true);
    assert_int_equal(CALL(f, &admin, user_patch, &patch, NULL), 0);
    assert_int_equal(held(f, user.id, result.session_epoch + 1, result.expires_at, NULL),
                     MIRAI_E_UNAUTHENTICATED);
}

static void an_unused_session_ends(void **state)
{
    struct fixture *f = *state;
    char sql[200];
    make_user(f, "tanaka", MIRAI_ROLE_EDITOR);
    struct mirai_login_result session = log_in(f, "tanaka");
    struct mirai_identity identity;
    struct mirai_token_create params = {0};
    struct mirai_token_created api;
    struct mirai_session_page page;
    mirai_set(token_create, &params, name, MIRAI_STR("ci"));
    assert_int_equal(CALL(f, &editor, token_create, &params, &api), 0);
    assert_int_equal(whose(f, session.token, &identity), 0);
    assert_true(mirai_has(identity, &identity, idle_at));
    assert_true(identity.idle_at > mirai_now_ms() + 59 * MINUTE);
    assert_true(identity.idle_at <= mirai_now_ms() + 60 * MINUTE);
    const struct mirai_principal tanaka = principal_of(f, session.token);

    snprintf(sql, sizeof(sql), "UPDATE tokens SET last_used_at = %lld",
             (long long)(mirai_now_ms() - 59 * MINUTE));
    change_database(f, sql);
    assert_int_equal(whose(f, session.token, &identity), 0); /* and now it is used again */
    assert_true(identity.idle_at > mirai_now_ms() + 59 * MINUTE);
    assert_int_equal(count_sessions(f, &tanaka, 0, &page), 1);
    assert_true(MIRAI_ITEMS(session, &page.items)[0].last_used_at > mirai_now_ms() - MINUTE);

    snprintf(sql, sizeof(sql), "UPDATE tokens SET last_used_at = %lld",
             (long long)(mirai_now_ms() - 61 * MINUTE));
    change_database(f, sql);
    assert_int_equal(whose(f, session.token, NULL), MIRAI_E_UNAUTHENTICATED);
    assert_int_equal(count_sessions(f, &tanaka, 0, &page), 0);
    assert_int_equal(whose(f, api.token, &identity), 0); /* tokens have only an end */
    assert_false(mirai_has(identity, &identity, idle_at));
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, fixture_open, fixture_close)
    const struct CMUnitTest tests[] = {
        TEST(one_sees_ones_own_sessions),
        TEST(one_ends_ones_own_sessions),
        TEST(an_api_token_is_no_session),
        TEST(all_end_but_the_one_that_asks),
        TEST(a_login_ends_the_session_that_the_browser_had),
        TEST(a_session_that_the_gateway_keeps_ends_too),
        TEST(an_unused_session_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
