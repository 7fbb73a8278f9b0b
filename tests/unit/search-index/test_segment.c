#include "tests/unit/search-index/segment_model.h"

#include <fcntl.h>
#include <sys/mman.h>

static struct model *model_new(uint32_t count)
{
    struct model *model = mirai_alloc(sizeof(*model));
    model->seed = 88172645463325252u;
    for (uint32_t i = 0; i < count; i++) {
        model_add(model, i + 1, i % 3);
    }
    return model;
}

/* Postings of documents for which `kept` is true, numbered in a row, against the segment's. */
static void check_term(const struct model *model, const bool *kept, struct segment *segment, unsigned term)
{
    char key[SEGMENT_KEY_MAX + 1];
    struct segment_term entry;
    struct segment_cursor cursor;
    uint32_t df = 0;
    uint32_t number = 0;
    uint8_t most = 0;
    bool found = segment_find(segment, model_key(term, key), &entry);
    if (found) {
        segment_cursor_open(&cursor, segment, &entry);
    }
    for (uint32_t doc = 0; doc < model->count; doc++) {
        const struct model_posting *posting = &model->postings[doc][term];
        if (kept != NULL && !kept[doc]) {
            continue;
        }
        if (posting->level != 0) {
            uint32_t positions[MODEL_POSITIONS + 1];
            assert_true(found);
            if (df > 0 && df % SEGMENT_BLOCK == 0) {
                assert_true(segment_cursor_next(&cursor));
            }
            segment_cursor_decode(&cursor);
            unsigned at = df % SEGMENT_BLOCK;
            assert_in_range(at, 0, cursor.len - 1);
            assert_int_equal(cursor.docs[at], number);
            assert_int_equal(cursor.levels[at], posting->level);
            assert_true(posting->level <= cursor.block_max);
            assert_int_equal(segment_cursor_positions(&cursor, at, positions, MODEL_POSITIONS + 1),
                             posting->count);
            assert_memory_equal(positions, posting->positions, posting->count * sizeof(positions[0]));
            most = posting->level > most ? posting->level : most;
            df++;
        }
        number++;
    }
    assert_int_equal(found, df > 0);
    if (found) {
        assert_int_equal(entry.df, df);
        assert_int_equal(entry.max_level, most);
        assert_int_equal(cursor.block_last, cursor.docs[cursor.len - 1]);
        assert_false(segment_cursor_next(&cursor));
        assert_int_equal(cursor.block_last, SEGMENT_END);
    }
}

static void check_all(const struct model *model, const bool *kept, struct segment *segment)
{
    for (unsigned term = 0; term < MODEL_TERMS; term++) {
        check_term(model, kept, segment, term);
    }
    struct segment_scrub scrub = {0};
    while (segment_scrub(segment, &scrub, 1000)) {
    }
    assert_false(segment_damaged(segment));
}

static void test_holds_what_was_added(void **state)
{
    (void)state;
    static const uint32_t counts[] = {0, 1, 2, 127, 128, 129, 256, 257, MODEL_DOCS_MAX};
    struct model *model = model_new(MODEL_DOCS_MAX);
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        model->count = counts[i];
        struct segment *segment = model_segment(model, 0, counts[i]);
        assert_int_equal(segment_count(segment), counts[i]);
        assert_memory_equal(segment_docs(segment), model->docs, counts[i] * sizeof(model->docs[0]));
        check_all(model, NULL, segment);
        segment_release(segment);
    }
    free(model);
}

/* Every document, and every one between, is found from every place before it. */
static void test_seeks(void **state)
{
    (void)state;
    struct model *model = model_new(MODEL_DOCS_MAX);
    struct segment *segment = model_segment(model, 0, model->count);
    for (unsigned term = 0; term < MODEL_TERMS; term++) {
        char key[SEGMENT_KEY_MAX + 1];
        struct segment_term entry;
        struct segment_cursor cursor;
        if (!segment_find(segment, model_key(term, key), &entry)) {
            continue;
        }
        for (uint32_t step = 1; step < 2000; step = step * 3 + 1) {
            segment_cursor_open(&cursor, segment, &entry);
            for (uint32_t doc = 0; doc < model->count; doc += step) {
                uint32_t next = doc;
                while (next < model->count && model->postings[next][term].level == 0) {
                    next++;
                }
                assert_int_equal(segment_cursor_seek(&cursor, doc), next < model->count);
                if (next == model->count) {
                    break;
                }
                segment_cursor_decode(&cursor);
                unsigned at = 0;
                while (cursor.docs[at] < doc) {
                    at++;
                }
                assert_int_equal(cursor.docs[at], next);
            }
        }
    }
    segment_release(segment);
    free(model);
}

