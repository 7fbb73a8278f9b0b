/* Every declared message, filled with generated content, there and back. */
#include "proto/methods.h"
#include "tests/unit/libcommon/test.h"

/* ------------------------------------------------------------------ generated content */

struct generator {
    uint64_t random;
    struct mirai_arena arena;
    bool all; /* every optional field too */
};

static uint64_t below(struct generator *g, uint64_t n)
{
    return test_random(&g->random) % n;
}

/* Code points min..max (no more than 30 above min), of one to four bytes. */
static struct mirai_str text_value(struct generator *g, int64_t min, int64_t max)
{
    static const char *const points[] = {"a", "é", "語", "😀", "\"", "\\", "\n"};
    struct mirai_buf buf = {0};
    uint64_t room = (uint64_t)(max - min) < 30 ? (uint64_t)(max - min) : 30;
    for (uint64_t n = (uint64_t)min + below(g, room + 1); n > 0; n--) {
        mirai_buf_append_str(&buf, mirai_str(points[below(g, ARRAY_LEN(points))]));
    }
    struct mirai_str text = mirai_arena_copy(&g->arena, mirai_buf_str(&buf));
    mirai_buf_free(&buf);
    return text;
}

static struct mirai_str binary_value(struct generator *g, int64_t min, int64_t max)
{
    size_t len = (size_t)min + (size_t)below(g, (uint64_t)(max - min < 30 ? max - min : 30) + 1);
    char *bytes = mirai_arena_alloc(&g->arena, len);
    for (size_t i = 0; i < len; i++) {
        bytes[i] = (char)below(g, 256);
    }
    return (struct mirai_str){bytes, len};
}

static int64_t int_value(struct generator *g, int64_t min, int64_t max)
{
    switch (below(g, 3)) {
    case 0:
        return min;
    case 1:
        return max;
    default:
        return (int64_t)((uint64_t)min + below(g, (uint64_t)max - (uint64_t)min));
    }
}

static int enum_value(struct generator *g, const struct mirai_enum *enumeration)
{
    uint64_t count = 0;
    while (enumeration->values[count] != NULL) {
        count++;
    }
    return (int)below(g, count);
}

static void fill(struct generator *g, const struct mirai_message *message, void *out);

static size_t list_length(struct generator *g, const struct mirai_field *field)
{
    return (size_t)below(g, (uint64_t)(field->max < 4 ? field->max : 4) + 1);
}

static void fill_list(struct generator *g, const struct mirai_field *field, void *member)
{
    size_t count = list_length(g, field);
    if (field->kind == MIRAI_FIELD_STRS) {
        struct mirai_strs *strs = member;
        *strs = (struct mirai_strs){mirai_arena_alloc(&g->arena, count * sizeof(*strs->items)), count};
        for (size_t i = 0; i < count; i++) {
            strs->items[i] = text_value(
                g, 1, (field->flags & MIRAI_LONG_ITEMS) != 0 ? MIRAI_LONG_ITEM_MAX : MIRAI_ITEM_MAX);
        }
    } else if (field->kind == MIRAI_FIELD_INTS) {
        struct mirai_ints *ints = member;
        *ints = (struct mirai_ints){mirai_arena_alloc(&g->arena, count * sizeof(*ints->items)), count};
        for (size_t i = 0; i < count; i++) {
            ints->items[i] = int_value(g, INT64_MIN, INT64_MAX);
        }
    } else {
        struct mirai_objects *objects = member;
        char *items = mirai_arena_alloc(&g->arena, count * field->message->size);
        *objects = (struct mirai_objects){items, count};
        for (size_t i = 0; i < count; i++) {
            fill(g, field->message, items + i * field->message->size);
        }
    }
}

