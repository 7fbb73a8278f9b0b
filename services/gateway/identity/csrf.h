/* The token that proves that a request with the session's cookie was made by a page of ours: another site can have a
 * browser send the cookie, but can neither read an answer nor compute this. */
#ifndef GATEWAY_CSRF_H
#define GATEWAY_CSRF_H

#include "libcommon/str.h"

#define CSRF_TOKEN_LEN 22 /* characters: 16 bytes in base64url without padding */

/* The session's token: the first half of HMAC-SHA256 with the session's secret as the key (RFC 2104), the same in every
 * gateway and kept nowhere. It tells nothing of the secret. */
void csrf_token(struct mirai_str secret, char out[CSRF_TOKEN_LEN + 1]);
/* Whether `given` is the token of the session with this secret; takes the same time for every text of that length. */
bool csrf_token_valid(struct mirai_str secret, struct mirai_str given);

#endif
