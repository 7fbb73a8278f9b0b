/* The first byte chooses a message, the rest is decoded as from outside and as from a peer. What decodes is
 * encoded, and that decodes to the same again. */
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/proto/choice.h"

#include <stdlib.h>

static void expect_faults(const struct mirai_faults *faults)
{
    expect(faults->count <= sizeof(faults->list) / sizeof(faults->list[0]));
    for (size_t i = 0; i < faults->count; i++) {
        const char *path = faults->list[i].path;
        expect(memchr(path, '\0', sizeof(faults->list[i].path)) != NULL && mirai_utf8_valid(mirai_str(path)));
        expect((path[0] == '\0' || path[0] == '/') && faults->list[i].problem[0] != '\0');
    }
}

/* `text` is the encoded form of what decoded: it must be valid everywhere, and encoding it changes nothing.
 */
static void expect_stable(const struct mirai_message *message, struct mirai_str text)
{
    struct mirai_arena arena = {0};
    struct mirai_buf again = {0};
    void *out = mirai_arena_alloc(&arena, message->size);
    expect(mirai_message_decode(message, text, MIRAI_EDGE, &arena, out, NULL) == 0);
    mirai_message_encode(message, out, &again);
    expect(mirai_str_eq(mirai_buf_str(&again), text));
    mirai_buf_free(&again);
    mirai_arena_free(&arena);
}

/* Returns the decoder's verdict. */
static int run(const struct mirai_message *message, struct mirai_str bytes, enum mirai_strictness strictness)
{
    struct mirai_arena arena = {0};
    struct mirai_faults faults = {.count = 0};
    void *out = mirai_arena_alloc(&arena, message->size);
    int err = mirai_message_decode(message, bytes, strictness, &arena, out, &faults);
    expect(err == 0 || err == MIRAI_E_INVALID || err == MIRAI_E_UNPROCESSABLE);
    expect(err != 0 || faults.count == 0);
    expect(err != MIRAI_E_UNPROCESSABLE || faults.count > 0);
    expect_faults(&faults);
    if (err == 0) {
        struct mirai_buf text = {0};
        mirai_message_encode(message, out, &text);
        expect_stable(message, mirai_buf_str(&text));
        mirai_buf_free(&text);
    }
    mirai_arena_free(&arena);
    return err;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    const struct mirai_message *message = choose_message(data[0]);
    struct mirai_str bytes = {(const char *)data + 1, size - 1};
    int edge = run(message, bytes, MIRAI_EDGE);
    int inner = run(message, bytes, MIRAI_INNER);
    expect(edge != 0 || inner == 0); /* a peer may say more than the outside, never less */
    expect((edge == MIRAI_E_INVALID) == (inner == MIRAI_E_INVALID));
    return 0;
}
