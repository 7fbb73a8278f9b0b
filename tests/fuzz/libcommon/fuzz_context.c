/* What decodes is encoded and decoded to the same again. */
#include "libcommon/rpc.h"
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>

static bool same_ids(const int64_t *a, size_t a_len, const int64_t *b, size_t b_len)
{
    return a_len == b_len && (a_len == 0 || memcmp(a, b, a_len * sizeof(*a)) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int64_t ids[32];
    int64_t ids_again[32];
    struct mirai_context a;
    struct mirai_context b;
    if (mirai_context_decode((struct mirai_str){(const char *)data, size}, 1000, &a, ids, 32) != 0) {
        return 0;
    }
    struct mirai_buf buf = {0};
    mirai_context_encode(&buf, &a, 1000);
    expect(mirai_context_decode(mirai_buf_str(&buf), 1000, &b, ids_again, 32) == 0);
    expect(a.deadline_ms == b.deadline_ms && a.principal.user_id == b.principal.user_id &&
           a.principal.role == b.principal.role && a.principal.expires_at == b.principal.expires_at &&
           mirai_str_eq(a.principal.name, b.principal.name) && mirai_str_eq(a.traceparent, b.traceparent) &&
           mirai_str_eq(a.locale, b.locale) && mirai_str_eq(a.idempotency_key, b.idempotency_key) &&
           mirai_str_eq(a.client_address, b.client_address));
    expect(same_ids(a.principal.spaces, a.principal.spaces_len, b.principal.spaces, b.principal.spaces_len) &&
           same_ids(a.principal.groups, a.principal.groups_len, b.principal.groups, b.principal.groups_len));
    mirai_buf_free(&buf);
    return 0;
}
