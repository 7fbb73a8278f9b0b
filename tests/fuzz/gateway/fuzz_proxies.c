#include "services/gateway/proxies.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

/* The first line is a list of trusted proxies, the second an X-Forwarded-For that one of them sends. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *copy = malloc(size + 1);
    memcpy(copy, data, size);
    const char *end = memchr(copy, '\n', size);
    size_t first = end != NULL ? (size_t)(end - copy) : size;
    struct mirai_str list = {copy, first}, header = {copy + first, size - first}, fault;
    struct proxies proxies;
    struct address peer, client;
    if (header.len > 0) {
        header.data++;
        header.len--;
    }
    if (proxies_parse(list, &proxies, &fault) != 0) {
        proxies.count = 0;
        expect(fault.data >= copy && fault.data + fault.len <= copy + size);
    }
    expect(address_parse(MIRAI_STR("10.0.0.1"), &peer));
    client = proxies_client(&proxies, &peer, header);
    expect(proxies_trust(&proxies, &peer) || address_eq(&client, &peer));

    char text[ADDRESS_TEXT_MAX];
    struct address again;
    address_print(&client, text);
    expect(!address_known(&client) ||
           (address_parse(mirai_str(text), &again) && address_eq(&client, &again)));
    free(copy);
    return 0;
}
