/* Differences of two texts by line (Myers 1986), as a unified diff. */
#ifndef STORE_DIFF_H
#define STORE_DIFF_H

#include "libcommon/str.h"

/* Append the hunks that turn `before` into `after`, with three lines of context; nothing when they are equal.
 * A last line without its newline is marked as diff(1) does. Work is bounded: texts with very many
 * differences are shown as one replaced by the other. */
void diff_unified(struct mirai_buf *out, struct mirai_str before, struct mirai_str after);

#endif
