#include "libcommon/time.h"
#include "services/gateway/gateway.h"
#include "services/gateway/identity/attempts.h"
#include "services/gateway/identity/directory.h"
#include "services/gateway/identity/held.h"
#include "services/gateway/notes.h"

#include <sodium.h>
#include <stdlib.h>

/* Log in: find out where the password is checked and whether it is right, then have a session opened.
 *
 *   NAME@DOMAIN, DOMAIN\NAME          the directory
 *   NAME of a local account           the store
 *   any other NAME                    the directory, or where there is none the store, which works as hard for nothing
 *
 * What the directory finds good the store makes a session of (auth.directory); it refuses names of local accounts. Whoever is
 * refused is told no reason, and not before LOGIN_FAILURE_MS: how long it took tells nothing either. */

struct login_delay {
    uv_timer_t timer;
    struct login *login; /* NULL: its request is gone */
};

/* Lives with its exchange. */
struct login {
    struct exchange *exchange;
    struct mirai_login given; /* points into params */
    struct mirai_buf params;  /* of auth.login; holds the password */
    struct directory_job *job;
    struct login_delay *delay;
    enum problem problem;           /* what to answer, or NONE: */
    struct mirai_rpc_reply refusal; /* this */
};

static void forget_secrets(struct login *login)
{
    if (login->params.data != NULL) {
        sodium_memzero(login->params.data, login->params.cap);
    }
    mirai_buf_free(&login->params);
}

/* ------------------------------------------------------------------ the end: every login comes here once */

/* The answer is the session's matter, and so is the exchange's state. */
static void answer(struct login *login, const struct mirai_rpc_reply *reply)
{
    login->exchange->state = NULL;
    login->exchange->abandon = NULL;
    session_opened(login->exchange, reply);
}

static void answer_failure(struct login *login)
{
    struct exchange *exchange = login->exchange;
    if (login->problem != PROBLEM_NONE) {
        response_problem(exchange, login->problem, NULL, (struct mirai_str){0});
    } else {
        answer(login, &login->refusal);
    }
}

static void on_delay_closed(uv_handle_t *timer)
{
    free(timer->data);
}

static void end_delay(struct login_delay *delay)
{
    delay->login->delay = NULL;
    delay->login = NULL;
    uv_close((uv_handle_t *)&delay->timer, on_delay_closed);
}

static void on_due(uv_timer_t *timer)
{
    struct login_delay *delay = timer->data;
    struct login *login = delay->login;
    end_delay(delay);
    answer_failure(login);
}

/* Refused, or undecided: answered when it is due. */
static void login_failed(struct login *login)
{
    struct exchange *exchange = login->exchange;
    struct gateway_loop *loop = exchange->loop;
    uint64_t due_ms = exchange->started_us / 1000 + loop->gateway->settings.login_failure_ms;
    uint64_t now_ms = mirai_monotonic_ms();
    forget_secrets(login);
    if (due_ms <= now_ms || loop->stopping) {
        answer_failure(login);
        return;
    }
    login->delay = mirai_alloc(sizeof(*login->delay));
    login->delay->login = login;
    login->delay->timer.data = login->delay;
    uv_update_time(&loop->uv);
    uv_timer_init(&loop->uv, &login->delay->timer);
    uv_timer_start(&login->delay->timer, on_due, due_ms - now_ms, 0);
}

/* The store has decided. */
static void login_replied(struct login *login, const struct mirai_rpc_reply *reply)
{
    attempts_note(login->exchange, reply);
    if (reply->status == 0) {
        forget_secrets(login);
        answer(login, reply);
        return;
    }
    login->refusal = *reply;
    login->refusal.error = exchange_keep(login->exchange, reply->error);
    login->refusal.result = (struct mirai_str){0};
    login_failed(login);
}

/* The gateway has decided. */
static void login_refused(struct login *login, enum problem problem)
{
    attempts_note_outcome(login->exchange,
                          problem == PROBLEM_UNAUTHENTICATED ? ATTEMPT_FAILED : ATTEMPT_OPEN);
    login->problem = problem;
    login_failed(login);
}

