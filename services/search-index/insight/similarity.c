#include "services/search-index/insight/similarity.h"

#include <math.h>
#include <stdlib.h>

/* Articles are bags of neighbouring pairs: two characters of text without spaces, two words of text with them.
 * Pairs survive reordered paragraphs; edits cost what they touch. What the pieces weigh stands in for the
 * inverse document frequency, so that the number depends on the two texts alone: headings come from
 * templates, kana endings are everywhere, and numbers, dates and hosts are what differs between two reports of
 * one thing. */
#define WEIGHT_HEADING 0.15f /* of what it would count in a sentence */
#define WEIGHT_LABEL   0.3f  /* first cell of a row, "label:" of an item */
#define WEIGHT_CODE    0.7f
#define WEIGHT_KANA    0.35f /* a pair with two hiragana */
#define WEIGHT_NUMBER  0.4f  /* a number itself; to its neighbours all numbers are alike */
#define WEIGHT_WORD    1.5f  /* a Latin word stands for several characters */
#define WEIGHT_PAIR    0.75f /* two neighbouring Latin words */

/* Share of the titles in the whole. */
#define SHARE_TITLE 0.12

/* A body of less weight than this (a sentence or two) says too little to be compared alone. */
#define BODY_LEAST 24.0

/* What a missing body leaves of the titles' similarity: never a duplicate. */
#define TITLE_ALONE 0.8

/* Overlap of bags to similarity: the power that puts the mark of duplicates where they were told apart best
 * (bench-duplicates). */
#define POWER 0.6

struct collector {
    struct similarity_features *out;
    float factor;
    uint32_t before; /* what the last character or word stands for; 0: nothing */
    enum char_class before_class;
};

static uint32_t mix(uint32_t a, uint32_t b)
{
    uint32_t h = a * 0x9E3779B1u ^ (b + 0x7F4A7C15u) * 0x85EBCA77u;
    h ^= h >> 15;
    h *= 0x2C1B3C6Du;
    return h ^ h >> 13;
}

static void add(struct collector *collector, uint32_t hash, float weight)
{
    struct similarity_features *out = collector->out;
    if (out->count == out->cap) {
        out->cap = out->cap == 0 ? 512 : out->cap * 2;
        out->list = mirai_realloc(out->list, out->cap * sizeof(out->list[0]));
    }
    out->list[out->count++] = (struct similarity_feature){hash, weight * collector->factor};
}

/* A run of Latin letters and digits; returns where it ends. */
static size_t add_word(struct collector *collector, struct mirai_str text, size_t at)
{
    const char *end = text.data + text.len;
    uint32_t hash = 2166136261u;
    bool number = false;
    size_t start = at;
    while (at < text.len) {
        unsigned len;
        if (char_class(utf8_decode(text.data + at, end, &len)) != CHAR_LATIN) {
            break;
        }
        for (size_t i = at; i < at + len; i++) {
            hash = (hash ^ (unsigned char)text.data[i]) * 16777619u;
            number |= text.data[i] >= '0' && text.data[i] <= '9';
        }
        at += len;
    }
    bool identifier = number && (text.data[start] < '0' || text.data[start] > '9');
    uint32_t stands_for = number && !identifier ? 1 : hash | 2;
    add(collector, mix(3, hash), number && !identifier ? WEIGHT_NUMBER : WEIGHT_WORD);
    if (collector->before != 0) {
        add(collector, mix(collector->before, stands_for), WEIGHT_PAIR);
    }
    collector->before = stands_for;
    collector->before_class = CHAR_LATIN;
    return at;
}

static void add_character(struct collector *collector, uint32_t cp, enum char_class class)
{
    if (collector->before != 0) {
        bool kana = class == CHAR_HIRAGANA && collector->before_class == CHAR_HIRAGANA;
        add(collector, mix(collector->before, cp), kana ? WEIGHT_KANA : 1.0f);
    }
    collector->before = cp;
    collector->before_class = class;
}

static void add_text(struct similarity_workspace *workspace, struct similarity_features *out,
                     struct mirai_str text, float factor)
{
    struct collector collector = {.out = out, .factor = factor};
    normalize(&workspace->text, text, false);
    struct mirai_str s = mirai_buf_str(&workspace->text.text);
    for (size_t at = 0; at < s.len;) {
        unsigned len;
        uint32_t cp = utf8_decode(s.data + at, s.data + s.len, &len);
        enum char_class class = char_class(cp);
        if (class == CHAR_LATIN) {
            at = add_word(&collector, s, at);
            continue;
        }
        if (class != CHAR_BREAK) {
            add_character(&collector, cp, class);
        } else if (cp != ' ') { /* spacing does not matter, punctuation parts */
            collector.before = 0;
        }
        at += len;
    }
}