static void fill_field(struct generator *g, const struct mirai_field *field, void *member)
{
    switch (field->kind) {
    case MIRAI_FIELD_BOOL:
        *(bool *)member = below(g, 2) != 0;
        break;
    case MIRAI_FIELD_INT:
        *(int64_t *)member = int_value(g, field->min, field->max);
        break;
    case MIRAI_FIELD_DOUBLE:
        *(double *)member = (double)int_value(g, INT64_MIN, INT64_MAX) / 1024;
        break;
    case MIRAI_FIELD_STR:
        *(struct mirai_str *)member = text_value(g, field->min, field->max);
        break;
    case MIRAI_FIELD_BIN:
        *(struct mirai_str *)member = binary_value(g, field->min, field->max);
        break;
    case MIRAI_FIELD_ENUM:
        *(int *)member = enum_value(g, field->enumeration);
        break;
    case MIRAI_FIELD_TIME:
        *(int64_t *)member = int_value(g, INT64_C(-62167219200000), INT64_C(253402300799999));
        break;
    case MIRAI_FIELD_DATE:
        *(struct mirai_str *)member = MIRAI_STR("2028-02-29");
        break;
    case MIRAI_FIELD_RAW:
        *(struct mirai_str *)member = MIRAI_STR("\x92\xc0\x81\xa1x\x01");
        break;
    case MIRAI_FIELD_OBJECT:
        fill(g, field->message, member);
        break;
    case MIRAI_FIELD_STRS:
    case MIRAI_FIELD_INTS:
    case MIRAI_FIELD_OBJECTS:
        fill_list(g, field, member);
        break;
    }
}

static void fill(struct generator *g, const struct mirai_message *message, void *out)
{
    struct mirai_message_head *head = out;
    memset(out, 0, message->size);
    for (size_t i = 0; i < message->count; i++) {
        const struct mirai_field *field = &message->fields[i];
        if (g->all || (field->flags & MIRAI_REQUIRED) != 0 || below(g, 2) == 0) {
            head->present |= UINT64_C(1) << i;
            fill_field(g, field, (char *)out + field->offset);
        }
    }
}

/* ------------------------------------------------------------------ comparison */

static void assert_same(const struct mirai_message *message, const void *a, const void *b);

static void assert_same_field(const struct mirai_field *field, const char *a, const char *b)
{
    switch (field->kind) {
    case MIRAI_FIELD_BOOL:
        assert_memory_equal(a, b, sizeof(bool));
        break;
    case MIRAI_FIELD_INT:
    case MIRAI_FIELD_TIME:
        assert_memory_equal(a, b, sizeof(int64_t));
        break;
    case MIRAI_FIELD_DOUBLE:
        assert_memory_equal(a, b, sizeof(double));
        break;
    case MIRAI_FIELD_ENUM:
        assert_memory_equal(a, b, sizeof(int));
        break;
    case MIRAI_FIELD_STR:
    case MIRAI_FIELD_BIN:
    case MIRAI_FIELD_DATE:
    case MIRAI_FIELD_RAW:
        assert_true(mirai_str_eq(*(const struct mirai_str *)a, *(const struct mirai_str *)b));
        break;
    case MIRAI_FIELD_OBJECT:
        assert_same(field->message, a, b);
        break;
    case MIRAI_FIELD_STRS: {
        const struct mirai_strs *x = (const struct mirai_strs *)a, *y = (const struct mirai_strs *)b;
        assert_int_equal(x->count, y->count);
        for (size_t i = 0; i < x->count; i++) {
            assert_true(mirai_str_eq(x->items[i], y->items[i]));
        }
        break;
    }
    case MIRAI_FIELD_INTS: {
        const struct mirai_ints *x = (const struct mirai_ints *)a, *y = (const struct mirai_ints *)b;
        assert_int_equal(x->count, y->count);
        for (size_t i = 0; i < x->count; i++) {
            assert_true(x->items[i] == y->items[i]);
        }
        break;
    }
    case MIRAI_FIELD_OBJECTS: {
        const struct mirai_objects *x = (const struct mirai_objects *)a, *y = (const struct mirai_objects *)b;
        assert_int_equal(x->count, y->count);
        for (size_t i = 0; i < x->count; i++) {
            assert_same(field->message, (const char *)x->items + i * field->message->size,
                        (const char *)y->items + i * field->message->size);
        }
        break;
    }
    }
}

static void assert_same(const struct mirai_message *message, const void *a, const void *b)
{
    uint64_t present = ((const struct mirai_message_head *)a)->present;
    assert_true(present == ((const struct mirai_message_head *)b)->present);
    for (size_t i = 0; i < message->count; i++) {
        if ((present >> i & 1) != 0) {
            const struct mirai_field *field = &message->fields[i];
            assert_same_field(field, (const char *)a + field->offset, (const char *)b + field->offset);
        }
    }
}

/* ------------------------------------------------------------------ tests */

