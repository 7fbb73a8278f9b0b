/* The message that a byte of the input chooses. */
#ifndef FUZZ_PROTO_CHOICE_H
#define FUZZ_PROTO_CHOICE_H

#include "proto/messages.h"

static inline const struct mirai_message *choose_message(uint8_t byte)
{
    size_t count = 0;
    while (mirai_messages[count] != NULL) {
        count++;
    }
    return mirai_messages[byte % count];
}

#endif
