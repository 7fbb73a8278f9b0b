#include "services/gateway/gateway.h"
#include "services/gateway/identity/attempts.h"

#include <sodium.h>

/* Log in: find out whether name and password are right, then have a session opened. */

static void on_login(void *data, const struct mirai_rpc_reply *reply)
{
    struct exchange *exchange = exchange_called(data);
    attempts_note(exchange, reply);
    session_opened(exchange, reply);
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
    if (attempts_allow(exchange, response_text_of(mirai_buf_str(params), "name"))) {
        exchange_call(exchange, MIRAI_METHOD_ID_auth_login, mirai_buf_str(params), on_login);
    }
    sodium_memzero(params->data, params->len); /* the password is not needed any more */
}
