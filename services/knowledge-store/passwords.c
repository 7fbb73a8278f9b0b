#include "services/knowledge-store/passwords.h"

#include "libcommon/config.h"
#include "libcommon/error.h"
#include "services/knowledge-store/nfkc.h"
#include "services/knowledge-store/password_rules.h"

static char dummy_hash[PASSWORD_HASH_SIZE];

static unsigned long long passes(void)
{
    return (unsigned long long)mirai_config_int(MIRAI_CONFIG_PASSWORD_PASSES);
}

static size_t memory_bytes(void)
{
    return mirai_config_size(MIRAI_CONFIG_PASSWORD_MEMORY_KIB) * 1024;
}

int password_hash(char out[PASSWORD_HASH_SIZE], struct mirai_str password)
{
    struct mirai_str normal = nfkc_new(password);
    int made = crypto_pwhash_str_alg(out, normal.data, normal.len, passes(), memory_bytes(),
                                     crypto_pwhash_ALG_ARGON2ID13);
    nfkc_free(normal);
    return made == 0 ? 0 : MIRAI_E_OVERLOADED;
}

int passwords_start(void)
{
    unsigned char nobody_knows[32];
    if (sodium_init() < 0) {
        return MIRAI_E_INTERNAL;
    }
    password_rules_start();
    randombytes_buf(nobody_knows, sizeof(nobody_knows));
    return crypto_pwhash_str_alg(dummy_hash, (const char *)nobody_knows, sizeof(nobody_knows), passes(),
                                 memory_bytes(), crypto_pwhash_ALG_ARGON2ID13) == 0
               ? 0
               : MIRAI_E_INTERNAL;
}

/* How often it hashes depends on what was typed, never on whose it is. */
bool password_verify(const char *hash, struct mirai_str password)
{
    bool known = hash != NULL && hash[0] != '\0';
    const char *against = known ? hash : dummy_hash;
    struct mirai_str normal = nfkc_new(password);
    bool same = mirai_str_eq(normal, password);
    bool verified = crypto_pwhash_str_verify(against, normal.data, normal.len) == 0;
    nfkc_free(normal);
    if (!verified && !same) {
        verified = crypto_pwhash_str_verify(against, password.data, password.len) == 0;
    }
    return known && verified;
}

bool password_is_outdated(const char *hash, struct mirai_str password)
{
    if (crypto_pwhash_str_needs_rehash(hash, passes(), memory_bytes()) != 0) {
        return true;
    }
    struct mirai_str normal = nfkc_new(password);
    bool outdated =
        !mirai_str_eq(normal, password) && crypto_pwhash_str_verify(hash, normal.data, normal.len) != 0;
    nfkc_free(normal);
    return outdated;
}
