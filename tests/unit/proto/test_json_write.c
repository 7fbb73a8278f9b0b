#include "tests/unit/proto/fixture.h"

#include <float.h>
#include <math.h>

/* One value to JSON, from memory of its exact size, behind what the buffer already holds. */
static int write_json(struct fixture *f, struct mirai_str mp)
{
    struct mirai_str exact = test_exact_copy(mp.data, mp.len);
    f->buf.len = 0;
    mirai_buf_append_char(&f->buf, '>');
    int err = mirai_mp_to_json(exact, &f->buf);
    free((void *)exact.data);
    assert_int_equal(f->buf.data[0], '>');
    return err;
}

static void assert_json(struct fixture *f, struct mirai_str mp, const char *expected)
{
    assert_int_equal(write_json(f, mp), 0);
    mirai_buf_append_char(&f->buf, '\0');
    assert_string_equal(f->buf.data + 1, expected);
}

static void values_of_every_type(void **state)
{
    struct fixture *f = *state;
    assert_json(f, BYTES("\xc0"), "null");
    assert_json(f, BYTES("\xc2"), "false");
    assert_json(f, BYTES("\xc3"), "true");
    assert_json(f, BYTES("\x7f"), "127");
    assert_json(f, BYTES("\xe0"), "-32");
    assert_json(f, BYTES("\xd3\x80\0\0\0\0\0\0\0"), "-9223372036854775808");
    assert_json(f, BYTES("\xd3\x7f\xff\xff\xff\xff\xff\xff\xff"), "9223372036854775807");
    assert_json(f, BYTES("\xcf\xff\xff\xff\xff\xff\xff\xff\xff"), "18446744073709551615");
    assert_json(f, BYTES("\xcf\x80\0\0\0\0\0\0\0"), "9223372036854775808");
    assert_json(f, BYTES("\xa0"), "\"\"");
    assert_json(f, BYTES("\xc4\x00"), "\"\"");
    assert_json(f,
                BYTES("\xc4\x05"
                      "hello"),
                "\"aGVsbG8=\"");
    assert_json(f, BYTES("\x90"), "[]");
    assert_json(f, BYTES("\x80"), "{}");
    assert_json(f, BYTES("\x93\x01\x91\x02\x81\xa1k\xc0"), "[1,[2],{\"k\":null}]");
    assert_json(f,
                BYTES("\x82\xa1"
                      "a\x01\xa1"
                      "b\x92\xc2\xc3"),
                "{\"a\":1,\"b\":[false,true]}");
}

