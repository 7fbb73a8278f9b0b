/* JSON from outside to checked MessagePack. */
#include "proto/codec.h"

#include <jansson.h>

/* ------------------------------------------------------------------ where in the text */

/* One open array or object. */
struct frame {
    bool is_object;
    struct mirai_str key; /* raw text between the quotes; data NULL: none yet */
    uint32_t index;
};

struct walk {
    struct frame frames[MIRAI_MP_DEPTH_MAX];
    size_t depth;
};

static bool walk_open(struct walk *walk, bool is_object)
{
    if (walk->depth == MIRAI_MP_DEPTH_MAX) {
        return false;
    }
    walk->frames[walk->depth++] = (struct frame){.is_object = is_object};
    return true;
}

/* From the opening quote at `from` to the closing one, or to the end. */
static size_t string_end(struct mirai_str text, size_t from)
{
    size_t i = from + 1;
    while (i < text.len && text.data[i] != '"') {
        i += text.data[i] == '\\' ? 2 : 1;
    }
    return i < text.len ? i : text.len;
}

static void walk_string(struct walk *walk, struct mirai_str string)
{
    struct frame *frame = walk->depth > 0 ? &walk->frames[walk->depth - 1] : NULL;
    if (frame != NULL && frame->is_object && frame->key.data == NULL) {
        frame->key = string;
    }
}

/* Follow brackets, keys and commas of a text that need not be well-formed. False when it nests deeper than
 * any reader follows: told before a parser recurses over hostile input. */
static bool walk_text(struct walk *walk, struct mirai_str text)
{
    *walk = (struct walk){.depth = 0};
    for (size_t i = 0; i < text.len; i++) {
        struct frame *frame = walk->depth > 0 ? &walk->frames[walk->depth - 1] : NULL;
        switch (text.data[i]) {
        case '"': {
            size_t end = string_end(text, i);
            size_t len = end > i ? end - i - 1 : 0;
            walk_string(walk, (struct mirai_str){text.data + i + 1, len});
            i = end;
            break;
        }
        case '{':
        case '[':
            if (!walk_open(walk, text.data[i] == '{')) {
                return false;
            }
            break;
        case '}':
        case ']':
            walk->depth -= walk->depth > 0;
            break;
        case ',':
            if (frame != NULL) {
                frame->key = (struct mirai_str){NULL, 0};
                frame->index++;
            }
            break;
        default:
            break;
        }
    }
    return true;
}

static struct mirai_str string_of(const json_t *json)
{
    return (struct mirai_str){json_string_value(json), json_string_length(json)};
}

