/* Messages as tables: a struct, its encoder, decoder, validator and JSON schema all come from one list of
 * fields. */
#ifndef MIRAI_PROTO_MESSAGE_H
#define MIRAI_PROTO_MESSAGE_H

#include "libcommon/arena.h"
#include "libcommon/error.h"
#include "libcommon/mp.h"
#include "libcommon/str.h"

/* On the wire a message is a MessagePack map with the field names as keys; enums are strings and times are
 * RFC 3339 strings, so that a reply becomes JSON without knowledge of its declaration. Fields that are not
 * present are left out. */

enum mirai_field_kind {
    MIRAI_FIELD_BOOL,   /* bool */
    MIRAI_FIELD_INT,    /* int64_t; min..max */
    MIRAI_FIELD_DOUBLE, /* double */
    MIRAI_FIELD_STR,    /* struct mirai_str, valid UTF-8 without NUL; min..max code points */
    MIRAI_FIELD_BIN,    /* struct mirai_str; min..max bytes; base64 in JSON */
    MIRAI_FIELD_ENUM,   /* int: index into `of` (an enum); a string on the wire */
    MIRAI_FIELD_TIME,   /* int64_t Unix ms; RFC 3339 string on the wire */
    MIRAI_FIELD_DATE,   /* struct mirai_str "2026-01-31" (checked) */
    MIRAI_FIELD_OBJECT, /* struct of message `of`, inline */
    MIRAI_FIELD_STRS, /* struct mirai_strs; at most `max` items of 1..200 code points, or more: MIRAI_LONG_ITEMS */
    MIRAI_FIELD_INTS,    /* struct mirai_ints; at most `max` items */
    MIRAI_FIELD_OBJECTS, /* struct mirai_objects of message `of`; at most `max` items */
    MIRAI_FIELD_RAW,     /* struct mirai_str: any one MessagePack value, passed through */
};

struct mirai_strs {
    struct mirai_str *items;
    size_t count;
};
struct mirai_ints {
    int64_t *items;
    size_t count;
};
struct mirai_objects {
    void *items; /* array of the message's struct: cast, or use MIRAI_ITEMS(article, &page.items) */
    size_t count;
};
#define MIRAI_ITEMS(message, objects) ((struct mirai_##message *)(objects)->items)

enum mirai_field_flag {
    MIRAI_OPTIONAL = 0,
    MIRAI_REQUIRED = 1,   /* must be present */
    MIRAI_NULLABLE = 2,   /* null means: present, and empty (clears the value in a PATCH) */
    MIRAI_INTERNAL = 4,   /* set by daemons only: from outside it is an unknown field */
    MIRAI_LONG_ITEMS = 8, /* STRS: items of up to MIRAI_LONG_ITEM_MAX code points */
};

#define MIRAI_ITEM_MAX      200  /* code points of an item of a list of texts */
#define MIRAI_LONG_ITEM_MAX 1000 /* of one with MIRAI_LONG_ITEMS: a DN */

struct mirai_enum {
    const char *name;
    const char *const *values; /* wire strings by index; ends with NULL */
};

struct mirai_message;

struct mirai_field {
    const char *name;
    enum mirai_field_kind kind;
    unsigned flags;
    size_t offset; /* of the member in the struct */
    int64_t min;
    int64_t max;
    const struct mirai_message *message;  /* OBJECT, OBJECTS */
    const struct mirai_enum *enumeration; /* ENUM */
    const char *doc;
};

struct mirai_message {
    const char *name;
    const char *doc;
    size_t size; /* sizeof the struct */
    size_t count;
    const struct mirai_field *fields; /* at most 64 */
};

/* Every message struct begins with this: bit n is set when field n is present. */
struct mirai_message_head {
    uint64_t present;
};

/* Whether `field` of the message struct pointed to by `m` is present; mark it present; drop it.
 * mirai_has(article_patch, &patch, title) */
