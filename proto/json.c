#include "proto/message.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* ------------------------------------------------------------------ MessagePack to JSON */

static void append_int(struct mirai_buf *buf, int64_t value)
{
    char text[24];
    char *at = text + sizeof(text);
    uint64_t left = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    do {
        *--at = (char)('0' + left % 10);
        left /= 10;
    } while (left > 0);
    if (value < 0) {
        *--at = '-';
    }
    mirai_buf_append(buf, at, (size_t)(text + sizeof(text) - at));
}

/* The shortest of 15, 16 or 17 digits that reads back as the same number (JSON has no other way to keep it).
 */
static void append_double(struct mirai_buf *buf, double value)
{
    char text[32];
    if (!isfinite(value)) {
        mirai_buf_append_str(buf, MIRAI_STR("null"));
        return;
    }
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof(text), "%.*g", digits, value);
        if (strtod(text, NULL) == value) {
            break;
        }
    }
    mirai_buf_append_str(buf, mirai_str(text));
}

/* RFC 4648 §4. */
static void append_base64(struct mirai_buf *buf, struct mirai_str bytes)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    mirai_buf_append_char(buf, '"');
    mirai_buf_reserve(buf, (bytes.len + 2) / 3 * 4);
    for (size_t i = 0; i < bytes.len; i += 3) {
        const unsigned char *p = (const unsigned char *)bytes.data + i;
        size_t left = bytes.len - i;
        unsigned word = (unsigned)p[0] << 16 | (left > 1 ? (unsigned)p[1] << 8 : 0) | (left > 2 ? p[2] : 0);
        char out[4] = {alphabet[word >> 18], alphabet[word >> 12 & 63],
                       left > 1 ? alphabet[word >> 6 & 63] : '=', left > 2 ? alphabet[word & 63] : '='};
        mirai_buf_append(buf, out, sizeof(out));
    }
    mirai_buf_append_char(buf, '"');
}

static int transcode(struct mirai_mp *mp, struct mirai_buf *buf, int depth);

static int transcode_array(struct mirai_mp *mp, uint32_t count, struct mirai_buf *buf, int depth)
{
    mirai_buf_append_char(buf, '[');
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0) {
            mirai_buf_append_char(buf, ',');
        }
        if (transcode(mp, buf, depth) != 0) {
            return MIRAI_E_INVALID;
        }
    }
    mirai_buf_append_char(buf, ']');
    return 0;
}

static int transcode_map(struct mirai_mp *mp, uint32_t pairs, struct mirai_buf *buf, int depth)
{
    mirai_buf_append_char(buf, '{');
    for (uint32_t i = 0; i < pairs; i++) {
        struct mirai_mp_value key;
        if (i > 0) {
            mirai_buf_append_char(buf, ',');
        }
        if (mirai_mp_read(mp, &key) != 0 || key.type != MIRAI_MP_STR) {
            return MIRAI_E_INVALID;
        }
        mirai_buf_append_json(buf, key.str);
        mirai_buf_append_char(buf, ':');
        if (transcode(mp, buf, depth) != 0) {
            return MIRAI_E_INVALID;
        }
    }
    mirai_buf_append_char(buf, '}');
    return 0;
}

static int transcode(struct mirai_mp *mp, struct mirai_buf *buf, int depth)
{
    struct mirai_mp_value value;
    if (mirai_mp_read(mp, &value) != 0) {
        return MIRAI_E_INVALID;
    }
    switch (value.type) {
    case MIRAI_MP_NIL:
        mirai_buf_append_str(buf, MIRAI_STR("null"));
        return 0;
    case MIRAI_MP_BOOL:
        mirai_buf_append_str(buf, value.boolean ? MIRAI_STR("true") : MIRAI_STR("false"));
        return 0;
    case MIRAI_MP_INT:
        append_int(buf, value.integer);
        return 0;
    case MIRAI_MP_UINT:
        mirai_buf_printf(buf, "%" PRIu64, value.uinteger);
        return 0;
    case MIRAI_MP_FLOAT:
        append_double(buf, value.real);
        return 0;
    case MIRAI_MP_STR:
        mirai_buf_append_json(buf, value.str);
        return 0;
    case MIRAI_MP_BIN:
        append_base64(buf, value.str);
        return 0;
    case MIRAI_MP_ARRAY:
        return depth > 0 ? transcode_array(mp, value.count, buf, depth - 1) : MIRAI_E_INVALID;
    case MIRAI_MP_MAP:
        return depth > 0 ? transcode_map(mp, value.count, buf, depth - 1) : MIRAI_E_INVALID;
    case MIRAI_MP_EXT:
        break;
    }
    return MIRAI_E_INVALID;
}

int mirai_mp_to_json(struct mirai_str mp, struct mirai_buf *buf)
{
    struct mirai_mp cursor = mirai_mp(mp);
    mirai_buf_reserve(buf, mp.len + mp.len / 4 + 16);
    int err = transcode(&cursor, buf, MIRAI_MP_DEPTH_MAX);
    return err == 0 && cursor.at == cursor.end ? 0 : MIRAI_E_INVALID;
}

/* ------------------------------------------------------------------ JSON to MessagePack */

/* Whether brackets nest deeper than a reader would follow: told before a parser recurses over hostile input.
 */
static bool too_deep(struct mirai_str json)
{
    int depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < json.len; i++) {
        char c = json.data[i];
        if (in_string) {
            if (c == '\\') {
                i++;
            } else if (c == '"') {
                in_string = false;
            }
        } else if (c == '"') {
            in_string = true;
        } else if (c == '[' || c == '{') {
            if (++depth > MIRAI_MP_DEPTH_MAX) {
                return true;
            }
        } else if (c == ']' || c == '}') {
            depth--;
        }
    }
    return false;
}