static void add_block(struct similarity_workspace *workspace, const struct markdown_block *block,
                      struct similarity_features *out)
{
    struct mirai_str text = {workspace->markdown.text.data + block->start, block->len};
    size_t label = 0;
    switch (block->kind) {
    case MARKDOWN_HEADING:
        add_text(workspace, out, text, WEIGHT_HEADING);
        return;
    case MARKDOWN_CODE:
        add_text(workspace, out, text, WEIGHT_CODE);
        return;
    case MARKDOWN_PARAGRAPH:
    case MARKDOWN_ITEM:
    case MARKDOWN_ROW:
        label = markdown_label(text, block->kind);
        add_text(workspace, out, (struct mirai_str){text.data, label}, WEIGHT_LABEL);
        add_text(workspace, out, (struct mirai_str){text.data + label, text.len - label}, 1);
        return;
    }
}

/* By hash, in three passes of eleven bits; stable, so that equal texts are summed up in the same order. */
static void sort(struct similarity_workspace *workspace, struct similarity_features *features)
{
    size_t count = features->count;
    if (count > workspace->scratch_cap) {
        workspace->scratch_cap = count + count / 2;
        workspace->scratch =
            mirai_realloc(workspace->scratch, workspace->scratch_cap * sizeof(workspace->scratch[0]));
    }
    struct similarity_feature *from = features->list;
    struct similarity_feature *to = workspace->scratch;
    for (unsigned shift = 0; shift < 33; shift += 11) {
        uint32_t starts[2048] = {0};
        for (size_t i = 0; i < count; i++) {
            starts[from[i].hash >> shift & 2047]++;
        }
        for (uint32_t digit = 0, sum = 0; digit < 2048; digit++) {
            uint32_t n = starts[digit];
            starts[digit] = sum;
            sum += n;
        }
        for (size_t i = 0; i < count; i++) {
            to[starts[from[i].hash >> shift & 2047]++] = from[i];
        }
        struct similarity_feature *swap = from;
        from = to;
        to = swap;
    }
    memcpy(features->list, from, count * sizeof(from[0])); /* an odd number of passes ends in the scratch */
}

/* Sort, and let each hash stand once. How often something is said matters less each time. */
static void settle(struct similarity_workspace *workspace, struct similarity_features *features)
{
    if (features->count > 0) {
        sort(workspace, features);
    }
    size_t kept = 0;
    features->total = 0;
    for (size_t i = 0; i < features->count;) {
        size_t from = i;
        float sum = 0;
        for (; i < features->count && features->list[i].hash == features->list[from].hash; i++) {
            sum += features->list[i].weight;
        }
        float mean = sum / (float)(i - from);
        float weight = mean * sqrtf((float)(i - from));
        features->list[kept++] = (struct similarity_feature){features->list[from].hash, weight};
        features->total += (double)weight;
    }
    features->count = kept;
}

void similarity_profile_make(struct similarity_workspace *workspace, struct mirai_str title,
                             struct mirai_str body, struct similarity_profile *out)
{
    out->title.count = 0;
    out->body.count = 0;
    add_text(workspace, &out->title, title, 1);
    settle(workspace, &out->title);
    markdown_read(&workspace->markdown, mirai_utf8_prefix(body, SIMILARITY_BODY_MAX));
    for (size_t i = 0; i < workspace->markdown.count; i++) {
        add_block(workspace, &workspace->markdown.blocks[i], &out->body);
    }
    settle(workspace, &out->body);
}

/* Weighted coefficient of Dice (1945): twice what is common, of all. */
static double overlap(const struct similarity_features *a, const struct similarity_features *b)
{
    double common = 0;
    for (size_t i = 0, j = 0; i < a->count && j < b->count;) {
        if (a->list[i].hash == b->list[j].hash) {
            common += (double)fminf(a->list[i].weight, b->list[j].weight);
            i++;
            j++;
        } else if (a->list[i].hash < b->list[j].hash) {
            i++;
        } else {
            j++;
        }
    }
    double all = a->total + b->total;
    return all > 0 ? 2 * common / all : 0;
}

double similarity(const struct similarity_profile *a, const struct similarity_profile *b)
{
    double titles = overlap(&a->title, &b->title);
    double bodies = overlap(&a->body, &b->body);
    if (a->body.count == 0 && b->body.count == 0) {
        return titles;
    }
    if (a->body.total < BODY_LEAST && b->body.total < BODY_LEAST) {
        return (titles + bodies) / 2;
    }
    if (a->body.total < BODY_LEAST || b->body.total < BODY_LEAST) {
        return TITLE_ALONE * titles;
    }
    return pow(SHARE_TITLE * titles + (1 - SHARE_TITLE) * bodies, POWER);
}

void similarity_profile_free(struct similarity_profile *profile)
{
    free(profile->title.list);
    free(profile->body.list);
    *profile = (struct similarity_profile){0};
}

void similarity_workspace_free(struct similarity_workspace *workspace)
{
    markdown_free(&workspace->markdown);
    normalized_free(&workspace->text);
    free(workspace->scratch);
    *workspace = (struct similarity_workspace){0};
}
