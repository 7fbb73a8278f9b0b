/* The head of a request, byte by byte as h2o's parser hands it on: the headers that we read ourselves. The
 * first byte divides Accept from Authorization. */
#include "services/metrics/http.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A value in memory of its own size, so that a read past its end is seen. */
static struct mirai_str exact(const uint8_t *data, size_t len)
{
    char *copy = malloc(len);
    memcpy(copy, data, len);
    return (struct mirai_str){copy, len};
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 3) {
        return 0;
    }
    size_t first = 1 + (size_t)data[0] * (size - 3) / 255;
    struct mirai_str accept = exact(data + 1, first);
    struct mirai_str authorization = exact(data + 1 + first, size - 1 - first);
    struct mirai_str token = MIRAI_STR("secret");
    http_format(accept);
    if (http_authorized(authorization, token) &&
        (authorization.len != sizeof("Bearer ") - 1 + token.len ||
         memcmp(authorization.data + authorization.len - token.len, token.data, token.len) != 0)) {
        abort();
    }
    free((void *)accept.data);
    free((void *)authorization.data);
    return 0;
}
