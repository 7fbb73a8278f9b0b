#include "services/gateway/identity/csrf.h"

#include <sodium.h>

#define PURPOSE     "csrf"
#define TOKEN_BYTES (crypto_auth_hmacsha256_BYTES / 2) /* RFC 2104 §5: not less than half */

_Static_assert(sodium_base64_ENCODED_LEN(TOKEN_BYTES, sodium_base64_VARIANT_URLSAFE_NO_PADDING) ==
                   CSRF_TOKEN_LEN + 1,
               "the token's length");

void csrf_token(struct mirai_str secret, char out[CSRF_TOKEN_LEN + 1])
{
    unsigned char mac[crypto_auth_hmacsha256_BYTES];
    crypto_auth_hmacsha256_state state;
    crypto_auth_hmacsha256_init(&state, (const unsigned char *)secret.data, secret.len);
    crypto_auth_hmacsha256_update(&state, (const unsigned char *)PURPOSE, sizeof(PURPOSE) - 1);
    crypto_auth_hmacsha256_final(&state, mac);
    sodium_bin2base64(out, CSRF_TOKEN_LEN + 1, mac, TOKEN_BYTES, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    sodium_memzero(&state, sizeof(state));
    sodium_memzero(mac, sizeof(mac));
}

bool csrf_token_valid(struct mirai_str secret, struct mirai_str given)
{
    char token[CSRF_TOKEN_LEN + 1];
    csrf_token(secret, token);
    bool valid = mirai_equal_constant_time(token, CSRF_TOKEN_LEN, given.data, given.len);
    sodium_memzero(token, sizeof(token));
    return valid;
}
