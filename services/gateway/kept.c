/* Reads by id that are answered without a call: the store's stamps vouch for what was kept of an earlier answer. */
#include "libcommon/config.h"
#include "libcommon/stamps.h"
#include "services/gateway/answers.h"
#include "services/gateway/gateway.h"

#include <stdio.h>

/* ------------------------------------------------------------------ the store's stamps */

/* Map what the store of this host publishes; not more often than a lease lasts. A store at an endpoint of the
 * configuration, or one of several, publishes nothing that could be used here. */
static void open_stamps(struct gateway_loop *loop, uint64_t now_ms)
{
    struct mirai_rpc_instance_info store;
    char path[PATH_MAX];
    if (now_ms < loop->stamps_due_ms) {
        return;
    }
    loop->stamps_due_ms = now_ms + MIRAI_STAMPS_LEASE_MS;
    mirai_stamps_close(loop->stamps);
    loop->stamps = NULL;
    if (mirai_config_str(MIRAI_CONFIG_STORE_ENDPOINTS)[0] == '\0' &&
        mirai_rpc_client_instances(loop->clients[UPSTREAM_STORE], &store, 1) == 1) {
        snprintf(path, sizeof(path), "%s/knowledge-store@%s.stamps", mirai_config_str(MIRAI_CONFIG_RUN_DIR),
                 store.name);
        loop->stamps = mirai_stamps_open(path);
    }
}

/* Whether a stamp can be trusted now: its publisher lives, and it is the store that would be asked. */
static bool stamps_usable(struct gateway_loop *loop, uint64_t now_ms)
{
    struct mirai_rpc_client *store = loop->clients[UPSTREAM_STORE];
    if (loop->gateway->settings.cache_max == 0 || !mirai_rpc_client_connected(store) ||
        mirai_rpc_client_instances(store, NULL, 0) != 1) {
        return false;
    }
    if (loop->stamps == NULL || !mirai_stamps_alive(loop->stamps, now_ms)) {
        open_stamps(loop, now_ms);
    }
    return loop->stamps != NULL && mirai_stamps_alive(loop->stamps, now_ms);
}

/* ------------------------------------------------------------------ answers */

/* The id of a read whose answer may be kept, or 0. What counts as a view goes to the store, which counts. */
static int64_t id_of(const struct exchange *exchange)
{
    int64_t id;
    bool plain = (exchange->route->flags & ROUTE_KEPT) != 0 && exchange->target.pairs_count == 0 &&
                 !exchange->by_session && mirai_parse_int(*exchange->path_values[0], 1, INT64_MAX, &id) == 0;
    return plain ? id : 0;
}

/* `json` lives as long as the request. */
static void send_answer(struct exchange *exchange, struct mirai_str etag, struct mirai_str json)
{
    enum response_cache cache = RESPONSE_NO_STORE;
    if (!response_etag_of(exchange, etag, &cache)) {
        response_json_lent(exchange, exchange->route->status, json, cache);
    }
}

bool kept_send(struct exchange *exchange)
{
    struct gateway_loop *loop = exchange->loop;
    int64_t id = id_of(exchange);
    exchange->kept_id = 0;
    if (id == 0 || !stamps_usable(loop, exchange->started_us / 1000)) {
        return false;
    }
    uint64_t stamp = mirai_stamps_read(loop->stamps, id);
    struct answer *answer = answers_find(loop->answers, auth_rights(exchange), id, stamp);
    if (answer == NULL) {
        mirai_counter_add(loop->gateway->metrics.kept_misses, 1);
        exchange->kept_id = id;
        exchange->kept_stamp = stamp; /* read before the store is asked */
        return false;
    }
    mirai_counter_add(loop->gateway->metrics.kept_hits, 1);
    h2o_mem_link_shared(&exchange->req->pool, answer);
    send_answer(exchange, answer->etag, answer->json);
    return true;
}

void kept_put_and_send(struct exchange *exchange, struct mirai_str result)
{
    struct gateway_loop *loop = exchange->loop;
    struct mirai_str etag = response_text_of(result, "etag");
    if (response_transcode(exchange, result) != 0) {
        return;
    }
    struct mirai_str json = mirai_buf_str(&loop->json);
    struct answer *answer = etag.len > 0 ? answers_put(loop->answers, auth_rights(exchange),
                                                       exchange->kept_id, exchange->kept_stamp, etag, json)
                                         : NULL;
    if (answer != NULL) {
        h2o_mem_link_shared(&exchange->req->pool, answer);
        send_answer(exchange, answer->etag, answer->json);
    } else {
        send_answer(exchange, etag, exchange_keep(exchange, json));
    }
}
