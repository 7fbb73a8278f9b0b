/* The rule for passwords and their Argon2id hashes (RFC 9106). */
#ifndef STORE_PASSWORDS_H
#define STORE_PASSWORDS_H

#include "libcommon/str.h"

#include <sodium.h>

#define PASSWORD_HASH_SIZE crypto_pwhash_STRBYTES /* with the terminating NUL */

/* Prepare libsodium and the hash that stands in for unknown users. Takes as long as one hash. 0 or
 * MIRAI_E_INTERNAL. Call once at start, before threads. */
int passwords_start(void);

/* NULL when `password` may be used by `user_name`, otherwise the slug of what is wrong with it: "too-short",
 * "too-long", "same-as-name", "too-common". Any thread. */
const char *password_problem(struct mirai_str password, struct mirai_str user_name);

/* Hash with PASSWORD_MEMORY_KIB and PASSWORD_PASSES. Slow and memory-hungry by design: only on the password
 * pool. 0 or MIRAI_E_OVERLOADED when the memory is not to be had. */
int password_hash(char out[PASSWORD_HASH_SIZE], struct mirai_str password);

/* Whether `password` belongs to `hash` (NUL-terminated). An empty or NULL hash belongs to nobody, and saying
 * so takes as long as a real one. Only on the password pool. */
bool password_verify(const char *hash, struct mirai_str password);

#endif
