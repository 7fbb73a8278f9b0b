/* Memory that is given piece by piece and taken back at once (one request, one message). */
#ifndef MIRAI_ARENA_H
#define MIRAI_ARENA_H

#include "libcommon/str.h"

/* Zero-initialised is valid and empty. Not thread-safe. */
struct mirai_arena {
    struct mirai_arena_block *blocks;
};

/* Zeroed, aligned for any type; lives until mirai_arena_free. Never NULL (aborts when memory is exhausted). */
void *mirai_arena_alloc(struct mirai_arena *arena, size_t size);
struct mirai_str mirai_arena_copy(struct mirai_arena *arena, struct mirai_str s); /* also NUL-terminated */
struct mirai_str mirai_arena_printf(struct mirai_arena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void mirai_arena_free(struct mirai_arena *arena); /* empty again, usable again */

#endif
