#include "services/knowledge-store/cache.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct access_fields open_to_all = {.space_id = 1};

static bool has(struct cache *cache, int64_t id)
{
    struct mirai_str encoded;
    struct access_fields fields;
    return cache_find(cache, id, &encoded, &fields);
}

static void keeps_what_it_was_given(void **state)
{
    struct cache *cache = cache_new(1 << 20);
    const struct access_fields fields = {7, 8, 9, 1};
    struct mirai_str encoded;
    struct access_fields found;
    (void)state;
    assert_false(has(cache, 1));
    cache_fill(cache, cache_ticket(cache), 1, MIRAI_STR("old"), &open_to_all);
    cache_fill(cache, cache_ticket(cache), 1, MIRAI_STR("bytes"), &fields);
    assert_true(cache_find(cache, 1, &encoded, &found));
    assert_true(mirai_str_eq(encoded, MIRAI_STR("bytes")));
    assert_memory_equal(&found, &fields, sizeof(found));
    cache_drop(cache, 1);
    assert_false(has(cache, 1));
    assert_int_equal(cache_bytes(cache), 0);
    cache_free(cache);
}

static void refuses_what_was_read_before_a_write(void **state)
{
    struct cache *cache = cache_new(1 << 20);
    uint64_t before = cache_ticket(cache);
    (void)state;
    cache_drop(cache, 1); /* the write is made known */
    cache_fill(cache, before, 1, MIRAI_STR("stale"), &open_to_all);
    assert_false(has(cache, 1));
    cache_fill(cache, before, 2, MIRAI_STR("another"), &open_to_all);
    assert_true(has(cache, 2));
    cache_fill(cache, cache_ticket(cache), 1, MIRAI_STR("fresh"), &open_to_all);
    assert_true(has(cache, 1));
    before = cache_ticket(cache);
    cache_drop_all(cache);
    cache_fill(cache, before, 3, MIRAI_STR("stale"), &open_to_all);
    assert_false(has(cache, 1) || has(cache, 2) || has(cache, 3));
    cache_free(cache);
}

static void stays_in_its_bounds_and_keeps_what_is_used(void **state)
{
    static char bytes[1000];
    struct cache *cache = cache_new(100 * 1000);
    (void)state;
    cache_fill(cache, 0, 1, (struct mirai_str){bytes, sizeof(bytes)}, &open_to_all);
    for (int64_t id = 2; id < 2000; id++) {
        cache_fill(cache, 0, id, (struct mirai_str){bytes, sizeof(bytes)}, &open_to_all);
        assert_true(cache_bytes(cache) <= 100 * 1000);
        assert_true(has(cache, 1));
    }
    assert_true(has(cache, 1999));
    assert_false(has(cache, 2));
    static char large[90000];
    cache_fill(cache, 0, 3000, (struct mirai_str){large, sizeof(large)}, &open_to_all);
    assert_false(has(cache, 3000)); /* one must not push out all */
    cache_free(cache);
}

static void may_be_switched_off(void **state)
{
    struct cache *cache = cache_new(0);
    (void)state;
    cache_fill(cache, 0, 1, MIRAI_STR("x"), &open_to_all);
    assert_false(has(cache, 1));
    cache_free(cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_what_it_was_given),
        cmocka_unit_test(refuses_what_was_read_before_a_write),
        cmocka_unit_test(stays_in_its_bounds_and_keeps_what_is_used),
        cmocka_unit_test(may_be_switched_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
