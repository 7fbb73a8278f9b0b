#include "tests/unit/knowledge-store/fixture.h"

static struct mirai_user_create new_user(const char *name, int role)
{
    struct mirai_user_create params = {0};
    mirai_set(user_create, &params, name, mirai_str(name));
    mirai_set(user_create, &params, password, MIRAI_STR("correct horse battery"));
    mirai_set(user_create, &params, role, role);
    return params;
}

static struct mirai_by_id by_id(int64_t id)
{
    struct mirai_by_id params = {0};
    mirai_set(by_id, &params, id, id);
    return params;
}

static int log_in(struct fixture *f, const char *name, const char *password,
                  struct mirai_login_result *result)
{
    static const struct mirai_principal nobody = {0};
    struct mirai_login params = {0};
    mirai_set(login, &params, name, mirai_str(name));
    mirai_set(login, &params, password, mirai_str(password));
    return CALL(f, &nobody, auth_login, &params, result);
}

static void makes_and_lists_accounts(void **state)
{
    struct fixture *f = *state;
    struct mirai_user_create params = new_user("Tanaka", MIRAI_ROLE_EDITOR);
    struct mirai_user made, found;
    mirai_set(user_create, &params, display_name, MIRAI_STR("田中 太郎"));
    mirai_set(user_create, &params, email, MIRAI_STR("tanaka@example.jp"));
    assert_int_equal(CALL(f, &admin, user_create, &params, &made), 0);
    assert_text(made.name, "Tanaka");
    assert_text(made.display_name, "田中 太郎");
    assert_false(made.disabled);
    assert_int_equal(made.groups.count, 1);
    assert_int_equal(made.groups.items[0], 1);
    struct mirai_by_id id = by_id(made.id);
    assert_int_equal(CALL(f, &admin, user_get, &id, &found), 0);
    assert_text(found.email, "tanaka@example.jp");

    struct mirai_page_request page = {0};
    struct mirai_user_page users;
    int64_t last = 0, count = 0;
    mirai_set(page_request, &page, limit, 2);
    do {
        assert_int_equal(CALL(f, &admin, user_list, &page, &users), 0);
        assert_true(users.items.count <= 2);
        for (size_t i = 0; i < users.items.count; i++, count++) {
            assert_true(MIRAI_ITEMS(user, &users.items)[i].id > last);
            last = MIRAI_ITEMS(user, &users.items)[i].id;
        }
        mirai_set(page_request, &page, cursor, users.next_cursor);
    } while (mirai_has(user_page, &users, next_cursor));
    assert_int_equal(count, 5);
    mirai_set(page_request, &page, cursor, MIRAI_STR("bm9uc2Vuc2U"));
    assert_int_equal(CALL(f, &admin, user_list, &page, NULL), MIRAI_E_UNPROCESSABLE);
}

static void only_admins_see_accounts(void **state)
{
    struct fixture *f = *state;
    struct mirai_user_create params = new_user("x-user", MIRAI_ROLE_ADMIN);
    struct mirai_by_id id = by_id(1);
    struct mirai_user self;
    assert_int_equal(CALL(f, &editor, user_create, &params, NULL), MIRAI_E_FORBIDDEN);
    assert_int_equal(CALL(f, &editor, user_get, &id, NULL), MIRAI_E_FORBIDDEN);
    assert_int_equal(CALL(f, &viewer, user_list, NULL, NULL), MIRAI_E_FORBIDDEN);
    assert_int_equal(CALL(f, &viewer, user_self, NULL, &self), 0);
    assert_int_equal(self.id, 3);
}

static void names_are_unique_without_regard_to_case(void **state)
{
    struct fixture *f = *state;
    struct mirai_user_create params = new_user("EDITOR", MIRAI_ROLE_EDITOR);
    assert_int_equal(CALL(f, &admin, user_create, &params, NULL), MIRAI_E_CONFLICT);
    static const char *const bad[] = {" editor2", "editor2\n", "ed\xE2\x80\x8Bitor"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        params = new_user(bad[i], MIRAI_ROLE_EDITOR);
        assert_int_equal(CALL(f, &admin, user_create, &params, NULL), MIRAI_E_UNPROCESSABLE);
    }
}

static void weak_passwords_are_refused(void **state)
{
    struct fixture *f = *state;
    struct mirai_user_create params = new_user("long-user-name", MIRAI_ROLE_EDITOR);
    mirai_set(user_create, &params, password, MIRAI_STR("LONG-user-NAME"));
    assert_int_equal(CALL(f, &admin, user_create, &params, NULL), MIRAI_E_UNPROCESSABLE);
    mirai_set(user_create, &params, password, MIRAI_STR("password123"));
    assert_int_equal(CALL(f, &admin, user_create, &params, NULL), MIRAI_E_UNPROCESSABLE);
    struct mirai_user_patch patch = {0};
    mirai_set(user_patch, &patch, id, 2);
    mirai_set(user_patch, &patch, password, MIRAI_STR("qwertyuiop"));
    assert_int_equal(CALL(f, &admin, user_patch, &patch, NULL), MIRAI_E_UNPROCESSABLE);
}

