#include "services/search-index/insight/keywords.h"

#include "services/search-index/insight/cues.h"

#include <math.h>
#include <stdlib.h>

#define SLOTS   8192 /* a power of two */
#define ALL_MAX 4000

/* How much a word counts where it stands. Headings come from templates. */
#define WEIGHT_TITLE   5.0
#define WEIGHT_HEADING 0.4
#define WEIGHT_BODY    1.0
#define WEIGHT_CODE    0.4

/* Words of the tables are about the kind of text, not about its subject. */
#define WEIGHT_CUE 0.15

struct collecting {
    struct keywords *keywords;
    struct mirai_str text;
    double weight;
};

static uint32_t hash_of(struct mirai_str s)
{
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < s.len; i++) {
        hash = (hash ^ (unsigned char)s.data[i]) * 16777619u;
    }
    return hash ^ hash >> 15;
}

static struct mirai_str term_of(const struct keywords *keywords, const struct keyword *keyword)
{
    return (struct mirai_str){keywords->terms.data + (size_t)(uintptr_t)keyword->term.data,
                              keyword->term.len};
}

/* Terms are kept by offset while the buffer grows; keywords_find() turns them into pointers. */
static struct keyword *find_keyword(struct keywords *keywords, struct mirai_str term)
{
    size_t at = hash_of(term) % SLOTS;
    for (; keywords->slots[at] != 0; at = (at + 1) % SLOTS) {
        struct keyword *keyword = &keywords->all[keywords->slots[at] - 1];
        if (mirai_str_eq(term_of(keywords, keyword), term)) {
            return keyword;
        }
    }
    if (keywords->all_len == ALL_MAX) {
        return NULL;
    }
    if (keywords->all_len == keywords->all_cap) {
        keywords->all_cap = keywords->all_cap == 0 ? 256 : keywords->all_cap * 2;
        keywords->all = mirai_realloc(keywords->all, keywords->all_cap * sizeof(keywords->all[0]));
    }
    struct keyword *keyword = &keywords->all[keywords->all_len++];
    *keyword = (struct keyword){.term = {(const char *)(uintptr_t)keywords->terms.len, term.len}};
    mirai_buf_append_str(&keywords->terms, term);
    keywords->slots[at] = (uint32_t)keywords->all_len;
    return keyword;
}

static bool all_digits(struct mirai_str s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.data[i] < '0' || s.data[i] > '9') {
            return false;
        }
    }
    return true;
}

/* Words of one kana or letter, and numbers, say nothing alone. */
static bool says_something(struct mirai_str term)
{
    unsigned len;
    if (term.len == 0 || all_digits(term)) {
        return false;
    }
    enum char_class class = char_class(utf8_decode(term.data, term.data + term.len, &len));
    return class == CHAR_HAN || (class == CHAR_HIRAGANA ? term.len > 6 : term.len > len);
}

/* Where idf is not known: long words, identifiers and loan words are rarer. */
static double rareness(struct mirai_str term)
{
    unsigned len;
    enum char_class class = char_class(utf8_decode(term.data, term.data + term.len, &len));
    bool mixed = false;
    for (size_t i = 0; i < term.len; i++) {
        mixed |= class == CHAR_LATIN && term.data[i] >= '0' && term.data[i] <= '9';
    }
    double rare = class == CHAR_HIRAGANA ? 0.4 : class == CHAR_HAN && term.len == len ? 0.4 : 1;
    double length = (double)term.len / (class == CHAR_LATIN ? 1 : 3);
    return rare * (mixed ? 1.6 : 1) * fmin(1 + length / 10, 1.8);
}

static void on_token(void *data, const struct analyzer_token *token)
{
    struct collecting *collecting = data;
    if (token->view != ANALYZER_WORD || !says_something(token->term)) {
        return;
    }
    struct keyword *keyword = find_keyword(collecting->keywords, token->term);
    if (keyword == NULL) {
        return;
    }
    if (keyword->count++ == 0) {
        keyword->surface =
            (struct mirai_str){collecting->text.data + token->start, token->end - token->start};
    }
    keyword->weight += collecting->weight;
}

static void collect(struct keywords *keywords, struct analyzer *analyzer, struct mirai_str text,
                    double weight)
{
    struct collecting collecting = {keywords, text, weight};
    analyzer_run(analyzer, text, on_token, &collecting);
}

static void on_cue(void *data, const struct phrase_match *match)
{
    size_t *covered = data;
    *covered = match->start == 0 ? match->len : *covered;
}

static double final_weight(const struct keyword *keyword)
{
    size_t covered = 0;
    phrase_set_find(cue_phrases(), keyword->surface, on_cue, &covered);
    bool cue = covered == keyword->surface.len;
    return log2(1 + keyword->weight) * rareness(keyword->term) * (cue ? WEIGHT_CUE : 1);
}

static void keep_best(struct keywords *keywords, const struct keyword *keyword)
{
    size_t at = keywords->count;
    while (at > 0 && keywords->list[at - 1].weight < keyword->weight) {
        at--;
    }
    if (at < KEYWORDS_MAX) {
        keywords->count += keywords->count < KEYWORDS_MAX;
        memmove(&keywords->list[at + 1], &keywords->list[at],
                (keywords->count - 1 - at) * sizeof(keywords->list[0]));
        keywords->list[at] = *keyword;
    }
}

void keywords_find(struct keywords *keywords, struct analyzer *analyzer, const struct reading *reading)
{
    static const double weights[] = {[MARKDOWN_HEADING] = WEIGHT_HEADING,
                                     [MARKDOWN_PARAGRAPH] = WEIGHT_BODY,
                                     [MARKDOWN_ITEM] = WEIGHT_BODY,
                                     [MARKDOWN_ROW] = WEIGHT_BODY,
                                     [MARKDOWN_CODE] = WEIGHT_CODE};
    size_t left = KEYWORDS_BYTES_MAX;
    keywords->all_len = 0;
    keywords->count = 0;
    keywords->terms.len = 0;
    if (keywords->slots == NULL) {
        keywords->slots = mirai_alloc(SLOTS * sizeof(keywords->slots[0]));
    }
    memset(keywords->slots, 0, SLOTS * sizeof(keywords->slots[0]));
    collect(keywords, analyzer, reading_title(reading), WEIGHT_TITLE);
    for (size_t i = 0; i < reading->markdown.count && left > 0; i++) {
        struct mirai_str text = mirai_utf8_prefix(reading_text(reading, i), left);
        left -= text.len;
        collect(keywords, analyzer, text, weights[reading->markdown.blocks[i].kind]);
        left = text.len < reading->blocks[i].len ? 0 : left;
    }
    for (size_t i = 0; i < keywords->all_len; i++) {
        struct keyword *keyword = &keywords->all[i];
        keyword->term = term_of(keywords, keyword);
        keyword->weight = final_weight(keyword);
        keep_best(keywords, keyword);
    }
}

void keywords_free(struct keywords *keywords)
{
    free(keywords->all);
    free(keywords->slots);
    mirai_buf_free(&keywords->terms);
    *keywords = (struct keywords){0};
}
