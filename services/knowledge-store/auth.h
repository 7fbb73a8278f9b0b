/* Logging in and out with a password that is checked here. */
#ifndef STORE_AUTH_H
#define STORE_AUTH_H

#include "services/knowledge-store/op.h"

/* Steps. */
int auth_login_find(struct op *op);   /* READ, then */
int auth_login_verify(struct op *op); /* PASSWORD, then */
int auth_login(struct op *op);        /* WRITE */
int auth_logout(struct op *op);       /* WRITE */

int auth_password_find(struct op *op);   /* READ, then */
int auth_password_change(struct op *op); /* PASSWORD, then */
int auth_password(struct op *op);        /* WRITE */

#endif
