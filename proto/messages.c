#include "proto/messages.h"

#define REQ  MIRAI_REQUIRED
#define OPT  MIRAI_OPTIONAL
#define NUL  MIRAI_NULLABLE
#define INN  MIRAI_INTERNAL
#define LNG  MIRAI_LONG_ITEMS
#define ID   1, INT64_MAX
#define ANY  0, INT64_MAX
#define BODY 0, 1048576

/* ---------------------------------------------------------------- enums */
#define WIRE(constant, wire) wire,
#define DEFINE_ENUM(name)                                                                                    \
    static const char *const values_##name[] = {MIRAI_ENUM_##name(WIRE) NULL};                               \
    const struct mirai_enum mirai_enum_##name = {#name, values_##name};
MIRAI_ENUMS(DEFINE_ENUM)

/* ---------------------------------------------------------------- messages */
#define MESSAGE_OF_BOOL(of)    NULL
#define MESSAGE_OF_INT(of)     NULL
#define MESSAGE_OF_DOUBLE(of)  NULL
#define MESSAGE_OF_STR(of)     NULL
#define MESSAGE_OF_BIN(of)     NULL
#define MESSAGE_OF_ENUM(of)    NULL
#define MESSAGE_OF_TIME(of)    NULL
#define MESSAGE_OF_DATE(of)    NULL
#define MESSAGE_OF_OBJECT(of)  &mirai_message_##of
#define MESSAGE_OF_STRS(of)    NULL
#define MESSAGE_OF_INTS(of)    NULL
#define MESSAGE_OF_OBJECTS(of) &mirai_message_##of
#define MESSAGE_OF_RAW(of)     NULL
#define ENUM_OF_BOOL(of)       NULL
#define ENUM_OF_INT(of)        NULL
#define ENUM_OF_DOUBLE(of)     NULL
#define ENUM_OF_STR(of)        NULL
#define ENUM_OF_BIN(of)        NULL
#define ENUM_OF_ENUM(of)       &mirai_enum_##of
#define ENUM_OF_TIME(of)       NULL
#define ENUM_OF_DATE(of)       NULL
#define ENUM_OF_OBJECT(of)     NULL
#define ENUM_OF_STRS(of)       NULL
#define ENUM_OF_INTS(of)       NULL
#define ENUM_OF_OBJECTS(of)    NULL
#define ENUM_OF_RAW(of)        NULL

/* Two steps, so that shorthands such as ID have become two arguments before the row is taken apart. */
#define FIELD(...) FIELD_ROW(__VA_ARGS__)
#define FIELD_ROW(owner, k, member, of, bits, low, high, text)                                               \
    {.name = #member,                                                                                        \
     .kind = MIRAI_FIELD_##k,                                                                                \
     .flags = (bits),                                                                                        \
     .offset = offsetof(struct mirai_##owner, member),                                                       \
     .min = (low),                                                                                           \
     .max = (high),                                                                                          \
     .message = MESSAGE_OF_##k(of),                                                                          \
     .enumeration = ENUM_OF_##k(of),                                                                         \
     .doc = (text)},
#define DEFINE_MESSAGE(message_name, text)                                                                   \
    _Static_assert(MIRAI_FIELD_COUNT_##message_name <= 64, "presence is a 64-bit set");                      \
    static const struct mirai_field fields_##message_name[] = {                                              \
        MIRAI_MESSAGE_##message_name(FIELD, message_name){.name = NULL}};                                    \
    const struct mirai_message mirai_message_##message_name = {                                              \
        .name = #message_name,                                                                               \
        .doc = (text),                                                                                       \
        .size = sizeof(struct mirai_##message_name),                                                         \
        .count = MIRAI_FIELD_COUNT_##message_name,                                                           \
        .fields = fields_##message_name,                                                                     \
    };
MIRAI_MESSAGES(DEFINE_MESSAGE)

#define ADDRESS(message_name, text) &mirai_message_##message_name,
const struct mirai_message *const mirai_messages[] = {MIRAI_MESSAGES(ADDRESS) NULL};
