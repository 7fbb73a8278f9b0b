#include "services/gateway/proxy_protocol.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

/* The beginning of a connection: a header that is taken is taken whole, whatever follows it and however it comes in
 * pieces, and a fault stays one when more bytes come. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct address client, again;
    int result = 0;
    for (size_t len = 0; len <= size && len <= PROXY_PROTOCOL_MAX + 1; len++) {
        char *copy = malloc(len + 1);
        memcpy(copy, data, len);
        int before = result;
        result = proxy_protocol_read((struct mirai_str){copy, len}, &client);
        free(copy);
        expect(before >= 0 || result < 0);
        expect(before == 0 || result == before);
        expect(result <= (int)len && result <= PROXY_PROTOCOL_MAX);
    }
    expect(size <= PROXY_PROTOCOL_MAX || result != 0);
    if (result > 0) {
        expect(proxy_protocol_read((struct mirai_str){(const char *)data, (size_t)result}, &again) == result);
        expect(address_eq(&client, &again));
    }
    return 0;
}
