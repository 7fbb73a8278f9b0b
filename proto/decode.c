#include "proto/message.h"

#include "libcommon/time.h"

#include <stdio.h>

#define STRS_ITEM_MAX 200 /* code points of an item of a STRS list */

/* Where decoding stands: the path of the member at hand and where faults go. */
struct decoder {
    enum mirai_strictness strictness;
    struct mirai_arena *arena;
    struct mirai_faults *faults;
    bool failed;
    char path[96]; /* JSON Pointer; cut when it grows too long */
    size_t path_len;
};

static void fault(struct decoder *decoder, const char *problem)
{
    struct mirai_faults *faults = decoder->faults;
    decoder->failed = true;
    if (faults != NULL && faults->count < sizeof(faults->list) / sizeof(faults->list[0])) {
        struct mirai_fault *next = &faults->list[faults->count++];
        memcpy(next->path, decoder->path, decoder->path_len);
        next->path[decoder->path_len] = '\0';
        next->problem = problem;
    }
}

/* Append "/name" (RFC 6901 §3 escapes) and return the length before, for leave(). */
static size_t enter(struct decoder *decoder, struct mirai_str name)
{
    size_t before = decoder->path_len;
    size_t at = before;
    const size_t end = sizeof(decoder->path) - 1;
    name = mirai_utf8_prefix(name, 40);
    if (at < end) {
        decoder->path[at++] = '/';
    }
    for (size_t i = 0; i < name.len && at + 2 <= end; i++) {
        char c = name.data[i];
        if (c == '~' || c == '/') {
            decoder->path[at++] = '~';
            c = c == '~' ? '0' : '1';
        } else if ((unsigned char)c < 0x20 || (unsigned char)c == 0x7f) {
            c = '?';
        }
        decoder->path[at++] = c;
    }
    decoder->path_len = at;
    return before;
}

static void leave(struct decoder *decoder, size_t before)
{
    decoder->path_len = before;
}

static size_t enter_index(struct decoder *decoder, uint32_t index)
{
    char text[12];
    snprintf(text, sizeof(text), "%u", index);
    return enter(decoder, mirai_str(text));
}

/* ------------------------------------------------------------------ values */

static bool good_text(struct decoder *decoder, struct mirai_str s, int64_t min, int64_t max)
{
    if (!mirai_utf8_valid(s)) {
        fault(decoder, "utf8");
    } else if (s.len > 0 && memchr(s.data, '\0', s.len) != NULL) {
        fault(decoder, "nul");
    } else if ((int64_t)s.len < min || ((int64_t)s.len < 4 * min && (int64_t)mirai_utf8_length(s) < min)) {
        fault(decoder, "too-short");
    } else if ((int64_t)s.len > max && (int64_t)mirai_utf8_length(s) > max) {
        fault(decoder, "too-long");
    } else {
        return true;
    }
    return false;
}

static void decode_text(struct decoder *decoder, const struct mirai_field *field,
                        const struct mirai_mp_value *value, struct mirai_str *member)
{
    if (value->type != MIRAI_MP_STR) {
        fault(decoder, "type");
    } else if (good_text(decoder, value->str, field->min, field->max)) {
        *member = value->str;
    }
}

static void decode_binary(struct decoder *decoder, const struct mirai_field *field,
                          const struct mirai_mp_value *value, struct mirai_str *member)
{
    if (value->type != MIRAI_MP_BIN) {
        fault(decoder, "type");
    } else if ((int64_t)value->str.len < field->min) {
        fault(decoder, "too-short");
    } else if ((int64_t)value->str.len > field->max) {
        fault(decoder, "too-long");
    } else {
        *member = value->str;
    }
}

