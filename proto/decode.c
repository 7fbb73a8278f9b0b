#include "proto/codec.h"

#include "libcommon/time.h"

#include <math.h>

/* Functions return 0 also for a faulty value, so that decoding goes on and reports the next fault too; only
 * bytes that are not MessagePack end it. */
struct decoder {
    enum mirai_strictness strictness;
    struct mirai_arena *arena;
    struct mirai_faults *faults;
    bool failed;
};

static void fault(struct decoder *decoder, const struct mirai_path *path, const char *problem)
{
    decoder->failed = true;
    mirai_fault_add(decoder->faults, path, problem);
}

/* ------------------------------------------------------------------ single values: NULL or the problem */

/* Bytes bound code points from both sides (1 to 4 bytes each), so most texts need no counting. */
static const char *check_text(struct mirai_str s, int64_t min, int64_t max)
{
    int64_t len = (int64_t)s.len;
    if (!mirai_utf8_valid(s)) {
        return "utf8";
    }
    if (len > 0 && memchr(s.data, '\0', s.len) != NULL) {
        return "nul";
    }
    if (len < min || (len / 4 < min && (int64_t)mirai_utf8_length(s) < min)) {
        return "too-short";
    }
    return len > max && (int64_t)mirai_utf8_length(s) > max ? "too-long" : NULL;
}

static const char *decode_text(const struct mirai_field *field, const struct mirai_mp_value *value,
                               struct mirai_str *member)
{
    const char *problem =
        value->type != MIRAI_MP_STR ? "type" : check_text(value->str, field->min, field->max);
    if (problem == NULL) {
        *member = value->str;
    }
    return problem;
}

static const char *decode_binary(const struct mirai_field *field, const struct mirai_mp_value *value,
                                 struct mirai_str *member)
{
    if (value->type != MIRAI_MP_BIN) {
        return value->type == MIRAI_MP_STR ? "format" : "type"; /* text: base64 that was none (json.c) */
    }
    if ((int64_t)value->str.len < field->min) {
        return "too-short";
    }
    if ((int64_t)value->str.len > field->max) {
        return "too-long";
    }
    *member = value->str;
    return NULL;
}

static const char *decode_int(const struct mirai_field *field, const struct mirai_mp_value *value,
                              int64_t *member)
{
    if (value->type == MIRAI_MP_UINT) {
        return "too-large";
    }
    if (value->type != MIRAI_MP_INT) {
        return "type";
    }
    if (value->integer < field->min || value->integer > field->max) {
        return value->integer < field->min ? "too-small" : "too-large";
    }
    *member = value->integer;
    return NULL;
}

static const char *decode_double(const struct mirai_mp_value *value, double *member)
{
    if (value->type == MIRAI_MP_FLOAT) {
        *member = isfinite(value->real) ? value->real : 0;
        return isfinite(value->real) ? NULL : "format";
    }
    if (value->type != MIRAI_MP_INT && value->type != MIRAI_MP_UINT) {
        return "type";
    }
    *member = value->type == MIRAI_MP_INT ? (double)value->integer : (double)value->uinteger;
    return NULL;
}

static const char *decode_enum(const struct mirai_field *field, const struct mirai_mp_value *value,
                               int *member)
{
    if (value->type != MIRAI_MP_STR) {
        return "type";
    }
    for (int i = 0; field->enumeration->values[i] != NULL; i++) {
        if (mirai_str_eq(value->str, mirai_str(field->enumeration->values[i]))) {
            *member = i;
            return NULL;
        }
    }
    return "enum";
}

static const char *decode_time(const struct mirai_mp_value *value, int64_t *member)
{
    int64_t unix_ms = 0;
    if (value->type != MIRAI_MP_STR) {
        return "type";
    }
    if (mirai_rfc3339_parse(value->str, &unix_ms) != 0) {
        return "format";
    }
    *member = unix_ms;
    return NULL;
}

