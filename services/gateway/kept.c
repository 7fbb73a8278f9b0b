/* Reads by id that are answered without a call: the store's stamps vouch for what was kept of an earlier answer. */
#include "libcommon/stamps.h"
#include "services/gateway/answers.h"
#include "services/gateway/gateway.h"

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
    if (id == 0 || loop->gateway->settings.cache_max == 0 ||
        !vouch_usable(loop, exchange->started_us / 1000)) {
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
