#include "libcommon/mp.h"

#include "libcommon/error.h"

#include <msgpack.h>

static int buf_write(void *data, const char *bytes, size_t len)
{
    mirai_buf_append(data, bytes, len);
    return 0;
}

static msgpack_packer packer(struct mirai_buf *buf)
{
    return (msgpack_packer){.data = buf, .callback = buf_write};
}

void mirai_mp_write_nil(struct mirai_buf *buf)
{
    msgpack_packer pk = packer(buf);
    msgpack_pack_nil(&pk);
}

void mirai_mp_write_bool(struct mirai_buf *buf, bool value)
{
    msgpack_packer pk = packer(buf);
    value ? msgpack_pack_true(&pk) : msgpack_pack_false(&pk);
}

void mirai_mp_write_int(struct mirai_buf *buf, int64_t value)
{
    msgpack_packer pk = packer(buf);
    msgpack_pack_int64(&pk, value);
}

void mirai_mp_write_double(struct mirai_buf *buf, double value)
{
    msgpack_packer pk = packer(buf);
    msgpack_pack_double(&pk, value);
}

void mirai_mp_write_str(struct mirai_buf *buf, struct mirai_str s)
{
    msgpack_packer pk = packer(buf);
    mirai_buf_reserve(buf, s.len + 5);
    msgpack_pack_str(&pk, s.len);
    mirai_buf_append_str(buf, s);
}

void mirai_mp_write_cstr(struct mirai_buf *buf, const char *s)
{
    mirai_mp_write_str(buf, mirai_str(s));
}

void mirai_mp_write_bin(struct mirai_buf *buf, struct mirai_str bytes)
{
    msgpack_packer pk = packer(buf);
    mirai_buf_reserve(buf, bytes.len + 5);
    msgpack_pack_bin(&pk, bytes.len);
    mirai_buf_append_str(buf, bytes);
}

void mirai_mp_write_array(struct mirai_buf *buf, size_t count)
{
    msgpack_packer pk = packer(buf);
    msgpack_pack_array(&pk, count);
}

void mirai_mp_write_map(struct mirai_buf *buf, size_t pairs)
{
    msgpack_packer pk = packer(buf);
    msgpack_pack_map(&pk, pairs);
}

static size_t begin_container(struct mirai_buf *buf, unsigned char head)
{
    size_t offset = buf->len;
    mirai_buf_append(buf, &(unsigned char[5]){head}, 5);
    return offset;
}

size_t mirai_mp_begin_array(struct mirai_buf *buf)
{
    return begin_container(buf, 0xdd);
}

size_t mirai_mp_begin_map(struct mirai_buf *buf)
{
    return begin_container(buf, 0xdf);
}

void mirai_mp_end(struct mirai_buf *buf, size_t offset, size_t count)
{
    unsigned char *p = (unsigned char *)buf->data + offset;
    p[1] = (unsigned char)(count >> 24);
    p[2] = (unsigned char)(count >> 16);
    p[3] = (unsigned char)(count >> 8);
    p[4] = (unsigned char)count;
}

/* Big-endian unsigned integer of n bytes; the cursor moves on. False when fewer are left. */
static bool take_uint(struct mirai_mp *mp, size_t n, uint64_t *value)
{
    if ((size_t)(mp->end - mp->at) < n) {
        return false;
    }
    *value = 0;
    for (size_t i = 0; i < n; i++) {
        *value = *value << 8 | mp->at[i];
    }
    mp->at += n;
    return true;
}

static int take_bytes(struct mirai_mp *mp, enum mirai_mp_type type, uint64_t len,
                      struct mirai_mp_value *value)
{
    if (len > (uint64_t)(mp->end - mp->at)) {
        return MIRAI_E_INVALID;
    }
    value->type = type;
    value->str = (struct mirai_str){(const char *)mp->at, (size_t)len};
    mp->at += len;
    return 0;
}

