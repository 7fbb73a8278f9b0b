/* Path and query: the first byte chooses a message, the rest is pairs of name and value, each ended by NUL.
 * What is taken stands in a message that every daemon takes. */
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/proto/choice.h"

#include <stdlib.h>

/* Up to the next NUL, in memory of its own; *input moves on. */
static struct mirai_str take(struct mirai_str *input)
{
    const char *nul = input->len > 0 ? memchr(input->data, '\0', input->len) : NULL;
    size_t len = nul != NULL ? (size_t)(nul - input->data) : input->len;
    char *copy = malloc(len > 0 ? len : 1);
    if (len > 0) {
        memcpy(copy, input->data, len);
    }
    size_t skip = len + (nul != NULL);
    input->data += skip;
    input->len -= skip;
    return (struct mirai_str){copy, len};
}

/* What is present is valid: only what is required may be missing. */
static void expect_valid(const struct mirai_message *message, const void *params)
{
    struct mirai_arena arena = {0};
    struct mirai_faults faults = {.count = 0};
    struct mirai_buf mp = {0};
    void *again = mirai_arena_alloc(&arena, message->size);
    mirai_message_encode(message, params, &mp);
    int err = mirai_message_decode(message, mirai_buf_str(&mp), MIRAI_EDGE, &arena, again, &faults);
    expect(err == 0 || err == MIRAI_E_UNPROCESSABLE);
    for (size_t i = 0; i < faults.count; i++) {
        expect(strcmp(faults.list[i].problem, "required") == 0);
    }
    mirai_buf_free(&mp);
    mirai_arena_free(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    const struct mirai_message *message = choose_message(data[0]);
    struct mirai_str input = {(const char *)data + 1, size - 1};
    struct mirai_arena arena = {0};
    struct mirai_message_head *params = mirai_arena_alloc(&arena, message->size);
    for (int pairs = 0; input.len > 0 && pairs < 100; pairs++) {
        struct mirai_faults faults = {.count = 0};
        struct mirai_str name = take(&input);
        struct mirai_str value = take(&input);
        uint64_t before = params->present;
        int err = mirai_message_set_text(message, name, value, &arena, params, &faults);
        expect(err == 0 || err == MIRAI_E_UNPROCESSABLE);
        expect(err == 0 ? faults.count == 0 && __builtin_popcountll(params->present ^ before) == 1
                        : faults.count > 0 && params->present == before);
        free((void *)name.data);
        free((void *)value.data);
    }
    expect_valid(message, params);
    mirai_arena_free(&arena);
    return 0;
}
