/* MessagePack: writing into a mirai_buf (through msgpack-c) and reading bytes in place without allocation. */
#ifndef MIRAI_MP_H
#define MIRAI_MP_H

#include "libcommon/str.h"

/* Deepest nesting that a reader follows; deeper input is refused. */
#define MIRAI_MP_DEPTH_MAX 16

/* Source of the format: https://github.com/msgpack/msgpack/blob/master/spec.md */

/* --- writing: appends one value; containers announce the number of members that follow --- */
void mirai_mp_write_nil(struct mirai_buf *buf);
void mirai_mp_write_bool(struct mirai_buf *buf, bool value);
void mirai_mp_write_int(struct mirai_buf *buf, int64_t value);
void mirai_mp_write_double(struct mirai_buf *buf, double value);
void mirai_mp_write_str(struct mirai_buf *buf, struct mirai_str s);
void mirai_mp_write_cstr(struct mirai_buf *buf, const char *s);
void mirai_mp_write_bin(struct mirai_buf *buf, struct mirai_str bytes);
void mirai_mp_write_array(struct mirai_buf *buf, size_t count);
void mirai_mp_write_map(struct mirai_buf *buf, size_t pairs);

/* A container whose size is known only at its end: begin writes a 32-bit header and returns its offset,
 * end patches the count in. */
size_t mirai_mp_begin_array(struct mirai_buf *buf);
size_t mirai_mp_begin_map(struct mirai_buf *buf);
void mirai_mp_end(struct mirai_buf *buf, size_t offset, size_t count);

/* --- reading --- */
enum mirai_mp_type {
    MIRAI_MP_NIL,
    MIRAI_MP_BOOL,
    MIRAI_MP_INT,   /* fits int64_t */
    MIRAI_MP_UINT,  /* above INT64_MAX */
    MIRAI_MP_FLOAT, /* 32 or 64 bit */
    MIRAI_MP_STR,   /* bytes as sent: UTF-8 is not yet checked */
    MIRAI_MP_BIN,
    MIRAI_MP_ARRAY,
    MIRAI_MP_MAP,
    MIRAI_MP_EXT,
};

struct mirai_mp_value {
    enum mirai_mp_type type;
    union {
        bool boolean;
        int64_t integer;
        uint64_t uinteger;
        double real;
        struct mirai_str str; /* STR, BIN, EXT payload: points into the input */
        uint32_t count;       /* ARRAY members, MAP pairs: never more than bytes are left */
    };
};

/* A cursor over bytes that the caller keeps alive. */
struct mirai_mp {
    const unsigned char *at;
    const unsigned char *end;
};

static inline struct mirai_mp mirai_mp(struct mirai_str bytes)
{
    const unsigned char *at = (const unsigned char *)bytes.data;
    return (struct mirai_mp){at, bytes.len > 0 ? at + bytes.len : at}; /* no arithmetic on NULL */
}

/* Read one value's head (a container's members follow). 0, or MIRAI_E_INVALID at truncated or reserved bytes. */
int mirai_mp_read(struct mirai_mp *mp, struct mirai_mp_value *value);
/* Skip one whole value. 0 or MIRAI_E_INVALID (also when nested deeper than MIRAI_MP_DEPTH_MAX). */
int mirai_mp_skip(struct mirai_mp *mp);
/* One whole value as its raw bytes (for passing on). 0 or MIRAI_E_INVALID. */
int mirai_mp_raw(struct mirai_mp *mp, struct mirai_str *raw);
/* Typed shortcuts: 0, or MIRAI_E_INVALID when the next value has another type. */
int mirai_mp_read_int(struct mirai_mp *mp, int64_t *value);
int mirai_mp_read_str(struct mirai_mp *mp, struct mirai_str *value); /* STR or BIN */
int mirai_mp_read_array(struct mirai_mp *mp, uint32_t *count);
int mirai_mp_read_map(struct mirai_mp *mp, uint32_t *pairs);
/* Value of a string key in the map `map` (whole bytes): 0, MIRAI_E_NOT_FOUND, or MIRAI_E_INVALID. */
int mirai_mp_find(struct mirai_str map, const char *key, struct mirai_str *raw);

#endif