/* Take out what only daemons may set, also of messages inside. Whether there was any. */
static bool drop_internal(const struct mirai_message *message, void *in)
{
    struct mirai_message_head *head = in;
    bool dropped = false;
    for (size_t i = 0; i < message->count; i++) {
        const struct mirai_field *field = &message->fields[i];
        void *member = (char *)in + field->offset;
        struct mirai_objects *list = member;
        if ((head->present >> i & 1) == 0) {
            continue;
        }
        if ((field->flags & MIRAI_INTERNAL) != 0) {
            head->present &= ~(UINT64_C(1) << i);
            dropped = true;
        } else if (field->kind == MIRAI_FIELD_OBJECT) {
            dropped |= drop_internal(field->message, member);
        } else if (field->kind == MIRAI_FIELD_OBJECTS) {
            for (size_t k = 0; k < list->count; k++) {
                dropped |= drop_internal(field->message, (char *)list->items + k * field->message->size);
            }
        }
    }
    return dropped;
}

/* As bytes between daemons, and as JSON through the gateway: both ways the content is the same, but for what
 * only daemons may set. */
static void round_trip(struct generator *g, const struct mirai_message *message)
{
    struct mirai_buf mp = {0}, json = {0}, from_json = {0};
    struct mirai_faults faults = {.count = 0};
    void *in = mirai_arena_alloc(&g->arena, message->size);
    void *out = mirai_arena_alloc(&g->arena, message->size);
    fill(g, message, in);
    mirai_message_encode(message, in, &mp);
    assert_int_equal(mirai_message_decode(message, mirai_buf_str(&mp), MIRAI_INNER, &g->arena, out, &faults),
                     0);
    assert_same(message, in, out);
    if (drop_internal(message, in)) {
        assert_int_equal(
            mirai_message_decode(message, mirai_buf_str(&mp), MIRAI_EDGE, &g->arena, out, &faults),
            MIRAI_E_UNPROCESSABLE);
        assert_string_equal(faults.list[0].problem, "unknown-field");
        faults.count = 0;
        mp.len = 0;
        mirai_message_encode(message, in, &mp);
    }
    int err = mirai_message_decode(message, mirai_buf_str(&mp), MIRAI_EDGE, &g->arena, out, &faults);
    if (err != 0) {
        fail_msg("%s: %s %s", message->name, faults.list[0].path, faults.list[0].problem);
    }
    assert_same(message, in, out);
    assert_int_equal(mirai_mp_to_json(mirai_buf_str(&mp), &json), 0);
    err = mirai_message_from_json(message, mirai_buf_str(&json), NULL, &from_json, &faults);
    if (err != 0) {
        fail_msg("%s as JSON: %s %s", message->name, faults.list[0].path, faults.list[0].problem);
    }
    assert_int_equal(
        mirai_message_decode(message, mirai_buf_str(&from_json), MIRAI_EDGE, &g->arena, out, &faults), 0);
    assert_same(message, in, out);
    mirai_buf_free(&mp);
    mirai_buf_free(&json);
    mirai_buf_free(&from_json);
}

static void every_message_comes_back(void **state)
{
    (void)state;
    struct generator g = {.random = 31};
    for (int round = 0; round < 40; round++) {
        g.all = round % 4 == 0;
        for (size_t i = 0; mirai_messages[i] != NULL; i++) {
            round_trip(&g, mirai_messages[i]);
        }
        mirai_arena_free(&g.arena);
    }
}

static void every_message_of_every_method_is_in_the_list(void **state)
{
    (void)state;
    for (size_t m = 0; m < MIRAI_METHOD_ID_COUNT; m++) {
        bool params = false, result = false;
        for (size_t i = 0; mirai_messages[i] != NULL; i++) {
            params = params || mirai_messages[i] == mirai_methods[m].params;
            result = result || mirai_messages[i] == mirai_methods[m].result;
        }
        assert_true(params && result);
    }
}

