#include "services/search-index/help/lexicon.h"

#include "services/search-index/analyzer/romaji.h"

#include <stdlib.h>

/* Words held while the dictionaries are read: beyond it those of the lowest frequency go. */
#define COLLECT_MAX (2 * LEXICON_WORDS_MAX)

struct word {
    uint64_t letters; /* which bytes its key has, folded to 64 */
    uint32_t offset;  /* in `bytes`: the word, then its key */
    uint32_t df;
    uint8_t len;
    uint8_t key_len;
    uint8_t script;
};

struct lexicon {
    atomic_uint references;
    struct word *words;
    size_t count;
    struct mirai_buf bytes;
};

/* ------------------------------------------------------------------ distance */

unsigned lexicon_distance(struct mirai_str a, struct mirai_str b, unsigned most)
{
    /* optimal string alignment: Damerau 1964 with each piece edited once (Boytsov 2011, "Indexing methods for
       approximate dictionary searching", section 2) */
    uint8_t rows[3][LEXICON_KEY_MAX + 1];
    size_t difference = a.len > b.len ? a.len - b.len : b.len - a.len;
    if (difference > most || a.len > LEXICON_KEY_MAX || b.len > LEXICON_KEY_MAX) {
        return most + 1;
    }
    for (size_t j = 0; j <= b.len; j++) {
        rows[0][j] = (uint8_t)j;
    }
    for (size_t i = 1; i <= a.len; i++) {
        uint8_t *row = rows[i % 3];
        const uint8_t *above = rows[(i + 2) % 3];
        const uint8_t *before = rows[(i + 1) % 3];
        uint8_t least = row[0] = (uint8_t)i;
        for (size_t j = 1; j <= b.len; j++) {
            bool same = a.data[i - 1] == b.data[j - 1];
            unsigned cost = above[j - 1] + !same;
            cost = above[j] + 1u < cost ? above[j] + 1u : cost;
            cost = row[j - 1] + 1u < cost ? row[j - 1] + 1u : cost;
            if (i > 1 && j > 1 && a.data[i - 1] == b.data[j - 2] && a.data[i - 2] == b.data[j - 1]) {
                cost = before[j - 2] + 1u < cost ? before[j - 2] + 1u : cost;
            }
            row[j] = (uint8_t)cost;
            least = cost < least ? (uint8_t)cost : least;
        }
        if (least > most) {
            return most + 1;
        }
    }
    unsigned distance = rows[a.len % 3][b.len];
    return distance <= most ? distance : most + 1;
}

/* One edit changes at most two of these bits. */
static uint64_t letters_of(struct mirai_str key)
{
    uint64_t letters = 0;
    for (size_t i = 0; i < key.len; i++) {
        letters |= UINT64_C(1) << ((unsigned char)key.data[i] & 63);
    }
    return letters;
}

/* ------------------------------------------------------------------ collecting */

struct collector {
    struct word *words;
    size_t len;
    uint32_t *slots; /* open addressing: index + 1 */
    size_t slots_len;
    struct mirai_buf bytes;
    uint32_t least; /* frequency below which words are left out */
    const atomic_bool *stop;
};

static uint32_t hash(struct mirai_str s)
{
    uint32_t h = 2166136261u; /* FNV-1a */
    for (size_t i = 0; i < s.len; i++) {
        h = (h ^ (unsigned char)s.data[i]) * 16777619u;
    }
    return h ^ h >> 15;
}

static struct mirai_str word_text(const struct mirai_buf *bytes, const struct word *word)
{
    return (struct mirai_str){bytes->data + word->offset, word->len};
}

static uint32_t *find_slot(const struct collector *collector, struct mirai_str text)
{
    for (size_t at = hash(text) & (collector->slots_len - 1);; at = (at + 1) & (collector->slots_len - 1)) {
        uint32_t slot = collector->slots[at];
        if (slot == 0 || mirai_str_eq(word_text(&collector->bytes, &collector->words[slot - 1]), text)) {
            return &collector->slots[at];
        }
    }
}

