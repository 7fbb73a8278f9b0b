#include "tests/unit/proto/fixture.h"

/* Set one field of a fresh sample. */
static int set(struct fixture *f, const char *name, struct mirai_str value)
{
    struct mirai_str exact = test_exact_copy(value.data, value.len);
    f->faults.count = 0;
    f->sample = (struct sample){.present = 0};
    int err =
        mirai_message_set_text(&sample_message, mirai_str(name), exact, &f->arena, &f->sample, &f->faults);
    memset((void *)exact.data, '#', exact.len); /* the answer may not point into a request's memory */
    free((void *)exact.data);
    assert_true(err == 0 ? f->faults.count == 0 && f->sample.present != 0
                         : f->faults.count == 1 && f->sample.present == 0);
    return err;
}

static void every_kind_that_text_expresses(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(set(f, "number", MIRAI_STR("42")), 0);
    assert_int_equal(f->sample.present, 1 << SAMPLE_NUMBER);
    assert_int_equal(f->sample.number, 42);
    assert_int_equal(set(f, "flag", MIRAI_STR("true")), 0);
    assert_true(f->sample.flag);
    assert_int_equal(set(f, "flag", MIRAI_STR("1")), 0);
    assert_true(f->sample.flag);
    assert_int_equal(set(f, "flag", MIRAI_STR("false")), 0);
    assert_int_equal(f->sample.present, 1 << SAMPLE_FLAG);
    assert_false(f->sample.flag);
    assert_int_equal(set(f, "ratio", MIRAI_STR("-2.5")), 0);
    assert_true(f->sample.ratio == -2.5);
    assert_int_equal(set(f, "ratio", MIRAI_STR("7")), 0);
    assert_true(f->sample.ratio == 7);
    assert_int_equal(set(f, "text", MIRAI_STR("障害")), 0);
    assert_str(f->sample.text, "障害");
    assert_int_equal(set(f, "text", MIRAI_STR("1,2")), 0); /* commas divide only lists */
    assert_str(f->sample.text, "1,2");
    assert_int_equal(set(f, "color", MIRAI_STR("green")), 0);
    assert_int_equal(f->sample.color, 1);
    assert_int_equal(set(f, "time", MIRAI_STR("1970-01-01T00:00:01Z")), 0);
    assert_int_equal(f->sample.time, 1000);
    assert_int_equal(set(f, "day", MIRAI_STR("2026-01-31")), 0);
    assert_str(f->sample.day, "2026-01-31");
}

static void lists_are_divided_by_commas(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(set(f, "words", MIRAI_STR("ネットワーク,dns")), 0);
    assert_int_equal(f->sample.words.count, 2);
    assert_str(f->sample.words.items[0], "ネットワーク");
    assert_str(f->sample.words.items[1], "dns");
    assert_int_equal(set(f, "words", MIRAI_STR("one")), 0);
    assert_int_equal(f->sample.words.count, 1);
    assert_int_equal(set(f, "words", MIRAI_STR("")), 0);
    assert_int_equal(f->sample.words.count, 0);
    assert_int_equal(set(f, "numbers", MIRAI_STR("3,-1,9223372036854775807")), 0);
    assert_int_equal(f->sample.numbers.count, 3);
    assert_int_equal(f->sample.numbers.items[1], -1);
    assert_true(f->sample.numbers.items[2] == INT64_MAX);
}

