#include "proto/codec.h"
#include "tests/unit/libcommon/test.h"

#include <sodium.h>

/* RFC 4648 §10 */
static const struct {
    const char *plain;
    const char *text;
} vectors[] = {
    {"", ""},
    {"f", "Zg=="},
    {"fo", "Zm8="},
    {"foo", "Zm9v"},
    {"foob", "Zm9vYg=="},
    {"fooba", "Zm9vYmE="},
    {"foobar", "Zm9vYmFy"},
};

static void the_vectors_of_the_rfc(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(vectors); i++) {
        struct mirai_buf text = {0}, plain = {0};
        struct mirai_str bytes = test_exact_copy(vectors[i].plain, strlen(vectors[i].plain));
        mirai_base64_encode(bytes, &text);
        assert_true(mirai_str_eq(mirai_buf_str(&text), mirai_str(vectors[i].text)));
        assert_int_equal(mirai_base64_decode(mirai_buf_str(&text), &plain), 0);
        assert_true(mirai_str_eq(mirai_buf_str(&plain), bytes));
        free((void *)bytes.data);
        mirai_buf_free(&text);
        mirai_buf_free(&plain);
    }
}

static void all_bytes_as_libsodium_has_them(void **state)
{
    (void)state;
    uint64_t random = 29;
    for (size_t len = 0; len < 600; len++) {
        unsigned char bytes[600];
        char expected[4 * 200 + 5];
        struct mirai_buf text = {0}, plain = {0};
        for (size_t i = 0; i < len; i++) {
            bytes[i] = (unsigned char)(len < 256 ? i * len : test_random(&random));
        }
        sodium_bin2base64(expected, sizeof(expected), bytes, len, sodium_base64_VARIANT_ORIGINAL);
        mirai_buf_append_char(&text, '>');
        mirai_buf_append_char(&plain, '>');
        mirai_base64_encode((struct mirai_str){(const char *)bytes, len}, &text);
        assert_int_equal(text.len - 1, strlen(expected));
        assert_memory_equal(text.data + 1, expected, text.len - 1);
        assert_int_equal(mirai_base64_decode((struct mirai_str){text.data + 1, text.len - 1}, &plain), 0);
        assert_int_equal(plain.len - 1, len);
        assert_memory_equal(plain.data + 1, bytes, len);
        mirai_buf_free(&text);
        mirai_buf_free(&plain);
    }
}

static void other_texts_are_refused(void **state)
{
    (void)state;
    static const struct mirai_str bad[] = {
        BYTES("Z"),      BYTES("Zg"),       BYTES("Zg="),      BYTES("Zm9"),
        BYTES("Zg==="),  BYTES("="),        BYTES("===="),     BYTES("Z==="),
        BYTES("Zg=a"),   BYTES("=Zg="),     BYTES("Zh=="), /* bits that padding cuts off */
        BYTES("Zm9="),   BYTES("Zg==Zg=="), BYTES("Zm8=Zm9v"), BYTES("Zm 9v"),
        BYTES("Zm9v\n"), BYTES("Zm\n9v"),   BYTES("Zm-_"), /* the URL's alphabet */
        BYTES("Zm9\0"),  BYTES("\0\0\0\0"), BYTES("Zm9\xff"),  BYTES("Zm9vZm9*"),
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct mirai_buf plain = {0};
        struct mirai_str text = test_exact_copy(bad[i].data, bad[i].len);
        mirai_buf_append_char(&plain, '>');
        assert_int_equal(mirai_base64_decode(text, &plain), MIRAI_E_INVALID);
        assert_int_equal(plain.len, 1);
        free((void *)text.data);
        mirai_buf_free(&plain);
    }
}

/* One content, one text: of all texts of four characters exactly 256 + 256^2 + 256^3 would decode; here a
 * part of them is walked through, and each that decodes must be what encoding makes. */
static void only_the_canonical_text_decodes(void **state)
{
    (void)state;
    static const char alphabet[] = "AQgwZm9/+=";
    const size_t n = sizeof(alphabet) - 1;
    size_t decoded = 0;
    struct mirai_buf plain = {0}, again = {0};
    for (size_t i = 0; i < n * n * n * n; i++) {
        const char text[4] = {alphabet[i % n], alphabet[i / n % n], alphabet[i / n / n % n],
                              alphabet[i / n / n / n]};
        plain.len = again.len = 0;
        if (mirai_base64_decode((struct mirai_str){text, 4}, &plain) == 0) {
            mirai_base64_encode(mirai_buf_str(&plain), &again);
            assert_int_equal(again.len, 4);
            assert_memory_equal(again.data, text, 4);
            decoded++;
        }
    }
    assert_true(decoded > 9 * 9 * 9 * 9); /* those without padding, and some with it */
    mirai_buf_free(&plain);
    mirai_buf_free(&again);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_vectors_of_the_rfc),
        cmocka_unit_test(all_bytes_as_libsodium_has_them),
        cmocka_unit_test(other_texts_are_refused),
        cmocka_unit_test(only_the_canonical_text_decodes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
