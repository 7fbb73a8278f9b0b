/* The MessagePack reader: never past the end, and head by head it sees what skipping sees. */
#include "libcommon/mp.h"
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mirai_str bytes = {(const char *)data, size};
    struct mirai_mp mp = mirai_mp(bytes);
    struct mirai_str raw;
    while (mp.at < mp.end && mirai_mp_raw(&mp, &raw) == 0) {
        struct mirai_mp heads = mirai_mp(raw);
        struct mirai_mp_value value;
        size_t bytes_read = 0;
        while (heads.at < heads.end) {
            expect(mirai_mp_read(&heads, &value) == 0);
            if (value.type == MIRAI_MP_STR || value.type == MIRAI_MP_BIN || value.type == MIRAI_MP_EXT) {
                bytes_read += value.str.len;
            }
        }
        expect(heads.at == heads.end && bytes_read <= raw.len);
    }
    mirai_mp_find(bytes, "code", &raw);
    return 0;
}