#define mirai_bit(message, field)      (UINT64_C(1) << MIRAI_INDEX_##message##_##field)
#define mirai_has(message, m, field)   (((m)->present & mirai_bit(message, field)) != 0)
#define mirai_mark(message, m, field)  ((m)->present |= mirai_bit(message, field))
#define mirai_clear(message, m, field) ((m)->present &= ~mirai_bit(message, field))
/* Assign and mark. */
#define mirai_set(message, m, field, value) ((m)->field = (value), (void)mirai_mark(message, m, field))

/* What is wrong with an input, for the answer's `errors` member. */
struct mirai_fault {
    char path[96]; /* JSON Pointer (RFC 6901) to the member, "" for the whole */
    const char
        *problem; /* stable slug: "required", "type", "too-short", "too-long", "too-small", "too-large",
                     "enum", "utf8", "nul", "unknown-field", "too-many", "format", "syntax", "duplicate", "too-deep" */
};
struct mirai_faults {
    struct mirai_fault list[16]; /* the first 16 */
    size_t count;
};

enum mirai_strictness {
    MIRAI_EDGE,  /* from outside: unknown fields are faults */
    MIRAI_INNER, /* between daemons: unknown fields are ignored, so that two versions can run side by side */
};

/* Decode and validate the map in `bytes` into *out (zeroed first). Strings point into `bytes`, lists live in
 * `arena`. 0, or MIRAI_E_UNPROCESSABLE (faults say where), or MIRAI_E_INVALID when it is not a MessagePack
 * map. faults may be NULL. Also used with `bytes` = nil or empty for messages without required fields. */
int mirai_message_decode(const struct mirai_message *message, struct mirai_str bytes,
                         enum mirai_strictness strictness, struct mirai_arena *arena, void *out,
                         struct mirai_faults *faults);

/* Append the present fields of *in as a MessagePack map. */
void mirai_message_encode(const struct mirai_message *message, const void *in, struct mirai_buf *buf);

/* Parse a JSON text (RFC 8259: no duplicate members, no lone surrogates, no NUL, depth <= 16), check it
 * against the message as MIRAI_EDGE does, and append it as MessagePack. `extra` = further pairs merged into
 * the map (path and query parameters; NULL or a message struct of the same kind whose present fields win over
 * an absent member and collide as "duplicate" otherwise). 0, MIRAI_E_INVALID (syntax) or
 * MIRAI_E_UNPROCESSABLE. */
int mirai_message_from_json(const struct mirai_message *message, struct mirai_str json, const void *extra,
                            struct mirai_buf *mp, struct mirai_faults *faults);

/* The field of that name that clients may give, or NULL. */
const struct mirai_field *mirai_field_find(const struct mirai_message *message, struct mirai_str name);

/* One field from text (path or query parameter: "42", "true", "incident", comma-separated lists): sets the
 * member of *out and its present bit. `name` must be a field of the message, otherwise "unknown-field".
 * Memory from arena. 0 or UNPROCESSABLE. */
int mirai_message_set_text(const struct mirai_message *message, struct mirai_str name, struct mirai_str value,
                           struct mirai_arena *arena, void *out, struct mirai_faults *faults);

/* Any MessagePack value as JSON text (BIN as base64, EXT refused, non-finite numbers as null). 0 or
 * MIRAI_E_INVALID. This is the gateway's hot path: one pass, no allocation but buf's. */
int mirai_mp_to_json(struct mirai_str mp, struct mirai_buf *buf);

/* JSON text to MessagePack without a schema (for tools and tests). 0 or MIRAI_E_INVALID. */
int mirai_json_to_mp(struct mirai_str json, struct mirai_buf *buf);

/* The faults as a MessagePack array [{path, problem}] (pairs for mirai_rpc_fail_with: key "errors"). */
void mirai_faults_encode(const struct mirai_faults *faults, struct mirai_buf *buf);

#endif