/* Each member takes a byte at least, so a count above the bytes left is a lie (and would be an allocation bomb). */
static int take_count(struct mirai_mp *mp, enum mirai_mp_type type, uint64_t count,
                      struct mirai_mp_value *value)
{
    uint64_t bytes = type == MIRAI_MP_MAP ? 2 * count : count;
    if (bytes > (uint64_t)(mp->end - mp->at)) {
        return MIRAI_E_INVALID;
    }
    value->type = type;
    value->count = (uint32_t)count;
    return 0;
}

static int take_sized(struct mirai_mp *mp, size_t size_bytes, enum mirai_mp_type type, size_t extra,
                      struct mirai_mp_value *value)
{
    uint64_t n;
    if (!take_uint(mp, size_bytes, &n)) {
        return MIRAI_E_INVALID;
    }
    if (type == MIRAI_MP_ARRAY || type == MIRAI_MP_MAP) {
        return take_count(mp, type, n, value);
    }
    return take_bytes(mp, type, n + extra, value);
}

static int take_unsigned(struct mirai_mp *mp, size_t n, struct mirai_mp_value *value)
{
    uint64_t u;
    if (!take_uint(mp, n, &u)) {
        return MIRAI_E_INVALID;
    }
    value->type = u > INT64_MAX ? MIRAI_MP_UINT : MIRAI_MP_INT;
    value->uinteger = u;
    return 0;
}

static int take_signed(struct mirai_mp *mp, size_t n, struct mirai_mp_value *value)
{
    uint64_t u;
    if (!take_uint(mp, n, &u)) {
        return MIRAI_E_INVALID;
    }
    value->type = MIRAI_MP_INT;
    switch (n) {
    case 1:
        value->integer = (int64_t)(u ^ 0x80) - 0x80; /* the sign bit's value is -0x80 */
        break;
    case 2:
        value->integer = (int16_t)u;
        break;
    case 4:
        value->integer = (int32_t)u;
        break;
    default:
        value->integer = (int64_t)u;
    }
    return 0;
}

static int take_float(struct mirai_mp *mp, size_t n, struct mirai_mp_value *value)
{
    uint64_t u;
    if (!take_uint(mp, n, &u)) {
        return MIRAI_E_INVALID;
    }
    value->type = MIRAI_MP_FLOAT;
    if (n == 4) {
        uint32_t u32 = (uint32_t)u;
        float f;
        memcpy(&f, &u32, sizeof(f));
        value->real = (double)f;
    } else {
        memcpy(&value->real, &u, sizeof(value->real));
    }
    return 0;
}

int mirai_mp_read(struct mirai_mp *mp, struct mirai_mp_value *value)
{
    if (mp->at >= mp->end) {
        return MIRAI_E_INVALID;
    }
    unsigned char head = *mp->at++;
    if (head < 0x80 || head >= 0xe0) {
        value->type = MIRAI_MP_INT;
        value->integer = head < 0x80 ? head : (int64_t)head - 0x100;
        return 0;
    }
    if (head < 0x90) {
        return take_count(mp, MIRAI_MP_MAP, head & 0x0fu, value);
    }
    if (head < 0xa0) {
        return take_count(mp, MIRAI_MP_ARRAY, head & 0x0fu, value);
    }
    if (head < 0xc0) {
        return take_bytes(mp, MIRAI_MP_STR, head & 0x1fu, value);
    }
    switch (head) {
    case 0xc0:
        value->type = MIRAI_MP_NIL;
        return 0;
    case 0xc2:
    case 0xc3:
        value->type = MIRAI_MP_BOOL;
        value->boolean = head == 0xc3;
        return 0;
    case 0xc4:
    case 0xc5:
    case 0xc6:
        return take_sized(mp, (size_t)1 << (head - 0xc4), MIRAI_MP_BIN, 0, value);
    case 0xc7:
    case 0xc8:
    case 0xc9:
        return take_sized(mp, (size_t)1 << (head - 0xc7), MIRAI_MP_EXT, 1, value);
    case 0xca:
    case 0xcb:
        return take_float(mp, (size_t)4 << (head - 0xca), value);
    case 0xcc:
    case 0xcd:
    case 0xce:
    case 0xcf:
        return take_unsigned(mp, (size_t)1 << (head - 0xcc), value);
    case 0xd0:
    case 0xd1:
    case 0xd2:
    case 0xd3:
        return take_signed(mp, (size_t)1 << (head - 0xd0), value);
    case 0xd4:
    case 0xd5:
    case 0xd6:
    case 0xd7:
    case 0xd8:
        return take_bytes(mp, MIRAI_MP_EXT, ((uint64_t)1 << (head - 0xd4)) + 1, value);
    case 0xd9:
    case 0xda:
    case 0xdb:
        return take_sized(mp, (size_t)1 << (head - 0xd9), MIRAI_MP_STR, 0, value);
    case 0xdc:
    case 0xdd:
        return take_sized(mp, (size_t)2 << (head - 0xdc), MIRAI_MP_ARRAY, 0, value);
    case 0xde:
    case 0xdf:
        return take_sized(mp, (size_t)2 << (head - 0xde), MIRAI_MP_MAP, 0, value);
    default: /* 0xc1 is reserved */
        return MIRAI_E_INVALID;
    }
}