struct listing {
    char last[SEGMENT_KEY_MAX];
    size_t last_len;
    unsigned count;
    unsigned max;
};

static bool list_term(void *data, struct mirai_str key, const struct segment_term *term)
{
    struct listing *listing = data;
    assert_true(term->df > 0);
    size_t len = key.len < listing->last_len ? key.len : listing->last_len;
    int order = memcmp(listing->last, key.data, len);
    assert_true(order < 0 || (order == 0 && listing->last_len < key.len));
    memcpy(listing->last, key.data, key.len);
    listing->last_len = key.len;
    return ++listing->count < listing->max;
}

static void test_lists_terms_by_prefix(void **state)
{
    (void)state;
    struct model *model = model_new(MODEL_DOCS_MAX);
    struct segment *segment = model_segment(model, 0, model->count);
    static const char *const prefixes[] = {"", "サ", "サーバー1", "\x02", "zz9", "zzz", "\xff"};
    for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
        unsigned expected = 0;
        for (unsigned term = 0; term < MODEL_TERMS; term++) {
            char key[SEGMENT_KEY_MAX + 1];
            struct segment_term entry;
            struct mirai_str text = model_key(term, key);
            expected += segment_find(segment, text, &entry) && text.len >= strlen(prefixes[i]) &&
                        memcmp(text.data, prefixes[i], strlen(prefixes[i])) == 0;
        }
        struct listing listing = {.max = 1000};
        segment_each_term(segment, mirai_str(prefixes[i]), list_term, &listing);
        assert_int_equal(listing.count, expected);
    }
    struct listing listing = {.max = 3};
    segment_each_term(segment, MIRAI_STR(""), list_term, &listing);
    assert_int_equal(listing.count, 3);
    segment_release(segment);
    free(model);
}

static bool is_kept(void *data, const struct segment_doc *doc)
{
    return ((const bool *)data)[doc->slot - 1];
}

static void test_merges(void **state)
{
    (void)state;
    struct model *model = model_new(MODEL_DOCS_MAX);
    static const uint32_t cuts[] = {0, 1, 1, 130, 700, 701, 2000, MODEL_DOCS_MAX};
    struct segment *inputs[7];
    bool *kept = mirai_alloc(MODEL_DOCS_MAX);
    for (unsigned every = 1; every < 5; every++) { /* 1: all are dead */
        for (uint32_t i = 0; i < MODEL_DOCS_MAX; i++) {
            kept[i] = i % every != 0;
        }
        for (size_t i = 0; i < 7; i++) {
            inputs[i] = model_segment(model, cuts[i], cuts[i + 1]);
        }
        struct segment_sink sink = {.fd = memfd_create("segment", 0)};
        struct segment_sink again = {.fd = -1};
        struct segment *merged = NULL;
        char path[64];
        assert_int_equal(segment_merge(inputs, 7, is_kept, kept, NULL, &sink), 0);
        assert_int_equal(segment_merge(inputs, 7, is_kept, kept, NULL, &again), 0);
        snprintf(path, sizeof(path), "/proc/self/fd/%d", sink.fd);
        assert_int_equal(segment_open(path, &merged), 0);
        check_all(model, kept, merged);
        segment_release(merged);
        assert_int_equal(segment_from_buffer(&again.bytes, &merged), 0);
        check_all(model, kept, merged);
        segment_release(merged);
        close(sink.fd);
        for (size_t i = 0; i < 7; i++) {
            segment_release(inputs[i]);
        }
    }
    free(kept);
    free(model);
}

