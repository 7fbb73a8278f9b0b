/* A line of the log with texts from outside: one JSON object a line, and no secret in it. The first byte
 * divides the rest into message, key and value. */
#include "libcommon/log.h"

#include "libcommon/time.h"
#include "tests/fuzz/fuzz.h"

#include <jansson.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define SECRET "qZ7-vK2_wX9.bN4"

static int file = -1;

static void open_log(void)
{
    char path[32];
    file = memfd_create("log", 0);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
    expect(file >= 0 && mirai_log_open("fuzz", "1", path) == 0);
}

/* The line that is on its way to the file. */
static void take_written(struct mirai_buf *out)
{
    const size_t max = 1 << 17;
    mirai_buf_reserve(out, max);
    for (uint64_t end = mirai_monotonic_ms() + 5000; out->len == 0 || out->data[out->len - 1] != '\n';
         sched_yield()) {
        ssize_t n = pread(file, out->data, max, 0);
        out->len = n > 0 ? (size_t)n : 0;
        expect(mirai_monotonic_ms() < end);
    }
    expect(ftruncate(file, 0) == 0); /* it appends */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const keys[] = {"password", "api_token", "Set-Cookie",
                                       "key",      "sessionId", "client_secret"};
    if (file < 0) {
        open_log();
    }
    if (size == 0) {
        return 0;
    }
    size_t first = (size - 1) * (data[0] & 15) / 15, second = (size - 1 - first) * (data[0] >> 4) / 15;
    char *message = mirai_str_dup((struct mirai_str){(const char *)data + 1, first});
    char *key = mirai_str_dup((struct mirai_str){(const char *)data + 1 + first, second});
    struct mirai_str value = {(const char *)data + 1 + first + second, size - 1 - first - second};
    const struct mirai_log_field fields[] = {MIRAI_LOG_S(key[0] != '\0' ? key : "key_", value),
                                             MIRAI_LOG_Z(keys[data[0] % 6], SECRET),
                                             MIRAI_LOG_Z("header", "Bearer " SECRET "aaaaaaaaaaaaaaaa"),
                                             {.key = NULL}};
    struct mirai_buf written = {0};
    mirai_log_write(MIRAI_LOG_ERROR, __FILE__, __func__, message, fields);
    take_written(&written);
    expect(written.len > 0 && written.data[written.len - 1] == '\n');
    expect(memchr(written.data, '\n', written.len) == written.data + written.len - 1);
    /* Unless the input itself has it elsewhere. */
    if (memmem(data, size, "qZ7", 3) == NULL) {
        expect(memmem(written.data, written.len, "qZ7-", 4) == NULL);
    }
    json_t *json = json_loadb(written.data, written.len, JSON_ALLOW_NUL, NULL);
    expect(json != NULL && json_is_object(json));
    json_decref(json);
    mirai_buf_free(&written);
    free(message);
    free(key);
    return 0;
}
