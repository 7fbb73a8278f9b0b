#include "tests/unit/proto/fixture.h"

#include <limits.h>

/* `json` with ' for ", checked against the sample message; what came out is left decoded in f->sample. */
static int read_json(struct fixture *f, const char *json)
{
    struct mirai_str text = test_exact_copy(json, strlen(json));
    for (size_t i = 0; i < text.len; i++) {
        ((char *)text.data)[i] = text.data[i] == '\'' ? '"' : text.data[i];
    }
    f->buf.len = 0;
    mirai_buf_append_str(&f->buf, MIRAI_STR("before"));
    f->faults.count = 0;
    int err = mirai_message_from_json(&sample_message, text, NULL, &f->buf, &f->faults);
    free((void *)text.data);
    assert_memory_equal(f->buf.data, "before", 6);
    if (err != 0) {
        assert_int_equal(f->buf.len, 6); /* nothing half-made is left */
        return err;
    }
    struct mirai_str bytes = {f->buf.data + 6, f->buf.len - 6};
    assert_int_equal(
        mirai_message_decode(&sample_message, bytes, MIRAI_EDGE, &f->arena, &f->sample, &f->faults), 0);
    return 0;
}

static void a_text_becomes_the_message(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(read_json(f,
                               " { 'number' : 42 ,\t'flag':true,'ratio':1e-3,'text':'a\\u00e9\\ud83d\\ude00',"
                               "'binary':'AP8=','color':'green','time':'2026-01-31T00:00:00+09:00',"
                               "'words':['x','\\\\\\/\\n'],'numbers':[-1,0],'inners':[{'id':1}],"
                               "'object':{'id':2,'note':''},'raw':{'a':[null,1.5]},'clearable':null}\n"),
                     0);
    const struct sample *s = &f->sample;
    assert_int_equal(s->number, 42);
    assert_true(s->flag && s->ratio == 1e-3);
    assert_str(s->text, "aé😀");
    assert_str(s->binary, "\0\xff");
    assert_int_equal(s->color, 1);
    assert_int_equal(s->words.count, 2);
    assert_str(s->words.items[1], "\\/\n");
    assert_int_equal(s->numbers.items[0], -1);
    assert_int_equal(((const struct inner *)s->inners.items)[0].id, 1);
    assert_int_equal(s->object.id, 2);
    assert_true(sample_has(s, SAMPLE_CLEARABLE) && s->clearable.len == 0);
    assert_false(sample_has(s, SAMPLE_DAY));
    assert_str(s->raw, "\x81\xa1"
                       "a\x92\xc0\xcb\x3f\xf8\0\0\0\0\0\0");
}

static const char *const malformed[] = {
    "",
    " ",
    "{",
    "}",
    "{'number'}",
    "{'number':}",
    "{'number':1,}",
    "{,'number':1}",
    "{'number':1}}",
    "{'number':1} {}",
    "{'number':1}x",
    "{number:1}",
    "{'number':01}",
    "{'number':+1}",
    "{'number':1.}",
    "{'number':.5}",
    "{'number':1e}",
    "{'number':0x1}",
    "{'number':NaN}",
    "{'number':Infinity}",
    "{'number':True}",
    "{'number':nul}",
    "{'number':1 2}",
    "{'number':1;}",
    "{'number':1 /* why */}",
    "{'text':'abc",
    "{'text':'a\\x41b'}",
    "{'text':'a\\u12g4'}",
    "{'text':'a\\",
    "{'text':'a\nb'}",
    "{'text':'a\tb'}",
    "{'text':'a\x01'}",
    "{'words':['a' 'b']}",
    "{'words':['a',]}",
    "{'words':['a'}",
    "\xef\xbb\xbf{'number':1}", /* a byte order mark (RFC 8259 §8.1 lets a parser refuse it) */
    "nothing",
    "'",
};

static void malformed_texts_are_syntax_faults(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < ARRAY_LEN(malformed); i++) {
        assert_int_equal(read_json(f, malformed[i]), MIRAI_E_INVALID);
        assert_int_equal(f->faults.count, 1);
        if (malformed[i][0] != '\xef') {
            assert_faults(&f->faults, " syntax");
        }
    }
}

static void surrogates_must_come_in_pairs(void **state)
{
    struct fixture *f = *state;
    static const char *const lone[] = {
        "{'number':1,'text':'a\\ud83d'}",
        "{'number':1,'text':'\\ude00a'}",
        "{'number':1,'text':'\\ud83d\\ud83d'}",
        "{'number':1,'text':'\\ud83dx'}",
        "{'number':1,'\\udfff':1}",
        "{'number':1,'text':'\\ud83d\\u0041'}",
    };
    for (size_t i = 0; i < ARRAY_LEN(lone); i++) {
        assert_int_equal(read_json(f, lone[i]), MIRAI_E_INVALID);
        assert_int_equal(f->faults.count, 1);
    }
}

