#include "tests/unit/proto/fixture.h"

#include <math.h>

static int decode(struct fixture *f, struct mirai_str bytes, enum mirai_strictness strictness)
{
    struct mirai_str exact = test_exact_copy(bytes.data, bytes.len);
    struct mirai_str kept = mirai_arena_copy(&f->arena, exact);
    f->faults.count = 0;
    int err = mirai_message_decode(&sample_message, exact, strictness, &f->arena, &f->sample, &f->faults);
    free((void *)exact.data); /* a read past the end has been seen; now again with bytes that stay */
    f->faults.count = 0;
    assert_int_equal(
        mirai_message_decode(&sample_message, kept, strictness, &f->arena, &f->sample, &f->faults), err);
    return err;
}

static int decode_json(struct fixture *f, const char *json)
{
    return decode(f, packed(f, json), MIRAI_EDGE);
}

/* A map {number: 1, <name>: …} of which the caller writes the value. */
static struct mirai_buf *with_member(struct fixture *f, const char *name)
{
    f->buf.len = 0;
    mirai_mp_write_map(&f->buf, 2);
    mirai_mp_write_cstr(&f->buf, "number");
    mirai_mp_write_int(&f->buf, 1);
    mirai_mp_write_cstr(&f->buf, name);
    return &f->buf;
}

static void every_kind_is_read(void **state)
{
    struct fixture *f = *state;
    f->buf.len = 0;
    mirai_mp_write_map(&f->buf, 13);
    mirai_mp_write_cstr(&f->buf, "flag");
    mirai_mp_write_bool(&f->buf, true);
    mirai_mp_write_cstr(&f->buf, "number");
    mirai_mp_write_int(&f->buf, 1000);
    mirai_mp_write_cstr(&f->buf, "ratio");
    mirai_mp_write_double(&f->buf, -0.25);
    mirai_mp_write_cstr(&f->buf, "text");
    mirai_mp_write_cstr(&f->buf, "障害対応票");
    mirai_mp_write_cstr(&f->buf, "binary");
    mirai_mp_write_bin(&f->buf, BYTES("\0\xff"));
    mirai_mp_write_cstr(&f->buf, "color");
    mirai_mp_write_cstr(&f->buf, "in_review");
    mirai_mp_write_cstr(&f->buf, "time");
    mirai_mp_write_cstr(&f->buf, "1970-01-01T09:00:01.500+09:00");
    mirai_mp_write_cstr(&f->buf, "day");
    mirai_mp_write_cstr(&f->buf, "2028-02-29");
    mirai_mp_write_cstr(&f->buf, "object");
    mirai_mp_write_map(&f->buf, 1);
    mirai_mp_write_cstr(&f->buf, "id");
    mirai_mp_write_int(&f->buf, 7);
    mirai_mp_write_cstr(&f->buf, "words");
    mirai_mp_write_array(&f->buf, 2);
    mirai_mp_write_cstr(&f->buf, "a");
    mirai_mp_write_cstr(&f->buf, "bc");
    mirai_mp_write_cstr(&f->buf, "numbers");
    mirai_mp_write_array(&f->buf, 2);
    mirai_mp_write_int(&f->buf, INT64_MIN);
    mirai_mp_write_int(&f->buf, INT64_MAX);
    mirai_mp_write_cstr(&f->buf, "inners");
    mirai_mp_write_array(&f->buf, 2);
    for (int i = 0; i < 2; i++) {
        mirai_mp_write_map(&f->buf, 2);
        mirai_mp_write_cstr(&f->buf, "note");
        mirai_mp_write_cstr(&f->buf, i == 0 ? "x" : "y");
        mirai_mp_write_cstr(&f->buf, "id");
        mirai_mp_write_int(&f->buf, 10 + i);
    }
    mirai_mp_write_cstr(&f->buf, "raw");
    mirai_mp_write_array(&f->buf, 1);
    mirai_mp_write_nil(&f->buf);
    assert_int_equal(decode(f, mirai_buf_str(&f->buf), MIRAI_EDGE), 0);
    const struct sample *s = &f->sample;
    assert_true(s->present == (UINT64_C(1) << SAMPLE_CLEARABLE) - 1);
    assert_true(s->flag);
    assert_int_equal(s->number, 1000);
    assert_true(s->ratio == -0.25);
    assert_str(s->text, "障害対応票");
    assert_str(s->binary, "\0\xff");
    assert_int_equal(s->color, 2);
    assert_int_equal(s->time, 1500);
    assert_str(s->day, "2028-02-29");
    assert_int_equal(s->object.present, 1);
    assert_int_equal(s->object.id, 7);
    assert_int_equal(s->words.count, 2);
    assert_str(s->words.items[1], "bc");
    assert_int_equal(s->numbers.count, 2);
    assert_true(s->numbers.items[0] == INT64_MIN && s->numbers.items[1] == INT64_MAX);
    assert_int_equal(s->inners.count, 2);
    const struct inner *inners = s->inners.items;
    assert_int_equal(inners[1].present, 3);
    assert_int_equal(inners[1].id, 11);
    assert_str(inners[1].note, "y");
    assert_str(s->raw, "\x91\xc0");
}

