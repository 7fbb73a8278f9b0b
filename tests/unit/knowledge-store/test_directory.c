#include "tests/unit/knowledge-store/accounts.h"

#define HOUR INT64_C(3600000)

static struct mirai_directory_login directory_login(const char *name, int role)
{
    struct mirai_directory_login params = {0};
    mirai_set(directory_login, &params, name, mirai_str(name));
    mirai_set(directory_login, &params, directory_name, MIRAI_STR("CN=田中 太郎,OU=情報,DC=example,DC=jp"));
    mirai_set(directory_login, &params, display_name, MIRAI_STR("田中 太郎"));
    mirai_set(directory_login, &params, email, MIRAI_STR("tanaka@example.jp"));
    mirai_set(directory_login, &params, role, role);
    return params;
}

static struct mirai_login_result enter(struct fixture *f, const char *name, int role)
{
    struct mirai_directory_login params = directory_login(name, role);
    struct mirai_login_result result;
    assert_int_equal(CALL(f, &daemon_, auth_directory, &params, &result), 0);
    return result;
}

static int place(struct fixture *f, const char *name)
{
    struct mirai_account_name params = {0};
    struct mirai_account_place result;
    mirai_set(account_name, &params, name, mirai_str(name));
    assert_int_equal(CALL(f, &daemon_, auth_place, &params, &result), 0);
    return result.source;
}

static struct mirai_directory_state says(int64_t id, int role)
{
    struct mirai_directory_state params = {0};
    mirai_set(directory_state, &params, id, id);
    mirai_set(directory_state, &params, role, role);
    return params;
}

static void the_first_login_makes_the_account(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(place(f, "Tanaka"), MIRAI_ACCOUNT_NONE);
    assert_int_equal(place(f, "EDITOR"), MIRAI_ACCOUNT_LOCAL);
    struct mirai_login_result first = enter(f, "Tanaka", MIRAI_ROLE_EDITOR);
    assert_int_equal(place(f, "TANAKA"), MIRAI_ACCOUNT_DIRECTORY);
    assert_text(first.user.name, "Tanaka");
    assert_text(first.user.display_name, "田中 太郎");
    assert_text(first.user.email, "tanaka@example.jp");
    assert_text(first.user.directory_name, "CN=田中 太郎,OU=情報,DC=example,DC=jp");
    assert_int_equal(first.user.source, MIRAI_ACCOUNT_DIRECTORY);
    assert_int_equal(first.user.role, MIRAI_ROLE_EDITOR);
    assert_int_equal(whose(f, first.token, NULL), 0);

    struct mirai_directory_login params = directory_login("tanaka", MIRAI_ROLE_EDITOR);
    struct mirai_login_result again;
    mirai_set(directory_login, &params, display_name, MIRAI_STR("佐藤 太郎"));
    mirai_set(directory_login, &params, email, MIRAI_STR("not an address"));
    assert_int_equal(CALL(f, &daemon_, auth_directory, &params, &again), 0);
    assert_int_equal(again.user.id, first.user.id);
    assert_text(again.user.name, "Tanaka");
    assert_text(again.user.display_name, "佐藤 太郎");
    assert_text(again.user.email, "tanaka@example.jp");
    assert_int_equal(whose(f, first.token, NULL), 0);
}

static void only_daemons_speak_for_the_directory(void **state)
{
    struct fixture *f = *state;
    struct mirai_directory_login params = directory_login("tanaka", MIRAI_ROLE_ADMIN);
    assert_int_equal(CALL(f, &admin, auth_directory, &params, NULL), MIRAI_E_FORBIDDEN);
    assert_int_equal(CALL(f, &nobody, auth_directory, &params, NULL), MIRAI_E_UNAUTHENTICATED);
}

