#include "services/knowledge-store/totp.h"

#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const unsigned char secret[TOTP_SECRET_SIZE] = "12345678901234567890"; /* of both RFCs */

static void codes_are_those_of_rfc_4226(void **state)
{
    static const unsigned expected[] = {755224, 287082, 359152, 969429, 338314,
                                        254676, 287922, 162583, 399871, 520489}; /* appendix D */
    (void)state;
    for (uint64_t counter = 0; counter < 10; counter++) {
        assert_int_equal(totp_code(secret, counter), expected[counter]);
    }
}

static void codes_are_those_of_rfc_6238(void **state)
{
    static const struct {
        int64_t seconds;
        unsigned code; /* the last six of its eight digits */
    } rows[] = {{59, 287082},         {1111111109, 81804},           {1111111111, 50471}, {1234567890, 5924},
                {2000000000, 279037}, {INT64_C(20000000000), 353130}}; /* appendix B, SHA1 */
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int64_t now_ms = rows[i].seconds * 1000;
        assert_int_equal(totp_code(secret, (uint64_t)(now_ms / TOTP_STEP_MS)), rows[i].code);
        assert_int_equal(totp_step(secret, now_ms, 0, rows[i].code), now_ms / TOTP_STEP_MS);
    }
}

/* Another implementation, at random times with random secrets. */
static void codes_are_those_of_oathtool(void **state)
{
    (void)state;
    for (int i = 0; i < 10; i++) {
        unsigned char random[TOTP_SECRET_SIZE];
        char text[TOTP_BASE32_SIZE], command[200], answer[32] = "";
        int64_t seconds = (int64_t)randombytes_uniform(2000000000);
        randombytes_buf(random, sizeof(random));
        totp_base32(text, random);
        snprintf(command, sizeof(command), "TZ=UTC oathtool --totp --base32 --now '@%lld' %s",
                 (long long)seconds, text);
        FILE *oathtool = popen(command, "r");
        assert_non_null(oathtool);
        assert_non_null(fgets(answer, sizeof(answer), oathtool));
        assert_int_equal(pclose(oathtool), 0);
        assert_int_equal(strtol(answer, NULL, 10),
                         totp_code(random, (uint64_t)seconds * 1000 / TOTP_STEP_MS));
    }
}

static void a_code_counts_one_step_early_and_late_and_once(void **state)
{
    (void)state;
    int64_t now_ms = INT64_C(2000000000000), step = now_ms / TOTP_STEP_MS;
    for (int64_t away = -3; away <= 3; away++) {
        unsigned code = totp_code(secret, (uint64_t)(step + away));
        int64_t found = totp_step(secret, now_ms, 0, code);
        assert_int_equal(found, away >= -1 && away <= 1 ? step + away : 0);
    }
    unsigned code = totp_code(secret, (uint64_t)step);
    assert_int_equal(totp_step(secret, now_ms, step - 1, code), step);
    assert_int_equal(totp_step(secret, now_ms, step, code), 0);
    assert_int_equal(totp_step(secret, now_ms, step, totp_code(secret, (uint64_t)(step - 1))), 0);
    assert_int_equal(totp_step(secret, now_ms, step, totp_code(secret, (uint64_t)(step + 1))), step + 1);
}

static void six_digits_are_a_code(void **state)
{
    unsigned code;
    (void)state;
    assert_true(totp_parse(MIRAI_STR("000123"), &code));
    assert_int_equal(code, 123);
    assert_true(totp_parse(MIRAI_STR(" 123 456 "), &code));
    assert_int_equal(code, 123456);
    assert_true(totp_parse(MIRAI_STR("１２３４５６"), &code));
    assert_int_equal(code, 123456);
    static const char *const bad[] = {"",          "12345",         "1234567",      "12345a", "-12345",
                                      "12345\xef", "12345\xef\xbc", "一二三四五六", "1234５😀"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_false(totp_parse(mirai_str(bad[i]), &code));
    }
}

static void secrets_are_written_in_base32(void **state)
{
    char text[TOTP_BASE32_SIZE];
    (void)state;
    totp_base32(text, secret);
    assert_string_equal(text, "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
}

static void recovery_codes_are_read_as_people_write_them(void **state)
{
    char code[RECOVERY_SIZE], other[RECOVERY_SIZE], plain[RECOVERY_PLAIN_SIZE], again[RECOVERY_PLAIN_SIZE];
    (void)state;
    recovery_make(code);
    recovery_make(other);
    assert_int_equal(strlen(code), RECOVERY_SIZE - 1);
    assert_string_not_equal(code, other);
    assert_true(recovery_parse(mirai_str(code), plain));
    assert_int_equal(strlen(plain), RECOVERY_PLAIN_SIZE - 1);
    assert_true(recovery_parse(mirai_str(plain), again));
    assert_string_equal(plain, again);
    assert_true(recovery_parse(MIRAI_STR("abcd-efgh ijkl-mnop-qrst-uvwx"), plain));
    assert_string_equal(plain, "ABCDEFGHIJKLMNOPQRSTUVWX");
    static const char *const bad[] = {"",
                                      "123456",
                                      "ABCD-EFGH-IJKL-MNOP-QRST-UVW",
                                      "ABCD-EFGH-IJKL-MNOP-QRST-UVWXY",
                                      "ABCD-EFGH-IJKL-MNOP-QRST-UVW0",
                                      "ABCD-EFGH-IJKL-MNOP-QRST-UVW\xe3\x81\x82"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_false(recovery_parse(mirai_str(bad[i]), plain));
    }
}

int main(void)
{
    if (sodium_init() < 0) {
        return EXIT_FAILURE;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(codes_are_those_of_rfc_4226),
        cmocka_unit_test(codes_are_those_of_rfc_6238),
        cmocka_unit_test(codes_are_those_of_oathtool),
        cmocka_unit_test(a_code_counts_one_step_early_and_late_and_once),
        cmocka_unit_test(six_digits_are_a_code),
        cmocka_unit_test(secrets_are_written_in_base32),
        cmocka_unit_test(recovery_codes_are_read_as_people_write_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
