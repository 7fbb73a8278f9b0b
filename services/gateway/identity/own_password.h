/* The password in force, asked for again before the second factor changes, where the directory keeps it. */
#ifndef GATEWAY_OWN_PASSWORD_H
#define GATEWAY_OWN_PASSWORD_H

#include "services/gateway/gateway.h"

/* Whether the request gives the password of an account that may be the directory's. */
bool own_password_asked(const struct exchange *exchange);
/* Have the directory check it, then forward_call(); or answer. Of a local account the store checks it. */
void own_password_check(struct exchange *exchange);

#endif
