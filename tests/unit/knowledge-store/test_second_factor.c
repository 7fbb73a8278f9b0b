#include "services/knowledge-store/seal.h"
#include "services/knowledge-store/totp.h"
#include "tests/unit/knowledge-store/accounts.h"

#include <sys/stat.h>

/* Somebody with a second factor, and what the authenticator knows. */
struct owner {
    struct mirai_user user;
    struct mirai_login_result session;
    struct mirai_principal principal;
    unsigned char secret[TOTP_SECRET_SIZE];
    struct mirai_recovery_codes recovery;
};

static void decode_secret(struct mirai_str text, unsigned char secret[TOTP_SECRET_SIZE])
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    uint64_t bits = 0;
    size_t count = 0, out = 0;
    assert_int_equal(text.len, 32);
    for (size_t i = 0; i < text.len; i++) {
        bits = bits << 5 | (uint64_t)(strchr(alphabet, text.data[i]) - alphabet);
        count += 5;
        if (count >= 8) {
            secret[out++] = (unsigned char)(bits >> (count - 8));
            count -= 8;
        }
    }
    assert_int_equal(out, TOTP_SECRET_SIZE);
}

/* The code of the present step, or of one before or after. */
static struct mirai_str code_at(struct fixture *f, const struct owner *owner, int away)
{
    return mirai_arena_printf(&f->arena, "%06u",
                              totp_code(owner->secret, (uint64_t)(mirai_now_ms() / TOTP_STEP_MS + away)));
}

/* No code: none of those that count now. */
static struct mirai_str wrong_code(struct fixture *f, const struct owner *owner)
{
    unsigned wrong = 0;
    for (int away = -2; away <= 2; away++) {
        wrong += wrong == totp_code(owner->secret, (uint64_t)(mirai_now_ms() / TOTP_STEP_MS + away));
    }
    return mirai_arena_printf(&f->arena, "%06u", wrong);
}

/* Forget which codes were used, so that a test needs not wait for new ones. */
static void refresh_codes(struct fixture *f)
{
    change_database(f, "UPDATE second_factors SET last_step = 0");
}

static struct mirai_second_factor_begin begin_with(const char *password)
{
    struct mirai_second_factor_begin params = {0};
    mirai_set(second_factor_begin, &params, password, mirai_str(password));
    return params;
}

static int confirm(struct fixture *f, const struct mirai_principal *who, struct mirai_str otp,
                   struct mirai_recovery_codes *codes)
{
    struct mirai_second_factor_confirm params = {0};
    mirai_set(second_factor_confirm, &params, otp, otp);
    return CALL(f, who, second_factor_confirm, &params, codes);
}

static int end_factor(struct fixture *f, const struct mirai_principal *who, const char *password,
                      struct mirai_str otp)
{
    struct mirai_second_factor_end params = {0};
    mirai_set(second_factor_end, &params, password, mirai_str(password));
    mirai_set(second_factor_end, &params, otp, otp);
    return CALL(f, who, second_factor_end, &params, NULL);
}

static void begin(struct fixture *f, struct owner *owner)
{
    struct mirai_second_factor_begin params = begin_with(PASSWORD);
    struct mirai_second_factor_secret secret;
    assert_int_equal(CALL(f, &owner->principal, second_factor_begin, &params, &secret), 0);
    decode_secret(secret.secret, owner->secret);
}

static struct owner make_owner(struct fixture *f, const char *name)
{
    struct owner owner = {.user = make_user(f, name, MIRAI_ROLE_EDITOR), .session = log_in(f, name)};
    owner.principal = principal_of(f, owner.session.token);
    begin(f, &owner);
    assert_int_equal(confirm(f, &owner.principal, code_at(f, &owner, 0), &owner.recovery), 0);
    refresh_codes(f);
    return owner;
}

static struct answer log_in_with(struct fixture *f, const char *name, const char *password,
                                 struct mirai_str otp)
{
    struct mirai_login params = credentials(name, password);
    if (otp.data != NULL) {
        mirai_set(login, &params, otp, otp);
    }
    return call_keyed(f, &nobody, "", MIRAI_METHOD_ID_auth_login, &params);
}
static const struct mirai_str no_code = {NULL, 0};

