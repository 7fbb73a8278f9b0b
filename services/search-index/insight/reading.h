/* A draft as the checks read it: its blocks normalised, and what each tells. */
#ifndef SEARCH_INSIGHT_READING_H
#define SEARCH_INSIGHT_READING_H

#include "services/search-index/insight/concepts.h"
#include "services/search-index/insight/markdown.h"

struct reading_block {
    size_t start; /* bytes of reading.text */
    size_t len;
    size_t label;      /* of them, those of the label */
    uint32_t concepts; /* that it speaks of; bits of enum concept */
    size_t section;    /* index of its heading + 1; 0: before the first */
};

/* Zero-initialised is valid and empty; reused by the next call. */
struct reading {
    struct markdown markdown; /* of the body, as it was written */
    struct mirai_buf text;    /* normalised: the title, then each block of markdown, a line each */
    size_t title_len;
    struct reading_block *blocks; /* as many as markdown has */
    size_t cap;
    uint32_t told; /* concepts that the text tells something of; an empty section tells nothing */
    size_t headings;
    size_t characters; /* of the body without headings and code */
    struct normalized key;
};

void reading_make(struct reading *reading, struct mirai_str title, struct mirai_str body);
void reading_free(struct reading *reading);

static inline struct mirai_str reading_title(const struct reading *reading)
{
    return (struct mirai_str){reading->text.data, reading->title_len};
}

static inline struct mirai_str reading_text(const struct reading *reading, size_t block)
{
    return (struct mirai_str){reading->text.data + reading->blocks[block].start, reading->blocks[block].len};
}

#endif