static void invalid_utf8_is_told_as_such(void **state)
{
    struct fixture *f = *state;
    static const char *const bad[] = {
        "{'number':1,'text':'a\xff'}",         "{'number':1,'text':'\xc0\xaf'}",
        "{'number':1,'text':'\xed\xa0\x80 '}", "{'number':1,'text':'\xf4\x90\x80\x80 '}",
        "{'number':1,'text':'\xe3\x81'}",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_int_equal(read_json(f, bad[i]), MIRAI_E_INVALID);
        assert_faults(&f->faults, "/text utf8");
    }
}

static const struct {
    const char *json;
    const char *fault;
} unprocessable[] = {
    {"{'number':1,'number':1}", "/number duplicate"},
    {"{'number':1,'text':'ab','te\\u0078t':'ab'}", "/text duplicate"},
    {"{'number':1,'object':{'id':1,'id':2}}", "/object/id duplicate"},
    {"{'number':1,'inners':[{'id':1},{'id':1,'id':2}]}", "/inners/1/id duplicate"},
    {"{'number':1,'raw':{'a':[0,{'b':1,'b':1}]}}", "/raw/a/1/b duplicate"},
    {"{'number':1,'text':'a\\u0000b'}", "/text nul"},
    {"{'number':1,'words':['a','\\u0000']}", "/words/1 nul"},
    {"{'number':99999999999999999999}", "/number too-large"},
    {"{'number':9223372036854775808}", "/number too-large"},
    {"{'number':1,'numbers':[1,-9223372036854775809]}", "/numbers/1 too-large"},
    {"{'number':1,'ratio':1e999}", "/ratio too-large"},
    {"{'number':9223372036854775807}", "/number too-large"},
    {"{'number':1.5}", "/number type"},
    {"{'number':1e2}", "/number type"},
    {"{'number':1,'color':null}", "/color type"},
    {"{'number':1,'unheard':[]}", "/unheard unknown-field"},
    {"{'number':1,'binary':'AP8'}", "/binary format"},
    {"{'number':1,'binary':'AP9='}", "/binary format"},
    {"{'number':1,'binary':'A P8='}", "/binary format"},
    {"{'number':1,'binary':'A_8='}", "/binary format"},
    {"{'number':1,'binary':''}", "/binary too-short"},
    {"{'number':1,'binary':'AAAAAAA='}", "/binary too-long"},
    {"{'number':1,'binary':7}", "/binary type"},
    {"[]", " type"},
    {"null", " type"},
    {"'number'", " type"},
    {"1", " type"},
};

static void well_formed_but_refused(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < ARRAY_LEN(unprocessable); i++) {
        assert_int_equal(read_json(f, unprocessable[i].json), MIRAI_E_UNPROCESSABLE);
        assert_faults(&f->faults, unprocessable[i].fault);
    }
}

static void a_nul_in_a_name_is_refused(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(read_json(f, "{'number':1,'a\\u0000b':1}"), MIRAI_E_UNPROCESSABLE);
    assert_int_equal(f->faults.count, 1);
    assert_string_equal(f->faults.list[0].problem, "nul");
}

static void a_nul_byte_is_no_json(void **state)
{
    struct fixture *f = *state;
    static const struct mirai_str texts[] = {BYTES("{\"number\":1\0}"),
                                             BYTES("{\"number\":1}\0"),
                                             BYTES("\0{\"number\":1}"),
                                             BYTES("{\"number\":1\0 2}"),
                                             BYTES("{\"number\":1,\"flag\":true\0}"),
                                             BYTES("{\"number\":1,\"text\":\"a\0b\"}")};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        f->faults.count = 0;
        assert_int_equal(mirai_message_from_json(&sample_message, texts[i], NULL, &f->buf, &f->faults),
                         MIRAI_E_INVALID);
        assert_faults(&f->faults, " syntax");
        assert_int_equal(mirai_json_to_mp(texts[i], &f->buf), MIRAI_E_INVALID);
    }
}

/* {"raw":[[…]]} with `depth` containers in all. */
static void nested(struct mirai_buf *text, int depth)
{
    text->len = 0;
    mirai_buf_append_str(text, MIRAI_STR("{\"number\":1,\"raw\":"));
    for (int i = 1; i < depth; i++) {
        mirai_buf_append_char(text, '[');
    }
    for (int i = 1; i < depth; i++) {
        mirai_buf_append_char(text, ']');
    }
    mirai_buf_append_char(text, '}');
}