static void a_login_needs_the_code(void **state)
{
    struct fixture *f = *state;
    struct owner owner = make_owner(f, "tanaka");
    assert_true(get_user(f, owner.user.id).second_factor);
    struct answer answer = log_in_with(f, "tanaka", PASSWORD, no_code);
    assert_int_equal(answer.status, MIRAI_E_UNAUTHENTICATED);
    assert_true(needs(&answer, "otp"));
    answer = log_in_with(f, "tanaka", "wrong password", no_code);
    assert_int_equal(answer.status, MIRAI_E_UNAUTHENTICATED);
    assert_false(needs(&answer, "otp")); /* says nothing on the account before the password is right */
    answer = log_in_with(f, "tanaka", "wrong password", code_at(f, &owner, 0));
    assert_int_equal(answer.status, MIRAI_E_UNAUTHENTICATED);
    answer = log_in_with(f, "tanaka", PASSWORD, wrong_code(f, &owner));
    assert_int_equal(answer.status, MIRAI_E_UNAUTHENTICATED);
    assert_false(needs(&answer, "otp"));
    struct mirai_str code = code_at(f, &owner, 0);
    assert_int_equal(log_in_with(f, "tanaka", PASSWORD, code).status, 0);
    assert_int_equal(log_in_with(f, "tanaka", PASSWORD, code).status,
                     MIRAI_E_UNAUTHENTICATED); /* only once */
    assert_int_equal(log_in_with(f, "tanaka", PASSWORD, code_at(f, &owner, 1)).status, 0);
}

static void a_recovery_code_works_once(void **state)
{
    struct fixture *f = *state;
    struct owner owner = make_owner(f, "tanaka"), other = make_owner(f, "suzuki");
    assert_int_equal(owner.recovery.codes.count, 10);
    struct mirai_str code = owner.recovery.codes.items[3];
    assert_int_equal(log_in_with(f, "suzuki", PASSWORD, code).status, MIRAI_E_UNAUTHENTICATED);
    assert_int_equal(log_in_with(f, "tanaka", PASSWORD, code).status, 0);
    assert_int_equal(log_in_with(f, "tanaka", PASSWORD, code).status, MIRAI_E_UNAUTHENTICATED);
    assert_int_equal(log_in_with(f, "tanaka", PASSWORD, owner.recovery.codes.items[4]).status, 0);
    assert_int_equal(log_in_with(f, "suzuki", PASSWORD, other.recovery.codes.items[3]).status, 0);
    assert_int_equal(find_int(f, "SELECT count(*) FROM recovery_codes"), 17);
}

static void wrong_codes_are_limited_but_nobody_is_locked_out(void **state)
{
    struct fixture *f = *state;
    struct owner owner = make_owner(f, "tanaka"), other = make_owner(f, "suzuki");
    int wrong = 0, refused = 0;
    for (int i = 0; i < 16; i++) { /* more than three windows, should one end meanwhile */
        int status = log_in_with(f, "tanaka", PASSWORD, wrong_code(f, &owner)).status;
        wrong += status == MIRAI_E_UNAUTHENTICATED;
        refused += status == MIRAI_E_THROTTLED;
    }
    assert_int_equal(wrong + refused, 16);
    assert_true(wrong >= 5 && wrong <= 10);
    assert_int_equal(log_in_with(f, "tanaka", PASSWORD, owner.recovery.codes.items[0]).status, 0);
    assert_int_equal(log_in_with(f, "suzuki", PASSWORD, code_at(f, &other, 0)).status, 0);
}

static void it_counts_from_its_confirmation(void **state)
{
    struct fixture *f = *state;
    struct owner owner = {.user = make_user(f, "tanaka", MIRAI_ROLE_EDITOR)};
    owner.session = log_in(f, "tanaka");
    struct mirai_login_result elsewhere = log_in(f, "tanaka");
    owner.principal = principal_of(f, owner.session.token);
    assert_int_equal(confirm(f, &owner.principal, MIRAI_STR("123456"), NULL), MIRAI_E_CONFLICT);
    struct mirai_second_factor_begin wrong = begin_with("wrong password");
    assert_int_equal(CALL(f, &owner.principal, second_factor_begin, &wrong, NULL), MIRAI_E_FORBIDDEN);
    begin(f, &owner);
    struct mirai_str first = code_at(f, &owner, 0);
    begin(f, &owner); /* again: the first secret is void */
    assert_int_equal(log_in_with(f, "tanaka", PASSWORD, no_code).status, 0);
    assert_false(get_user(f, owner.user.id).second_factor);
    if (!mirai_str_eq(first, code_at(f, &owner, 0))) {
        assert_int_equal(confirm(f, &owner.principal, first, NULL), MIRAI_E_FORBIDDEN);
    }
    assert_int_equal(confirm(f, &owner.principal, code_at(f, &owner, 0), NULL), 0);
    assert_int_equal(log_in_with(f, "tanaka", PASSWORD, no_code).status, MIRAI_E_UNAUTHENTICATED);
    assert_int_equal(whose(f, owner.session.token, NULL), 0);
    assert_int_equal(whose(f, elsewhere.token, NULL), MIRAI_E_UNAUTHENTICATED);
    struct mirai_second_factor_begin again = begin_with(PASSWORD);
    assert_int_equal(CALL(f, &owner.principal, second_factor_begin, &again, NULL), MIRAI_E_CONFLICT);
    assert_int_equal(CALL(f, &daemon_, second_factor_begin, &again, NULL), MIRAI_E_NOT_FOUND);
}

