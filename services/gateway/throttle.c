#include "services/gateway/throttle.h"

#include "libcommon/config.h"
#include "services/gateway/buckets.h"
#include "services/gateway/gateway.h"
#include "services/gateway/identity/held.h"
#include "services/gateway/notes.h"
#include "services/gateway/shared_rates.h"

#include <sodium.h>

#define SECOND_NS UINT64_C(1000000000)

/* What is missing in all buckets together comes back at their rates, so the requests that one gateway can answer fill
 * no more places than these: 100,000 requests/s from ever new addresses at 10 logins/s each are 10,000 buckets. */
#define ACCOUNT_SETS (size_t)1024
#define ADDRESS_SETS (size_t)4096

/* RateLimit-Policy and RateLimit as draft-ietf-httpapi-ratelimit-headers-10 has them. They stand on an answer when less
 * than this part of the quota is left (ibid., "Performance Considerations"): with plenty left they would tell a client
 * nothing, and cost more than counting does. */
#define TELL_BELOW(q) ((q) / 2)

static struct limit {
    struct bucket_limit bucket;
    uint64_t quota;
    char policy[64]; /* value of RateLimit-Policy */
    size_t policy_len;
    struct mirai_counter *refused;
} limits[RATE_COUNT];

static const struct {
    const char *name;
    enum mirai_config_key per_second;
} classes[RATE_COUNT] = {
    [RATE_READS] = {"reads", MIRAI_CONFIG_RATE_READS},
    [RATE_WRITES] = {"writes", MIRAI_CONFIG_RATE_WRITES},
    [RATE_SEARCHES] = {"searches", MIRAI_CONFIG_RATE_SEARCHES},
    [RATE_UPLOADS] = {"uploads", MIRAI_CONFIG_RATE_UPLOADS},
    [RATE_LOGINS] = {"logins", MIRAI_CONFIG_RATE_LOGINS},
    [RATE_ANONYMOUS] = {"anonymous", MIRAI_CONFIG_RATE_ANONYMOUS},
    [RATE_PROBES] = {"probes", MIRAI_CONFIG_RATE_ANONYMOUS},
    [RATE_UNAUTHENTICATED] = {"unauthenticated", MIRAI_CONFIG_RATE_UNAUTHENTICATED},
};

static struct buckets *accounts, *addresses;
static unsigned char hash_key[crypto_shorthash_KEYBYTES]; /* nobody outside can aim at a place of the table */

/* Gateways that share their counts must give an address the same name. */
static void make_hash_key(void)
{
    unsigned char key[HELD_KEY_SIZE];
    if (held_on()) {
        held_shared_key("mirai rates 1", key);
    } else {
        randombytes_buf(key, sizeof(key));
    }
    memcpy(hash_key, key, sizeof(hash_key));
    sodium_memzero(key, sizeof(key));
}

int throttle_init(void)
{
    uint64_t window = (uint64_t)mirai_config_int(MIRAI_CONFIG_RATE_WINDOW_S);
    for (enum rate rate = 0; rate < RATE_COUNT; rate++) {
        struct limit *limit = &limits[rate];
        uint64_t per_second = (uint64_t)mirai_config_int(classes[rate].per_second);
        char labels[40];
        limit->bucket.interval_ns = per_second > 0 ? SECOND_NS / per_second : 0;
        limit->bucket.window_ns = window * SECOND_NS;
        limit->quota = per_second * window;
        limit->policy_len =
            (size_t)snprintf(limit->policy, sizeof(limit->policy), "\"%s\";q=%llu;w=%llu", classes[rate].name,
                             (unsigned long long)limit->quota, (unsigned long long)window);
        snprintf(labels, sizeof(labels), "class=\"%s\"", classes[rate].name);
        limit->refused =
            mirai_metric_counter("mirai_gateway_throttled_total", "Requests refused by rate limits", labels);
    }
    make_hash_key();
    accounts = buckets_new(ACCOUNT_SETS, held_on());
    addresses = buckets_new(ADDRESS_SETS, held_on());
    return accounts != NULL && addresses != NULL ? 0 : MIRAI_E_NO_SPACE;
}

void throttle_share(struct gateway_loop *loop)
{
    if (loop->redis != NULL) {
        loop->shared_rates = shared_rates_new(&(struct shared_rates_options){
            .loop = &loop->uv,
            .redis = loop->redis,
            .prefix = held_prefix(),
            .tables = {accounts, addresses},
            .window_ns = limits[RATE_READS].bucket.window_ns,
        });
    }
}

