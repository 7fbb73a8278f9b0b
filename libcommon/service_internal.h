/* What the files of the service runtime share. */
#ifndef MIRAI_SERVICE_INTERNAL_H
#define MIRAI_SERVICE_INTERNAL_H

#include "libcommon/service.h"

#include <stdio.h>

/* ------------------------------------------------------------------ service_place.c: the instance in the run
 * directory */

/* <RUN_DIR>/<service>@<INSTANCE>, and what hangs on it. */
struct service_place {
    char socket[108]; /* path of the RPC socket: as long as sockaddr_un allows */
    char url[128];    /* ipc:// and the path */
    int lock_fd;
};

/* Make the paths from the configuration. 0, or MIRAI_E_INVALID with the reason written to `errors`. */
int service_place_init(struct service_place *place, const char *service, FILE *errors);

/* Make the run directory when missing, lock the instance and remove the sockets that a killed predecessor
 * left. 0, or an error that was logged: MIRAI_E_CONFLICT when the instance runs already. */
int service_place_take(struct service_place *place);

/* Give the lock back. */
void service_place_leave(struct service_place *place);

/* ------------------------------------------------------------------ service_methods.c */

/* service.health, service.metrics, service.log_level, service.status. */
extern const struct mirai_rpc_method service_methods[];

/* The runtime that these methods speak of: a process has one. */
void service_methods_set(struct mirai_runtime *runtime);

/* Requests that are not yet answered. */
size_t service_pending(const struct mirai_runtime *runtime);

#endif