static void decode_int(struct decoder *decoder, const struct mirai_field *field,
                       const struct mirai_mp_value *value, int64_t *member)
{
    if (value->type == MIRAI_MP_UINT) {
        fault(decoder, "too-large");
    } else if (value->type != MIRAI_MP_INT) {
        fault(decoder, "type");
    } else if (value->integer < field->min) {
        fault(decoder, "too-small");
    } else if (value->integer > field->max) {
        fault(decoder, "too-large");
    } else {
        *member = value->integer;
    }
}

static void decode_double(struct decoder *decoder, const struct mirai_mp_value *value, double *member)
{
    switch (value->type) {
    case MIRAI_MP_FLOAT:
        *member = value->real;
        break;
    case MIRAI_MP_INT:
        *member = (double)value->integer;
        break;
    case MIRAI_MP_UINT:
        *member = (double)value->uinteger;
        break;
    default:
        fault(decoder, "type");
    }
}

static void decode_enum(struct decoder *decoder, const struct mirai_field *field,
                        const struct mirai_mp_value *value, int *member)
{
    if (value->type != MIRAI_MP_STR) {
        fault(decoder, "type");
        return;
    }
    for (int i = 0; field->enumeration->values[i] != NULL; i++) {
        if (mirai_str_eq(value->str, mirai_str(field->enumeration->values[i]))) {
            *member = i;
            return;
        }
    }
    fault(decoder, "enum");
}

static void decode_time(struct decoder *decoder, const struct mirai_mp_value *value, int64_t *member)
{
    if (value->type != MIRAI_MP_STR) {
        fault(decoder, "type");
    } else if (mirai_rfc3339_parse(value->str, member) != 0) {
        fault(decoder, "format");
    }
}

static void decode_date(struct decoder *decoder, const struct mirai_mp_value *value, struct mirai_str *member)
{
    int64_t unix_ms;
    if (value->type != MIRAI_MP_STR) {
        fault(decoder, "type");
    } else if (value->str.len != 10 || mirai_rfc3339_parse(value->str, &unix_ms) != 0) {
        fault(decoder, "format");
    } else {
        *member = value->str;
    }
}

/* ------------------------------------------------------------------ lists */

static bool good_list(struct decoder *decoder, const struct mirai_field *field,
                      const struct mirai_mp_value *value)
{
    if (value->type != MIRAI_MP_ARRAY) {
        fault(decoder, "type");
        return false;
    }
    if ((int64_t)value->count > field->max) {
        fault(decoder, "too-many");
        return false;
    }
    return true;
}

static int decode_strs(struct decoder *decoder, struct mirai_mp *mp, uint32_t count,
                       struct mirai_strs *member)
{
    member->items = mirai_arena_alloc(decoder->arena, count * sizeof(*member->items));
    member->count = count;
    for (uint32_t i = 0; i < count; i++) {
        struct mirai_mp before = *mp;
        struct mirai_mp_value value;
        size_t path = enter_index(decoder, i);
        if (mirai_mp_read(mp, &value) != 0) {
            return MIRAI_E_INVALID;
        }
        if (value.type != MIRAI_MP_STR) {
            fault(decoder, "type");
            *mp = before;
            if (mirai_mp_skip(mp) != 0) {
                return MIRAI_E_INVALID;
            }
        } else if (good_text(decoder, value.str, 1, STRS_ITEM_MAX)) {
            member->items[i] = value.str;
        }
        leave(decoder, path);
    }
    return 0;
}

static int decode_ints(struct decoder *decoder, struct mirai_mp *mp, uint32_t count,
                       struct mirai_ints *member)
{
    member->items = mirai_arena_alloc(decoder->arena, count * sizeof(*member->items));
    member->count = count;
    for (uint32_t i = 0; i < count; i++) {
        struct mirai_mp before = *mp;
        struct mirai_mp_value value;
        size_t path = enter_index(decoder, i);
        if (mirai_mp_read(mp, &value) != 0) {
            return MIRAI_E_INVALID;
        }
        if (value.type != MIRAI_MP_INT) {
            fault(decoder, "type");
            *mp = before;
            if (mirai_mp_skip(mp) != 0) {
                return MIRAI_E_INVALID;
            }
        } else {
            member->items[i] = value.integer;
        }
        leave(decoder, path);
    }
    return 0;
}

