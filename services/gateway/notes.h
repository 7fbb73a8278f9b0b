/* What the gateway refuses by itself, for the audit log: counted per loop, sent to the store once a second. */
#ifndef GATEWAY_NOTES_H
#define GATEWAY_NOTES_H

#include "services/gateway/gateway.h"

/* Note that this request is refused. action: what was to be done, a literal; NULL: the method of the route
 * ("user.create"). result: why, a literal ("forbidden", "cross-site"). Equal notes of the same address and user
 * within a second become one with a count; different ones beyond a bound are summed. Loop thread. */
void note_denial(struct exchange *exchange, const char *action, const char *result);
/* The same with the login name that was given (copied, at most 100 bytes). */
void note_denial_of(struct exchange *exchange, const char *action, const char *result, struct mirai_str name);

/* Send what is noted now; best effort. Loop thread. */
void notes_flush(struct gateway_loop *loop);
/* The loop ends. */
void notes_close(struct gateway_loop *loop);

#endif
