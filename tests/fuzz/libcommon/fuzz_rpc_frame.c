/* Frames as a server, a client and the flow control read them. */
#include "libcommon/rpc_internal.h"
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>

static bool inside(struct mirai_str part, const uint8_t *data, size_t size)
{
    return part.len == 0 ||
           ((const uint8_t *)part.data >= data && (const uint8_t *)part.data + part.len <= data + size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mirai_mp frame = mirai_mp((struct mirai_str){(const char *)data, size});
    struct rpc_message message;
    while (frame.at < frame.end && rpc_message_read(&frame, &message) == 0) {
        uint32_t count;
        int64_t ids[16];
        struct mirai_context context;
        struct mirai_str raw;
        expect(inside(message.method, data, size) && inside(message.context, data, size) &&
               inside(message.params, data, size) && inside(message.error, data, size) &&
               inside(message.result, data, size));
        switch (message.type) {
        case RPC_REQUEST:
            mirai_context_decode(message.context, 1000, &context, ids, 16);
            break;
        case RPC_RESPONSE:
            mirai_mp_find(message.error, "code", &raw);
            break;
        case RPC_NOTIFICATION:
            rpc_ack_read(&message, &count);
            break;
        }
        /* Whatever a service gives as details, the error remains one whole message. */
        struct mirai_buf buf = {0};
        rpc_response_error(&buf, message.msgid, MIRAI_E_INVALID, "text", message.params, RPC_DRAINING);
        struct mirai_mp again = mirai_mp(mirai_buf_str(&buf));
        struct rpc_message response;
        if (rpc_message_read(&again, &response) == 0) { /* details may be nested too deep */
            expect(again.at == again.end && response.type == RPC_RESPONSE && response.msgid == message.msgid);
        }
        mirai_buf_free(&buf);
    }
    return 0;
}