static void write_json(const json_t *json, struct mirai_buf *buf)
{
    size_t i;
    const char *key;
    json_t *member;
    switch (json_typeof(json)) {
    case JSON_OBJECT:
        mirai_mp_write_map(buf, json_object_size(json));
        json_object_foreach((json_t *)json, key, member)
        {
            mirai_mp_write_cstr(buf, key);
            write_json(member, buf);
        }
        break;
    case JSON_ARRAY:
        mirai_mp_write_array(buf, json_array_size(json));
        json_array_foreach(json, i, member)
        {
            write_json(member, buf);
        }
        break;
    case JSON_STRING:
        mirai_mp_write_str(buf, (struct mirai_str){json_string_value(json), json_string_length(json)});
        break;
    case JSON_INTEGER:
        mirai_mp_write_int(buf, json_integer_value(json));
        break;
    case JSON_REAL:
        mirai_mp_write_double(buf, json_real_value(json));
        break;
    case JSON_TRUE:
    case JSON_FALSE:
        mirai_mp_write_bool(buf, json_is_true(json));
        break;
    case JSON_NULL:
        mirai_mp_write_nil(buf);
        break;
    }
}

static void note(struct mirai_faults *faults, const char *problem)
{
    if (faults != NULL && faults->count < sizeof(faults->list) / sizeof(faults->list[0])) {
        faults->list[faults->count++] = (struct mirai_fault){.path = "", .problem = problem};
    }
}

/* NULL with the fault noted. */
static json_t *parse(struct mirai_str text, struct mirai_faults *faults)
{
    json_error_t error;
    if (too_deep(text)) {
        note(faults, "too-deep");
        return NULL;
    }
    json_t *json = json_loadb(text.data != NULL ? text.data : "", text.len,
                              JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (json == NULL) {
        switch (json_error_code(&error)) {
        case json_error_invalid_utf8:
            note(faults, "utf8");
            break;
        case json_error_null_character:
        case json_error_null_byte_in_key:
            note(faults, "nul");
            break;
        case json_error_duplicate_key:
            note(faults, "duplicate");
            break;
        case json_error_numeric_overflow:
            note(faults, "too-large");
            break;
        default:
            note(faults, "syntax");
        }
    }
    return json;
}

int mirai_json_to_mp(struct mirai_str text, struct mirai_buf *buf)
{
    json_t *json = parse(text, NULL);
    if (json == NULL) {
        return MIRAI_E_INVALID;
    }
    write_json(json, buf);
    json_decref(json);
    return 0;
}

/* Members of the object and present fields of `extra` as one map; a field given in both is a fault. */
static int merge(const struct mirai_message *message, json_t *object, const struct mirai_message_head *extra,
                 struct mirai_buf *buf, struct mirai_faults *faults)
{
    uint64_t present = extra != NULL ? extra->present : 0;
    const char *key;
    json_t *member;
    size_t offset = mirai_mp_begin_map(buf);
    for (size_t i = 0; i < message->count; i++) {
        if ((present >> i & 1) != 0 && json_object_get(object, message->fields[i].name) != NULL) {
            note(faults, "duplicate");
            if (faults != NULL && faults->count > 0) {
                snprintf(faults->list[faults->count - 1].path, sizeof(faults->list[0].path), "/%s",
                         message->fields[i].name);
            }
            return MIRAI_E_UNPROCESSABLE;
        }
    }
    json_object_foreach(object, key, member)
    {
        mirai_mp_write_cstr(buf, key);
        write_json(member, buf);
    }
    if (present != 0) { /* its pairs without its map header */
        struct mirai_buf pairs = {0};
        mirai_message_encode(message, extra, &pairs);
        struct mirai_mp cursor = mirai_mp(mirai_buf_str(&pairs));
        uint32_t count;
        if (mirai_mp_read_map(&cursor, &count) == 0) {
            mirai_buf_append(buf, cursor.at, (size_t)(cursor.end - cursor.at));
        }
        mirai_buf_free(&pairs);
    }
    mirai_mp_end(buf, offset, json_object_size(object) + (size_t)__builtin_popcountll(present));
    return 0;
}

int mirai_message_from_json(const struct mirai_message *message, struct mirai_str text, const void *extra,
                            struct mirai_buf *mp, struct mirai_faults *faults)
{
    struct mirai_arena arena = {0};
    size_t from = mp->len;
    json_t *json = parse(text, faults);
    if (json == NULL) {
        return MIRAI_E_INVALID;
    }
    int err = MIRAI_E_UNPROCESSABLE;
    if (!json_is_object(json)) {
        note(faults, "type");
        goto cleanup;
    }
    err = merge(message, json, extra, mp, faults);
    if (err == 0) {
        void *scratch = mirai_arena_alloc(&arena, message->size);
        struct mirai_str bytes = {mp->data + from, mp->len - from};
        err = mirai_message_decode(message, bytes, MIRAI_EDGE, &arena, scratch, faults);
    }
cleanup:
    if (err != 0) {
        mp->len = from;
    }
    mirai_arena_free(&arena);
    json_decref(json);
    return err;
}

/* ------------------------------------------------------------------ faults */

void mirai_faults_encode(const struct mirai_faults *faults, struct mirai_buf *buf)
{
    mirai_mp_write_array(buf, faults->count);
    for (size_t i = 0; i < faults->count; i++) {
        mirai_mp_write_map(buf, 2);
        mirai_mp_write_cstr(buf, "path");
        mirai_mp_write_cstr(buf, faults->list[i].path);
        mirai_mp_write_cstr(buf, "problem");
        mirai_mp_write_cstr(buf, faults->list[i].problem);
    }
}
