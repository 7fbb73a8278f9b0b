/* Argon2id hashes of passwords (RFC 9106). What makes a password acceptable is in password_rules.h. */
#ifndef STORE_PASSWORDS_H
#define STORE_PASSWORDS_H

#include "libcommon/str.h"

#include <sodium.h>

#define PASSWORD_HASH_SIZE crypto_pwhash_STRBYTES /* with the terminating NUL */

/* A password is hashed in its NFKC form (NIST SP 800-63B §5.1.1.2), so that full-width letters of an input method and
 * the decomposed letters of another system are the same password. Hashes from before that was so are of the password as
 * it was typed: they go on working until the next login replaces them. */

/* Prepare libsodium and the hash that stands in for unknown users. Takes as long as one hash. 0 or
 * MIRAI_E_INTERNAL. Call once at start, before threads. */
int passwords_start(void);

/* Hash with PASSWORD_MEMORY_KIB and PASSWORD_PASSES. Slow and memory-hungry by design: only on the password
 * pool. 0 or MIRAI_E_OVERLOADED when the memory is not to be had. */
int password_hash(char out[PASSWORD_HASH_SIZE], struct mirai_str password);

/* Whether `password` belongs to `hash` (NUL-terminated). An empty or NULL hash belongs to nobody, and saying
 * so takes as long as a real one of the present parameters. Only on the password pool. */
bool password_verify(const char *hash, struct mirai_str password);

/* Whether the hash, to which `password` belongs, should be made anew: its parameters are not the configured ones, or it
 * is of the password as typed. Only on the password pool. */
bool password_is_outdated(const char *hash, struct mirai_str password);

#endif
