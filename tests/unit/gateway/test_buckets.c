#include "services/gateway/buckets.h"

#include "libcommon/thread.h"
#include "tests/unit/gateway/test.h"

#include <stdatomic.h>
#include <stdlib.h>

#define SECOND UINT64_C(1000000000)
#define START  (1000 * SECOND)

static const struct bucket_limit ten_a_second = {.interval_ns = SECOND / 10, .window_ns = 2 * SECOND};

static uint64_t key_of(uint64_t n)
{
    return (n + 1) * UINT64_C(0x9e3779b97f4a7c15);
}

static unsigned drain(struct buckets *buckets, uint64_t key, uint64_t now_ns)
{
    unsigned taken = 0;
    while (buckets_take(buckets, key, &ten_a_second, now_ns).taken) {
        taken++;
    }
    return taken;
}

static void a_full_bucket_gives_its_quota_then_its_rate(void **state)
{
    (void)state;
    struct buckets *buckets = buckets_new(16, false);
    struct bucket_state first = buckets_take(buckets, 7, &ten_a_second, START);
    assert_true(first.taken);
    assert_int_equal(first.remaining, 19);
    assert_int_equal(drain(buckets, 7, START), 19);
    struct bucket_state refused = buckets_take(buckets, 7, &ten_a_second, START);
    assert_int_equal(refused.remaining, 0);
    assert_int_equal(refused.wait_ns, SECOND / 10);
    assert_int_equal(drain(buckets, 7, START + refused.wait_ns - 1), 0);
    assert_int_equal(drain(buckets, 7, START + refused.wait_ns), 1);
    assert_int_equal(drain(buckets, 7, START + SECOND), 9);
    assert_int_equal(drain(buckets, 7, START + 100 * SECOND), 20);
    buckets_free(buckets);
}

static void looking_takes_nothing(void **state)
{
    (void)state;
    struct buckets *buckets = buckets_new(16, false);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(buckets_look(buckets, 7, &ten_a_second, START).remaining, 20);
    }
    assert_int_equal(drain(buckets, 7, START), 20);
    assert_false(buckets_look(buckets, 7, &ten_a_second, START).taken);
    buckets_free(buckets);
}

static void each_key_has_its_own(void **state)
{
    (void)state;
    struct buckets *buckets = buckets_new(16, false);
    for (uint64_t n = 0; n < 16; n++) {
        assert_int_equal(drain(buckets, key_of(n), START), 20);
    }
    buckets_free(buckets);
}

/* Whoever has used up a bucket does not get a full one by filling the table with other keys. */
static void what_is_used_up_is_handed_on(void **state)
{
    (void)state;
    struct buckets *buckets = buckets_new(1, false);
    assert_int_equal(drain(buckets, 1, START), 20);
    for (uint64_t n = 0; n < 10000; n++) {
        buckets_take(buckets, key_of(n), &ten_a_second, START);
    }
    assert_false(buckets_take(buckets, 1, &ten_a_second, START).taken);
    /* 7 places are left to the others: never more than 7 quotas at once, however many names there are */
    unsigned taken = 0;
    for (uint64_t n = 20000; n < 30000; n++) {
        taken += buckets_take(buckets, key_of(n), &ten_a_second, START).taken;
    }
    assert_int_equal(taken, 0);
    /* and all is well when time has passed */
    assert_int_equal(drain(buckets, key_of(40000), START + 2 * SECOND), 20);
    buckets_free(buckets);
}

static struct {
    struct buckets *buckets;
    _Atomic unsigned taken;
} shared;

static void *take_many(void *data)
{
    (void)data;
    for (int i = 0; i < 100; i++) {
        shared.taken += buckets_take(shared.buckets, 7, &ten_a_second, START).taken;
    }
    return NULL;
}

static void threads_share_one_bucket(void **state)
{
    (void)state;
    pthread_t threads[4];
    shared.buckets = buckets_new(16, false);
    buckets_take(shared.buckets, 7, &ten_a_second, START - 2 * SECOND); /* it has its place */
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(mirai_thread_start(&threads[i], "take", take_many, NULL), 0);
    }
    for (size_t i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_int_equal(shared.taken, 20);
    buckets_free(shared.buckets);
}

static int by_key(const void *a, const void *b)
{
    const struct bucket_use *left = a, *right = b;
    return (left->key > right->key) - (left->key < right->key);
}