static int decode_map(struct decoder *decoder, const struct mirai_message *message, struct mirai_mp *mp,
                      uint32_t pairs, void *out);

static int decode_object(struct decoder *decoder, const struct mirai_message *message, struct mirai_mp *mp,
                         void *out)
{
    struct mirai_mp before = *mp;
    struct mirai_mp_value value;
    if (mirai_mp_read(mp, &value) != 0) {
        return MIRAI_E_INVALID;
    }
    if (value.type != MIRAI_MP_MAP) {
        fault(decoder, "type");
        *mp = before;
        return mirai_mp_skip(mp);
    }
    return decode_map(decoder, message, mp, value.count, out);
}

static int decode_objects(struct decoder *decoder, const struct mirai_field *field, struct mirai_mp *mp,
                          uint32_t count, struct mirai_objects *member)
{
    char *items = mirai_arena_alloc(decoder->arena, count * field->message->size);
    member->items = items;
    member->count = count;
    for (uint32_t i = 0; i < count; i++) {
        size_t path = enter_index(decoder, i);
        if (decode_object(decoder, field->message, mp, items + i * field->message->size) != 0) {
            return MIRAI_E_INVALID;
        }
        leave(decoder, path);
    }
    return 0;
}

/* ------------------------------------------------------------------ fields */

static int decode_list(struct decoder *decoder, const struct mirai_field *field, struct mirai_mp *mp,
                       void *member)
{
    struct mirai_mp before = *mp;
    struct mirai_mp_value value;
    if (mirai_mp_read(mp, &value) != 0) {
        return MIRAI_E_INVALID;
    }
    if (!good_list(decoder, field, &value)) {
        *mp = before;
        return mirai_mp_skip(mp);
    }
    switch (field->kind) {
    case MIRAI_FIELD_STRS:
        return decode_strs(decoder, mp, value.count, member);
    case MIRAI_FIELD_INTS:
        return decode_ints(decoder, mp, value.count, member);
    default:
        return decode_objects(decoder, field, mp, value.count, member);
    }
}

static int decode_scalar(struct decoder *decoder, const struct mirai_field *field, struct mirai_mp *mp,
                         void *member)
{
    struct mirai_mp before = *mp;
    struct mirai_mp_value value;
    if (mirai_mp_read(mp, &value) != 0) {
        return MIRAI_E_INVALID;
    }
    if (value.type == MIRAI_MP_ARRAY || value.type == MIRAI_MP_MAP) {
        fault(decoder, "type");
        *mp = before;
        return mirai_mp_skip(mp);
    }
    if (value.type == MIRAI_MP_NIL && (field->flags & MIRAI_NULLABLE) != 0) {
        return 0; /* present, and empty */
    }
    switch (field->kind) {
    case MIRAI_FIELD_BOOL:
        if (value.type != MIRAI_MP_BOOL) {
            fault(decoder, "type");
        } else {
            *(bool *)member = value.boolean;
        }
        break;
    case MIRAI_FIELD_INT:
        decode_int(decoder, field, &value, member);
        break;
    case MIRAI_FIELD_DOUBLE:
        decode_double(decoder, &value, member);
        break;
    case MIRAI_FIELD_BIN:
        decode_binary(decoder, field, &value, member);
        break;
    case MIRAI_FIELD_ENUM:
        decode_enum(decoder, field, &value, member);
        break;
    case MIRAI_FIELD_TIME:
        decode_time(decoder, &value, member);
        break;
    case MIRAI_FIELD_DATE:
        decode_date(decoder, &value, member);
        break;
    default:
        decode_text(decoder, field, &value, member);
    }
    return 0;
}

