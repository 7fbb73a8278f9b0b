/* The methods of all daemons as tables, made from methods.def.h, and the guard that every handler stands
 * behind. */
#ifndef MIRAI_PROTO_METHODS_H
#define MIRAI_PROTO_METHODS_H

#include "libcommon/rpc.h"
#include "proto/messages.h"
#include "proto/methods.def.h"

enum mirai_method_role {
    MIRAI_METHOD_NONE = MIRAI_ROLE_NONE,
    MIRAI_METHOD_VIEWER = MIRAI_ROLE_VIEWER,
    MIRAI_METHOD_EDITOR = MIRAI_ROLE_EDITOR,
    MIRAI_METHOD_ADMIN = MIRAI_ROLE_ADMIN,
    MIRAI_METHOD_SYSTEM, /* principal.user_id == MIRAI_USER_SYSTEM only */
};

#define MIRAI_USER_SYSTEM (-1)

struct mirai_method {
    const char *name;    /* "article.get" */
    const char *service; /* "knowledge-store" */
    enum mirai_rpc_kind kind;
    enum mirai_method_role role;
    const struct mirai_message *params;
    const struct mirai_message *result;
    const char *doc;
};

/* enum mirai_method_id { MIRAI_METHOD_article_create, … }: index into mirai_methods. */
#define MIRAI_METHOD_ID(id, ...) MIRAI_METHOD_ID_##id,
enum mirai_method_id {
    MIRAI_STORE_METHODS(MIRAI_METHOD_ID) MIRAI_SEARCH_METHODS(MIRAI_METHOD_ID)
        MIRAI_BACKUP_METHODS(MIRAI_METHOD_ID) MIRAI_METHOD_ID_COUNT
};
#undef MIRAI_METHOD_ID

extern const struct mirai_method mirai_methods[MIRAI_METHOD_ID_COUNT];

/* By name; NULL when unknown. */
const struct mirai_method *mirai_method_find(struct mirai_str name);

/* First lines of a handler: checks the caller's role against the method's and decodes the params into *params
 * (a struct of method->params). Returns true when the handler may go on; otherwise the request has been
 * answered (FORBIDDEN, UNAUTHENTICATED, UNPROCESSABLE with `errors`). Lists live in `arena`, strings in the
 * request's bytes. */
bool mirai_method_accept(struct mirai_rpc_request *request, enum mirai_method_id id,
                         struct mirai_arena *arena, void *params);

/* Encode *result (a struct of `message`) and reply. */
void mirai_reply_message(struct mirai_rpc_request *request, const struct mirai_message *message,
                         const void *result);

/* Start a call: encodes *params (of mirai_methods[id].params; NULL: no members) and sends it with the
 * method's kind. */
struct mirai_rpc_call *mirai_method_call(struct mirai_rpc_client *client, enum mirai_method_id id,
                                         const struct mirai_context *context, const void *params,
                                         mirai_rpc_cb callback, void *data);

/* The context of a daemon that acts for itself: principal MIRAI_USER_SYSTEM, role Admin. */
struct mirai_context mirai_context_system(void);

#endif
