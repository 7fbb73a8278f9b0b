#include "services/ctl/frontmatter.h"

#include "libcommon/error.h"

#include <stdio.h>
#include <yaml.h>

#define DEPTH_MAX 16

/* The parser's place; the document's root is a map of keys and values. */
struct reader {
    yaml_parser_t parser;
    struct mirai_arena *arena;
    struct front_matter *front;
    char *reason;
};

static int refuse(struct reader *reader, const char *why)
{
    snprintf(reader->reason, FRONT_REASON_SIZE, "front matter: %s", why);
    return MIRAI_E_INVALID;
}

/* ------------------------------------------------------------------ finding the block */

/* The next line of `rest` without its end; `rest` moves behind it. */
static struct mirai_str take_line(struct mirai_str *rest)
{
    const char *end = rest->len > 0 ? memchr(rest->data, '\n', rest->len) : NULL;
    struct mirai_str line = {rest->data, end != NULL ? (size_t)(end - rest->data) : rest->len};
    size_t taken = line.len + (end != NULL);
    rest->data += taken;
    rest->len -= taken;
    while (line.len > 0 && strchr(" \t\r", line.data[line.len - 1]) != NULL) {
        line.len--;
    }
    return line;
}

/* Split into block and body. False when there is no block. */
static bool split(struct mirai_str text, struct mirai_str *block, struct mirai_str *body)
{
    struct mirai_str rest = text;
    if (!mirai_str_eq(take_line(&rest), MIRAI_STR("---"))) {
        return false;
    }
    const char *from = rest.data;
    while (rest.len > 0) {
        const char *at = rest.data;
        struct mirai_str line = take_line(&rest);
        if (mirai_str_eq(line, MIRAI_STR("---")) || mirai_str_eq(line, MIRAI_STR("..."))) {
            *block = (struct mirai_str){from, (size_t)(at - from)};
            *body = rest;
            struct mirai_str after = rest;
            if (rest.len > 0 && take_line(&after).len == 0) { /* one empty line belongs to the block */
                *body = after;
            }
            return true;
        }
    }
    return false;
}

/* ------------------------------------------------------------------ YAML */

/* The next event, checked. 0 or MIRAI_E_INVALID; *event must be deleted when 0. */
static int next(struct reader *reader, yaml_event_t *event)
{
    if (yaml_parser_parse(&reader->parser, event) == 0) {
        char why[120];
        snprintf(why, sizeof(why), "line %zu: %s", reader->parser.problem_mark.line + 2,
                 reader->parser.problem != NULL ? reader->parser.problem : "broken YAML");
        return refuse(reader, why);
    }
    bool anchored = (event->type == YAML_SCALAR_EVENT && event->data.scalar.anchor != NULL) ||
                    (event->type == YAML_SEQUENCE_START_EVENT && event->data.sequence_start.anchor != NULL) ||
                    (event->type == YAML_MAPPING_START_EVENT && event->data.mapping_start.anchor != NULL);
    if (event->type == YAML_ALIAS_EVENT || anchored) {
        yaml_event_delete(event);
        return refuse(reader, "anchors and aliases are not allowed");
    }
    return 0;
}

static int depth_of(const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_SEQUENCE_START_EVENT:
    case YAML_MAPPING_START_EVENT:
        return 1;
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        return -1;
    default:
        return 0;
    }
}

/* Skip the rest of a container whose start was read. */
static int skip(struct reader *reader)
{
    int depth = 1;
    while (depth > 0) {
        yaml_event_t event;
        int err = next(reader, &event);
        if (err != 0) {
            return err;
        }
        depth += depth_of(&event);
        yaml_event_delete(&event);
        if (depth > DEPTH_MAX) {
            return refuse(reader, "nested too deeply");
        }
    }
    return 0;
}

static struct mirai_str scalar(struct reader *reader, const yaml_event_t *event)
{
    struct mirai_str value = {(const char *)event->data.scalar.value, event->data.scalar.length};
    return mirai_arena_copy(reader->arena, value);
}

