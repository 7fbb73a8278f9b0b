#include "libcommon/log.h"
#include "libcommon/stamps.h"
#include "libcommon/time.h"
#include "services/gateway/answers.h"
#include "services/gateway/gateway.h"
#include "services/gateway/identity/csrf.h"
#include "services/gateway/identity/held.h"
#include "services/gateway/notes.h"
#include "services/gateway/throttle.h"

#include <openssl/crypto.h>
#include <sodium.h>
#include <stdlib.h>

/* ------------------------------------------------------------------ cache of verified secrets */

/* Who a secret belongs to. One block with its lists and name; counted, because calls in flight read it. */
struct identity {
    struct mirai_principal principal;
    bool session;
    unsigned char rights[ANSWERS_RIGHTS_SIZE];
};

#define SETS (size_t)256
#define WAYS (size_t)4

/* Search does without the store, so it goes on when the store does not answer: for those who were known a
 * moment ago. Nothing can be revoked meanwhile, because that is the store's to do. */
#define GRACE_MS 60000 /* after the last time that the store knew the secret */
#define VOUCHED_MS                                                                                           \
    30000 /* while the stamps say that no access has changed; then the store hears that it is used */
#define SILENCE_MS 250 /* without an answer: the store is silent, and is not asked again for as long */

struct auth_entry {
    unsigned char digest[32];
    struct identity *identity; /* NULL: empty */
    uint64_t asked_ms;         /* mirai_monotonic_ms() when the store said so */
    uint64_t known_ms;         /* and when it last did, or its stamps */
    uint64_t ends_ms;          /* end of the secret's life */
    uint64_t stamp;            /* of access, read before the store was asked */
    bool vouched;              /* stamp is valid */
    unsigned generation;
};

/* Set-associative: bounded, no lists, the oldest of a set makes room. */
struct auth_cache {
    uint64_t silent_until_ms;
    char secret[HEADER_TOKEN_MAX]; /* the last one, and its digest: a client's next request has the same */
    size_t secret_len;
    unsigned char digest[32];
    struct auth_entry entries[SETS][WAYS];
};

struct auth_cache *auth_cache_new(void)
{
    return mirai_alloc(sizeof(struct auth_cache));
}

void auth_cache_free(struct auth_cache *cache)
{
    for (size_t i = 0; cache != NULL && i < SETS * WAYS; i++) {
        struct auth_entry *entry = &cache->entries[i / WAYS][i % WAYS];
        if (entry->identity != NULL) {
            h2o_mem_release_shared(entry->identity);
        }
    }
    if (cache != NULL) {
        sodium_memzero(cache->secret, sizeof(cache->secret));
    }
    free(cache);
}

void auth_changed(struct gateway *gateway)
{
    atomic_fetch_add_explicit(&gateway->access_generation, 1, memory_order_acq_rel);
}

static unsigned generation_of(const struct gateway_loop *loop)
{
    return atomic_load_explicit(&loop->gateway->access_generation, memory_order_acquire);
}

static struct auth_entry *cache_entry(const struct gateway_loop *loop, const unsigned char digest[32])
{
    struct auth_entry *set = loop->auth->entries[digest[0] % SETS];
    for (size_t i = 0; i < WAYS; i++) {
        if (set[i].identity != NULL && set[i].generation == generation_of(loop) &&
            memcmp(set[i].digest, digest, sizeof(set[i].digest)) == 0) {
            return &set[i];
        }
    }
    return NULL;
}

/* Whether access has changed since the entry's answer was asked for, as far as can be seen. */
static bool is_outdated(const struct gateway_loop *loop, const struct auth_entry *entry)
{
    return entry->vouched && loop->stamps != NULL &&
           mirai_stamps_read(loop->stamps, MIRAI_STAMPS_ACCESS) != entry->stamp;
}

/* On the store's host its stamps tell of a change before it is acknowledged, so that what they vouch for is as good as
 * a new answer. Elsewhere an answer is trusted for auth_cache_ms. */
