#include "services/gateway/gateway.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Any request target: what is accepted is valid UTF-8 within bounds, and can be routed with every method. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool ready;
    if (!ready) {
        ready = routes_init() == 0;
    }
    struct target_pair pairs[TARGET_QUERY_MAX];
    struct target target = {.pairs = pairs};
    char *scratch = malloc(size + 1);
    int err = target_parse((struct mirai_str){(const char *)data, size}, scratch, &target);
    if (err == 0) {
        for (size_t i = 0; i < target.segments_count; i++) {
            if (!mirai_utf8_valid(target.segments[i]) ||
                memchr(target.segments[i].data, '\0', target.segments[i].len)) {
                abort();
            }
        }
        for (enum route_method method = 0; method <= ROUTE_METHODS; method++) {
            const struct mirai_str *values[ROUTE_PARAMS_MAX];
            unsigned allowed;
            const struct route *route = route_match(&target, method, values, &allowed);
            if (route != NULL && (allowed >> route->method & 1) == 0) {
                abort();
            }
        }
        struct mirai_buf escaped = {0};
        for (size_t i = 0; i < target.pairs_count; i++) {
            target_escape(&escaped, target.pairs[i].value);
        }
        mirai_buf_free(&escaped);
    }
    free(scratch);
    return 0;
}
