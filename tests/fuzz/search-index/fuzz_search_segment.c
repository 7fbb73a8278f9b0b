/* Any bytes as a segment: whatever can be opened is read to its end without leaving it, holds to what cursors
 * promise, and can be merged or is found to be damaged. First byte: 0 takes the rest as a file; any other as
 * encoded documents of that length each, so that segments that are whole are reached, too. */
#include "services/search-index/postings/build.h"

#include <stdlib.h>

static void check(bool holds)
{
    if (!holds) {
        abort();
    }
}

static bool read_term(void *data, struct mirai_str key, const struct segment_term *term)
{
    const struct segment *segment = data;
    struct segment_cursor cursor;
    uint32_t least = 0;
    check(key.len <= SEGMENT_KEY_MAX);
    segment_cursor_open(&cursor, segment, term);
    for (bool more = cursor.block_last != SEGMENT_END; more; more = segment_cursor_next(&cursor)) {
        segment_cursor_decode(&cursor);
        check(cursor.len > 0 && cursor.docs[cursor.len - 1] == cursor.block_last);
        for (unsigned i = 0; i < cursor.len; i++) {
            uint32_t positions[16];
            check(cursor.docs[i] >= least && cursor.docs[i] < segment_count(segment) &&
                  cursor.levels[i] > 0 && cursor.levels[i] <= SEGMENT_LEVELS);
            least = cursor.docs[i] + 1;
            segment_cursor_positions(&cursor, i, positions, 16);
        }
    }
    segment_cursor_open(&cursor, segment, term);
    for (uint32_t doc = 0; segment_cursor_seek(&cursor, doc); doc = cursor.block_last + 1) {
        check(cursor.block_last >= doc);
    }
    return true;
}

static void read_all(struct segment *segment)
{
    struct segment_sink sink = {.fd = -1};
    struct segment *merged = NULL;
    struct segment_scrub scrub = {0};
    segment_each_term(segment, MIRAI_STR(""), read_term, segment);
    while (segment_scrub(segment, &scrub, 4096)) {
    }
    if (segment_merge(&segment, 1, NULL, NULL, NULL, &sink) == 0) {
        check(segment_from_buffer(&sink.bytes, &merged) == 0);
        check(segment_count(merged) == segment_count(segment));
        segment_each_term(merged, MIRAI_STR(""), read_term, merged);
        segment_release(merged);
    }
    mirai_buf_free(&sink.bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct segment_sink sink = {.fd = -1};
    struct segment *segment = NULL;
    if (size == 0) {
        return 0;
    }
    if (data[0] == 0) {
        mirai_buf_append(&sink.bytes, data + 1, size - 1);
    } else {
        struct segment_builder *builder = segment_builder_new();
        uint32_t slot = 1;
        bool fine = true;
        for (size_t at = 1; fine && at < size; at += data[0]) {
            size_t len = size - at < data[0] ? size - at : data[0];
            struct mirai_str encoded = {(const char *)data + at, len};
            fine = segment_builder_add(builder, (struct segment_doc){slot++, 1}, encoded) == 0;
        }
        if (fine) {
            check(segment_builder_finish(builder, &sink) == 0);
        }
        segment_builder_free(builder);
    }
    if (segment_from_buffer(&sink.bytes, &segment) == 0) {
        read_all(segment);
        segment_release(segment);
    }
    return 0;
}
