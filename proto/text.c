#include "proto/message.h"

#include <stdio.h>

/* Turns the text into the MessagePack value that the field expects; decoding then checks it like any other
 * input. */

static void write_list(const struct mirai_field *field, struct mirai_str value, struct mirai_buf *buf)
{
    size_t offset = mirai_mp_begin_array(buf);
    size_t count = 0;
    while (value.len > 0) {
        const char *comma = memchr(value.data, ',', value.len);
        size_t len = comma != NULL ? (size_t)(comma - value.data) : value.len;
        struct mirai_str item = {value.data, len};
        int64_t number;
        if (field->kind == MIRAI_FIELD_INTS && mirai_parse_int(item, INT64_MIN, INT64_MAX, &number) == 0) {
            mirai_mp_write_int(buf, number);
        } else {
            mirai_mp_write_str(buf, item);
        }
        count++;
        value.data += len;
        value.len -= len;
        if (comma != NULL) {
            value.data++;
            value.len--;
        }
    }
    mirai_mp_end(buf, offset, count);
}

static void write_value(const struct mirai_field *field, struct mirai_str value, struct mirai_buf *buf)
{
    int64_t number;
    bool yes = mirai_str_eq(value, MIRAI_STR("true")) || mirai_str_eq(value, MIRAI_STR("1"));
    bool no = mirai_str_eq(value, MIRAI_STR("false")) || mirai_str_eq(value, MIRAI_STR("0"));
    switch (field->kind) {
    case MIRAI_FIELD_STRS:
    case MIRAI_FIELD_INTS:
        write_list(field, value, buf);
        return;
    case MIRAI_FIELD_INT:
        if (mirai_parse_int(value, INT64_MIN, INT64_MAX, &number) == 0) {
            mirai_mp_write_int(buf, number);
            return;
        }
        break;
    case MIRAI_FIELD_BOOL:
        if (yes || no) {
            mirai_mp_write_bool(buf, yes);
            return;
        }
        break;
    default:
        break;
    }
    mirai_mp_write_str(buf, value);
}

static const struct mirai_field *find_field(const struct mirai_message *message, struct mirai_str name)
{
    for (size_t i = 0; i < message->count; i++) {
        if (mirai_str_eq(name, mirai_str(message->fields[i].name))) {
            return &message->fields[i];
        }
    }
    return NULL;
}

static int fault(struct mirai_faults *faults, struct mirai_str name, const char *problem)
{
    if (faults != NULL && faults->count < sizeof(faults->list) / sizeof(faults->list[0])) {
        struct mirai_fault *next = &faults->list[faults->count++];
        name = mirai_utf8_valid(name) ? mirai_utf8_prefix(name, 80) : MIRAI_STR("?");
        snprintf(next->path, sizeof(next->path), "/%.*s", MIRAI_STR_ARG(name));
        next->problem = problem;
    }
    return MIRAI_E_UNPROCESSABLE;
}

/* The problem that decoding found with this one field, or NULL ("required" faults are about the others). */
static const char *own_problem(const struct mirai_faults *found, const char *field_name)
{
    size_t len = strlen(field_name);
    for (size_t i = 0; i < found->count; i++) {
        const char *path = found->list[i].path;
        if (path[0] == '/' && strncmp(path + 1, field_name, len) == 0 &&
            (path[1 + len] == '\0' || path[1 + len] == '/')) {
            return found->list[i].problem;
        }
    }
    return NULL;
}

int mirai_message_set_text(const struct mirai_message *message, struct mirai_str name, struct mirai_str value,
                           struct mirai_arena *arena, void *out, struct mirai_faults *faults)
{
    struct mirai_message_head *head = out;
    const struct mirai_field *field = find_field(message, name);
    if (field == NULL) {
        return fault(faults, name, "unknown-field");
    }
    uint64_t bit = UINT64_C(1) << (field - message->fields);
    if ((head->present & bit) != 0) {
        return fault(faults, name, "duplicate");
    }
    /* A message of this one field, decoded like any other, so that there is one set of rules. */
    struct mirai_field alone = *field;
    alone.offset = sizeof(struct mirai_message_head);
    const struct mirai_message single = {.name = message->name,
                                         .doc = "",
                                         .size = sizeof(struct mirai_message_head) + 64,
                                         .count = 1,
                                         .fields = &alone};
    struct mirai_buf buf = {0};
    struct mirai_faults found = {.count = 0};
    char scratch[sizeof(struct mirai_message_head) + 64];
    mirai_mp_write_map(&buf, 1);
    mirai_mp_write_str(&buf, name);
    write_value(field, value, &buf);
    struct mirai_str bytes = mirai_arena_copy(arena, mirai_buf_str(&buf));
    mirai_buf_free(&buf);
    int err = mirai_message_decode(&single, bytes, MIRAI_EDGE, arena, scratch, &found);
    if (err != 0) {
        const char *problem = own_problem(&found, field->name);
        return fault(faults, name, problem != NULL ? problem : "type");
    }
    const size_t sizes[] = {
        [MIRAI_FIELD_BOOL] = sizeof(bool),
        [MIRAI_FIELD_INT] = sizeof(int64_t),
        [MIRAI_FIELD_DOUBLE] = sizeof(double),
        [MIRAI_FIELD_STR] = sizeof(struct mirai_str),
        [MIRAI_FIELD_BIN] = sizeof(struct mirai_str),
        [MIRAI_FIELD_ENUM] = sizeof(int),
        [MIRAI_FIELD_TIME] = sizeof(int64_t),
        [MIRAI_FIELD_DATE] = sizeof(struct mirai_str),
        [MIRAI_FIELD_STRS] = sizeof(struct mirai_strs),
        [MIRAI_FIELD_INTS] = sizeof(struct mirai_ints),
        [MIRAI_FIELD_RAW] = 0,
    };
    memcpy((char *)out + field->offset, scratch + alone.offset, sizes[field->kind]);
    head->present |= bit;
    return 0;
}
