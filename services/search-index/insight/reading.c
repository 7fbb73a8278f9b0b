#include "services/search-index/insight/reading.h"

#include <stdlib.h>

/* A block of at most so many bytes that says 未定 tells nothing else. */
#define PENDING_MAX 90

struct finder {
    size_t headed; /* bytes in front that are a heading or a label */
    uint32_t found;
};

static void on_phrase(void *data, const struct phrase_match *match)
{
    struct finder *finder = data;
    bool headed = match->start < finder->headed;
    if (headed || (match->id & CONCEPT_HEADED) == 0) {
        finder->found |= UINT32_C(1) << CONCEPT_OF(match->id);
    }
}

static uint32_t concepts_of(struct mirai_str text, size_t headed)
{
    struct finder finder = {.headed = headed};
    phrase_set_find(concept_phrases(), text, on_phrase, &finder);
    return finder.found;
}

/* ------------------------------------------------------------------ numbers that tell something */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static size_t digits_at(struct mirai_str s, size_t at)
{
    size_t n = 0;
    while (at + n < s.len && is_digit(s.data[at + n])) {
        n++;
    }
    return n;
}

/* The concepts that the number at `at` stands for: 09:30, 2026-04-01, 2026年, v2.3, 2.4.1, KB5034441. */
static uint32_t number_concepts(struct mirai_str s, size_t at, size_t *end)
{
    uint32_t found = 0;
    size_t n = digits_at(s, at);
    bool marked = at > 0 && s.data[at - 1] == 'v';
    bool update = n >= 6 && at >= 2 && memcmp(s.data + at - 2, "kb", 2) == 0;
    bool year =
        n == 4 && at + 4 < s.len && (s.data[at + 4] == '-' || s.data[at + 4] == '/' || s.data[at + 4] == '.');
    year = year || (n == 4 && s.len - at >= 7 && memcmp(s.data + at + 4, "年", 3) == 0);
    if (year) {
        found = CONCEPT_BIT(TIME) | CONCEPT_BIT(SCHEDULE);
    } else if (n <= 2 && at + n < s.len && s.data[at + n] == ':' && digits_at(s, at + n + 1) == 2) {
        found = CONCEPT_BIT(TIME);
    }
    unsigned parts = 1;
    size_t stop = at + n;
    while (stop + 1 < s.len && s.data[stop] == '.' && is_digit(s.data[stop + 1])) {
        stop += 1 + digits_at(s, stop + 1);
        parts++;
    }
    bool version =
        update ||
        (!year && (parts == 3 || (marked && parts >= 2 && parts <= 4))); /* four parts: an address */
    *end = stop;
    return found | (version ? CONCEPT_BIT(VERSION) : 0);
}

static uint32_t numbers_of(struct mirai_str s)
{
    uint32_t found = 0;
    for (size_t at = 0; at < s.len;) {
        if (is_digit(s.data[at])) {
            found |= number_concepts(s, at, &at);
        } else {
            at++;
        }
    }
    return found;
}

/* ------------------------------------------------------------------ blocks */

static size_t characters(struct mirai_str text)
{
    size_t n = 0;
    for (size_t i = 0; i < text.len; i++) {
        n += ((unsigned char)text.data[i] & 0xC0) != 0x80 && text.data[i] != ' ';
    }
    return n;
}

static void read_block(struct reading *reading, size_t at)
{
    const struct markdown_block *source = &reading->markdown.blocks[at];
    struct reading_block *block = &reading->blocks[at];
    struct mirai_str raw = markdown_text(&reading->markdown, at);
    *block = (struct reading_block){.start = reading->text.len,
                                    .section = at > 0 ? reading->blocks[at - 1].section : 0};
    normalize(&reading->key, raw, false);
    mirai_buf_append_str(&reading->text, mirai_buf_str(&reading->key.text));
    block->len = reading->text.len - block->start;
    mirai_buf_append_char(&reading->text, '\n');
    struct mirai_str text = reading_text(reading, at);
    if (source->kind == MARKDOWN_CODE) {
        block->concepts = CONCEPT_BIT(STEPS);
        return;
    }
    if (source->kind == MARKDOWN_HEADING) {
        block->section = at + 1;
        block->label = block->len;
        reading->headings++;
    } else {
        block->label = markdown_label(text, source->kind);
        reading->characters += characters(text);
    }
    block->concepts = concepts_of(text, block->label) | numbers_of(text);
    if (source->kind == MARKDOWN_ITEM && source->level == 1) {
        block->concepts |= CONCEPT_BIT(STEPS);
    }
}

/* Whether there is text in it, and more than that it is yet to come. */
static bool tells(const struct reading *reading, size_t at)
{
    const struct reading_block *block = &reading->blocks[at];
    bool pending = (block->concepts & CONCEPT_BIT(PENDING)) != 0 && block->len <= PENDING_MAX;
    return reading->markdown.blocks[at].kind != MARKDOWN_HEADING && !pending && block->len > block->label;
}

/* From the end, so that it is known of each heading whether something follows before the next of its rank. */
static void sum_up(struct reading *reading)
{
    bool follows[8] = {false}; /* by level: text below a heading of that level */
    for (size_t i = reading->markdown.count; i > 0; i--) {
        const struct markdown_block *source = &reading->markdown.blocks[i - 1];
        if (source->kind == MARKDOWN_HEADING) {
            reading->told |= follows[source->level] ? reading->blocks[i - 1].concepts : 0;
            for (unsigned level = source->level; level < 8; level++) {
                follows[level] = false;
            }
        } else if (tells(reading, i - 1)) {
            reading->told |= reading->blocks[i - 1].concepts;
            memset(follows, true, sizeof(follows));
        }
    }
}

void reading_make(struct reading *reading, struct mirai_str title, struct mirai_str body)
{
    reading->text.len = 0;
    reading->told = 0;
    reading->headings = 0;
    reading->characters = 0;
    markdown_read(&reading->markdown, body);
    normalize(&reading->key, title, false);
    mirai_buf_append_str(&reading->text, mirai_buf_str(&reading->key.text));
    reading->title_len = reading->text.len;
    mirai_buf_append_char(&reading->text, '\n');
    if (reading->markdown.count > reading->cap) {
        reading->cap = reading->markdown.count;
        free(reading->blocks);
        reading->blocks = mirai_alloc(reading->cap * sizeof(reading->blocks[0]));
    }
    for (size_t i = 0; i < reading->markdown.count; i++) {
        read_block(reading, i);
    }
    sum_up(reading);
    uint32_t numbers = numbers_of(reading_title(reading));
    reading->told |= concepts_of(reading_title(reading), 0) | numbers;
}

void reading_free(struct reading *reading)
{
    markdown_free(&reading->markdown);
    mirai_buf_free(&reading->text);
    free(reading->blocks);
    normalized_free(&reading->key);
    *reading = (struct reading){0};
}
