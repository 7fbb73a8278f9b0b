/* Any bytes as a draft: what is said of it is valid UTF-8 within the bounds of its message, each time the same. */
#include "services/search-index/insight/classify.h"
#include "services/search-index/insight/deviations.h"
#include "services/search-index/insight/sentence.h"
#include "services/search-index/insight/similarity.h"
#include "services/search-index/insight/summary.h"

#include <math.h>
#include <stdlib.h>

static struct reading reading;
static struct summary_workspace summaries;
static struct similarity_workspace workspace;
static struct similarity_profile profiles[2];

static void expect(bool holds)
{
    if (!holds) {
        abort();
    }
}

static bool exists(void *data, int64_t id)
{
    (void)data;
    expect(id > 0);
    return id % 2 == 0;
}

static void check_blocks(void)
{
    for (size_t i = 0; i < reading.markdown.count; i++) {
        const struct markdown_block *block = &reading.markdown.blocks[i];
        expect(block->len > 0 && block->start + block->len <= reading.markdown.text.len);
        expect(reading.blocks[i].label <= reading.blocks[i].len);
        expect(reading.blocks[i].section <= i + 1);
        struct mirai_str text = markdown_text(&reading.markdown, i);
        while (text.len > 0) {
            size_t len = sentence_length(text);
            expect(len > 0 && len <= text.len);
            text = (struct mirai_str){text.data + len, text.len - len};
        }
    }
}

static void check_report(struct mirai_str title, struct mirai_str body, bool utf8)
{
    struct mirai_arena arena = {0};
    struct mirai_type_proposal types[CLASSIFY_TYPES];
    struct mirai_deviation deviations[DEVIATIONS_MAX];
    struct mirai_str out[SUMMARY_KINDS];
    classify(&reading, MIRAI_LOCALE_EN, &arena, types);
    expect(types[0].confidence > 0 && types[0].confidence <= 1);
    for (int type = 0; type < CLASSIFY_TYPES; type++) {
        const struct deviations_input input = {
            .reading = &reading, .title = title, .body = body, .type = type, .exists = exists};
        expect(deviations_find(&input, &arena, deviations) <= DEVIATIONS_MAX);
    }
    summary_make(&summaries, &reading, &arena, out);
    for (int kind = 0; kind < SUMMARY_KINDS; kind++) {
        expect(!utf8 || (mirai_utf8_valid(out[kind]) && mirai_utf8_length(out[kind]) <= 2000));
    }
    mirai_arena_free(&arena);
}

/* First line: the title; the rest: the body. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mirai_str in = {(const char *)data, size};
    const char *newline = size > 0 ? memchr(data, '\n', size) : NULL;
    struct mirai_str title = {in.data, newline != NULL ? (size_t)(newline - in.data) : size};
    struct mirai_str body = {in.data + title.len, size - title.len};
    reading_make(&reading, title, body);
    check_blocks();
    check_report(title, body, mirai_utf8_valid(in));
    similarity_profile_make(&workspace, title, body, &profiles[0]);
    similarity_profile_make(&workspace, body, title, &profiles[1]);
    double value = similarity(&profiles[0], &profiles[1]);
    expect(isfinite(value) && value >= 0 && value < 1.00001);
    expect(value == similarity(&profiles[1], &profiles[0]));
    return 0;
}