enum rate throttle_rate_of(const struct route *route)
{
    static const struct {
        unsigned flag;
        enum rate rate;
    } special[] = {
        {ROUTE_SEARCHES, RATE_SEARCHES},
        {ROUTE_ANY_BODY, RATE_UPLOADS},
        {ROUTE_TRIES_PASSWORD, RATE_LOGINS},
        {ROUTE_PROBE, RATE_PROBES},
    };
    if ((route->flags & (ROUTE_SEARCHES | ROUTE_ANY_BODY | ROUTE_TRIES_PASSWORD | ROUTE_PROBE)) != 0) {
        for (size_t i = 0; i < sizeof(special) / sizeof(special[0]); i++) {
            if ((route->flags & special[i].flag) != 0) {
                return special[i].rate;
            }
        }
    }
    return route->role == MIRAI_ROLE_NONE ? RATE_ANONYMOUS
           : route->method == ROUTE_GET   ? RATE_READS
                                          : RATE_WRITES;
}

/* ------------------------------------------------------------------ keys */

/* Users' numbers are the store's, not the client's: mixing them (Knuth's multiplicative hash) spreads them enough, and
 * an odd factor keeps them apart. */
static uint64_t account_key(int64_t user_id, enum rate rate)
{
    return ((uint64_t)user_id * RATE_COUNT + rate + 1) * UINT64_C(0x9e3779b97f4a7c15);
}

static uint64_t address_key(struct exchange *exchange, enum rate rate)
{
    unsigned char hash[crypto_shorthash_BYTES];
    uint64_t key;
    struct {
        struct address client;
        uint32_t rate;
    } of = {address_client(exchange_peer(exchange)), rate};
    crypto_shorthash(hash, (const unsigned char *)&of, sizeof(of), hash_key);
    memcpy(&key, hash, sizeof(key));
    return key != 0 ? key : 1;
}

/* ------------------------------------------------------------------ answers */

static uint64_t seconds_up(uint64_t ns)
{
    return (ns + SECOND_NS - 1) / SECOND_NS;
}

static void put(struct exchange *exchange, struct mirai_str name, struct mirai_str value)
{
    h2o_add_header_by_str(&exchange->req->pool, &exchange->req->res.headers, name.data, name.len, 0, NULL,
                          value.data, value.len);
}

/* A bucket fills all the time, so more is there within a second at the latest, or after the wait. */
static void tell(struct exchange *exchange, enum rate rate, const struct bucket_state *state)
{
    const struct limit *limit = &limits[rate];
    char *value = h2o_mem_alloc_pool(&exchange->req->pool, 64);
    uint64_t reset = seconds_up(state->wait_ns);
    int len = snprintf(value, 64, "\"%s\";r=%llu;t=%llu", classes[rate].name,
                       (unsigned long long)state->remaining, (unsigned long long)(reset > 1 ? reset : 1));
    put(exchange, MIRAI_STR("ratelimit-policy"), (struct mirai_str){limit->policy, limit->policy_len});
    put(exchange, MIRAI_STR("ratelimit"), (struct mirai_str){value, (size_t)len});
}

static bool settle(struct exchange *exchange, enum rate rate, const struct bucket_state *state)
{
    const struct limit *limit = &limits[rate];
    if (state->remaining < TELL_BELOW(limit->quota) || !state->taken) {
        tell(exchange, rate, state);
    }
    if (!state->taken) {
        mirai_counter_add(limit->refused, 1);
        if (rate == RATE_LOGINS) {
            note_denial(exchange, NULL, "too-many-requests");
        }
        exchange->retry_after_s = (unsigned)seconds_up(state->wait_ns);
        response_problem(exchange, PROBLEM_THROTTLED, NULL, (struct mirai_str){0});
    }
    return state->taken;
}

bool throttle_account(struct exchange *exchange)
{
    enum rate rate = throttle_rate_of(exchange->route);
    const struct bucket_limit *limit = &limits[rate].bucket;
    if (limit->interval_ns == 0) {
        return true;
    }
    uint64_t key = account_key(exchange->context.principal.user_id, rate);
    struct bucket_state state = buckets_take(accounts, key, limit, exchange->started_us * 1000);
    return settle(exchange, rate, &state);
}

bool throttle_address(struct exchange *exchange, enum rate rate)
{
    const struct bucket_limit *limit = &limits[rate].bucket;
    if (limit->interval_ns == 0) {
        return true;
    }
    struct bucket_state state =
        buckets_take(addresses, address_key(exchange, rate), limit, exchange->started_us * 1000);
    return settle(exchange, rate, &state);
}

bool throttle_address_left(struct exchange *exchange, enum rate rate)
{
    const struct bucket_limit *limit = &limits[rate].bucket;
    if (limit->interval_ns == 0) {
        return true;
    }
    struct bucket_state state =
        buckets_look(addresses, address_key(exchange, rate), limit, exchange->started_us * 1000);
    return state.taken || settle(exchange, rate, &state);
}
