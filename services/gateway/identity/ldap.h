/* One LDAP connection (RFC 4511) on the event loop: libldap makes and reads the messages, our own stream carries
 * them, so that neither DNS, nor TCP, nor TLS, nor a silent server ever blocks. */
#ifndef GATEWAY_LDAP_H
#define GATEWAY_LDAP_H

#include "libcommon/arena.h"
#include "services/gateway/identity/stream.h"

/* Bounds of what a server may send. An entry beyond them is dropped, and the answer says LDAP_RESULTS_TOO_LARGE: whoever
 * fills an entry must not take the connection from everyone else. Any other message beyond them ends the connection. */
#define LDAP_LINK_PDU_MAX    (1u << 20)  /* bytes of one message */
#define LDAP_LINK_SKIP_MAX   (64u << 20) /* bytes of an entry that is dropped; more ends the connection */
#define LDAP_LINK_ANSWER_MAX (2u << 20)  /* bytes of one answer, all its entries */
#define LDAP_LINK_VALUES_MAX 8192        /* values of one answer */

/* Prepare libldap for the process: no configuration files, memory wiped when freed. Once, before threads. */
void ldap_link_init(void);

enum ldap_link_security {
    LDAP_LINK_TLS,       /* ldaps:// */
    LDAP_LINK_START_TLS, /* ldap://, nothing is said before TLS but the wish for it */
    LDAP_LINK_PLAIN,
};

struct ldap_link;
struct ldap_link_op; /* a request in flight; valid until its callback has run or it was forgotten */

/* Callbacks as in struct stream_options: on the loop, never from within a function of the link, none after
 * ldap_link_close(), which each may call. */
struct ldap_link_options {
    uv_loop_t *loop;
    struct mirai_str host;
    int port;
    enum ldap_link_security security;
    SSL_CTX *tls;              /* for TLS and START_TLS */
    uint64_t deadline_ms;      /* mirai_monotonic_ms() by which it is ready */
    void (*ready)(void *data); /* requests can be made; it is anonymous */
    /* It is over; requests in flight are forgotten. err: MIRAI_E_DEADLINE (also of a request), MIRAI_E_INVALID (TLS,
     * or the server speaks no proper LDAP), MIRAI_E_UNAVAILABLE. reason: for the log, lent. */
    void (*ended)(void *data, int err, const char *reason);
    void *data;
};

struct ldap_link_attribute {
    const struct ldap_link_attribute *next;
    struct mirai_str name; /* as the server spells it */
    const struct mirai_str *values;
    size_t count;
};

struct ldap_link_entry {
    const struct ldap_link_entry *next;
    struct mirai_str dn;
    const struct ldap_link_attribute *attributes;
};

/* What a password policy says besides (draft-behera-ldap-password-policy). */
enum ldap_link_policy {
    LDAP_LINK_POLICY_NONE,
    LDAP_LINK_POLICY_EXPIRED,
    LDAP_LINK_POLICY_LOCKED,
    LDAP_LINK_POLICY_MUST_CHANGE,
};

/* Lent for the callback's time. */
struct ldap_link_answer {
    int code; /* LDAP result code: 0 success, 49 invalid credentials, …; LDAP_RESULTS_TOO_LARGE: entries are missing */
    const char *diagnostic; /* the server's text, never NULL */
    enum ldap_link_policy policy;
    const struct ldap_link_entry *entries; /* of a search, in the server's order */
    size_t count;
};

typedef void (*ldap_link_cb)(void *data, const struct ldap_link_answer *answer);

struct ldap_link_search {
    const char *base;
    bool subtree;                  /* or only the entry `base` itself */
    const char *filter;            /* RFC 4515 */
    const char *const *attributes; /* ends with NULL */
    size_t entries_max;            /* more end the connection; servers are asked for as many */
};

/* Start to connect. Never NULL. */
struct ldap_link *ldap_link_open(const struct ldap_link_options *options);

/* Requests. NULL when the link is not ready or over, or the request cannot be made: then the callback does not run.
 * When no answer has come at the deadline the link ends. */
/* Simple bind. An empty password is refused: it would be an unauthenticated bind (RFC 4513 §5.1.2), which
 * succeeds. policy: ask for what the password policy says. */
struct ldap_link_op *ldap_link_bind(struct ldap_link *link, const char *dn, struct mirai_str password,
                                    bool policy, uint64_t deadline_ms, ldap_link_cb callback, void *data);
struct ldap_link_op *ldap_link_search(struct ldap_link *link, const struct ldap_link_search *search,
                                      uint64_t deadline_ms, ldap_link_cb callback, void *data);
/* Forget a request: its callback will not run. NULL is fine. */
void ldap_link_forget(struct ldap_link_op *op);
/* Requests in flight, forgotten ones too. */
size_t ldap_link_pending(const struct ldap_link *link);

/* Hang up. NULL is fine. */
void ldap_link_close(struct ldap_link *link);

/* ------------------------------------------------------------------ entries */

/* The attribute of that name (without regard to case), or NULL. */
const struct ldap_link_attribute *ldap_entry_attribute(const struct ldap_link_entry *entry, const char *name);
/* Its first value when that is valid UTF-8 without NUL, else empty. */
struct mirai_str ldap_entry_text(const struct ldap_link_entry *entry, const char *name);

/* Append a value with all that could mean something in a filter escaped (RFC 4515 §3). Any bytes. */
void ldap_escape_value(struct mirai_buf *filter, struct mirai_str value);

/* Whether libldap can read the filter. */
bool ldap_filter_valid(const char *filter);

/* A distinguished name in one spelling, for comparison without regard to case; empty when it is none (RFC 4514). */
struct mirai_str ldap_dn_key(struct mirai_arena *arena, struct mirai_str dn);
/* The value of its first part: "admins" of cn=admins,dc=example,dc=com; empty when it is none. */
struct mirai_str ldap_dn_name(struct mirai_arena *arena, struct mirai_str dn);

#endif
