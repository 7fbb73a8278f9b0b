/* A session as it is kept in Redis: signed, so that whoever can write there cannot make one. */
#ifndef GATEWAY_HELD_RECORD_H
#define GATEWAY_HELD_RECORD_H

#include "proto/messages.h"

#define HELD_DIGEST_SIZE 32   /* SHA-256 of the session's secret: what it is found by */
#define HELD_RECORD_MAX  2048 /* bytes of a sealed record */

/* Append the record, sealed: HMAC-SHA256 with `key` over the digest and the record, then the record. The digest binds it
 * to its secret: somebody else's record does not open under one's own. */
void held_record_seal(struct mirai_str key, const unsigned char digest[HELD_DIGEST_SIZE],
                      const struct mirai_held_record *record, struct mirai_buf *out);
/* 0 and the record, whose strings point into `sealed`; MIRAI_E_INVALID when we have not sealed it for this digest or its
 * life has ended. */
int held_record_open(struct mirai_str key, const unsigned char digest[HELD_DIGEST_SIZE],
                     struct mirai_str sealed, int64_t now_ms, struct mirai_arena *arena,
                     struct mirai_held_record *record);

#endif