static int patch_user(struct fixture *f, int64_t id, int role, int disabled)
{
    struct mirai_user_patch patch = {0};
    mirai_set(user_patch, &patch, id, id);
    if (role >= 0) {
        mirai_set(user_patch, &patch, role, role);
    }
    if (disabled >= 0) {
        mirai_set(user_patch, &patch, disabled, disabled != 0);
    }
    return CALL(f, &admin, user_patch, &patch, NULL);
}

static void the_last_admin_stays(void **state)
{
    struct fixture *f = *state;
    struct mirai_user_create params = new_user("second-admin", MIRAI_ROLE_ADMIN);
    struct mirai_user second;
    assert_int_equal(patch_user(f, 1, MIRAI_ROLE_EDITOR, -1), MIRAI_E_CONFLICT);
    assert_int_equal(patch_user(f, 1, -1, 1), MIRAI_E_CONFLICT);
    assert_int_equal(patch_user(f, 1, MIRAI_ROLE_NONE, -1), MIRAI_E_UNPROCESSABLE);
    assert_int_equal(CALL(f, &admin, user_create, &params, &second), 0);
    assert_int_equal(patch_user(f, second.id, -1, 1), 0);
    assert_int_equal(patch_user(f, 1, MIRAI_ROLE_EDITOR, -1),
                     MIRAI_E_CONFLICT); /* a disabled one does not help */
    assert_int_equal(patch_user(f, second.id, -1, 0), 0);
    assert_int_equal(patch_user(f, 1, MIRAI_ROLE_EDITOR, -1), 0);
    assert_int_equal(patch_user(f, second.id, -1, 1), MIRAI_E_CONFLICT);
}

static int whose(struct fixture *f, struct mirai_str token, struct mirai_identity *identity)
{
    unsigned char sha256[32];
    struct mirai_token_check params = {0};
    crypto_hash_sha256(sha256, (const unsigned char *)token.data, token.len);
    mirai_set(token_check, &params, sha256, ((struct mirai_str){(const char *)sha256, sizeof(sha256)}));
    return CALL(f, &daemon_, auth_token, &params, identity);
}

static void changes_end_sessions(void **state)
{
    struct fixture *f = *state;
    struct mirai_user_create params = new_user("suzuki", MIRAI_ROLE_EDITOR);
    struct mirai_user user;
    struct mirai_login_result session;
    struct mirai_token_created api;
    struct mirai_token_create token = {0};
    assert_int_equal(CALL(f, &admin, user_create, &params, &user), 0);
    mirai_set(token_create, &token, name, MIRAI_STR("ci"));
    mirai_set(token_create, &token, user_id, user.id);
    assert_int_equal(CALL(f, &admin, token_create, &token, &api), 0);

    assert_int_equal(log_in(f, "Suzuki", "correct horse battery", &session), 0);
    assert_int_equal(whose(f, session.token, NULL), 0);
    assert_int_equal(patch_user(f, user.id, MIRAI_ROLE_VIEWER, -1), 0);
    assert_int_equal(whose(f, session.token, NULL), MIRAI_E_UNAUTHENTICATED);
    struct mirai_identity identity;
    assert_int_equal(whose(f, api.token, &identity), 0);
    assert_int_equal(identity.role, MIRAI_ROLE_VIEWER); /* the token was an Editor's */

    struct mirai_user_patch patch = {0};
    assert_int_equal(log_in(f, "suzuki", "correct horse battery", &session), 0);
    mirai_set(user_patch, &patch, id, user.id);
    mirai_set(user_patch, &patch, password, MIRAI_STR("another horse battery"));
    assert_int_equal(CALL(f, &admin, user_patch, &patch, NULL), 0);
    assert_int_equal(whose(f, session.token, NULL), MIRAI_E_UNAUTHENTICATED);
    assert_int_equal(log_in(f, "suzuki", "correct horse battery", NULL), MIRAI_E_UNAUTHENTICATED);
    assert_int_equal(log_in(f, "suzuki", "another horse battery", &session), 0);

    assert_int_equal(patch_user(f, user.id, -1, 1), 0);
    assert_int_equal(whose(f, session.token, NULL), MIRAI_E_UNAUTHENTICATED);
    assert_int_equal(whose(f, api.token, NULL), MIRAI_E_UNAUTHENTICATED);
    assert_int_equal(log_in(f, "suzuki", "another horse battery", NULL), MIRAI_E_UNAUTHENTICATED);
    assert_int_equal(patch_user(f, user.id, -1, 0), 0);
    assert_int_equal(whose(f, api.token, NULL), MIRAI_E_UNAUTHENTICATED); /* gone for good */
}

