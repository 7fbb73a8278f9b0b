/* Any bytes as MessagePack: what becomes JSON is JSON in valid UTF-8, which a strict reader takes. */
#include "proto/message.h"
#include "tests/fuzz/fuzz.h"

#include <jansson.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mirai_str bytes = {(const char *)data, size};
    struct mirai_buf buf = {0};
    mirai_buf_append_char(&buf, '>');
    int err = mirai_mp_to_json(bytes, &buf);
    expect(buf.data[0] == '>' && (err == 0 || buf.len == 1));
    if (err == 0) {
        struct mirai_str text = {buf.data + 1, buf.len - 1};
        struct mirai_mp mp = mirai_mp(bytes);
        json_error_t error;
        expect(mirai_mp_skip(&mp) == 0 && mp.at == mp.end);
        expect(mirai_utf8_valid(text) && memchr(text.data, '\0', text.len) == NULL);
        json_t *json = json_loadb(text.data, text.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
        /* jansson holds no integer above INT64_MAX; JSON does */
        expect(json != NULL || json_error_code(&error) == json_error_numeric_overflow);
        json_decref(json);
    }
    mirai_buf_free(&buf);
    return 0;
}
