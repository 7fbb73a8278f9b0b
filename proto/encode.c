#include "proto/message.h"

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

static void encode_field(struct mirai_buf *buf, const struct mirai_field *field, const void *member)
{
    const struct mirai_str *str = member;
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
        if ((field->flags & MIRAI_NULLABLE) != 0 && str->data == NULL) {
            mirai_mp_write_nil(buf);
        } else {
            mirai_mp_write_str(buf, *str);
        }
        break;
    case MIRAI_FIELD_BIN:
        mirai_mp_write_bin(buf, *str);
        break;
    case MIRAI_FIELD_ENUM:
        mirai_mp_write_cstr(buf, field->enumeration->values[*(const int *)member]);
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
        mirai_buf_append_str(buf, *str);
        break;
    }
}

void mirai_message_encode(const struct mirai_message *message, const void *in, struct mirai_buf *buf)
{
    uint64_t present = ((const struct mirai_message_head *)in)->present;
    mirai_mp_write_map(buf, (size_t)__builtin_popcountll(present));
    for (size_t i = 0; i < message->count; i++) {
        if ((present >> i & 1) != 0) {
            mirai_mp_write_cstr(buf, message->fields[i].name);
            encode_field(buf, &message->fields[i], (const char *)in + message->fields[i].offset);
        }
    }
}
