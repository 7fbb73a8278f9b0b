#include "libcommon/config.h"
#include "libcommon/log.h"
#include "libcommon/time.h"
#include "services/gateway/gateway.h"
#include "services/gateway/identity/attempts.h"
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

bool attempts_allow(struct exchange *exchange, struct mirai_str name)
{
    struct attempt *attempt = h2o_mem_alloc_pool(&exchange->req->pool, sizeof(*attempt));
    struct attempt_wait wait =
        attempts_begin(attempt, name, exchange_peer(exchange), exchange->started_us / 1000);
    if (wait.ms > 0) {
        refuse(exchange, name, &wait);
        return false;
    }
    exchange->attempt = attempt;
    return true;
}

void attempts_note_outcome(struct exchange *exchange, enum attempt_outcome outcome)
{
    if (exchange->attempt != NULL) {
        attempts_end(exchange->attempt, outcome, mirai_monotonic_ms());
        exchange->attempt = NULL;
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
