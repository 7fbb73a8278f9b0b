#include "tests/unit/knowledge-store/accounts.h"

static struct mirai_token_check check_of(struct fixture *f, struct mirai_str token)
{
    struct mirai_token_check params = {0};
    mirai_set(token_check, &params, sha256, sha256_of(f, token));
    return params;
}

static void a_session_lives_until_logout(void **state)
{
    struct fixture *f = *state;
    struct mirai_user user = make_user(f, "tanaka", MIRAI_ROLE_EDITOR);
    struct mirai_login_result session = log_in(f, "TANAKA");
    struct mirai_identity identity;
    struct mirai_user self;
    assert_int_equal(session.token.len, 4 + 43);
    assert_memory_equal(session.token.data, "mks_", 4);
    assert_int_equal(session.user.id, user.id);
    assert_int_equal(whose(f, session.token, &identity), 0);
    assert_int_equal(identity.user_id, user.id);
    assert_text(identity.name, "tanaka");
    assert_int_equal(identity.role, MIRAI_ROLE_EDITOR);
    assert_int_equal(identity.kind, MIRAI_TOKEN_KIND_SESSION);
    assert_int_equal(identity.spaces.count, 1); /* general, not secret */
    assert_int_equal(identity.groups.count, 1);
    assert_true(identity.expires_at > mirai_now_ms() + 11 * INT64_C(3600000));
    struct mirai_by_id id = {0};
    mirai_set(by_id, &id, id, user.id);
    assert_int_equal(CALL(f, &admin, user_get, &id, &self), 0);
    assert_true(mirai_has(user, &self, last_login_at));

    restart(f);
    assert_int_equal(whose(f, session.token, NULL), 0);
    struct mirai_token_check check = check_of(f, session.token);
    assert_int_equal(CALL(f, &nobody, auth_logout, &check, NULL), 0);
    assert_int_equal(CALL(f, &nobody, auth_logout, &check, NULL), MIRAI_E_UNAUTHENTICATED);
    assert_int_equal(whose(f, session.token, NULL), MIRAI_E_UNAUTHENTICATED);
}

static void every_refusal_looks_the_same(void **state)
{
    struct fixture *f = *state;
    make_user(f, "tanaka", MIRAI_ROLE_EDITOR);
    struct mirai_user disabled = make_user(f, "sato", MIRAI_ROLE_EDITOR);
    struct mirai_user_patch patch = {0};
    mirai_set(user_patch, &patch, id, disabled.id);
    mirai_set(user_patch, &patch, disabled, true);
    assert_int_equal(CALL(f, &admin, user_patch, &patch, NULL), 0);
    const struct mirai_login refused[] = {
        credentials("tanaka", "wrong horse battery"),
        credentials("nobody", "correct horse battery"),
        credentials("sato", "correct horse battery"),
        credentials("viewer", "correct horse battery"), /* has no password */
        credentials("viewer", "\"\" OR 1 = 1 --"),
        credentials("' OR 1 = 1 --", "correct horse battery"),
    };
    struct mirai_str first = {0};
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        struct answer answer = call_keyed(f, &nobody, "", MIRAI_METHOD_ID_auth_login, &refused[i]);
        assert_int_equal(answer.status, MIRAI_E_UNAUTHENTICATED);
        first = i == 0 ? answer.error : first;
        assert_true(mirai_str_eq(answer.error, first));
    }
    struct mirai_audit_list list = {0};
    struct mirai_audit_page page;
    mirai_set(audit_list, &list, action, MIRAI_STR("auth.login"));
    assert_int_equal(CALL(f, &admin, audit_list, &list, &page), 0);
    assert_int_equal(page.items.count, sizeof(refused) / sizeof(refused[0]));
    assert_text(MIRAI_ITEMS(audit_entry, &page.items)[0].result, "unauthenticated");
    assert_text(MIRAI_ITEMS(audit_entry, &page.items)[0].address, "192.0.2.7");
}

static void expired_and_forged_secrets_are_nobodys(void **state)
{
    struct fixture *f = *state;
    make_user(f, "tanaka", MIRAI_ROLE_EDITOR);
    struct mirai_login_result session = log_in(f, "tanaka");
    assert_int_equal(whose(f, session.token, NULL), 0);
    assert_int_equal(whose(f, MIRAI_STR("mks_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"), NULL),
                     MIRAI_E_UNAUTHENTICATED);
    assert_int_equal(whose(f, MIRAI_STR(""), NULL), MIRAI_E_UNAUTHENTICATED);
    change_database(f, "UPDATE tokens SET expires_at = 1");
    assert_int_equal(whose(f, session.token, NULL), MIRAI_E_UNAUTHENTICATED);
}

