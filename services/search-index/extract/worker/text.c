#include "services/search-index/extract/worker/encoding.h"
#include "services/search-index/extract/worker/readers.h"

static bool take(void *data, struct mirai_str utf8)
{
    struct pages *pages = data;
    pages_text(pages, utf8);
    return !pages->cut;
}

enum extract_outcome read_text(struct mirai_str file, struct pages *pages)
{
    const char *encoding = encoding_detect(file);
    if (encoding == NULL) {
        return EXTRACT_UNSUPPORTED;
    }
    pages_begin(pages, 0);
    encoding_convert(encoding, file, take, pages);
    return EXTRACT_DONE;
}
