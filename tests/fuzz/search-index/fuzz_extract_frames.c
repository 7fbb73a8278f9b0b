/* Any bytes as the output of mirai-extract: what is taken is UTF-8 within the bounds, the same in whatever pieces it comes. */
#include "libcommon/error.h"
#include "services/search-index/extract/frames.h"
#include "tests/fuzz/fuzz.h"

static int read_in_pieces(struct mirai_str bytes, size_t piece, struct mirai_buf *packed)
{
    struct frames_reader reader = {0};
    int err = 0;
    for (size_t at = 0; at < bytes.len && err == 0; at += piece) {
        size_t len = bytes.len - at < piece ? bytes.len - at : piece;
        err = frames_read(&reader, (struct mirai_str){bytes.data + at, len});
    }
    frames_pack(&reader, packed);
    frames_reader_free(&reader);
    return err;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mirai_str bytes = {(const char *)data, size};
    struct mirai_buf whole = {0};
    struct mirai_buf pieces = {0};
    int err = read_in_pieces(bytes, size + 1, &whole);
    expect(read_in_pieces(bytes, 7, &pieces) == err);
    expect(mirai_str_eq(mirai_buf_str(&whole), mirai_buf_str(&pieces)));
    struct mirai_str rest = mirai_buf_str(&whole);
    struct mirai_str text;
    uint32_t page;
    int64_t last = -1;
    while ((err = frames_next(&rest, &page, &text)) == 0) {
        expect(page <= EXTRACT_PAGES_MAX && (int64_t)page > last && mirai_utf8_valid(text));
        last = page;
    }
    expect(err == MIRAI_E_NOT_FOUND);
    rest = bytes;
    while (frames_next(&rest, &page, &text) == 0) {
    }
    mirai_buf_free(&whole);
    mirai_buf_free(&pieces);
    return 0;
}
