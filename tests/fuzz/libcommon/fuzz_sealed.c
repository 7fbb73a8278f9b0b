/* Sealed values from outside: they open only when they were sealed, whatever they look like. */
#include "libcommon/sealed.h"

#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct mirai_sealed_keys keys = {.keys = {{1}, {2}}, .count = 2};
    struct mirai_str input = {(const char *)data, size};
    struct mirai_buf text = {0}, plain = {0};
    expect(mirai_unseal(&keys, MIRAI_STR("MIRAI_TOKEN"), input, &plain) != 0);
    mirai_buf_append_str(&text, MIRAI_STR("sealed:1:"));
    mirai_buf_append_str(&text, input);
    expect(mirai_unseal(&keys, MIRAI_STR("MIRAI_TOKEN"), mirai_buf_str(&text), &plain) != 0);
    expect(plain.len == 0);
    text.len = 0;
    mirai_seal(&keys, MIRAI_STR("MIRAI_TOKEN"), input, &text);
    expect(mirai_unseal(&keys, MIRAI_STR("MIRAI_TOKEN"), mirai_buf_str(&text), &plain) == 0);
    expect(mirai_str_eq(mirai_buf_str(&plain), input));
    mirai_buf_free(&text);
    mirai_buf_free(&plain);
    return 0;
}
