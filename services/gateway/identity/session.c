#include "libcommon/time.h"
#include "services/gateway/gateway.h"

#include <sodium.h>

/* The browser's session: its token travels in a cookie that scripts cannot read. */

static void set_cookie(struct exchange *exchange, struct mirai_str token, int64_t seconds)
{
    struct mirai_str name = exchange->loop->gateway->settings.cookie;
    struct mirai_buf cookie = {0};
    mirai_buf_printf(&cookie, "%.*s=%.*s; Path=/; Max-Age=%lld; Secure; HttpOnly; SameSite=Strict",
                     MIRAI_STR_ARG(name), MIRAI_STR_ARG(token), (long long)seconds);
    response_header(exchange, H2O_TOKEN_SET_COOKIE, exchange_keep(exchange, mirai_buf_str(&cookie)));
    mirai_buf_free(&cookie);
}

void session_opened(struct exchange *exchange, const struct mirai_rpc_reply *reply)
{
    struct gateway_loop *loop = exchange->loop;
    struct mirai_login_result result;
    struct mirai_str user, expires_at;
    if (reply->status != 0) {
        response_rpc_error(exchange, reply);
        return;
    }
    int err = mirai_message_decode(&mirai_message_login_result, reply->result, MIRAI_INNER, &loop->arena,
                                   &result, NULL);
    mirai_arena_free(&loop->arena);
    if (err != 0 || !header_token_valid(result.token) || mirai_mp_find(reply->result, "user", &user) != 0 ||
        mirai_mp_find(reply->result, "expires_at", &expires_at) != 0) {
        response_fault(exchange, MIRAI_E_INTERNAL, NULL);
        return;
    }
    int64_t left_ms = result.expires_at - mirai_now_ms();
    set_cookie(exchange, result.token, left_ms > 0 ? left_ms / 1000 : 0);
    /* All of the result but the secret. */
    loop->params.len = 0;
    mirai_mp_write_map(&loop->params, 2);
    mirai_mp_write_cstr(&loop->params, "user");
    mirai_buf_append_str(&loop->params, user);
    mirai_mp_write_cstr(&loop->params, "expires_at");
    mirai_buf_append_str(&loop->params, expires_at);
    response_json(exchange, 201, mirai_buf_str(&loop->params), RESPONSE_NO_STORE);
}

static void on_logout(void *data, const struct mirai_rpc_reply *reply)
{
    struct exchange *exchange = exchange_called(data);
    if (reply->status != 0) {
        response_rpc_error(exchange, reply);
        return;
    }
    auth_changed(exchange->loop->gateway);
    if (exchange->by_cookie) {
        set_cookie(exchange, (struct mirai_str){0}, 0);
    }
    response_empty(exchange, 204, RESPONSE_NO_STORE);
}

void handle_logout(struct exchange *exchange)
{
    struct mirai_buf *params = &exchange->loop->params;
    struct mirai_token_check check = {0};
    if (!exchange->by_session) { /* an API token is revoked at /tokens */
        response_fault(exchange, MIRAI_E_NOT_FOUND, NULL);
        return;
    }
    mirai_set(token_check, &check, sha256,
              ((struct mirai_str){(const char *)exchange->digest, sizeof(exchange->digest)}));
    params->len = 0;
    mirai_message_encode(&mirai_message_token_check, &check, params);
    exchange_call(exchange, MIRAI_METHOD_ID_auth_logout, mirai_buf_str(params), on_logout);
}