/* Leave out the rarest until half of the room is free. A word that comes back later begins anew: it was rare. */
static void thin_out(struct collector *collector)
{
    while (collector->len > COLLECT_MAX / 2) {
        size_t kept = 0;
        struct mirai_buf bytes = {0};
        collector->least++;
        for (size_t i = 0; i < collector->len; i++) {
            struct word word = collector->words[i];
            if (word.df >= collector->least) {
                struct mirai_str text = word_text(&collector->bytes, &word);
                word.offset = (uint32_t)bytes.len;
                mirai_buf_append_str(&bytes, text);
                collector->words[kept++] = word;
            }
        }
        mirai_buf_free(&collector->bytes);
        collector->bytes = bytes;
        collector->len = kept;
    }
    memset(collector->slots, 0, collector->slots_len * sizeof(collector->slots[0]));
    for (size_t i = 0; i < collector->len; i++) {
        *find_slot(collector, word_text(&collector->bytes, &collector->words[i])) = (uint32_t)i + 1;
    }
}

/* Words of letters only: numbers and identifiers are right or wrong, not misspelt. */
static bool script_of(struct mirai_str text, enum lexicon_script *script)
{
    size_t latin = 0;
    size_t japanese = 0;
    size_t chars = 0;
    unsigned len;
    for (size_t at = 0; at < text.len; at += len, chars++) {
        char c = text.data[at];
        enum char_class class = char_class(utf8_decode(text.data + at, text.data + text.len, &len));
        latin += c >= 'a' && c <= 'z';
        japanese += class == CHAR_HIRAGANA || class == CHAR_KATAKANA || class == CHAR_HAN;
    }
    *script = latin == chars ? LEXICON_LATIN : LEXICON_JAPANESE;
    return text.len <= LEXICON_WORD_MAX &&
           ((latin == chars && chars >= 3) || (japanese == chars && chars >= 2));
}

static bool collect(void *data, struct mirai_str key, const struct segment_term *term)
{
    struct collector *collector = data;
    enum lexicon_script script;
    if (script_of(key, &script)) {
        uint32_t *slot = find_slot(collector, key);
        if (*slot != 0) {
            collector->words[*slot - 1].df += term->df;
        } else if (term->df >= collector->least) {
            collector->words[collector->len++] = (struct word){.offset = (uint32_t)collector->bytes.len,
                                                               .df = term->df,
                                                               .len = (uint8_t)key.len,
                                                               .script = (uint8_t)script};
            mirai_buf_append_str(&collector->bytes, key);
            *slot = (uint32_t)collector->len;
            if (collector->len == COLLECT_MAX) {
                thin_out(collector);
            }
        }
    }
    return collector->stop == NULL || !atomic_load_explicit(collector->stop, memory_order_relaxed);
}

/* Terms of other kinds begin with bytes below the space. */
static void collect_all(struct collector *collector, const struct segment *segment)
{
    for (int first = 'a'; first <= 0xEF; first = first == 'z' ? 0xC2 : first + 1) {
        char prefix = (char)first;
        segment_each_term(segment, (struct mirai_str){&prefix, 1}, collect, collector);
    }
}

/* ------------------------------------------------------------------ building */

static void add_word(struct lexicon *lexicon, const struct word *from, struct mirai_str text,
                     struct analyzer *analyzer, struct mirai_buf *reading, struct mirai_buf *key)
{
    struct word *word = &lexicon->words[lexicon->count];
    *word = *from;
    key->len = 0;
    if (word->script == LEXICON_JAPANESE) {
        reading->len = 0;
        analyzer_reading(analyzer, text, reading);
        romaji_key(mirai_buf_str(reading), key);
    } else {
        mirai_buf_append_str(key, text);
    }
    if (key->len == 0 || key->len > LEXICON_KEY_MAX) {
        return;
    }
    word->offset = (uint32_t)lexicon->bytes.len;
    word->key_len = (uint8_t)key->len;
    word->letters = letters_of(mirai_buf_str(key));
    mirai_buf_append_str(&lexicon->bytes, text);
    mirai_buf_append_str(&lexicon->bytes, mirai_buf_str(key));
    lexicon->count++;
}