static const char *decode_date(const struct mirai_mp_value *value, struct mirai_str *member)
{
    int64_t unix_ms;
    if (value->type != MIRAI_MP_STR) {
        return "type";
    }
    if (value->str.len != sizeof("2026-01-31") - 1 || mirai_rfc3339_parse(value->str, &unix_ms) != 0) {
        return "format";
    }
    *member = value->str;
    return NULL;
}

static const char *decode_bool(const struct mirai_mp_value *value, bool *member)
{
    if (value->type != MIRAI_MP_BOOL) {
        return "type";
    }
    *member = value->boolean;
    return NULL;
}

static const char *decode_value(const struct mirai_field *field, const struct mirai_mp_value *value,
                                void *member)
{
    switch (field->kind) {
    case MIRAI_FIELD_BOOL:
        return decode_bool(value, member);
    case MIRAI_FIELD_INT:
        return decode_int(field, value, member);
    case MIRAI_FIELD_DOUBLE:
        return decode_double(value, member);
    case MIRAI_FIELD_STR:
        return decode_text(field, value, member);
    case MIRAI_FIELD_BIN:
        return decode_binary(field, value, member);
    case MIRAI_FIELD_ENUM:
        return decode_enum(field, value, member);
    case MIRAI_FIELD_TIME:
        return decode_time(value, member);
    case MIRAI_FIELD_DATE:
        return decode_date(value, member);
    default:
        return "type";
    }
}

/* Read a value's head, of which *value tells; when it is a container that is not wanted, it is skipped. */
static int read_head(struct mirai_mp *mp, enum mirai_mp_type wanted, struct mirai_mp_value *value)
{
    struct mirai_mp before = *mp;
    int err = mirai_mp_read(mp, value);
    if (err == 0 && value->type != wanted && (value->type == MIRAI_MP_ARRAY || value->type == MIRAI_MP_MAP)) {
        *mp = before;
        err = mirai_mp_skip(mp);
    }
    return err;
}

static int decode_scalar(struct decoder *decoder, const struct mirai_field *field,
                         const struct mirai_path *path, struct mirai_mp *mp, void *member)
{
    struct mirai_mp_value value;
    if (read_head(mp, MIRAI_MP_NIL, &value) != 0) {
        return MIRAI_E_INVALID;
    }
    const char *problem = decode_value(field, &value, member);
    if (problem != NULL) {
        fault(decoder, path, problem);
    }
    return 0;
}

/* ------------------------------------------------------------------ lists and objects */

static int decode_strs(struct decoder *decoder, unsigned flags, const struct mirai_path *up,
                       struct mirai_mp *mp, uint32_t count, struct mirai_strs *member)
{
    const struct mirai_field item = {
        .kind = MIRAI_FIELD_STR,
        .min = 1,
        .max = (flags & MIRAI_LONG_ITEMS) != 0 ? MIRAI_LONG_ITEM_MAX : MIRAI_ITEM_MAX,
    };
    member->items = mirai_arena_alloc(decoder->arena, count * sizeof(*member->items));
    member->count = count;
    for (uint32_t i = 0; i < count; i++) {
        struct mirai_path path = {.up = up, .index = i};
        if (decode_scalar(decoder, &item, &path, mp, &member->items[i]) != 0) {
            return MIRAI_E_INVALID;
        }
    }
    return 0;
}

static int decode_ints(struct decoder *decoder, const struct mirai_path *up, struct mirai_mp *mp,
                       uint32_t count, struct mirai_ints *member)
{
    static const struct mirai_field item = {.kind = MIRAI_FIELD_INT, .min = INT64_MIN, .max = INT64_MAX};
    member->items = mirai_arena_alloc(decoder->arena, count * sizeof(*member->items));
    member->count = count;
    for (uint32_t i = 0; i < count; i++) {
        struct mirai_path path = {.up = up, .index = i};
        if (decode_scalar(decoder, &item, &path, mp, &member->items[i]) != 0) {
            return MIRAI_E_INVALID;
        }
    }
    return 0;
}

static int decode_map(struct decoder *decoder, const struct mirai_message *message,
                      const struct mirai_path *up, struct mirai_mp *mp, uint32_t pairs, void *out);