static void its_owner_ends_it_with_password_and_code(void **state)
{
    struct fixture *f = *state;
    struct owner owner = make_owner(f, "tanaka");
    struct answer elsewhere = log_in_with(f, "tanaka", PASSWORD, owner.recovery.codes.items[0]);
    struct mirai_login_result session;
    assert_int_equal(elsewhere.status, 0);
    assert_int_equal(mirai_message_decode(&mirai_message_login_result, elsewhere.result, MIRAI_EDGE,
                                          &f->arena, &session, NULL),
                     0);
    assert_int_equal(end_factor(f, &owner.principal, "wrong password", code_at(f, &owner, 0)),
                     MIRAI_E_FORBIDDEN);
    assert_int_equal(end_factor(f, &owner.principal, PASSWORD, wrong_code(f, &owner)), MIRAI_E_FORBIDDEN);
    assert_int_equal(end_factor(f, &owner.principal, PASSWORD, code_at(f, &owner, 0)), 0);
    assert_int_equal(end_factor(f, &owner.principal, PASSWORD, code_at(f, &owner, 1)), MIRAI_E_CONFLICT);
    assert_false(get_user(f, owner.user.id).second_factor);
    assert_int_equal(find_int(f, "SELECT count(*) FROM recovery_codes"), 0);
    assert_int_equal(log_in_with(f, "tanaka", PASSWORD, no_code).status, 0);
    assert_int_equal(whose(f, owner.session.token, NULL), 0);
    assert_int_equal(whose(f, session.token, NULL), MIRAI_E_UNAUTHENTICATED);
}

static void an_admin_takes_it_away(void **state)
{
    struct fixture *f = *state;
    struct owner owner = make_owner(f, "tanaka");
    struct mirai_user_patch patch = {0};
    struct mirai_user user;
    mirai_set(user_patch, &patch, id, owner.user.id);
    mirai_set(user_patch, &patch, second_factor, true);
    assert_int_equal(CALL(f, &admin, user_patch, &patch, NULL), MIRAI_E_UNPROCESSABLE);
    mirai_set(user_patch, &patch, second_factor, false);
    assert_int_equal(CALL(f, &editor, user_patch, &patch, NULL), MIRAI_E_FORBIDDEN);
    assert_int_equal(CALL(f, &admin, user_patch, &patch, &user), 0);
    assert_false(user.second_factor);
    assert_int_equal(whose(f, owner.session.token, NULL), MIRAI_E_UNAUTHENTICATED);
    assert_int_equal(log_in_with(f, "tanaka", PASSWORD, no_code).status, 0);
}

static void the_secret_is_sealed(void **state)
{
    struct fixture *f = *state;
    struct owner owner = make_owner(f, "tanaka"), other = make_owner(f, "suzuki");
    struct db *db;
    char path[128], moved[128];
    /* Neither the secret nor a recovery code is anywhere in the directory in plain. */
    assert_int_equal(db_open(f->store.db_path, DB_READ, &db), 0);
    struct db_rows *rows = db_query(db, "SELECT secret FROM second_factors");
    while (db_next(rows)) {
        struct mirai_str sealed = db_text(rows, 0);
        assert_int_equal(sealed.len, 60);
        assert_null(memmem(sealed.data, sealed.len, owner.secret, 8));
    }
    assert_int_equal(db_end(rows), 0);
    db_close(db);

    /* What is sealed for one is of no use in the row of another. */
    change_database(f,
                    "UPDATE second_factors SET secret = (SELECT secret FROM second_factors ORDER BY user_id "
                    "LIMIT 1)");
    mirai_log_set_level(MIRAI_LOG_FATAL);
    assert_int_equal(log_in_with(f, "suzuki", PASSWORD, code_at(f, &owner, 0)).status,
                     MIRAI_E_UNAUTHENTICATED);
    assert_int_equal(log_in_with(f, "tanaka", PASSWORD, code_at(f, &owner, 0)).status, 0);

    /* On another host, without the key: recovery codes still work. */
    fixture_stop(f);
    snprintf(path, sizeof(path), "%s/identity.key", f->dir);
    snprintf(moved, sizeof(moved), "%s/away", f->dir);
    unsigned char key[SEAL_KEY_SIZE];
    bool made;
    assert_int_equal(seal_open(f->dir, key, &made), 0);
    assert_int_equal(chmod(path, 0640), 0); /* a copy that others may read */
    assert_int_equal(seal_open(f->dir, key, &made), MIRAI_E_INVALID);
    assert_int_equal(chmod(path, 0600), 0);
    assert_int_equal(rename(path, moved), 0);
    fixture_start(f);
    refresh_codes(f);
    assert_int_equal(log_in_with(f, "tanaka", PASSWORD, code_at(f, &owner, 0)).status,
                     MIRAI_E_UNAUTHENTICATED);
    assert_int_equal(log_in_with(f, "tanaka", PASSWORD, owner.recovery.codes.items[9]).status, 0);
    assert_int_equal(log_in_with(f, "suzuki", PASSWORD, other.recovery.codes.items[9]).status, 0);
    assert_int_equal(end_factor(f, &owner.principal, PASSWORD, owner.recovery.codes.items[8]), 0);

    fixture_stop(f);
    assert_int_equal(truncate(path, 31), 0);
    assert_int_not_equal(store_open(&f->store, f->dir), 0); /* not half a key */
    memset(&f->store, 0, sizeof(f->store));
    assert_int_equal(rename(moved, path), 0);
    mirai_log_set_level(MIRAI_LOG_ERROR);
    fixture_start(f);
}

