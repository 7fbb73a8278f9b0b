#include "services/gateway/identity/csrf.h"

#include "tests/unit/gateway/test.h"

#define SECRET "mks_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

static void the_token_is_an_hmac_of_the_secret(void **state)
{
    (void)state;
    char token[CSRF_TOKEN_LEN + 1];
    csrf_token(mirai_str(SECRET), token);
    /* printf csrf | openssl dgst -sha256 -hmac SECRET -binary | head -c 16 | basenc --base64url */
    assert_string_equal(token, "nOeT41NIcO8jxdtLozoDow");
}

static void only_the_session_s_own_token_is_valid(void **state)
{
    (void)state;
    char token[CSRF_TOKEN_LEN + 1], other[CSRF_TOKEN_LEN + 1];
    csrf_token(mirai_str(SECRET), token);
    csrf_token(mirai_str(SECRET "B"), other);
    assert_true(csrf_token_valid(mirai_str(SECRET), mirai_str(token)));
    assert_false(csrf_token_valid(mirai_str(SECRET), mirai_str(other)));
    assert_false(csrf_token_valid(mirai_str(SECRET), (struct mirai_str){0}));
    assert_false(csrf_token_valid(mirai_str(SECRET), mirai_str("")));
    assert_false(csrf_token_valid(mirai_str(SECRET), (struct mirai_str){token, CSRF_TOKEN_LEN - 1}));
    assert_false(csrf_token_valid(mirai_str(SECRET), (struct mirai_str){token, CSRF_TOKEN_LEN + 1}));
    for (size_t i = 0; i < CSRF_TOKEN_LEN; i++) {
        token[i] ^= 1;
        assert_false(csrf_token_valid(mirai_str(SECRET), mirai_str(token)));
        token[i] ^= 1;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_token_is_an_hmac_of_the_secret),
        cmocka_unit_test(only_the_session_s_own_token_is_valid),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
