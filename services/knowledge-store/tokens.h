/* API tokens and browser sessions: secrets of which only the SHA-256 is stored. */
#ifndef STORE_TOKENS_H
#define STORE_TOKENS_H

#include "services/knowledge-store/op.h"

#define TOKEN_SECRET_SIZE 48 /* "mks_" or "mkt_", 256 random bits in base64url, NUL */

struct token_secret {
    char text[TOKEN_SECRET_SIZE];
    unsigned char sha256[32];
};

/* A new random secret of this kind. */
void token_secret_make(struct token_secret *secret, enum mirai_token_kind kind);

/* Add the row of a secret. 0 or a database error; *id is its key. WRITE. */
int token_insert(struct op *op, const struct token_secret *secret, const struct mirai_token *token,
                 int64_t *id);

/* Steps. */
int tokens_list(struct op *op);   /* READ */
int tokens_create(struct op *op); /* WRITE */
int tokens_delete(struct op *op); /* WRITE */

#endif
