#include "services/gateway/identity/own_password.h"

#include "libcommon/time.h"
#include "services/gateway/identity/attempts.h"
#include "services/gateway/identity/directory.h"
#include "services/gateway/notes.h"

#include <sodium.h>

/* The store says whose account it is and which DN it has; the password is tried under this DN, so that no name finds the
 * entry of somebody else. */

/* Lives with its exchange, from the request to the directory's word. */
struct own_password {
    struct exchange *exchange;
    struct mirai_str password; /* in the request's pool */
    struct directory_job *job;
};

static void forget_password(struct own_password *own)
{
    sodium_memzero((char *)own->password.data, own->password.len);
    own->password.len = 0;
}

/* The request ends while somebody is asked. */
static void abandon(struct exchange *exchange)
{
    struct own_password *own = exchange->state;
    directory_cancel(own->job);
    forget_password(own);
}

/* From here on the exchange's state is another's. */
static struct exchange *let_go(struct own_password *own)
{
    struct exchange *exchange = own->exchange;
    forget_password(own);
    exchange->state = NULL;
    exchange->abandon = NULL;
    return exchange;
}

static void go_on(struct own_password *own)
{
    struct exchange *exchange = let_go(own);
    uint64_t due_ms = mirai_monotonic_ms() + exchange->loop->gateway->settings.rpc_deadline_ms;
    if (exchange->context.deadline_ms < due_ms) { /* the directory may have taken its time */
        exchange->context.deadline_ms = due_ms;
    }
    forward_call(exchange);
}

static void refuse(struct own_password *own, enum directory_outcome outcome)
{
    struct exchange *exchange = let_go(own);
    bool unknown = outcome == DIRECTORY_UNAVAILABLE || outcome == DIRECTORY_OVERLOADED;
    note_denial(exchange, NULL, directory_outcome_slug(outcome));
    attempts_note_outcome(exchange, unknown ? ATTEMPT_OPEN : ATTEMPT_FAILED);
    if (unknown) {
        response_problem(exchange,
                         outcome == DIRECTORY_UNAVAILABLE ? PROBLEM_UNAVAILABLE : PROBLEM_OVERLOADED, NULL,
                         (struct mirai_str){0});
    } else { /* as the store does: who asks is known, and the session goes on */
        response_problem(exchange, PROBLEM_FORBIDDEN, "the password is wrong", (struct mirai_str){0});
    }
}

static void on_directory(void *data, enum directory_outcome outcome, const struct directory_person *person)
{
    struct own_password *own = data;
    (void)person;
    own->job = NULL;
    if (outcome == DIRECTORY_OK) {
        own->exchange->password_checked = true;
        go_on(own);
    } else {
        refuse(own, outcome);
    }
}

static void on_account(void *data, const struct mirai_rpc_reply *reply)
{
    struct exchange *exchange = exchange_called(data);
    struct own_password *own = exchange->state;
    struct gateway_loop *loop = exchange->loop;
    struct mirai_user user;
    if (reply->status != 0) {
        attempts_note(let_go(own), reply);
        response_rpc_error(exchange, reply);
        return;
    }
    int err =
        mirai_message_decode(&mirai_message_user, reply->result, MIRAI_INNER, &loop->arena, &user, NULL);
    mirai_arena_free(&loop->arena); /* of its lists nothing is read */
    if (err != 0) {
        attempts_note_outcome(let_go(own), ATTEMPT_OPEN);
        response_fault(exchange, MIRAI_E_INTERNAL, NULL);
    } else if (user.source != MIRAI_ACCOUNT_DIRECTORY) {
        go_on(own);
    } else if (loop->directory == NULL) { /* it is closing */
        refuse(own, DIRECTORY_UNAVAILABLE);
    } else {
        own->job = directory_check(loop->directory, user.directory_name, user.name, own->password,
                                   on_directory, own);
        forget_password(own);
    }
}

static void ask_account(struct exchange *exchange)
{
    struct mirai_str key = exchange->context.idempotency_key;
    struct mirai_buf *params = &exchange->loop->params;
    params->len = 0;
    mirai_mp_write_map(params, 0);
    exchange->context.idempotency_key = (struct mirai_str){0}; /* of the call that follows */
    exchange_call(exchange, MIRAI_METHOD_ID_user_self, mirai_buf_str(params), on_account);
    exchange->context.idempotency_key = key;
}

bool own_password_asked(const struct exchange *exchange)
{
    int rpc = exchange->route->rpc;
    return exchange->loop->directory != NULL &&
           (rpc == MIRAI_METHOD_ID_second_factor_begin || rpc == MIRAI_METHOD_ID_second_factor_end);
}

void own_password_check(struct exchange *exchange)
{
    struct mirai_buf *params = &exchange->loop->params;
    struct mirai_str value, password;
    int err = forward_params(exchange, mirai_methods[exchange->route->rpc].params);
    mirai_arena_free(&exchange->loop->arena);
    if (err != 0) {
        attempts_note_outcome(exchange, ATTEMPT_OPEN); /* no password was looked at */
        return;
    }
    struct mirai_mp mp;
    if (mirai_mp_find(mirai_buf_str(params), "password", &value) != 0 ||
        (mp = mirai_mp(value), mirai_mp_read_str(&mp, &password)) != 0) {
        password = (struct mirai_str){0}; /* an empty body: the store tells what is missing */
    }
    struct own_password *own = h2o_mem_alloc_pool(&exchange->req->pool, sizeof(*own));
    *own = (struct own_password){.exchange = exchange, .password = exchange_keep(exchange, password)};
    exchange->state = own;
    exchange->abandon = abandon;
    sodium_memzero(params->data, params->len);
    ask_account(exchange);
}