static void one_changes_ones_own_password(void **state)
{
    struct fixture *f = *state;
    struct mirai_user_create params = new_user("kato", MIRAI_ROLE_VIEWER);
    struct mirai_user user;
    struct mirai_password_change change = {0};
    assert_int_equal(CALL(f, &admin, user_create, &params, &user), 0);
    const struct mirai_principal kato = PERSON(user.id, VIEWER, );
    mirai_set(password_change, &change, old_password, MIRAI_STR("wrong horse battery"));
    mirai_set(password_change, &change, new_password, MIRAI_STR("newer horse battery"));
    assert_int_equal(CALL(f, &kato, user_password, &change, NULL), MIRAI_E_FORBIDDEN);
    mirai_set(password_change, &change, old_password, MIRAI_STR("correct horse battery"));
    mirai_set(password_change, &change, new_password, MIRAI_STR("12345678"));
    assert_int_equal(CALL(f, &kato, user_password, &change, NULL), MIRAI_E_UNPROCESSABLE);
    mirai_set(password_change, &change, new_password, MIRAI_STR("newer horse battery"));
    assert_int_equal(CALL(f, &kato, user_password, &change, NULL), 0);
    assert_int_equal(log_in(f, "kato", "correct horse battery", NULL), MIRAI_E_UNAUTHENTICATED);
    assert_int_equal(log_in(f, "kato", "newer horse battery", NULL), 0);
}

/* A hash of params under an idempotency key would let whoever has a backup guess passwords. */
static void passwords_leave_no_trace_under_a_key(void **state)
{
    struct fixture *f = *state;
    struct mirai_user_create params = new_user("tanaka", MIRAI_ROLE_EDITOR);
    struct answer made = call_keyed(f, &admin, "k", MIRAI_METHOD_ID_user_create, &params);
    struct mirai_user user;
    struct db *db;
    int64_t rows;
    assert_int_equal(made.status, 0);
    assert_int_equal(
        mirai_message_decode(&mirai_message_user, made.result, MIRAI_EDGE, &f->arena, &user, NULL), 0);
    assert_int_equal(call_keyed(f, &admin, "k", MIRAI_METHOD_ID_user_create, &params).status,
                     MIRAI_E_CONFLICT);

    struct mirai_user_patch patch = {0};
    mirai_set(user_patch, &patch, id, user.id);
    mirai_set(user_patch, &patch, password, MIRAI_STR("newer horse battery"));
    assert_int_equal(call_keyed(f, &admin, "k", MIRAI_METHOD_ID_user_patch, &patch).status, 0);

    const struct mirai_principal tanaka = {.user_id = user.id, .role = MIRAI_ROLE_EDITOR};
    struct mirai_password_change change = {0};
    mirai_set(password_change, &change, old_password, MIRAI_STR("newer horse battery"));
    mirai_set(password_change, &change, new_password, MIRAI_STR("newest horse battery"));
    assert_int_equal(call_keyed(f, &tanaka, "k", MIRAI_METHOD_ID_user_password, &change).status, 0);

    static const struct mirai_principal nobody = {0};
    struct mirai_login login = {0};
    mirai_set(login, &login, name, MIRAI_STR("tanaka"));
    mirai_set(login, &login, password, MIRAI_STR("newest horse battery"));
    assert_int_equal(call_keyed(f, &nobody, "k", MIRAI_METHOD_ID_auth_login, &login).status, 0);

    assert_int_equal(db_open(f->store.db_path, DB_READ, &db), 0);
    assert_int_equal(db_find_int(db, &rows, "SELECT count(*) FROM idempotency"), 0);
    assert_int_equal(rows, 0);
    db_close(db);
}

static void a_new_display_name_shows_on_articles(void **state)
{
    struct fixture *f = *state;
    struct mirai_article article = create(f, &editor, "By an editor");
    struct mirai_user_patch patch = {0};
    assert_int_equal(get(f, &viewer, article.id, &article), 0);
    assert_text(article.owner, "editor");
    mirai_set(user_patch, &patch, id, 2);
    mirai_set(user_patch, &patch, display_name, MIRAI_STR("編集 花子"));
    assert_int_equal(CALL(f, &admin, user_patch, &patch, NULL), 0);
    assert_int_equal(get(f, &viewer, article.id, &article), 0);
    assert_text(article.owner, "編集 花子");
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, fixture_open, fixture_close)
    const struct CMUnitTest tests[] = {
        TEST(makes_and_lists_accounts),
        TEST(only_admins_see_accounts),
        TEST(names_are_unique_without_regard_to_case),
        TEST(weak_passwords_are_refused),
        TEST(the_last_admin_stays),
        TEST(changes_end_sessions),
        TEST(one_changes_ones_own_password),
        TEST(passwords_leave_no_trace_under_a_key),
        TEST(a_new_display_name_shows_on_articles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
