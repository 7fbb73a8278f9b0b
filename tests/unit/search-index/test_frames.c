/* The frames of mirai-extract: whole ones in any pieces, and nothing that breaks their rules. */
#include "libcommon/error.h"
#include "services/search-index/extract/frames.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static struct mirai_buf sample(void)
{
    struct mirai_buf out = {0};
    frames_write_page(&out, 2, MIRAI_STR("二頁"));
    frames_write_page(&out, 1, MIRAI_STR("一"));
    frames_write_page(&out, 2, MIRAI_STR("の続き"));
    frames_write_end(&out, EXTRACT_CUT);
    return out;
}

static void test_pages_come_in_any_pieces_and_order(void **state)
{
    (void)state;
    struct mirai_buf bytes = sample();
    for (size_t piece = 1; piece <= bytes.len; piece++) {
        struct frames_reader reader = {0};
        struct mirai_buf packed = {0};
        for (size_t at = 0; at < bytes.len; at += piece) {
            size_t len = bytes.len - at < piece ? bytes.len - at : piece;
            assert_int_equal(frames_read(&reader, (struct mirai_str){bytes.data + at, len}), 0);
        }
        assert_true(reader.ended);
        assert_int_equal(reader.outcome, EXTRACT_CUT);
        frames_pack(&reader, &packed);
        struct mirai_str rest = mirai_buf_str(&packed);
        struct mirai_str text;
        uint32_t page;
        assert_int_equal(frames_next(&rest, &page, &text), 0);
        assert_int_equal(page, 1);
        assert_true(mirai_str_eq(text, MIRAI_STR("一")));
        assert_int_equal(frames_next(&rest, &page, &text), 0);
        assert_int_equal(page, 2);
        assert_true(mirai_str_eq(text, MIRAI_STR("二頁の続き")));
        assert_int_equal(frames_next(&rest, &page, &text), MIRAI_E_NOT_FOUND);
        mirai_buf_free(&packed);
        frames_reader_free(&reader);
    }
    mirai_buf_free(&bytes);
}

static int read_one(struct mirai_buf *bytes)
{
    struct frames_reader reader = {0};
    int err = frames_read(&reader, mirai_buf_str(bytes));
    frames_reader_free(&reader);
    mirai_buf_free(bytes);
    return err;
}

static void test_what_breaks_the_rules_is_refused(void **state)
{
    (void)state;
    struct mirai_buf bytes = {0};
    frames_write_page(&bytes, EXTRACT_PAGES_MAX + 1, MIRAI_STR("x"));
    assert_int_equal(read_one(&bytes), MIRAI_E_INVALID);
    frames_write_page(&bytes, 1, MIRAI_STR("\xe3\x81"));
    assert_int_equal(read_one(&bytes), MIRAI_E_INVALID);
    frames_write_end(&bytes, EXTRACT_OUTCOME_COUNT);
    assert_int_equal(read_one(&bytes), MIRAI_E_INVALID);
    frames_write_end(&bytes, EXTRACT_DONE);
    frames_write_page(&bytes, 1, MIRAI_STR("behind the end"));
    assert_int_equal(read_one(&bytes), MIRAI_E_INVALID);
    frames_write_end(&bytes, EXTRACT_DONE);
    mirai_buf_append_char(&bytes, 'x');
    assert_int_equal(read_one(&bytes), MIRAI_E_INVALID);
    mirai_buf_append(&bytes, "P\1\0\0\0\1\0\1\0", 9); /* 65537 bytes */
    assert_int_equal(read_one(&bytes), MIRAI_E_INVALID);
    mirai_buf_append(&bytes, "Q\1\0\0\0\0\0\0\0", 9);
    assert_int_equal(read_one(&bytes), MIRAI_E_INVALID);
}

static void test_text_and_frames_are_bounded(void **state)
{
    (void)state;
    struct frames_reader reader = {0};
    struct mirai_buf frame = {0};
    char *text = malloc(EXTRACT_FRAME_MAX);
    memset(text, 'x', EXTRACT_FRAME_MAX);
    frames_write_page(&frame, 1, (struct mirai_str){text, EXTRACT_FRAME_MAX});
    for (size_t i = 0; i < EXTRACT_TEXT_MAX / EXTRACT_FRAME_MAX; i++) {
        assert_int_equal(frames_read(&reader, mirai_buf_str(&frame)), 0);
    }
    assert_int_equal(frames_read(&reader, mirai_buf_str(&frame)), MIRAI_E_INVALID);
    frames_reader_free(&reader);
    frame.len = 0;
    frames_write_page(&frame, 1, MIRAI_STR(""));
    int err = 0;
    for (size_t i = 0; i < 100000 && err == 0; i++) {
        err = frames_read(&reader, mirai_buf_str(&frame));
    }
    assert_int_equal(err, MIRAI_E_INVALID);
    frames_reader_free(&reader);
    mirai_buf_free(&frame);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pages_come_in_any_pieces_and_order),
        cmocka_unit_test(test_what_breaks_the_rules_is_refused),
        cmocka_unit_test(test_text_and_frames_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