static void a_local_account_is_never_taken_over(void **state)
{
    struct fixture *f = *state;
    struct mirai_directory_login params = directory_login("Admin", MIRAI_ROLE_ADMIN);
    struct mirai_audit_list list = {0};
    struct mirai_audit_page page;
    assert_int_equal(CALL(f, &daemon_, auth_directory, &params, NULL), MIRAI_E_UNAUTHENTICATED);
    assert_int_equal(get_user(f, 1).source, MIRAI_ACCOUNT_LOCAL);
    mirai_set(audit_list, &list, action, MIRAI_STR("auth.directory"));
    assert_int_equal(CALL(f, &admin, audit_list, &list, &page), 0);
    assert_int_equal(page.items.count, 1);
    assert_text(MIRAI_ITEMS(audit_entry, &page.items)[0].object, "user/1");
    assert_text(MIRAI_ITEMS(audit_entry, &page.items)[0].result, "unauthenticated");
}

static void its_password_is_not_ours(void **state)
{
    struct fixture *f = *state;
    struct mirai_login_result session = enter(f, "tanaka", MIRAI_ROLE_EDITOR);
    const struct mirai_principal tanaka = principal_of(f, session.token);
    struct mirai_login login = credentials("tanaka", "");
    struct mirai_password_change change = {0};
    struct mirai_user_patch patch = {0};
    mirai_set(login, &login, password, MIRAI_STR("any password"));
    assert_int_equal(CALL(f, &nobody, auth_login, &login, NULL), MIRAI_E_UNAUTHENTICATED);
    mirai_set(password_change, &change, old_password, MIRAI_STR("any password"));
    mirai_set(password_change, &change, new_password, MIRAI_STR(PASSWORD));
    assert_int_equal(CALL(f, &tanaka, user_password, &change, NULL), MIRAI_E_CONFLICT);
    mirai_set(user_patch, &patch, id, tanaka.user_id);
    mirai_set(user_patch, &patch, password, MIRAI_STR(PASSWORD));
    assert_int_equal(CALL(f, &admin, user_patch, &patch, NULL), MIRAI_E_CONFLICT);
    patch = (struct mirai_user_patch){0};
    mirai_set(user_patch, &patch, id, tanaka.user_id);
    mirai_set(user_patch, &patch, must_change_password, true);
    assert_int_equal(CALL(f, &admin, user_patch, &patch, NULL), MIRAI_E_CONFLICT);
    patch = (struct mirai_user_patch){0};
    mirai_set(user_patch, &patch, id, tanaka.user_id);
    mirai_set(user_patch, &patch, role, MIRAI_ROLE_ADMIN); /* its groups give the role */
    assert_int_equal(CALL(f, &admin, user_patch, &patch, NULL), MIRAI_E_CONFLICT);
}

static void another_role_ends_sessions(void **state)
{
    struct fixture *f = *state;
    struct mirai_login_result before = enter(f, "tanaka", MIRAI_ROLE_EDITOR);
    uint64_t stamp = access_stamp(f);
    struct mirai_login_result same = enter(f, "tanaka", MIRAI_ROLE_EDITOR);
    assert_int_equal(access_stamp(f), stamp); /* nothing changed */
    assert_int_equal(whose(f, before.token, NULL), 0);
    struct mirai_login_result after = enter(f, "tanaka", MIRAI_ROLE_VIEWER);
    assert_true(access_stamp(f) != stamp);
    struct mirai_identity identity;
    assert_int_equal(whose(f, before.token, NULL), MIRAI_E_UNAUTHENTICATED);
    assert_int_equal(whose(f, same.token, NULL), MIRAI_E_UNAUTHENTICATED);
    assert_int_equal(whose(f, after.token, &identity), 0);
    assert_int_equal(identity.role, MIRAI_ROLE_VIEWER);
    assert_true(after.session_epoch > before.session_epoch);
}

