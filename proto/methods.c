#include "proto/methods.h"

#define METHOD(service_name, wire, rpc_kind, lowest, in, out, text)                                          \
    {.name = (wire),                                                                                         \
     .service = (service_name),                                                                              \
     .kind = MIRAI_RPC_##rpc_kind,                                                                           \
     .role = MIRAI_METHOD_##lowest,                                                                          \
     .params = &mirai_message_##in,                                                                          \
     .result = &mirai_message_##out,                                                                         \
     .doc = (text)},
#define STORE(id, ...)  METHOD("knowledge-store", __VA_ARGS__)
#define SEARCH(id, ...) METHOD("search-index", __VA_ARGS__)
#define BACKUP(id, ...) METHOD("backup", __VA_ARGS__)

const struct mirai_method mirai_methods[MIRAI_METHOD_ID_COUNT] = {
    MIRAI_STORE_METHODS(STORE) MIRAI_SEARCH_METHODS(SEARCH) MIRAI_BACKUP_METHODS(BACKUP)};

const struct mirai_method *mirai_method_find(struct mirai_str name)
{
    for (size_t i = 0; i < MIRAI_METHOD_ID_COUNT; i++) {
        if (mirai_str_eq(mirai_str(mirai_methods[i].name), name)) {
            return &mirai_methods[i];
        }
    }
    return NULL;
}

/* 0, or why the principal may not call the method. */
static int authorise(const struct mirai_principal *principal, const struct mirai_method *method)
{
    if (method->role == MIRAI_METHOD_NONE || principal->user_id == MIRAI_USER_SYSTEM) {
        return 0;
    }
    if (principal->user_id <= 0) {
        return MIRAI_E_UNAUTHENTICATED;
    }
    return method->role != MIRAI_METHOD_SYSTEM && (int)principal->role >= (int)method->role
               ? 0
               : MIRAI_E_FORBIDDEN;
}

static void refuse_params(struct mirai_rpc_request *request, int err, const struct mirai_faults *faults)
{
    struct mirai_buf details = {0};
    mirai_mp_write_map(&details, 1);
    mirai_mp_write_cstr(&details, "errors");
    mirai_faults_encode(faults, &details);
    mirai_rpc_fail_with(request, err, "the parameters break their declaration", mirai_buf_str(&details));
    mirai_buf_free(&details);
}

bool mirai_method_accept(struct mirai_rpc_request *request, enum mirai_method_id id,
                         struct mirai_arena *arena, void *params)
{
    const struct mirai_method *method = &mirai_methods[id];
    struct mirai_faults faults = {.count = 0};
    int err = authorise(&request->context.principal, method);
    if (err != 0) {
        mirai_rpc_fail(request, err, NULL);
        return false;
    }
    err = mirai_message_decode(method->params, request->params, MIRAI_INNER, arena, params, &faults);
    if (err != 0) {
        refuse_params(request, err, &faults);
        return false;
    }
    return true;
}

void mirai_reply_message(struct mirai_rpc_request *request, const struct mirai_message *message,
                         const void *result)
{
    struct mirai_buf buf = {0};
    mirai_message_encode(message, result, &buf);
    mirai_rpc_reply_buf(request, &buf);
    mirai_buf_free(&buf);
}

struct mirai_rpc_call *mirai_method_call(struct mirai_rpc_client *client, enum mirai_method_id id,
                                         const struct mirai_context *context, const void *params,
                                         mirai_rpc_cb callback, void *data)
{
    const struct mirai_method *method = &mirai_methods[id];
    struct mirai_buf buf = {0};
    if (params != NULL) {
        mirai_message_encode(method->params, params, &buf);
    } else {
        mirai_mp_write_map(&buf, 0);
    }
    struct mirai_rpc_call *call =
        mirai_rpc_call(client, method->name, method->kind, context, mirai_buf_str(&buf), callback, data);
    mirai_buf_free(&buf);
    return call;
}

struct mirai_context mirai_context_system(void)
{
    return (struct mirai_context){
        .principal = {.user_id = MIRAI_USER_SYSTEM, .role = MIRAI_ROLE_ADMIN, .name = MIRAI_STR("system")}};
}