static bool is_null(const yaml_event_t *event)
{
    static const char *const words[] = {"", "~", "null", "Null", "NULL"};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (event->data.scalar.length == strlen(words[i]) &&
            memcmp(event->data.scalar.value, words[i], event->data.scalar.length) == 0) {
            return event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
        }
    }
    return false;
}

/* The items of a list whose start was read; nested ones are skipped. */
static int read_list(struct reader *reader, struct front_pair *pair)
{
    struct mirai_str *items = mirai_arena_alloc(reader->arena, FRONT_ITEMS_MAX * sizeof(*items));
    pair->items = items;
    pair->is_list = true;
    for (;;) {
        yaml_event_t event;
        int err = next(reader, &event);
        if (err != 0) {
            return err;
        }
        yaml_event_type_t type = event.type;
        bool wanted = type == YAML_SCALAR_EVENT && !is_null(&event);
        if (wanted && pair->count < FRONT_ITEMS_MAX) {
            items[pair->count++] = scalar(reader, &event);
        } else if (wanted) {
            err = refuse(reader, "a list has too many items");
        }
        yaml_event_delete(&event);
        if (type == YAML_SEQUENCE_START_EVENT || type == YAML_MAPPING_START_EVENT) {
            err = skip(reader);
        }
        if (err != 0 || type == YAML_SEQUENCE_END_EVENT) {
            return err;
        }
    }
}

/* The value of pair->key. *present is false for what has no place in a flat list of keys. */
static int read_value(struct reader *reader, struct front_pair *pair, bool *present)
{
    yaml_event_t event;
    int err = next(reader, &event);
    if (err != 0) {
        return err;
    }
    yaml_event_type_t type = event.type;
    *present = type == YAML_SEQUENCE_START_EVENT || type == YAML_SCALAR_EVENT;
    pair->is_null = type == YAML_SCALAR_EVENT && is_null(&event);
    if (type == YAML_SCALAR_EVENT && !pair->is_null) {
        pair->value = scalar(reader, &event);
    }
    yaml_event_delete(&event);
    switch (type) {
    case YAML_SEQUENCE_START_EVENT:
        return read_list(reader, pair);
    case YAML_MAPPING_START_EVENT:
        return skip(reader);
    default:
        return 0;
    }
}

static int add_pair(struct reader *reader, const struct front_pair *pair)
{
    struct front_matter *front = reader->front;
    for (size_t i = 0; i < front->count; i++) {
        if (mirai_str_eq(front->pairs[i].key, pair->key)) {
            return refuse(reader, "a key is given twice");
        }
    }
    if (front->count == FRONT_PAIRS_MAX) {
        return refuse(reader, "too many keys");
    }
    front->pairs[front->count++] = *pair;
    return 0;
}

/* Keys and values of the root map, whose start was read. */
static int read_map(struct reader *reader)
{
    for (;;) {
        yaml_event_t event;
        struct front_pair pair = {0};
        bool present = false;
        int err = next(reader, &event);
        if (err != 0) {
            return err;
        }
        yaml_event_type_t type = event.type;
        if (type == YAML_SCALAR_EVENT && event.data.scalar.length <= FRONT_KEY_MAX) {
            pair.key = scalar(reader, &event);
        } else if (type != YAML_MAPPING_END_EVENT) {
            err = refuse(reader, "a key is too long or not a text");
        }
        yaml_event_delete(&event);
        if (err != 0 || type == YAML_MAPPING_END_EVENT) {
            return err;
        }
        err = read_value(reader, &pair, &present);
        err = err == 0 && present ? add_pair(reader, &pair) : err;
        if (err != 0) {
            return err;
        }
    }
}