static void an_account_of_the_directory_may_have_one(void **state)
{
    struct fixture *f = *state;
    struct mirai_directory_login login = {0};
    struct mirai_login_result session;
    struct mirai_second_factor_begin params = begin_with("what the directory keeps");
    struct mirai_second_factor_secret secret;
    struct owner owner = {.user = {0}};
    mirai_set(directory_login, &login, name, MIRAI_STR("tanaka"));
    mirai_set(directory_login, &login, directory_name, MIRAI_STR("CN=tanaka"));
    mirai_set(directory_login, &login, role, MIRAI_ROLE_EDITOR);
    assert_int_equal(CALL(f, &daemon_, auth_directory, &login, &session), 0);
    const struct mirai_principal tanaka = principal_of(f, session.token);
    assert_int_equal(CALL(f, &tanaka, second_factor_begin, &params, NULL), MIRAI_E_CONFLICT);
    mirai_set(second_factor_begin, &params, checked, true);
    assert_int_equal(CALL(f, &tanaka, second_factor_begin, &params, &secret), 0);
    decode_secret(secret.secret, owner.secret);
    assert_int_equal(confirm(f, &tanaka, code_at(f, &owner, 0), NULL), 0);
    struct answer answer = call_keyed(f, &daemon_, "", MIRAI_METHOD_ID_auth_directory, &login);
    assert_int_equal(answer.status, MIRAI_E_UNAUTHENTICATED);
    assert_true(needs(&answer, "otp"));
    mirai_set(directory_login, &login, otp, code_at(f, &owner, 1));
    assert_int_equal(CALL(f, &daemon_, auth_directory, &login, NULL), 0);
    /* A local account needs its own password, whatever is said of it. */
    make_user(f, "suzuki", MIRAI_ROLE_VIEWER);
    const struct mirai_principal suzuki = principal_of(f, log_in(f, "suzuki").token);
    assert_int_equal(CALL(f, &suzuki, second_factor_begin, &params, NULL), MIRAI_E_FORBIDDEN);
}

static void the_uri_is_what_apps_read(void **state)
{
    struct fixture *f = *state;
    struct owner owner = {.user = make_user(f, "田中 太郎+1", MIRAI_ROLE_EDITOR)};
    struct mirai_second_factor_begin params = begin_with(PASSWORD);
    struct mirai_second_factor_secret secret;
    owner.principal = principal_of(f, log_in(f, "田中 太郎+1").token);
    assert_int_equal(CALL(f, &owner.principal, second_factor_begin, &params, &secret), 0);
    char expected[600];
    snprintf(expected, sizeof(expected),
             "otpauth://totp/Mirai%%20Knowledge:%%E7%%94%%B0%%E4%%B8%%AD%%20%%E5%%A4%%AA%%E9%%83%%8E%%2B1"
             "?secret=%.*s&issuer=Mirai%%20Knowledge&algorithm=SHA1&digits=6&period=30",
             MIRAI_STR_ARG(secret.secret));
    assert_text(secret.uri, expected);

    char longest[401] = "";
    for (int i = 0; i < 100; i++) {
        memcpy(longest + i * 4, "😀", 4);
    }
    make_user(f, longest, MIRAI_ROLE_VIEWER);
    owner.principal = principal_of(f, log_in(f, longest).token);
    assert_int_equal(CALL(f, &owner.principal, second_factor_begin, &params, &secret), 0);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, fixture_open, fixture_close)
    const struct CMUnitTest tests[] = {
        TEST(a_login_needs_the_code),
        TEST(a_recovery_code_works_once),
        TEST(wrong_codes_are_limited_but_nobody_is_locked_out),
        TEST(it_counts_from_its_confirmation),
        TEST(its_owner_ends_it_with_password_and_code),
        TEST(an_admin_takes_it_away),
        TEST(the_secret_is_sealed),
        TEST(an_account_of_the_directory_may_have_one),
        TEST(the_uri_is_what_apps_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