static struct identity *cache_find(struct gateway_loop *loop, const unsigned char digest[32], uint64_t now_ms)
{
    uint64_t cache_ms = loop->gateway->settings.auth_cache_ms;
    struct auth_entry *entry = cache_entry(loop, digest);
    if (entry == NULL || now_ms >= entry->ends_ms || cache_ms == 0) {
        return NULL;
    }
    if (entry->identity->session && held_on()) { /* it may end in Redis, which has no stamps */
        return now_ms < entry->asked_ms + cache_ms && !is_outdated(loop, entry) ? entry->identity : NULL;
    }
    if (vouch_usable(loop, now_ms)) {
        uint64_t left_ms = entry->ends_ms - entry->asked_ms;
        uint64_t vouched_ms =
            left_ms / 4 < VOUCHED_MS ? left_ms / 4 : VOUCHED_MS; /* its use is to be noted */
        if (!entry->vouched || is_outdated(loop, entry) || now_ms >= entry->asked_ms + vouched_ms) {
            return NULL;
        }
        entry->known_ms = now_ms;
    } else if (now_ms >= entry->known_ms + cache_ms || is_outdated(loop, entry)) {
        return NULL;
    }
    return entry->identity;
}

/* Whether the store has known the secret lately. Who tries secrets at random has used up what the address may ask the
 * store; others at the same address go on. */