int mirai_mp_skip(struct mirai_mp *mp)
{
    uint64_t left[MIRAI_MP_DEPTH_MAX + 1] = {1};
    size_t depth = 0;
    for (;;) {
        struct mirai_mp_value value;
        while (left[depth] == 0) {
            if (depth == 0) {
                return 0;
            }
            depth--;
        }
        left[depth]--;
        if (mirai_mp_read(mp, &value) != 0) {
            return MIRAI_E_INVALID;
        }
        if (value.type == MIRAI_MP_ARRAY || value.type == MIRAI_MP_MAP) {
            if (++depth > MIRAI_MP_DEPTH_MAX) {
                return MIRAI_E_INVALID;
            }
            left[depth] = value.type == MIRAI_MP_MAP ? 2 * (uint64_t)value.count : value.count;
        }
    }
}

int mirai_mp_raw(struct mirai_mp *mp, struct mirai_str *raw)
{
    const unsigned char *from = mp->at;
    int err = mirai_mp_skip(mp);
    *raw = (struct mirai_str){(const char *)from, err == 0 ? (size_t)(mp->at - from) : 0};
    return err;
}

int mirai_mp_read_int(struct mirai_mp *mp, int64_t *value)
{
    struct mirai_mp_value v;
    if (mirai_mp_read(mp, &v) != 0 || v.type != MIRAI_MP_INT) {
        return MIRAI_E_INVALID;
    }
    *value = v.integer;
    return 0;
}

int mirai_mp_read_str(struct mirai_mp *mp, struct mirai_str *value)
{
    struct mirai_mp_value v;
    if (mirai_mp_read(mp, &v) != 0 || (v.type != MIRAI_MP_STR && v.type != MIRAI_MP_BIN)) {
        return MIRAI_E_INVALID;
    }
    *value = v.str;
    return 0;
}

static int read_count(struct mirai_mp *mp, enum mirai_mp_type type, uint32_t *count)
{
    struct mirai_mp_value v;
    if (mirai_mp_read(mp, &v) != 0 || v.type != type) {
        return MIRAI_E_INVALID;
    }
    *count = v.count;
    return 0;
}

int mirai_mp_read_array(struct mirai_mp *mp, uint32_t *count)
{
    return read_count(mp, MIRAI_MP_ARRAY, count);
}

int mirai_mp_read_map(struct mirai_mp *mp, uint32_t *pairs)
{
    return read_count(mp, MIRAI_MP_MAP, pairs);
}

int mirai_mp_find(struct mirai_str map, const char *key, struct mirai_str *raw)
{
    struct mirai_mp mp = mirai_mp(map);
    uint32_t pairs;
    if (mirai_mp_read_map(&mp, &pairs) != 0) {
        return MIRAI_E_INVALID;
    }
    for (uint32_t i = 0; i < pairs; i++) {
        struct mirai_mp_value name;
        if (mirai_mp_read(&mp, &name) != 0 || name.type != MIRAI_MP_STR || mirai_mp_raw(&mp, raw) != 0) {
            return MIRAI_E_INVALID;
        }
        if (mirai_str_eq(name.str, mirai_str(key))) {
            return 0;
        }
    }
    return MIRAI_E_NOT_FOUND;
}