static void reals(void **state)
{
    struct fixture *f = *state;
    static const struct {
        double value;
        const char *json;
    } cases[] = {
        {0.0, "0.0"},    {-0.0, "-0.0"},         {1.0, "1.0"},           {-1.5, "-1.5"},
        {0.1, "0.1"},    {0.000001, "0.000001"}, {4.333333, "4.333333"}, {999999999.5, "999999999.5"},
        {1e15, "1e+15"}, {INFINITY, "null"},     {-INFINITY, "null"},    {NAN, "null"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct mirai_buf mp = {0};
        mirai_mp_write_double(&mp, cases[i].value);
        assert_json(f, mirai_buf_str(&mp), cases[i].json);
        mirai_buf_free(&mp);
    }
}

/* Whatever the text looks like, it reads back as the same number, and as a real one. */
static void every_real_reads_back(void **state)
{
    struct fixture *f = *state;
    uint64_t random = 17;
    static const double special[] = {DBL_MAX,   DBL_MIN, DBL_EPSILON, 5e-324, 1e9,
                                     1e9 + 0.5, 1.0 / 3, 2e-7,        1e22};
    for (size_t i = 0; i < 20000; i++) {
        double value;
        uint64_t bits = test_random(&random);
        memcpy(&value, &bits, sizeof(value));
        value = i < ARRAY_LEN(special) ? special[i]
                : i % 2 == 0           ? value
                                       : (double)(int64_t)(bits >> 20) / (double)(1 << (bits & 15));
        if (!isfinite(value)) {
            continue;
        }
        struct mirai_buf mp = {0};
        mirai_mp_write_double(&mp, value);
        assert_int_equal(write_json(f, mirai_buf_str(&mp)), 0);
        mirai_buf_append_char(&f->buf, '\0');
        assert_true(strtod(f->buf.data + 1, NULL) == value);
        assert_non_null(strpbrk(f->buf.data + 1, ".e"));
        mirai_buf_free(&mp);
    }
}

static void text_is_escaped(void **state)
{
    struct fixture *f = *state;
    static const struct {
        struct mirai_str text;
        const char *json;
    } cases[] = {
        {BYTES("\"\\/"), "\"\\\"\\\\/\""},
        {BYTES("\b\t\n\f\r"), "\"\\b\\t\\n\\f\\r\""},
        {BYTES("\0\x01\x1f\x7f"), "\"\\u0000\\u0001\\u001f\x7f\""},
        {BYTES("障害 é 😀"), "\"障害 é 😀\""},
        {BYTES("</script>"), "\"</script>\""},
        {BYTES("0123456789abcde\"0123456789abcdef\\"), "\"0123456789abcde\\\"0123456789abcdef\\\\\""},
        {BYTES("a\xff"
               "b"),
         "\"a\xef\xbf\xbd"
         "b\""},
        {BYTES("\xc0\xaf"), "\"\xef\xbf\xbd\xef\xbf\xbd\""},
        {BYTES("\xe3\x81"), "\"\xef\xbf\xbd\xef\xbf\xbd\""},
        {BYTES("\xed\xa0\x80"), "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
        {BYTES("\xf4\x90\x80\x80"), "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
        {BYTES("\xe3\x81\x22"), "\"\xef\xbf\xbd\xef\xbf\xbd\\\"\""},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct mirai_buf mp = {0};
        mirai_mp_write_str(&mp, cases[i].text);
        assert_json(f, mirai_buf_str(&mp), cases[i].json);
        mp.len = 0; /* a name is written the same way, except that it may hold no NUL */
        if (cases[i].text.data[0] != '\0') {
            char expected[200];
            mirai_mp_write_map(&mp, 1);
            mirai_mp_write_str(&mp, cases[i].text);
            mirai_mp_write_nil(&mp);
            snprintf(expected, sizeof(expected), "{%s:null}", cases[i].json);
            assert_json(f, mirai_buf_str(&mp), expected);
        }
        mirai_buf_free(&mp);
    }
}

/* Text of any length and content is what the other JSON writer of this program makes of it. */
static void every_text_as_the_plain_writer_has_it(void **state)
{
    struct fixture *f = *state;
    static const char *const pieces[] = {"a",    "0123456789abcdef", "\"", "\\", "\n", "\x01", "é", "語", "😀",
                                         "\xff", "\xe3\x81"};
    uint64_t random = 5;
    struct mirai_buf text = {0}, mp = {0}, expected = {0};
    for (int round = 0; round < 5000; round++) {
        text.len = mp.len = expected.len = 0;
        for (uint64_t n = test_random(&random) % 12; n > 0; n--) {
            mirai_buf_append_str(&text, mirai_str(pieces[test_random(&random) % ARRAY_LEN(pieces)]));
        }
        mirai_mp_write_str(&mp, mirai_buf_str(&text));
        mirai_buf_append_json(&expected, mirai_buf_str(&text));
        assert_int_equal(write_json(f, mirai_buf_str(&mp)), 0);
        assert_int_equal(f->buf.len - 1, expected.len);
        assert_memory_equal(f->buf.data + 1, expected.data, expected.len);
    }
    mirai_buf_free(&text);
    mirai_buf_free(&mp);
    mirai_buf_free(&expected);
}

static void what_json_cannot_say_is_refused(void **state)
{
    struct fixture *f = *state;
    static const struct mirai_str bad[] = {
        BYTES(""),
        BYTES("\xc1"),
        BYTES("\xd4\x01x"), /* EXT */
        BYTES("\x92\x01\xd6\xff"
              "1234"),         /* the timestamp one, in a list */
        BYTES("\x81\x01\x02"), /* a name that is no text */
        BYTES("\x81\xc4\x01"
              "a\x02"),
        BYTES("\x81\xa1\0\x02"), /* a name with NUL */
        BYTES("\x92\x01"),       /* cut off */
        BYTES("\x81\xa1"
              "a"),
        BYTES("\xa5"
              "abcd"),
        BYTES("\x01\x02"), /* two values */
        BYTES("\xdd\xff\xff\xff\xff\x01"),
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_int_equal(write_json(f, bad[i]), MIRAI_E_INVALID);
        assert_int_equal(f->buf.len, 1); /* nothing half-written */
    }
}

static void nesting_is_bounded(void **state)
{
    struct fixture *f = *state;
    char deep[MIRAI_MP_DEPTH_MAX + 2];
    memset(deep, '\x91', sizeof(deep));
    deep[MIRAI_MP_DEPTH_MAX] = '\xc0';
    assert_json(f, (struct mirai_str){deep, MIRAI_MP_DEPTH_MAX + 1}, "[[[[[[[[[[[[[[[[null]]]]]]]]]]]]]]]]");
    deep[MIRAI_MP_DEPTH_MAX] = '\x91';
    deep[MIRAI_MP_DEPTH_MAX + 1] = '\xc0';
    assert_int_equal(write_json(f, (struct mirai_str){deep, sizeof(deep)}), MIRAI_E_INVALID);
    size_t len = 1 << 20;
    char *bomb = malloc(len);
    memset(bomb, '\x91', len);
    assert_int_equal(write_json(f, (struct mirai_str){bomb, len}), MIRAI_E_INVALID);
    free(bomb);
}

/* One random value that both formats can hold. */
static void random_value(struct mirai_buf *mp, uint64_t *random, int depth)
{
    uint64_t r = test_random(random);
    size_t n = r >> 40 & 3;
    switch (r % (depth > 0 ? 7 : 5)) {
    case 0:
        mirai_mp_write_nil(mp);
        break;
    case 1:
        mirai_mp_write_bool(mp, (r >> 32 & 1) != 0);
        break;
    case 2:
        mirai_mp_write_int(mp, (int64_t)test_random(random) >> (r >> 32 & 63));
        break;
    case 3:
        mirai_mp_write_double(mp, (double)(int64_t)test_random(random) / 1024);
        break;
    case 4:
        mirai_mp_write_str(mp, (struct mirai_str){"a\"\\\n\x01\x7f/", r >> 32 & 7});
        break;
    case 5:
        mirai_mp_write_array(mp, n);
        for (size_t i = 0; i < n; i++) {
            random_value(mp, random, depth - 1);
        }
        break;
    default:
        mirai_mp_write_map(mp, n);
        for (size_t i = 0; i < n; i++) {
            char name[8];
            snprintf(name, sizeof(name), "%zu", i);
            mirai_mp_write_cstr(mp, name);
            random_value(mp, random, depth - 1);
        }
    }
}

static void there_and_back_is_the_same(void **state)
{
    struct fixture *f = *state;
    uint64_t random = 23;
    struct mirai_buf mp = {0}, again = {0};
    for (int round = 0; round < 5000; round++) {
        mp.len = again.len = 0;
        random_value(&mp, &random, 5);
        assert_int_equal(write_json(f, mirai_buf_str(&mp)), 0);
        assert_int_equal(mirai_json_to_mp((struct mirai_str){f->buf.data + 1, f->buf.len - 1}, &again), 0);
        assert_int_equal(again.len, mp.len);
        assert_memory_equal(again.data, mp.data, mp.len);
    }
    mirai_buf_free(&mp);
    mirai_buf_free(&again);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        test_with_fixture(values_of_every_type),
        test_with_fixture(reals),
        test_with_fixture(every_real_reads_back),
        test_with_fixture(text_is_escaped),
        test_with_fixture(every_text_as_the_plain_writer_has_it),
        test_with_fixture(what_json_cannot_say_is_refused),
        test_with_fixture(nesting_is_bounded),
        test_with_fixture(there_and_back_is_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
