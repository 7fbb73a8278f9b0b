#include "services/gateway/identity/held.h"
#include "services/gateway/notes.h"

#include "libcommon/config.h"
#include "libcommon/log.h"
#include "libcommon/time.h"
#include "services/gateway/identity/attempts.h"
#include "services/gateway/identity/held_record.h"
#include "services/gateway/identity/redis.h"
#include "services/gateway/identity/stream.h"

#include <hiredis/hiredis.h>
#include <sodium.h>
#include <stdio.h>

#define SESSIONS_MAX 50 /* of one user; the oldest ends first, as in the store */
#define KEY_MIN      32 /* characters of MIRAI_SESSION_KEY */
#define MINUTE_MS    INT64_C(60000)
#define HEX_SIZE     (2 * HELD_DIGEST_SIZE + 1)
#define SECRET_BYTES 32 /* random ones */
#define SECRET_SIZE  (4 + sodium_base64_ENCODED_LEN(SECRET_BYTES, sodium_base64_VARIANT_URLSAFE_NO_PADDING))

static struct {
    bool on;
    struct redis_url url;
    struct mirai_str key;
    char prefix[64]; /* of all keys */
    int64_t idle_ms; /* 0: for ever */
} held;

/* ------------------------------------------------------------------ scripts */

/* Each is atomic: gateways see a session whole or not at all. A key that a script makes from its prefix argument is on the
 * same server (this is not for Redis Cluster). */

/* KEYS session, id, user, the session that ends; ARGV record, idle ms, life ms, number, digest, sessions at most, prefix. */
static const char script_open[] = "redis.call('DEL', KEYS[4])\n"
                                  "redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])\n"
                                  "redis.call('SET', KEYS[2], ARGV[5], 'PX', ARGV[3])\n"
                                  "redis.call('ZADD', KEYS[3], ARGV[4], ARGV[5])\n"
                                  "redis.call('PEXPIRE', KEYS[3], ARGV[3])\n"
                                  "local more = redis.call('ZCARD', KEYS[3]) - tonumber(ARGV[6])\n"
                                  "if more > 0 then\n"
                                  "  for _, digest in ipairs(redis.call('ZRANGE', KEYS[3], 0, more - 1)) do\n"
                                  "    redis.call('DEL', ARGV[7] .. digest)\n"
                                  "  end\n"
                                  "  redis.call('ZREMRANGEBYRANK', KEYS[3], 0, more - 1)\n"
                                  "end\n"
                                  "return 1";

/* KEYS session, id, user; ARGV digest. */
static const char script_close[] = "redis.call('ZREM', KEYS[3], ARGV[1])\n"
                                   "redis.call('DEL', KEYS[2])\n"
                                   "return redis.call('DEL', KEYS[1])";

/* KEYS user; ARGV prefix: digest, record and ms left of each that lives. */
static const char script_list[] = "local all = {}\n"
                                  "for _, digest in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do\n"
                                  "  local record = redis.call('GET', ARGV[1] .. digest)\n"
                                  "  if record then\n"
                                  "    all[#all + 1] = digest\n"
                                  "    all[#all + 1] = record\n"
                                  "    all[#all + 1] = redis.call('PTTL', ARGV[1] .. digest)\n"
                                  "  else\n"
                                  "    redis.call('ZREM', KEYS[1], digest)\n"
                                  "  end\n"
                                  "end\n"
                                  "return all";

/* KEYS id; ARGV prefix: digest and record. */
static const char script_find[] = "local digest = redis.call('GET', KEYS[1])\n"
                                  "if not digest then return {} end\n"
                                  "local record = redis.call('GET', ARGV[1] .. digest)\n"
                                  "if not record then return {} end\n"
                                  "return {digest, record}";

/* KEYS user; ARGV prefix, digest of the one that is spared (or empty), its new record: how many ended. */
static const char script_end_all[] = "local ended = 0\n"
                                     "for _, digest in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do\n"
                                     "  if digest ~= ARGV[2] then\n"
                                     "    ended = ended + redis.call('DEL', ARGV[1] .. digest)\n"
                                     "    redis.call('ZREM', KEYS[1], digest)\n"
                                     "  end\n"
                                     "end\n"
                                     "if ARGV[2] ~= '' then\n"
                                     "  redis.call('SET', ARGV[1] .. ARGV[2], ARGV[3], 'XX', 'KEEPTTL')\n"
                                     "end\n"
                                     "return ended";