static int decode_object(struct decoder *decoder, const struct mirai_message *message,
                         const struct mirai_path *path, struct mirai_mp *mp, void *out)
{
    struct mirai_mp_value value;
    if (read_head(mp, MIRAI_MP_MAP, &value) != 0) {
        return MIRAI_E_INVALID;
    }
    if (value.type != MIRAI_MP_MAP) {
        fault(decoder, path, "type");
        return 0;
    }
    return decode_map(decoder, message, path, mp, value.count, out);
}

static int decode_objects(struct decoder *decoder, const struct mirai_message *message,
                          const struct mirai_path *up, struct mirai_mp *mp, uint32_t count,
                          struct mirai_objects *member)
{
    char *items = mirai_arena_alloc(decoder->arena, count * message->size);
    member->items = items;
    member->count = count;
    for (uint32_t i = 0; i < count; i++) {
        struct mirai_path path = {.up = up, .index = i};
        if (decode_object(decoder, message, &path, mp, items + i * message->size) != 0) {
            return MIRAI_E_INVALID;
        }
    }
    return 0;
}

static int decode_list(struct decoder *decoder, const struct mirai_field *field,
                       const struct mirai_path *path, struct mirai_mp *mp, void *member)
{
    struct mirai_mp before = *mp;
    struct mirai_mp_value value;
    if (read_head(mp, MIRAI_MP_ARRAY, &value) != 0) {
        return MIRAI_E_INVALID;
    }
    if (value.type != MIRAI_MP_ARRAY) {
        fault(decoder, path, "type");
        return 0;
    }
    if ((int64_t)value.count > field->max) {
        fault(decoder, path, "too-many");
        *mp = before;
        return mirai_mp_skip(mp);
    }
    switch (field->kind) {
    case MIRAI_FIELD_STRS:
        return decode_strs(decoder, field->flags, path, mp, value.count, member);
    case MIRAI_FIELD_INTS:
        return decode_ints(decoder, path, mp, value.count, member);
    default:
        return decode_objects(decoder, field->message, path, mp, value.count, member);
    }
}

/* ------------------------------------------------------------------ fields */

static int decode_field(struct decoder *decoder, const struct mirai_field *field,
                        const struct mirai_path *path, struct mirai_mp *mp, void *member)
{
    const unsigned char nil = 0xc0;
    if ((field->flags & MIRAI_NULLABLE) != 0 && mp->at < mp->end && *mp->at == nil) {
        mp->at++;
        return 0; /* present, and empty */
    }
    switch (field->kind) {
    case MIRAI_FIELD_OBJECT:
        return decode_object(decoder, field->message, path, mp, member);
    case MIRAI_FIELD_STRS:
    case MIRAI_FIELD_INTS:
    case MIRAI_FIELD_OBJECTS:
        return decode_list(decoder, field, path, mp, member);
    case MIRAI_FIELD_RAW:
        return mirai_mp_raw(mp, member);
    default:
        return decode_scalar(decoder, field, path, mp, member);
    }
}

/* Most names differ in the first character. A name from outside may hold NUL: no function that stops there.
 */
static bool has_name(const struct mirai_field *field, struct mirai_str name)
{
    return name.len > 0 && field->name[0] == name.data[0] && strnlen(field->name, name.len + 1) == name.len &&
           memcmp(field->name, name.data, name.len) == 0;
}

/* Index of a field by name, or message->count. Peers write fields in the order of the declaration: the search
 * begins at `guess`, the field after the last one. */
static size_t find_field(const struct mirai_message *message, struct mirai_str name, size_t guess)
{
    for (size_t i = guess; i < message->count; i++) {
        if (has_name(&message->fields[i], name)) {
            return i;
        }
    }
    for (size_t i = 0; i < guess; i++) {
        if (has_name(&message->fields[i], name)) {
            return i;
        }
    }
    return message->count;
}

const struct mirai_field *mirai_field_find(const struct mirai_message *message, struct mirai_str name)
{
    size_t i = find_field(message, name, 0);
    bool given = i < message->count && (message->fields[i].flags & MIRAI_INTERNAL) == 0;
    return given ? &message->fields[i] : NULL;
}