static int decode_field(struct decoder *decoder, const struct mirai_field *field, struct mirai_mp *mp,
                        void *member)
{
    switch (field->kind) {
    case MIRAI_FIELD_OBJECT:
        return decode_object(decoder, field->message, mp, member);
    case MIRAI_FIELD_STRS:
    case MIRAI_FIELD_INTS:
    case MIRAI_FIELD_OBJECTS:
        return decode_list(decoder, field, mp, member);
    case MIRAI_FIELD_RAW:
        return mirai_mp_raw(mp, member);
    default:
        return decode_scalar(decoder, field, mp, member);
    }
}

/* Index of a field by name, or message->count. Peers write fields in the order of the declaration: `guess` is
 * mostly right. */
static size_t find_field(const struct mirai_message *message, struct mirai_str name, size_t guess)
{
    for (size_t n = 0; n < message->count; n++) {
        size_t i = guess + n < message->count ? guess + n : guess + n - message->count;
        if (mirai_str_eq(name, mirai_str(message->fields[i].name))) {
            return i;
        }
    }
    return message->count;
}

static void require(struct decoder *decoder, const struct mirai_message *message, uint64_t present)
{
    for (size_t i = 0; i < message->count; i++) {
        if ((message->fields[i].flags & MIRAI_REQUIRED) != 0 && (present >> i & 1) == 0) {
            size_t path = enter(decoder, mirai_str(message->fields[i].name));
            fault(decoder, "required");
            leave(decoder, path);
        }
    }
}

/* Faults are noted and decoding goes on; only bytes that are not MessagePack end it. */
static int decode_map(struct decoder *decoder, const struct mirai_message *message, struct mirai_mp *mp,
                      uint32_t pairs, void *out)
{
    struct mirai_message_head *head = out;
    size_t guess = 0;
    for (uint32_t p = 0; p < pairs; p++) {
        struct mirai_str name;
        if (mirai_mp_read_str(mp, &name) != 0) {
            return MIRAI_E_INVALID;
        }
        size_t i = find_field(message, name, guess);
        size_t path = enter(decoder, mirai_utf8_valid(name) ? name : MIRAI_STR("?"));
        int err = 0;
        if (i == message->count) {
            if (decoder->strictness == MIRAI_EDGE) {
                fault(decoder, "unknown-field");
            }
            err = mirai_mp_skip(mp);
        } else if ((head->present >> i & 1) != 0) {
            fault(decoder, "duplicate");
            err = mirai_mp_skip(mp);
        } else {
            err = decode_field(decoder, &message->fields[i], mp, (char *)out + message->fields[i].offset);
            head->present |= UINT64_C(1) << i;
            guess = i + 1 < message->count ? i + 1 : 0;
        }
        if (err != 0) {
            return MIRAI_E_INVALID;
        }
        leave(decoder, path);
    }
    require(decoder, message, head->present);
    return 0;
}

int mirai_message_decode(const struct mirai_message *message, struct mirai_str bytes,
                         enum mirai_strictness strictness, struct mirai_arena *arena, void *out,
                         struct mirai_faults *faults)
{
    struct decoder decoder = {.strictness = strictness, .arena = arena, .faults = faults};
    struct mirai_mp mp = mirai_mp(bytes);
    struct mirai_mp_value value = {.type = MIRAI_MP_NIL};
    uint32_t pairs = 0;
    memset(out, 0, message->size);
    if (bytes.len > 0 && mirai_mp_read(&mp, &value) != 0) {
        return MIRAI_E_INVALID;
    }
    if (value.type == MIRAI_MP_MAP) {
        pairs = value.count;
    } else if (value.type != MIRAI_MP_NIL) {
        return MIRAI_E_INVALID;
    }
    if (decode_map(&decoder, message, &mp, pairs, out) != 0) {
        return MIRAI_E_INVALID;
    }
    return decoder.failed ? MIRAI_E_UNPROCESSABLE : 0;
}