static bool was_known(const struct exchange *exchange)
{
    const struct auth_entry *set = exchange->loop->auth->entries[exchange->digest[0] % SETS];
    for (size_t i = 0; i < WAYS; i++) {
        if (set[i].identity != NULL && memcmp(set[i].digest, exchange->digest, sizeof(set[i].digest)) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_search(const struct route *route)
{
    return route->method == ROUTE_GET && route->rpc >= (int)MIRAI_METHOD_ID_search_query &&
           route->rpc < (int)MIRAI_METHOD_ID_search_reindex;
}

/* Who the secret belonged to a moment ago, where that is enough; else NULL. */
static struct identity *cache_find_late(const struct exchange *exchange, uint64_t now_ms)
{
    const struct gateway_loop *loop = exchange->loop;
    const struct auth_entry *entry = cache_entry(loop, exchange->digest);
    bool good = is_search(exchange->route) && entry != NULL && loop->gateway->settings.auth_cache_ms > 0 &&
                now_ms < entry->ends_ms && now_ms < entry->known_ms + GRACE_MS && !is_outdated(loop, entry);
    return good ? entry->identity : NULL;
}

/* Takes over one count of `identity`. */
static void cache_put(const struct exchange *exchange, uint64_t now_ms, uint64_t ends_ms,
                      struct identity *identity)
{
    struct auth_entry *set = exchange->loop->auth->entries[exchange->digest[0] % SETS];
    struct auth_entry *entry = &set[0];
    for (size_t i = 0; i < WAYS; i++) {
        if (memcmp(set[i].digest, exchange->digest, sizeof(set[i].digest)) == 0) {
            entry = &set[i];
            break;
        }
        if (set[i].asked_ms < entry->asked_ms) {
            entry = &set[i];
        }
    }
    if (entry->identity != NULL) {
        h2o_mem_release_shared(entry->identity);
    }
    *entry = (struct auth_entry){.identity = identity,
                                 .asked_ms = now_ms,
                                 .known_ms = now_ms,
                                 .ends_ms = ends_ms,
                                 .stamp = exchange->access_stamp,
                                 .vouched = exchange->access_vouched,
                                 .generation = exchange->access_generation};
    memcpy(entry->digest, exchange->digest, sizeof(entry->digest));
}

static struct identity *identity_new(const struct mirai_identity *from)
{
    size_t spaces = from->spaces.count * sizeof(int64_t), groups = from->groups.count * sizeof(int64_t);
    struct identity *identity =
        h2o_mem_alloc_shared(NULL, sizeof(*identity) + spaces + groups + from->name.len, NULL);
    char *at = (char *)(identity + 1);
    struct mirai_principal *principal = &identity->principal;
    *identity = (struct identity){.session = from->kind == MIRAI_TOKEN_KIND_SESSION};
    principal->user_id = from->user_id;
    principal->role = (enum mirai_role)from->role;
    principal->expires_at = identity->session ? 0 : from->expires_at;
    principal->token_id = from->token_id;
    principal->spaces = (int64_t *)at;
    principal->spaces_len = from->spaces.count;
    at = (char *)h2o_memcpy(at, from->spaces.items, spaces) + spaces;
    principal->groups = (int64_t *)at;
    principal->groups_len = from->groups.count;
    at = (char *)h2o_memcpy(at, from->groups.items, groups) + groups;
    principal->name = (struct mirai_str){h2o_memcpy(at, from->name.data, from->name.len), from->name.len};
    answers_rights(identity->rights, principal);
    return identity;
}

const unsigned char *auth_rights(const struct exchange *exchange)
{
    return exchange->identity->rights;
}

/* ------------------------------------------------------------------ check */

static void refuse(struct exchange *exchange, enum problem problem)
{
    if (problem != PROBLEM_UNAUTHENTICATED || throttle_address(exchange, RATE_UNAUTHENTICATED)) {
        response_problem(exchange, problem, NULL, (struct mirai_str){0});
    }
}

static void accept_identity(struct exchange *exchange, struct identity *identity)
{
    h2o_mem_addref_shared(identity);
    exchange->identity = identity;
    exchange->context.principal = identity->principal;
    exchange->by_session = identity->session;
    if (!throttle_account(exchange)) {
        return;
    }
    if (identity->principal.role < exchange->route->role) {
        note_denial(exchange, NULL, "forbidden");
        refuse(exchange, PROBLEM_FORBIDDEN);
        return;
    }
    traffic_user_seen(identity->principal.user_id, exchange->started_us);
    handler_authorized(exchange);
}

/* When the secret's life ends, unless it is used meanwhile: mirai_monotonic_ms(). */
static uint64_t end_of(const struct mirai_identity *identity, uint64_t now_ms)
{
    int64_t end = INT64_MAX, now = mirai_now_ms();
    if (mirai_has(identity, identity, expires_at)) {
        end = identity->expires_at;
    }
    if (mirai_has(identity, identity, idle_at) && identity->idle_at < end) {
        end = identity->idle_at;
    }
    return end == INT64_MAX ? UINT64_MAX : end > now ? now_ms + (uint64_t)(end - now) : now_ms;
}

static void on_token(void *data, const struct mirai_rpc_reply *reply)
{
    struct exchange *exchange = exchange_called(data);
    struct gateway_loop *loop = exchange->loop;
    struct mirai_identity found;
    if (reply->status == MIRAI_E_NOT_FOUND || reply->status == MIRAI_E_UNAUTHENTICATED) {
        note_denial(exchange, NULL, "unauthenticated");
        refuse(exchange, PROBLEM_UNAUTHENTICATED);
        return;
    }
    if (reply->status == MIRAI_E_UNAVAILABLE || reply->status == MIRAI_E_DEADLINE) {
        uint64_t now = mirai_monotonic_ms();
        struct identity *late = cache_find_late(exchange, now);
        loop->auth->silent_until_ms = now + SILENCE_MS;
        if (late != NULL) {
            accept_identity(exchange, late);
            return;
        }
    }
    if (reply->status != 0) {
        response_rpc_error(exchange, reply);
        return;
    }
    loop->auth->silent_until_ms = 0;
    if (mirai_message_decode(&mirai_message_identity, reply->result, MIRAI_INNER, &loop->arena, &found,
                             NULL) != 0) {
        mirai_arena_free(&loop->arena);
        mirai_log(ERROR, "auth.token's answer is not readable",
                  MIRAI_LOG_S("request_id", exchange_id(exchange)));
        refuse(exchange, PROBLEM_INTERNAL);
        return;
    }
    struct identity *identity = identity_new(&found);
    uint64_t now_ms = mirai_monotonic_ms(), ends_ms = end_of(&found, now_ms);
    mirai_arena_free(&loop->arena);
    h2o_mem_addref_shared(identity); /* ours, while the cache may drop its own */
    cache_put(exchange, now_ms, ends_ms, identity);
    accept_identity(exchange, identity);
    h2o_mem_release_shared(identity);
}

/* Whether the secret has the form of a session's. */
static bool is_session(struct mirai_str secret)
{
    return secret.len > 4 && memcmp(secret.data, "mks_", 4) == 0;
}

static void ask_store(struct exchange *exchange)
{
    struct gateway_loop *loop = exchange->loop;
    struct mirai_token_check check = {0};
    /* A change that comes while the store answers makes the answer old: remember what it was asked under. */
    uint64_t deadline_ms = exchange->context.deadline_ms, now_ms = mirai_monotonic_ms();
    exchange->access_generation = generation_of(loop);
    exchange->access_vouched = vouch_usable(loop, now_ms);
    if (exchange->access_vouched) {
        exchange->access_stamp = mirai_stamps_read(loop->stamps, MIRAI_STAMPS_ACCESS);
    }
    if (cache_find_late(exchange, now_ms) != NULL && now_ms + SILENCE_MS < deadline_ms) {
        exchange->context.deadline_ms = now_ms + SILENCE_MS;
    }
    if (held_on() && is_session(exchange->secret)) {
        exchange->context.deadline_ms = deadline_ms;
        held_check(exchange, on_token);
        return;
    }
    mirai_set(token_check, &check, sha256,
              ((struct mirai_str){(const char *)exchange->digest, sizeof(exchange->digest)}));
    loop->params.len = 0;
    mirai_message_encode(&mirai_message_token_check, &check, &loop->params);
    exchange_call(exchange, MIRAI_METHOD_ID_auth_token, mirai_buf_str(&loop->params), on_token);
    exchange->context.deadline_ms = deadline_ms;
}

/* HTTP/2 clients may send one header for each cookie (RFC 9113 §8.2.3). */
static bool find_cookie(struct exchange *exchange)
{
    const h2o_headers_t *headers = &exchange->req->headers;
    for (ssize_t at = -1; (at = h2o_find_header(headers, H2O_TOKEN_COOKIE, at)) >= 0;) {
        struct mirai_str cookies = {headers->entries[at].value.base, headers->entries[at].value.len};
        if (header_cookie(cookies, exchange->loop->gateway->settings.cookie, &exchange->secret)) {
            return header_token_valid(exchange->secret);
        }
    }
    return false;
}

/* A cookie comes along with whatever makes a browser send a request: what changes something must show that a page of
 * ours sent it, twice over. */
static enum problem check_forgery(const struct exchange *exchange)
{
    if (exchange->route->method == ROUTE_GET) {
        return PROBLEM_NONE;
    }
    if (!exchange_same_origin(exchange)) {
        return PROBLEM_CROSS_SITE;
    }
    return csrf_token_valid(exchange->secret, exchange_header_by_name(exchange, "x-csrf-token"))
               ? PROBLEM_NONE
               : PROBLEM_CSRF;
}

/* SHA-256 of the exchange's secret. */
static void digest_secret(struct exchange *exchange)
{
    struct auth_cache *cache = exchange->loop->auth;
    struct mirai_str secret = exchange->secret;
    if (secret.len != cache->secret_len || CRYPTO_memcmp(secret.data, cache->secret, secret.len) != 0) {
        crypto_hash_sha256(cache->digest, (const unsigned char *)secret.data, secret.len);
        memcpy(cache->secret, secret.data, secret.len);
        cache->secret_len = secret.len;
    }
    memcpy(exchange->digest, cache->digest, sizeof(exchange->digest));
}

bool auth_find_cookie(struct exchange *exchange)
{
    if (!find_cookie(exchange)) {
        return false;
    }
    digest_secret(exchange);
    return true;
}

void auth_check(struct exchange *exchange)
{
    struct mirai_str authorization = exchange_header(exchange, H2O_TOKEN_AUTHORIZATION);
    if (authorization.data != NULL) {
        if (!header_bearer(authorization, &exchange->secret)) {
            refuse(exchange, PROBLEM_UNAUTHENTICATED);
            return;
        }
    } else {
        exchange->by_cookie = true;
        if (!find_cookie(exchange)) {
            refuse(exchange, PROBLEM_UNAUTHENTICATED);
            return;
        }
        enum problem forged = check_forgery(exchange);
        if (forged != PROBLEM_NONE) {
            note_denial(exchange, NULL, problem_texts[forged].slug);
            refuse(exchange, forged);
            return;
        }
    }
    digest_secret(exchange);
    uint64_t now_ms = exchange->started_us / 1000;
    struct identity *identity = cache_find(exchange->loop, exchange->digest, now_ms);
    if (identity == NULL && exchange->loop->auth->silent_until_ms > now_ms &&
        !(held_on() && is_session(exchange->secret))) { /* it must still be in Redis */
        identity = cache_find_late(exchange, now_ms);
    }
    if (identity != NULL) {
        accept_identity(exchange, identity);
    } else if (was_known(exchange) || throttle_address_left(exchange, RATE_UNAUTHENTICATED)) {
        ask_store(exchange);
    }
}
