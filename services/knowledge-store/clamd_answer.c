#include "services/knowledge-store/clamd.h"

#include <stdio.h>

/* For the log: no control characters, no other alphabets, cut to its place. */
static void put_reason(char reason[CLAMD_REASON_SIZE], struct mirai_str text)
{
    size_t len = text.len < CLAMD_REASON_SIZE - 1 ? text.len : CLAMD_REASON_SIZE - 1;
    for (size_t i = 0; i < len; i++) {
        reason[i] = text.data[i] >= ' ' && text.data[i] <= '~' ? text.data[i] : '?';
    }
    reason[len] = '\0';
}

static bool begins_with(struct mirai_str s, struct mirai_str part)
{
    return s.len >= part.len && memcmp(s.data, part.data, part.len) == 0;
}

static bool ends_with(struct mirai_str s, struct mirai_str part)
{
    return s.len >= part.len && memcmp(s.data + s.len - part.len, part.data, part.len) == 0;
}

enum clamd_verdict clamd_parse(struct mirai_str answer, char reason[CLAMD_REASON_SIZE])
{
    static const struct mirai_str stream = MIRAI_STR("stream: "), found = MIRAI_STR(" FOUND");
    reason[0] = '\0';
    if (mirai_str_eq(answer, MIRAI_STR("stream: OK"))) {
        return CLAMD_CLEAN;
    }
    if (answer.len > stream.len + found.len && begins_with(answer, stream) && ends_with(answer, found)) {
        put_reason(reason, (struct mirai_str){answer.data + stream.len, answer.len - stream.len - found.len});
        return CLAMD_INFECTED;
    }
    put_reason(reason, answer);
    return mirai_str_eq(answer, MIRAI_STR("INSTREAM size limit exceeded. ERROR")) ? CLAMD_TOO_LARGE
                                                                                  : CLAMD_NO_ANSWER;
}