static const struct {
    const char *name;
    const char *value;
    const char *fault;
} faulty[] = {
    {"number", "", "/number type"},
    {"number", "x", "/number type"},
    {"number", "1x", "/number type"},
    {"number", " 1", "/number type"},
    {"number", "1 ", "/number type"},
    {"number", "+1", "/number type"},
    {"number", "1.0", "/number type"},
    {"number", "0x1", "/number type"},
    {"number", "99999999999999999999", "/number type"},
    {"number", "0", "/number too-small"},
    {"number", "-1", "/number too-small"},
    {"number", "1001", "/number too-large"},
    {"flag", "", "/flag type"},
    {"flag", "yes", "/flag type"},
    {"flag", "TRUE", "/flag type"},
    {"flag", "2", "/flag type"},
    {"ratio", "", "/ratio type"},
    {"ratio", "one", "/ratio type"},
    {"ratio", "1.5x", "/ratio type"},
    {"ratio", "1e999", "/ratio format"},
    {"ratio", "nan", "/ratio type"},
    {"ratio", "inf", "/ratio type"},
    {"text", "a", "/text too-short"},
    {"text", "abcdef", "/text too-long"},
    {"text", "ab\xff", "/text utf8"},
    {"color", "blue", "/color enum"},
    {"color", "", "/color enum"},
    {"time", "now", "/time format"},
    {"time", "0", "/time format"},
    {"day", "2026-02-30", "/day format"},
    {"words", "a,,b", "/words/1 too-short"},
    {"words", "a,", "/words/1 too-short"},
    {"words", "a,b,c,d", "/words too-many"},
    {"numbers", "1,x", "/numbers/1 type"},
    {"numbers", "1,,2", "/numbers/1 type"},
    {"numbers", "1,2,3,4", "/numbers too-many"},
    {"binary", "AP8=", "/binary type"},
    {"object", "1", "/object type"},
    {"inners", "1", "/inners type"},
    {"raw", "1", "/raw type"},
    {"unheard", "1", "/unheard unknown-field"},
    {"Number", "1", "/Number unknown-field"},
    {"", "1", "/ unknown-field"},
    {"a/b", "1", "/a~1b unknown-field"},
};

static void every_fault_is_told(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < ARRAY_LEN(faulty); i++) {
        assert_int_equal(set(f, faulty[i].name, mirai_str(faulty[i].value)), MIRAI_E_UNPROCESSABLE);
        assert_faults(&f->faults, faulty[i].fault);
    }
    assert_int_equal(set(f, "text", BYTES("a\0b")), MIRAI_E_UNPROCESSABLE);
    assert_faults(&f->faults, "/text nul");
    assert_int_equal(set(f, "number", BYTES("1\0")), MIRAI_E_UNPROCESSABLE);
    assert_faults(&f->faults, "/number type");
    assert_int_equal(set(f, "ratio", BYTES("1\0")), MIRAI_E_UNPROCESSABLE);
    assert_faults(&f->faults, "/ratio type");
}

static void empty_text_clears_what_may_be_cleared(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(set(f, "clearable", MIRAI_STR("")), 0);
    assert_int_equal(f->sample.present, 1 << SAMPLE_CLEARABLE);
    assert_int_equal(set(f, "clearable_id", MIRAI_STR("")), 0);
    assert_int_equal(f->sample.clearable_id, 0);
}

static void one_after_the_other_and_none_twice(void **state)
{
    struct fixture *f = *state;
    struct sample *s = &f->sample;
    assert_int_equal(mirai_message_set_text(&sample_message, MIRAI_STR("number"), MIRAI_STR("7"), &f->arena,
                                            s, &f->faults),
                     0);
    assert_int_equal(
        mirai_message_set_text(&sample_message, MIRAI_STR("text"), MIRAI_STR("ab"), &f->arena, s, &f->faults),
        0);
    assert_int_equal(s->present, 1 << SAMPLE_NUMBER | 1 << SAMPLE_TEXT);
    assert_int_equal(mirai_message_set_text(&sample_message, MIRAI_STR("number"), MIRAI_STR("8"), &f->arena,
                                            s, &f->faults),
                     MIRAI_E_UNPROCESSABLE);
    assert_faults(&f->faults, "/number duplicate");
    assert_int_equal(s->number, 7);
    assert_str(s->text, "ab");
    assert_int_equal(
        mirai_message_set_text(&sample_message, MIRAI_STR("flag"), MIRAI_STR("x"), &f->arena, s, NULL),
        MIRAI_E_UNPROCESSABLE);
    assert_int_equal(mirai_message_set_text(&sample_message, (struct mirai_str){NULL, 0}, MIRAI_STR("x"),
                                            &f->arena, s, NULL),
                     MIRAI_E_UNPROCESSABLE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        test_with_fixture(every_kind_that_text_expresses),
        test_with_fixture(lists_are_divided_by_commas),
        test_with_fixture(every_fault_is_told),
        test_with_fixture(empty_text_clears_what_may_be_cleared),
        test_with_fixture(one_after_the_other_and_none_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