static void uses_are_told_once(void **state)
{
    (void)state;
    struct bucket_use uses[4];
    struct buckets *buckets = buckets_new(16, true);
    assert_int_equal(buckets_used(buckets, uses, 4), 0);
    buckets_take(buckets, 7, &ten_a_second, START);
    buckets_take(buckets, 7, &ten_a_second, START + 5 * SECOND);
    buckets_take(buckets, 9, &ten_a_second, START);
    buckets_look(buckets, 11, &ten_a_second, START);
    assert_int_equal(buckets_used(buckets, uses, 4), 2);
    qsort(uses, 2, sizeof(uses[0]), by_key);
    assert_int_equal(uses[0].key, 7);
    assert_int_equal(uses[0].taken_ns, SECOND / 5);
    assert_int_equal(uses[1].key, 9);
    assert_int_equal(uses[1].taken_ns, SECOND / 10);
    assert_int_equal(buckets_used(buckets, uses, 4), 0);
    drain(buckets, 7, START + 6 * SECOND);
    assert_false(buckets_take(buckets, 7, &ten_a_second, START + 6 * SECOND).taken);
    assert_int_equal(buckets_used(buckets, uses, 4), 1);
    assert_int_equal(uses[0].taken_ns, 2 * SECOND); /* a refusal takes nothing */
    buckets_free(buckets);
}

static void the_most_used_are_told_first_and_none_is_left_out(void **state)
{
    (void)state;
    enum { KEYS = 100, MOST = 16 };
    struct bucket_use uses[MOST];
    struct buckets *buckets = buckets_new(1024, true);
    uint64_t told[KEYS] = {0}, least = UINT64_MAX;
    for (uint64_t i = 0; i < KEYS; i++) {
        for (uint64_t n = 0; n <= (i * 37) % KEYS % 20; n++) {
            buckets_take(buckets, key_of(i), &ten_a_second, START);
        }
    }
    for (size_t count, round = 0; (count = buckets_used(buckets, uses, MOST)) > 0; round++) {
        assert_int_equal(count, round < KEYS / MOST ? MOST : KEYS % MOST);
        uint64_t most = 0, least_of_round = UINT64_MAX;
        for (size_t k = 0; k < count; k++) {
            most = uses[k].taken_ns > most ? uses[k].taken_ns : most;
            least_of_round = uses[k].taken_ns < least_of_round ? uses[k].taken_ns : least_of_round;
            for (uint64_t i = 0; i < KEYS; i++) {
                told[i] += uses[k].key == key_of(i) ? uses[k].taken_ns : 0;
            }
        }
        assert_true(most <= least);
        least = least_of_round;
    }
    for (uint64_t i = 0; i < KEYS; i++) {
        assert_int_equal(told[i], ((i * 37) % KEYS % 20 + 1) * (SECOND / 10));
    }
    buckets_free(buckets);
}

static void what_is_taken_over_is_not_told_of_another(void **state)
{
    (void)state;
    struct bucket_use uses[2 * BUCKETS_WAYS];
    struct buckets *buckets = buckets_new(1, true);
    for (uint64_t i = 0; i <= BUCKETS_WAYS; i++) {
        buckets_take(buckets, key_of(i), &ten_a_second, START + i);
    }
    size_t count = buckets_used(buckets, uses, 2 * BUCKETS_WAYS);
    assert_int_equal(count, BUCKETS_WAYS);
    for (size_t k = 0; k < count; k++) {
        assert_int_equal(uses[k].taken_ns, SECOND / 10);
    }
    buckets_free(buckets);
}

static void what_others_took_is_missing(void **state)
{
    (void)state;
    struct buckets *buckets = buckets_new(16, true);
    buckets_raise(buckets, 7, START + SECOND); /* it has no place */
    assert_int_equal(buckets_look(buckets, 7, &ten_a_second, START).remaining, 20);
    buckets_take(buckets, 7, &ten_a_second, START);
    buckets_raise(buckets, 7, START + SECOND);
    assert_int_equal(buckets_look(buckets, 7, &ten_a_second, START).remaining, 10);
    buckets_raise(buckets, 7, START + SECOND / 2); /* never fuller than it knows */
    assert_int_equal(buckets_look(buckets, 7, &ten_a_second, START).remaining, 10);
    buckets_raise(buckets, 7, START + 8 * SECOND); /* four windows */
    struct bucket_state owing = buckets_look(buckets, 7, &ten_a_second, START);
    assert_false(owing.taken);
    assert_int_equal(owing.wait_ns, 6 * SECOND + SECOND / 10);
    assert_int_equal(drain(buckets, 7, START + owing.wait_ns), 1);
    buckets_free(buckets);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_bucket_gives_its_quota_then_its_rate),
        cmocka_unit_test(looking_takes_nothing),
        cmocka_unit_test(each_key_has_its_own),
        cmocka_unit_test(what_is_used_up_is_handed_on),
        cmocka_unit_test(threads_share_one_bucket),
        cmocka_unit_test(uses_are_told_once),
        cmocka_unit_test(the_most_used_are_told_first_and_none_is_left_out),
        cmocka_unit_test(what_is_taken_over_is_not_told_of_another),
        cmocka_unit_test(what_others_took_is_missing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
