#include "services/knowledge-store/passwords.h"

#include "libcommon/config.h"
#include "libcommon/time.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct mirai_str name = MIRAI_STR("Sato.Hanako");

static void rule_counts_code_points(void **state)
{
    (void)state;
    assert_string_equal(password_problem(MIRAI_STR("seven7!"), name), "too-short");
    assert_string_equal(password_problem(MIRAI_STR("七文字の合言葉"), name), "too-short");
    assert_null(password_problem(MIRAI_STR("八文字だよ合言葉"), name));
    char long_text[1025 * 3];
    for (size_t i = 0; i < 1025; i++) {
        memcpy(long_text + i * 3, "あ", 3);
    }
    assert_string_equal(password_problem((struct mirai_str){long_text, sizeof(long_text)}, name), "too-long");
    assert_null(password_problem((struct mirai_str){long_text, 1024 * 3}, name));
}

static void rule_refuses_the_obvious(void **state)
{
    (void)state;
    assert_string_equal(password_problem(MIRAI_STR("sATO.hanako"), name), "same-as-name");
    assert_string_equal(password_problem(MIRAI_STR("PassWord123"), name), "too-common");
    assert_null(password_problem(MIRAI_STR("password-of-the-day 417"), name));
}

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
}

/* An attacker must not learn from the time of an answer which names exist. */
static void nobody_takes_as_long_as_somebody(void **state)
{
    (void)state;
    char hash[PASSWORD_HASH_SIZE];
    uint64_t known_us = UINT64_MAX, unknown_us = UINT64_MAX;
    assert_int_equal(password_hash(hash, MIRAI_STR("correct horse")), 0);
    for (int i = 0; i < 5; i++) {
        uint64_t start = mirai_monotonic_us();
        assert_false(password_verify(hash, MIRAI_STR("wrong horse")));
        uint64_t middle = mirai_monotonic_us();
        assert_false(password_verify(NULL, MIRAI_STR("wrong horse")));
        uint64_t end = mirai_monotonic_us();
        known_us = middle - start < known_us ? middle - start : known_us;
        unknown_us = end - middle < unknown_us ? end - middle : unknown_us;
    }
    assert_true(unknown_us * 2 > known_us);
    assert_true(known_us * 2 > unknown_us);
}

int main(void)
{
    char *environment[] = {"MIRAI_PASSWORD_MEMORY_KIB=8192", NULL};
    if (mirai_config_load(environment, stderr) != 0 || passwords_start() != 0) {
        return EXIT_FAILURE;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rule_counts_code_points),
        cmocka_unit_test(rule_refuses_the_obvious),
        cmocka_unit_test(hash_verifies_only_its_password),
        cmocka_unit_test(nobody_takes_as_long_as_somebody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
