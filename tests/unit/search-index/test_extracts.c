/* The cache of attachments' texts: kept, bounded, forgotten in order, made anew when it is damaged. */
#include "libcommon/error.h"
#include "libcommon/time.h"
#include "services/search-index/extract/extracts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
    char dir[64];
    char path[96];
    struct extracts *extracts;
};

static struct mirai_str hash_of(unsigned number, char room[65])
{
    snprintf(room, 65, "%064x", number);
    return mirai_str(room);
}

static void put(struct fixture *f, unsigned number, enum extract_outcome outcome, struct mirai_str text)
{
    char room[65];
    struct mirai_buf packed = {0};
    if (text.len > 0) {
        frames_write_page(&packed, 3, text);
    }
    const struct extracts_text row = {outcome, mirai_buf_str(&packed)};
    assert_int_equal(extracts_put(f->extracts, hash_of(number, room), &row), 0);
    mirai_buf_free(&packed);
}

/* Its outcome; or the error. */
static int look(struct fixture *f, unsigned number, const char *text)
{
    char room[65];
    struct mirai_arena arena = {0};
    struct extracts_text found;
    int err = extracts_find(f->extracts, hash_of(number, room), &arena, &found);
    if (err == 0 && text != NULL) {
        uint32_t page;
        struct mirai_str got;
        assert_int_equal(frames_next(&found.packed, &page, &got), 0);
        assert_int_equal(page, 3);
        assert_true(mirai_str_eq(got, mirai_str(text)));
    }
    mirai_arena_free(&arena);
    return err == 0 ? (int)found.outcome : err;
}

static void reopen(struct fixture *f, int64_t max, const char *limits)
{
    extracts_close(f->extracts);
    assert_int_equal(extracts_open(f->path, max, limits, &f->extracts), 0);
}

static void test_texts_survive(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(look(f, 1, NULL), MIRAI_E_NOT_FOUND);
    put(f, 1, EXTRACT_DONE, MIRAI_STR("本文"));
    put(f, 2, EXTRACT_DONE, MIRAI_STR(""));
    reopen(f, 1 << 20, "limits");
    assert_int_equal(look(f, 1, "本文"), EXTRACT_DONE);
    assert_int_equal(look(f, 2, NULL), EXTRACT_DONE);
    put(f, 1, EXTRACT_CUT, MIRAI_STR("別の本文"));
    assert_int_equal(look(f, 1, "別の本文"), EXTRACT_CUT);
}

static void test_failures_are_believed_as_long_as_nothing_changes(void **state)
{
    struct fixture *f = *state;
    put(f, 1, EXTRACT_CRASHED, MIRAI_STR("始め"));
    put(f, 2, EXTRACT_UNSUPPORTED, MIRAI_STR(""));
    put(f, 3, EXTRACT_DONE, MIRAI_STR("本文"));
    assert_int_equal(look(f, 1, "始め"), EXTRACT_CRASHED);
    assert_int_equal(look(f, 2, NULL), EXTRACT_UNSUPPORTED);
    reopen(f, 1 << 20, "more memory");
    assert_int_equal(look(f, 1, NULL), MIRAI_E_NOT_FOUND);
    assert_int_equal(look(f, 2, NULL), MIRAI_E_NOT_FOUND);
    assert_int_equal(look(f, 3, "本文"), EXTRACT_DONE);
}

static void test_size_is_bounded(void **state)
{
    struct fixture *f = *state;
    char noise[8001];
    srand(1);
    reopen(f, 1 << 20, "limits");
    for (unsigned i = 1; i <= 400; i++) {
        for (size_t k = 0; k < 8000; k++) {
            noise[k] = (char)('!' + rand() % 90);
        }
        noise[8000] = '\0';
        put(f, i, EXTRACT_DONE, mirai_str(noise));
        assert_true(extracts_bytes(f->extracts) <= 1 << 20);
    }
    assert_int_equal(look(f, 400, noise), EXTRACT_DONE);
    assert_int_equal(look(f, 1, NULL), MIRAI_E_NOT_FOUND);
}

static void test_what_nobody_uses_expires(void **state)
{
    struct fixture *f = *state;
    put(f, 1, EXTRACT_DONE, MIRAI_STR("本文"));
    assert_int_equal(extracts_expire(f->extracts, mirai_now_ms()), 0);
    assert_int_equal(look(f, 1, "本文"), EXTRACT_DONE); /* used within the hour */
    assert_int_equal(extracts_expire(f->extracts, mirai_now_ms() + 7200000), 0);
    assert_int_equal(look(f, 1, NULL), MIRAI_E_NOT_FOUND);
    assert_int_equal(extracts_bytes(f->extracts), 0);
}

static void test_a_damaged_file_is_made_anew(void **state)
{
    struct fixture *f = *state;
    put(f, 1, EXTRACT_DONE, MIRAI_STR("本文"));
    extracts_close(f->extracts);
    FILE *file = fopen(f->path, "w");
    assert_non_null(file);
    fputs("this is no database, and it is longer than a header of one hundred bytes, so that it is looked at "
          "as one",
          file);
    fclose(file);
    assert_int_equal(extracts_open(f->path, 1 << 20, "limits", &f->extracts), 0);
    assert_int_equal(look(f, 1, NULL), MIRAI_E_NOT_FOUND);
    put(f, 1, EXTRACT_DONE, MIRAI_STR("本文"));
    assert_int_equal(look(f, 1, "本文"), EXTRACT_DONE);
}

static void test_names_that_are_no_hashes(void **state)
{
    struct fixture *f = *state;
    struct mirai_arena arena = {0};
    struct extracts_text text = {0};
    assert_int_equal(extracts_find(f->extracts, MIRAI_STR("x"), &arena, &text), MIRAI_E_NOT_FOUND);
    assert_int_equal(extracts_put(f->extracts, MIRAI_STR("'; DROP TABLE extracts"), &text), MIRAI_E_INVALID);
    mirai_arena_free(&arena);
}

static int set_up(void **state)
{
    struct fixture *f = mirai_alloc(sizeof(*f));
    snprintf(f->dir, sizeof(f->dir), "/tmp/mirai-extracts-XXXXXX");
    if (mkdtemp(f->dir) == NULL) {
        return -1;
    }
    snprintf(f->path, sizeof(f->path), "%s/extracts.db", f->dir);
    *state = f;
    return extracts_open(f->path, 1 << 20, "limits", &f->extracts);
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    char command[128];
    extracts_close(f->extracts);
    snprintf(command, sizeof(command), "rm -rf '%s'", f->dir);
    free(f);
    return system(command);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_texts_survive),
        TEST(test_failures_are_believed_as_long_as_nothing_changes),
        TEST(test_size_is_bounded),
        TEST(test_what_nobody_uses_expires),
        TEST(test_a_damaged_file_is_made_anew),
        TEST(test_names_that_are_no_hashes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