/* A name without its escapes. *owner holds the bytes when there were any. */
static struct mirai_str plain_name(struct mirai_str raw, json_t **owner)
{
    struct mirai_buf quoted = {0};
    if (memchr(raw.data, '\\', raw.len) == NULL) {
        return raw;
    }
    mirai_buf_append_char(&quoted, '"');
    mirai_buf_append_str(&quoted, raw);
    mirai_buf_append_char(&quoted, '"');
    *owner = json_loadb(quoted.data, quoted.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    mirai_buf_free(&quoted);
    return json_is_string(*owner) ? string_of(*owner) : raw;
}

/* A fault at the value that ends where `walk` stands. */
static void fault_at(struct mirai_faults *faults, const struct walk *walk, const char *problem)
{
    struct mirai_path paths[MIRAI_MP_DEPTH_MAX];
    json_t *names[MIRAI_MP_DEPTH_MAX] = {NULL};
    const struct mirai_path *up = NULL;
    for (size_t i = 0; i < walk->depth; i++) {
        const struct frame *frame = &walk->frames[i];
        if (frame->is_object && frame->key.data == NULL) {
            break;
        }
        struct mirai_str name = frame->is_object ? plain_name(frame->key, &names[i]) : frame->key;
        paths[i] = (struct mirai_path){.up = up, .name = name, .index = frame->index};
        up = &paths[i];
    }
    mirai_fault_add(faults, up, problem);
    for (size_t i = 0; i < walk->depth; i++) {
        json_decref(names[i]);
    }
}

/* ------------------------------------------------------------------ parsing */

/* Well-formed texts that we do not take are UNPROCESSABLE, all others INVALID. */
static const struct {
    enum json_error_code code;
    int err;
    const char *problem;
} parse_errors[] = {
    {json_error_duplicate_key, MIRAI_E_UNPROCESSABLE, "duplicate"},
    {json_error_numeric_overflow, MIRAI_E_UNPROCESSABLE, "too-large"},
    {json_error_null_character, MIRAI_E_UNPROCESSABLE, "nul"},
    {json_error_null_byte_in_key, MIRAI_E_UNPROCESSABLE, "nul"},
    {json_error_invalid_utf8, MIRAI_E_INVALID, "utf8"},
};

static int parse_failure(struct mirai_str text, const json_error_t *error, struct mirai_faults *faults)
{
    struct walk walk;
    for (size_t i = 0; i < sizeof(parse_errors) / sizeof(parse_errors[0]); i++) {
        if (json_error_code(error) == parse_errors[i].code) {
            size_t position = error->position > 0 ? (size_t)error->position : 0;
            walk_text(&walk, (struct mirai_str){text.data, position < text.len ? position : text.len});
            fault_at(faults, &walk, parse_errors[i].problem);
            return parse_errors[i].err;
        }
    }
    mirai_fault_add(faults, NULL, "syntax");
    return MIRAI_E_INVALID;
}

static int parse(struct mirai_str text, json_t **json, struct mirai_faults *faults)
{
    json_error_t error;
    struct walk walk;
    if (!walk_text(&walk, text)) {
        mirai_fault_add(faults, NULL, "too-deep");
        return MIRAI_E_INVALID;
    }
    if (text.len > 0 && memchr(text.data, '\0', text.len) != NULL) {
        mirai_fault_add(faults, NULL, "syntax"); /* jansson overlooks one that follows a number or a word */
        return MIRAI_E_INVALID;
    }
    *json =
        json_loadb(text.len > 0 ? text.data : "", text.len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    return *json != NULL ? 0 : parse_failure(text, &error, faults);
}

/* ------------------------------------------------------------------ writing */

/* BIN: bytes; text that is no base64 stays text, and decoding refuses it ("format"). */
static void write_base64(struct mirai_str text, struct mirai_buf *buf)
{
    struct mirai_buf bytes = {0};
    if (mirai_base64_decode(text, &bytes) == 0) {
        mirai_mp_write_bin(buf, mirai_buf_str(&bytes));
    } else {
        mirai_mp_write_str(buf, text);
    }
    mirai_buf_free(&bytes);
}

static void write_value(const json_t *json, const struct mirai_field *field, struct mirai_buf *buf);

static void write_members(const json_t *object, const struct mirai_message *message, struct mirai_buf *buf)
{
    const char *key;
    json_t *member;
    mirai_mp_write_map(buf, json_object_size(object));
    json_object_foreach((json_t *)object, key, member)
    {
        mirai_mp_write_cstr(buf, key);
        write_value(member, message != NULL ? mirai_field_find(message, mirai_str(key)) : NULL, buf);
    }
}

static void write_items(const json_t *array, const struct mirai_field *field, struct mirai_buf *buf)
{
    size_t i;
    json_t *item;
    mirai_mp_write_array(buf, json_array_size(array));
    json_array_foreach(array, i, item)
    {
        if (field != NULL && field->kind == MIRAI_FIELD_OBJECTS && json_is_object(item)) {
            write_members(item, field->message, buf);
        } else {
            write_value(item, NULL, buf);
        }
    }
}

/* `field`: what the value is declared as, NULL when it is not. */
static void write_value(const json_t *json, const struct mirai_field *field, struct mirai_buf *buf)
{
    switch (json_typeof(json)) {
    case JSON_OBJECT:
        write_members(json, field != NULL && field->kind == MIRAI_FIELD_OBJECT ? field->message : NULL, buf);
        break;
    case JSON_ARRAY:
        write_items(json, field, buf);
        break;
    case JSON_STRING:
        if (field != NULL && field->kind == MIRAI_FIELD_BIN) {
            write_base64(string_of(json), buf);
        } else {
            mirai_mp_write_str(buf, string_of(json));
        }
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

/* The present fields of `extra` after the object's members. A field given in both is a fault, and then the
 * object's stands, so that checking can go on. */
static int merge_extra(const struct mirai_message *message, const json_t *object, const void *extra,
                       struct mirai_buf *buf, struct mirai_faults *faults)
{
    uint64_t present = extra != NULL ? ((const struct mirai_message_head *)extra)->present : 0;
    size_t offset = buf->len;
    size_t pairs = json_object_size(object);
    int err = 0;
    struct mirai_buf members = {0};
    write_members(object, message, &members);
    struct mirai_mp cursor = mirai_mp(mirai_buf_str(&members));
    uint32_t count;
    mirai_mp_read_map(&cursor, &count);
    mirai_mp_begin_map(buf);
    mirai_buf_append(buf, cursor.at, (size_t)(cursor.end - cursor.at));
    mirai_buf_free(&members);
    for (size_t i = 0; i < message->count; i++) {
        const struct mirai_field *field = &message->fields[i];
        if ((present >> i & 1) == 0) {
            continue;
        }
        if (json_object_get(object, field->name) != NULL) {
            struct mirai_path path = {.name = mirai_str(field->name)};
            mirai_fault_add(faults, &path, "duplicate");
            err = MIRAI_E_UNPROCESSABLE;
        } else {
            mirai_field_encode(field, (const char *)extra + field->offset, buf);
            pairs++;
        }
    }
    mirai_mp_end(buf, offset, pairs);
    return err;
}

int mirai_message_from_json(const struct mirai_message *message, struct mirai_str json, const void *extra,
                            struct mirai_buf *mp, struct mirai_faults *faults)
{
    struct mirai_arena arena = {0};
    size_t from = mp->len;
    json_t *root = NULL;
    int err = parse(json, &root, faults);
    if (err != 0) {
        return err;
    }
    if (!json_is_object(root)) {
        mirai_fault_add(faults, NULL, "type");
        err = MIRAI_E_UNPROCESSABLE;
        goto cleanup;
    }
    err = merge_extra(message, root, extra, mp, faults);
    struct mirai_str bytes = {mp->data + from, mp->len - from};
    void *scratch = mirai_arena_alloc(&arena, message->size);
    int checked = mirai_message_decode(message, bytes, MIRAI_EDGE, &arena, scratch, faults);
    err = err != 0 ? err : checked;
cleanup:
    if (err != 0) {
        mp->len = from;
    }
    mirai_arena_free(&arena);
    json_decref(root);
    return err;
}

int mirai_json_to_mp(struct mirai_str json, struct mirai_buf *buf)
{
    json_t *root = NULL;
    if (parse(json, &root, NULL) != 0) {
        return MIRAI_E_INVALID;
    }
    write_value(root, NULL, buf);
    json_decref(root);
    return 0;
}
