/* Browser sessions that the gateways keep in Redis instead of the store: one for all gateways that name the same server.
 * The store still says who somebody is and whether the login counts (auth.held); Redis says whether the session lives. */
#ifndef GATEWAY_HELD_H
#define GATEWAY_HELD_H

#include "services/gateway/gateway.h"

/* Keys in Redis, after "mirai:" and the installation's name: `last` the newest number; `session:DIGEST` the sealed
 * record, which vanishes when it is idle for too long; `id:NUMBER` its digest; `user:ID` a sorted set of a user's digests
 * by number. DIGEST is the SHA-256 of the secret, in hexadecimal: no secret is stored. */

/* Read the configuration. Once, before threads. 0, or MIRAI_E_INVALID with the reason logged. */
int held_init(void);
/* Whether sessions are kept in Redis. */
bool held_on(void);
/* What the keys of this installation begin with, in Redis. */
const char *held_prefix(void);
/* A key that all gateways with the same MIRAI_SESSION_KEY have, different for each purpose. */
#define HELD_KEY_SIZE 32
void held_shared_key(const char *purpose, unsigned char key[HELD_KEY_SIZE]);
/* The loop's connection. 0, or MIRAI_E_INVALID with the reason logged. */
int held_open(struct gateway_loop *loop);
void held_close(struct gateway_loop *loop);

/* Whether sessions are kept in Redis, which is away: then no password needs to be looked at. */
bool held_away(const struct gateway_loop *loop);
/* Make a session of a good login (its result, and the raw members of the answer) and answer with it. */
void held_login(struct exchange *exchange, const struct mirai_login_result *result, struct mirai_str user,
                struct mirai_str expires_at);
/* Find out whether the session of exchange->digest lives, and ask the store whose it is: `callback` gets auth.held's
 * reply, or MIRAI_E_NOT_FOUND when it does not live; or answer 503. */
void held_check(struct exchange *exchange, mirai_rpc_cb callback);
/* Whether the request ends the user's other sessions and spares the one that asks, which Redis keeps. */
bool held_spares(const struct exchange *exchange);
/* Do such a request: as handle_rpc, then let the session begin anew. */
void held_rpc(struct exchange *exchange);
/* The requests on sessions, answered from Redis. */
void held_logout(struct exchange *exchange);
void held_list(struct exchange *exchange);
void held_delete(struct exchange *exchange);
void held_end_all(struct exchange *exchange);

#endif