/* ------------------------------------------------------------------ calls */

/* Each call has the whole deadline for itself: a directory may have taken its time. */
static void call(struct login *login, enum mirai_method_id id, bool as_system, struct mirai_str params,
                 mirai_rpc_cb callback)
{
    struct exchange *exchange = login->exchange;
    exchange->context.deadline_ms = mirai_monotonic_ms() + exchange->loop->gateway->settings.rpc_deadline_ms;
    exchange->context.principal = as_system ? mirai_context_system().principal : (struct mirai_principal){0};
    exchange_call(exchange, id, params, callback);
    exchange->context.principal = (struct mirai_principal){0};
}

/* ------------------------------------------------------------------ local */

static void on_login(void *data, const struct mirai_rpc_reply *reply)
{
    struct exchange *exchange = exchange_called(data);
    login_replied(exchange->state, reply);
}

static void ask_store(struct login *login)
{
    call(login, MIRAI_METHOD_ID_auth_login, false, mirai_buf_str(&login->params), on_login);
    forget_secrets(login); /* the password is not needed any more */
}

/* ------------------------------------------------------------------ directory */

static void open_session(struct login *login, const struct directory_person *person)
{
    struct gateway_loop *loop = login->exchange->loop;
    struct mirai_directory_login found = {0};
    mirai_set(directory_login, &found, name, person->name);
    mirai_set(directory_login, &found, directory_name, person->dn);
    if (person->display_name.len > 0) {
        mirai_set(directory_login, &found, display_name, person->display_name);
    }
    if (person->mail.len > 0) {
        mirai_set(directory_login, &found, email, person->mail);
    }
    mirai_set(directory_login, &found, role, (int)person->role);
    mirai_set(directory_login, &found, groups, person->groups);
    if (mirai_has(login, &login->given, otp)) {
        mirai_set(directory_login, &found, otp, login->given.otp);
    }
    mirai_set(directory_login, &found, client, login->given.client);
    loop->params.len = 0;
    mirai_message_encode(&mirai_message_directory_login, &found, &loop->params);
    call(login, MIRAI_METHOD_ID_auth_directory, true, mirai_buf_str(&loop->params), on_login);
    forget_secrets(login);
}

static void on_directory(void *data, enum directory_outcome outcome, const struct directory_person *person)
{
    struct login *login = data;
    login->job = NULL;
    directory_count(outcome);
    if (outcome == DIRECTORY_OK) {
        open_session(login, person);
        return;
    }
    note_denial_of(login->exchange, "auth.login", directory_outcome_slug(outcome), login->given.name);
    login_refused(login, outcome == DIRECTORY_UNAVAILABLE  ? PROBLEM_UNAVAILABLE
                         : outcome == DIRECTORY_OVERLOADED ? PROBLEM_OVERLOADED
                                                           : PROBLEM_UNAUTHENTICATED);
}

static void ask_directory(struct login *login)
{
    login->job = directory_login(login->exchange->loop->directory, login->given.name, login->given.password,
                                 on_directory, login);
}

/* ------------------------------------------------------------------ which of them */

static void on_place(void *data, const struct mirai_rpc_reply *reply)
{
    struct exchange *exchange = exchange_called(data);
    struct login *login = exchange->state;
    struct mirai_account_place place;
    if (reply->status != 0) {
        login_replied(login, reply);
        return;
    }
    int err = mirai_message_decode(&mirai_message_account_place, reply->result, MIRAI_INNER,
                                   &exchange->loop->arena, &place, NULL);
    mirai_arena_free(&exchange->loop->arena);
    if (err != 0) {
        login_refused(login, PROBLEM_INTERNAL);
    } else if (place.source == MIRAI_ACCOUNT_LOCAL) {
        ask_store(login);
    } else if (exchange->loop->directory == NULL) { /* it is closing */
        login_refused(login, PROBLEM_UNAVAILABLE);
    } else {
        ask_directory(login);
    }
}

