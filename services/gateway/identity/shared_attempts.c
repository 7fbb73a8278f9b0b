#include "services/gateway/identity/shared_attempts.h"

#include "services/gateway/identity/held.h"

#include <hiredis/hiredis.h>
#include <sodium.h>
#include <stdio.h>

#define ID_SIZE 16

/* ------------------------------------------------------------------ scripts */

#define TEXT_OF(macro) #macro
#define TEXT(macro)    TEXT_OF(macro)

/* attempts.c's arithmetic once more, because asking and counting must be one step, and one round trip. KEYS of a pair, its
 * address, its account, and whether it is known; ARGV of the first three: free failures, longest wait, decay. */
#define FUNCTIONS                                                                                            \
    "local time = redis.call('TIME')\n"                                                                      \
    "local now = time[1] * 1000 + math.floor(time[2] / 1000)\n"                                              \
    "local function read(i)\n"                                                                               \
    "  local free, longest, decay = string.match(ARGV[i], '^(%d+) (%d+) (%d+)$')\n"                          \
    "  local v = redis.call('HMGET', KEYS[i], 'failures', 'changed', 'due', 'told')\n"                       \
    "  local b = {key = KEYS[i], free = tonumber(free), longest = tonumber(longest),\n"                      \
    "             decay = tonumber(decay), failures = tonumber(v[1] or 0),\n"                                \
    "             changed = tonumber(v[2] or now), due = tonumber(v[3] or 0), told = v[4] == '1'}\n"         \
    "  local gone = math.floor((now - b.changed) / b.decay)\n"                                               \
    "  if gone > 0 then\n"                                                                                   \
    "    b.failures = math.max(b.failures - gone, 0)\n"                                                      \
    "    b.changed = b.changed + gone * b.decay\n"                                                           \
    "  end\n"                                                                                                \
    "  return b\n"                                                                                           \
    "end\n"                                                                                                  \
    "local function write(b)\n"                                                                              \
    "  if b.failures <= 0 then\n"                                                                            \
    "    redis.call('DEL', b.key)\n"                                                                         \
    "  else\n"                                                                                               \
    "    redis.call('HSET', b.key, 'failures', b.failures, 'changed', string.format('%.0f', b.changed),\n"   \
    "               'due', string.format('%.0f', b.due), 'told', 0)\n"                                       \
    "    redis.call('PEXPIRE', b.key, b.failures * b.decay)\n"                                               \
    "  end\n"                                                                                                \
    "end\n"                                                                                                  \
    "local function add(b)\n"                                                                                \
    "  b.failures = math.min(b.failures + 1, b.free + " TEXT(                                                \
        ATTEMPTS_COUNT_MAX) ")\n"                                                                            \
                            "  local beyond = b.failures - b.free\n"                                         \
                            "  b.changed = now\n"                                                            \
                            "  b.due = beyond > 0 and now + math.min(1000 * 2 ^ (beyond - 1), b.longest) "   \
                            "or 0\n"                                                                         \
                            "  write(b)\n"                                                                   \
                            "end\n"                                                                          \
                            "local function take_back(b, due)\n"                                             \
                            "  b.failures = b.failures - 1\n"                                                \
                            "  b.due = math.min(tonumber(due), now + b.longest)\n"                           \
                            "  write(b)\n"                                                                   \
                            "end\n"

/* Which brake, for how long, whether that is news, and until when strangers had to wait for the account. */
static const char script_begin[] = FUNCTIONS "local all = {read(1), read(2), read(3)}\n"
                                             "local known = redis.call('EXISTS', KEYS[4]) == 1\n"
                                             "local brake, wait, news, due = 0, 0, 0, all[3].due\n"
                                             "for i, b in ipairs(all) do\n"
                                             "  if b.due - now > wait and (i == 1 or not known) then\n"
                                             "    brake, wait, news = i, b.due - now, b.told and 0 or 1\n"
                                             "    redis.call('HSET', b.key, 'told', 1)\n"
                                             "  end\n"
                                             "end\n"
                                             "if wait == 0 then\n"
                                             "  add(all[1])\n"
                                             "  add(all[3])\n"
                                             "end\n"
                                             "return {brake, wait, news, due}";

/* ARGV[4]: the outcome, ARGV[5]: how long an address is known, ARGV[6]: `due` of script_begin. */
static const char script_end[] = FUNCTIONS "if ARGV[4] == 'failed' then\n"
                                           "  add(read(2))\n"
                                           "elseif ARGV[4] == 'good' then\n"
                                           "  redis.call('DEL', KEYS[1])\n"
                                           "  take_back(read(3), ARGV[6])\n"
                                           "  redis.call('SET', KEYS[4], 1, 'PX', ARGV[5])\n"
                                           "else\n"
                                           "  take_back(read(1), 0)\n"
                                           "  take_back(read(3), ARGV[6])\n"
                                           "end\n"
                                           "return 1";

/* ------------------------------------------------------------------ names */

