/* Markdown as the plain text that people read: headings, paragraphs, list items, table rows and code, in
 * order. */
#ifndef SEARCH_INSIGHT_MARKDOWN_H
#define SEARCH_INSIGHT_MARKDOWN_H

#include "libcommon/str.h"

/* Most blocks that are looked at; the rest of a longer text is left out. */
#define MARKDOWN_BLOCKS_MAX 20000

enum markdown_kind {
    MARKDOWN_HEADING, /* "# x", underlined, or a line as 【x】, ■x, **x** that stands for one */
    MARKDOWN_PARAGRAPH,
    MARKDOWN_ITEM,
    MARKDOWN_ROW,  /* cells are separated by MARKDOWN_CELL */
    MARKDOWN_CODE, /* a fenced block, as it is */
};

#define MARKDOWN_CELL " | "

struct markdown_block {
    enum markdown_kind kind;
    unsigned level; /* of a heading, 1..6; those that only stand for one are 6; of an item: 1 when numbered */
    size_t start;   /* bytes of `text` */
    size_t len;     /* never 0 */
};

/* Zero-initialised is valid and empty; reused by the next call. */
struct markdown {
    struct mirai_buf text; /* of all blocks: emphasis, tags and link targets are gone */
    struct markdown_block *blocks;
    size_t count;
    size_t cap;
};

/* Never fails; time and memory are linear in the length. Valid UTF-8 stays valid. */
void markdown_read(struct markdown *out, struct mirai_str source);
void markdown_free(struct markdown *markdown);

/* Bytes of a label in front of what a block tells, with its mark: the first cell of a row (all of it when the others are empty), "影響: "; 0: none. */
size_t markdown_label(struct mirai_str text, enum markdown_kind kind);

static inline struct mirai_str markdown_text(const struct markdown *markdown, size_t block)
{
    return (struct mirai_str){markdown->text.data + markdown->blocks[block].start,
                              markdown->blocks[block].len};
}

#endif
