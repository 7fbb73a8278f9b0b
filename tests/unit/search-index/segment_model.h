/* Random documents, and what a segment made of them must hold, worked out the plain way. */
#ifndef TEST_SEGMENT_MODEL_H
#define TEST_SEGMENT_MODEL_H

#include "libcommon/error.h"
#include "services/search-index/postings/build.h"
#include "services/search-index/postings/format.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define MODEL_TERMS     60
#define MODEL_DOCS_MAX  3000
#define MODEL_POSITIONS 5

/* What a document has of a term; level 0: nothing. */
struct model_posting {
    uint8_t level;
    uint8_t count;
    uint32_t positions[MODEL_POSITIONS];
};

struct model {
    uint64_t seed;
    uint32_t count;
    struct segment_doc docs[MODEL_DOCS_MAX];
    struct model_posting postings[MODEL_DOCS_MAX][MODEL_TERMS];
};

/* xorshift64* */
static inline uint32_t model_random(struct model *model, uint32_t below)
{
    model->seed ^= model->seed >> 12;
    model->seed ^= model->seed << 25;
    model->seed ^= model->seed >> 27;
    return (uint32_t)((model->seed * 2685821657736338717ULL) >> 33) % below;
}

/* Keys that share beginnings; the order of numbers is not the order of keys. */
static inline struct mirai_str model_key(unsigned term, char key[SEGMENT_KEY_MAX + 1])
{
    static const char *const heads[] = {"", "サーバー", "\x02電源", "\x01タイトル", "zz"};
    int len = snprintf(key, SEGMENT_KEY_MAX + 1, "%s%u", heads[term % 5], term * 7919 % 1000);
    return (struct mirai_str){key, (size_t)len};
}

/* Term n stands in every document up to one of many thousands; some levels and distances are extreme. */
static inline void model_add(struct model *model, uint32_t slot, uint32_t version)
{
    struct model_posting *postings = model->postings[model->count];
    model->docs[model->count++] = (struct segment_doc){slot, version};
    for (unsigned term = 0; term < MODEL_TERMS; term++) {
        postings[term] = (struct model_posting){0};
        if (model_random(model, 1 + term * term) != 0) {
            continue;
        }
        postings[term].level = (uint8_t)(term % 4 == 0 ? 63 : 1 + model_random(model, 63));
        postings[term].count = (uint8_t)(1 + model_random(model, MODEL_POSITIONS));
        uint32_t position = 0;
        for (unsigned i = 0; i < postings[term].count; i++) {
            position += 1 + model_random(model, term % 3 == 0 ? 40 : 3000000);
            postings[term].positions[i] = position;
        }
    }
}

static inline void model_encode(const struct model_posting *postings, struct mirai_buf *out)
{
    char key[SEGMENT_KEY_MAX + 1];
    struct mirai_buf bytes = {0};
    for (unsigned term = 0; term < MODEL_TERMS; term++) {
        const struct model_posting *posting = &postings[term];
        if (posting->level == 0) {
            continue;
        }
        struct mirai_str text = model_key(term, key);
        varint_append(out, (uint32_t)text.len);
        mirai_buf_append_str(out, text);
        mirai_buf_append_char(out, (char)posting->level);
        bytes.len = 0;
        varint_append(&bytes, posting->positions[0] << 1 | (posting->count > 1));
        for (unsigned i = 1; i < posting->count; i++) {
            if (i == 1) {
                varint_append(&bytes, posting->count - 1u);
            }
            varint_append(&bytes, posting->positions[i] - posting->positions[i - 1]);
        }
        varint_append(out, (uint32_t)bytes.len);
        mirai_buf_append_str(out, mirai_buf_str(&bytes));
    }
    mirai_buf_free(&bytes);
}

/* Documents [from, to) as a segment in memory. */
static inline struct segment *model_segment(struct model *model, uint32_t from, uint32_t to)
{
    struct segment_builder *builder = segment_builder_new();
    struct segment_sink sink = {.fd = -1};
    struct segment *segment = NULL;
    struct mirai_buf encoded = {0};
    for (uint32_t doc = from; doc < to; doc++) {
        encoded.len = 0;
        model_encode(model->postings[doc], &encoded);
        assert_int_equal(segment_builder_add(builder, model->docs[doc], mirai_buf_str(&encoded)), 0);
    }
    assert_int_equal(segment_builder_count(builder), to - from);
    assert_int_equal(segment_builder_finish(builder, &sink), 0);
    assert_int_equal(segment_from_buffer(&sink.bytes, &segment), 0);
    segment_builder_free(builder);
    mirai_buf_free(&encoded);
    return segment;
}

#endif
