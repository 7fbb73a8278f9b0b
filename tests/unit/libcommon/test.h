/* cmocka with the headers that it wants before it. */
#ifndef MIRAI_TEST_H
#define MIRAI_TEST_H

#include "libcommon/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* Bytes of a literal that may hold NUL. */
#define BYTES(literal) ((struct mirai_str){"" literal, sizeof(literal) - 1})

#define assert_str(s, literal)                                                                               \
    do {                                                                                                     \
        struct mirai_str str_ = (s);                                                                         \
        assert_int_equal(str_.len, sizeof(literal) - 1);                                                     \
        assert_memory_equal(str_.data, literal, sizeof(literal) - 1);                                        \
    } while (0)

/* A copy that ends where its memory ends, so that the address sanitizer sees a read past it. */
static inline struct mirai_str test_exact_copy(const void *bytes, size_t len)
{
    char *copy = malloc(len > 0 ? len : 1);
    assert_non_null(copy);
    if (len > 0) {
        memcpy(copy, bytes, len);
    }
    return (struct mirai_str){copy, len};
}

/* xorshift64*: the same numbers in every run. */
static inline uint64_t test_random(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * UINT64_C(2685821657736338717);
}

#endif
