#include "libcommon/metrics.h"
#include "libcommon/rpc_internal.h"

#include <stdio.h>

static int read_msgid(struct mirai_mp *mp, uint32_t *msgid)
{
    int64_t value;
    if (mirai_mp_read_int(mp, &value) != 0 || value < 0 || value > UINT32_MAX) {
        return MIRAI_E_INVALID;
    }
    *msgid = (uint32_t)value;
    return 0;
}

static int read_request(struct mirai_mp *mp, uint32_t members, struct rpc_message *message)
{
    uint32_t arguments;
    if (members != 4 || read_msgid(mp, &message->msgid) != 0 ||
        mirai_mp_read_str(mp, &message->method) != 0 || mirai_mp_read_array(mp, &arguments) != 0 ||
        arguments != 2 || mirai_mp_raw(mp, &message->context) != 0) {
        return MIRAI_E_INVALID;
    }
    return mirai_mp_raw(mp, &message->params);
}

static int read_response(struct mirai_mp *mp, uint32_t members, struct rpc_message *message)
{
    if (members != 4 || read_msgid(mp, &message->msgid) != 0 || mirai_mp_raw(mp, &message->error) != 0) {
        return MIRAI_E_INVALID;
    }
    if ((unsigned char)message->error.data[0] == 0xc0) { /* nil */
        message->error.len = 0;
    }
    return mirai_mp_raw(mp, &message->result);
}

static int read_notification(struct mirai_mp *mp, uint32_t members, struct rpc_message *message)
{
    if (members != 3 || mirai_mp_read_str(mp, &message->method) != 0) {
        return MIRAI_E_INVALID;
    }
    return mirai_mp_raw(mp, &message->params);
}

int rpc_message_read(struct mirai_mp *frame, struct rpc_message *message)
{
    static int (*const readers[])(struct mirai_mp *, uint32_t, struct rpc_message *) = {
        [RPC_REQUEST] = read_request,
        [RPC_RESPONSE] = read_response,
        [RPC_NOTIFICATION] = read_notification,
    };
    uint32_t members;
    int64_t type;
    if (mirai_mp_read_array(frame, &members) != 0 || mirai_mp_read_int(frame, &type) != 0 ||
        type < RPC_REQUEST || type > RPC_NOTIFICATION) {
        return MIRAI_E_INVALID;
    }
    *message = (struct rpc_message){.type = (enum rpc_message_type)type};
    return readers[type](frame, members, message);
}

struct rpc_request_head rpc_request_write(struct mirai_buf *buf, struct mirai_str method,
                                          const struct mirai_context *context, uint64_t now_ms,
                                          struct mirai_str params)
{
    struct rpc_request_head head;
    mirai_buf_reserve(buf, 256 + method.len + params.len);
    mirai_buf_append(buf, "\x94\x00\xce\0\0\0\0", 7);
    mirai_mp_write_str(buf, method);
    mirai_mp_write_array(buf, 2);
    head.deadline_at = buf->len + 4; /* map head, "d" (2 bytes), 0xce: see mirai_context_encode */
    mirai_context_encode(buf, context, now_ms);
    if (params.len > 0) {
        mirai_buf_append_str(buf, params);
    } else {
        mirai_mp_write_nil(buf);
    }
    return head;
}

void rpc_request_stamp(struct mirai_buf *buf, struct rpc_request_head head, uint32_t msgid, uint32_t left_ms)
{
    rpc_put_u32((unsigned char *)buf->data + 3, msgid);
    rpc_put_u32((unsigned char *)buf->data + head.deadline_at, left_ms);
}

void rpc_response_head(unsigned char out[RPC_RESPONSE_HEAD], uint32_t msgid)
{
    memcpy(out, "\x94\x01\xce\0\0\0\0\xc0", RPC_RESPONSE_HEAD);
    rpc_put_u32(out + 3, msgid);
}

/* The pairs of a raw map without its head; false when it is not a whole map. */
static bool map_pairs(struct mirai_str map, uint32_t *count, struct mirai_str *pairs)
{
    struct mirai_mp mp = mirai_mp(map);
    struct mirai_mp whole = mp;
    if (mirai_mp_skip(&whole) != 0 || whole.at != whole.end || mirai_mp_read_map(&mp, count) != 0) {
        return false;
    }
    *pairs = (struct mirai_str){(const char *)mp.at, (size_t)(mp.end - mp.at)};
    return true;
}

const char *const rpc_elsewhere_names[] = {
    [RPC_HERE] = NULL,
    [RPC_DRAINING] = "draining",
    [RPC_UNREADY] = "unready",
};

void rpc_response_error(struct mirai_buf *buf, uint32_t msgid, int err, const char *message,
                        struct mirai_str details, enum rpc_elsewhere elsewhere)
{
    unsigned char head[RPC_RESPONSE_HEAD];
    uint32_t extra = 0;
    struct mirai_str pairs = {0};
    if (details.len > 0 && !map_pairs(details, &extra, &pairs)) {
        extra = 0;
    }
    rpc_response_head(head, msgid);
    mirai_buf_append(buf, head, RPC_RESPONSE_HEAD - 1);
    mirai_mp_write_map(buf, 1 + (message != NULL) + (elsewhere != RPC_HERE) + extra);
    mirai_mp_write_cstr(buf, "code");
    mirai_mp_write_cstr(buf, mirai_error_slug(err));
    if (message != NULL) {
        mirai_mp_write_cstr(buf, "message");
        mirai_mp_write_cstr(buf, message);
    }
    if (elsewhere != RPC_HERE) {
        mirai_mp_write_cstr(buf, rpc_elsewhere_names[elsewhere]);
        mirai_mp_write_bool(buf, true);
    }
    if (extra > 0) {
        mirai_buf_append_str(buf, pairs);
    }
    mirai_mp_write_nil(buf);
}

void rpc_ack_write(unsigned char out[RPC_ACK_SIZE], uint32_t count)
{
    memcpy(out,
           "\x93\x02\xa3"
           "ack\x91\xce\0\0\0\0",
           RPC_ACK_SIZE);
    rpc_put_u32(out + 8, count);
}

int rpc_ack_read(const struct rpc_message *message, uint32_t *count)
{
    struct mirai_mp mp = mirai_mp(message->params);
    uint32_t members;
    if (!mirai_str_eq(message->method, MIRAI_STR("ack"))) {
        return MIRAI_E_NOT_FOUND;
    }
    if (mirai_mp_read_array(&mp, &members) != 0 || members != 1) {
        return MIRAI_E_INVALID;
    }
    return read_msgid(&mp, count);
}

void rpc_frame_metrics_init(struct rpc_frame_metrics *metrics, const char *side)
{
    char sent[64];
    char received[64];
    char labels[32];
    snprintf(sent, sizeof(sent), "side=\"%s\",direction=\"sent\"", side);
    snprintf(received, sizeof(received), "side=\"%s\",direction=\"received\"", side);
    snprintf(labels, sizeof(labels), "side=\"%s\"", side);
    metrics->frames_sent = mirai_metric_counter("mirai_rpc_frames_total", "nng messages", sent);
    metrics->frames_received = mirai_metric_counter("mirai_rpc_frames_total", "nng messages", received);
    metrics->messages_sent =
        mirai_metric_counter("mirai_rpc_messages_total", "Calls and replies in frames", sent);
    metrics->messages_received =
        mirai_metric_counter("mirai_rpc_messages_total", "Calls and replies in frames", received);
    metrics->malformed =
        mirai_metric_counter("mirai_rpc_malformed_total", "Frames that could not be read", labels);
}