/* ------------------------------------------------------------------ configuration */

int held_init(void)
{
    const char *url = mirai_config_str(MIRAI_CONFIG_SESSION_URL);
    held.key = mirai_str(mirai_config_str(MIRAI_CONFIG_SESSION_KEY));
    if (url[0] == '\0') {
        return 0;
    }
    if (redis_url_parse(mirai_str(url), &held.url) != 0) {
        mirai_log(ERROR, "MIRAI_SESSION_URL is no redis://, rediss:// or unix:// address");
        return MIRAI_E_INVALID;
    }
    if (mirai_utf8_length(held.key) < KEY_MIN) {
        mirai_log(ERROR, "MIRAI_SESSION_KEY needs at least 32 characters where sessions are kept in Redis");
        return MIRAI_E_INVALID;
    }
    const char *installation = mirai_config_str(MIRAI_CONFIG_INSTALLATION);
    snprintf(held.prefix, sizeof(held.prefix), "mirai:%s%s", installation,
             installation[0] != '\0' ? ":" : "");
    held.idle_ms = mirai_config_int(MIRAI_CONFIG_SESSION_IDLE_MINUTES) * MINUTE_MS;
    held.on = true;
    return 0;
}

bool held_on(void)
{
    return held.on;
}

bool held_away(const struct gateway_loop *loop)
{
    return held.on && redis_away(loop->redis);
}

const char *held_prefix(void)
{
    return held.prefix;
}

void held_shared_key(const char *purpose, unsigned char key[HELD_KEY_SIZE])
{
    crypto_auth_hmacsha256_state state;
    static const unsigned char none[1];
    crypto_auth_hmacsha256_init(&state, held.key.len > 0 ? (const unsigned char *)held.key.data : none,
                                held.key.len);
    crypto_auth_hmacsha256_update(&state, (const unsigned char *)purpose, strlen(purpose) + 1);
    crypto_auth_hmacsha256_final(&state, key);
    sodium_memzero(&state, sizeof(state));
}

int held_open(struct gateway_loop *loop)
{
    SSL_CTX *tls = NULL;
    if (!held.on) {
        return 0;
    }
    if (held.url.tls && (tls = stream_tls_new(mirai_config_str(MIRAI_CONFIG_SESSION_CA_FILE))) == NULL) {
        return MIRAI_E_INVALID;
    }
    loop->redis_tls = tls;
    loop->redis = redis_new(&(struct redis_options){.loop = &loop->uv,
                                                    .url = &held.url,
                                                    .tls = tls,
                                                    .timeout_ms = loop->gateway->settings.rpc_deadline_ms});
    return 0;
}

void held_close(struct gateway_loop *loop)
{
    redis_free(loop->redis);
    SSL_CTX_free(loop->redis_tls);
    loop->redis = NULL;
    loop->redis_tls = NULL;
}

/* ------------------------------------------------------------------ keys and records */

/* What a request on sessions needs from one step to the next. In the request's pool. */
struct held_state {
    struct exchange *exchange;
    mirai_rpc_cb callback; /* of held_check */
    struct mirai_held_record record;
    struct mirai_str user, expires_at; /* of a login */
    char secret[SECRET_SIZE];
    unsigned char digest[HELD_DIGEST_SIZE];
    int64_t user_id;
    bool answered;           /* of held_rpc: the store has done what was asked for */
    struct mirai_str result; /* and this is its result */
    struct mirai_session_list list;
    struct mirai_held_record *records; /* of a list, and what is left of each */
    int64_t *left_ms;
    size_t count;
};

static struct held_state *state_new(struct exchange *exchange)
{
    struct held_state *state = h2o_mem_alloc_pool(&exchange->req->pool, sizeof(*state));
    *state = (struct held_state){.exchange = exchange};
    memcpy(state->digest, exchange->digest, sizeof(state->digest));
    exchange->state = state;
    return state;
}

/* Of what a Redis command has answered. */
static struct exchange *held_called(const struct held_state *state)
{
    state->exchange->command = NULL;
    return state->exchange;
}

static struct mirai_str key_of(struct exchange *exchange, const char *kind, struct mirai_str name)
{
    struct mirai_buf key = {0};
    mirai_buf_printf(&key, "%s%s%.*s", held.prefix, kind, MIRAI_STR_ARG(name));
    struct mirai_str kept = exchange_keep(exchange, mirai_buf_str(&key));
    mirai_buf_free(&key);
    return kept;
}