/* One document whose root is a map or empty. */
static int read_stream(struct reader *reader)
{
    yaml_event_type_t type;
    bool seen = false;
    do {
        yaml_event_t event;
        int err = next(reader, &event);
        if (err != 0) {
            return err;
        }
        type = event.type;
        bool empty = type == YAML_SCALAR_EVENT && is_null(&event);
        bool outer = type == YAML_STREAM_START_EVENT || type == YAML_DOCUMENT_START_EVENT ||
                     type == YAML_DOCUMENT_END_EVENT || type == YAML_STREAM_END_EVENT;
        yaml_event_delete(&event);
        if (type == YAML_MAPPING_START_EVENT && !seen) {
            err = read_map(reader);
            seen = true;
        } else if (!empty && !outer) {
            err = refuse(reader, "not a list of keys and values");
        }
        if (err != 0) {
            return err;
        }
    } while (type != YAML_STREAM_END_EVENT);
    return 0;
}

int front_matter_parse(struct mirai_str text, struct mirai_arena *arena, struct front_matter *out,
                       char reason[FRONT_REASON_SIZE])
{
    struct reader reader = {.arena = arena, .front = out, .reason = reason};
    struct mirai_str block;
    if (text.len >= 3 && memcmp(text.data, "\xef\xbb\xbf", 3) == 0) {
        text = (struct mirai_str){text.data + 3, text.len - 3};
    }
    *out = (struct front_matter){.body = text};
    if (!split(text, &block, &out->body)) {
        out->body = text;
        return 0;
    }
    if (block.len > FRONT_MATTER_MAX) {
        return refuse(&reader, "too large");
    }
    if (yaml_parser_initialize(&reader.parser) == 0) {
        return refuse(&reader, "out of memory");
    }
    out->pairs = mirai_arena_alloc(arena, FRONT_PAIRS_MAX * sizeof(*out->pairs));
    yaml_parser_set_encoding(&reader.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&reader.parser, (const unsigned char *)block.data, block.len);
    int err = read_stream(&reader);
    yaml_parser_delete(&reader.parser);
    return err;
}

const struct front_pair *front_matter_find(const struct front_matter *front, const char *key)
{
    for (size_t i = 0; i < front->count; i++) {
        if (mirai_str_eq(front->pairs[i].key, mirai_str(key))) {
            return &front->pairs[i];
        }
    }
    return NULL;
}

/* The escape that the code point at `s` needs in YAML beyond what JSON escapes: DEL and C1 controls, line and
 * paragraph separators, byte order mark, U+FFFE and U+FFFF (YAML 1.1 §5.1, §5.4). Returns the bytes that it
 * replaces, 0 for none. */
static size_t yaml_escape(struct mirai_str s, unsigned *code)
{
    static const struct {
        struct mirai_str bytes;
        unsigned code;
    } marks[] = {{{"\xe2\x80\xa8", 3}, 0x2028},
                 {{"\xe2\x80\xa9", 3}, 0x2029},
                 {{"\xef\xbb\xbf", 3}, 0xfeff},
                 {{"\xef\xbf\xbe", 3}, 0xfffe},
                 {{"\xef\xbf\xbf", 3}, 0xffff}};
    const unsigned char *at = (const unsigned char *)s.data;
    if (at[0] == 0x7f || (at[0] == 0xc2 && s.len > 1 && at[1] < 0xa0)) {
        *code = at[0] == 0x7f ? 0x7f : at[1];
        return at[0] == 0x7f ? 1 : 2;
    }
    for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++) {
        if (s.len >= marks[i].bytes.len && memcmp(at, marks[i].bytes.data, marks[i].bytes.len) == 0) {
            *code = marks[i].code;
            return marks[i].bytes.len;
        }
    }
    return 0;
}

void front_matter_quote(struct mirai_buf *out, struct mirai_str value)
{
    struct mirai_buf json = {0};
    mirai_buf_append_json(&json, value); /* nearly a YAML double-quoted scalar */
    for (size_t i = 0; i < json.len;) {
        unsigned code;
        size_t escaped = yaml_escape((struct mirai_str){json.data + i, json.len - i}, &code);
        if (escaped > 0) {
            mirai_buf_printf(out, "\\u%04x", code);
            i += escaped;
        } else {
            mirai_buf_append_char(out, json.data[i++]);
        }
    }
    mirai_buf_free(&json);
}
