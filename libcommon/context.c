#include "libcommon/rpc.h"

/* Longest values that a context may carry; what the gateway lets in is shorter. */
#define NAME_MAX_BYTES        400 /* 100 characters of any script */
#define TRACEPARENT_MAX_BYTES 256
#define LOCALE_MAX_BYTES      16
#define KEY_MAX_BYTES         256
#define ADDRESS_MAX_BYTES     64
#define DEADLINE_MAX_MS       3600000

static void write_key(struct mirai_buf *buf, char key)
{
    char bytes[2] = {(char)0xa1, key};
    mirai_buf_append(buf, bytes, sizeof(bytes));
}

static void write_str(struct mirai_buf *buf, char key, struct mirai_str s)
{
    if (s.len > 0) {
        write_key(buf, key);
        mirai_mp_write_str(buf, s);
    }
}

static void write_ids(struct mirai_buf *buf, char key, const int64_t *ids, size_t len)
{
    if (len > 0) {
        write_key(buf, key);
        mirai_mp_write_array(buf, len);
        for (size_t i = 0; i < len; i++) {
            mirai_mp_write_int(buf, ids[i]);
        }
    }
}

void mirai_context_encode(struct mirai_buf *buf, const struct mirai_context *context, uint64_t now_ms)
{
    const struct mirai_principal *who = &context->principal;
    size_t pairs = (context->deadline_ms != 0) + (context->traceparent.len > 0) + (who->user_id != 0) +
                   (who->role != MIRAI_ROLE_NONE) + (who->name.len > 0) + (who->expires_at != 0) +
                   (who->token_id != 0) + (who->spaces_len > 0) + (who->groups_len > 0) +
                   (context->locale.len > 0) + (context->idempotency_key.len > 0) +
                   (context->client_address.len > 0);
    mirai_mp_write_map(buf, pairs);
    if (context->deadline_ms != 0) { /* first and in 32 bits: the client patches it when the call is sent */
        uint64_t left = context->deadline_ms > now_ms ? context->deadline_ms - now_ms : 0;
        uint32_t ms = left < DEADLINE_MAX_MS ? (uint32_t)left : DEADLINE_MAX_MS;
        unsigned char bytes[5] = {0xce, (unsigned char)(ms >> 24), (unsigned char)(ms >> 16),
                                  (unsigned char)(ms >> 8), (unsigned char)ms};
        write_key(buf, 'd');
        mirai_buf_append(buf, bytes, sizeof(bytes));
    }
    write_str(buf, 't', context->traceparent);
    if (who->user_id != 0) {
        write_key(buf, 'u');
        mirai_mp_write_int(buf, who->user_id);
    }
    if (who->role != MIRAI_ROLE_NONE) {
        write_key(buf, 'r');
        mirai_mp_write_int(buf, (int64_t)who->role);
    }
    write_str(buf, 'n', who->name);
    if (who->expires_at != 0) {
        write_key(buf, 'e');
        mirai_mp_write_int(buf, who->expires_at);
    }
    if (who->token_id != 0) {
        write_key(buf, 'i');
        mirai_mp_write_int(buf, who->token_id);
    }
    write_ids(buf, 's', who->spaces, who->spaces_len);
    write_ids(buf, 'g', who->groups, who->groups_len);
    write_str(buf, 'l', context->locale);
    write_str(buf, 'k', context->idempotency_key);
    write_str(buf, 'a', context->client_address);
}

static int read_text(struct mirai_mp *mp, size_t max, struct mirai_str *out)
{
    if (mirai_mp_read_str(mp, out) != 0 || out->len > max || !mirai_utf8_valid(*out)) {
        return MIRAI_E_INVALID;
    }
    return 0;
}

static int read_deadline(struct mirai_mp *mp, uint64_t now_ms, uint64_t *deadline_ms)
{
    int64_t left;
    if (mirai_mp_read_int(mp, &left) != 0 || left < 0) {
        return MIRAI_E_INVALID;
    }
    *deadline_ms = now_ms + (uint64_t)(left < DEADLINE_MAX_MS ? left : DEADLINE_MAX_MS);
    return 0;
}

static int read_role(struct mirai_mp *mp, enum mirai_role *role)
{
    int64_t value;
    if (mirai_mp_read_int(mp, &value) != 0 || value < MIRAI_ROLE_NONE || value > MIRAI_ROLE_ADMIN) {
        return MIRAI_E_INVALID;
    }
    *role = (enum mirai_role)value;
    return 0;
}

struct id_space {
    int64_t *ids;
    size_t left;
};

/* Ascending ids: services look them up by bisection. */
static int read_ids(struct mirai_mp *mp, struct id_space *space, const int64_t **out, size_t *out_len)
{
    uint32_t count;
    int64_t *ids = space->ids;
    if (*out_len > 0 || mirai_mp_read_array(mp, &count) != 0 || count > space->left) {
        return MIRAI_E_INVALID;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (mirai_mp_read_int(mp, &ids[i]) != 0 || (i > 0 && ids[i] <= ids[i - 1])) {
            return MIRAI_E_INVALID;
        }
    }
    space->ids += count;
    space->left -= count;
    *out = ids;
    *out_len = count;
    return 0;
}

static int read_member(struct mirai_mp *mp, struct mirai_str key, uint64_t now_ms,
                       struct mirai_context *context, struct id_space *space)
{
    struct mirai_principal *who = &context->principal;
    switch (key.len == 1 ? key.data[0] : '\0') {
    case 'd':
        return read_deadline(mp, now_ms, &context->deadline_ms);
    case 't':
        return read_text(mp, TRACEPARENT_MAX_BYTES, &context->traceparent);
    case 'u':
        return mirai_mp_read_int(mp, &who->user_id);
    case 'r':
        return read_role(mp, &who->role);
    case 'n':
        return read_text(mp, NAME_MAX_BYTES, &who->name);
    case 'e':
        return mirai_mp_read_int(mp, &who->expires_at);
    case 'i':
        return mirai_mp_read_int(mp, &who->token_id);
    case 's':
        return read_ids(mp, space, &who->spaces, &who->spaces_len);
    case 'g':
        return read_ids(mp, space, &who->groups, &who->groups_len);
    case 'l':
        return read_text(mp, LOCALE_MAX_BYTES, &context->locale);
    case 'k':
        return read_text(mp, KEY_MAX_BYTES, &context->idempotency_key);
    case 'a':
        return read_text(mp, ADDRESS_MAX_BYTES, &context->client_address);
    default: /* a member of a later release */
        return mirai_mp_skip(mp);
    }
}

int mirai_context_decode(struct mirai_str bytes, uint64_t now_ms, struct mirai_context *context, int64_t *ids,
                         size_t ids_max)
{
    struct mirai_mp mp = mirai_mp(bytes);
    struct id_space space = {ids, ids_max};
    uint32_t pairs;
    *context = (struct mirai_context){0};
    if (mirai_mp_read_map(&mp, &pairs) != 0) {
        return MIRAI_E_INVALID;
    }
    for (uint32_t i = 0; i < pairs; i++) {
        struct mirai_str key;
        if (mirai_mp_read_str(&mp, &key) != 0 || read_member(&mp, key, now_ms, context, &space) != 0) {
            return MIRAI_E_INVALID;
        }
    }
    return mp.at == mp.end ? 0 : MIRAI_E_INVALID;
}