static struct mirai_str number_of(struct exchange *exchange, int64_t number)
{
    char text[24];
    snprintf(text, sizeof(text), "%lld", (long long)number);
    return exchange_keep(exchange, mirai_str(text));
}

static struct mirai_str hex_of(struct exchange *exchange, const unsigned char digest[HELD_DIGEST_SIZE])
{
    char hex[HEX_SIZE];
    mirai_hex(hex, digest, HELD_DIGEST_SIZE);
    return exchange_keep(exchange, mirai_str(hex));
}

static struct mirai_str session_key(struct exchange *exchange, const unsigned char digest[HELD_DIGEST_SIZE])
{
    return key_of(exchange, "session:", hex_of(exchange, digest));
}

static struct mirai_str id_key(struct exchange *exchange, int64_t id)
{
    return key_of(exchange, "id:", number_of(exchange, id));
}

static struct mirai_str user_key(struct exchange *exchange, int64_t user_id)
{
    return key_of(exchange, "user:", number_of(exchange, user_id));
}

static struct mirai_str session_prefix(struct exchange *exchange)
{
    return key_of(exchange, "session:", (struct mirai_str){0});
}

/* How long a session that is used now stays. */
static int64_t idle_ms(int64_t expires_at)
{
    int64_t left = expires_at - mirai_now_ms();
    left = left > 0 ? left : 1;
    return held.idle_ms > 0 && held.idle_ms < left ? held.idle_ms : left;
}

static void fail(struct exchange *exchange, int status)
{
    attempts_note_outcome(exchange, ATTEMPT_OPEN); /* no password was looked at */
    response_fault(exchange, status == MIRAI_E_CANCELLED ? MIRAI_E_UNAVAILABLE : status, NULL);
}

static struct mirai_str text_of(const struct redisReply *reply)
{
    return reply->type == REDIS_REPLY_STRING ? (struct mirai_str){reply->str, (size_t)reply->len}
                                             : (struct mirai_str){0};
}

/* The record that Redis gave for a digest, its strings copied. 0, or MIRAI_E_INVALID with a log line: then somebody else
 * writes there, or the key is another one. */
static int open_record(struct exchange *exchange, const unsigned char digest[HELD_DIGEST_SIZE],
                       struct mirai_str sealed, struct mirai_held_record *record)
{
    struct mirai_str kept = exchange_keep(exchange, sealed);
    int err = held_record_open(held.key, digest, kept, mirai_now_ms(), &exchange->loop->arena, record);
    mirai_arena_free(&exchange->loop->arena); /* a record has no lists */
    if (err != 0) {
        mirai_log(WARNING, "Redis holds a session that is not ours or has ended",
                  MIRAI_LOG_S("request_id", exchange_id(exchange)));
    }
    return err;
}

static struct mirai_str seal_record(struct exchange *exchange, const unsigned char digest[HELD_DIGEST_SIZE],
                                    const struct mirai_held_record *record)
{
    struct mirai_buf sealed = {0};
    held_record_seal(held.key, digest, record, &sealed);
    struct mirai_str kept = exchange_keep(exchange, mirai_buf_str(&sealed));
    mirai_buf_free(&sealed);
    return kept;
}

/* ------------------------------------------------------------------ log in */

static void on_opened(void *data, int status, const struct redisReply *reply)
{
    struct held_state *state = data;
    struct exchange *exchange = held_called(state);
    char secret[SECRET_SIZE];
    (void)reply;
    memcpy(secret, state->secret, sizeof(secret));
    sodium_memzero(state->secret, sizeof(state->secret)); /* the state may be gone after the answer */
    if (status != 0) {
        fail(exchange, status);
    } else {
        session_answer(exchange, mirai_str(secret), state->record.expires_at, state->user, state->expires_at);
    }
    sodium_memzero(secret, sizeof(secret));
}

