#include "services/metrics/collect.h"

#include "libcommon/config.h"
#include "libcommon/metrics.h"
#include "libcommon/service.h"
#include "libcommon/time.h"
#include "proto/methods.h"

#include <stdlib.h>

static const char *const peers[] = {"gateway", "knowledge-store", "search-index", "backup"};
#define PEER_COUNT (sizeof(peers) / sizeof(peers[0]))

/* An instance that has answered once is reported as down when it no longer does. */
struct instance {
    struct instance *next;
    size_t peer;
    char *name;
    struct mirai_buf families; /* of the round under way */
};

struct collector {
    struct mirai_rpc_client *clients[PEER_COUNT];
    struct peer {
        struct collector *collector;
        size_t index;
        bool any; /* an instance was ever seen */
    } peers[PEER_COUNT];
    struct instance *instances;
    struct collect_wait *waiting;
    size_t pending; /* peers that have not finished the round */
};

struct collector *collector_new(uv_loop_t *loop)
{
    struct collector *collector = mirai_alloc(sizeof(*collector));
    for (size_t i = 0; i < PEER_COUNT; i++) {
        collector->clients[i] = mirai_service_client(loop, peers[i]);
        collector->peers[i] = (struct peer){.collector = collector, .index = i};
    }
    return collector;
}

void collector_free(struct collector *collector)
{
    collector->waiting = NULL;
    for (size_t i = 0; i < PEER_COUNT; i++) {
        mirai_rpc_client_free(collector->clients[i]);
    }
    while (collector->instances != NULL) {
        struct instance *next = collector->instances->next;
        mirai_buf_free(&collector->instances->families);
        free(collector->instances->name);
        free(collector->instances);
        collector->instances = next;
    }
    free(collector);
}

static struct instance *find_instance(struct collector *collector, size_t peer, struct mirai_str name)
{
    struct instance **at = &collector->instances;
    for (; *at != NULL; at = &(*at)->next) {
        if ((*at)->peer == peer && mirai_str_eq(mirai_str((*at)->name), name)) {
            return *at;
        }
    }
    *at = mirai_alloc(sizeof(**at));
    (*at)->peer = peer;
    (*at)->name = mirai_str_dup(name);
    collector->peers[peer].any = true;
    return *at;
}

static void finish_round(struct collector *collector)
{
    size_t count = 1 + PEER_COUNT;
    for (struct instance *i = collector->instances; i != NULL; i = i->next) {
        count++;
    }
    struct exposition_source *sources = mirai_alloc(count * sizeof(*sources));
    struct mirai_buf own = {0};
    mirai_metrics_encode(&own);
    size_t n = 0;
    sources[n++] = (struct exposition_source){
        MIRAI_STR("metrics"), mirai_str(mirai_config_str(MIRAI_CONFIG_INSTANCE)), mirai_buf_str(&own)};
    for (size_t p = 0; p < PEER_COUNT; p++) {
        if (!collector->peers[p].any) { /* expected, but never seen */
            sources[n++] = (struct exposition_source){mirai_str(peers[p]), MIRAI_STR("1"), {0}};
        }
    }
    for (struct instance *i = collector->instances; i != NULL; i = i->next) {
        sources[n++] = (struct exposition_source){mirai_str(peers[i->peer]), mirai_str(i->name),
                                                  mirai_buf_str(&i->families)};
    }
    struct collect_wait *wait = collector->waiting;
    collector->waiting = NULL;
    while (wait != NULL) {
        struct collect_wait *next = wait->next;
        wait->callback(wait->data, sources, n);
        wait = next;
    }
    free(sources);
    mirai_buf_free(&own);
}

static void on_answer(void *data, struct mirai_str instance, const struct mirai_rpc_reply *reply)
{
    struct peer *peer = data;
    struct collector *collector = peer->collector;
    if (instance.len > 0) {
        struct instance *found = find_instance(collector, peer->index, instance);
        found->families.len = 0;
        if (reply->status == 0) {
            mirai_buf_append_str(&found->families, reply->result);
        }
        return;
    }
    if (--collector->pending == 0) {
        finish_round(collector);
    }
}

void collect(struct collector *collector, struct collect_wait *wait)
{
    wait->next = collector->waiting;
    collector->waiting = wait;
    if (collector->pending > 0) {
        return;
    }
    struct mirai_context context = mirai_context_system();
    context.deadline_ms = mirai_monotonic_ms() + COLLECT_MS;
    collector->pending = PEER_COUNT;
    for (struct instance *i = collector->instances; i != NULL; i = i->next) {
        i->families.len = 0;
    }
    for (size_t i = 0; i < PEER_COUNT; i++) {
        mirai_rpc_call_each(collector->clients[i], "service.metrics", &context, (struct mirai_str){0},
                            on_answer, &collector->peers[i]);
    }
}

void collect_cancel(struct collector *collector, struct collect_wait *wait)
{
    for (struct collect_wait **at = &collector->waiting; *at != NULL; at = &(*at)->next) {
        if (*at == wait) {
            *at = wait->next;
            return;
        }
    }
}
