#include "libcommon/config.h"
#include "libcommon/log.h"
#include "libcommon/time.h"
#include "services/gateway/gateway.h"
#include "services/gateway/identity/shared_attempts.h"
#include "services/gateway/notes.h"

/* The brakes of attempts.c on the way of a login. */

static const char *const brake_names[ATTEMPTS_BRAKES] = {
    [ATTEMPTS_NO_BRAKE] = "none",
    [ATTEMPTS_PAIR] = "account-and-address",
    [ATTEMPTS_ADDRESS] = "address",
    [ATTEMPTS_ACCOUNT] = "account",
};

static struct mirai_counter *delayed[ATTEMPTS_BRAKES];

void attempts_init(void)
{
    for (enum attempt_brake brake = ATTEMPTS_PAIR; brake < ATTEMPTS_BRAKES; brake++) {
        char labels[40];
        snprintf(labels, sizeof(labels), "brake=\"%s\"", brake_names[brake]);
        delayed[brake] = mirai_metric_counter("mirai_gateway_logins_delayed_total",
                                              "Login attempts refused after failed ones", labels);
    }
    attempts_configure((uint64_t)mirai_config_int(MIRAI_CONFIG_LOGIN_FAILURES),
                       (uint64_t)mirai_config_int(MIRAI_CONFIG_LOGIN_WAIT_S) * 1000);
    shared_attempts_init();
}

/* The name is for the audit log only: people type passwords into the wrong field. */
static void refuse(struct exchange *exchange, struct mirai_str name, const struct attempt_wait *wait)
{
    mirai_counter_add(delayed[wait->brake], 1);
    note_denial_of(exchange, NULL, "too-many-attempts", name);
    if (wait->is_news) {
        mirai_log(WARNING, "logins are slowed down after failed ones",
                  MIRAI_LOG_S("request_id", exchange_id(exchange)),
                  MIRAI_LOG_S("address", exchange->context.client_address),
                  MIRAI_LOG_Z("brake", brake_names[wait->brake]), MIRAI_LOG_I("wait_ms", (int64_t)wait->ms));
    }
    exchange->retry_after_s = (unsigned)((wait->ms + 999) / 1000);
    response_problem(exchange, PROBLEM_THROTTLED, NULL, (struct mirai_str){0});
}

/* In the request's pool. */
struct login_attempt {
    struct exchange *exchange;
    struct mirai_str name;
    void (*allowed)(struct exchange *);
    uint64_t asked_ms; /* Redis */
    struct attempt own;
    struct shared_attempt shared;
    bool is_shared; /* Redis counts it */
};

static void allow(struct login_attempt *attempt)
{
    attempt->exchange->attempt = attempt;
    attempt->allowed(attempt->exchange);
}

/* This gateway alone decides. */
static void ask_own(struct login_attempt *attempt)
{
    struct exchange *exchange = attempt->exchange;
    struct attempt_wait wait =
        attempts_begin(&attempt->own, attempt->name, exchange_peer(exchange), mirai_monotonic_ms());
    if (wait.ms > 0) {
        refuse(exchange, attempt->name, &wait);
    } else {
        allow(attempt);
    }
}

/* What all gateways know decides. This one counts as well, for when Redis is away. */
static void on_asked(void *data, int status, const struct redisReply *reply)
{
    struct login_attempt *attempt = data;
    struct exchange *exchange = attempt->exchange;
    struct attempt_wait wait;
    uint64_t now_ms = mirai_monotonic_ms();
    exchange->command = NULL;
    exchange->context.deadline_ms += now_ms - attempt->asked_ms; /* the call may take its time */
    if (status == 0 && shared_attempts_read(reply, &wait, &attempt->shared.due_ms) != 0) {
        mirai_log(WARNING, "Redis answers nonsense about login attempts",
                  MIRAI_LOG_S("request_id", exchange_id(exchange)));
        status = MIRAI_E_INVALID;
    }
    if (status != 0) {
        ask_own(attempt);
    } else if (wait.ms > 0) {
        refuse(exchange, attempt->name, &wait);
    } else {
        attempts_begin_allowed(&attempt->own, attempt->name, exchange_peer(exchange), now_ms);
        attempt->is_shared = true;
        allow(attempt);
    }
}

void attempts_allow(struct exchange *exchange, struct mirai_str name, void (*allowed)(struct exchange *))
{
    struct attempt_rule rule;
    struct login_attempt *attempt = h2o_mem_alloc_pool(&exchange->req->pool, sizeof(*attempt));
    *attempt = (struct login_attempt){.exchange = exchange, .name = name, .allowed = allowed};
    if (exchange->loop->redis == NULL || !attempts_rule(ATTEMPTS_PAIR, &rule)) {
        ask_own(attempt);
        return;
    }
    attempt->asked_ms = mirai_monotonic_ms();
    shared_attempts_name(&attempt->shared, name, exchange_peer(exchange));
    exchange->command = shared_attempts_begin(exchange->loop->redis, &attempt->shared, on_asked, attempt);
}

void attempts_note_outcome(struct exchange *exchange, enum attempt_outcome outcome)
{
    struct login_attempt *attempt = exchange->attempt;
    if (attempt == NULL) {
        return;
    }
    exchange->attempt = NULL;
    attempts_end(&attempt->own, outcome, mirai_monotonic_ms());
    if (attempt->is_shared && exchange->loop->redis != NULL) {
        shared_attempts_end(exchange->loop->redis, &attempt->shared, outcome);
    }
}

void attempts_note(struct exchange *exchange, const struct mirai_rpc_reply *reply)
{
    bool asks_for_more = response_text_of(reply->error, "need").len > 0;
    bool refused_it = reply->status == MIRAI_E_UNAUTHENTICATED || reply->status == MIRAI_E_FORBIDDEN;
    attempts_note_outcome(exchange, reply->status == 0             ? ATTEMPT_GOOD
                                    : refused_it && !asks_for_more ? ATTEMPT_FAILED
                                                                   : ATTEMPT_OPEN);
}