static void ask_place(struct login *login)
{
    struct mirai_buf *params = &login->exchange->loop->params;
    struct mirai_account_name name = {0};
    mirai_set(account_name, &name, name, login->given.name);
    params->len = 0;
    mirai_message_encode(&mirai_message_account_name, &name, params);
    call(login, MIRAI_METHOD_ID_auth_place, true, mirai_buf_str(params), on_place);
}

/* Every login that is tried comes here once. */
static void login_begun(struct exchange *exchange)
{
    struct login *login = exchange->state;
    if (held_away(exchange->loop)) { /* else 503 and 401 would tell right passwords from wrong ones */
        login_refused(login, PROBLEM_UNAVAILABLE);
    } else if (exchange->loop->directory == NULL) {
        ask_store(login);
    } else if (directory_name_has_domain(login->given.name)) {
        ask_directory(login);
    } else {
        ask_place(login);
    }
}

/* ------------------------------------------------------------------ request */

/* A login from another site would put the victim into the attacker's account. Programs send neither header.
 */
static bool is_cross_site_login(const struct exchange *exchange)
{
    bool by_page = exchange_header_by_name(exchange, "sec-fetch-site").len > 0 ||
                   exchange_header_by_name(exchange, "origin").len > 0;
    return by_page && !exchange_same_origin(exchange);
}

/* The request ends: answered, or its client is gone. */
static void abandon(struct exchange *exchange)
{
    struct login *login = exchange->state;
    directory_cancel(login->job);
    if (login->delay != NULL) {
        end_delay(login->delay);
    }
    forget_secrets(login);
}

static int decode(struct login *login, const struct mirai_buf *bytes)
{
    struct mirai_arena *arena = &login->exchange->loop->arena;
    int err = mirai_message_decode(&mirai_message_login, mirai_buf_str(bytes), MIRAI_INNER, arena,
                                   &login->given, NULL);
    mirai_arena_free(arena); /* a login has no lists */
    return err;
}

/* The credentials, and what the gateway adds, as the parameters of auth.login. 0 or an error for the client. */
static int read_login(struct login *login, struct mirai_faults *faults)
{
    struct exchange *exchange = login->exchange;
    struct mirai_buf from_client = {0};
    int err =
        mirai_message_from_json(&mirai_message_login, exchange_body(exchange), NULL, &from_client, faults);
    if (err == 0) {
        err = decode(login, &from_client);
    }
    if (err == 0) {
        session_client(exchange, &login->given.client);
        mirai_mark(login, &login->given, client);
        mirai_buf_reserve(&login->params,
                          from_client.len + 1024); /* growing would leave copies of the password */
        mirai_message_encode(&mirai_message_login, &login->given, &login->params);
        err = decode(login, &login->params);
    }
    if (from_client.data != NULL) {
        sodium_memzero(from_client.data, from_client.cap);
    }
    mirai_buf_free(&from_client);
    return err;
}

void handle_login(struct exchange *exchange)
{
    struct mirai_faults faults = {.count = 0};
    struct mirai_str type = header_media_type(exchange_header(exchange, H2O_TOKEN_CONTENT_TYPE));
    if (is_cross_site_login(exchange)) {
        response_problem(exchange, PROBLEM_CROSS_SITE, NULL, (struct mirai_str){0});
        return;
    }
    struct login *login = h2o_mem_alloc_pool(&exchange->req->pool, sizeof(*login));
    *login = (struct login){.exchange = exchange};
    exchange->state = login;
    exchange->abandon = abandon;
    int err = header_is(type, "application/json") ? read_login(login, &faults) : MIRAI_E_MEDIA_TYPE;
    if (err != 0) {
        response_fault(exchange, err, &faults);
        return;
    }
    attempts_allow(exchange, login->given.name, login_begun);
}