static void what_is_absent_is_zero_and_not_present(void **state)
{
    struct fixture *f = *state;
    memset(&f->sample, 0xff, sizeof(f->sample));
    assert_int_equal(decode_json(f, "{'number':5}"), 0);
    struct sample expected = {.present = UINT64_C(1) << SAMPLE_NUMBER, .number = 5};
    assert_int_equal(f->sample.present, expected.present);
    assert_int_equal(f->sample.number, 5);
    assert_false(f->sample.flag);
    assert_int_equal(f->sample.text.len, 0);
    assert_int_equal(f->sample.inners.count, 0);
    assert_int_equal(f->sample.object.id, 0);
}

static void null_clears_only_what_may_be_cleared(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(decode_json(f, "{'number':5,'clearable':null,'clearable_id':null}"), 0);
    assert_true(sample_has(&f->sample, SAMPLE_CLEARABLE) && sample_has(&f->sample, SAMPLE_CLEARABLE_ID));
    assert_int_equal(f->sample.clearable.len, 0);
    assert_int_equal(f->sample.clearable_id, 0);
    assert_int_equal(
        decode_json(f, "{'number':null,'text':null,'words':null,'object':null,'clearable_id':0}"),
        MIRAI_E_UNPROCESSABLE);
    assert_faults(&f->faults, "/number type\n/text type\n/words type\n/object type\n/clearable_id too-small");
}

/* JSON of one message, and the one fault in it. */
static const struct {
    const char *json;
    const char *fault;
} faulty[] = {
    {"{}", "/number required"},
    {"{'number':'1'}", "/number type"},
    {"{'number':1.0}", "/number type"},
    {"{'number':true}", "/number type"},
    {"{'number':[1]}", "/number type"},
    {"{'number':{'a':1}}", "/number type"},
    {"{'number':0}", "/number too-small"},
    {"{'number':-9223372036854775808}", "/number too-small"},
    {"{'number':1001}", "/number too-large"},
    {"{'number':1,'flag':1}", "/flag type"},
    {"{'number':1,'flag':'true'}", "/flag type"},
    {"{'number':1,'ratio':'0.5'}", "/ratio type"},
    {"{'number':1,'text':7}", "/text type"},
    {"{'number':1,'text':'a'}", "/text too-short"},
    {"{'number':1,'text':'語'}", "/text too-short"},
    {"{'number':1,'text':'abcdef'}", "/text too-long"},
    {"{'number':1,'text':'障害対応報告'}", "/text too-long"},
    {"{'number':1,'binary':1}", "/binary type"},
    {"{'number':1,'color':1}", "/color type"},
    {"{'number':1,'color':'RED'}", "/color enum"},
    {"{'number':1,'color':'re'}", "/color enum"},
    {"{'number':1,'color':'redd'}", "/color enum"},
    {"{'number':1,'color':''}", "/color enum"},
    {"{'number':1,'time':0}", "/time type"},
    {"{'number':1,'time':'yesterday'}", "/time format"},
    {"{'number':1,'time':'2026-02-30T00:00:00Z'}", "/time format"},
    {"{'number':1,'time':'2026-02-20T24:00:00Z'}", "/time format"},
    {"{'number':1,'day':20260131}", "/day type"},
    {"{'number':1,'day':'2026-02-29'}", "/day format"},
    {"{'number':1,'day':'2026-2-1'}", "/day format"},
    {"{'number':1,'day':'2026-01-31T00:00:00Z'}", "/day format"},
    {"{'number':1,'object':[]}", "/object type"},
    {"{'number':1,'object':{}}", "/object/id required"},
    {"{'number':1,'object':{'id':0}}", "/object/id too-small"},
    {"{'number':1,'words':'a'}", "/words type"},
    {"{'number':1,'words':{'a':'b'}}", "/words type"},
    {"{'number':1,'words':['a','b','c','d']}", "/words too-many"},
    {"{'number':1,'words':['a','']}", "/words/1 too-short"},
    {"{'number':1,'words':['a',['b'],'c']}", "/words/1 type"},
    {"{'number':1,'numbers':[1,2,3,4]}", "/numbers too-many"},
    {"{'number':1,'numbers':[1,2,'3']}", "/numbers/2 type"},
    {"{'number':1,'inners':[{'id':1},{'id':2},{'id':3}]}", "/inners too-many"},
    {"{'number':1,'inners':[{'id':1},7]}", "/inners/1 type"},
    {"{'number':1,'inners':[{'id':1},{'note':'x'}]}", "/inners/1/id required"},
    {"{'number':1,'inners':[{'id':1,'note':'12345678901'}]}", "/inners/0/note too-long"},
    {"{'number':1,'inners':[{'id':1,'more':{'a':[1]}}]}", "/inners/0/more unknown-field"},
    {"{'number':1,'Text':'abc'}", "/Text unknown-field"},
    {"{'number':1,'textt':'abc'}", "/textt unknown-field"},
    {"{'number':1,'tex':'abc'}", "/tex unknown-field"},
    {"{'number':1,'':'abc'}", "/ unknown-field"},
    {"{'number':1,'a/b~c':'abc'}", "/a~1b~0c unknown-field"},
    {"{'number':1,'個数':1}", "/個数 unknown-field"},
};