static void test_odd_documents_are_refused(void **state)
{
    (void)state;
    struct segment_doc doc = {1, 1};
    static const struct mirai_str bad[] = {
        MIRAI_STR("\x00\x01\x01\x00"), /* empty key */
        MIRAI_STR("\x01"
                  "a"), /* no level */
        MIRAI_STR("\x01"
                  "a\x00\x01\x00"), /* level 0 */
        MIRAI_STR("\x01"
                  "a\x40\x01\x00"), /* level 64 */
        MIRAI_STR("\x01"
                  "a\x01\x00"), /* no position */
        MIRAI_STR("\x01"
                  "a\x01\x02\x00\x00"), /* more than the positions */
        MIRAI_STR("\x01"
                  "a\x01\x09\x00"), /* beyond the end */
        MIRAI_STR("\xff\xff\xff\xff\xff\x01"
                  "a"),
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct segment_builder *builder = segment_builder_new();
        assert_int_equal(segment_builder_add(builder, doc, bad[i]), MIRAI_E_INVALID);
        segment_builder_free(builder);
    }
}

static bool touch_term(void *data, struct mirai_str key, const struct segment_term *term)
{
    const struct segment *segment = data;
    struct segment_cursor cursor;
    (void)key;
    segment_cursor_open(&cursor, segment, term);
    uint32_t before = 0;
    for (bool more = cursor.block_last != SEGMENT_END; more; more = segment_cursor_next(&cursor)) {
        segment_cursor_decode(&cursor);
        assert_in_range(cursor.len, 1, SEGMENT_BLOCK);
        assert_int_equal(cursor.docs[cursor.len - 1], cursor.block_last);
        for (unsigned i = 0; i < cursor.len; i++) {
            uint32_t positions[8];
            assert_true(cursor.docs[i] >= before && cursor.docs[i] < segment_count(segment));
            assert_in_range(cursor.levels[i], 1, SEGMENT_LEVELS);
            before = cursor.docs[i] + 1;
            segment_cursor_positions(&cursor, i, positions, 8);
        }
    }
    return true;
}

/* Each byte changed in turn: it is noticed at once, or when all is checked; what is read meanwhile holds to the
 * rules. */
static void test_damage_is_noticed(void **state)
{
    (void)state;
    struct model *model = model_new(200);
    struct segment_builder *builder = segment_builder_new();
    struct segment_sink sink = {.fd = -1};
    struct mirai_buf encoded = {0};
    for (uint32_t doc = 0; doc < model->count; doc++) {
        encoded.len = 0;
        model_encode(model->postings[doc], &encoded);
        assert_int_equal(segment_builder_add(builder, model->docs[doc], mirai_buf_str(&encoded)), 0);
    }
    assert_int_equal(segment_builder_finish(builder, &sink), 0);
    for (size_t at = 0; at < sink.bytes.len; at += at < 2000 ? 1 : 7) {
        struct mirai_buf bytes = {0};
        struct segment *segment = NULL;
        mirai_buf_append(&bytes, sink.bytes.data, sink.bytes.len);
        bytes.data[at] = (char)(bytes.data[at] ^ (1 + at % 255));
        if (segment_from_buffer(&bytes, &segment) != 0) {
            continue;
        }
        segment_each_term(segment, MIRAI_STR(""), touch_term, segment);
        struct segment_scrub scrub = {0};
        while (segment_scrub(segment, &scrub, 4096)) {
        }
        bool padding = memcmp(segment_docs(segment), model->docs, 8) == 0 && !segment_damaged(segment);
        if (padding) { /* only the bytes between sections belong to none */
            struct segment *whole = model_segment(model, 0, model->count);
            check_all(model, NULL, segment);
            segment_release(whole);
        }
        segment_release(segment);
    }
    for (size_t len = 0; len < sink.bytes.len; len += 97) { /* cut off */
        struct mirai_buf bytes = {0};
        struct segment *segment = NULL;
        mirai_buf_append(&bytes, sink.bytes.data, len);
        assert_int_equal(segment_from_buffer(&bytes, &segment), MIRAI_E_INVALID);
    }
    mirai_buf_free(&sink.bytes);
    mirai_buf_free(&encoded);
    segment_builder_free(builder);
    free(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_holds_what_was_added),      cmocka_unit_test(test_seeks),
        cmocka_unit_test(test_lists_terms_by_prefix),     cmocka_unit_test(test_merges),
        cmocka_unit_test(test_odd_documents_are_refused), cmocka_unit_test(test_damage_is_noticed),
    };
    return cmocka_run_group_tests_name("search segments", tests, NULL, NULL);
}
