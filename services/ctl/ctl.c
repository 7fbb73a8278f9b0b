#include "services/ctl/ctl.h"

#include "libcommon/config.h"
#include "libcommon/service.h"
#include "libcommon/time.h"

#include <sodium.h>
#include <stdlib.h>

const char *const ctl_services[CTL_SERVICE_COUNT] = {
    [CTL_STORE] = "knowledge-store", [CTL_SEARCH] = "search-index", [CTL_BACKUP] = "backup",
    [CTL_METRICS] = "metrics",       [CTL_GATEWAY] = "gateway",
};

enum ctl_service ctl_service_find(const char *name)
{
    int service = 0;
    while (service < CTL_SERVICE_COUNT && strcmp(ctl_services[service], name) != 0) {
        service++;
    }
    return (enum ctl_service)service;
}

void ctl_init(struct ctl *ctl)
{
    uv_loop_init(&ctl->loop);
    ctl->context = mirai_context_system();
    ctl->context.locale = text_japanese() ? MIRAI_STR("ja") : MIRAI_STR("en");
}

void ctl_close(struct ctl *ctl)
{
    for (int i = 0; i < CTL_SERVICE_COUNT; i++) {
        if (ctl->clients[i] != NULL) {
            mirai_rpc_client_free(ctl->clients[i]);
        }
    }
    uv_run(&ctl->loop, UV_RUN_DEFAULT);
    uv_loop_close(&ctl->loop);
    mirai_arena_free(&ctl->arena);
}

struct mirai_rpc_client *ctl_client(struct ctl *ctl, enum ctl_service service)
{
    if (ctl->clients[service] == NULL) {
        ctl->clients[service] = mirai_service_client(&ctl->loop, ctl_services[service]);
    }
    return ctl->clients[service];
}

/* ------------------------------------------------------------------ waiting */

void ctl_wait(struct ctl *ctl, const bool *done)
{
    while (!*done) {
        uv_run(&ctl->loop, UV_RUN_ONCE);
    }
}

static void on_timer(uv_timer_t *timer)
{
    *(bool *)timer->data = true;
}

/* Run the loop until condition(client) holds or `ms` have passed. */
static bool wait_for(struct ctl *ctl, bool (*condition)(const struct mirai_rpc_client *client),
                     const struct mirai_rpc_client *client, unsigned ms)
{
    uint64_t until = mirai_monotonic_ms() + ms;
    bool tick = false;
    uv_timer_t timer;
    if (condition(client)) {
        return true;
    }
    uv_timer_init(&ctl->loop, &timer);
    timer.data = &tick;
    uv_timer_start(&timer, on_timer, 5, 5); /* the loop must wake to look at the clock */
    while (!condition(client) && mirai_monotonic_ms() < until) {
        uv_run(&ctl->loop, UV_RUN_ONCE);
    }
    uv_close((uv_handle_t *)&timer, NULL); /* its memory is about to go */
    uv_run(&ctl->loop, UV_RUN_NOWAIT);
    return condition(client);
}

static bool all_connected(const struct mirai_rpc_client *client)
{
    struct mirai_rpc_instance_info rows[64];
    size_t count = mirai_rpc_client_instances(client, rows, 64);
    for (size_t i = 0; i < count && i < 64; i++) {
        if (!rows[i].connected) {
            return false;
        }
    }
    return true;
}

void ctl_connect(struct ctl *ctl, enum ctl_service service, unsigned ms)
{
    wait_for(ctl, all_connected, ctl_client(ctl, service), ms);
}

/* ------------------------------------------------------------------ calls */

struct mirai_context ctl_context(const struct ctl *ctl, unsigned ms)
{
    struct mirai_context context = ctl->context;
    context.deadline_ms = mirai_monotonic_ms() + ms;
    return context;
}

struct call {
    struct ctl *ctl;
    bool done;
    bool started; /* it was handed to a connection */
    int status;
    struct mirai_str result;
    struct mirai_str error;
};

static void on_reply(void *data, const struct mirai_rpc_reply *reply)
{
    struct call *call = data;
    call->status = reply->status;
    call->result = mirai_arena_copy(&call->ctl->arena, reply->result);
    call->error = mirai_arena_copy(&call->ctl->arena, reply->error);
    call->done = true;
}

