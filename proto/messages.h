/* The structs and descriptors of all messages, made from messages.def.h. */
#ifndef MIRAI_PROTO_MESSAGES_H
#define MIRAI_PROTO_MESSAGES_H

#include "proto/enums.h"
#include "proto/message.h"
#include "proto/messages.def.h"

#define MIRAI_MEMBER_BOOL(name, of)                bool name;
#define MIRAI_MEMBER_INT(name, of)                 int64_t name;
#define MIRAI_MEMBER_DOUBLE(name, of)              double name;
#define MIRAI_MEMBER_STR(name, of)                 struct mirai_str name;
#define MIRAI_MEMBER_BIN(name, of)                 struct mirai_str name;
#define MIRAI_MEMBER_ENUM(name, of)                int name; /* enum mirai_<of> */
#define MIRAI_MEMBER_TIME(name, of)                int64_t name;
#define MIRAI_MEMBER_DATE(name, of)                struct mirai_str name;
#define MIRAI_MEMBER_OBJECT(name, of)              struct mirai_##of name;
#define MIRAI_MEMBER_STRS(name, of)                struct mirai_strs name;
#define MIRAI_MEMBER_INTS(name, of)                struct mirai_ints name;
#define MIRAI_MEMBER_OBJECTS(name, of)             struct mirai_objects name;
#define MIRAI_MEMBER_RAW(name, of)                 struct mirai_str name;
#define MIRAI_MEMBER(message, kind, name, of, ...) MIRAI_MEMBER_##kind(name, of)
#define MIRAI_INDEX(message, kind, name, ...)      MIRAI_INDEX_##message##_##name,

/* struct mirai_article { uint64_t present; int64_t id; … };
 * enum { MIRAI_INDEX_article_id, … }: bit numbers in `present`;
 * extern const struct mirai_message mirai_message_article; */
#define MIRAI_DECLARE_MESSAGE(message, doc)                                                                  \
    struct mirai_##message {                                                                                 \
        uint64_t present;                                                                                    \
        MIRAI_MESSAGE_##message(MIRAI_MEMBER, message)                                                       \
    };                                                                                                       \
    enum mirai_index_##message{MIRAI_MESSAGE_##message(MIRAI_INDEX, message) MIRAI_FIELD_COUNT_##message};   \
    extern const struct mirai_message mirai_message_##message;
MIRAI_MESSAGES(MIRAI_DECLARE_MESSAGE)
#undef MIRAI_DECLARE_MESSAGE

/* extern const struct mirai_enum mirai_enum_itsm_type; … */
#define MIRAI_DECLARE_ENUM(name) extern const struct mirai_enum mirai_enum_##name;
MIRAI_ENUMS(MIRAI_DECLARE_ENUM)
#undef MIRAI_DECLARE_ENUM

/* All messages, for the OpenAPI document and the reference; ends with NULL. */
extern const struct mirai_message *const mirai_messages[];

#endif
