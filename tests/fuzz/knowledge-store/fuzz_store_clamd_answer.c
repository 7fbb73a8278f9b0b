/* What a virus scanner says: only the two sentences of a clean content and of a size are told apart from the rest, and
 * whatever is said goes into the log as one short printable line. */
#include "services/knowledge-store/clamd.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *copy = malloc(size > 0 ? size : 1); /* of its own size, so that a read past its end is seen */
    if (size > 0) {
        memcpy(copy, data, size);
    }
    struct mirai_str answer = {copy, size};
    char reason[CLAMD_REASON_SIZE];
    memset(reason, 1, sizeof(reason));
    enum clamd_verdict verdict = clamd_parse(answer, reason);
    size_t len = strnlen(reason, sizeof(reason));
    expect(len < sizeof(reason));
    for (size_t i = 0; i < len; i++) {
        expect(reason[i] >= ' ' && reason[i] <= '~');
    }
    expect((verdict == CLAMD_CLEAN) == mirai_str_eq(answer, MIRAI_STR("stream: OK")));
    expect(verdict != CLAMD_INFECTED || (size > 14 && len > 0 && memcmp(data, "stream: ", 8) == 0));
    free(copy);
    return 0;
}