/* 256 random bits, in the form of the store's own sessions. */
static void make_secret(struct held_state *state)
{
    unsigned char random[SECRET_BYTES];
    memcpy(state->secret, "mks_", 4);
    randombytes_buf(random, sizeof(random));
    sodium_bin2base64(state->secret + 4, SECRET_SIZE - 4, random, sizeof(random),
                      sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    crypto_hash_sha256(state->digest, (const unsigned char *)state->secret, strlen(state->secret));
    sodium_memzero(random, sizeof(random));
}

static void on_number(void *data, int status, const struct redisReply *reply)
{
    struct held_state *state = data;
    struct exchange *exchange = held_called(state);
    if (status != 0 || reply->type != REDIS_REPLY_INTEGER || reply->integer < 1) {
        fail(exchange, status != 0 ? status : MIRAI_E_UNAVAILABLE);
        return;
    }
    mirai_set(held_record, &state->record, id, reply->integer);
    bool ends = exchange->secret.len > 0; /* the browser presented a session */
    struct mirai_str ended =
        ends ? session_key(exchange, exchange->digest) : key_of(exchange, "none", MIRAI_STR(""));
    make_secret(state);
    int64_t expires_at = state->record.expires_at, left_ms = expires_at - mirai_now_ms();
    const struct mirai_str argv[] = {
        session_key(exchange, state->digest),
        id_key(exchange, state->record.id),
        user_key(exchange, state->record.user_id),
        ended,
        seal_record(exchange, state->digest, &state->record),
        number_of(exchange, idle_ms(expires_at)),
        number_of(exchange, left_ms > 0 ? left_ms : 1),
        number_of(exchange, state->record.id),
        hex_of(exchange, state->digest),
        number_of(exchange, SESSIONS_MAX),
        session_prefix(exchange),
    };
    exchange->command = redis_eval(exchange->loop->redis, script_open, 4, sizeof(argv) / sizeof(argv[0]),
                                   argv, on_opened, state);
}

void held_login(struct exchange *exchange, const struct mirai_login_result *result, struct mirai_str user,
                struct mirai_str expires_at)
{
    struct held_state *state = state_new(exchange);
    struct mirai_session_client client;
    session_client(exchange, &client);
    mirai_set(held_record, &state->record, user_id, result->user.id);
    mirai_set(held_record, &state->record, session_epoch, result->session_epoch);
    mirai_set(held_record, &state->record, created_at, mirai_now_ms());
    mirai_set(held_record, &state->record, expires_at, result->expires_at);
    mirai_set(held_record, &state->record, address, exchange->context.client_address);
    mirai_set(held_record, &state->record, agent, client.agent);
    state->user = exchange_keep(exchange, user);
    state->expires_at = exchange_keep(exchange, expires_at);
    const struct mirai_str argv[] = {MIRAI_STR("INCR"), key_of(exchange, "last", (struct mirai_str){0})};
    exchange->command = redis_command(exchange->loop->redis, 2, argv, on_number, state);
}

/* ------------------------------------------------------------------ whose session */

static const struct mirai_principal gateway_itself = {
    .user_id = MIRAI_USER_SYSTEM, .role = MIRAI_ROLE_ADMIN, .name = {"gateway", 7}};

/* Ask the store who the record's user is, as the gateway itself. */
static void call_held(struct exchange *exchange, const struct mirai_held_record *record,
                      mirai_rpc_cb callback)
{
    struct mirai_buf *params = &exchange->loop->params;
    struct mirai_held_session session = {0};
    struct mirai_principal principal = exchange->context.principal;
    mirai_set(held_session, &session, user_id, record->user_id);
    mirai_set(held_session, &session, session_epoch, record->session_epoch);
    mirai_set(held_session, &session, token_id, record->id);
    mirai_set(held_session, &session, expires_at, record->expires_at);
    params->len = 0;
    mirai_message_encode(&mirai_message_held_session, &session, params);
    exchange->context.principal = gateway_itself;
    exchange_call(exchange, MIRAI_METHOD_ID_auth_held, mirai_buf_str(params), callback);
    exchange->context.principal = principal;
}

static void on_record(void *data, int status, const struct redisReply *reply)
{
    struct held_state *state = data;
    struct exchange *exchange = held_called(state);
    exchange->state = NULL;
    if (status != 0) {
        fail(exchange, status);
        return;
    }
    if (reply->type != REDIS_REPLY_STRING ||
        open_record(exchange, exchange->digest, text_of(reply), &state->record) != 0) {
        const struct mirai_rpc_reply nobody = {.status = MIRAI_E_NOT_FOUND};
        state->callback(exchange, &nobody); /* refused, noted and counted as what the store does not know */
        return;
    }
    call_held(exchange, &state->record, state->callback);
}

void held_check(struct exchange *exchange, mirai_rpc_cb callback)
{
    struct held_state *state = state_new(exchange);
    state->callback = callback;
    /* GETEX also says that the session is used (Redis 6.2). */
    const struct mirai_str argv[] = {MIRAI_STR("GETEX"), session_key(exchange, exchange->digest),
                                     MIRAI_STR("PX"), number_of(exchange, held.idle_ms)};
    if (held.idle_ms > 0) {
        exchange->command = redis_command(exchange->loop->redis, 4, argv, on_record, state);
    } else {
        const struct mirai_str get[] = {MIRAI_STR("GET"), argv[1]};
        exchange->command = redis_command(exchange->loop->redis, 2, get, on_record, state);
    }
}

/* ------------------------------------------------------------------ end one */

static void on_noted(void *data, const struct mirai_rpc_reply *reply)
{
    (void)data;
    if (reply->status != 0) {
        mirai_log(WARNING, "the end of a session is missing in the audit log",
                  MIRAI_LOG_Z("reason", mirai_error_slug(reply->status)));
    }
}

/* The store notes what it does itself; it has no part in this. Nobody waits for it. */
static void note_end(struct exchange *exchange, int64_t id)
{
    struct gateway_loop *loop = exchange->loop;
    struct mirai_context context = exchange->context;
    struct mirai_audit_note note = {0};
    char object[40];
    if (loop->clients[UPSTREAM_STORE] == NULL) {
        return;
    }
    snprintf(object, sizeof(object), "session/%lld", (long long)id);
    const char *action = mirai_methods[exchange->route->rpc].name;
    mirai_set(audit_note, &note, action, mirai_str(action));
    mirai_set(audit_note, &note, object, mirai_str(object));
    mirai_set(audit_note, &note, result, MIRAI_STR("ok"));
    mirai_set(audit_note, &note, user_id, exchange->context.principal.user_id);
    loop->params.len = 0;
    mirai_message_encode(&mirai_message_audit_note, &note, &loop->params);
    context.principal = gateway_itself;
    context.idempotency_key = (struct mirai_str){0};
    mirai_rpc_call(loop->clients[UPSTREAM_STORE], mirai_methods[MIRAI_METHOD_ID_audit_append].name,
                   MIRAI_RPC_WRITE, &context, mirai_buf_str(&loop->params), on_noted, NULL);
}

static void on_closed(void *data, int status, const struct redisReply *reply)
{
    struct held_state *state = data;
    struct exchange *exchange = held_called(state);
    (void)reply;
    auth_changed(exchange->loop->gateway); /* also when nobody knows whether it was done */
    if (status == 0) {
        note_end(exchange, state->record.id);
    }
    if (status != 0) {
        fail(exchange, status);
    } else if (exchange->route->handle == handle_logout) {
        session_closed(exchange);
    } else {
        response_empty(exchange, 204, RESPONSE_NO_STORE);
    }
}

static void close_session(struct held_state *state, int64_t id, int64_t user_id)
{
    struct exchange *exchange = state->exchange;
    state->record.id = id;
    const struct mirai_str argv[] = {session_key(exchange, state->digest), id_key(exchange, id),
                                     user_key(exchange, user_id), hex_of(exchange, state->digest)};
    exchange->command = redis_eval(exchange->loop->redis, script_close, 3, 4, argv, on_closed, state);
}

void held_logout(struct exchange *exchange)
{
    struct held_state *state = state_new(exchange);
    close_session(state, exchange->context.principal.token_id, exchange->context.principal.user_id);
}

static void on_found(void *data, int status, const struct redisReply *reply)
{
    struct held_state *state = data;
    struct exchange *exchange = held_called(state);
    const struct mirai_principal *principal = &exchange->context.principal;
    if (status != 0) {
        fail(exchange, status);
        return;
    }
    bool found = reply->type == REDIS_REPLY_ARRAY && reply->elements == 2 &&
                 mirai_unhex(state->digest, sizeof(state->digest), text_of(reply->element[0])) == 0 &&
                 open_record(exchange, state->digest, text_of(reply->element[1]), &state->record) == 0;
    /* The signed record says whose it is, not the index. */
    if (!found || state->record.id != state->user_id ||
        (state->record.user_id != principal->user_id && principal->role < MIRAI_ROLE_ADMIN)) {
        response_problem(exchange, PROBLEM_NOT_FOUND, NULL, (struct mirai_str){0});
        return;
    }
    close_session(state, state->record.id, state->record.user_id);
}

void held_delete(struct exchange *exchange)
{
    struct mirai_by_id params;
    if (exchange_params(exchange, &mirai_message_by_id, &params) == 0) {
        struct held_state *state = state_new(exchange);
        state->user_id = params.id; /* here: of the session */
        const struct mirai_str argv[] = {id_key(exchange, params.id), session_prefix(exchange)};
        exchange->command = redis_eval(exchange->loop->redis, script_find, 1, 2, argv, on_found, state);
    }
    mirai_arena_free(&exchange->loop->arena);
}

/* ------------------------------------------------------------------ list */

static void write_session(struct mirai_buf *out, const struct held_state *state, size_t i,
                          struct mirai_str user)
{
    const struct mirai_held_record *record = &state->records[i];
    struct mirai_session session = {0};
    mirai_set(session, &session, id, record->id);
    mirai_set(session, &session, user_id, record->user_id);
    mirai_set(session, &session, user, user);
    mirai_set(session, &session, created_at, record->created_at);
    if (held.idle_ms > 0) { /* each use sets the time that is left */
        int64_t used_at = mirai_now_ms() - (held.idle_ms - state->left_ms[i]);
        mirai_set(session, &session, last_used_at,
                  used_at > record->created_at ? used_at : record->created_at);
    }
    mirai_set(session, &session, expires_at, record->expires_at);
    mirai_set(session, &session, address, record->address);
    mirai_set(session, &session, agent, record->agent);
    mirai_set(session, &session, current,
              state->exchange->by_session && record->id == state->exchange->context.principal.token_id);
    mirai_message_encode(&mirai_message_session, &session, out);
}

/* Those of the epoch in force, from the cursor on. user: its name. */
static void answer_list(struct held_state *state, int64_t epoch, struct mirai_str user)
{
    struct exchange *exchange = state->exchange;
    struct mirai_buf *out = &exchange->loop->params;
    int64_t after = 0, last = 0;
    size_t limit = mirai_has(session_list, &state->list, limit) ? (size_t)state->list.limit : 20, count = 0;
    bool more = false;
    if (mirai_has(session_list, &state->list, cursor) &&
        mirai_parse_int(state->list.cursor, 1, INT64_MAX, &after) != 0) {
        response_fault(exchange, MIRAI_E_INVALID, NULL);
        return;
    }
    out->len = 0;
    size_t map = mirai_mp_begin_map(out);
    mirai_mp_write_cstr(out, "items");
    size_t array = mirai_mp_begin_array(out);
    for (size_t i = 0; i < state->count; i++) {
        if (state->records[i].session_epoch != epoch || state->records[i].id <= after) {
            continue;
        }
        if (count == limit) {
            more = true;
            break;
        }
        write_session(out, state, i, user);
        last = state->records[i].id;
        count++;
    }
    mirai_mp_end(out, array, count);
    if (more) {
        char cursor[24];
        snprintf(cursor, sizeof(cursor), "%lld", (long long)last);
        mirai_mp_write_cstr(out, "next_cursor");
        mirai_mp_write_cstr(out, cursor);
    }
    mirai_mp_end(out, map, more ? 2 : 1);
    response_json(exchange, 200, mirai_buf_str(out), RESPONSE_NO_STORE);
}

static void on_epoch(void *data, const struct mirai_rpc_reply *reply)
{
    struct exchange *exchange = exchange_called(data);
    struct held_state *state = exchange->state;
    if (reply->status == MIRAI_E_UNAUTHENTICATED) { /* the newest of them do not count any more: none does */
        state->count = 0;
    } else if (reply->status != 0) {
        response_rpc_error(exchange, reply);
        return;
    }
    answer_list(state, state->record.session_epoch, response_text_of(reply->result, "name"));
}

/* The triples of script_list. Returns false when Redis answers nonsense. */
static bool read_records(struct held_state *state, const struct redisReply *reply)
{
    struct exchange *exchange = state->exchange;
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements % 3 != 0 ||
        reply->elements > (size_t)3 * SESSIONS_MAX) {
        return false;
    }
    state->records =
        h2o_mem_alloc_pool(&exchange->req->pool, sizeof(state->records[0]) * (reply->elements + 1));
    state->left_ms =
        h2o_mem_alloc_pool(&exchange->req->pool, sizeof(state->left_ms[0]) * (reply->elements + 1));
    for (size_t i = 0; i < reply->elements; i += 3) {
        unsigned char digest[HELD_DIGEST_SIZE];
        struct mirai_held_record *record = &state->records[state->count];
        if (mirai_unhex(digest, sizeof(digest), text_of(reply->element[i])) == 0 &&
            open_record(exchange, digest, text_of(reply->element[i + 1]), record) == 0 &&
            record->user_id == state->user_id) {
            const struct redisReply *left = reply->element[i + 2];
            state->left_ms[state->count++] =
                left->type == REDIS_REPLY_INTEGER && left->integer > 0 && left->integer <= held.idle_ms
                    ? left->integer
                    : held.idle_ms;
        }
    }
    return true;
}

