#include "services/knowledge-store/passwords.h"

#include "libcommon/config.h"
#include "libcommon/error.h"

#include <strings.h>

#define LENGTH_MAX 1024

/* Lower case; what guessing programs try first and is long enough to pass the length rule. */
static const char *const too_common[] = {
    "00000000",   "11111111",    "12121212",     "1234567890", "12345678",        "123456789",
    "0123456789", "1q2w3e4r",    "1q2w3e4r5t",   "1qaz2wsx",   "1qazxsw2",        "87654321",
    "88888888",   "987654321",   "99999999",     "a1234567",   "abc12345",        "abcd1234",
    "abcdefgh",   "admin123",    "admin1234",    "adminadmin", "administrator",   "administrator1",
    "aaaaaaaa",   "asdfasdf",    "asdfghjk",     "asdfghjkl",  "baseball",        "basketball",
    "changeme",   "changeme1",   "computer",     "default1",   "dragon123",       "football",
    "google123",  "helpdesk",    "iloveyou",     "iloveyou1",  "internet",        "letmein1",
    "liverpool",  "master123",   "michelle",     "mirai1234",  "mirai-knowledge", "miraiknowledge",
    "monkey123",  "p@$$w0rd",    "p@ssw0rd",     "p@ssword",   "pa$$w0rd",        "pa55word",
    "passw0rd",   "password",    "password!",    "password0",  "password1",       "password1!",
    "password12", "password123", "password1234", "princess",   "q1w2e3r4",        "q1w2e3r4t5",
    "qazwsxedc",  "qwer1234",    "qwerasdf",     "qwerty12",   "qwerty123",       "qwertyui",
    "qwertyuiop", "root1234",    "rootroot",     "sakura123",  "secret123",       "starwars",
    "sunshine",   "superman",    "test1234",     "testtest",   "trustno1",        "user1234",
    "welcome1",   "welcome123",  "whatever",     "zaq12wsx",   "zxcvbnm1",        "zxcvbnm123",
};

static char dummy_hash[PASSWORD_HASH_SIZE];

static bool same_ignoring_case(struct mirai_str a, struct mirai_str b)
{
    return a.len == b.len && strncasecmp(a.data, b.data, a.len) == 0;
}

const char *password_problem(struct mirai_str password, struct mirai_str user_name)
{
    size_t length = mirai_utf8_length(password);
    if (length < mirai_config_size(MIRAI_CONFIG_PASSWORD_MIN_LENGTH)) {
        return "too-short";
    }
    if (length > LENGTH_MAX) {
        return "too-long";
    }
    if (user_name.len > 0 && same_ignoring_case(password, user_name)) {
        return "same-as-name";
    }
    for (size_t i = 0; i < sizeof(too_common) / sizeof(too_common[0]); i++) {
        if (same_ignoring_case(password, mirai_str(too_common[i]))) {
            return "too-common";
        }
    }
    return NULL;
}

int password_hash(char out[PASSWORD_HASH_SIZE], struct mirai_str password)
{
    return crypto_pwhash_str_alg(out, password.data, password.len,
                                 (unsigned long long)mirai_config_int(MIRAI_CONFIG_PASSWORD_PASSES),
                                 mirai_config_size(MIRAI_CONFIG_PASSWORD_MEMORY_KIB) * 1024,
                                 crypto_pwhash_ALG_ARGON2ID13) == 0
               ? 0
               : MIRAI_E_OVERLOADED;
}

int passwords_start(void)
{
    unsigned char nobody_knows[32];
    if (sodium_init() < 0) {
        return MIRAI_E_INTERNAL;
    }
    randombytes_buf(nobody_knows, sizeof(nobody_knows));
    return password_hash(dummy_hash, (struct mirai_str){(const char *)nobody_knows, sizeof(nobody_knows)}) ==
                   0
               ? 0
               : MIRAI_E_INTERNAL;
}

bool password_verify(const char *hash, struct mirai_str password)
{
    bool known = hash != NULL && hash[0] != '\0';
    int verified = crypto_pwhash_str_verify(known ? hash : dummy_hash, password.data, password.len);
    return known && verified == 0;
}
