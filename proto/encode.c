#include "proto/codec.h"

#include "libcommon/time.h"

static void encode_time(struct mirai_buf *buf, int64_t unix_ms)
{
    char text[MIRAI_RFC3339_SIZE];
    mirai_rfc3339_format(text, unix_ms);
    mirai_mp_write_cstr(buf, text);
}

static void encode_strs(struct mirai_buf *buf, const struct mirai_strs *strs)
{
    mirai_mp_write_array(buf, strs->count);
    for (size_t i = 0; i < strs->count; i++) {
        mirai_mp_write_str(buf, strs->items[i]);
    }
}

static void encode_ints(struct mirai_buf *buf, const struct mirai_ints *ints)
{
    mirai_mp_write_array(buf, ints->count);
    for (size_t i = 0; i < ints->count; i++) {
        mirai_mp_write_int(buf, ints->items[i]);
    }
}

static void encode_objects(struct mirai_buf *buf, const struct mirai_message *message,
                           const struct mirai_objects *objects)
{
    const char *items = objects->items;
    mirai_mp_write_array(buf, objects->count);
    for (size_t i = 0; i < objects->count; i++) {
        mirai_message_encode(message, items + i * message->size, buf);
    }
}

/* No bytes are no value: null. */
static void encode_raw(struct mirai_buf *buf, struct mirai_str raw)
{
    if (raw.len > 0) {
        mirai_buf_append_str(buf, raw);
    } else {
        mirai_mp_write_nil(buf);
    }
}

/* An index outside the enum is a bug of the caller: null, which every decoder refuses, rather than a crash.
 */
static void encode_enum(struct mirai_buf *buf, const struct mirai_enum *enumeration, int index)
{
    int i = 0;
    while (i < index && enumeration->values[i] != NULL) {
        i++;
    }
    if (i == index && enumeration->values[i] != NULL) {
        mirai_mp_write_cstr(buf, enumeration->values[i]);
    } else {
        mirai_mp_write_nil(buf);
    }
}

static void encode_value(struct mirai_buf *buf, const struct mirai_field *field, const void *member)
{
    switch (field->kind) {
    case MIRAI_FIELD_BOOL:
        mirai_mp_write_bool(buf, *(const bool *)member);
        break;
    case MIRAI_FIELD_INT:
        mirai_mp_write_int(buf, *(const int64_t *)member);
        break;
    case MIRAI_FIELD_DOUBLE:
        mirai_mp_write_double(buf, *(const double *)member);
        break;
    case MIRAI_FIELD_STR:
    case MIRAI_FIELD_DATE:
        mirai_mp_write_str(buf, *(const struct mirai_str *)member);
        break;
    case MIRAI_FIELD_BIN:
        mirai_mp_write_bin(buf, *(const struct mirai_str *)member);
        break;
    case MIRAI_FIELD_ENUM:
        encode_enum(buf, field->enumeration, *(const int *)member);
        break;
    case MIRAI_FIELD_TIME:
        encode_time(buf, *(const int64_t *)member);
        break;
    case MIRAI_FIELD_OBJECT:
        mirai_message_encode(field->message, member, buf);
        break;
    case MIRAI_FIELD_STRS:
        encode_strs(buf, member);
        break;
    case MIRAI_FIELD_INTS:
        encode_ints(buf, member);
        break;
    case MIRAI_FIELD_OBJECTS:
        encode_objects(buf, field->message, member);
        break;
    case MIRAI_FIELD_RAW:
        encode_raw(buf, *(const struct mirai_str *)member);
        break;
    }
}

/* What stands for "empty" in a NULLABLE field travels as null: the zero of an id would break its bounds. */
static bool is_null(const struct mirai_field *field, const void *member)
{
    if ((field->flags & MIRAI_NULLABLE) == 0) {
        return false;
    }
    switch (field->kind) {
    case MIRAI_FIELD_STR:
    case MIRAI_FIELD_BIN:
    case MIRAI_FIELD_DATE:
        return ((const struct mirai_str *)member)->len == 0;
    case MIRAI_FIELD_INT:
        return *(const int64_t *)member == 0 && (field->min > 0 || field->max < 0);
    default:
        return false;
    }
}

/* Most bytes of a message's overhead are its names, all of them short: a fixstr, written without detours. */
static void encode_name(struct mirai_buf *buf, const char *name)
{
    const unsigned char fixstr = 0xa0;
    size_t len = strlen(name);
    if (len >= 32) {
        mirai_mp_write_cstr(buf, name);
        return;
    }
    mirai_buf_reserve(buf, 1 + len);
    buf->data[buf->len] = (char)(fixstr | len);
    memcpy(buf->data + buf->len + 1, name, len);
    buf->len += 1 + len;
}

void mirai_field_encode(const struct mirai_field *field, const void *member, struct mirai_buf *buf)
{
    encode_name(buf, field->name);
    if (is_null(field, member)) {
        mirai_mp_write_nil(buf);
    } else {
        encode_value(buf, field, member);
    }
}

void mirai_message_encode(const struct mirai_message *message, const void *in, struct mirai_buf *buf)
{
    uint64_t known = message->count < 64 ? (UINT64_C(1) << message->count) - 1 : UINT64_MAX;
    uint64_t present = ((const struct mirai_message_head *)in)->present & known;
    mirai_mp_write_map(buf, (size_t)__builtin_popcountll(present));
    for (; present != 0; present &= present - 1) {
        const struct mirai_field *field = &message->fields[__builtin_ctzll(present)];
        mirai_field_encode(field, (const char *)in + field->offset, buf);
    }
}
