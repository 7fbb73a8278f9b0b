#include "services/gateway/identity/redis.h"

#include "libcommon/log.h"
#include "libcommon/time.h"
#include "services/gateway/identity/stream.h"

#include <hiredis/hiredis.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#define RETRY_FIRST_MS   50
#define RETRY_LONGEST_MS 1000

enum redis_state {
    REDIS_WAITING,    /* until the next try: commands fail at once */
    REDIS_CONNECTING, /* commands wait */
    REDIS_GREETING,   /* logging in; commands wait */
    REDIS_READY,
    REDIS_CLOSED,
};

/* In the order in which they were sent, which is the order of the answers and of the deadlines. */
struct redis_command {
    struct redis_command *next;
    redis_cb callback; /* NULL: cancelled */
    void *data;
    uint64_t deadline_ms;
    int status; /* of one that fails without having been sent */
    bool sent;
    size_t len;
    char *bytes; /* until sent; hiredis' */
};

struct command_list {
    struct redis_command *first;
    struct redis_command **end;
    size_t count;
};

struct redis {
    struct redis_options options;
    enum redis_state state;
    struct stream *stream;
    struct redisReader *reader;
    struct command_list commands;
    struct command_list failed; /* to be told by the timer `soon` */
    size_t greetings;           /* answers of the login that are still to come */
    uint64_t retry_ms;
    bool outage; /* has been logged */
    uv_timer_t retry, deadline, soon;
    int timers_open;
};

/* ------------------------------------------------------------------ lists */

static void list_init(struct command_list *list)
{
    *list = (struct command_list){.end = &list->first};
}

static void list_append(struct command_list *list, struct redis_command *command)
{
    command->next = NULL;
    *list->end = command;
    list->end = &command->next;
    list->count++;
}

static struct redis_command *list_take(struct command_list *list)
{
    struct redis_command *command = list->first;
    if (command != NULL) {
        list->first = command->next;
        list->count--;
        if (list->first == NULL) {
            list->end = &list->first;
        }
    }
    return command;
}

static void drop_bytes(struct redis_command *command)
{
    if (command->bytes != NULL) {
        sodium_memzero(command->bytes, command->len);
        redisFreeCommand(command->bytes);
        command->bytes = NULL;
    }
}

static void answer(struct redis_command *command, int status, const struct redisReply *reply)
{
    redis_cb callback = command->callback;
    void *data = command->data;
    drop_bytes(command);
    free(command);
    if (callback != NULL) {
        callback(data, status, reply);
    }
}

/* ------------------------------------------------------------------ reader */

/* hiredis would allocate what an array announces before a member has come. */
static void *(*create_array)(const redisReadTask *, int);

static void *create_bounded_array(const redisReadTask *task, int elements)
{
    return elements <= REDIS_ARRAY_MAX ? create_array(task, elements) : NULL;
}

static redisReplyObjectFunctions bounded_functions;

static void make_functions(void)
{
    redisReader *reader = redisReaderCreate();
    if (reader != NULL) {
        bounded_functions = *reader->fn;
        create_array = bounded_functions.createArray;
        bounded_functions.createArray = create_bounded_array;
        redisReaderFree(reader);
    }
}

struct redisReader *redis_reader_new(void)
{
    static uv_once_t once = UV_ONCE_INIT;
    uv_once(&once, make_functions);
    redisReader *reader = create_array != NULL ? redisReaderCreateWithFunctions(&bounded_functions) : NULL;
    if (reader == NULL) {
        abort(); /* as all small allocations */
    }
    return reader;
}

/* ------------------------------------------------------------------ connection */

static void connect_now(struct redis *redis);

static void on_retry(uv_timer_t *timer)
{
    connect_now(timer->data);
}

/* Once for each outage. The host is no secret, the URL is. */
static void log_outage(struct redis *redis, const char *reason)
{
    if (!redis->outage) {
        redis->outage = true;
        mirai_log(WARNING, "Redis is of no use: logins fail, and sessions that are not known already",
                  MIRAI_LOG_Z("host", redis->options.url->host),
                  MIRAI_LOG_I("port", redis->options.url->port), MIRAI_LOG_Z("reason", reason));
    }
}