/* A daemon that is not there is not waited for longer than daemons wait for each other. */
static unsigned connect_ms(void)
{
    return (unsigned)mirai_config_int(MIRAI_CONFIG_RPC_DEADLINE_MS);
}

static void call_and_wait(struct ctl *ctl, enum mirai_method_id id, const void *params, unsigned ms,
                          void *result, struct call *call)
{
    const struct mirai_method *method = &mirai_methods[id];
    struct mirai_rpc_client *client = ctl_client(ctl, ctl_service_find(method->service));
    struct mirai_context context = ctl_context(ctl, ms);
    *call = (struct call){.ctl = ctl, .status = MIRAI_E_UNAVAILABLE};
    if (!wait_for(ctl, mirai_rpc_client_connected, client, connect_ms())) {
        return;
    }
    call->started = true;
    mirai_method_call(client, id, &context, params, on_reply, call);
    ctl_wait(ctl, &call->done);
    if (call->status == 0 && result != NULL &&
        mirai_message_decode(method->result, call->result, MIRAI_INNER, &ctl->arena, result, NULL) != 0) {
        call->status = MIRAI_E_INTERNAL; /* not what the method declares */
    }
}

int ctl_call_quiet(struct ctl *ctl, enum mirai_method_id id, const void *params, unsigned ms, void *result)
{
    struct call call;
    call_and_wait(ctl, id, params, ms, result, &call);
    return call.status;
}

int ctl_call_unsure(struct ctl *ctl, enum mirai_method_id id, const void *params, unsigned ms, bool *unsure)
{
    struct call call;
    call_and_wait(ctl, id, params, ms, NULL, &call);
    /* an error that came as an answer says that it was not done; a call that found a full queue never left */
    *unsure = call.status != 0 && call.started && call.error.len == 0 && call.status != MIRAI_E_OVERLOADED;
    return call.status;
}

int ctl_call(struct ctl *ctl, enum mirai_method_id id, const void *params, unsigned ms, void *result)
{
    struct call call;
    call_and_wait(ctl, id, params, ms, result, &call);
    if (call.status != 0) {
        ctl_report(ctl, mirai_methods[id].service, call.status, call.error);
    }
    return call.status;
}

/* ------------------------------------------------------------------ lists */

/* A member of a message struct by its name; NULL when the message has none. *bit = its bit in `present`. */
static void *member(const struct mirai_message *message, void *in, const char *name, uint64_t *bit)
{
    for (size_t i = 0; i < message->count; i++) {
        if (strcmp(message->fields[i].name, name) == 0) {
            *bit = UINT64_C(1) << i;
            return (char *)in + message->fields[i].offset;
        }
    }
    return NULL;
}

/* `more` behind what is in `items` (memory of the arena: pages are few). */
static void append_items(struct ctl *ctl, size_t size, struct mirai_objects *items,
                         const struct mirai_objects *more)
{
    char *all = mirai_arena_alloc(&ctl->arena, (items->count + more->count + 1) * size);
    if (items->count > 0) {
        memcpy(all, items->items, items->count * size);
    }
    if (more->count > 0) {
        memcpy(all + items->count * size, more->items, more->count * size);
    }
    *items = (struct mirai_objects){all, items->count + more->count};
}

int ctl_list(struct ctl *ctl, enum mirai_method_id id, void *params, size_t max, struct mirai_objects *items)
{
    const struct mirai_method *method = &mirai_methods[id];
    struct mirai_message_head *page = mirai_arena_alloc(&ctl->arena, method->result->size);
    uint64_t cursor_bit = 0, limit_bit = 0, items_bit = 0, next_bit = 0;
    struct mirai_str *cursor = member(method->params, params, "cursor", &cursor_bit);
    int64_t *limit = member(method->params, params, "limit", &limit_bit);
    struct mirai_objects *found = member(method->result, page, "items", &items_bit);
    struct mirai_str *next = member(method->result, page, "next_cursor", &next_bit);
    size_t size = 0;
    for (size_t i = 0; i < method->result->count; i++) {
        size = method->result->fields[i].message != NULL ? method->result->fields[i].message->size : size;
    }
    *items = (struct mirai_objects){0};
    for (;;) {
        if (limit != NULL) {
            *limit = max - items->count < 200 ? (int64_t)(max - items->count) : 200;
            ((struct mirai_message_head *)params)->present |= limit_bit;
        }
        int err = ctl_call(ctl, id, params, CTL_DEADLINE_MS, page);
        if (err != 0) {
            return err;
        }
        append_items(ctl, size, items, found);
        if (next == NULL || (page->present & next_bit) == 0 || found->count == 0 || items->count >= max) {
            return 0;
        }
        *cursor = *next;
        ((struct mirai_message_head *)params)->present |= cursor_bit;
    }
}

