/* What the fuzz targets of the readers share: frames that a reader must take, in full. */
#ifndef EXTRACT_CHECK_H
#define EXTRACT_CHECK_H

#include "services/search-index/extract/worker/readers.h"
#include "tests/fuzz/fuzz.h"

static inline void check_frames(void *data, struct mirai_str bytes)
{
    expect(frames_read(data, bytes) == 0);
}

static inline void check_file(struct mirai_str file, const char *name)
{
    struct frames_reader reader = {0};
    struct pages pages = {.write = check_frames, .data = &reader};
    const struct file_hints hints = {.name = mirai_str(name)};
    pages_end(&pages, read_file(file, &hints, &pages));
    expect(reader.ended);
    pages_free(&pages);
    frames_reader_free(&reader);
}

#endif
