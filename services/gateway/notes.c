#include "services/gateway/notes.h"

#include "libcommon/log.h"
#include "libcommon/time.h"

#include <stdlib.h>

#define NOTES_MAX 64   /* different ones in a second */
#define FLUSH_MS  1000 /* from the first note on */

struct note {
    const char *action;
    const char *result;
    int64_t user_id;
    int64_t count;
    size_t name_len;
    char address[46];
    char name[100];
};

/* Made at the first note of a loop: a gateway that refuses nobody pays nothing. */
struct notes {
    struct gateway_loop *loop;
    uv_timer_t timer;
    size_t len;
    int64_t summed; /* notes for which there was no room */
    struct note list[NOTES_MAX];
};

/* ------------------------------------------------------------------ to the store */

static void on_noted(void *data, const struct mirai_rpc_reply *reply)
{
    (void)data;
    if (reply->status != 0 && reply->status != MIRAI_E_CANCELLED) {
        mirai_log(WARNING, "a note for the audit log was lost",
                  MIRAI_LOG_Z("error", mirai_error_slug(reply->status)));
    }
}

static void send_note(struct notes *notes, const struct note *note)
{
    struct gateway_loop *loop = notes->loop;
    struct mirai_context context = mirai_context_system();
    struct mirai_audit_note message = {0};
    context.client_address = mirai_str(note->address);
    context.deadline_ms = mirai_monotonic_ms() + loop->gateway->settings.rpc_deadline_ms;
    mirai_set(audit_note, &message, action, mirai_str(note->action));
    mirai_set(audit_note, &message, result, mirai_str(note->result));
    mirai_set(audit_note, &message, user_id, note->user_id);
    mirai_set(audit_note, &message, count, note->count);
    if (note->name_len > 0) {
        mirai_set(audit_note, &message, name, ((struct mirai_str){note->name, note->name_len}));
    }
    mirai_method_call(loop->clients[UPSTREAM_STORE], MIRAI_METHOD_ID_audit_append, &context, &message,
                      on_noted, NULL);
}

void notes_flush(struct gateway_loop *loop)
{
    struct notes *notes = loop->notes;
    if (notes == NULL || loop->clients[UPSTREAM_STORE] == NULL) {
        return;
    }
    for (size_t i = 0; i < notes->len; i++) {
        send_note(notes, &notes->list[i]);
    }
    if (notes->summed > 0) {
        send_note(notes,
                  &(struct note){.action = "gateway.denials", .result = "summed", .count = notes->summed});
    }
    notes->len = 0;
    notes->summed = 0;
}

static void on_timer(uv_timer_t *timer)
{
    notes_flush(((struct notes *)timer->data)->loop);
}

/* ------------------------------------------------------------------ noting */

static struct notes *notes_of(struct gateway_loop *loop)
{
    if (loop->notes == NULL) {
        loop->notes = mirai_alloc(sizeof(*loop->notes));
        loop->notes->loop = loop;
        uv_timer_init(&loop->uv, &loop->notes->timer);
        loop->notes->timer.data = loop->notes;
    }
    return loop->notes;
}

static bool same(const struct note *a, const struct note *b)
{
    return a->user_id == b->user_id && strcmp(a->action, b->action) == 0 &&
           strcmp(a->result, b->result) == 0 && strcmp(a->address, b->address) == 0 &&
           a->name_len == b->name_len && memcmp(a->name, b->name, a->name_len) == 0;
}

static const char *action_of(const struct route *route)
{
    return route == NULL ? "http.request" : route->rpc >= 0 ? mirai_methods[route->rpc].name : route->pattern;
}

void note_denial_of(struct exchange *exchange, const char *action, const char *result, struct mirai_str name)
{
    if (exchange->loop->stopping) {
        return;
    }
    struct notes *notes = notes_of(exchange->loop);
    struct mirai_str address = exchange_address(exchange);
    struct note note = {.action = action != NULL ? action : action_of(exchange->route),
                        .result = result,
                        .user_id = exchange->context.principal.user_id,
                        .count = 1};
    struct mirai_str kept = mirai_utf8_prefix(name, sizeof(note.name));
    memcpy(note.address, address.data, address.len < sizeof(note.address) ? address.len : 0);
    memcpy(note.name, kept.data, kept.len);
    note.name_len = kept.len;
    if (!uv_is_active((uv_handle_t *)&notes->timer)) {
        uv_timer_start(&notes->timer, on_timer, FLUSH_MS, 0);
    }
    for (size_t i = 0; i < notes->len; i++) {
        if (same(&notes->list[i], &note)) {
            notes->list[i].count++;
            return;
        }
    }
    if (notes->len < NOTES_MAX) {
        notes->list[notes->len++] = note;
    } else {
        notes->summed++;
    }
}

void note_denial(struct exchange *exchange, const char *action, const char *result)
{
    note_denial_of(exchange, action, result, MIRAI_STR(""));
}

/* ------------------------------------------------------------------ end */

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void notes_close(struct gateway_loop *loop)
{
    if (loop->notes != NULL) {
        uv_close((uv_handle_t *)&loop->notes->timer, on_closed);
        loop->notes = NULL;
    }
}
