/* Failed logins slow down further ones, and lock nobody out (docs/adr/0014). */
#ifndef GATEWAY_IDENTITY_ATTEMPTS_H
#define GATEWAY_IDENTITY_ATTEMPTS_H

#include "libcommon/rpc.h"
#include "services/gateway/address.h"

struct exchange;

/* A login that is being tried: hashes of whose and from where. */
struct attempt {
    uint64_t pair, address, account;
    uint64_t due_ms; /* of the account, before it began: a known address need not wait for that */
};

enum attempt_outcome {
    ATTEMPT_FAILED, /* wrong name, password or code: what an attacker learns nothing else from */
    ATTEMPT_GOOD,
    ATTEMPT_OPEN, /* neither: more is asked for, or nobody could tell */
};

enum attempt_brake {
    ATTEMPTS_NO_BRAKE,
    ATTEMPTS_PAIR,    /* failures of this name from this address */
    ATTEMPTS_ADDRESS, /* of any names from this address */
    ATTEMPTS_ACCOUNT, /* of this name from any address */
    ATTEMPTS_BRAKES,
};

#define ATTEMPTS_COUNT_MAX 16 /* failures that count beyond those that need not wait */
#define ATTEMPTS_GOOD_MS                                                                                     \
    (UINT64_C(30) * 86400000) /* an address from which an account logged in stays known */

/* How failures make one wait: not up to `free` of them, then 1 s, 2 s, 4 s … */
struct attempt_rule {
    uint64_t free;
    uint64_t wait_ms;  /* the longest */
    uint64_t decay_ms; /* after which one failure is forgotten */
};

/* What a refused attempt is told. */
struct attempt_wait {
    enum attempt_brake brake;
    uint64_t ms;
    bool is_news; /* the first refusal since the last failure */
};

/* failures: of a pair, before the next one must wait, 0: none ever does; wait_ms: the longest of a pair. Once at start,
 * before the loops. The rest: any thread. */
void attempts_configure(uint64_t failures, uint64_t wait_ms);

/* Begin to log in with a name as it was typed, existing or not: 0 ms to wait, and the attempt counts as failed until its
 * end says otherwise, so that many at once are no way around; or a wait, and nothing was counted. */
struct attempt_wait attempts_begin(struct attempt *attempt, struct mirai_str name,
                                   const struct address *client, uint64_t now_ms);
/* The same without asking: what all gateways know together let it through. */
void attempts_begin_allowed(struct attempt *attempt, struct mirai_str name, const struct address *client,
                            uint64_t now_ms);
void attempts_end(const struct attempt *attempt, enum attempt_outcome outcome, uint64_t now_ms);

/* The rule in force. False: nobody ever waits. */
bool attempts_rule(enum attempt_brake brake, struct attempt_rule *rule);
/* What a brake counts, as bytes that are the same in every gateway; appends to out. */
void attempts_describe(enum attempt_brake brake, struct mirai_str name, const struct address *client,
                       struct mirai_buf *out);

/* One spelling for all under which a store or directory may know the same account: without regard to case, accents, the
 * width of letters, blanks and invisible characters. bare: without its domain, DOMAIN\NAME or NAME@DOMAIN. Coarse on
 * purpose: two names that fall together share their brakes, no more. Appends to out. */
void attempts_fold(struct mirai_str name, bool bare, struct mirai_buf *out);

/* ------------------------------------------------------------------ for the route */

/* Ask before a login is tried: `allowed`, once, now or when Redis has answered (then the request may end before); or it
 * must wait, and is answered so. Until attempts_note, or the end of the request, it counts as failed. name: lent until
 * then. */
void attempts_allow(struct exchange *exchange, struct mirai_str name, void (*allowed)(struct exchange *));
/* What became of it: the store's reply to the login. */
void attempts_note(struct exchange *exchange, const struct mirai_rpc_reply *reply);
/* The same where the gateway itself found out. */
void attempts_note_outcome(struct exchange *exchange, enum attempt_outcome outcome);
/* Metrics and limits from the configuration. */
void attempts_init(void);

#endif