static void on_list(void *data, int status, const struct redisReply *reply)
{
    struct held_state *state = data;
    struct exchange *exchange = held_called(state);
    if (status != 0 || !read_records(state, reply)) {
        fail(exchange, status != 0 ? status : MIRAI_E_UNAVAILABLE);
        return;
    }
    if (state->count == 0) {
        answer_list(state, 0, (struct mirai_str){0});
        return;
    }
    /* Epochs only rise: if the newest one counts, it is the one in force, and the older ones have ended. */
    state->record = state->records[0];
    for (size_t i = 1; i < state->count; i++) {
        if (state->records[i].session_epoch > state->record.session_epoch) {
            state->record = state->records[i];
        }
    }
    call_held(exchange, &state->record, on_epoch);
}

void held_list(struct exchange *exchange)
{
    struct mirai_session_list params;
    const struct mirai_principal *principal = &exchange->context.principal;
    if (exchange_params(exchange, &mirai_message_session_list, &params) == 0) {
        struct held_state *state = state_new(exchange);
        state->list = params;
        state->list.cursor = exchange_keep(exchange, params.cursor);
        state->user_id = mirai_has(session_list, &params, user_id) ? params.user_id : principal->user_id;
        if (state->user_id != principal->user_id && principal->role < MIRAI_ROLE_ADMIN) {
            response_fault(exchange, MIRAI_E_FORBIDDEN, NULL);
        } else {
            const struct mirai_str argv[] = {user_key(exchange, state->user_id), session_prefix(exchange)};
            exchange->command = redis_eval(exchange->loop->redis, script_list, 1, 2, argv, on_list, state);
        }
    }
    mirai_arena_free(&exchange->loop->arena);
}

