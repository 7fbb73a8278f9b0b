#include "services/knowledge-store/passwords.h"

#include "libcommon/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static void hash_verifies_only_its_password(void **state)
{
    (void)state;
    char hash[PASSWORD_HASH_SIZE], again[PASSWORD_HASH_SIZE];
    assert_int_equal(password_hash(hash, MIRAI_STR("correct horse")), 0);
    assert_int_equal(password_hash(again, MIRAI_STR("correct horse")), 0);
    assert_int_equal(strncmp(hash, "$argon2id$v=19$m=8192,t=2,p=1$", 30), 0);
    assert_string_not_equal(hash, again); /* salted */
    assert_true(password_verify(hash, MIRAI_STR("correct horse")));
    assert_false(password_verify(hash, MIRAI_STR("correct horsf")));
    assert_false(password_verify(hash, MIRAI_STR("")));
    assert_false(password_verify("$argon2id$nonsense", MIRAI_STR("correct horse")));
    assert_false(password_is_outdated(hash, MIRAI_STR("correct horse")));
}

/* Nothing is cut off, as bcrypt does after 72 bytes. */
static void long_passwords_count_to_their_end(void **state)
{
    (void)state;
    char hash[PASSWORD_HASH_SIZE], text[1024 * 4 + 1];
    for (size_t i = 0; i < 1024; i++) {
        memcpy(text + i * 4, "😀", 4);
    }
    assert_int_equal(password_hash(hash, (struct mirai_str){text, 4096}), 0);
    assert_true(password_verify(hash, (struct mirai_str){text, 4096}));
    assert_false(password_verify(hash, (struct mirai_str){text, 4092}));
}

/* The same password by other keyboards: full width, half-width kana, letters and marks apart. */
static void forms_of_one_text_are_one_password(void **state)
{
    (void)state;
    char hash[PASSWORD_HASH_SIZE];
    assert_int_equal(password_hash(hash, MIRAI_STR("ｐａｓｓ phrase ガ")), 0);
    assert_true(password_verify(hash, MIRAI_STR("pass phrase ガ")));
    assert_true(password_verify(hash, MIRAI_STR("pass phrase ｶﾞ")));
    assert_true(password_verify(hash, MIRAI_STR("pass phrase カ\xe3\x82\x99")));
    assert_false(password_verify(hash, MIRAI_STR("pass phrase カ")));
}

static void hashes_of_earlier_releases_go_on_working(void **state)
{
    (void)state;
    char hash[PASSWORD_HASH_SIZE];
    static const char typed[] = "ｐａｓｓ phrase ガ";
    assert_int_equal(
        crypto_pwhash_str_alg(hash, typed, strlen(typed), 2, 8192 * 1024, crypto_pwhash_ALG_ARGON2ID13), 0);
    assert_true(password_verify(hash, MIRAI_STR("ｐａｓｓ phrase ガ")));
    assert_false(password_verify(hash, MIRAI_STR("pass phrase ガ"))); /* not before it was made anew */
    assert_true(password_is_outdated(hash, MIRAI_STR("ｐａｓｓ phrase ガ")));
}

static void other_parameters_are_outdated(void **state)
{
    (void)state;
    char hash[PASSWORD_HASH_SIZE];
    assert_int_equal(
        crypto_pwhash_str_alg(hash, "correct horse", 13, 1, 8192 * 1024, crypto_pwhash_ALG_ARGON2ID13), 0);
    assert_true(password_verify(hash, MIRAI_STR("correct horse")));
    assert_true(password_is_outdated(hash, MIRAI_STR("correct horse")));
}

/* How long it takes follows from what is hashed against; times themselves: tests/bench/login. */
static void what_is_no_hash_lets_nobody_in(void **state)
{
    (void)state;
    assert_false(password_verify(NULL, MIRAI_STR("wrong horse")));
    assert_false(password_verify("", MIRAI_STR("wrong horse")));
    assert_false(password_verify("", MIRAI_STR("")));
}

int main(void)
{
    char *environment[] = {"MIRAI_PASSWORD_MEMORY_KIB=8192", NULL};
    if (mirai_config_load(environment, stderr) != 0 || passwords_start() != 0) {
        return EXIT_FAILURE;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hash_verifies_only_its_password),
        cmocka_unit_test(long_passwords_count_to_their_end),
        cmocka_unit_test(forms_of_one_text_are_one_password),
        cmocka_unit_test(hashes_of_earlier_releases_go_on_working),
        cmocka_unit_test(other_parameters_are_outdated),
        cmocka_unit_test(what_is_no_hash_lets_nobody_in),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
