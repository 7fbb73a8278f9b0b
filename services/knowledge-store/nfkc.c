#include "services/knowledge-store/nfkc.h"

#include <sodium.h>
#include <stdlib.h>
#include <unicode/unorm2.h>
#include <unicode/ustring.h>

static struct mirai_str copy_of(struct mirai_str text)
{
    char *copy = mirai_alloc(text.len + 1);
    if (text.len > 0) {
        memcpy(copy, text.data, text.len);
    }
    return (struct mirai_str){copy, text.len};
}

static bool is_ascii(struct mirai_str text)
{
    for (size_t i = 0; i < text.len; i++) {
        if ((unsigned char)text.data[i] >= 0x80) {
            return false;
        }
    }
    return true;
}

/* UTF-8 bytes to UTF-16 units: never more of them. */
static int32_t widen(UChar *units, int32_t size, struct mirai_str text, UErrorCode *status)
{
    int32_t len = 0;
    u_strFromUTF8(units, size, &len, text.data, (int32_t)text.len, status);
    return len;
}

static struct mirai_str narrow(const UChar *units, int32_t len, UErrorCode *status)
{
    char *out = mirai_alloc((size_t)len * 3 + 1);
    int32_t bytes = 0;
    u_strToUTF8(out, len * 3 + 1, &bytes, units, len, status);
    return (struct mirai_str){out, (size_t)bytes};
}

/* U+FDFA becomes 18 units, nothing more. */
#define EXPANSION 18

static struct mirai_str normal_form(const UNormalizer2 *form, struct mirai_str text)
{
    UErrorCode status = U_ZERO_ERROR;
    int32_t size = (int32_t)text.len;
    UChar *units = mirai_alloc((size_t)size * sizeof(*units));
    UChar *normal = mirai_alloc((size_t)size * EXPANSION * sizeof(*normal));
    int32_t len = widen(units, size, text, &status);
    len = unorm2_normalize(form, units, len, normal, size * EXPANSION, &status);
    struct mirai_str result = {NULL, 0};
    if (U_SUCCESS(status)) {
        result = narrow(normal, len, &status);
    }
    if (U_FAILURE(status)) {
        nfkc_free(result);
        result = copy_of(text);
    }
    sodium_memzero(units, (size_t)size * sizeof(*units));
    sodium_memzero(normal, (size_t)size * EXPANSION * sizeof(*normal));
    free(units);
    free(normal);
    return result;
}

static bool too_long(struct mirai_str text)
{
    return text.len > INT32_MAX / (EXPANSION * 4);
}

struct mirai_str nfkc_new(struct mirai_str text)
{
    UErrorCode status = U_ZERO_ERROR;
    const UNormalizer2 *nfkc = unorm2_getNFKCInstance(&status); /* a singleton of ICU, loaded once */
    bool as_it_is = is_ascii(text) || too_long(text) || U_FAILURE(status);
    return as_it_is ? copy_of(text) : normal_form(nfkc, text);
}

struct mirai_str nfkc_casefold_new(struct mirai_str text)
{
    UErrorCode status = U_ZERO_ERROR;
    const UNormalizer2 *folded = unorm2_getNFKCCasefoldInstance(&status);
    bool as_it_is = text.len == 0 || too_long(text) || U_FAILURE(status);
    return as_it_is ? copy_of(text) : normal_form(folded, text);
}

void nfkc_free(struct mirai_str text)
{
    char *bytes = (char *)text.data;
    if (bytes != NULL) {
        sodium_memzero(bytes, text.len);
        free(bytes);
    }
}