/* ------------------------------------------------------------------ end all */

/* What held_rpc's request is answered with, whatever became of the session. */
static void answer_result(const struct held_state *state)
{
    const struct route *route = state->exchange->route;
    if (route->status == 204) {
        response_empty(state->exchange, 204, RESPONSE_NO_STORE);
    } else {
        response_json(state->exchange, route->status, state->result, RESPONSE_NO_STORE);
    }
}

static void on_ended(void *data, int status, const struct redisReply *reply)
{
    struct held_state *state = data;
    struct exchange *exchange = held_called(state);
    struct mirai_buf *out = &exchange->loop->params;
    auth_changed(exchange->loop->gateway);
    if (state->answered) {
        answer_result(state);
        return;
    }
    if (status != 0) {
        fail(exchange, status);
        return;
    }
    out->len = 0;
    mirai_mp_write_map(out, 1);
    mirai_mp_write_cstr(out, "count");
    mirai_mp_write_int(out, reply->type == REDIS_REPLY_INTEGER && reply->integer > 0 ? reply->integer : 0);
    response_json(exchange, 200, mirai_buf_str(out), RESPONSE_NO_STORE);
}

/* The store has begun a new epoch: all sessions have ended, everywhere. Take them away, and let the one that is spared
 * begin anew. */
