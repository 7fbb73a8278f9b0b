#include "services/gateway/identity/recheck.h"

#include "libcommon/log.h"
#include "libcommon/time.h"
#include "proto/methods.h"

#include <stdlib.h>

#define CLAIM 100 /* accounts at a time */

/* One account that was claimed: looked up, then reported. */
struct check {
    struct recheck *recheck;
    int64_t id;
    struct directory_job *job;
    struct mirai_rpc_call *call;
};

struct recheck {
    struct directory *directory;
    struct mirai_rpc_client *store;
    uint64_t interval_ms, tick_ms;
    uv_timer_t timer;
    struct mirai_rpc_call *claim; /* in flight, or NULL */
    struct check checks[CLAIM];
    size_t pending;
    bool more; /* the last claim was full: there may be more */
};

static struct mirai_rpc_call *call(struct recheck *recheck, enum mirai_method_id id, const void *params,
                                   mirai_rpc_cb callback, void *data)
{
    const struct mirai_context context = mirai_context_system();
    return mirai_method_call(recheck->store, id, &context, params, callback, data);
}

static void claim(struct recheck *recheck);

static void check_is_over(struct check *check)
{
    struct recheck *recheck = check->recheck;
    if (--recheck->pending == 0 && recheck->more) {
        recheck->more = false;
        claim(recheck);
    }
}

/* ------------------------------------------------------------------ reporting */

static void on_updated(void *data, const struct mirai_rpc_reply *reply)
{
    struct check *check = data;
    check->call = NULL;
    if (reply->status != 0 && reply->status != MIRAI_E_NOT_FOUND) {
        mirai_log(WARNING, "what the directory says of an account was not noted",
                  MIRAI_LOG_I("user", check->id), MIRAI_LOG_Z("reason", mirai_error_slug(reply->status)));
    }
    check_is_over(check);
}

static void set_person(struct mirai_directory_state *state, const struct directory_person *person)
{
    mirai_set(directory_state, state, role, (int)person->role);
    mirai_set(directory_state, state, directory_name, person->dn);
    mirai_set(directory_state, state, display_name, person->display_name);
    mirai_set(directory_state, state, email, person->mail);
    mirai_set(directory_state, state, groups, person->groups);
}

static void on_looked_up(void *data, enum directory_outcome outcome, const struct directory_person *person)
{
    struct check *check = data;
    struct mirai_directory_state state = {0};
    check->job = NULL;
    if (outcome == DIRECTORY_UNAVAILABLE || outcome == DIRECTORY_OVERLOADED) {
        check_is_over(check); /* nothing is known: nothing changes */
        return;
    }
    mirai_set(directory_state, &state, id, check->id);
    mirai_set(directory_state, &state, role, MIRAI_ROLE_NONE);
    if (person != NULL) {
        set_person(&state, person);
    }
    if (outcome != DIRECTORY_OK) {
        mirai_log(INFO, "the directory gives an account no access any more", MIRAI_LOG_I("user", check->id),
                  MIRAI_LOG_Z("reason", directory_outcome_slug(outcome)));
    }
    check->call = call(check->recheck, MIRAI_METHOD_ID_directory_update, &state, on_updated, check);
}

/* ------------------------------------------------------------------ claiming */

static void look_up(struct recheck *recheck, const struct mirai_directory_accounts *accounts)
{
    size_t count = accounts->items.count < CLAIM ? accounts->items.count : CLAIM;
    recheck->more = count == CLAIM;
    recheck->pending = count;
    for (size_t i = 0; i < count; i++) {
        const struct mirai_directory_account *account = &MIRAI_ITEMS(directory_account, &accounts->items)[i];
        struct check *check = &recheck->checks[i];
        *check = (struct check){.recheck = recheck, .id = account->id};
        check->job =
            directory_lookup(recheck->directory, account->directory_name, account->name, on_looked_up, check);
    }
}

static void on_claimed(void *data, const struct mirai_rpc_reply *reply)
{
    struct recheck *recheck = data;
    struct mirai_arena arena = {0};
    struct mirai_directory_accounts accounts;
    recheck->claim = NULL;
    if (reply->status != 0 || mirai_message_decode(&mirai_message_directory_accounts, reply->result,
                                                   MIRAI_INNER, &arena, &accounts, NULL) != 0) {
        mirai_log(WARNING, "accounts of the directory cannot be checked",
                  MIRAI_LOG_Z("reason", mirai_error_slug(reply->status)));
    } else {
        look_up(recheck, &accounts);
    }
    mirai_arena_free(&arena);
}

static void claim(struct recheck *recheck)
{
    struct mirai_directory_claim params = {0};
    /* A tick earlier than the interval, so that the next tick is not too late. */
    mirai_set(directory_claim, &params, before,
              mirai_now_ms() - (int64_t)(recheck->interval_ms - recheck->tick_ms));
    mirai_set(directory_claim, &params, limit, CLAIM);
    recheck->claim = call(recheck, MIRAI_METHOD_ID_directory_claim, &params, on_claimed, recheck);
}

static void on_tick(uv_timer_t *timer)
{
    struct recheck *recheck = timer->data;
    if (recheck->claim == NULL && recheck->pending == 0) {
        claim(recheck);
    }
}

struct recheck *recheck_new(uv_loop_t *loop, struct directory *directory, struct mirai_rpc_client *store,
                            uint64_t interval_ms)
{
    struct recheck *recheck = mirai_alloc(sizeof(*recheck));
    recheck->directory = directory;
    recheck->store = store;
    recheck->interval_ms = interval_ms;
    recheck->tick_ms = interval_ms / 4;
    uv_timer_init(loop, &recheck->timer);
    recheck->timer.data = recheck;
    uv_timer_start(&recheck->timer, on_tick, recheck->tick_ms, recheck->tick_ms);
    return recheck;
}

static void on_closed(uv_handle_t *timer)
{
    free(timer->data);
}

void recheck_free(struct recheck *recheck)
{
    if (recheck == NULL) {
        return;
    }
    if (recheck->claim != NULL) {
        mirai_rpc_cancel(recheck->claim);
    }
    for (size_t i = 0; i < CLAIM; i++) {
        directory_cancel(recheck->checks[i].job);
        if (recheck->checks[i].call != NULL) {
            mirai_rpc_cancel(recheck->checks[i].call);
        }
    }
    uv_close((uv_handle_t *)&recheck->timer, on_closed);
}
