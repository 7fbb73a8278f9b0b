/* A loop's connection to Redis: commands are pipelined, each is answered exactly once, nothing blocks. What cannot be
 * reached fails at once or at the deadline; the connection is made again by itself. The protocol (RESP 2) is hiredis',
 * the transport identity/stream.h. */
#ifndef GATEWAY_REDIS_H
#define GATEWAY_REDIS_H

#include "services/gateway/identity/redis_url.h"

#include <openssl/ssl.h>
#include <uv.h>

/* Limits; what is above them fails with MIRAI_E_OVERLOADED, or ends the connection when it comes from the server. */
#define REDIS_COMMANDS_MAX 1024       /* waiting for their answers */
#define REDIS_ARGS_MAX     16         /* of a command */
#define REDIS_REPLY_MAX    (1u << 20) /* bytes of one answer */
#define REDIS_ARRAY_MAX    4096       /* members of one */

struct redis;
struct redis_command;
struct redisReply;
struct redisReader;

struct redis_options {
    uv_loop_t *loop;
    const struct redis_url *url; /* lent until redis_free */
    SSL_CTX *tls;                /* for rediss, of this loop; else NULL */
    uint64_t timeout_ms;         /* from a command to its answer, and of connecting */
};

/* Connect, now and whenever the connection is lost. Never NULL. Loop thread, as all of this. */
struct redis *redis_new(const struct redis_options *options);
/* Commands under way end with MIRAI_E_CANCELLED. NULL is fine. */
void redis_free(struct redis *redis);

/* Whether it is known that commands would fail now. */
bool redis_away(const struct redis *redis);

/* The answer: status 0 and a reply that is no error, lent; otherwise no reply and MIRAI_E_UNAVAILABLE (no connection, or
 * the server refused: it may or may not have done it when the connection broke), MIRAI_E_DEADLINE, MIRAI_E_OVERLOADED or
 * MIRAI_E_CANCELLED. Once, never before redis_command has returned. */
typedef void (*redis_cb)(void *data, int status, const struct redisReply *reply);

/* Send a command: its name and arguments (bytes; copied). The result is valid until the callback or redis_cancel. */
struct redis_command *redis_command(struct redis *redis, size_t argc, const struct mirai_str *argv,
                                    redis_cb callback, void *data);
/* Run a Lua script on keys and arguments (https://redis.io/docs/latest/commands/eval/): atomic, one round trip. argv: first
 * the keys, then the arguments; at most REDIS_ARGS_MAX - 3 together. */
struct redis_command *redis_eval(struct redis *redis, const char *script, size_t keys, size_t argc,
                                 const struct mirai_str *argv, redis_cb callback, void *data);
/* The callback is not wanted any more. The command may be done nevertheless. */
void redis_cancel(struct redis_command *command);

/* A reader of answers that allocates no more than they are long, whatever they announce. freeReplyObject() its replies. */
struct redisReader *redis_reader_new(void);

#endif
