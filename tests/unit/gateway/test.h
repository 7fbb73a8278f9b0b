/* What the gateway's unit tests share. */
#ifndef TEST_GATEWAY_H
#define TEST_GATEWAY_H

#include "libcommon/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define assert_str(actual, expected)                                                                         \
    do {                                                                                                     \
        struct mirai_str got_ = (actual), want_ = mirai_str(expected);                                       \
        assert_int_equal(got_.len, want_.len);                                                               \
        assert_memory_equal(got_.data, want_.data, want_.len);                                               \
    } while (0)

#endif
