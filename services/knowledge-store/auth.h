/* Logging in and out with a password that is checked here. */
#ifndef STORE_AUTH_H
#define STORE_AUTH_H

#include "services/knowledge-store/op.h"
#include "services/knowledge-store/passwords.h"

/* What the database knows of an account, from the step that reads it to the one that writes. */
struct account {
    int64_t id;    /* 0: there is none that may log in */
    int source;    /* enum mirai_account_source */
    int64_t epoch; /* session_epoch: rises with a new password */
    struct mirai_str name, display_name, email;
    const char *hash; /* "" when there is none */
    char new_hash[PASSWORD_HASH_SIZE];
};

/* The account of who asks, into op->state. 0, MIRAI_E_NOT_FOUND for the system, or a database error. READ. */
int auth_find_own(struct op *op);
/* Whether this is its password: 0 or MIRAI_E_FORBIDDEN. PASSWORD. */
int auth_verify_own(struct op *op, struct mirai_str password);
/* Hashing takes its time: the account must still be as it was read, but for the same password hashed anew. 0, MIRAI_E_UNAUTHENTICATED or a database error.
 * WRITE. */
int auth_check_unchanged(struct op *op, const struct account *account);

/* Steps. */
int auth_login_find(struct op *op);   /* READ, then */
int auth_login_verify(struct op *op); /* PASSWORD, then */
int auth_login(struct op *op);        /* WRITE */
int auth_logout(struct op *op);       /* WRITE */

int auth_password_find(struct op *op);   /* READ, then */
int auth_password_change(struct op *op); /* PASSWORD, then */
int auth_password(struct op *op);        /* WRITE */

#endif