static void on_new_epoch(void *data, const struct mirai_rpc_reply *reply)
{
    struct exchange *exchange = exchange_called(data);
    struct held_state *state = exchange->state;
    struct mirai_sessions_ended ended;
    if (reply->status != 0 && state->answered) {
        answer_result(state);
        return;
    }
    if (reply->status != 0) {
        response_rpc_error(exchange, reply);
        return;
    }
    int err = mirai_message_decode(&mirai_message_sessions_ended, reply->result, MIRAI_INNER,
                                   &exchange->loop->arena, &ended, NULL);
    mirai_arena_free(&exchange->loop->arena);
    auth_changed(exchange->loop->gateway);
    if (err != 0) {
        response_fault(exchange, MIRAI_E_INTERNAL, NULL);
        return;
    }
    struct mirai_str spared = {0}, record = {0};
    if (state->record.id != 0) {
        mirai_set(held_record, &state->record, session_epoch, ended.session_epoch);
        spared = hex_of(exchange, state->digest);
        record = seal_record(exchange, state->digest, &state->record);
    }
    const struct mirai_str argv[] = {user_key(exchange, state->user_id), session_prefix(exchange), spared,
                                     record};
    exchange->command = redis_eval(exchange->loop->redis, script_end_all, 1, 4, argv, on_ended, state);
}

