#include "services/gateway/schema.h"

#include <inttypes.h>

/* The word for "type", and what else the kind fixes. */
static const struct kind {
    const char *type;
    const char *more;
} kinds[] = {
    [MIRAI_FIELD_BOOL] = {"boolean", ""},
    [MIRAI_FIELD_INT] = {"integer", ",\"format\":\"int64\""},
    [MIRAI_FIELD_DOUBLE] = {"number", ""},
    [MIRAI_FIELD_STR] = {"string", ""},
    [MIRAI_FIELD_BIN] = {"string", ",\"contentEncoding\":\"base64\""},
    [MIRAI_FIELD_ENUM] = {"string", ""},
    [MIRAI_FIELD_TIME] = {"string", ",\"format\":\"date-time\""},
    [MIRAI_FIELD_DATE] = {"string", ",\"format\":\"date\""},
    [MIRAI_FIELD_STRS] = {"array", ",\"items\":{\"type\":\"string\"}"},
    [MIRAI_FIELD_INTS] = {"array", ",\"items\":{\"type\":\"integer\"}"},
    [MIRAI_FIELD_OBJECTS] = {"array", ""},
};

static void add_bounds(const struct mirai_field *field, const char *low, const char *high,
                       struct mirai_buf *json)
{
    if (low != NULL && field->min > INT64_MIN) {
        mirai_buf_printf(json, ",\"%s\":%" PRId64, low, field->min);
    }
    if (field->max < INT64_MAX) {
        mirai_buf_printf(json, ",\"%s\":%" PRId64, high, field->max);
    }
}

static void add_enum(const struct mirai_field *field, struct mirai_buf *json)
{
    const char *const *values = field->enumeration->values;
    for (size_t i = 0; values[i] != NULL; i++) {
        mirai_buf_printf(json, "%s\"%s\"", i == 0 ? ",\"enum\":[" : ",", values[i]);
    }
    mirai_buf_append_str(json, (field->flags & MIRAI_NULLABLE) != 0 ? MIRAI_STR(",null]") : MIRAI_STR("]"));
}

static void add_details(const struct mirai_field *field, struct mirai_buf *json)
{
    switch (field->kind) {
    case MIRAI_FIELD_INT:
        add_bounds(field, "minimum", "maximum", json);
        break;
    case MIRAI_FIELD_STR:
        add_bounds(field, "minLength", "maxLength", json);
        break;
    case MIRAI_FIELD_STRS:
    case MIRAI_FIELD_INTS:
        add_bounds(field, NULL, "maxItems", json);
        break;
    case MIRAI_FIELD_OBJECTS:
        add_bounds(field, NULL, "maxItems", json);
        mirai_buf_printf(json, ",\"items\":{\"$ref\":\"#/components/schemas/%s\"}", field->message->name);
        break;
    case MIRAI_FIELD_ENUM:
        add_enum(field, json);
        break;
    default:
        break;
    }
}

void schema_of_field(const struct mirai_field *field, struct mirai_buf *json)
{
    if (field->kind == MIRAI_FIELD_OBJECT) {
        mirai_buf_printf(json, "{\"$ref\":\"#/components/schemas/%s\"", field->message->name);
    } else if (field->kind == MIRAI_FIELD_RAW) {
        mirai_buf_append_str(
            json, MIRAI_STR("{\"type\":[\"object\",\"array\",\"string\",\"number\",\"boolean\",\"null\"]"));
    } else {
        const struct kind *kind = &kinds[field->kind];
        bool nullable = (field->flags & MIRAI_NULLABLE) != 0;
        mirai_buf_printf(json, nullable ? "{\"type\":[\"%s\",\"null\"]%s" : "{\"type\":\"%s\"%s", kind->type,
                         kind->more);
        add_details(field, json);
    }
    mirai_buf_append_str(json, MIRAI_STR(",\"description\":"));
    mirai_buf_append_json(json, mirai_str(field->doc));
    mirai_buf_append_char(json, '}');
}

void schema_of_message(const struct mirai_message *message, struct mirai_buf *json)
{
    bool first = true;
    mirai_buf_append_str(json, MIRAI_STR("{\"type\":\"object\",\"description\":"));
    mirai_buf_append_json(json, mirai_str(message->doc));
    mirai_buf_append_str(json, MIRAI_STR(",\"properties\":{"));
    for (size_t i = 0; i < message->count; i++) {
        if ((message->fields[i].flags & MIRAI_INTERNAL) == 0) {
            mirai_buf_printf(json, "%s\"%s\":", first ? "" : ",", message->fields[i].name);
            schema_of_field(&message->fields[i], json);
            first = false;
        }
    }
    mirai_buf_append_char(json, '}');
    first = true;
    for (size_t i = 0; i < message->count; i++) {
        if ((message->fields[i].flags & MIRAI_REQUIRED) != 0) {
            mirai_buf_printf(json, "%s\"%s\"", first ? ",\"required\":[" : ",", message->fields[i].name);
            first = false;
        }
    }
    mirai_buf_append_str(json, first ? MIRAI_STR("}") : MIRAI_STR("]}"));
}