static struct mirai_group make_group(struct fixture *f, const char *name, const char *directory)
{
    struct mirai_group_create params = {0};
    struct mirai_group group;
    mirai_set(group_create, &params, name, mirai_str(name));
    if (directory != NULL) {
        mirai_set(group_create, &params, directory, mirai_str(directory));
    }
    assert_int_equal(CALL(f, &admin, group_create, &params, &group), 0);
    return group;
}

static bool is_in(const struct mirai_user *user, int64_t group)
{
    for (size_t i = 0; i < user->groups.count; i++) {
        if (user->groups.items[i] == group) {
            return true;
        }
    }
    return false;
}

#define LONG_OU "OU=第一情報システム部の長い名前の課,OU=第一情報システム部の長い名前の課,"
#define LONG_DN "CN=Editors," LONG_OU LONG_OU LONG_OU LONG_OU LONG_OU LONG_OU "DC=example,DC=jp"

static void groups_follow_the_directory(void **state)
{
    struct fixture *f = *state;
    struct mirai_group by_dn = make_group(f, "by DN", "CN=Editors, OU=情報, DC=example, DC=jp");
    struct mirai_group by_name = make_group(f, "by name", "helpdesk");
    struct mirai_group other = make_group(f, "other", "CN=Other,DC=example,DC=jp");
    struct mirai_group by_hand = make_group(f, "by hand", NULL);
    struct mirai_group by_long_dn = make_group(f, "by long DN", LONG_DN);
    assert_text(by_name.directory, "helpdesk");
    assert_false(mirai_has(group, &by_hand, directory));
    struct mirai_login_result first = enter(f, "tanaka", MIRAI_ROLE_EDITOR);
    int64_t id = first.user.id;
    struct mirai_group_patch patch = {0};
    mirai_set(group_patch, &patch, id, by_hand.id);
    mirai_set(group_patch, &patch, members, ((struct mirai_ints){&id, 1}));
    assert_int_equal(CALL(f, &admin, group_patch, &patch, NULL), 0);
    mirai_set(group_patch, &patch, id, other.id);
    assert_int_equal(CALL(f, &admin, group_patch, &patch, NULL), 0);

    struct mirai_str names[] = {MIRAI_STR("cn=editors,ou=情報,dc=example,dc=jp"), MIRAI_STR("Helpdesk"),
                                MIRAI_STR("CN=Unknown,DC=example,DC=jp"), MIRAI_STR("by hand"),
                                MIRAI_STR(LONG_DN)};
    struct mirai_directory_login params = directory_login("tanaka", MIRAI_ROLE_EDITOR);
    struct mirai_login_result result;
    mirai_set(directory_login, &params, groups, ((struct mirai_strs){names, 5}));
    uint64_t stamp = access_stamp(f);
    assert_int_equal(CALL(f, &daemon_, auth_directory, &params, &result), 0);
    assert_true(access_stamp(f) != stamp);
    assert_true(is_in(&result.user, by_dn.id));
    assert_true(is_in(&result.user, by_name.id));
    assert_true(is_in(&result.user, by_long_dn.id));
    assert_false(is_in(&result.user, other.id)); /* the directory decides on that one */
    assert_true(is_in(&result.user, by_hand.id));
    assert_int_equal(whose(f, first.token, NULL), 0); /* the same role: sessions go on, with other groups */

    struct mirai_directory_state state_now = says(id, MIRAI_ROLE_EDITOR);
    mirai_set(directory_state, &state_now, groups, ((struct mirai_strs){names + 1, 1}));
    stamp = access_stamp(f);
    assert_int_equal(CALL(f, &daemon_, directory_update, &state_now, NULL), 0);
    assert_true(access_stamp(f) != stamp);
    struct mirai_user user = get_user(f, id);
    assert_false(is_in(&user, by_dn.id));
    assert_true(is_in(&user, by_name.id));
    assert_true(is_in(&user, by_hand.id));

    mirai_set(group_patch, &patch, id, by_name.id);
    mirai_clear(group_patch, &patch, members);
    mirai_set(group_patch, &patch, directory, MIRAI_STR(""));
    struct mirai_group group;
    assert_int_equal(CALL(f, &admin, group_patch, &patch, &group), 0);
    assert_false(mirai_has(group, &group, directory));
    mirai_set(group_patch, &patch, directory,
              MIRAI_STR("a\xe2\x80\xae"
                        "b"));
    assert_int_equal(CALL(f, &admin, group_patch, &patch, NULL), MIRAI_E_UNPROCESSABLE);
    mirai_set(group_patch, &patch, id, 1);
    mirai_set(group_patch, &patch, directory, MIRAI_STR("x"));
    assert_int_equal(CALL(f, &admin, group_patch, &patch, NULL), MIRAI_E_CONFLICT);
}