int ctl_find_user(struct ctl *ctl, const char *name, struct mirai_user *user)
{
    struct mirai_page_request request = {0};
    struct mirai_objects users;
    int err = ctl_list(ctl, MIRAI_METHOD_ID_user_list, &request, SIZE_MAX, &users);
    for (size_t i = 0; err == 0 && i < users.count; i++) {
        *user = MIRAI_ITEMS(user, &users)[i];
        if (user->name.len == strlen(name) && strncasecmp(user->name.data, name, user->name.len) == 0) {
            return 0;
        }
    }
    if (err == 0) {
        err = MIRAI_E_NOT_FOUND;
        ctl_fail(ctl, CTL_FAILED, text("利用者 \"%s\" は存在しません", "there is no user \"%s\""), name);
    }
    return err;
}

int ctl_find_space(struct ctl *ctl, const char *name, int64_t *id)
{
    struct mirai_space_page page;
    int err = ctl_call(ctl, MIRAI_METHOD_ID_space_list, NULL, CTL_DEADLINE_MS, &page);
    for (size_t i = 0; err == 0 && i < page.items.count; i++) {
        const struct mirai_space *space = &MIRAI_ITEMS(space, &page.items)[i];
        if (mirai_str_eq(space->name, mirai_str(name))) {
            *id = space->id;
            return 0;
        }
    }
    if (err == 0) {
        err = MIRAI_E_NOT_FOUND;
        ctl_fail(ctl, CTL_FAILED, text("スペース \"%s\" は存在しません", "there is no space \"%s\""), name);
    }
    return err;
}

bool ctl_set(struct ctl *ctl, const struct mirai_message *message, void *params, const char *field,
             const char *option)
{
    struct mirai_faults faults = {0};
    const char *value = cli_value(&ctl->cli, option);
    if (value == NULL || mirai_message_set_text(message, mirai_str(field), mirai_str(value), &ctl->arena,
                                                params, &faults) == 0) {
        return true;
    }
    struct mirai_str problem = text_problem(mirai_str(faults.count > 0 ? faults.list[0].problem : "format"));
    ctl_fail(ctl, CTL_USAGE, "%s \"%s\": %.*s", option, value, MIRAI_STR_ARG(problem));
    return false;
}

/* ------------------------------------------------------------------ who acts */

int ctl_identify(struct ctl *ctl)
{
    const char *token = mirai_config_str(MIRAI_CONFIG_TOKEN);
    struct mirai_token_check check = {0};
    struct mirai_identity who;
    unsigned char hash[crypto_hash_sha256_BYTES];
    if (*token == '\0') {
        return 0;
    }
    crypto_hash_sha256(hash, (const unsigned char *)token, strlen(token));
    mirai_set(token_check, &check, sha256, ((struct mirai_str){(const char *)hash, sizeof(hash)}));
    int err = ctl_call(ctl, MIRAI_METHOD_ID_auth_token, &check, CTL_DEADLINE_MS, &who);
    if (err == 0) {
        ctl->context.principal = (struct mirai_principal){
            .user_id = who.user_id,
            .role = (enum mirai_role)who.role,
            .name = who.name,
            .expires_at = who.kind == MIRAI_TOKEN_KIND_API ? who.expires_at : 0,
            .spaces = who.spaces.items,
            .spaces_len = who.spaces.count,
            .groups = who.groups.items,
            .groups_len = who.groups.count,
        };
    }
    return err;
}
