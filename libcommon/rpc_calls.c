#include "libcommon/rpc_client_internal.h"

#include <stdlib.h>

#define TABLE_MIN 256

void rpc_calls_free(struct rpc_calls *calls)
{
    free(calls->table);
    free(calls->heap);
}

static void grow_table(struct rpc_calls *calls)
{
    size_t old_size = calls->table != NULL ? calls->mask + 1 : 0;
    size_t size = old_size > 0 ? 2 * old_size : TABLE_MIN;
    struct mirai_rpc_call **table = mirai_alloc(size * sizeof(*table));
    for (size_t i = 0; i < old_size; i++) {
        struct mirai_rpc_call *call = calls->table[i];
        if (call != NULL) { /* different in the lower bits before, so different now */
            table[call->msgid & (size - 1)] = call;
        }
    }
    free(calls->table);
    calls->table = table;
    calls->mask = size - 1;
}

void rpc_calls_assign(struct rpc_calls *calls, struct mirai_rpc_call *call)
{
    if (calls->table == NULL || 2 * (calls->sent + 1) > calls->mask) {
        grow_table(calls);
    }
    do {
        calls->last_id++; /* an id comes back after 2^32 calls: late replies find no one */
    } while (calls->table[calls->last_id & calls->mask] != NULL);
    call->msgid = calls->last_id;
    calls->table[call->msgid & calls->mask] = call;
    calls->sent++;
}

void rpc_calls_forget(struct rpc_calls *calls, struct mirai_rpc_call *call)
{
    calls->table[call->msgid & calls->mask] = NULL;
    calls->sent--;
}

struct mirai_rpc_call *rpc_calls_find(const struct rpc_calls *calls, uint32_t msgid)
{
    struct mirai_rpc_call *call = calls->table != NULL ? calls->table[msgid & calls->mask] : NULL;
    return call != NULL && call->msgid == msgid ? call : NULL;
}

static void heap_put(struct rpc_calls *calls, size_t at, struct mirai_rpc_call *call)
{
    calls->heap[at] = call;
    call->heap_at = at + 1;
}

static void heap_up(struct rpc_calls *calls, size_t at, struct mirai_rpc_call *call)
{
    while (at > 0 && calls->heap[(at - 1) / 2]->deadline_ms > call->deadline_ms) {
        heap_put(calls, at, calls->heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    heap_put(calls, at, call);
}

static void heap_down(struct rpc_calls *calls, size_t at, struct mirai_rpc_call *call)
{
    for (;;) {
        size_t child = 2 * at + 1;
        if (child + 1 < calls->heap_len &&
            calls->heap[child + 1]->deadline_ms < calls->heap[child]->deadline_ms) {
            child++;
        }
        if (child >= calls->heap_len || calls->heap[child]->deadline_ms >= call->deadline_ms) {
            break;
        }
        heap_put(calls, at, calls->heap[child]);
        at = child;
    }
    heap_put(calls, at, call);
}

void rpc_calls_schedule(struct rpc_calls *calls, struct mirai_rpc_call *call)
{
    if (calls->heap_len == calls->heap_cap) {
        calls->heap_cap = calls->heap_cap > 0 ? 2 * calls->heap_cap : TABLE_MIN;
        calls->heap = mirai_realloc(calls->heap, calls->heap_cap * sizeof(*calls->heap));
    }
    heap_up(calls, calls->heap_len++, call);
}

void rpc_calls_unschedule(struct rpc_calls *calls, struct mirai_rpc_call *call)
{
    if (call->heap_at == 0) {
        return;
    }
    size_t at = call->heap_at - 1;
    struct mirai_rpc_call *last = calls->heap[--calls->heap_len];
    call->heap_at = 0;
    if (last == call) {
        return;
    }
    if (at > 0 && calls->heap[(at - 1) / 2]->deadline_ms > last->deadline_ms) {
        heap_up(calls, at, last);
    } else {
        heap_down(calls, at, last);
    }
}