static void who_is_gone_from_the_directory_loses_access_until_it_comes_back(void **state)
{
    struct fixture *f = *state;
    struct mirai_login_result session = enter(f, "tanaka", MIRAI_ROLE_EDITOR);
    int64_t id = session.user.id;
    struct mirai_token_create create = {0};
    struct mirai_token_created api;
    mirai_set(token_create, &create, name, MIRAI_STR("ci"));
    mirai_set(token_create, &create, user_id, id);
    assert_int_equal(CALL(f, &admin, token_create, &create, &api), 0);

    struct mirai_directory_state gone = says(id, MIRAI_ROLE_NONE), back = says(id, MIRAI_ROLE_EDITOR);
    uint64_t stamp = access_stamp(f);
    assert_int_equal(CALL(f, &daemon_, directory_update, &gone, NULL), 0);
    assert_true(access_stamp(f) != stamp);
    assert_int_equal(whose(f, session.token, NULL), MIRAI_E_UNAUTHENTICATED);
    assert_int_equal(whose(f, api.token, NULL), MIRAI_E_UNAUTHENTICATED);
    struct mirai_user user = get_user(f, id);
    assert_true(user.disabled);
    assert_int_equal(user.role, MIRAI_ROLE_EDITOR);
    struct mirai_user_patch enable = {0};
    mirai_set(user_patch, &enable, id, id);
    mirai_set(user_patch, &enable, disabled, false);
    assert_int_equal(CALL(f, &admin, user_patch, &enable, NULL), MIRAI_E_CONFLICT);

    assert_int_equal(CALL(f, &daemon_, directory_update, &back, NULL), 0);
    assert_false(get_user(f, id).disabled);
    assert_int_equal(whose(f, session.token, NULL), MIRAI_E_UNAUTHENTICATED); /* sessions do not come back */
    assert_int_equal(whose(f, api.token, NULL), 0);

    /* What an Admin has disabled the directory does not enable. */
    mirai_set(user_patch, &enable, disabled, true);
    assert_int_equal(CALL(f, &admin, user_patch, &enable, NULL), 0);
    assert_int_equal(CALL(f, &daemon_, directory_update, &gone, NULL), 0);
    assert_int_equal(CALL(f, &daemon_, directory_update, &back, NULL), 0);
    assert_true(get_user(f, id).disabled);
    struct mirai_directory_login params = directory_login("tanaka", MIRAI_ROLE_EDITOR);
    assert_int_equal(CALL(f, &daemon_, auth_directory, &params, NULL), MIRAI_E_UNAUTHENTICATED);
    mirai_set(user_patch, &enable, disabled, false);
    assert_int_equal(CALL(f, &admin, user_patch, &enable, NULL), 0);
    assert_int_equal(CALL(f, &daemon_, auth_directory, &params, NULL), 0);
    params.role = MIRAI_ROLE_NONE;
    assert_int_equal(CALL(f, &daemon_, auth_directory, &params, NULL), MIRAI_E_UNAUTHENTICATED);
    back.id = 1;
    assert_int_equal(CALL(f, &daemon_, directory_update, &back, NULL), MIRAI_E_NOT_FOUND); /* a local one */
}