static void every_fault_is_told_by_place_and_slug(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < ARRAY_LEN(faulty); i++) {
        assert_int_equal(decode_json(f, faulty[i].json), MIRAI_E_UNPROCESSABLE);
        assert_faults(&f->faults, faulty[i].fault);
    }
}

static void bounds_themselves_are_allowed(void **state)
{
    struct fixture *f = *state;
    static const char *const fine[] = {
        "{'number':1}",
        "{'number':1000}",
        "{'number':1,'text':'ab'}",
        "{'number':1,'text':'𠮷𠮷𠮷𠮷𠮷'}",
        "{'number':1,'ratio':3}",
        "{'number':1,'words':[]}",
        "{'number':1,'words':['a','b','c']}",
        "{'number':1,'inners':[{'id':1},{'id':9223372036854775807}]}",
        "{'number':1,'time':'2026-01-31'}",
    };
    for (size_t i = 0; i < ARRAY_LEN(fine); i++) {
        assert_int_equal(decode_json(f, fine[i]), 0);
    }
}

static void items_of_text_lists_are_bounded(void **state)
{
    struct fixture *f = *state;
    char word[3 * 201 + 1] = "";
    for (int i = 0; i < 201; i++) {
        memcpy(word + 3 * i, "語", 3);
    }
    mirai_mp_write_array(with_member(f, "words"), 1);
    size_t before = f->buf.len;
    mirai_mp_write_str(&f->buf, (struct mirai_str){word, 3 * 200});
    assert_int_equal(decode(f, mirai_buf_str(&f->buf), MIRAI_EDGE), 0);
    f->buf.len = before;
    mirai_mp_write_str(&f->buf, (struct mirai_str){word, 3 * 201});
    assert_int_equal(decode(f, mirai_buf_str(&f->buf), MIRAI_EDGE), MIRAI_E_UNPROCESSABLE);
    assert_faults(&f->faults, "/words/0 too-long");
}

static void bytes_that_no_text_may_hold(void **state)
{
    struct fixture *f = *state;
    static const struct {
        struct mirai_str bytes;
        const char *fault;
    } texts[] = {
        {BYTES("a\0b"), "/text nul"},
        {BYTES("a\xff"), "/text utf8"},
        {BYTES("\xc0\xaf"), "/text utf8"},                 /* overlong */
        {BYTES("\xed\xa0\x80\xed\xb0\x80"), "/text utf8"}, /* surrogates */
        {BYTES("ab\xe3\x81"), "/text utf8"},               /* cut off */
    };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        mirai_mp_write_str(with_member(f, "text"), texts[i].bytes);
        assert_int_equal(decode(f, mirai_buf_str(&f->buf), MIRAI_INNER), MIRAI_E_UNPROCESSABLE);
        assert_faults(&f->faults, texts[i].fault);
    }
    mirai_mp_write_bin(with_member(f, "text"), BYTES("abc"));
    assert_int_equal(decode(f, mirai_buf_str(&f->buf), MIRAI_EDGE), MIRAI_E_UNPROCESSABLE);
    assert_faults(&f->faults, "/text type");
}

