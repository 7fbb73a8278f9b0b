/* Names, file names, colours, media types, addresses: what is let through can be shown and put into a header.
 */
#include "services/knowledge-store/checks.h"
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>

static bool holds_any(struct mirai_str s, const char *set)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.data[i] == '\0' || strchr(set, s.data[i]) != NULL) {
            return true;
        }
    }
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *copy = malloc(size > 0 ? size : 1);
    if (size > 0) {
        memcpy(copy, data, size);
    }
    struct mirai_str s = {copy, size};
    if (mirai_utf8_valid(s)) {
        bool name = check_name(s), file = check_file_name(s);
        expect(!name ||
               (size > 0 && !holds_any(s, "\r\n\t\x7f\x1b") && s.data[0] != ' ' && s.data[size - 1] != ' '));
        expect(!file || (name && !holds_any(s, "/\\")));
        expect(!check_color(s) || (size == 7 && !holds_any(s, "\"<> ;")));
        expect(!check_email(s) || size == 0 || (memchr(s.data, '@', size) != NULL && !holds_any(s, " \r\n")));
        if (check_media_type(s)) {
            const char *parameters = memchr(s.data, ';', size);
            struct mirai_str type = {s.data, parameters != NULL ? (size_t)(parameters - s.data) : size};
            expect(memchr(type.data, '/', type.len) != NULL && !holds_any(type, ",\"()<>@"));
            for (size_t i = 0; i < size; i++) {
                expect(s.data[i] >= 0x20 && s.data[i] < 0x7f);
            }
        }
    }
    free(copy);
    return 0;
}
