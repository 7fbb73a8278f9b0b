#include "libcommon/time.h"
#include "services/gateway/gateway.h"
#include "services/gateway/identity/csrf.h"

#include <sodium.h>

/* The browser's session: its token travels in a cookie that scripts cannot read. */

/* SameSite=Lax: a link from a mail opens the page with the session. What Lax sends along that Strict would not are
 * navigations that read; whatever changes something needs our origin and the CSRF token (auth.c). */
static void set_cookie(struct exchange *exchange, struct mirai_str token, int64_t seconds)
{
    struct mirai_str name = exchange->loop->gateway->settings.cookie;
    struct mirai_buf cookie = {0};
    mirai_buf_printf(&cookie, "%.*s=%.*s; Path=/; Max-Age=%lld; Secure; HttpOnly; SameSite=Lax",
                     MIRAI_STR_ARG(name), MIRAI_STR_ARG(token), (long long)seconds);
    response_header(exchange, H2O_TOKEN_SET_COOKIE, exchange_keep(exchange, mirai_buf_str(&cookie)));
    sodium_memzero(cookie.data, cookie.len);
    mirai_buf_free(&cookie);
}

/* ------------------------------------------------------------------ log in */

#define AGENT_MAX 200 /* characters of a User-Agent that are kept */

/* As many characters as the message takes. Nothing when it is not UTF-8. */
static struct mirai_str agent_of(const struct exchange *exchange)
{
    struct mirai_str agent = exchange_header(exchange, H2O_TOKEN_USER_AGENT);
    if (!mirai_utf8_valid(agent)) {
        return (struct mirai_str){0};
    }
    agent = mirai_utf8_prefix(agent, (size_t)AGENT_MAX * 4);
    while (mirai_utf8_length(agent) > AGENT_MAX) {
        agent = mirai_utf8_prefix(agent, agent.len - 1);
    }
    return agent;
}

void session_client(struct exchange *exchange, struct mirai_session_client *client)
{
    struct mirai_str agent = agent_of(exchange);
    *client = (struct mirai_session_client){0};
    if (agent.len > 0) {
        mirai_set(session_client, client, agent, agent);
    }
    if (auth_find_cookie(exchange)) {
        mirai_set(session_client, client, ends,
                  ((struct mirai_str){(const char *)exchange->digest, sizeof(exchange->digest)}));
    }
}

static void write_csrf_token(struct mirai_buf *mp, struct mirai_str secret)
{
    char token[CSRF_TOKEN_LEN + 1];
    csrf_token(secret, token);
    mirai_mp_write_cstr(mp, "csrf_token");
    mirai_mp_write_cstr(mp, token);
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
    if (exchange->secret.len > 0) { /* the session that the browser had has ended */
        auth_changed(loop->gateway);
    }
    int64_t left_ms = result.expires_at - mirai_now_ms();
    set_cookie(exchange, result.token, left_ms > 0 ? left_ms / 1000 : 0);
    /* All of the result but the secret. */
    loop->params.len = 0;
    mirai_mp_write_map(&loop->params, 3);
    mirai_mp_write_cstr(&loop->params, "user");
    mirai_buf_append_str(&loop->params, user);
    mirai_mp_write_cstr(&loop->params, "expires_at");
    mirai_buf_append_str(&loop->params, expires_at);
    write_csrf_token(&loop->params, result.token);
    response_json(exchange, 201, mirai_buf_str(&loop->params), RESPONSE_SECRET);
}

/* ------------------------------------------------------------------ who is logged in */

static void on_user(void *data, const struct mirai_rpc_reply *reply)
{
    struct exchange *exchange = exchange_called(data);
    struct mirai_buf *out = &exchange->loop->params;
    struct mirai_mp user = mirai_mp(reply->result);
    uint32_t members;
    if (reply->status != 0) {
        response_rpc_error(exchange, reply);
        return;
    }
    if (!exchange->by_cookie || mirai_mp_read_map(&user, &members) != 0) {
        response_json(exchange, 200, reply->result, RESPONSE_NO_STORE);
        return;
    }
    out->len = 0;
    mirai_mp_write_map(out, members + 1);
    mirai_buf_append(out, user.at, (size_t)(user.end - user.at));
    write_csrf_token(out, exchange->secret);
    response_json(exchange, 200, mirai_buf_str(out), RESPONSE_SECRET);
}

void handle_session(struct exchange *exchange)
{
    if (forward_params(exchange, &mirai_message_empty) == 0) {
        exchange_call(exchange, MIRAI_METHOD_ID_user_self, mirai_buf_str(&exchange->loop->params), on_user);
    }
    mirai_arena_free(&exchange->loop->arena);
}

/* ------------------------------------------------------------------ log out */

/* What the browser has kept of this origin: articles that may be read only by whoever was logged in. Not "cookies":
 * they do not know ports, so another installation on this host would lose its session as well. */
static void clear_site(struct exchange *exchange)
{
    static h2o_iovec_t name = {H2O_STRLIT("clear-site-data")};
    response_header_named(exchange, &name, MIRAI_STR("\"cache\", \"storage\""));
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
        clear_site(exchange);
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
