/* Texts that people type, tidied and made comparable: terms of the vocabulary, queries. */
#ifndef STORE_FOLD_H
#define STORE_FOLD_H

#include "libcommon/arena.h"

/* Valid UTF-8 without white space at its ends (of any kind, also ideographic) and with one space where there was any
 * inside. In the arena. Any thread. */
struct mirai_str fold_tidy(struct mirai_arena *arena, struct mirai_str text);

/* What is the same for texts that differ in width, case, spacing and invisible characters only. May be empty. In the
 * arena. Any thread. */
struct mirai_str fold_key(struct mirai_arena *arena, struct mirai_str text);

#endif