static void close_connection(struct redis *redis)
{
    stream_close(redis->stream);
    redis->stream = NULL;
    if (redis->reader != NULL) {
        redisReaderFree(redis->reader);
        redis->reader = NULL;
    }
    uv_timer_stop(&redis->deadline);
}

static void fail_all(struct command_list *list, int status)
{
    struct command_list failed = *list;
    list_init(list); /* callbacks may send anew */
    for (struct redis_command *command; failed.count > 0 && (command = list_take(&failed)) != NULL;) {
        answer(command, status, NULL);
    }
}

/* The connection is over: everything under way fails, the next try comes later. */
static void break_off(struct redis *redis, int err, const char *reason)
{
    log_outage(redis, reason);
    close_connection(redis);
    redis->state = REDIS_WAITING;
    uv_timer_start(&redis->retry, on_retry, redis->retry_ms, 0);
    redis->retry_ms = redis->retry_ms * 2 < RETRY_LONGEST_MS ? redis->retry_ms * 2 : RETRY_LONGEST_MS;
    fail_all(&redis->commands, err);
}

static void on_deadline(uv_timer_t *timer)
{
    struct redis *redis = timer->data;
    uint64_t now_ms = mirai_monotonic_ms();
    if (redis->commands.first != NULL && redis->commands.first->deadline_ms <= now_ms) {
        /* Later answers could not be told from this one's. */
        break_off(redis, MIRAI_E_DEADLINE, "no answer in time");
    } else if (redis->commands.first != NULL) {
        uv_timer_start(timer, on_deadline, redis->commands.first->deadline_ms - now_ms, 0);
    }
}

/* The timer runs for the oldest command; when that has been answered it finds the next one. */
static void arm_deadline(struct redis *redis)
{
    if (!uv_is_active((uv_handle_t *)&redis->deadline)) {
        uv_timer_start(&redis->deadline, on_deadline, redis->options.timeout_ms, 0);
    }
}

static void send_command(struct redis *redis, struct redis_command *command)
{
    int err = stream_write(redis->stream, (struct mirai_str){command->bytes, command->len});
    if (err == 0) {
        command->sent = true;
        drop_bytes(command);
        list_append(&redis->commands, command);
        arm_deadline(redis);
    } else {
        command->status = err;
        list_append(&redis->failed, command);
    }
}

static void on_soon(uv_timer_t *timer)
{
    struct redis *redis = timer->data;
    size_t count = redis->failed.count; /* not those that fail from now on */
    for (; count > 0; count--) {
        struct redis_command *command = list_take(&redis->failed);
        answer(command, command->status, NULL);
    }
    if (redis->failed.count > 0) {
        uv_timer_start(timer, on_soon, 0, 0);
    }
}

static void tell_soon(struct redis *redis)
{
    if (redis->failed.count > 0) {
        uv_timer_start(&redis->soon, on_soon, 0, 0);
    }
}

/* ------------------------------------------------------------------ login */

static void write_greeting(struct redis *redis, size_t argc, const char *const *argv)
{
    char *bytes = NULL;
    size_t lengths[3];
    for (size_t i = 0; i < argc; i++) {
        lengths[i] = strlen(argv[i]);
    }
    int len = (int)redisFormatCommandArgv(&bytes, (int)argc, (const char **)argv, lengths);
    if (len > 0) {
        stream_write(redis->stream,
                     (struct mirai_str){bytes, (size_t)len}); /* a failure is told by ended() */
        sodium_memzero(bytes, (size_t)len);
        redisFreeCommand(bytes);
    }
    redis->greetings++;
}

/* Who we are, which database, and whether this is a Redis that lets us in. */
static void on_ready(void *data)
{
    struct redis *redis = data;
    const struct redis_url *url = redis->options.url;
    char db[16];
    redis->state = REDIS_GREETING;
    redis->greetings = 0;
    if (url->password[0] != '\0' && url->user[0] != '\0') {
        write_greeting(redis, 3, (const char *[]){"AUTH", url->user, url->password});
    } else if (url->password[0] != '\0') {
        write_greeting(redis, 2, (const char *[]){"AUTH", url->password});
    }
    if (url->db != 0) {
        snprintf(db, sizeof(db), "%d", url->db);
        write_greeting(redis, 2, (const char *[]){"SELECT", db});
    }
    write_greeting(redis, 1, (const char *[]){"PING"});
}

