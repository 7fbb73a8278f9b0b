/* Path and query parameters: text becomes the MessagePack value that the field wants, and decoding checks it
 * like any other input. */
#include "proto/codec.h"

#include <stdlib.h>

static void write_int(struct mirai_str text, struct mirai_buf *buf)
{
    int64_t value;
    if (mirai_parse_int(text, INT64_MIN, INT64_MAX, &value) == 0) {
        mirai_mp_write_int(buf, value);
    } else {
        mirai_mp_write_str(buf, text); /* refused by decoding: "type" */
    }
}

static void write_double(struct mirai_str text, struct mirai_buf *buf)
{
    char copy[64];
    char *end = copy;
    double value = 0;
    if (text.len > 0 && text.len < sizeof(copy) && strchr("+-.0123456789", text.data[0]) != NULL) {
        memcpy(copy, text.data, text.len);
        copy[text.len] = '\0';
        value = strtod(copy, &end);
    }
    if (end != copy && end == copy + text.len) {
        mirai_mp_write_double(buf, value);
    } else {
        mirai_mp_write_str(buf, text);
    }
}

static void write_bool(struct mirai_str text, struct mirai_buf *buf)
{
    if (mirai_str_eq(text, MIRAI_STR("true")) || mirai_str_eq(text, MIRAI_STR("1"))) {
        mirai_mp_write_bool(buf, true);
    } else if (mirai_str_eq(text, MIRAI_STR("false")) || mirai_str_eq(text, MIRAI_STR("0"))) {
        mirai_mp_write_bool(buf, false);
    } else {
        mirai_mp_write_str(buf, text);
    }
}

static void write_list(enum mirai_field_kind kind, struct mirai_str text, struct mirai_buf *buf)
{
    size_t offset = mirai_mp_begin_array(buf);
    size_t count = 0;
    for (bool more = text.len > 0; more; count++) {
        const char *comma = memchr(text.data, ',', text.len);
        struct mirai_str item = {text.data, comma != NULL ? (size_t)(comma - text.data) : text.len};
        if (kind == MIRAI_FIELD_INTS) {
            write_int(item, buf);
        } else {
            mirai_mp_write_str(buf, item);
        }
        more = comma != NULL;
        text.data += item.len + more;
        text.len -= item.len + more;
    }
    mirai_mp_end(buf, offset, count);
}

static void write_text(const struct mirai_field *field, struct mirai_str text, struct mirai_buf *buf)
{
    if (text.len == 0 && (field->flags & MIRAI_NULLABLE) != 0) {
        mirai_mp_write_nil(buf);
        return;
    }
    switch (field->kind) {
    case MIRAI_FIELD_BOOL:
        write_bool(text, buf);
        break;
    case MIRAI_FIELD_INT:
        write_int(text, buf);
        break;
    case MIRAI_FIELD_DOUBLE:
        write_double(text, buf);
        break;
    case MIRAI_FIELD_STRS:
    case MIRAI_FIELD_INTS:
        write_list(field->kind, text, buf);
        break;
    default:
        mirai_mp_write_str(buf, text);
    }
}

/* Bytes of a member; 0 for kinds that text does not express. */
static size_t member_size(enum mirai_field_kind kind)
{
    switch (kind) {
    case MIRAI_FIELD_BOOL:
        return sizeof(bool);
    case MIRAI_FIELD_INT:
    case MIRAI_FIELD_TIME:
        return sizeof(int64_t);
    case MIRAI_FIELD_DOUBLE:
        return sizeof(double);
    case MIRAI_FIELD_STR:
    case MIRAI_FIELD_DATE:
        return sizeof(struct mirai_str);
    case MIRAI_FIELD_ENUM:
        return sizeof(int);
    case MIRAI_FIELD_STRS:
        return sizeof(struct mirai_strs);
    case MIRAI_FIELD_INTS:
        return sizeof(struct mirai_ints);
    case MIRAI_FIELD_BIN:
    case MIRAI_FIELD_OBJECT:
    case MIRAI_FIELD_OBJECTS:
    case MIRAI_FIELD_RAW:
        break;
    }
    return 0;
}

static int refuse(struct mirai_faults *faults, struct mirai_str name, const char *problem)
{
    struct mirai_path path = {.name = name.data != NULL ? name : MIRAI_STR("")};
    mirai_fault_add(faults, &path, problem);
    return MIRAI_E_UNPROCESSABLE;
}

int mirai_message_set_text(const struct mirai_message *message, struct mirai_str name, struct mirai_str value,
                           struct mirai_arena *arena, void *out, struct mirai_faults *faults)
{
    struct mirai_message_head *head = out;
    const struct mirai_field *field = mirai_field_find(message, name);
    if (field == NULL) {
        return refuse(faults, name, "unknown-field");
    }
    uint64_t bit = UINT64_C(1) << (field - message->fields);
    if ((head->present & bit) != 0) {
        return refuse(faults, name, "duplicate");
    }
    if (member_size(field->kind) == 0) {
        return refuse(faults, name, "type");
    }
    union {
        struct mirai_str str;
        struct mirai_strs strs;
        struct mirai_ints ints;
        int64_t integer;
        double real;
    } member;
    struct mirai_buf buf = {0};
    memset(&member, 0, sizeof(member));
    write_text(field, value, &buf);
    struct mirai_str bytes = mirai_arena_copy(arena, mirai_buf_str(&buf));
    mirai_buf_free(&buf);
    int err = mirai_field_decode(field, bytes, arena, &member, faults);
    if (err == 0) {
        memcpy((char *)out + field->offset, &member, member_size(field->kind));
        head->present |= bit;
    }
    return err;
}
