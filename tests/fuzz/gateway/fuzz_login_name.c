#include "services/gateway/identity/attempts.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

/* A login name as it was typed: folding keeps valid UTF-8 valid, ends, and folds no further the second time. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *copy = malloc(size + 1);
    memcpy(copy, data, size);
    struct mirai_str name = {copy, size};
    for (int bare = 0; bare < 2; bare++) {
        struct mirai_buf once = {0}, twice = {0};
        attempts_fold(name, bare != 0, &once);
        expect(once.len <= size);
        if (mirai_utf8_valid(name)) {
            expect(mirai_utf8_valid(mirai_buf_str(&once)));
            attempts_fold(mirai_buf_str(&once), false, &twice);
            expect(mirai_str_eq(mirai_buf_str(&once), mirai_buf_str(&twice)));
        }
        mirai_buf_free(&once);
        mirai_buf_free(&twice);
    }
    free(copy);
    return 0;
}
