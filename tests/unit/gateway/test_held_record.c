#include "services/gateway/identity/held_record.h"

#include "libcommon/error.h"
#include "tests/unit/gateway/test.h"

#define NOW INT64_C(1700000000000)

static const struct mirai_str key = {"0123456789abcdef0123456789abcdef", 32};
static const unsigned char digest[HELD_DIGEST_SIZE] = {1, 2, 3};

static struct mirai_buf sealed_record(int64_t expires_at)
{
    struct mirai_held_record record = {0};
    struct mirai_buf sealed = {0};
    mirai_set(held_record, &record, id, 7);
    mirai_set(held_record, &record, user_id, 42);
    mirai_set(held_record, &record, session_epoch, 3);
    mirai_set(held_record, &record, created_at, NOW);
    mirai_set(held_record, &record, expires_at, expires_at);
    mirai_set(held_record, &record, agent, mirai_str("ブラウザー"));
    held_record_seal(key, digest, &record, &sealed);
    return sealed;
}

static int open_with(struct mirai_str with, const unsigned char *of, struct mirai_str sealed,
                     struct mirai_held_record *record)
{
    struct mirai_arena arena = {0};
    int err = held_record_open(with, of, sealed, NOW, &arena, record);
    mirai_arena_free(&arena);
    return err;
}

static void what_was_sealed_opens(void **state)
{
    (void)state;
    struct mirai_held_record record;
    struct mirai_buf sealed = sealed_record(NOW + 1);
    assert_int_equal(open_with(key, digest, mirai_buf_str(&sealed), &record), 0);
    assert_int_equal(record.id, 7);
    assert_int_equal(record.user_id, 42);
    assert_int_equal(record.session_epoch, 3);
    assert_str(record.agent, "ブラウザー");
    mirai_buf_free(&sealed);
}

static void only_with_the_key_and_for_the_secret(void **state)
{
    (void)state;
    struct mirai_held_record record;
    struct mirai_buf sealed = sealed_record(NOW + 1);
    static const unsigned char other[HELD_DIGEST_SIZE] = {1, 2, 4};
    struct mirai_str stranger = {"0123456789abcdef0123456789abcdeF", 32};
    assert_int_equal(open_with(stranger, digest, mirai_buf_str(&sealed), &record), MIRAI_E_INVALID);
    assert_int_equal(open_with(key, other, mirai_buf_str(&sealed), &record), MIRAI_E_INVALID);
    mirai_buf_free(&sealed);
}

static void nothing_else_opens(void **state)
{
    (void)state;
    struct mirai_held_record record;
    struct mirai_buf sealed = sealed_record(NOW + 1);
    for (size_t i = 0; i < sealed.len * 8; i++) {
        sealed.data[i / 8] = (char)(sealed.data[i / 8] ^ (1 << i % 8));
        assert_int_equal(open_with(key, digest, mirai_buf_str(&sealed), &record), MIRAI_E_INVALID);
        sealed.data[i / 8] = (char)(sealed.data[i / 8] ^ (1 << i % 8));
    }
    for (size_t len = 0; len < sealed.len; len++) {
        assert_int_equal(open_with(key, digest, (struct mirai_str){sealed.data, len}, &record),
                         MIRAI_E_INVALID);
    }
    mirai_buf_append_char(&sealed, 0);
    assert_int_equal(open_with(key, digest, mirai_buf_str(&sealed), &record), MIRAI_E_INVALID);
    mirai_buf_free(&sealed);
    assert_int_equal(open_with(key, digest, (struct mirai_str){0}, &record), MIRAI_E_INVALID);
}

static void an_ended_life_does_not_open(void **state)
{
    (void)state;
    struct mirai_held_record record;
    struct mirai_buf sealed = sealed_record(NOW);
    assert_int_equal(open_with(key, digest, mirai_buf_str(&sealed), &record), MIRAI_E_INVALID);
    mirai_buf_free(&sealed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_sealed_opens),
        cmocka_unit_test(only_with_the_key_and_for_the_secret),
        cmocka_unit_test(nothing_else_opens),
        cmocka_unit_test(an_ended_life_does_not_open),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
