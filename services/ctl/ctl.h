/* What every command of miraictl works with: its arguments, the daemons, who acts, and how it answers. */
#ifndef CTL_H
#define CTL_H

#include "libcommon/rpc.h"
#include "proto/methods.h"
#include "services/ctl/cli.h"
#include "services/ctl/table.h"
#include "services/ctl/text.h"

enum ctl_exit {
    CTL_OK = 0,
    CTL_FAILED = 1,
    CTL_USAGE = 2,       /* usage or configuration */
    CTL_UNAVAILABLE = 3, /* a daemon does not answer */
    CTL_PARTLY = 4,      /* done but for what was refused */
};

/* In the order of starting; the table of names is ctl_services. */
enum ctl_service { CTL_STORE, CTL_SEARCH, CTL_BACKUP, CTL_METRICS, CTL_GATEWAY, CTL_SERVICE_COUNT };
extern const char *const ctl_services[CTL_SERVICE_COUNT];

#define CTL_DEADLINE_MS      10000  /* of a usual call: a person waits, so longer than between daemons */
#define CTL_DEADLINE_LONG_MS 900000 /* of what reads or writes the whole knowledge base */

struct ctl {
    struct cli cli;
    uv_loop_t loop;
    struct mirai_rpc_client *clients[CTL_SERVICE_COUNT]; /* made at first use */
    struct mirai_context context;                        /* who acts */
    struct mirai_arena arena;                            /* lives until the command ends */
    const char *token_problem;
};

void ctl_init(struct ctl *ctl);
void ctl_close(struct ctl *ctl);

/* Who acts: the operator of this host, or whose token MIRAI_TOKEN is. 0, or an error that was reported. */
int ctl_identify(struct ctl *ctl);

struct mirai_rpc_client *ctl_client(struct ctl *ctl, enum ctl_service service);
/* The service of a name; CTL_SERVICE_COUNT when there is none. */
enum ctl_service ctl_service_find(const char *name);

/* Wait for the loop until *done; everything that is waited for ends by a deadline. */
void ctl_wait(struct ctl *ctl, const bool *done);
/* Wait until every instance that is known of `service` is connected, or `ms` have passed. */
void ctl_connect(struct ctl *ctl, enum ctl_service service, unsigned ms);

/* The context of a call that may take `ms`. */
struct mirai_context ctl_context(const struct ctl *ctl, unsigned ms);

/* Call a method and wait. params, result: structs of the method's messages (result may be NULL); what the
 * result points to lives until the command ends. 0, or an error that was reported on stderr. */
int ctl_call(struct ctl *ctl, enum mirai_method_id id, const void *params, unsigned ms, void *result);
/* The same without reporting. */
int ctl_call_quiet(struct ctl *ctl, enum mirai_method_id id, const void *params, unsigned ms, void *result);
/* The same for what changes something. *unsure: it failed, but the daemon may have done it all the same. */
int ctl_call_unsure(struct ctl *ctl, enum mirai_method_id id, const void *params, unsigned ms, bool *unsure);

/* All pages of a list method, at most `max` items. params: a struct of its params (its cursor and limit are
 * set here). */
int ctl_list(struct ctl *ctl, enum mirai_method_id id, void *params, size_t max, struct mirai_objects *items);

/* The user or space of a name. 0, or an error that was reported. */
int ctl_find_user(struct ctl *ctl, const char *name, struct mirai_user *user);
int ctl_find_space(struct ctl *ctl, const char *name, int64_t *id);

/* Set one field of *params from an option's text, when it was given; its values are checked. False with the
 * reason on stderr. */
bool ctl_set(struct ctl *ctl, const struct mirai_message *message, void *params, const char *field,
             const char *option);

/* The exit code for an error. */
int ctl_exit_of(int err);
/* Say on stderr that `what` failed (as JSON with --json), and why. Returns the exit code. */
int ctl_report(struct ctl *ctl, const char *what, int err, struct mirai_str error);
/* A failure in words of one's own. Returns `code`. */
int ctl_fail(struct ctl *ctl, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Append the reason that an error map gives, for people: message and faulty fields. */
void ctl_reason(struct mirai_buf *out, int err, struct mirai_str error);

/* Print a message as JSON, or bytes of MessagePack. */
void ctl_print_json(const struct mirai_message *message, const void *in);
void ctl_print_raw(struct mirai_str mp);
/* A list: {"items": […]} with --json, otherwise a table. */
void ctl_print_list(struct ctl *ctl, const struct table_column *columns, const struct mirai_message *message,
                    const struct mirai_objects *items);
/* One line for people, nothing with --json. */
void ctl_say(struct ctl *ctl, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define ctl_argument(ctl, n) ((ctl)->cli.arguments[n])

#endif
