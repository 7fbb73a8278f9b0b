/* Markdown as people read it: without the signs that only say how it looks. */
#ifndef SEARCH_QUERY_MARKDOWN_H
#define SEARCH_QUERY_MARKDOWN_H

#include "libcommon/str.h"

/* Append the visible text of `markdown` (valid UTF-8): no heading and list signs, emphasis, table rules and bars, link
 * targets, HTML tags, fences and backquotes; code is kept as it is. Lines stay lines. Each byte of the text comes from
 * the original, in its order. Linear in the length. Returns whether anything was left out. */
bool markdown_visible(struct mirai_str markdown, struct mirai_buf *out);

#endif
