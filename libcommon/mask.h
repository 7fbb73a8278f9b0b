/* Finds what looks like a secret in a text and writes *** in its place: passwords, tokens, cookies, private keys, card
 * numbers, mail addresses. One pass; most texts have nothing and cost a table look-up for each byte. */
#ifndef MIRAI_MASK_H
#define MIRAI_MASK_H

#include "libcommon/str.h"

/* Whether a name (of a member, a header, a variable) says that its value is a secret. */
bool mirai_mask_key(struct mirai_str key);

/* Append `text` to *out with its secrets masked. False, and nothing is appended, when it has none. Any bytes; valid
 * UTF-8 stays valid.
 *
 * Masked are: what follows password=, パスワード：, api_key: and the like (one word, or what is in quotes); the rest of the
 * line of Cookie, Set-Cookie and Authorization; Bearer and Basic credentials (RFC 9110 §11.4); API and session tokens of
 * this product; JWTs (RFC 7519); private keys in PEM (RFC 7468), to their end line; the password in a URL; AWS access
 * keys and GitHub tokens; card numbers (ISO/IEC 7812: issuer, length and check digit), also with spaces, dashes and in
 * full-width digits; the local part of mail addresses. */
bool mirai_mask(struct mirai_str text, struct mirai_buf *out);

#endif
