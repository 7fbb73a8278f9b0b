/* A cursor from outside: what is taken names a position whose own cursor leads there too. */
#include "services/knowledge-store/page.h"

#include "libcommon/error.h"
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const lists[] = {"user", "token", "revision", "a"};
    if (size == 0) {
        return 0;
    }
    const char *list = lists[data[0] % 4];
    char *copy = malloc(size);
    memcpy(copy, data + 1, size - 1);
    struct mirai_str cursor = {copy, size - 1};
    int64_t position = -1, again = -1;
    int err = page_position(cursor, list, &position);
    expect(err == 0 || err == MIRAI_E_UNPROCESSABLE);
    if (err == 0) {
        struct mirai_arena arena = {0};
        expect(position >= 0);
        expect(page_position(page_cursor(&arena, list, position), list, &again) == 0 && again == position);
        for (size_t i = 0; i < 4; i++) { /* and of no other list */
            expect(strcmp(lists[i], list) == 0 || page_position(cursor, lists[i], &again) != 0);
        }
        mirai_arena_free(&arena);
    }
    free(copy);
    return 0;
}
