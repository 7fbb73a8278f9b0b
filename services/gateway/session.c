#include "libcommon/time.h"
#include "services/gateway/gateway.h"

#include <sodium.h>

/* Log in and out of the browser's session: the token travels in a cookie that scripts cannot read. */

static void set_cookie(struct exchange *exchange, struct mirai_str token, int64_t seconds)
{
    struct mirai_str name = exchange->loop->gateway->settings.cookie;
    struct mirai_buf cookie = {0};
    mirai_buf_printf(&cookie, "%.*s=%.*s; Path=/; Max-Age=%lld; Secure; HttpOnly; SameSite=Strict",
                     MIRAI_STR_ARG(name), MIRAI_STR_ARG(token), (long long)seconds);
    response_header(exchange, H2O_TOKEN_SET_COOKIE, exchange_keep(exchange, mirai_buf_str(&cookie)));
    mirai_buf_free(&cookie);
}

static void on_login(void *data, const struct mirai_rpc_reply *reply)
{
    struct exchange *exchange = exchange_called(data);
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

/* A login from another site would put the victim into the attacker's account. Programs send neither header.
 */
static bool is_cross_site_login(const struct exchange *exchange)
{
    struct mirai_str site = exchange_header_by_name(exchange, "sec-fetch-site");
    struct mirai_str origin = exchange_header_by_name(exchange, "origin");
    struct mirai_str host = {exchange->req->authority.base, exchange->req->authority.len};
    return (site.len > 0 || origin.len > 0) && !header_same_origin(site, origin, host);
}

void handle_login(struct exchange *exchange)
{
    struct mirai_buf *params = &exchange->loop->params;
    struct mirai_faults faults = {.count = 0};
    struct mirai_str type = header_media_type(exchange_header(exchange, H2O_TOKEN_CONTENT_TYPE));
    if (is_cross_site_login(exchange)) {
        response_problem(exchange, PROBLEM_CROSS_SITE, NULL, (struct mirai_str){0});
        return;
    }
    params->len = 0;
    int err =
        header_is(type, "application/json")
            ? mirai_message_from_json(&mirai_message_login, exchange_body(exchange), NULL, params, &faults)
            : MIRAI_E_MEDIA_TYPE;
    if (err != 0) {
        response_fault(exchange, err, &faults);
        return;
    }
    exchange_call(exchange, MIRAI_METHOD_ID_auth_login, mirai_buf_str(params), on_login);
    sodium_memzero(params->data, params->len); /* the password is not needed any more */
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
