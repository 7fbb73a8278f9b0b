/* Any bytes as text, HTML and mail: encodings are guessed and converted, headers and parts taken apart. */
#include "tests/fuzz/search-index/extract_check.h"

/* The first byte says as what. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"a.log", "a.html", "a.eml"};
    if (size < 2 || memcmp(data + 1, "%PDF-", size < 6 ? size - 1 : 5) == 0) {
        return 0; /* poppler has its own fuzzers */
    }
    check_file((struct mirai_str){(const char *)data + 1, size - 1}, names[data[0] % 3]);
    return 0;
}