static void begin_epoch(struct held_state *state, bool named)
{
    struct exchange *exchange = state->exchange;
    struct mirai_buf *params = &exchange->loop->params;
    struct mirai_sessions_end end = {0};
    if (named) {
        mirai_set(sessions_end, &end, user_id, state->user_id);
    }
    params->len = 0;
    mirai_message_encode(&mirai_message_sessions_end, &end, params);
    exchange_call(exchange, MIRAI_METHOD_ID_session_end_all, mirai_buf_str(params), on_new_epoch);
}

/* The store has ended all sessions: a further epoch tells which one it is now, and gives it to the one that is spared. */
static void on_method(void *data, const struct mirai_rpc_reply *reply)
{
    struct exchange *exchange = exchange_called(data);
    struct held_state *state = exchange->state;
    attempts_note(exchange, reply);
    if (reply->status != 0) {
        response_rpc_error(exchange, reply);
        return;
    }
    state->answered = true;
    state->result = exchange_keep(exchange, reply->result);
    exchange->context.idempotency_key = (struct mirai_str){0};
    auth_changed(exchange->loop->gateway);
    begin_epoch(state, false);
}

static void call_method(struct exchange *exchange)
{
    enum mirai_method_id id = (enum mirai_method_id)exchange->route->rpc;
    if (forward_params(exchange, mirai_methods[id].params) == 0) {
        exchange_call(exchange, id, mirai_buf_str(&exchange->loop->params), on_method);
        sodium_memzero(exchange->loop->params.data, exchange->loop->params.len); /* passwords */
    }
    mirai_arena_free(&exchange->loop->arena);
}

static void on_own_record(void *data, int status, const struct redisReply *reply)
{
    struct held_state *state = data;
    struct exchange *exchange = held_called(state);
    if (status != 0) {
        fail(exchange, status);
    } else if (reply->type != REDIS_REPLY_STRING ||
               open_record(exchange, state->digest, text_of(reply), &state->record) != 0) {
        response_problem(exchange, PROBLEM_UNAUTHENTICATED, NULL, (struct mirai_str){0});
    } else if (exchange->route->handle == handle_rpc) {
        call_method(exchange);
    } else {
        begin_epoch(state, false);
    }
}

bool held_spares(const struct exchange *exchange)
{
    int rpc = exchange->route->rpc;
    return held.on && exchange->by_session &&
           (rpc == MIRAI_METHOD_ID_user_password || rpc == MIRAI_METHOD_ID_second_factor_confirm ||
            rpc == MIRAI_METHOD_ID_second_factor_end);
}

void held_rpc(struct exchange *exchange)
{
    struct held_state *state = state_new(exchange);
    state->user_id = exchange->context.principal.user_id;
    const struct mirai_str argv[] = {MIRAI_STR("GET"), session_key(exchange, state->digest)};
    exchange->command = redis_command(exchange->loop->redis, 2, argv, on_own_record, state);
}

void held_end_all(struct exchange *exchange)
{
    struct mirai_sessions_end params;
    if (exchange_params(exchange, &mirai_message_sessions_end, &params) == 0) {
        struct held_state *state = state_new(exchange);
        bool named = mirai_has(sessions_end, &params, user_id);
        state->user_id = named ? params.user_id : exchange->context.principal.user_id;
        if (named || !exchange->by_session) {
            begin_epoch(state, named);
        } else {
            const struct mirai_str argv[] = {MIRAI_STR("GET"), session_key(exchange, state->digest)};
            exchange->command = redis_command(exchange->loop->redis, 2, argv, on_own_record, state);
        }
    }
    mirai_arena_free(&exchange->loop->arena);
}