/* What the declarations promise and no compiler checks. */
static void declarations_are_sound(void **state)
{
    (void)state;
    for (size_t m = 0; mirai_messages[m] != NULL; m++) {
        const struct mirai_message *message = mirai_messages[m];
        assert_in_range(message->count, 0, 64);
        assert_true(message->name[0] != '\0' && message->doc[0] != '\0');
        for (size_t i = 0; i < message->count; i++) {
            const struct mirai_field *field = &message->fields[i];
            bool object = field->kind == MIRAI_FIELD_OBJECT || field->kind == MIRAI_FIELD_OBJECTS;
            assert_true(field->min <= field->max);
            assert_true(field->doc[0] != '\0');
            assert_true(object == (field->message != NULL));
            assert_true((field->kind == MIRAI_FIELD_ENUM) == (field->enumeration != NULL));
            assert_false((field->flags & MIRAI_REQUIRED) != 0 && (field->flags & MIRAI_NULLABLE) != 0);
            for (size_t k = 0; k < i; k++) {
                assert_string_not_equal(field->name, message->fields[k].name);
            }
        }
    }
}

static void only_present_fields_are_written(void **state)
{
    (void)state;
    struct mirai_buf buf = {0}, json = {0};
    struct mirai_tag_patch patch = {.id = 7, .name = MIRAI_STR("unset")};
    mirai_mark(tag_patch, &patch, id);
    assert_true(mirai_has(tag_patch, &patch, id) && !mirai_has(tag_patch, &patch, name));
    patch.present |= UINT64_C(1) << 63; /* no such field */
    mirai_message_encode(&mirai_message_tag_patch, &patch, &buf);
    assert_int_equal(mirai_mp_to_json(mirai_buf_str(&buf), &json), 0);
    assert_str(mirai_buf_str(&json), "{\"id\":7}");
    mirai_clear(tag_patch, &patch, id);
    patch.present &= ~(UINT64_C(1) << 63);
    assert_int_equal(patch.present, 0);
    buf.len = 0;
    mirai_message_encode(&mirai_message_tag_patch, &patch, &buf);
    assert_str(mirai_buf_str(&buf), "\x80");
    mirai_buf_free(&buf);
    mirai_buf_free(&json);
}

static void what_is_cleared_travels_as_null(void **state)
{
    (void)state;
    struct mirai_arena arena = {0};
    struct mirai_buf buf = {0}, json = {0};
    struct mirai_article_patch patch = {0}, again;
    mirai_set(article_patch, &patch, id, 7);
    mirai_set(article_patch, &patch, owner_id, 0);
    mirai_set(article_patch, &patch, review_by, ((struct mirai_str){NULL, 0}));
    mirai_set(article_patch, &patch, summary_technical, MIRAI_STR(""));
    mirai_message_encode(&mirai_message_article_patch, &patch, &buf);
    assert_int_equal(mirai_mp_to_json(mirai_buf_str(&buf), &json), 0);
    assert_str(mirai_buf_str(&json),
               "{\"id\":7,\"summary_technical\":null,\"owner_id\":null,\"review_by\":null}");
    assert_int_equal(mirai_message_decode(&mirai_message_article_patch, mirai_buf_str(&buf), MIRAI_INNER,
                                          &arena, &again, NULL),
                     0);
    assert_true(again.present == patch.present);
    assert_int_equal(again.owner_id, 0);
    mirai_buf_free(&buf);
    mirai_buf_free(&json);
    mirai_arena_free(&arena);
}

static void an_enum_out_of_range_is_refused_by_whoever_reads_it(void **state)
{
    (void)state;
    static const int wrong[] = {-1, 1000, INT32_MIN, INT32_MAX, MIRAI_IMPORT_UNCHANGED + 1};
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        struct mirai_arena arena = {0};
        struct mirai_buf buf = {0};
        struct mirai_article_import_result result = {0}, again;
        mirai_set(article_import_result, &result, id, 1);
        mirai_set(article_import_result, &result, version, 1);
        mirai_set(article_import_result, &result, outcome, wrong[i]);
        mirai_message_encode(&mirai_message_article_import_result, &result, &buf);
        assert_int_equal(mirai_message_decode(&mirai_message_article_import_result, mirai_buf_str(&buf),
                                              MIRAI_INNER, &arena, &again, NULL),
                         MIRAI_E_UNPROCESSABLE);
        mirai_buf_free(&buf);
        mirai_arena_free(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_message_comes_back),
        cmocka_unit_test(every_message_of_every_method_is_in_the_list),
        cmocka_unit_test(declarations_are_sound),
        cmocka_unit_test(only_present_fields_are_written),
        cmocka_unit_test(what_is_cleared_travels_as_null),
        cmocka_unit_test(an_enum_out_of_range_is_refused_by_whoever_reads_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
