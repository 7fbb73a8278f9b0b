/* The context of a call on the wire: round trip, what is refused, what a later release may add. */
#include "libcommon/rpc.h"
#include "tests/unit/libcommon/test.h"

static int decode(struct mirai_str bytes, struct mirai_context *context)
{
    static int64_t ids[4];
    struct mirai_str exact = test_exact_copy(bytes.data, bytes.len);
    int err = mirai_context_decode(exact, 1000, context, ids, ARRAY_LEN(ids));
    free((char *)exact.data);
    return err;
}

static void test_round_trip(void **state)
{
    (void)state;
    const int64_t spaces[] = {1, 500};
    const int64_t groups[] = {INT64_MIN, INT64_MAX};
    int64_t ids[4];
    struct mirai_buf buf = {0};
    struct mirai_context back;
    const struct mirai_context context = {
        .deadline_ms = 3500,
        .traceparent = MIRAI_STR("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        .principal = {.user_id = -1,
                      .role = MIRAI_ROLE_ADMIN,
                      .name = MIRAI_STR("運用担当"),
                      .expires_at = INT64_C(1790000000000),
                      .token_id = 77,
                      .spaces = spaces,
                      .spaces_len = 2,
                      .groups = groups,
                      .groups_len = 2},
        .locale = MIRAI_STR("ja"),
        .idempotency_key = MIRAI_STR("k"),
        .client_address = MIRAI_STR("2001:db8::1"),
    };
    mirai_context_encode(&buf, &context, 1000);
    assert_int_equal(mirai_context_decode(mirai_buf_str(&buf), 7000, &back, ids, 4), 0);
    assert_int_equal(back.deadline_ms, 9500); /* what was left, on the reader's clock */
    assert_str(back.traceparent, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    assert_int_equal(back.principal.user_id, -1);
    assert_int_equal(back.principal.role, MIRAI_ROLE_ADMIN);
    assert_str(back.principal.name, "運用担当");
    assert_int_equal(back.principal.expires_at, INT64_C(1790000000000));
    assert_int_equal(back.principal.token_id, 77);
    assert_int_equal(back.principal.spaces_len, 2);
    assert_memory_equal(back.principal.spaces, spaces, sizeof(spaces));
    assert_int_equal(back.principal.groups_len, 2);
    assert_memory_equal(back.principal.groups, groups, sizeof(groups));
    assert_str(back.locale, "ja");
    assert_str(back.idempotency_key, "k");
    assert_str(back.client_address, "2001:db8::1");
    assert_int_equal(mirai_context_decode(mirai_buf_str(&buf), 7000, &back, ids, 3),
                     MIRAI_E_INVALID); /* no room */
    for (size_t len = 0; len < buf.len; len++) {
        assert_int_equal(decode((struct mirai_str){buf.data, len}, &back), MIRAI_E_INVALID);
    }
    mirai_buf_free(&buf);
}

static void test_empty_context_is_no_one_without_deadline(void **state)
{
    (void)state;
    struct mirai_context context;
    assert_int_equal(decode(BYTES("\x80"), &context), 0);
    assert_int_equal(context.deadline_ms, 0);
    assert_int_equal(context.principal.user_id, 0);
    assert_int_equal(context.principal.role, MIRAI_ROLE_NONE);
}

static void test_passed_deadline_leaves_nothing(void **state)
{
    (void)state;
    struct mirai_buf buf = {0};
    struct mirai_context context = {.deadline_ms = 900};
    mirai_context_encode(&buf, &context, 1000);
    assert_int_equal(decode(mirai_buf_str(&buf), &context), 0);
    assert_int_equal(context.deadline_ms, 1000);
    mirai_buf_free(&buf);
}

static void test_unknown_members_are_ignored(void **state)
{
    (void)state;
    struct mirai_context context;
    assert_int_equal(decode(BYTES("\x83\xa1z\x92\xc0\xc3\xa5other\x81\x01\x02\xa1l\xa2"
                                  "en"),
                            &context),
                     0);
    assert_str(context.locale, "en");
}

static void test_wrong_members_are_refused(void **state)
{
    (void)state;
    static const struct mirai_str wrong[] = {
        {"\xc0", 1},         /* not a map */
        {"\x80\x80", 2},     /* bytes behind it */
        {"\x81\x01\x02", 3}, /* key is a number */
        {"\x81\xa1"
         "d\xff",
         4}, /* negative deadline */
        {"\x81\xa1"
         "d\xa1x",
         5},                  /* deadline is text */
        {"\x81\xa1r\x04", 4}, /* no such role */
        {"\x81\xa1r\xff", 4}, /* no such role */
        {"\x81\xa1u\xcf\xff\xff\xff\xff\xff\xff\xff\xff", 12},
        {"\x81\xa1n\xa1\xff", 5},                           /* not UTF-8 */
        {"\x81\xa1s\x92\x02\x01", 6},                       /* not ascending */
        {"\x81\xa1s\x92\x01\x01", 6},                       /* twice the same */
        {"\x81\xa1s\x91\xc0", 5},                           /* not a number */
        {"\x81\xa1s\x95\x01\x02\x03\x04\x05", 9},           /* too many */
        {"\x82\xa1s\x93\x01\x02\x03\xa1g\x92\x01\x02", 12}, /* too many together */
        {"\x82\xa1s\x91\x01\xa1s\x91\x02", 9},              /* twice */
        {"\x81\xa1s\xdd\xff\xff\xff\xff\x01", 9},
        {"\x81\xa1l\xb1"
         "12345678901234567",
         21}, /* a long locale */
    };
    struct mirai_context context;
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        assert_int_equal(decode(wrong[i], &context), MIRAI_E_INVALID);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_empty_context_is_no_one_without_deadline),
        cmocka_unit_test(test_passed_deadline_leaves_nothing),
        cmocka_unit_test(test_unknown_members_are_ignored),
        cmocka_unit_test(test_wrong_members_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