static void nesting_is_bounded(void **state)
{
    struct fixture *f = *state;
    struct mirai_buf text = {0};
    nested(&text, 16);
    assert_int_equal(
        mirai_message_from_json(&sample_message, mirai_buf_str(&text), NULL, &f->buf, &f->faults), 0);
    nested(&text, 17);
    assert_int_equal(
        mirai_message_from_json(&sample_message, mirai_buf_str(&text), NULL, &f->buf, &f->faults),
        MIRAI_E_INVALID);
    assert_faults(&f->faults, " too-deep");
    text.len = 0;
    for (int i = 0; i < 1000000; i++) { /* what a recursive parser would not survive */
        mirai_buf_append_str(&text, i % 2 == 0 ? MIRAI_STR("[") : MIRAI_STR("{\"a\":"));
    }
    assert_int_equal(mirai_message_from_json(&sample_message, mirai_buf_str(&text), NULL, &f->buf, NULL),
                     MIRAI_E_INVALID);
    assert_int_equal(mirai_json_to_mp(mirai_buf_str(&text), &f->buf), MIRAI_E_INVALID);
    mirai_buf_free(&text);
    assert_int_equal(read_json(f, "{'number':1,'text':'[[[[['}"), 0); /* brackets in texts do not nest */
}

static void parameters_are_merged_in(void **state)
{
    struct fixture *f = *state;
    struct sample extra = {
        .present = 1 << SAMPLE_NUMBER | 1 << SAMPLE_TEXT, .number = 7, .text = MIRAI_STR("ab")};
    struct mirai_str json = MIRAI_STR("{\"flag\":true}");
    assert_int_equal(mirai_message_from_json(&sample_message, json, &extra, &f->buf, &f->faults), 0);
    assert_int_equal(mirai_message_decode(&sample_message, mirai_buf_str(&f->buf), MIRAI_EDGE, &f->arena,
                                          &f->sample, NULL),
                     0);
    assert_int_equal(f->sample.present, extra.present | 1 << SAMPLE_FLAG);
    assert_int_equal(f->sample.number, 7);
    assert_str(f->sample.text, "ab");

    f->buf.len = 0;
    json = MIRAI_STR("{\"number\":7,\"text\":8}"); /* in both, although the values agree */
    assert_int_equal(mirai_message_from_json(&sample_message, json, &extra, &f->buf, &f->faults),
                     MIRAI_E_UNPROCESSABLE);
    assert_int_equal(f->buf.len, 0);
    assert_faults(&f->faults, "/number duplicate\n/text duplicate\n/text type");
}

static void faults_need_not_be_asked_for(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < ARRAY_LEN(unprocessable); i++) {
        struct mirai_buf text = {0};
        mirai_buf_append_str(&text, mirai_str(unprocessable[i].json));
        for (size_t at = 0; at < text.len; at++) {
            text.data[at] = text.data[at] == '\'' ? '"' : text.data[at];
        }
        assert_int_equal(mirai_message_from_json(&sample_message, mirai_buf_str(&text), NULL, &f->buf, NULL),
                         MIRAI_E_UNPROCESSABLE);
        mirai_buf_free(&text);
    }
}

static void without_a_schema_everything_is_taken(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *json;
        struct mirai_str mp;
    } cases[] = {
        {"null", BYTES("\xc0")},
        {" true ", BYTES("\xc3")},
        {"-1", BYTES("\xff")},
        {"0.5", BYTES("\xcb\x3f\xe0\0\0\0\0\0\0")},
        {"\"AP8=\"", BYTES("\xa4"
                           "AP8=")},
        {"[]", BYTES("\x90")},
        {"{\"a\":{}}", BYTES("\x81\xa1"
                             "a\x80")},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        f->buf.len = 0;
        assert_int_equal(mirai_json_to_mp(mirai_str(cases[i].json), &f->buf), 0);
        assert_int_equal(f->buf.len, cases[i].mp.len);
        assert_memory_equal(f->buf.data, cases[i].mp.data, cases[i].mp.len);
    }
    f->buf.len = 0;
    assert_int_equal(mirai_json_to_mp(MIRAI_STR("{\"a\":1,\"a\":2}"), &f->buf), MIRAI_E_INVALID);
    assert_int_equal(mirai_json_to_mp((struct mirai_str){NULL, 0}, &f->buf), MIRAI_E_INVALID);
    assert_int_equal(f->buf.len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        test_with_fixture(a_text_becomes_the_message),
        test_with_fixture(malformed_texts_are_syntax_faults),
        test_with_fixture(surrogates_must_come_in_pairs),
        test_with_fixture(invalid_utf8_is_told_as_such),
        test_with_fixture(well_formed_but_refused),
        test_with_fixture(a_nul_in_a_name_is_refused),
        test_with_fixture(a_nul_byte_is_no_json),
        test_with_fixture(nesting_is_bounded),
        test_with_fixture(parameters_are_merged_in),
        test_with_fixture(faults_need_not_be_asked_for),
        test_with_fixture(without_a_schema_everything_is_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
