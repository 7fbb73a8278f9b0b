#include "services/search-index/analyzer/words.h"

#include "libcommon/log.h"
#include "services/search-index/analyzer/romaji.h"
#include "services/search-index/analyzer/stopwords.h"

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

/* Fields of ipadic's features. */
#define FEATURE_BASE    6
#define FEATURE_READING 7

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

/* JIS Z 8301: the long mark at the end of a katakana word of three sounds or more may be left out (サーバー,
 * サーバ). */
static struct mirai_str drop_long_mark(struct mirai_str word)
{
    if (word.len < 12 || memcmp(word.data + word.len - 3, "ー", 3) != 0) {
        return word;
    }
    for (size_t i = 0; i < word.len; i += 3) {
        unsigned len;
        if (char_class(utf8_decode(word.data + i, word.data + word.len, &len)) != CHAR_KATAKANA) {
            return word;
        }
    }
    return (struct mirai_str){word.data, word.len - 3};
}

static void emit_nodes(mecab_lattice_t *lattice, struct mirai_str text, size_t start,
                       analyzer_token_cb callback, void *data)
{
    for (const mecab_node_t *node = mecab_lattice_get_bos_node(lattice); node != NULL; node = node->next) {
        bool word = (node->stat == MECAB_NOR_NODE || node->stat == MECAB_UNK_NODE) && node->length != 0;
        if (!word || node->posid >= sizeof(kept) / sizeof(kept[0]) || !kept[node->posid]) {
            continue;
        }
        size_t from = start + (size_t)(node->surface - mecab_lattice_get_sentence(lattice));
        struct mirai_str surface = {text.data + from, node->length};
        struct mirai_str base = feature_field(node->feature, FEATURE_BASE);
        struct mirai_str term = drop_long_mark(base.len != 0 ? base : surface);
        if (!is_stopword(term)) {
            const struct analyzer_token token = {ANALYZER_WORD, mirai_utf8_prefix(term, ANALYZER_TERM_MAX),
                                                 from, from + surface.len};
            callback(data, &token);
        }
    }
}

void words_run(mecab_t *tagger, mecab_lattice_t *lattice, struct mirai_str text, size_t start, size_t end,
               analyzer_token_cb callback, void *data)
{
    while (start < end) {
        struct mirai_str chunk =
            mirai_utf8_prefix((struct mirai_str){text.data + start, end - start}, CHUNK_MAX);
        mecab_lattice_set_sentence2(lattice, chunk.data, chunk.len);
        if (mecab_parse_lattice(tagger, lattice)) {
            emit_nodes(lattice, text, start, callback, data);
        }
        mecab_lattice_clear(lattice);
        start += chunk.len;
    }
}

void words_reading(mecab_t *tagger, mecab_lattice_t *lattice, struct mirai_str text, size_t start, size_t end,
                   struct mirai_buf *out)
{
    while (start < end) {
        struct mirai_str chunk =
            mirai_utf8_prefix((struct mirai_str){text.data + start, end - start}, CHUNK_MAX);
        mecab_lattice_set_sentence2(lattice, chunk.data, chunk.len);
        const mecab_node_t *node =
            mecab_parse_lattice(tagger, lattice) ? mecab_lattice_get_bos_node(lattice) : NULL;
        for (; node != NULL; node = node->next) {
            struct mirai_str reading = feature_field(node->feature, FEATURE_READING);
            if (node->stat != MECAB_NOR_NODE && node->stat != MECAB_UNK_NODE) {
                continue;
            }
            if (reading.len != 0) {
                mirai_buf_append_str(out, reading);
            } else {
                kana_to_katakana((struct mirai_str){node->surface, node->length}, out);
            }
        }
        mecab_lattice_clear(lattice);
        start += chunk.len;
    }
}
