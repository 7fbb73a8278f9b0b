#include "services/gateway/headers.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The first byte chooses the header, the rest is its value (a copy of its own, so that reading past its end
 * is seen). */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1) {
        return 0;
    }
    char *copy = malloc(size);
    memcpy(copy, data + 1, size - 1);
    struct mirai_str value = {copy, size - 1}, out;
    struct mirai_buf buf = {0};
    unsigned char random[24] = {[0] = 1, [16] = 1};
    char trace[TRACEPARENT_LEN + 1];
    uint64_t first = 0, last = 0;
    switch (data[0] % 10) {
    case 0:
        out = header_language(value, MIRAI_STR("ja"));
        if (out.len != 2) {
            abort();
        }
        break;
    case 1:
        header_accepts(value, "application", "json");
        break;
    case 2:
        header_none_match_has(value, MIRAI_STR("e.1"));
        break;
    case 3:
        if (header_if_match(value, &out) == 0 && (out.len == 0 || out.len > 100)) {
            abort();
        }
        break;
    case 4:
        header_cookie(value, MIRAI_STR("__Host-mirai-1"), &out);
        break;
    case 5:
        if (header_bearer(value, &out) && out.len > 100) {
            abort();
        }
        header_same_origin((struct mirai_str){0}, value, MIRAI_STR("localhost"));
        break;
    case 6:
        header_traceparent_make(trace, value, random);
        if (!header_traceparent_valid(mirai_str(trace))) {
            abort();
        }
        break;
    case 7:
        if (header_range(value, 1000, &first, &last) == 0 && (first > last || last >= 1000)) {
            abort();
        }
        break;
    case 8:
        while (header_next_line(&value, &out)) {
            if (out.len > size || memchr(out.data, '\n', out.len) != NULL) {
                abort();
            }
        }
        break;
    default:
        header_disposition(value, &buf);
        if (memchr(buf.data, '\r', buf.len) != NULL || memchr(buf.data, '\n', buf.len) != NULL) {
            abort();
        }
    }
    mirai_buf_free(&buf);
    free(copy);
    return 0;
}
