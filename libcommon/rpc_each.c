#include "libcommon/rpc_client_internal.h"

#include <stdio.h>
#include <stdlib.h>

/* One mirai_rpc_call_each: freed after its last callback. */
struct each {
    mirai_rpc_each_cb callback;
    void *data;
    size_t left;
};

struct each_call {
    struct each *each;
    char instance[64];
};

static void on_reply(void *data, const struct mirai_rpc_reply *reply)
{
    struct each_call *one = data;
    struct each *each = one->each;
    each->callback(each->data, mirai_str(one->instance), reply);
    free(one);
    if (--each->left == 0) {
        each->callback(each->data, (struct mirai_str){0}, &(struct mirai_rpc_reply){0});
        free(each);
    }
}

/* With no instance connected the end is told in the next turn of the loop. */
static void on_nobody(uv_handle_t *handle)
{
    struct each *each = handle->data;
    each->callback(each->data, (struct mirai_str){0}, &(struct mirai_rpc_reply){0});
    free(each);
    free(handle);
}

void mirai_rpc_call_each(struct mirai_rpc_client *client, const char *method,
                         const struct mirai_context *context, struct mirai_str params,
                         mirai_rpc_each_cb callback, void *data)
{
    struct each *each = mirai_alloc(sizeof(*each));
    *each = (struct each){.callback = callback, .data = data};
    for (struct rpc_list *node = client->instances.next; node != &client->instances; node = node->next) {
        struct rpc_instance *instance = RPC_LIST_OWNER(node, struct rpc_instance, link);
        if (instance->pipe == 0 || client->closing) {
            continue;
        }
        struct each_call *one = mirai_alloc(sizeof(*one));
        one->each = each;
        snprintf(one->instance, sizeof(one->instance), "%s", instance->endpoint.name);
        each->left++;
        rpc_client_call_pinned(instance, method, context, params, on_reply, one);
    }
    if (each->left == 0) {
        uv_timer_t *timer = mirai_alloc(sizeof(*timer));
        uv_timer_init(client->loop, timer);
        timer->data = each;
        uv_close((uv_handle_t *)timer, on_nobody);
    }
}

size_t mirai_rpc_client_instances(const struct mirai_rpc_client *client, struct mirai_rpc_instance_info *rows,
                                  size_t max)
{
    size_t n = 0;
    for (struct rpc_list *node = client->instances.next; node != &client->instances; node = node->next, n++) {
        const struct rpc_instance *instance = RPC_LIST_OWNER(node, struct rpc_instance, link);
        if (n >= max) {
            continue;
        }
        struct mirai_rpc_instance_info *row = &rows[n];
        snprintf(row->name, sizeof(row->name), "%s", instance->endpoint.name);
        row->connected = instance->pipe != 0;
        row->ejected = instance->ejected;
        row->outstanding = instance->outstanding;
        row->weight = instance->endpoint.weight;
    }
    return n;
}

bool mirai_rpc_client_connected(const struct mirai_rpc_client *client)
{
    for (struct rpc_list *node = client->instances.next; node != &client->instances; node = node->next) {
        if (RPC_LIST_OWNER(node, struct rpc_instance, link)->pipe != 0) {
            return true;
        }
    }
    return false;
}
