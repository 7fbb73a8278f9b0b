#include "services/search-index/analyzer/words.h"

#include "libcommon/log.h"
#include "services/search-index/analyzer/romaji.h"
#include "services/search-index/analyzer/spelling.h"
#include "services/search-index/analyzer/stopwords.h"

#include <stdlib.h>

/* Longest piece given to MeCab at once: its lattice takes memory for each byte, and sentences are shorter. */
#define CHUNK_MAX 600

/* Part-of-speech numbers of ipadic (pos-id.def) that are kept. */
static const bool kept[] = {
    [10] = true, /* adjectives */
    [31] = true, /* verbs that stand alone */
    [34] = true, /* adverbs */
    [36] = true, [37] = true, [38] = true, [40] = true, [41] = true, [42] = true,
    [43] = true, [44] = true, [45] = true, [46] = true, [47] = true, [48] = true, /* nouns, names, numbers */
    [50] = true, [51] = true, [53] = true, [56] = true, /* suffixes: kinds of things and deeds, counters,
                                                           places */
    [67] = true,                                        /* nouns of time */
};
#define POS_NUMBER 48

/* Fields of ipadic's features. */
#define FEATURE_BASE    6
#define FEATURE_READING 7

/* What a word of the dictionary becomes. Its feature string lives in the mapped dictionary: the address says which it is,
 * and nothing needs to be parsed or spelled twice. */
struct known {
    const char *feature; /* NULL: free */
    uint16_t len;        /* of the term; 0: none, a stop word */
    bool surface;        /* the term depends on the text: unknown words */
    char term[ANALYZER_TERM_MAX];
};
#define KNOWN_MAX 16384 /* a power of two; a newcomer takes the place of what was there */

/* The terms of a short run of characters: headings, buttons and endings of sentences come again and again. */
#define RUN_BYTES_MAX  60
#define RUN_TOKENS_MAX 8
#define RUN_TERMS_MAX  96
#define RUNS_MAX       8192 /* a power of two */
struct run_token {
    uint8_t start;
    uint8_t end;
    uint8_t term; /* in `terms` */
    uint8_t term_len;
};
struct run {
    uint32_t hash;
    uint8_t len; /* 0: free */
    uint8_t tokens_len;
    uint8_t terms_len;
    struct run_token tokens[RUN_TOKENS_MAX];
    char text[RUN_BYTES_MAX];
    char terms[RUN_TERMS_MAX];
};

struct words {
    mecab_t *tagger;
    mecab_lattice_t *lattice;
    struct known *known;
    struct run *runs;
};

mecab_model_t *words_model_open(void)
{
    static const char *const options[] = {
        "-C -r /dev/null -d /var/lib/mecab/dic/ipadic-utf8",
        "-C -r /dev/null -d /var/lib/mecab/dic/debian",
        "-C -r /dev/null -d /usr/lib/mecab/dic/ipadic",
    };
    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        mecab_model_t *model = mecab_model_new2(options[i]);
        if (model == NULL) {
            continue;
        }
        const mecab_dictionary_info_t *info = mecab_model_dictionary_info(model);
        if (info != NULL &&
            (strcasecmp(info->charset, "UTF-8") == 0 || strcasecmp(info->charset, "utf8") == 0)) {
            return model;
        }
        mecab_model_destroy(model);
    }
    mirai_log(ERROR, "no MeCab dictionary in UTF-8 found (package mecab-ipadic-utf8)");
    return NULL;
}

struct words *words_new(mecab_model_t *model)
{
    struct words *words = mirai_alloc(sizeof(*words));
    words->tagger = mecab_model_new_tagger(model);
    words->lattice = mecab_model_new_lattice(model);
    words->known = mirai_alloc(KNOWN_MAX * sizeof(words->known[0]));
    words->runs = mirai_alloc(RUNS_MAX * sizeof(words->runs[0]));
    if (words->tagger == NULL || words->lattice == NULL) {
        words_free(words);
        return NULL;
    }
    mecab_lattice_set_request_type(words->lattice, MECAB_ONE_BEST);
    return words;
}

void words_free(struct words *words)
{
    if (words == NULL) {
        return;
    }
    if (words->lattice != NULL) {
        mecab_lattice_destroy(words->lattice);
    }
    if (words->tagger != NULL) {
        mecab_destroy(words->tagger);
    }
    free(words->known);
    free(words->runs);
    free(words);
}