static void become_ready(struct redis *redis)
{
    struct command_list waiting = redis->commands;
    redis->state = REDIS_READY;
    redis->retry_ms = RETRY_FIRST_MS;
    stream_set_deadline(redis->stream, 0);
    if (redis->outage) {
        redis->outage = false;
        mirai_log(INFO, "Redis serves again", MIRAI_LOG_Z("host", redis->options.url->host));
    }
    list_init(&redis->commands);
    while (waiting.count > 0) {
        send_command(redis, list_take(&waiting));
    }
    tell_soon(redis);
}

/* ------------------------------------------------------------------ answers */

/* An answer to the login. False: we are not welcome, and the connection is over. */
static bool take_greeting(struct redis *redis, const redisReply *reply)
{
    bool last = redis->greetings == 1;
    if (reply->type != REDIS_REPLY_STATUS || strcmp(reply->str, last ? "PONG" : "OK") != 0) {
        /* Redis' own words: they name no password. */
        break_off(redis, MIRAI_E_UNAVAILABLE,
                  reply->type == REDIS_REPLY_ERROR ? reply->str : "it is no Redis");
        return false;
    }
    if (--redis->greetings == 0) {
        become_ready(redis);
    }
    return true;
}

/* False: the connection is over. */
static bool take_reply(struct redis *redis, const redisReply *reply)
{
    if (redis->state == REDIS_GREETING) {
        return take_greeting(redis, reply);
    }
    if (redis->commands.first == NULL || !redis->commands.first->sent) {
        break_off(redis, MIRAI_E_UNAVAILABLE, "an answer that nobody asked for");
        return false;
    }
    struct redis_command *command = list_take(&redis->commands);
    if (reply->type == REDIS_REPLY_ERROR) { /* loading, read-only, out of memory, no permission */
        log_outage(redis, reply->str);
        answer(command, MIRAI_E_UNAVAILABLE, NULL);
    } else {
        redis->outage = false;
        answer(command, 0, reply);
    }
    return redis->reader != NULL;
}

static void on_received(void *data, struct mirai_str bytes)
{
    struct redis *redis = data;
    if (redisReaderFeed(redis->reader, bytes.data, bytes.len) != REDIS_OK) {
        break_off(redis, MIRAI_E_UNAVAILABLE, redis->reader->errstr);
        return;
    }
    for (;;) {
        void *reply = NULL;
        if (redisReaderGetReply(redis->reader, &reply) != REDIS_OK) {
            break_off(redis, MIRAI_E_UNAVAILABLE, redis->reader->errstr);
            return;
        }
        if (reply == NULL) {
            break;
        }
        bool alive = take_reply(redis, reply);
        freeReplyObject(reply);
        if (!alive) {
            return;
        }
    }
    if (redis->reader->len - redis->reader->pos > REDIS_REPLY_MAX) {
        break_off(redis, MIRAI_E_UNAVAILABLE, "an answer is too long");
    }
}

static void on_ended(void *data, int err, const char *reason)
{
    break_off(data, err == MIRAI_E_DEADLINE ? MIRAI_E_DEADLINE : MIRAI_E_UNAVAILABLE, reason);
}

static void connect_now(struct redis *redis)
{
    redis->state = REDIS_CONNECTING;
    redis->reader = redis_reader_new();
    redis->stream = stream_open(&(struct stream_options){
        .loop = redis->options.loop,
        .host = mirai_str(redis->options.url->host),
        .port = redis->options.url->port,
        .tls = redis->options.url->tls ? redis->options.tls : NULL,
        .deadline_ms = mirai_monotonic_ms() + redis->options.timeout_ms, /* until it is ready */
        .ready = on_ready,
        .received = on_received,
        .ended = on_ended,
        .data = redis,
    });
}

/* ------------------------------------------------------------------ commands */

