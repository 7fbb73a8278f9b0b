/* A title from outside: the slug made of it is one, and stays itself; any slug is judged without harm. */
#include "services/knowledge-store/slug.h"
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mirai_arena arena = {0};
    char *copy = malloc(size > 0 ? size : 1); /* of its own size, so that a read past its end is seen */
    if (size > 0) {
        memcpy(copy, data, size);
    }
    struct mirai_str title = {copy, size};
    if (mirai_utf8_valid(title)) { /* as every message has checked */
        struct mirai_str slug = slug_from_title(&arena, title);
        expect(mirai_utf8_valid(slug) && slug_valid(slug));
        expect(mirai_utf8_length(slug) <= SLUG_LENGTH_MAX + sizeof("article-") - 1);
        slug_valid(title);
        if (mirai_utf8_length(slug) <= SLUG_LENGTH_MAX) {
            expect(mirai_str_eq(slug_from_title(&arena, slug), slug));
        }
        /* What is a slug is made of words and of three signs. */
        if (slug_valid(title)) {
            expect(memchr(title.data, '/', title.len) == NULL &&
                   memchr(title.data, '\0', title.len) == NULL &&
                   memchr(title.data, '?', title.len) == NULL && memchr(title.data, '%', title.len) == NULL &&
                   memchr(title.data, ' ', title.len) == NULL && memchr(title.data, '\n', title.len) == NULL);
        }
    }
    free(copy);
    mirai_arena_free(&arena);
    return 0;
}