/* ------------------------------------------------------------------ MeCab */

/* A field of the feature, or nothing when the word is unknown. */
static struct mirai_str feature_field(const char *feature, int wanted)
{
    for (int field = 0; field < wanted; field++) {
        feature = strchr(feature, ',');
        if (feature == NULL) {
            return (struct mirai_str){0};
        }
        feature++;
    }
    size_t len = strcspn(feature, ",");
    return len == 1 && feature[0] == '*' ? (struct mirai_str){0} : (struct mirai_str){feature, len};
}

/* Runs for each node of [start, end), with where it stands in the text. */
typedef void (*node_cb)(void *data, const mecab_node_t *node, size_t from);

static void each_node(struct words *words, struct mirai_str text, size_t start, size_t end, node_cb callback,
                      void *data)
{
    while (start < end) {
        struct mirai_str chunk =
            mirai_utf8_prefix((struct mirai_str){text.data + start, end - start}, CHUNK_MAX);
        mecab_lattice_set_sentence2(words->lattice, chunk.data, chunk.len);
        const mecab_node_t *node = NULL;
        const char *sentence = NULL;
        if (mecab_parse_lattice(words->tagger, words->lattice)) {
            node = mecab_lattice_get_bos_node(words->lattice);
            sentence = mecab_lattice_get_sentence(words->lattice);
        }
        for (; node != NULL; node = node->next) {
            if ((node->stat == MECAB_NOR_NODE || node->stat == MECAB_UNK_NODE) && node->length != 0) {
                callback(data, node, start + (size_t)(node->surface - sentence));
            }
        }
        mecab_lattice_clear(words->lattice);
        start += chunk.len;
    }
}

/* ------------------------------------------------------------------ words */

struct emitter {
    struct words *words;
    struct mirai_str text;
    analyzer_token_cb callback;
    void *data;
    size_t number_start; /* kanji digits that follow one another */
    size_t number_end;   /* 0: none */
    struct run *run;     /* being filled, or NULL */
    size_t run_start;
};

/* Keep a token of the run that is being filled, or give the run up. */
static void keep(struct emitter *e, const struct analyzer_token *token)
{
    struct run *run = e->run;
    if (run->tokens_len == RUN_TOKENS_MAX || run->terms_len + token->term.len > RUN_TERMS_MAX) {
        run->len = 0;
        e->run = NULL;
        return;
    }
    run->tokens[run->tokens_len++] =
        (struct run_token){(uint8_t)(token->start - e->run_start), (uint8_t)(token->end - e->run_start),
                           run->terms_len, (uint8_t)token->term.len};
    memcpy(run->terms + run->terms_len, token->term.data, token->term.len);
    run->terms_len = (uint8_t)(run->terms_len + token->term.len);
}

static void emit(struct emitter *e, struct mirai_str term, size_t start, size_t end)
{
    const struct analyzer_token token = {ANALYZER_WORD, term, start, end};
    if (e->run != NULL) {
        keep(e, &token);
    }
    e->callback(e->data, &token);
}

/* The term of a word in `out`; 0: a stop word. */
static uint16_t spell(struct mirai_str word, char out[ANALYZER_TERM_MAX])
{
    char spelled[SPELLING_MAX];
    if (is_stopword(word)) {
        return 0;
    }
    struct mirai_str term = mirai_utf8_prefix(spelling_key(word, spelled), ANALYZER_TERM_MAX);
    if (is_stopword(term)) {
        return 0;
    }
    memcpy(out, term.data, term.len);
    return (uint16_t)term.len;
}

static const struct known *known_of(struct words *words, const mecab_node_t *node)
{
    uintptr_t address = (uintptr_t)node->feature;
    struct known *known = &words->known[(address ^ address >> 14) * 2654435761u >> 8 & (KNOWN_MAX - 1)];
    if (known->feature != node->feature) {
        struct mirai_str base = feature_field(node->feature, FEATURE_BASE);
        known->feature = node->feature;
        known->surface = base.len == 0;
        known->len = base.len != 0 ? spell(base, known->term) : 0;
    }
    return known;
}

