/* Readable names of articles in addresses. */
#ifndef STORE_SLUG_H
#define STORE_SLUG_H

#include "libcommon/arena.h"

#define SLUG_LENGTH_MAX 80 /* code points of a slug made from a title */

/* Whether valid UTF-8 `slug` may be one: letters, digits and marks of any script, '-', '_', '.'; no '-' or
 * '.' at its ends, not only digits. */
bool slug_valid(struct mirai_str slug);

/* From a title: letters and digits of any script stay, ASCII in lower case; everything else becomes one '-'.
 * "article" when nothing is left; "article-42" for "42". In the arena. */
struct mirai_str slug_from_title(struct mirai_arena *arena, struct mirai_str title);

#endif