static void secrets_are_not_in_the_database(void **state)
{
    struct fixture *f = *state;
    char command[256];
    make_user(f, "tanaka", MIRAI_ROLE_EDITOR);
    struct mirai_login_result session = log_in(f, "tanaka");
    snprintf(command, sizeof(command), "grep -rqF -e '%.*s' -e 'correct horse battery' '%s'",
             MIRAI_STR_ARG(session.token), f->dir);
    int found = system(command);
    assert_int_equal(WEXITSTATUS(found), 1);
    snprintf(command, sizeof(command), "grep -rqF 'argon2id' '%s'", f->dir); /* the search itself works */
    found = system(command);
    assert_int_equal(WEXITSTATUS(found), 0);
}

static void identity_follows_groups_and_spaces(void **state)
{
    struct fixture *f = *state;
    struct mirai_user user = make_user(f, "tanaka", MIRAI_ROLE_EDITOR);
    struct mirai_login_result session = log_in(f, "tanaka");
    struct mirai_identity identity;
    struct mirai_space_patch space = {0};
    struct mirai_group_patch group = {0};
    int64_t readers[] = {2}, members[] = {user.id};
    mirai_set(space_patch, &space, id, 2);
    mirai_set(space_patch, &space, reader_groups, ((struct mirai_ints){readers, 1}));
    assert_int_equal(CALL(f, &admin, space_patch, &space, NULL), 0);
    assert_int_equal(whose(f, session.token, &identity), 0);
    assert_int_equal(identity.spaces.count, 1);
    mirai_set(group_patch, &group, id, 2);
    mirai_set(group_patch, &group, members, ((struct mirai_ints){members, 1}));
    assert_int_equal(CALL(f, &admin, group_patch, &group, NULL), 0);
    assert_int_equal(whose(f, session.token, &identity), 0);
    assert_int_equal(identity.spaces.count, 2);
    assert_int_equal(identity.spaces.items[1], 2);
    assert_int_equal(identity.groups.count, 2);
    mirai_set(group_patch, &group, members, ((struct mirai_ints){members, 0}));
    assert_int_equal(CALL(f, &admin, group_patch, &group, NULL), 0);
    assert_int_equal(whose(f, session.token, &identity), 0);
    assert_int_equal(identity.spaces.count, 1);
}

static void sessions_of_one_user_are_bounded(void **state)
{
    struct fixture *f = *state;
    make_user(f, "tanaka", MIRAI_ROLE_EDITOR);
    struct mirai_login_result first = log_in(f, "tanaka"), second = log_in(f, "tanaka");
    for (int i = 0; i < 49; i++) {
        log_in(f, "tanaka");
    }
    assert_int_equal(whose(f, first.token, NULL), MIRAI_E_UNAUTHENTICATED);
    assert_int_equal(whose(f, second.token, NULL), 0);
}

static void fifty_logins_at_once_are_answered_or_refused(void **state)
{
    struct fixture *f = *state;
    struct answer answers[CALLS_MAX + 40];
    struct mirai_login params = credentials("tanaka", "correct horse battery");
    size_t accepted = 0, refused = 0, count = sizeof(answers) / sizeof(answers[0]);
    make_user(f, "tanaka", MIRAI_ROLE_EDITOR);
    for (size_t i = 0; i < count; i++) {
        send_call(f, &nobody, "", MIRAI_METHOD_ID_auth_login, &params, &answers[i]);
    }
    for (size_t i = 0; i < count; i++) {
        wait_for(f, &answers[i]);
        accepted += answers[i].status == 0;
        refused += answers[i].status == MIRAI_E_OVERLOADED;
    }
    assert_int_equal(accepted + refused, count);
    assert_true(accepted >= 50);
    assert_true(refused > 0);
}

/* The first makes the hash anew while the others' is checked: their password is no less right. */
static void logins_at_once_all_get_past_an_outdated_hash(void **state)
{
    struct fixture *f = *state;
    struct answer answers[4];
    struct mirai_login params = credentials("tanaka", PASSWORD);
    char hash[crypto_pwhash_STRBYTES], sql[256];
    make_user(f, "tanaka", MIRAI_ROLE_EDITOR);
    assert_int_equal(
        crypto_pwhash_str_alg(hash, PASSWORD, strlen(PASSWORD), 2, 8192 * 1024, crypto_pwhash_ALG_ARGON2ID13),
        0);
    snprintf(sql, sizeof(sql), "UPDATE users SET password_hash = '%s' WHERE name = 'tanaka'", hash);
    change_database(f, sql);
    for (size_t i = 0; i < 4; i++) {
        send_call(f, &nobody, "", MIRAI_METHOD_ID_auth_login, &params, &answers[i]);
    }
    for (size_t i = 0; i < 4; i++) {
        wait_for(f, &answers[i]);
    }
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(answers[i].status, 0);
    }
}