static size_t claim(struct fixture *f, int64_t before, int64_t *first)
{
    struct mirai_directory_claim params = {0};
    struct mirai_directory_accounts due;
    mirai_set(directory_claim, &params, before, before);
    mirai_set(directory_claim, &params, limit, 2);
    assert_int_equal(CALL(f, &daemon_, directory_claim, &params, &due), 0);
    if (due.items.count > 0 && first != NULL) {
        *first = MIRAI_ITEMS(directory_account, &due.items)[0].id;
    }
    return due.items.count;
}

static void each_account_is_claimed_once_an_interval(void **state)
{
    struct fixture *f = *state;
    int64_t now = mirai_now_ms(), first = 0;
    struct mirai_login_result a = enter(f, "a", MIRAI_ROLE_EDITOR), b = enter(f, "b", MIRAI_ROLE_EDITOR);
    struct mirai_login_result c = enter(f, "c", MIRAI_ROLE_EDITOR);
    assert_int_equal(claim(f, now, NULL), 0); /* each login was a check */
    change_database(f, "UPDATE users SET directory_checked_at = 100 - id WHERE source = 1");
    assert_int_equal(claim(f, now, &first), 2);
    assert_int_equal(first, c.user.id); /* longest ago */
    assert_int_equal(claim(f, now, &first), 1);
    assert_int_equal(first, a.user.id);
    assert_int_equal(claim(f, now, NULL), 0);
    assert_int_equal(claim(f, now + HOUR, NULL), 2);

    /* Without a session or token there is nothing to lose. */
    change_database(f, "DELETE FROM tokens; UPDATE users SET last_login_at = 1, directory_checked_at = 1 "
                       "WHERE source = 1");
    assert_int_equal(claim(f, now, NULL), 0);
    /* The gateway may keep a session of who logged in lately. */
    char sql[100];
    snprintf(sql, sizeof(sql), "UPDATE users SET last_login_at = %lld WHERE id = %lld",
             (long long)(mirai_now_ms() - HOUR), (long long)b.user.id);
    change_database(f, sql);
    assert_int_equal(claim(f, now, &first), 1);
    assert_int_equal(first, b.user.id);
}

static void a_check_without_news_leaves_no_trace(void **state)
{
    struct fixture *f = *state;
    struct mirai_login_result session = enter(f, "tanaka", MIRAI_ROLE_EDITOR);
    struct mirai_directory_state same = says(session.user.id, MIRAI_ROLE_EDITOR);
    int64_t rows = find_int(f, "SELECT count(*) FROM audit"),
            seq = find_int(f, "SELECT max(seq) FROM changes");
    uint64_t stamp = access_stamp(f);
    assert_int_equal(CALL(f, &daemon_, directory_update, &same, NULL), 0);
    assert_int_equal(find_int(f, "SELECT count(*) FROM audit"), rows);
    assert_int_equal(find_int(f, "SELECT max(seq) FROM changes"), seq);
    assert_int_equal(access_stamp(f), stamp);
    struct mirai_directory_state other = says(session.user.id, MIRAI_ROLE_VIEWER);
    assert_int_equal(CALL(f, &daemon_, directory_update, &other, NULL), 0);
    assert_int_equal(find_int(f, "SELECT count(*) FROM audit"), rows + 1);
    assert_int_equal(whose(f, session.token, NULL), MIRAI_E_UNAUTHENTICATED);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, fixture_open, fixture_close)
    const struct CMUnitTest tests[] = {
        TEST(the_first_login_makes_the_account),
        TEST(only_daemons_speak_for_the_directory),
        TEST(a_local_account_is_never_taken_over),
        TEST(its_password_is_not_ours),
        TEST(another_role_ends_sessions),
        TEST(groups_follow_the_directory),
        TEST(who_is_gone_from_the_directory_loses_access_until_it_comes_back),
        TEST(each_account_is_claimed_once_an_interval),
        TEST(a_check_without_news_leaves_no_trace),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
