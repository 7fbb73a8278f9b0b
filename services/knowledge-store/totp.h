/* One-time codes by time (RFC 6238) and the recovery codes that stand in for them. Pure functions, any thread. */
#ifndef STORE_TOTP_H
#define STORE_TOTP_H

#include "libcommon/str.h"

#define TOTP_SECRET_SIZE    20 /* 160 bits: RFC 4226 §4 R6 */
#define TOTP_DIGITS         6
#define TOTP_STEP_MS        30000
#define TOTP_BASE32_SIZE    33 /* of a secret, with NUL */
#define RECOVERY_SIZE       30 /* "XXXX-XXXX-XXXX-XXXX-XXXX-XXXX" and NUL: 120 bits */
#define RECOVERY_PLAIN_SIZE 25

/* The code of a counter (RFC 4226 §5.3), 0 … 999999. */
unsigned totp_code(const unsigned char secret[TOTP_SECRET_SIZE], uint64_t counter);

/* The step whose code this is: the present one at `now_ms`, the one before or the one after (RFC 6238 §5.2), but only
 * steps after `last_step`, so that a code works once. 0: it is none of them. Takes as long for each code. */
int64_t totp_step(const unsigned char secret[TOTP_SECRET_SIZE], int64_t now_ms, int64_t last_step,
                  unsigned code);

/* Six digits, perhaps with spaces ("123 456"): whether it is such, and which. Full-width digits count as digits. */
bool totp_parse(struct mirai_str text, unsigned *code);

/* The secret as authenticator apps take it (RFC 4648 §6, without padding). */
void totp_base32(char out[TOTP_BASE32_SIZE], const unsigned char secret[TOTP_SECRET_SIZE]);

/* A new random recovery code. */
void recovery_make(char out[RECOVERY_SIZE]);
/* A recovery code as typed, without regard to case, spaces and hyphens: its letters and NUL. false when it is none. */
bool recovery_parse(struct mirai_str text, char out[RECOVERY_PLAIN_SIZE]);

#endif
