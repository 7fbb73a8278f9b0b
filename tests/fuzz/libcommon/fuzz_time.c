/* RFC 3339 from outside: what is taken is written so that it is taken again, as the same moment. */
#include "libcommon/time.h"

#include "libcommon/error.h"
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>

#define MIN_MS INT64_C(-62167219200000) /* years 0 to 9999 are written; an offset may lead out of them */
#define MAX_MS INT64_C(253402300799999)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *copy = malloc(size > 0 ? size : 1);
    if (size > 0) {
        memcpy(copy, data, size);
    }
    int64_t at = INT64_MIN, again = INT64_MIN;
    int err = mirai_rfc3339_parse((struct mirai_str){copy, size}, &at);
    expect(err == 0 || err == MIRAI_E_INVALID);
    if (err == 0) {
        char text[MIRAI_RFC3339_SIZE];
        expect(at >= MIN_MS - 86400000 && at <= MAX_MS + 86400000);
        mirai_rfc3339_format(text, at);
        expect(strlen(text) == MIRAI_RFC3339_SIZE - 1);
        expect(mirai_rfc3339_parse(mirai_str(text), &again) == 0);
        expect(again == (at < MIN_MS ? MIN_MS : at > MAX_MS ? MAX_MS : at));
    }
    free(copy);
    return 0;
}
