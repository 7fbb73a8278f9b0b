/* The first byte chooses a message, the rest is a request's body. What is taken decodes, and its JSON is
 * taken again with the same outcome. */
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/proto/choice.h"

#include <stdlib.h>

static void expect_same_again(const struct mirai_message *message, struct mirai_str mp)
{
    struct mirai_arena arena = {0};
    struct mirai_buf json = {0}, again = {0};
    void *out = mirai_arena_alloc(&arena, message->size);
    expect(mirai_message_decode(message, mp, MIRAI_EDGE, &arena, out, NULL) == 0);
    expect(mirai_mp_to_json(mp, &json) == 0);
    expect(mirai_message_from_json(message, mirai_buf_str(&json), NULL, &again, NULL) == 0);
    expect(mirai_str_eq(mirai_buf_str(&again), mp));
    mirai_buf_free(&json);
    mirai_buf_free(&again);
    mirai_arena_free(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    const struct mirai_message *message = choose_message(data[0]);
    struct mirai_faults faults = {.count = 0};
    struct mirai_buf mp = {0}, plain = {0};
    struct mirai_str json = {(const char *)data + 1, size - 1};
    int err = mirai_message_from_json(message, json, NULL, &mp, &faults);
    if (err == 0) {
        expect(faults.count == 0);
        expect_same_again(message, mirai_buf_str(&mp));
    } else {
        expect(err == MIRAI_E_INVALID || err == MIRAI_E_UNPROCESSABLE);
        expect(faults.count > 0 && mp.len == 0);
    }
    for (size_t i = 0; i < faults.count; i++) {
        expect(mirai_utf8_valid(mirai_str(faults.list[i].path)));
    }
    /* Without a schema: what is JSON for the message is JSON. */
    int plain_err = mirai_json_to_mp(json, &plain);
    expect(err != 0 || plain_err == 0);
    expect(plain_err != 0 || err != MIRAI_E_INVALID);
    mirai_buf_free(&mp);
    mirai_buf_free(&plain);
    return 0;
}