/* Somebody at an open session guesses the password: that leaves a row. */
static void a_wrong_password_in_a_session_is_audited(void **state)
{
    struct fixture *f = *state;
    make_user(f, "tanaka", MIRAI_ROLE_EDITOR);
    struct mirai_login_result session = log_in(f, "tanaka");
    struct mirai_principal tanaka = principal_of(f, session.token);
    struct mirai_password_change change = {0};
    mirai_set(password_change, &change, old_password, MIRAI_STR("wrong horse battery"));
    mirai_set(password_change, &change, new_password, MIRAI_STR("another horse battery"));
    assert_int_equal(CALL(f, &tanaka, user_password, &change, NULL), MIRAI_E_FORBIDDEN);
    assert_int_equal(find_int(f, "SELECT count(*) FROM audit WHERE action = 'user.password' AND "
                                 "result = 'forbidden' AND user_id > 0"),
                     1);
    struct mirai_second_factor_begin begin = {0};
    mirai_set(second_factor_begin, &begin, password, MIRAI_STR("wrong horse battery"));
    assert_int_equal(CALL(f, &tanaka, second_factor_begin, &begin, NULL), MIRAI_E_FORBIDDEN);
    assert_int_equal(find_int(f, "SELECT count(*) FROM audit WHERE action = 'second_factor.begin' AND "
                                 "result = 'forbidden'"),
                     1);
}

/* What an Admin asks for while passwords are being hashed counts for those logins too. */
static void a_change_that_must_be_is_not_overtaken(void **state)
{
    struct fixture *f = *state;
    struct answer answers[20], patched;
    struct mirai_login params = credentials("tanaka", PASSWORD);
    struct mirai_user_patch patch = {0};
    struct mirai_user user = make_user(f, "tanaka", MIRAI_ROLE_EDITOR);
    mirai_set(user_patch, &patch, id, user.id);
    mirai_set(user_patch, &patch, must_change_password, true);
    for (size_t i = 0; i < 20; i++) {
        send_call(f, &nobody, "", MIRAI_METHOD_ID_auth_login, &params, &answers[i]);
    }
    send_call(f, &admin, "", MIRAI_METHOD_ID_user_patch, &patch, &patched);
    wait_for(f, &patched);
    for (size_t i = 0; i < 20; i++) {
        wait_for(f, &answers[i]);
    }
    assert_int_equal(patched.status, 0);
    assert_int_equal(find_int(f, "SELECT count(*) FROM tokens WHERE kind = 1"), 0);
}

static void last_use_is_noted_later(void **state)
{
    struct fixture *f = *state;
    make_user(f, "tanaka", MIRAI_ROLE_EDITOR);
    struct mirai_login_result session = log_in(f, "tanaka");
    struct mirai_token_page page;
    struct mirai_page_request all = {0};
    assert_int_equal(whose(f, session.token, NULL), 0);
    while (f->store.ops > 0) {
        uv_run(&f->loop, UV_RUN_ONCE);
    }
    assert_int_equal(CALL(f, &admin, token_list, &all, &page), 0);
    assert_int_equal(page.items.count, 1);
    struct mirai_token *token = &MIRAI_ITEMS(token, &page.items)[0];
    assert_true(mirai_has(token, token, last_used_at));
    int64_t used = token->last_used_at;
    assert_int_equal(whose(f, session.token, NULL), 0);
    assert_int_equal(f->store.ops, 0); /* not again within the minute */
    assert_int_equal(CALL(f, &admin, token_list, &all, &page), 0);
    assert_int_equal(MIRAI_ITEMS(token, &page.items)[0].last_used_at, used);
}