static void emit_node(struct emitter *e, const mecab_node_t *node, size_t from)
{
    const struct known *known = known_of(e->words, node);
    char spelled[ANALYZER_TERM_MAX];
    struct mirai_str term = {known->term, known->len};
    if (known->surface) {
        term.data = spelled;
        term.len = spell((struct mirai_str){e->text.data + from, node->length}, spelled);
    }
    if (term.len != 0) {
        emit(e, term, from, from + node->length);
    }
}

/* 二十三 is 23, whatever MeCab cuts; what is no number is emitted digit by digit. */
static void flush_number(struct emitter *e)
{
    char digits[SPELLING_MAX];
    struct mirai_str kanji = {e->text.data + e->number_start, e->number_end - e->number_start};
    if (e->number_end == 0) {
        return;
    }
    struct mirai_str number = spelling_number(kanji, digits);
    if (number.len != 0) {
        emit(e, number, e->number_start, e->number_end);
    } else {
        unsigned len;
        for (size_t at = e->number_start; at < e->number_end; at += len) {
            utf8_decode(e->text.data + at, e->text.data + e->number_end, &len);
            struct mirai_str digit = {e->text.data + at, len};
            if (!is_stopword(digit)) { /* 何 is a number, too */
                emit(e, digit, at, at + len);
            }
        }
    }
    e->number_end = 0;
}

static void on_node(void *data, const mecab_node_t *node, size_t from)
{
    struct emitter *e = data;
    if (node->posid >= sizeof(kept) / sizeof(kept[0]) || !kept[node->posid]) {
        return;
    }
    bool number = node->posid == POS_NUMBER;
    if (!number || e->number_end != from) {
        flush_number(e);
        e->number_start = from;
    }
    if (number) {
        e->number_end = from + node->length;
    } else {
        emit_node(e, node, from);
    }
}

static uint32_t hash_bytes(const char *data, size_t len) /* FNV-1a */
{
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < len; i++) {
        hash = (hash ^ (unsigned char)data[i]) * 16777619u;
    }
    return hash ^ hash >> 15;
}

static void emit_run(const struct run *run, struct emitter *e)
{
    for (size_t i = 0; i < run->tokens_len; i++) {
        const struct run_token *token = &run->tokens[i];
        emit(e, (struct mirai_str){run->terms + token->term, token->term_len}, e->run_start + token->start,
             e->run_start + token->end);
    }
}

void words_run(struct words *words, struct mirai_str text, size_t start, size_t end,
               analyzer_token_cb callback, void *data)
{
    struct emitter e = {.words = words, .text = text, .callback = callback, .data = data, .run_start = start};
    size_t len = end - start;
    if (len <= RUN_BYTES_MAX) {
        uint32_t hash = hash_bytes(text.data + start, len);
        struct run *run = &words->runs[hash & (RUNS_MAX - 1)];
        if (run->len == len && run->hash == hash && memcmp(run->text, text.data + start, len) == 0) {
            emit_run(run, &e);
            return;
        }
        run->hash = hash;
        run->len = (uint8_t)len;
        run->tokens_len = 0;
        run->terms_len = 0;
        memcpy(run->text, text.data + start, len);
        e.run = run;
    }
    each_node(words, text, start, end, on_node, &e);
    flush_number(&e);
}

/* ------------------------------------------------------------------ readings and borders */

static void append_reading(void *data, const mecab_node_t *node, size_t from)
{
    struct mirai_buf *out = data;
    struct mirai_str reading = feature_field(node->feature, FEATURE_READING);
    (void)from;
    if (reading.len != 0) {
        mirai_buf_append_str(out, reading);
    } else {
        kana_to_katakana((struct mirai_str){node->surface, node->length}, out);
    }
}

void words_reading(struct words *words, struct mirai_str text, size_t start, size_t end,
                   struct mirai_buf *out)
{
    each_node(words, text, start, end, append_reading, out);
}

static void mark_boundary(void *data, const mecab_node_t *node, size_t from)
{
    uint8_t *marks = data;
    (void)node;
    marks[from] = 1;
}

void words_boundaries(struct words *words, struct mirai_str text, size_t start, size_t end, uint8_t *marks)
{
    each_node(words, text, start, end, mark_boundary, marks);
}