static struct redis_command *command_new(struct redis *redis, redis_cb callback, void *data)
{
    struct redis_command *command = mirai_alloc(sizeof(*command));
    command->callback = callback;
    command->data = data;
    command->deadline_ms = mirai_monotonic_ms() + redis->options.timeout_ms;
    return command;
}

struct redis_command *redis_command(struct redis *redis, size_t argc, const struct mirai_str *argv,
                                    redis_cb callback, void *data)
{
    struct redis_command *command = command_new(redis, callback, data);
    const char *texts[REDIS_ARGS_MAX];
    size_t lengths[REDIS_ARGS_MAX];
    for (size_t i = 0; i < argc && i < REDIS_ARGS_MAX; i++) {
        texts[i] = argv[i].data != NULL ? argv[i].data : "";
        lengths[i] = argv[i].len;
    }
    int len = argc > REDIS_ARGS_MAX || redis->commands.count + redis->failed.count >= REDIS_COMMANDS_MAX
                  ? -1
                  : (int)redisFormatCommandArgv(&command->bytes, (int)argc, texts, lengths);
    command->len = len > 0 ? (size_t)len : 0;
    if (len <= 0 || redis->state == REDIS_WAITING || redis->state == REDIS_CLOSED) {
        command->status = len <= 0 ? MIRAI_E_OVERLOADED : MIRAI_E_UNAVAILABLE;
        list_append(&redis->failed, command);
    } else if (redis->state == REDIS_READY) {
        send_command(redis, command);
    } else {
        list_append(&redis->commands, command);
        arm_deadline(redis);
    }
    tell_soon(redis);
    return command;
}

struct redis_command *redis_eval(struct redis *redis, const char *script, size_t keys, size_t argc,
                                 const struct mirai_str *argv, redis_cb callback, void *data)
{
    struct mirai_str all[REDIS_ARGS_MAX + 1];
    char count[24];
    size_t used = argc <= REDIS_ARGS_MAX - 3 ? argc : REDIS_ARGS_MAX - 2; /* too many: refused below */
    snprintf(count, sizeof(count), "%zu", keys);
    all[0] = MIRAI_STR("EVAL");
    all[1] = mirai_str(script);
    all[2] = mirai_str(count);
    memcpy(all + 3, argv, used * sizeof(argv[0]));
    return redis_command(redis, used + 3, all, callback, data);
}

void redis_cancel(struct redis_command *command)
{
    if (command != NULL) {
        command->callback = NULL;
    }
}

/* ------------------------------------------------------------------ life */

bool redis_away(const struct redis *redis)
{
    return redis->outage && redis->state != REDIS_READY;
}

struct redis *redis_new(const struct redis_options *options)
{
    struct redis *redis = mirai_alloc(sizeof(*redis));
    redis->options = *options;
    redis->retry_ms = RETRY_FIRST_MS;
    list_init(&redis->commands);
    list_init(&redis->failed);
    uv_timer_t *timers[] = {&redis->retry, &redis->deadline, &redis->soon};
    for (size_t i = 0; i < sizeof(timers) / sizeof(timers[0]); i++) {
        uv_timer_init(options->loop, timers[i]);
        timers[i]->data = redis;
        redis->timers_open++;
    }
    connect_now(redis);
    return redis;
}

static void on_timer_closed(uv_handle_t *timer)
{
    struct redis *redis = timer->data;
    if (--redis->timers_open == 0) {
        free(redis);
    }
}

void redis_free(struct redis *redis)
{
    if (redis == NULL) {
        return;
    }
    close_connection(redis);
    redis->state = REDIS_CLOSED;
    fail_all(&redis->commands, MIRAI_E_CANCELLED);
    fail_all(&redis->failed, MIRAI_E_CANCELLED);
    fail_all(&redis->failed,
             MIRAI_E_CANCELLED); /* what the callbacks have sent: nothing sends a third time */
    uv_close((uv_handle_t *)&redis->retry, on_timer_closed);
    uv_close((uv_handle_t *)&redis->deadline, on_timer_closed);
    uv_close((uv_handle_t *)&redis->soon, on_timer_closed);
}