static void require(struct decoder *decoder, const struct mirai_message *message, const struct mirai_path *up,
                    uint64_t present)
{
    for (size_t i = 0; i < message->count; i++) {
        if ((message->fields[i].flags & MIRAI_REQUIRED) != 0 && (present >> i & 1) == 0) {
            struct mirai_path path = {.up = up, .name = mirai_str(message->fields[i].name)};
            fault(decoder, &path, "required");
        }
    }
}

static int decode_pair(struct decoder *decoder, const struct mirai_message *message,
                       const struct mirai_path *path, struct mirai_mp *mp, size_t *guess, void *out)
{
    struct mirai_message_head *head = out;
    size_t i = find_field(message, path->name, *guess);
    bool hidden = i < message->count && (message->fields[i].flags & MIRAI_INTERNAL) != 0;
    if (i == message->count || (hidden && decoder->strictness == MIRAI_EDGE)) {
        if (decoder->strictness == MIRAI_EDGE) {
            fault(decoder, path, "unknown-field");
        }
        return mirai_mp_skip(mp);
    }
    if ((head->present >> i & 1) != 0) {
        fault(decoder, path, "duplicate");
        return mirai_mp_skip(mp);
    }
    head->present |= UINT64_C(1) << i;
    *guess = i + 1;
    return decode_field(decoder, &message->fields[i], path, mp, (char *)out + message->fields[i].offset);
}

static int decode_map(struct decoder *decoder, const struct mirai_message *message,
                      const struct mirai_path *up, struct mirai_mp *mp, uint32_t pairs, void *out)
{
    size_t guess = 0;
    for (uint32_t p = 0; p < pairs; p++) {
        struct mirai_mp_value name;
        if (mirai_mp_read(mp, &name) != 0 || name.type != MIRAI_MP_STR) {
            return MIRAI_E_INVALID;
        }
        struct mirai_path path = {.up = up, .name = name.str};
        if (decode_pair(decoder, message, &path, mp, &guess, out) != 0) {
            return MIRAI_E_INVALID;
        }
    }
    require(decoder, message, up, ((const struct mirai_message_head *)out)->present);
    return 0;
}

/* ------------------------------------------------------------------ entry points */

int mirai_message_decode(const struct mirai_message *message, struct mirai_str bytes,
                         enum mirai_strictness strictness, struct mirai_arena *arena, void *out,
                         struct mirai_faults *faults)
{
    struct decoder decoder = {.strictness = strictness, .arena = arena, .faults = faults};
    struct mirai_mp mp = mirai_mp(bytes);
    struct mirai_mp_value value = {.type = MIRAI_MP_NIL};
    memset(out, 0, message->size);
    if (bytes.len > 0 && mirai_mp_read(&mp, &value) != 0) {
        return MIRAI_E_INVALID;
    }
    if (value.type != MIRAI_MP_MAP && value.type != MIRAI_MP_NIL) {
        return MIRAI_E_INVALID;
    }
    uint32_t pairs = value.type == MIRAI_MP_MAP ? value.count : 0;
    if (decode_map(&decoder, message, NULL, &mp, pairs, out) != 0 || mp.at != mp.end) {
        return MIRAI_E_INVALID;
    }
    return decoder.failed ? MIRAI_E_UNPROCESSABLE : 0;
}

int mirai_field_decode(const struct mirai_field *field, struct mirai_str bytes, struct mirai_arena *arena,
                       void *member, struct mirai_faults *faults)
{
    struct decoder decoder = {.strictness = MIRAI_EDGE, .arena = arena, .faults = faults};
    struct mirai_path path = {.name = mirai_str(field->name)};
    struct mirai_mp mp = mirai_mp(bytes);
    if (decode_field(&decoder, field, &path, &mp, member) != 0 || mp.at != mp.end) {
        return MIRAI_E_INVALID;
    }
    return decoder.failed ? MIRAI_E_UNPROCESSABLE : 0;
}