static unsigned char id_key[HELD_KEY_SIZE];
static char rules[ATTEMPTS_BRAKES][72]; /* as the scripts read them */
static uint64_t longest_ms[ATTEMPTS_BRAKES];

void shared_attempts_init(void)
{
    held_shared_key("mirai attempts 1", id_key);
    for (enum attempt_brake brake = ATTEMPTS_PAIR; brake < ATTEMPTS_BRAKES; brake++) {
        struct attempt_rule rule;
        attempts_rule(brake, &rule);
        longest_ms[brake] = rule.wait_ms;
        snprintf(rules[brake], sizeof(rules[brake]), "%llu %llu %llu", (unsigned long long)rule.free,
                 (unsigned long long)rule.wait_ms, (unsigned long long)rule.decay_ms);
    }
}

void shared_attempts_name(struct shared_attempt *attempt, struct mirai_str name, const struct address *client)
{
    memset(attempt, 0, sizeof(*attempt));
    for (enum attempt_brake brake = ATTEMPTS_PAIR; brake < ATTEMPTS_BRAKES; brake++) {
        unsigned char id[ID_SIZE];
        char hex[2 * ID_SIZE + 1];
        struct mirai_buf text = {0};
        attempts_describe(brake, name, client, &text);
        crypto_generichash(id, sizeof(id), (const unsigned char *)text.data, text.len, id_key,
                           sizeof(id_key));
        mirai_buf_free(&text);
        mirai_hex(hex, id, sizeof(id));
        snprintf(attempt->keys[brake - 1], SHARED_ATTEMPT_KEY_SIZE, "%sfailures:%d:%s", held_prefix(),
                 (int)brake, hex);
        if (brake == ATTEMPTS_PAIR) {
            snprintf(attempt->keys[SHARED_ATTEMPT_KEYS - 1], SHARED_ATTEMPT_KEY_SIZE, "%sknown:%s",
                     held_prefix(), hex);
        }
    }
}

/* ------------------------------------------------------------------ commands */

/* KEYS and the rules. */
static size_t put_arguments(const struct shared_attempt *attempt, struct mirai_str *argv)
{
    size_t argc = 0;
    while (argc < SHARED_ATTEMPT_KEYS) {
        argv[argc] = mirai_str(attempt->keys[argc]);
        argc++;
    }
    for (enum attempt_brake brake = ATTEMPTS_PAIR; brake < ATTEMPTS_BRAKES; brake++) {
        argv[argc++] = mirai_str(rules[brake]);
    }
    return argc;
}

struct redis_command *shared_attempts_begin(struct redis *redis, const struct shared_attempt *attempt,
                                            redis_cb callback, void *data)
{
    struct mirai_str argv[REDIS_ARGS_MAX];
    size_t argc = put_arguments(attempt, argv);
    return redis_eval(redis, script_begin, SHARED_ATTEMPT_KEYS, argc, argv, callback, data);
}

static void ignore(void *data, int status, const struct redisReply *reply)
{
    (void)data;
    (void)status;
    (void)reply;
}

void shared_attempts_end(struct redis *redis, const struct shared_attempt *attempt,
                         enum attempt_outcome outcome)
{
    static const char *const outcomes[] = {
        [ATTEMPT_FAILED] = "failed", [ATTEMPT_GOOD] = "good", [ATTEMPT_OPEN] = "open"};
    struct mirai_str argv[REDIS_ARGS_MAX];
    char good_ms[24], due_ms[24];
    size_t argc = put_arguments(attempt, argv);
    snprintf(good_ms, sizeof(good_ms), "%llu", (unsigned long long)ATTEMPTS_GOOD_MS);
    argv[argc++] = mirai_str(outcomes[outcome]);
    argv[argc++] = mirai_str(good_ms);
    snprintf(due_ms, sizeof(due_ms), "%llu", (unsigned long long)attempt->due_ms);
    argv[argc++] = mirai_str(due_ms);
    redis_eval(redis, script_end, SHARED_ATTEMPT_KEYS, argc, argv, ignore, NULL);
}

int shared_attempts_read(const struct redisReply *reply, struct attempt_wait *wait, uint64_t *due_ms)
{
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 4) {
        return MIRAI_E_INVALID;
    }
    for (size_t i = 0; i < reply->elements; i++) {
        if (reply->element[i]->type != REDIS_REPLY_INTEGER) {
            return MIRAI_E_INVALID;
        }
    }
    long long brake = reply->element[0]->integer, ms = reply->element[1]->integer,
              news = reply->element[2]->integer;
    if (brake < 0 || brake >= ATTEMPTS_BRAKES || ms < 0 || (uint64_t)ms > longest_ms[brake] ||
        (brake == ATTEMPTS_NO_BRAKE) != (ms == 0) || news < 0 || news > 1 || reply->element[3]->integer < 0) {
        return MIRAI_E_INVALID;
    }
    *wait = (struct attempt_wait){(enum attempt_brake)brake, (uint64_t)ms, news == 1};
    *due_ms = (uint64_t)reply->element[3]->integer;
    return 0;
}
