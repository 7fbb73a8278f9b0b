#include "services/gateway/identity/held_record.h"
#include "services/gateway/identity/redis.h"
#include "services/gateway/identity/shared_attempts.h"
#include "services/gateway/shared_rates.h"

#include "libcommon/error.h"
#include "tests/fuzz/fuzz.h"

#include <hiredis/hiredis.h>
#include <string.h>

static const struct mirai_str key = {"0123456789abcdef0123456789abcdef", 32};
static const unsigned char digest[HELD_DIGEST_SIZE] = {1, 2, 3};

/* What Redis gives as a record opens only when we have sealed it, which a fuzzer cannot. */
static void open_reply(const redisReply *reply)
{
    struct mirai_held_record record;
    struct mirai_arena arena = {0};
    if (reply->type == REDIS_REPLY_STRING) {
        struct mirai_str sealed = {reply->str, (size_t)reply->len};
        expect(held_record_open(key, digest, sealed, 0, &arena, &record) == MIRAI_E_INVALID);
    }
    expect(reply->type != REDIS_REPLY_ARRAY || reply->elements <= REDIS_ARRAY_MAX);
    for (size_t i = 0; reply->type == REDIS_REPLY_ARRAY && i < reply->elements; i++) {
        open_reply(reply->element[i]);
    }
    mirai_arena_free(&arena);
}

/* What Redis says about login attempts and rate limits. */
static void read_limits(const redisReply *reply)
{
    static bool ready;
    struct attempt_wait wait;
    uint64_t missing_us[4], due_ms;
    if (!ready) {
        attempts_configure(5, 300000);
        shared_attempts_init();
        ready = true;
    }
    if (shared_attempts_read(reply, &wait, &due_ms) == 0) {
        expect(wait.brake < ATTEMPTS_BRAKES && wait.ms <= 300000 &&
               (wait.ms == 0) == (wait.brake == ATTEMPTS_NO_BRAKE));
    }
    for (size_t count = 0; count <= 4; count++) {
        if (shared_rates_read(reply, count, 40000000, missing_us) == 0) {
            expect(reply->elements == count);
            for (size_t i = 0; i < count; i++) {
                expect(missing_us[i] <= 40000000);
            }
        }
    }
}

/* Answers as they come from the connection, in parts of `step` bytes. */
static void read_answers(const uint8_t *data, size_t size, size_t step)
{
    redisReader *reader = redis_reader_new();
    void *reply;
    for (size_t at = 0; at < size; at += step) {
        size_t len = size - at < step ? size - at : step;
        if (redisReaderFeed(reader, (const char *)data + at, len) != REDIS_OK) {
            break;
        }
        int err;
        while ((err = redisReaderGetReply(reader, &reply)) == REDIS_OK && reply != NULL) {
            open_reply(reply);
            read_limits(reply);
            freeReplyObject(reply);
        }
        if (err != REDIS_OK) {
            break;
        }
    }
    redisReaderFree(reader);
}

/* A sealed record with some bytes changed; and one of any content that bears our seal. */
static void change_record(const uint8_t *data, size_t size)
{
    struct mirai_held_record record = {0}, opened;
    struct mirai_arena arena = {0};
    struct mirai_buf sealed = {0};
    char *copy = malloc(size);
    memcpy(copy, data, size);
    struct mirai_str text = {copy, size};
    mirai_set(held_record, &record, id, 1);
    mirai_set(held_record, &record, user_id, 1);
    mirai_set(held_record, &record, session_epoch, (int64_t)size);
    mirai_set(held_record, &record, created_at, 1);
    mirai_set(held_record, &record, expires_at, 2);
    mirai_set(held_record, &record, agent, text);
    held_record_seal(key, digest, &record, &sealed);
    int err = held_record_open(key, digest, mirai_buf_str(&sealed), 1, &arena, &opened);
    expect(err != 0 || (opened.session_epoch == (int64_t)size && mirai_str_eq(opened.agent, text)));
    bool changed = false;
    for (size_t i = 0; i < size && i < sealed.len; i++) {
        sealed.data[i] = (char)(sealed.data[i] ^ (char)data[i]);
        changed = changed || data[i] != 0;
    }
    expect(!changed ||
           held_record_open(key, digest, mirai_buf_str(&sealed), 1, &arena, &opened) == MIRAI_E_INVALID);
    mirai_arena_free(&arena);
    mirai_buf_free(&sealed);
    free(copy);
}

static void parse_url(const uint8_t *data, size_t size)
{
    struct redis_url url;
    char *copy = malloc(size);
    memcpy(copy, data, size);
    if (redis_url_parse((struct mirai_str){copy, size}, &url) == 0) {
        expect(url.host[0] != '\0' && url.port >= 0 && url.port <= 65535 && url.db >= 0 &&
               (url.port != 0 || url.host[0] == '/'));
    } else {
        expect(url.password[0] == '\0' && url.host[0] == '\0');
    }
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) {
        return 0;
    }
    switch (data[0] % 4) {
    case 0:
        read_answers(data + 1, size - 1, size);
        break;
    case 1:
        read_answers(data + 2, size - 2, (size_t)data[1] + 1);
        break;
    case 2:
        change_record(data + 1, size - 1);
        break;
    default:
        parse_url(data + 1, size - 1);
    }
    return 0;
}
