#include "services/gateway/identity/held_record.h"

#include "libcommon/error.h"

#include <sodium.h>

/* The key signs nothing else under this name. */
#define PURPOSE "mirai session 1"

static void make_mac(struct mirai_str key, const unsigned char digest[HELD_DIGEST_SIZE],
                     struct mirai_str record, unsigned char mac[crypto_auth_hmacsha256_BYTES])
{
    crypto_auth_hmacsha256_state state;
    crypto_auth_hmacsha256_init(&state, (const unsigned char *)key.data, key.len);
    crypto_auth_hmacsha256_update(&state, (const unsigned char *)PURPOSE, sizeof(PURPOSE));
    crypto_auth_hmacsha256_update(&state, digest, HELD_DIGEST_SIZE);
    crypto_auth_hmacsha256_update(&state, (const unsigned char *)record.data, record.len);
    crypto_auth_hmacsha256_final(&state, mac);
    sodium_memzero(&state, sizeof(state));
}

void held_record_seal(struct mirai_str key, const unsigned char digest[HELD_DIGEST_SIZE],
                      const struct mirai_held_record *record, struct mirai_buf *out)
{
    unsigned char mac[crypto_auth_hmacsha256_BYTES] = {0};
    size_t from = out->len;
    mirai_buf_append(out, mac, sizeof(mac));
    mirai_message_encode(&mirai_message_held_record, record, out);
    size_t at = from + sizeof(mac);
    make_mac(key, digest, (struct mirai_str){out->data + at, out->len - at}, mac);
    memcpy(out->data + from, mac, sizeof(mac));
}

int held_record_open(struct mirai_str key, const unsigned char digest[HELD_DIGEST_SIZE],
                     struct mirai_str sealed, int64_t now_ms, struct mirai_arena *arena,
                     struct mirai_held_record *record)
{
    unsigned char mac[crypto_auth_hmacsha256_BYTES];
    if (sealed.len <= sizeof(mac) || sealed.len > HELD_RECORD_MAX) {
        return MIRAI_E_INVALID;
    }
    struct mirai_str bytes = {sealed.data + sizeof(mac), sealed.len - sizeof(mac)};
    make_mac(key, digest, bytes, mac);
    if (!mirai_equal_constant_time(mac, sizeof(mac), sealed.data, sizeof(mac)) ||
        mirai_message_decode(&mirai_message_held_record, bytes, MIRAI_INNER, arena, record, NULL) != 0 ||
        record->expires_at <= now_ms) {
        return MIRAI_E_INVALID;
    }
    return 0;
}
