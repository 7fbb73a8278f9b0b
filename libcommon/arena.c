#include "libcommon/arena.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define BLOCK_SIZE 4032

struct mirai_arena_block {
    struct mirai_arena_block *next;
    size_t used;
    size_t size;
    alignas(max_align_t) char data[];
};

void *mirai_arena_alloc(struct mirai_arena *arena, size_t size)
{
    struct mirai_arena_block *block = arena->blocks;
    size = (size + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
    if (block == NULL || block->size - block->used < size) {
        size_t room = size > BLOCK_SIZE ? size : BLOCK_SIZE;
        block = mirai_alloc(sizeof(*block) + room);
        block->size = room;
        block->next = arena->blocks;
        arena->blocks = block;
    }
    void *ptr = block->data + block->used;
    block->used += size;
    return ptr;
}

struct mirai_str mirai_arena_copy(struct mirai_arena *arena, struct mirai_str s)
{
    char *copy = mirai_arena_alloc(arena, s.len + 1);
    if (s.len > 0) {
        memcpy(copy, s.data, s.len);
    }
    return (struct mirai_str){copy, s.len};
}

struct mirai_str mirai_arena_printf(struct mirai_arena *arena, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    va_list again;
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *text = mirai_arena_alloc(arena, (size_t)(n > 0 ? n : 0) + 1);
    vsnprintf(text, (size_t)(n > 0 ? n : 0) + 1, format, again);
    va_end(again);
    return (struct mirai_str){text, (size_t)(n > 0 ? n : 0)};
}

void mirai_arena_free(struct mirai_arena *arena)
{
    while (arena->blocks != NULL) {
        struct mirai_arena_block *next = arena->blocks->next;
        free(arena->blocks);
        arena->blocks = next;
    }
}
