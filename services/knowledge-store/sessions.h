/* Browser sessions: opening, listing and ending them. */
#ifndef STORE_SESSIONS_H
#define STORE_SESSIONS_H

#include "services/knowledge-store/op.h"

/* Open a session of the user as `client` wants it and make the answer of the login (login_result) the result. The
 * session that the browser had ends with it, so that nobody can prepare one for somebody else. 0 or a database error.
 * WRITE. */
int session_open(struct op *op, int64_t user_id, const struct mirai_session_client *client);

enum sessions_end {
    SESSIONS_OTHERS,    /* all but the one that asks, if that is the user's */
    SESSIONS_ALL,       /* all sessions */
    SESSIONS_AND_TOKENS /* API tokens too */
};
/* End sessions of a user. Those that gateways keep end too: they are of an older session_epoch from now on. *count (may
 * be NULL): how many rows ended. 0 or a database error. WRITE. */
int sessions_end(struct op *op, int64_t user_id, enum sessions_end which, int64_t *count);

/* How long a session lives without being used; 0: as long as it lives. */
int64_t session_idle_ms(void);
/* Last uses before this time are too old at `now_ms`. */
int64_t session_idle_limit(int64_t now_ms);

/* Steps. */
int sessions_list(struct op *op);    /* READ */
int sessions_delete(struct op *op);  /* WRITE */
int sessions_end_all(struct op *op); /* WRITE */

#endif
