/* Text from outside around secrets: whatever stands before or behind, none of them is left. */
#include "libcommon/mask.h"

#include "tests/fuzz/fuzz.h"

/* A line of its own for each: a text before may begin what reaches to the end of its line. */
#define SECRETS                                                                                              \
    "\nBearer qZ7vK2wX9bN4qZ7vK2\nmkt_qZ7vK2wX9bN4qZ7vK2wX9bN4\npassword=qZ7vK2\nredis://:qZ7vK2@h\n"        \
    "qZ7vK2@example.jp\n4111 1111 1111 1111\n"

static void check_masked(struct mirai_str text, bool utf8)
{
    struct mirai_buf once = {0};
    bool masked = mirai_mask(text, &once);
    expect(masked || once.len == 0);
    if (masked) {
        expect(once.len <= text.len * 3);
        expect(memmem(once.data, once.len, "***", 3) != NULL);
        expect(!utf8 || mirai_utf8_valid(mirai_buf_str(&once)));
    }
    mirai_buf_free(&once);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mirai_str input = {(const char *)data, size};
    struct mirai_buf text = {0}, masked = {0};
    check_masked(input, mirai_utf8_valid(input));
    size_t half = size / 2;
    mirai_buf_append(&text, data, half);
    mirai_buf_append_str(&text, MIRAI_STR(SECRETS));
    mirai_buf_append(&text, data + half, size - half);
    expect(mirai_mask(mirai_buf_str(&text), &masked));
    if (memmem(data, size, "qZ7vK2", 6) == NULL) {
        expect(memmem(masked.data, masked.len, "qZ7vK2", 6) == NULL);
    }
    if (memmem(data, size, "1111", 4) == NULL) {
        expect(memmem(masked.data, masked.len, "1111 1111", 9) == NULL);
    }
    mirai_buf_free(&text);
    mirai_buf_free(&masked);
    return 0;
}