static void binary_and_numbers_of_other_widths(void **state)
{
    struct fixture *f = *state;
    mirai_mp_write_bin(with_member(f, "binary"), BYTES(""));
    assert_int_equal(decode(f, mirai_buf_str(&f->buf), MIRAI_EDGE), MIRAI_E_UNPROCESSABLE);
    assert_faults(&f->faults, "/binary too-short");
    mirai_mp_write_bin(with_member(f, "binary"), BYTES("12345"));
    assert_int_equal(decode(f, mirai_buf_str(&f->buf), MIRAI_EDGE), MIRAI_E_UNPROCESSABLE);
    assert_faults(&f->faults, "/binary too-long");
    mirai_buf_append_str(with_member(f, "clearable_id"), BYTES("\xcf\xff\xff\xff\xff\xff\xff\xff\xff"));
    assert_int_equal(decode(f, mirai_buf_str(&f->buf), MIRAI_EDGE), MIRAI_E_UNPROCESSABLE);
    assert_faults(&f->faults, "/clearable_id too-large");
    mirai_buf_append_str(with_member(f, "clearable_id"), BYTES("\xcf\x7f\xff\xff\xff\xff\xff\xff\xff"));
    assert_int_equal(decode(f, mirai_buf_str(&f->buf), MIRAI_EDGE), 0);
    assert_true(f->sample.clearable_id == INT64_MAX);
    mirai_buf_append_str(with_member(f, "ratio"), BYTES("\xca\x3f\x00\x00\x00")); /* 32 bit */
    assert_int_equal(decode(f, mirai_buf_str(&f->buf), MIRAI_EDGE), 0);
    assert_true(f->sample.ratio == 0.5);
    mirai_mp_write_double(with_member(f, "ratio"), (double)NAN);
    assert_int_equal(decode(f, mirai_buf_str(&f->buf), MIRAI_EDGE), MIRAI_E_UNPROCESSABLE);
    assert_faults(&f->faults, "/ratio format");
}

static void a_member_given_twice_is_a_fault(void **state)
{
    struct fixture *f = *state;
    static const enum mirai_strictness both[] = {MIRAI_EDGE, MIRAI_INNER};
    for (size_t i = 0; i < ARRAY_LEN(both); i++) {
        mirai_mp_write_int(with_member(f, "number"), 2);
        assert_int_equal(decode(f, mirai_buf_str(&f->buf), both[i]), MIRAI_E_UNPROCESSABLE);
        assert_faults(&f->faults, "/number duplicate");
    }
}

static void unknown_fields_are_refused_at_the_edge_only(void **state)
{
    struct fixture *f = *state;
    struct mirai_str bytes = packed(f, "{'new':[{'x':1},2],'number':3,'object':{'id':1,'new':{}},'z':null}");
    assert_int_equal(decode(f, bytes, MIRAI_INNER), 0);
    assert_int_equal(f->faults.count, 0);
    assert_int_equal(f->sample.number, 3);
    assert_int_equal(f->sample.present, 1 << SAMPLE_NUMBER | 1 << SAMPLE_OBJECT);
    assert_int_equal(decode(f, bytes, MIRAI_EDGE), MIRAI_E_UNPROCESSABLE);
    assert_faults(&f->faults, "/new unknown-field\n/object/new unknown-field\n/z unknown-field");
}

static void a_newer_peer_is_understood(void **state)
{
    struct fixture *f = *state;
    struct mirai_field newer_fields[SAMPLE_COUNT + 1];
    struct {
        struct sample known;
        struct mirai_ints added;
    } newer = {.known.number = 9};
    int64_t ids[] = {1, 2, 3};
    memcpy(newer_fields, sample_fields, sizeof(sample_fields));
    newer_fields[SAMPLE_COUNT] = (struct mirai_field){
        .name = "added", .kind = MIRAI_FIELD_INTS, .offset = sizeof(struct sample), .max = 10};
    const struct mirai_message newer_message = {
        .name = "sample", .size = sizeof(newer), .count = SAMPLE_COUNT + 1, .fields = newer_fields};
    newer.added = (struct mirai_ints){ids, 3};
    newer.known.present = 1 << SAMPLE_NUMBER | 1 << SAMPLE_COUNT;
    mirai_message_encode(&newer_message, &newer, &f->buf);
    assert_int_equal(decode(f, mirai_buf_str(&f->buf), MIRAI_INNER), 0);
    assert_int_equal(f->sample.present, 1 << SAMPLE_NUMBER);
    assert_int_equal(f->sample.number, 9);

    f->buf.len = 0; /* and what the older one sends, the newer one takes without the new field */
    mirai_message_encode(&sample_message, &f->sample, &f->buf);
    assert_int_equal(
        mirai_message_decode(&newer_message, mirai_buf_str(&f->buf), MIRAI_INNER, &f->arena, &newer, NULL),
        0);
    assert_int_equal(newer.known.present, 1 << SAMPLE_NUMBER);
    assert_int_equal(newer.added.count, 0);
}

