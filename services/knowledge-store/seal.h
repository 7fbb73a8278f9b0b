/* Secrets that must be readable here but nowhere else: sealed with a key that lies beside the database.
 *
 * DATA_DIR/identity.key (0600) is made at the first start and is in no backup: a backup travels, and whoever gets hold
 * of one must not be able to make the one-time codes of everybody. A restore on the same host finds the key in its
 * place; on another host it is copied there by hand, or each user logs in with a recovery code (these are hashes and
 * need no key) and sets the second factor up anew. */
#ifndef STORE_SEAL_H
#define STORE_SEAL_H

#include "libcommon/str.h"

#define SEAL_KEY_SIZE 32
#define SEAL_EXTRA    40 /* bytes that a sealed secret is longer: nonce and tag */

/* Read the key of this directory, or make it: *made tells. 0, or an error with its reason logged. */
int seal_open(const char *data_dir, unsigned char key[SEAL_KEY_SIZE], bool *made);

/* `secret` sealed for its owner: len + SEAL_EXTRA bytes to `out`. */
void seal(const unsigned char key[SEAL_KEY_SIZE], int64_t owner, const unsigned char *secret, size_t len,
          unsigned char *out);
/* Back: `sealed` is of `len` + SEAL_EXTRA bytes. false when it is of another key or owner, or was changed. */
bool unseal(const unsigned char key[SEAL_KEY_SIZE], int64_t owner, struct mirai_str sealed,
            unsigned char *secret, size_t len);

#endif
