#include "services/knowledge-store/password_rules.h"

#include "libcommon/config.h"
#include "libcommon/time.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct password_owner owner = {MIRAI_STR("Sato.Hanako"), MIRAI_STR("遠山 桜子"),
                                            MIRAI_STR("hsato-33@example.jp")};

static void expect(const char *problem, const char *const *passwords, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const char *found = password_problem(mirai_str(passwords[i]), &owner);
        if (found != problem && (found == NULL || problem == NULL || strcmp(found, problem) != 0)) {
            fail_msg("%s: %s instead of %s", passwords[i], found != NULL ? found : "good",
                     problem != NULL ? problem : "good");
        }
    }
}
#define EXPECT(problem, ...)                                                                                 \
    do {                                                                                                     \
        static const char *const passwords_[] = {__VA_ARGS__};                                               \
        expect(problem, passwords_, sizeof(passwords_) / sizeof(passwords_[0]));                             \
    } while (0)

static void length_is_counted_in_code_points(void **state)
{
    (void)state;
    EXPECT("too-short", "seven7!", "七文字の合言葉", "");
    EXPECT(NULL, "八文字だよ合言葉");
    char long_text[1025 * 3];
    for (size_t i = 0; i < 1025; i++) {
        memcpy(long_text + i * 3, i % 3 == 0 ? "あ" : i % 5 == 0 ? "漢" : "字", 3);
    }
    assert_string_equal(password_problem((struct mirai_str){long_text, sizeof(long_text)}, &owner),
                        "too-long");
    assert_null(password_problem((struct mirai_str){long_text, 1024 * 3}, &owner));
}

static void the_shortest_length_is_configured(void **state)
{
    (void)state;
    char *longer[] = {"MIRAI_PASSWORD_MIN_LENGTH=15", NULL}, *usual[] = {NULL};
    assert_int_equal(mirai_config_load(longer, stderr), 0);
    EXPECT("too-short", "fourteen-Zebra");
    EXPECT(NULL, "fifteen-Zebra-q");
    assert_int_equal(mirai_config_load(usual, stderr), 0);
}

static void no_kind_of_character_is_asked_for(void **state)
{
    (void)state;
    EXPECT(NULL, "correct horse battery", "wrong horse battery", "fjrutkwe", "83026174",
           "ひらがなだけのあいことばです", "password-of-the-day 417", "　全角の空白　と言葉",
           "😀🦄🍜🗻🎏🐙🚄🎌", "Tr0ub4dor&3x", "gp7#Kq!z",
           "the password of XXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX");
}

static void common_ones_are_refused(void **state)
{
    (void)state;
    EXPECT("too-common", "PassWord123", "password", "P@ssw0rd", "pa$$w0rd!", "Passw0rd2024!",
           "ＰＡＳＳＷＯＲＤ", "iloveyou", "Welcome1", "Sakura2024", "sakura19900401", "2024sakura",
           "tanaka1234", "yoroshiku4649", "arigatou!!", "Konnichiwa1", "ぱすわーど123", "パスワード2024",
           "administrator", "Helpdesk01", "changeme!", "dragon12", "tanakahanako", "Summer2026!", "Admin123!",
           "qq123456");
}

static void repeats_and_sequences_are_refused(void **state)
{
    (void)state;
    EXPECT("too-common", "aaaaaaaa", "12121212", "abcabcabc", "testtest", "hogehoge", "12345678", "87654321",
           "abcdefgh", "hgfedcba", "abcd1234", "qwertyui", "asdfghjk", "1qaz2wsx", "zaq12wsx", "1q2w3e4r",
           "qweasdzxc", "qwer1234", "!\"#$%&'()", "!@#$%^&*", "あいうえおかきく", "いろはにほへとち",
           "アイウエオカキク", "１２３４５６７８", "😀😀😀😀😀😀😀😀");
}

static void names_are_refused(void **state)
{
    (void)state;
    EXPECT("same-as-name", "sATO.hanako", "Sato.Hanako!", "satohanako.77", "hsato-33", "hsato-3300",
           "遠山桜子遠山桜子1", "Mirai-Knowledge", "miraiknowledge1!");
    EXPECT(NULL, "hsato-33 rides a tram", "遠山桜子の長い合言葉");
    static const struct password_owner unknown = {{NULL, 0}, {NULL, 0}, {NULL, 0}};
    assert_null(password_problem(MIRAI_STR("hsato-3300"), &unknown));
}

/* The worst texts that get so far take no time that anybody else would feel. */
static void every_password_is_judged_quickly(void **state)
{
    (void)state;
    static const char *const pieces[] = {"a", "\xef\xb7\xba", "ab", "sakura", "あ", "é"};
    for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
        struct mirai_buf text = {0};
        size_t points = mirai_utf8_length(mirai_str(pieces[i]));
        for (size_t n = 0; n + points <= PASSWORD_LENGTH_MAX - 1; n += points) {
            mirai_buf_append_str(&text, mirai_str(pieces[i]));
        }
        mirai_buf_append_char(&text, '?');
        uint64_t start = mirai_monotonic_ms();
        password_problem(mirai_buf_str(&text), &owner);
        assert_true(mirai_monotonic_ms() - start < 500);
        mirai_buf_free(&text);
    }
}

int main(void)
{
    char *environment[] = {NULL};
    if (mirai_config_load(environment, stderr) != 0) {
        return EXIT_FAILURE;
    }
    password_rules_start();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(length_is_counted_in_code_points),
        cmocka_unit_test(the_shortest_length_is_configured),
        cmocka_unit_test(no_kind_of_character_is_asked_for),
        cmocka_unit_test(common_ones_are_refused),
        cmocka_unit_test(repeats_and_sequences_are_refused),
        cmocka_unit_test(names_are_refused),
        cmocka_unit_test(every_password_is_judged_quickly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
