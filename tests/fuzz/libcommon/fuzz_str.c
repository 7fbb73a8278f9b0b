/* Texts from outside: UTF-8, numbers, hexadecimal, and as a JSON string. */
#include "libcommon/error.h"
#include "libcommon/str.h"
#include "tests/fuzz/fuzz.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

static void check_utf8(struct mirai_str s)
{
    struct mirai_buf json = {0};
    bool valid = mirai_utf8_valid(s);
    mirai_buf_append_json(&json, s);
    json_t *read = json_loadb(json.data, json.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    expect(read != NULL && json_is_string(read)); /* jansson refuses what is no UTF-8 */
    struct mirai_str back = {json_string_value(read), json_string_length(read)};
    expect(mirai_utf8_valid(back) && (!valid || mirai_str_eq(back, s)));
    json_decref(read);
    mirai_buf_free(&json);
    if (valid) {
        size_t points = mirai_utf8_length(s);
        expect(points <= s.len && 4 * points >= s.len);
        for (size_t max = 0; max <= s.len && max < 20; max++) {
            struct mirai_str prefix = mirai_utf8_prefix(s, max);
            expect(prefix.len <= max && prefix.len + 3 >= max && mirai_utf8_valid(prefix));
        }
    }
}

static void check_number(struct mirai_str s)
{
    int64_t number = 0, again = 0;
    if (mirai_parse_int(s, INT64_MIN, INT64_MAX, &number) == 0) {
        char text[32];
        snprintf(text, sizeof(text), "%lld", (long long)number);
        expect(mirai_parse_int(mirai_str(text), number, number, &again) == 0 && again == number);
        expect(number == INT64_MAX || mirai_parse_int(s, number + 1, INT64_MAX, &again) == MIRAI_E_INVALID);
    }
}

static void check_hex(struct mirai_str s)
{
    unsigned char bytes[16];
    char text[33];
    for (size_t n = 0; n <= sizeof(bytes); n++) {
        if (mirai_unhex(bytes, n, s) == 0) {
            mirai_hex(text, bytes, n);
            expect(s.len == 2 * n && strncasecmp(text, s.data != NULL ? s.data : "", s.len) == 0);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *copy = malloc(size > 0 ? size : 1);
    if (size > 0) {
        memcpy(copy, data, size);
    }
    struct mirai_str s = {copy, size};
    check_utf8(s);
    check_number(s);
    check_hex(s);
    free(copy);
    return 0;
}