struct lexicon *lexicon_build(struct segment *const *segments, size_t count, struct analyzer *analyzer,
                              const atomic_bool *stop)
{
    struct collector collector = {.slots_len = 1, .least = 1, .stop = stop};
    struct mirai_buf reading = {0};
    struct mirai_buf key = {0};
    while (collector.slots_len < 2 * COLLECT_MAX) {
        collector.slots_len *= 2;
    }
    collector.words = mirai_realloc(NULL, COLLECT_MAX * sizeof(collector.words[0]));
    collector.slots = mirai_alloc(collector.slots_len * sizeof(collector.slots[0]));
    for (size_t i = 0; i < count; i++) {
        collect_all(&collector, segments[i]);
    }
    if (collector.len > LEXICON_WORDS_MAX) {
        thin_out(&collector);
    }
    struct lexicon *lexicon = mirai_alloc(sizeof(*lexicon));
    atomic_init(&lexicon->references, 1);
    lexicon->words = mirai_realloc(NULL, (collector.len + 1) * sizeof(lexicon->words[0]));
    bool stopped = false;
    for (size_t i = 0; i < collector.len && !stopped; i++) {
        const struct word *word = &collector.words[i];
        add_word(lexicon, word, word_text(&collector.bytes, word), analyzer, &reading, &key);
        stopped = stop != NULL && atomic_load_explicit(stop, memory_order_relaxed);
    }
    mirai_buf_free(&collector.bytes);
    mirai_buf_free(&reading);
    mirai_buf_free(&key);
    free(collector.words);
    free(collector.slots);
    if (stopped) {
        lexicon_release(lexicon);
        return NULL;
    }
    return lexicon;
}

struct lexicon *lexicon_retain(struct lexicon *lexicon)
{
    atomic_fetch_add_explicit(&lexicon->references, 1, memory_order_relaxed);
    return lexicon;
}

void lexicon_release(struct lexicon *lexicon)
{
    if (lexicon != NULL && atomic_fetch_sub_explicit(&lexicon->references, 1, memory_order_acq_rel) == 1) {
        mirai_buf_free(&lexicon->bytes);
        free(lexicon->words);
        free(lexicon);
    }
}

size_t lexicon_count(const struct lexicon *lexicon)
{
    return lexicon->count;
}

/* ------------------------------------------------------------------ finding */

static bool better(const struct lexicon_match *a, const struct lexicon_match *b)
{
    return a->distance != b->distance ? a->distance < b->distance : a->df > b->df;
}

/* Kanji and kana take three bytes each. */
static bool differ_in_one(struct mirai_str a, struct mirai_str b)
{
    size_t different = 0;
    if (a.len != b.len) {
        return false;
    }
    for (size_t at = 0; at + 3 <= a.len; at += 3) {
        different += memcmp(a.data + at, b.data + at, 3) != 0;
    }
    return different == 1;
}

size_t lexicon_near(const struct lexicon *lexicon, const struct lexicon_query *query,
                    struct lexicon_match *out, size_t max)
{
    struct mirai_str key = query->key;
    unsigned most = query->most;
    uint64_t letters = letters_of(key);
    size_t found = 0;
    for (size_t i = 0; i < lexicon->count; i++) {
        const struct word *word = &lexicon->words[i];
        if (__builtin_popcountll(word->letters ^ letters) > (int)(2 * most) ||
            word->script != query->script ||
            (query->like.len > 0 && !differ_in_one(word_text(&lexicon->bytes, word), query->like))) {
            continue;
        }
        struct mirai_str other = {lexicon->bytes.data + word->offset + word->len, word->key_len};
        unsigned distance = lexicon_distance(key, other, most);
        const struct lexicon_match match = {word_text(&lexicon->bytes, word), word->df, distance};
        if (distance > most || (found == max && !better(&match, &out[max - 1]))) {
            continue;
        }
        size_t at = found < max ? found++ : max - 1;
        for (; at > 0 && better(&match, &out[at - 1]); at--) {
            out[at] = out[at - 1];
        }
        out[at] = match;
    }
    return found;
}
