/* The directory (OpenLDAP, Active Directory) as one event loop uses it: is this password right, who is that, and which
 * role do the groups give. */
#ifndef GATEWAY_DIRECTORY_H
#define GATEWAY_DIRECTORY_H

#include "proto/message.h"
#include "services/gateway/identity/directory_settings.h"

/* Groups of one person that are looked at; more are dropped, with a line in the log. */
#define DIRECTORY_GROUPS_MAX 500

#define DIRECTORY_OUTCOMES(O)                                                                                \
    O(OK, "ok")                                                                                              \
    O(UNKNOWN, "unknown-user") /* not there, or not one alone */                                             \
    O(BAD_PASSWORD, "bad-password")                                                                          \
    O(DISABLED, "disabled")                                                                                  \
    O(ACCOUNT_EXPIRED, "account-expired")                                                                    \
    O(PASSWORD_EXPIRED, "password-expired")                                                                  \
    O(MUST_CHANGE, "must-change-password")                                                                   \
    O(LOCKED, "locked")                                                                                      \
    O(NOT_NOW, "not-at-this-time") /* logon hours or workstations (Active Directory) */                      \
    O(NO_ROLE, "no-role")          /* the password is right, but no group gives a role */                    \
    O(UNAVAILABLE, "directory-unavailable")                                                                  \
    O(OVERLOADED, "directory-overloaded")

enum directory_outcome {
#define DIRECTORY_OUTCOME_ENUM(name, slug) DIRECTORY_##name,
    DIRECTORY_OUTCOMES(DIRECTORY_OUTCOME_ENUM)
#undef DIRECTORY_OUTCOME_ENUM
        DIRECTORY_OUTCOME_COUNT
};

/* For the audit log ("bad-password"); never for the client. */
const char *directory_outcome_slug(enum directory_outcome outcome);

struct directory_person {
    struct mirai_str name; /* login name as the directory spells it */
    struct mirai_str dn;
    struct mirai_str display_name; /* may be empty */
    struct mirai_str mail;         /* may be empty */
    enum mirai_role role;          /* NONE only with DIRECTORY_NO_ROLE */
    struct mirai_strs groups;      /* DNs and names that a message can carry, nested ones too */
};

/* Metrics: once at start. */
void directory_init(void);
/* A login ended so. Any thread. */
void directory_count(enum directory_outcome outcome);

struct directory;
struct directory_job; /* valid until its callback has run or it was cancelled */

/* person: with DIRECTORY_OK and DIRECTORY_NO_ROLE, else NULL; lent. On the loop, exactly once unless cancelled, never
 * before the call returned. */
typedef void (*directory_cb)(void *data, enum directory_outcome outcome,
                             const struct directory_person *person);

/* settings: outlive it. NULL with the reason logged. All on the loop thread. */
struct directory *directory_new(const struct directory_settings *settings, uv_loop_t *loop);
/* Ends all jobs with DIRECTORY_UNAVAILABLE; memory goes when the loop has run its close callbacks. NULL is fine. */
void directory_free(struct directory *directory);

/* Is this the password of that person? name: NAME, NAME@DOMAIN or DOMAIN\NAME. An empty password never is. The password is
 * copied, and wiped after use. */
struct directory_job *directory_login(struct directory *directory, struct mirai_str name,
                                      struct mirai_str password, directory_cb callback, void *data);
/* The same for the person with that DN and no one else. name: the login name as it is known here. */
struct directory_job *directory_check(struct directory *directory, struct mirai_str dn, struct mirai_str name,
                                      struct mirai_str password, directory_cb callback, void *data);
/* What the directory says now of the person with that DN: OK, UNKNOWN (gone), DISABLED, ACCOUNT_EXPIRED, NO_ROLE, or
 * UNAVAILABLE, which tells nothing. */
struct directory_job *directory_lookup(struct directory *directory, struct mirai_str dn,
                                       struct mirai_str name, directory_cb callback, void *data);
/* Give a job up: its callback will not run. NULL is fine. */
void directory_cancel(struct directory_job *job);

#endif