static void all_faults_are_told_up_to_sixteen(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(decode_json(f, "{'flag':0,'text':'a','inners':[{},{'id':'x'}]}"), MIRAI_E_UNPROCESSABLE);
    assert_faults(&f->faults, "/flag type\n/text too-short\n/inners/0/id required\n/inners/1/id type\n"
                              "/number required");
    f->buf.len = 0;
    mirai_mp_write_map(&f->buf, 20);
    for (int i = 0; i < 20; i++) {
        char name[8];
        snprintf(name, sizeof(name), "x%d", i);
        mirai_mp_write_cstr(&f->buf, name);
        mirai_mp_write_nil(&f->buf);
    }
    assert_int_equal(decode(f, mirai_buf_str(&f->buf), MIRAI_EDGE), MIRAI_E_UNPROCESSABLE);
    assert_int_equal(f->faults.count, 16);
    assert_string_equal(f->faults.list[15].path, "/x15");
    assert_int_equal(mirai_message_decode(&sample_message, mirai_buf_str(&f->buf), MIRAI_EDGE, &f->arena,
                                          &f->sample, NULL),
                     MIRAI_E_UNPROCESSABLE);
}

static void hostile_names_stay_valid_pointers(void **state)
{
    struct fixture *f = *state;
    char name[3 * 400];
    for (size_t i = 0; i < sizeof(name); i += 3) {
        memcpy(name + i, i % 2 == 0 ? "/~/" : "語", 3);
    }
    f->buf.len = 0;
    mirai_mp_write_map(&f->buf, 3);
    mirai_mp_write_str(&f->buf, (struct mirai_str){name, sizeof(name)});
    mirai_mp_write_nil(&f->buf);
    mirai_mp_write_str(&f->buf, BYTES("a\xff\nb"));
    mirai_mp_write_nil(&f->buf);
    mirai_mp_write_cstr(&f->buf, "number");
    mirai_mp_write_int(&f->buf, 1);
    assert_int_equal(decode(f, mirai_buf_str(&f->buf), MIRAI_EDGE), MIRAI_E_UNPROCESSABLE);
    assert_int_equal(f->faults.count, 2);
    for (size_t i = 0; i < 2; i++) {
        const char *path = f->faults.list[i].path;
        assert_true(path[0] == '/' && strlen(path) < sizeof(f->faults.list[i].path));
        assert_true(mirai_utf8_valid(mirai_str(path)));
        assert_null(strpbrk(path + 1, "/\n"));
        for (const char *tilde = strchr(path, '~'); tilde != NULL; tilde = strchr(tilde + 1, '~')) {
            assert_true(tilde[1] == '0' || tilde[1] == '1');
        }
    }
}

static void a_name_with_nul_is_another_name(void **state)
{
    struct fixture *f = *state;
    static const struct mirai_str names[] = {BYTES("text\0"), BYTES("text\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"),
                                             BYTES("\0text"), BYTES("te\0t")};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        f->buf.len = 0;
        mirai_mp_write_map(&f->buf, 2);
        mirai_mp_write_cstr(&f->buf, "number");
        mirai_mp_write_int(&f->buf, 1);
        mirai_mp_write_str(&f->buf, names[i]);
        mirai_mp_write_cstr(&f->buf, "abc");
        assert_int_equal(decode(f, mirai_buf_str(&f->buf), MIRAI_EDGE), MIRAI_E_UNPROCESSABLE);
        assert_int_equal(f->faults.count, 1);
        assert_string_equal(f->faults.list[0].problem, "unknown-field");
    }
}