static void a_password_that_must_change_is_changed_at_login(void **state)
{
    struct fixture *f = *state;
    struct mirai_user user = make_user(f, "tanaka", MIRAI_ROLE_EDITOR);
    struct mirai_login_result before = log_in(f, "tanaka"), session;
    struct mirai_user_patch patch = {0};
    struct mirai_login login = credentials("tanaka", PASSWORD);
    mirai_set(user_patch, &patch, id, user.id);
    mirai_set(user_patch, &patch, must_change_password, true);
    assert_int_equal(CALL(f, &admin, user_patch, &patch, NULL), 0);
    assert_int_equal(whose(f, before.token, NULL), MIRAI_E_UNAUTHENTICATED);
    struct answer answer = call_keyed(f, &nobody, "", MIRAI_METHOD_ID_auth_login, &login);
    assert_int_equal(answer.status, MIRAI_E_FORBIDDEN);
    assert_true(needs(&answer, "new_password"));
    mirai_set(login, &login, password, MIRAI_STR("wrong password"));
    answer = call_keyed(f, &nobody, "", MIRAI_METHOD_ID_auth_login, &login);
    assert_int_equal(answer.status, MIRAI_E_UNAUTHENTICATED);
    assert_false(needs(&answer, "new_password"));
    mirai_set(login, &login, new_password, MIRAI_STR("quite another phrase"));
    assert_int_equal(CALL(f, &nobody, auth_login, &login, NULL), MIRAI_E_UNAUTHENTICATED);

    mirai_set(login, &login, password, MIRAI_STR(PASSWORD));
    static const char *const bad[] = {PASSWORD, "password123", "tanaka-2026"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        mirai_set(login, &login, new_password, mirai_str(bad[i]));
        assert_int_equal(CALL(f, &nobody, auth_login, &login, NULL), MIRAI_E_UNPROCESSABLE);
    }
    mirai_set(login, &login, new_password, MIRAI_STR("quite another phrase"));
    assert_int_equal(CALL(f, &nobody, auth_login, &login, &session), 0);
    assert_false(session.user.must_change_password);
    assert_int_equal(whose(f, session.token, NULL), 0);
    login = credentials("tanaka", PASSWORD);
    assert_int_equal(CALL(f, &nobody, auth_login, &login, NULL), MIRAI_E_UNAUTHENTICATED);
    login = credentials("tanaka", "quite another phrase");
    assert_int_equal(CALL(f, &nobody, auth_login, &login, NULL), 0);
}

static void the_first_login_may_have_to_set_a_password(void **state)
{
    struct fixture *f = *state;
    struct mirai_user_create params = {0};
    struct mirai_user user;
    struct mirai_login login = credentials("suzuki", PASSWORD);
    mirai_set(user_create, &params, name, MIRAI_STR("suzuki"));
    mirai_set(user_create, &params, password, MIRAI_STR(PASSWORD));
    mirai_set(user_create, &params, role, MIRAI_ROLE_VIEWER);
    mirai_set(user_create, &params, must_change_password, true);
    assert_int_equal(CALL(f, &admin, user_create, &params, &user), 0);
    assert_true(user.must_change_password);
    assert_int_equal(CALL(f, &nobody, auth_login, &login, NULL), MIRAI_E_FORBIDDEN);
    assert_int_equal(find_int(f, "SELECT count(*) FROM tokens"), 0);
}

static void a_login_renews_an_outdated_hash(void **state)
{
    struct fixture *f = *state;
    char hash[crypto_pwhash_STRBYTES], sql[400];
    struct mirai_user user = make_user(f, "tanaka", MIRAI_ROLE_EDITOR);
    struct mirai_login_result before = log_in(f, "tanaka");
    assert_int_equal(crypto_pwhash_str_alg(hash, PASSWORD, strlen(PASSWORD), 3, 16384 * 1024,
                                           crypto_pwhash_ALG_ARGON2ID13),
                     0);
    snprintf(sql, sizeof(sql),
             "UPDATE users SET password_hash = '%s', must_change_password = 1 WHERE id = %lld", hash,
             (long long)user.id);
    change_database(f, sql);
    struct mirai_login login = credentials("tanaka", PASSWORD);
    assert_int_equal(CALL(f, &nobody, auth_login, &login, NULL), MIRAI_E_FORBIDDEN);
    change_database(f, "UPDATE users SET must_change_password = 0");
    log_in(f, "tanaka");
    assert_int_equal(
        find_int(f, "SELECT count(*) FROM users WHERE password_hash LIKE '$argon2id$v=19$m=8192,t=1,%'"), 1);
    log_in(f, "tanaka");
    assert_int_equal(whose(f, before.token, NULL), 0); /* it is still the same password */
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, fixture_open, fixture_close)
    const struct CMUnitTest tests[] = {
        TEST(a_session_lives_until_logout),
        TEST(every_refusal_looks_the_same),
        TEST(expired_and_forged_secrets_are_nobodys),
        TEST(secrets_are_not_in_the_database),
        TEST(identity_follows_groups_and_spaces),
        TEST(sessions_of_one_user_are_bounded),
        TEST(fifty_logins_at_once_are_answered_or_refused),
        TEST(last_use_is_noted_later),
        TEST(a_password_that_must_change_is_changed_at_login),
        TEST(the_first_login_may_have_to_set_a_password),
        TEST(a_login_renews_an_outdated_hash),
        TEST(logins_at_once_all_get_past_an_outdated_hash),
        TEST(a_change_that_must_be_is_not_overtaken),
        TEST(a_wrong_password_in_a_session_is_audited),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
