/* JSON Schema (2020-12) of messages, as OpenAPI 3.1 wants it. */
#ifndef GATEWAY_SCHEMA_H
#define GATEWAY_SCHEMA_H

#include "proto/message.h"

/* Append the schema of one member. */
void schema_of_field(const struct mirai_field *field, struct mirai_buf *json);
/* Append the schema of a whole message; other messages are references to #/components/schemas/NAME. */
void schema_of_message(const struct mirai_message *message, struct mirai_buf *json);

#endif
