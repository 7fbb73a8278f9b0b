/* The life of a daemon: configuration, loop, signals, RPC server, health, sd_notify, drain, exit code. */
#ifndef MIRAI_SERVICE_H
#define MIRAI_SERVICE_H

#include "libcommon/pubsub.h"
#include "libcommon/rpc.h"

#include <uv.h>

struct mirai_runtime;

struct mirai_service {
    const char *name;    /* "knowledge-store": socket name, log member, metrics label */
    const char *summary; /* one line for --help */
    const struct mirai_rpc_method
        *methods; /* ends with {NULL}; the runtime adds service.health, service.metrics,
                                               service.log_level, service.status */
    const struct mirai_peer
        *peers; /* who may call what (rpc_peers.h); NULL: only our own user, root and the operator may */
    /* Open everything; set runtime->state. 0, or an error with its reason logged: exit code 1. */
    int (*start)(struct mirai_runtime *runtime);
    /* SIGTERM/SIGINT: stop taking new work. The runtime waits until busy() is false and no RPC is pending, at most DRAIN_MS. May be NULL. */
    void (*drain)(struct mirai_runtime *runtime);
    bool (*busy)(struct mirai_runtime *runtime); /* may be NULL */
    /* Close everything; close all uv handles (the runtime then runs the loop until they are closed). */
    void (*stop)(struct mirai_runtime *runtime);
    /* Members of service.status beyond the common ones: append pairs to the map, return their number. May be NULL. */
    size_t (*status)(struct mirai_runtime *runtime, struct mirai_buf *pairs);
    /* A thread of its own has stopped moving: the watchdog is not told that all is well. May be NULL. */
    bool (*hangs)(struct mirai_runtime *runtime);
    /* 0: serves; otherwise an error (health says so). May be NULL. */
    int (*health)(struct mirai_runtime *runtime);
};

struct mirai_runtime {
    const struct mirai_service *service;
    uv_loop_t *loop;
    struct mirai_rpc_server *rpc;    /* made after start() returned 0 */
    struct mirai_rpc_server *remote; /* the same methods for other hosts; NULL: none */
    void *state;
    int64_t started_at_ms;
    bool draining;
    int exit_code;
};

/* main() of every daemon: handles --help, --version, --check-config; returns the process's exit code:
 * 0 clean stop, 1 failed to start or crashed hook, 2 configuration or usage. `data` is given to start as runtime->state. */
int mirai_service_run(const struct mirai_service *service, int argc, char **argv, void *data);

/* Ask for a clean stop with this exit code (as SIGTERM would). Loop thread. */
void mirai_service_shutdown(struct mirai_runtime *runtime, int exit_code);

/* A client for another daemon, with options from the configuration (run dir, <SERVICE>_ENDPOINTS, bounds). */
struct mirai_rpc_client *mirai_service_client(uv_loop_t *loop, const char *service);

/* The feed's hints of knowledge-store (MIRAI_FEED_ENDPOINTS, or found in the run directory). */
struct mirai_subscriber *mirai_service_subscriber(uv_loop_t *loop, mirai_subscriber_cb callback, void *data);

/* Who may call what, and our certificate, from the configuration; made once before the first socket, by
 * mirai_service_run or by a program that is no daemon. 0, or MIRAI_E_INVALID with the reason written. */
int mirai_service_secure(const struct mirai_peer *peers, FILE *errors);
const struct mirai_rpc_security *mirai_service_security(void); /* NULL before */

/* Memory that holds passwords and keys is for nobody: no core dump, no debugger of the same user. */
void mirai_service_seal(void);

/* "READY=1" and such to systemd's $NOTIFY_SOCKET (sd_notify(3)); nothing when there is none. */
void mirai_notify(const char *state);

/* Version of the program, such as "0.1.0". */
const char *mirai_version(void);

#endif
