/* Accounts whose password a directory (LDAP, Active Directory) checks: what the gateway learns there is kept here. */
#ifndef STORE_DIRECTORY_H
#define STORE_DIRECTORY_H

#include "services/knowledge-store/op.h"

/* Steps. */
int directory_place(struct op *op);  /* READ */
int directory_login(struct op *op);  /* WRITE */
int directory_claim(struct op *op);  /* WRITE */
int directory_update(struct op *op); /* WRITE */

#endif
