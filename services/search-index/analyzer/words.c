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
 * and nothing needs to be parsed twice. */
struct known {
    const char *feature;   /* NULL: free */
    struct mirai_str base; /* empty: the surface, of unknown words */
};
#define KNOWN_MAX 16384 /* a power of two; a newcomer takes the place of what was there */

/* The words of a short run of characters: headings, buttons and endings of sentences come again and again. */
#define RUN_BYTES_MAX 60
#define RUN_WORDS_MAX 8
#define RUNS_MAX      8192 /* a power of two */
struct run_word {
    const char *base; /* NULL: the surface */
    uint8_t base_len;
    uint8_t start;
    uint8_t end;
    uint8_t number;
};
struct run {
    uint32_t hash;
    uint8_t len; /* 0: free */
    uint8_t words_len;
    char text[RUN_BYTES_MAX];
    struct run_word words[RUN_WORDS_MAX];
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

static struct mirai_str base_of(struct words *words, const mecab_node_t *node)
{
    uintptr_t address = (uintptr_t)node->feature;
    struct known *known = &words->known[(address ^ address >> 14) * 2654435761u >> 8 & (KNOWN_MAX - 1)];
    if (known->feature != node->feature) {
        *known = (struct known){node->feature, feature_field(node->feature, FEATURE_BASE)};
    }
    return known->base;
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

static void emit_term(const struct emitter *e, struct mirai_str term, size_t start, size_t end)
{
    if (!is_stopword(term)) {
        const struct analyzer_token token = {ANALYZER_WORD, mirai_utf8_prefix(term, ANALYZER_TERM_MAX), start,
                                             end};
        e->callback(e->data, &token);
    }
}

static void emit_word(const struct emitter *e, struct mirai_str base, size_t start, size_t end)
{
    char spelled[SPELLING_MAX];
    struct mirai_str surface = {e->text.data + start, end - start};
    struct mirai_str term = base.len != 0 ? base : surface;
    if (!is_stopword(term)) {
        emit_term(e, spelling_key(term, spelled), start, end);
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
        emit_term(e, number, e->number_start, e->number_end);
    } else {
        unsigned len;
        for (size_t at = e->number_start; at < e->number_end; at += len) {
            utf8_decode(e->text.data + at, e->text.data + e->number_end, &len);
            emit_term(e, (struct mirai_str){e->text.data + at, len}, at, at + len);
        }
    }
    e->number_end = 0;
}

static void put_word(struct emitter *e, struct mirai_str base, bool number, size_t start, size_t end)
{
    if (number && e->number_end == start) {
        e->number_end = end;
        return;
    }
    flush_number(e);
    if (number) {
        e->number_start = start;
        e->number_end = end;
    } else {
        emit_word(e, base, start, end);
    }
}

static void on_node(void *data, const mecab_node_t *node, size_t from)
{
    struct emitter *e = data;
    if (node->posid >= sizeof(kept) / sizeof(kept[0]) || !kept[node->posid]) {
        return;
    }
    struct mirai_str base = base_of(e->words, node);
    bool number = node->posid == POS_NUMBER;
    if (e->run != NULL && (e->run->words_len == RUN_WORDS_MAX || base.len > UINT8_MAX)) {
        e->run->len = 0; /* too many to be kept */
        e->run = NULL;
    }
    if (e->run != NULL) {
        size_t start = from - e->run_start;
        e->run->words[e->run->words_len++] =
            (struct run_word){base.len != 0 ? base.data : NULL, (uint8_t)base.len, (uint8_t)start,
                              (uint8_t)(start + node->length), number};
    }
    put_word(e, base, number, from, from + node->length);
}

static uint32_t hash_bytes(const char *data, size_t len) /* FNV-1a */
{
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < len; i++) {
        hash = (hash ^ (unsigned char)data[i]) * 16777619u;
    }
    return hash ^ hash >> 15;
}

void words_run(struct words *words, struct mirai_str text, size_t start, size_t end,
               analyzer_token_cb callback, void *data)
{
    struct emitter e = {.words = words, .text = text, .callback = callback, .data = data, .run_start = start};
    size_t len = end - start;
    if (len > RUN_BYTES_MAX) {
        each_node(words, text, start, end, on_node, &e);
        flush_number(&e);
        return;
    }
    uint32_t hash = hash_bytes(text.data + start, len);
    struct run *run = &words->runs[hash & (RUNS_MAX - 1)];
    if (run->len == len && run->hash == hash && memcmp(run->text, text.data + start, len) == 0) {
        for (size_t i = 0; i < run->words_len; i++) {
            const struct run_word *word = &run->words[i];
            put_word(&e, (struct mirai_str){word->base, word->base_len}, word->number != 0,
                     start + word->start, start + word->end);
        }
    } else {
        run->hash = hash;
        run->len = (uint8_t)len;
        run->words_len = 0;
        memcpy(run->text, text.data + start, len);
        e.run = run;
        each_node(words, text, start, end, on_node, &e);
    }
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
