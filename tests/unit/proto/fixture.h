/* A message with a field of every kind, and short ways to say what bytes, text and faults are. */
#ifndef TEST_PROTO_FIXTURE_H
#define TEST_PROTO_FIXTURE_H

#include "proto/message.h"
#include "tests/unit/libcommon/test.h"

struct inner {
    uint64_t present;
    int64_t id;
    struct mirai_str note;
};

struct sample {
    uint64_t present;
    bool flag;
    int64_t number; /* required, 1..1000 */
    double ratio;
    struct mirai_str text;   /* 2..5 code points */
    struct mirai_str binary; /* 1..4 bytes */
    int color;
    int64_t time;
    struct mirai_str day;
    struct inner object;
    struct mirai_strs words;     /* at most 3 */
    struct mirai_ints numbers;   /* at most 3 */
    struct mirai_objects inners; /* at most 2 */
    struct mirai_str raw;
    struct mirai_str clearable; /* nullable, 0..10 */
    int64_t clearable_id;       /* nullable, 1.. */
};

enum sample_index {
    SAMPLE_FLAG,
    SAMPLE_NUMBER,
    SAMPLE_RATIO,
    SAMPLE_TEXT,
    SAMPLE_BINARY,
    SAMPLE_COLOR,
    SAMPLE_TIME,
    SAMPLE_DAY,
    SAMPLE_OBJECT,
    SAMPLE_WORDS,
    SAMPLE_NUMBERS,
    SAMPLE_INNERS,
    SAMPLE_RAW,
    SAMPLE_CLEARABLE,
    SAMPLE_CLEARABLE_ID,
    SAMPLE_COUNT,
};

static const char *const color_values[] = {"red", "green", "in_review", NULL};
static const struct mirai_enum color_enum = {"color", color_values};

#define INNER_FIELD(member, k, bits, low, high)                                                              \
    {                                                                                                        \
        .name = #member, .kind = MIRAI_FIELD_##k, .flags = (bits), .offset = offsetof(struct inner, member), \
        .min = (low), .max = (high)                                                                          \
    }
static const struct mirai_field inner_fields[] = {
    INNER_FIELD(id, INT, MIRAI_REQUIRED, 1, INT64_MAX),
    INNER_FIELD(note, STR, MIRAI_OPTIONAL, 0, 10),
};
static const struct mirai_message inner_message = {
    .name = "inner", .size = sizeof(struct inner), .count = 2, .fields = inner_fields};

#define SAMPLE_FIELD(member, k, bits, low, high, ...)                                                        \
    {                                                                                                        \
        .name = #member, .kind = MIRAI_FIELD_##k, .flags = (bits),                                           \
        .offset = offsetof(struct sample, member), .min = (low), .max = (high), __VA_ARGS__                  \
    }
static const struct mirai_field sample_fields[] = {
    SAMPLE_FIELD(flag, BOOL, MIRAI_OPTIONAL, 0, 0),
    SAMPLE_FIELD(number, INT, MIRAI_REQUIRED, 1, 1000),
    SAMPLE_FIELD(ratio, DOUBLE, MIRAI_OPTIONAL, 0, 0),
    SAMPLE_FIELD(text, STR, MIRAI_OPTIONAL, 2, 5),
    SAMPLE_FIELD(binary, BIN, MIRAI_OPTIONAL, 1, 4),
    SAMPLE_FIELD(color, ENUM, MIRAI_OPTIONAL, 0, 0, .enumeration = &color_enum),
    SAMPLE_FIELD(time, TIME, MIRAI_OPTIONAL, 0, 0),
    SAMPLE_FIELD(day, DATE, MIRAI_OPTIONAL, 0, 0),
    SAMPLE_FIELD(object, OBJECT, MIRAI_OPTIONAL, 0, 0, .message = &inner_message),
    SAMPLE_FIELD(words, STRS, MIRAI_OPTIONAL, 0, 3),
    SAMPLE_FIELD(numbers, INTS, MIRAI_OPTIONAL, 0, 3),
    SAMPLE_FIELD(inners, OBJECTS, MIRAI_OPTIONAL, 0, 2, .message = &inner_message),
    SAMPLE_FIELD(raw, RAW, MIRAI_OPTIONAL, 0, 0),
    SAMPLE_FIELD(clearable, STR, MIRAI_NULLABLE, 0, 10),
    SAMPLE_FIELD(clearable_id, INT, MIRAI_NULLABLE, 1, INT64_MAX),
};
static const struct mirai_message sample_message = {
    .name = "sample", .size = sizeof(struct sample), .count = SAMPLE_COUNT, .fields = sample_fields};

static inline bool sample_has(const struct sample *sample, enum sample_index index)
{
    return (sample->present >> index & 1) != 0;
}

/* What one test works with; zeroed memory is valid. */
struct fixture {
    struct mirai_buf buf;
    struct mirai_arena arena;
    struct mirai_faults faults;
    struct sample sample;
};

static inline int fixture_open(void **state)
{
    *state = calloc(1, sizeof(struct fixture));
    return *state != NULL ? 0 : -1;
}

static inline int fixture_close(void **state)
{
    struct fixture *f = *state;
    mirai_buf_free(&f->buf);
    mirai_arena_free(&f->arena);
    free(f);
    return 0;
}

#define test_with_fixture(test) cmocka_unit_test_setup_teardown(test, fixture_open, fixture_close)

/* Bytes of a JSON text with ' for ", in memory of their exact size: MessagePack without a schema. */
static inline struct mirai_str packed(struct fixture *f, const char *json)
{
    struct mirai_buf text = {0};
    struct mirai_buf mp = {0};
    mirai_buf_append_str(&text, mirai_str(json));
    for (size_t i = 0; i < text.len; i++) {
        text.data[i] = text.data[i] == '\'' ? '"' : text.data[i];
    }
    assert_int_equal(mirai_json_to_mp(mirai_buf_str(&text), &mp), 0);
    f->buf.len = 0;
    mirai_buf_append_str(&f->buf, mirai_buf_str(&mp));
    mirai_buf_free(&text);
    mirai_buf_free(&mp);
    return mirai_buf_str(&f->buf);
}

/* The faults as "path problem" lines, in their order. */
static inline void assert_faults(const struct mirai_faults *faults, const char *expected)
{
    char text[4096] = "";
    size_t len = 0;
    for (size_t i = 0; i < faults->count; i++) {
        len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s %s", i > 0 ? "\n" : "",
                                faults->list[i].path, faults->list[i].problem);
    }
    assert_string_equal(text, expected);
}

#endif