static void bytes_that_are_no_map_are_invalid(void **state)
{
    struct fixture *f = *state;
    static const struct mirai_str bad[] = {
        BYTES("\x01"),
        BYTES("\xa1x"),
        BYTES("\x90"),
        BYTES("\xc1"),
        BYTES("\x81"),
        BYTES("\x81\xa6number"),
        BYTES("\x81\x01\x02"),           /* a key that is no text */
        BYTES("\x81\xc4\x06number\x01"), /* nor is BIN */
        BYTES("\x81\xa6number\x01\xc0"), /* something follows */
        BYTES("\xdf\xff\xff\xff\xff\xa6number\x01"),
        BYTES("\x82\xa6number\x01\xa5words\xdd\xff\xff\xff\xff"),
        BYTES("\x82\xa6number\x01\xa3raw\xc1"),
        BYTES("\x82\xa6number\x01\xa3new\x91"),
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_int_equal(decode(f, bad[i], MIRAI_INNER), MIRAI_E_INVALID);
    }
}

static void nothing_is_a_message_without_members(void **state)
{
    struct fixture *f = *state;
    static const struct mirai_str nothing[] = {{NULL, 0}, BYTES("\xc0"), BYTES("\x80")};
    static const struct mirai_message optional = {
        .name = "optional", .size = sizeof(struct inner), .count = 1, .fields = &inner_fields[1]};
    for (size_t i = 0; i < ARRAY_LEN(nothing); i++) {
        struct inner inner;
        assert_int_equal(decode(f, nothing[i], MIRAI_EDGE), MIRAI_E_UNPROCESSABLE);
        assert_faults(&f->faults, "/number required");
        assert_int_equal(mirai_message_decode(&optional, nothing[i], MIRAI_EDGE, &f->arena, &inner, NULL), 0);
        assert_int_equal(inner.present, 0);
    }
}

static void nesting_is_bounded(void **state)
{
    struct fixture *f = *state;
    char deep[100];
    memset(deep, '\x91', sizeof(deep));
    deep[sizeof(deep) - 1] = '\xc0';
    static const char *const members[] = {"raw", "text", "words", "unheard_of"};
    for (size_t i = 0; i < ARRAY_LEN(members); i++) {
        mirai_buf_append(with_member(f, members[i]), deep, sizeof(deep));
        assert_int_equal(decode(f, mirai_buf_str(&f->buf), MIRAI_INNER), MIRAI_E_INVALID);
    }
}

static void every_truncation_is_invalid(void **state)
{
    struct fixture *f = *state;
    struct mirai_str whole =
        packed(f, "{'number':1,'text':'abc','words':['x'],'inners':[{'id':1}],'raw':{'a':[1]},'z':1.5}");
    assert_int_equal(decode(f, whole, MIRAI_INNER), 0);
    for (size_t len = 1; len < whole.len; len++) {
        assert_int_equal(decode(f, (struct mirai_str){whole.data, len}, MIRAI_INNER), MIRAI_E_INVALID);
    }
}

static void faults_travel_as_pairs_of_path_and_problem(void **state)
{
    struct fixture *f = *state;
    struct mirai_buf json = {0};
    assert_int_equal(decode_json(f, "{'words':['']}"), MIRAI_E_UNPROCESSABLE);
    f->buf.len = 0;
    mirai_faults_encode(&f->faults, &f->buf);
    assert_int_equal(mirai_mp_to_json(mirai_buf_str(&f->buf), &json), 0);
    assert_str(mirai_buf_str(&json), "[{\"path\":\"/words/0\",\"problem\":\"too-short\"},"
                                     "{\"path\":\"/number\",\"problem\":\"required\"}]");
    mirai_buf_free(&json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        test_with_fixture(every_kind_is_read),
        test_with_fixture(what_is_absent_is_zero_and_not_present),
        test_with_fixture(null_clears_only_what_may_be_cleared),
        test_with_fixture(every_fault_is_told_by_place_and_slug),
        test_with_fixture(bounds_themselves_are_allowed),
        test_with_fixture(items_of_text_lists_are_bounded),
        test_with_fixture(bytes_that_no_text_may_hold),
        test_with_fixture(binary_and_numbers_of_other_widths),
        test_with_fixture(a_member_given_twice_is_a_fault),
        test_with_fixture(unknown_fields_are_refused_at_the_edge_only),
        test_with_fixture(a_newer_peer_is_understood),
        test_with_fixture(all_faults_are_told_up_to_sixteen),
        test_with_fixture(hostile_names_stay_valid_pointers),
        test_with_fixture(a_name_with_nul_is_another_name),
        test_with_fixture(bytes_that_are_no_map_are_invalid),
        test_with_fixture(nothing_is_a_message_without_members),
        test_with_fixture(nesting_is_bounded),
        test_with_fixture(every_truncation_is_invalid),
        test_with_fixture(faults_travel_as_pairs_of_path_and_problem),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
