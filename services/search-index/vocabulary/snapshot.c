#include "services/search-index/vocabulary/snapshot.h"

#include "libcommon/arena.h"
#include "services/search-index/analyzer/romaji.h"
#include "services/search-index/terms.h"
#include "services/search-index/vocabulary/phrases.h"

#include <stdlib.h>

/* A word or term. */
struct entry {
    struct mirai_str key; /* folded */
    uint32_t hash;
    bool word;
    struct mirai_str surface; /* of a word, as the Admin wrote it */
    struct mirai_str text;    /* normalised */
    struct mirai_str reading;
    struct vocabulary_phrase phrases[VOCABULARY_PHRASES_OF_TERM]; /* how it stands in texts */
    uint32_t phrases_len;
    uint32_t *sets; /* that it is in */
    uint32_t sets_len;
};

struct set {
    uint32_t *members; /* entries */
    uint32_t members_len;
};

/* Lengths in characters of the keys that begin with a character. */
struct lengths {
    uint32_t first; /* 0: free */
    uint64_t bits[2];
};

struct vocabulary_snapshot {
    struct mirai_arena arena;
    struct entry *entries;
    size_t entries_len;
    size_t entries_cap;
    struct set *sets;
    size_t sets_len;
    size_t words_len;
    uint32_t *slots; /* open addressing: entry + 1 */
    size_t slots_len;
    struct lengths *firsts; /* open addressing */
    size_t firsts_len;
};

/* ------------------------------------------------------------------ folding */

/* Normalised text with one space for whatever joins words, without the long mark at the end of a long katakana word. */
struct folded {
    struct mirai_buf text;
    uint32_t *from; /* of each byte: where its character begins in the original */
    uint32_t *to;   /* and ends, with what was left out after it */
};

static bool is_joiner(uint32_t cp)
{
    return cp == ' ' || cp == '\n' || cp == '-' || cp == '/' || cp == '_' || cp == 0x30FB;
}

static void fold(struct folded *out, struct mirai_str text)
{
    const char *end = text.data + text.len;
    unsigned katakana = 0;
    mirai_buf_reserve(&out->text, text.len + 1);
    out->from = mirai_realloc(NULL, (text.len + 1) * sizeof(out->from[0]));
    out->to = mirai_realloc(NULL, (text.len + 1) * sizeof(out->to[0]));
    for (size_t at = 0; at < text.len;) {
        unsigned len;
        unsigned next_len;
        uint32_t cp = utf8_decode(text.data + at, end, &len);
        size_t n = out->text.len;
        katakana = char_class(cp) == CHAR_KATAKANA ? katakana + 1 : 0;
        bool last = at + len >= text.len ||
                    char_class(utf8_decode(text.data + at + len, end, &next_len)) != CHAR_KATAKANA;
        if (cp == 0x30FC && katakana >= 4 && last) {
            for (unsigned i = 1; i <= 3; i++) {
                out->to[n - i] = (uint32_t)(at + len);
            }
        } else if (is_joiner(cp)) {
            if (n > 0 && out->text.data[n - 1] != ' ') {
                mirai_buf_append_char(&out->text, ' ');
            }
        } else {
            mirai_buf_append(&out->text, text.data + at, len);
        }
        for (; n < out->text.len; n++) {
            out->from[n] = (uint32_t)at;
            out->to[n] = (uint32_t)(at + len);
        }
        at += len;
    }
}

static void folded_free(struct folded *folded)
{
    mirai_buf_free(&folded->text);
    free(folded->from);
    free(folded->to);
}

/* ------------------------------------------------------------------ keys */

#define HASH_START 2166136261u

static uint32_t hash_add(uint32_t hash, const char *data, size_t len) /* FNV-1a */
{
    for (size_t i = 0; i < len; i++) {
        hash = (hash ^ (unsigned char)data[i]) * 16777619u;
    }
    return hash;
}

static size_t slot_of(uint32_t hash, size_t slots_len)
{
    return (hash ^ hash >> 15) & (slots_len - 1);
}

static struct entry *find(const struct vocabulary_snapshot *snapshot, struct mirai_str key, uint32_t hash)
{
    for (size_t at = slot_of(hash, snapshot->slots_len); snapshot->slots[at] != 0;
         at = (at + 1) & (snapshot->slots_len - 1)) {
        struct entry *entry = &snapshot->entries[snapshot->slots[at] - 1];
        if (entry->hash == hash && mirai_str_eq(entry->key, key)) {
            return entry;
        }
    }
    return NULL;
}

static struct lengths *lengths_of(const struct vocabulary_snapshot *snapshot, uint32_t first)
{
    size_t at = slot_of(first * 2654435761u, snapshot->firsts_len);
    while (snapshot->firsts[at].first != 0 && snapshot->firsts[at].first != first) {
        at = (at + 1) & (snapshot->firsts_len - 1);
    }
    return &snapshot->firsts[at];
}

/* ------------------------------------------------------------------ building */

struct builder {
    struct vocabulary_snapshot *snapshot;
    struct analyzer *analyzer;
    struct normalized text;
};

/* The entry of a term, made when it is new; NULL: it has nothing to find, or is too long. */
static struct entry *put_entry(struct builder *b, struct mirai_str written)
{
    struct vocabulary_snapshot *snapshot = b->snapshot;
    struct folded folded = {0};
    struct entry *entry = NULL;
    normalize(&b->text, written, false);
    fold(&folded, mirai_buf_str(&b->text.text));
    struct mirai_str key = mirai_buf_str(&folded.text);
    while (key.len > 0 && key.data[key.len - 1] == ' ') {
        key.len--;
    }
    size_t chars = mirai_utf8_length(key);
    uint32_t hash = hash_add(HASH_START, key.data, key.len);
    if (chars > 0 && chars <= VOCABULARY_TERM_MAX) {
        entry = find(snapshot, key, hash);
    }
    if (entry == NULL && chars > 0 && chars <= VOCABULARY_TERM_MAX) {
        unsigned len;
        entry = &snapshot->entries[snapshot->entries_len++]; /* there is room: counted before */
        *entry = (struct entry){.key = mirai_arena_copy(&snapshot->arena, key), .hash = hash};
        entry->text = mirai_arena_copy(&snapshot->arena, mirai_buf_str(&b->text.text));
        entry->phrases_len =
            (uint32_t)phrases_make(b->analyzer, &snapshot->arena, entry->text, entry->phrases);
        size_t at = slot_of(hash, snapshot->slots_len);
        while (snapshot->slots[at] != 0) {
            at = (at + 1) & (snapshot->slots_len - 1);
        }
        snapshot->slots[at] = (uint32_t)snapshot->entries_len;
        uint32_t first = utf8_decode(key.data, key.data + key.len, &len);
        struct lengths *lengths = lengths_of(snapshot, first);
        lengths->first = first;
        lengths->bits[chars / 64] |= UINT64_C(1) << chars % 64;
    }
    folded_free(&folded);
    return entry;
}

static void put_word(struct builder *b, const struct mirai_dictionary_word *word)
{
    struct entry *entry = put_entry(b, word->surface);
    if (entry == NULL || entry->word) {
        return;
    }
    struct mirai_buf reading = {0};
    entry->word = true;
    entry->surface = mirai_arena_copy(&b->snapshot->arena, word->surface);
    entry->phrases_len =
        (uint32_t)phrases_make_word(b->analyzer, &b->snapshot->arena, entry->text, entry->phrases);
    if (mirai_has(dictionary_word, word, reading) && word->reading.len != 0) {
        normalize(&b->text, word->reading, false);
        kana_to_katakana(mirai_buf_str(&b->text.text), &reading);
    } else {
        analyzer_reading(b->analyzer, entry->text, &reading);
    }
    entry->reading = mirai_arena_copy(&b->snapshot->arena, mirai_buf_str(&reading));
    mirai_buf_free(&reading);
    b->snapshot->words_len++;
}

static void put_set(struct builder *b, const struct mirai_synonyms *synonyms)
{
    struct vocabulary_snapshot *snapshot = b->snapshot;
    uint32_t number = (uint32_t)snapshot->sets_len;
    struct set set = {mirai_arena_alloc(&snapshot->arena, (synonyms->terms.count + 1) * sizeof(uint32_t)), 0};
    for (size_t i = 0; i < synonyms->terms.count; i++) {
        struct entry *entry = put_entry(b, synonyms->terms.items[i]);
        if (entry == NULL || (entry->sets_len > 0 && entry->sets[entry->sets_len - 1] == number)) {
            continue; /* nothing to find, or there already in another spelling */
        }
        uint32_t *sets = mirai_arena_alloc(&snapshot->arena, (entry->sets_len + 1) * sizeof(uint32_t));
        if (entry->sets_len > 0) {
            memcpy(sets, entry->sets, entry->sets_len * sizeof(uint32_t));
        }
        sets[entry->sets_len++] = number;
        entry->sets = sets;
        set.members[set.members_len++] = (uint32_t)(entry - snapshot->entries);
    }
    snapshot->sets[snapshot->sets_len++] = set;
}

struct vocabulary_snapshot *vocabulary_snapshot_new(struct analyzer *analyzer,
                                                    const struct mirai_synonyms_page *synonyms,
                                                    const struct mirai_dictionary_page *dictionary)
{
    struct vocabulary_snapshot *snapshot = mirai_alloc(sizeof(*snapshot));
    struct builder builder = {.snapshot = snapshot, .analyzer = analyzer};
    size_t sets = synonyms != NULL ? synonyms->items.count : 0;
    size_t words = dictionary != NULL ? dictionary->items.count : 0;
    size_t most = words;
    for (size_t i = 0; i < sets; i++) {
        most += MIRAI_ITEMS(synonyms, &synonyms->items)[i].terms.count;
    }
    snapshot->entries = mirai_alloc((most + 1) * sizeof(snapshot->entries[0]));
    snapshot->sets = mirai_alloc((sets + 1) * sizeof(snapshot->sets[0]));
    snapshot->slots_len = 64;
    while (snapshot->slots_len < most * 2) {
        snapshot->slots_len *= 2;
    }
    snapshot->firsts_len = snapshot->slots_len;
    snapshot->slots = mirai_alloc(snapshot->slots_len * sizeof(snapshot->slots[0]));
    snapshot->firsts = mirai_alloc(snapshot->firsts_len * sizeof(snapshot->firsts[0]));
    for (size_t i = 0; i < words; i++) {
        put_word(&builder, &MIRAI_ITEMS(dictionary_word, &dictionary->items)[i]);
    }
    for (size_t i = 0; i < sets; i++) {
        put_set(&builder, &MIRAI_ITEMS(synonyms, &synonyms->items)[i]);
    }
    normalized_free(&builder.text);
    return snapshot;
}

void vocabulary_snapshot_free(struct vocabulary_snapshot *snapshot)
{
    if (snapshot != NULL) {
        free(snapshot->entries);
        free(snapshot->sets);
        free(snapshot->slots);
        free(snapshot->firsts);
        mirai_arena_free(&snapshot->arena);
        free(snapshot);
    }
}

size_t vocabulary_sets(const struct vocabulary_snapshot *snapshot)
{
    return snapshot->sets_len;
}

size_t vocabulary_words(const struct vocabulary_snapshot *snapshot)
{
    return snapshot->words_len;
}

void vocabulary_each_word(const struct vocabulary_snapshot *snapshot, vocabulary_word_cb callback, void *data)
{
    for (size_t i = 0; i < snapshot->entries_len; i++) {
        const struct entry *entry = &snapshot->entries[i];
        if (entry->word) {
            callback(data, entry->surface, entry->text, entry->reading);
        }
    }
}

/* ------------------------------------------------------------------ finding */

struct query_text {
    struct mirai_str text; /* normalised */
    const uint8_t *words;  /* analyzer_boundaries() */
    struct folded folded;
};

static uint32_t char_before(struct mirai_str text, size_t at)
{
    unsigned len;
    size_t start = at - 1;
    while (start > 0 && ((unsigned char)text.data[start] & 0xC0) == 0x80) {
        start--;
    }
    return utf8_decode(text.data + start, text.data + text.len, &len);
}

static uint32_t char_after(struct mirai_str text, size_t at)
{
    unsigned len;
    return utf8_decode(text.data + at, text.data + text.len, &len);
}

static bool joins_identifiers(uint32_t cp)
{
    return cp == '.' || cp == '_' || cp == '@' || cp == ':' || cp == '\\';
}

/* Whether a word may begin or end between the characters at `at`. */
static bool is_edge(const struct query_text *query, size_t at, bool anywhere)
{
    struct mirai_str text = query->text;
    if (at == 0 || at == text.len) {
        return true;
    }
    uint32_t left = char_before(text, at);
    uint32_t right = char_after(text, at);
    enum char_class before = char_class(left);
    enum char_class after = char_class(right);
    if (joins_identifiers(right) && before == CHAR_LATIN) { /* a host name, a path: its parts are not words */
        return at + 1 >= text.len || char_class(char_after(text, at + 1)) != CHAR_LATIN;
    }
    if (joins_identifiers(left) && after == CHAR_LATIN) {
        return at < 2 || char_class(char_before(text, at - 1)) != CHAR_LATIN;
    }
    if (before != after) {
        return true;
    }
    return before == CHAR_BREAK || (before != CHAR_LATIN && (query->words[at] != 0 || anywhere));
}

/* A word of the dictionary that ends or begins in hiragana: MeCab, which does not know it, may cut there as it likes. */
static bool may_stand_anywhere(const struct entry *entry, uint32_t edge_char)
{
    return entry->word && char_class(edge_char) == CHAR_HIRAGANA && entry->key.len >= 9;
}

static bool stands_as_word(const struct query_text *query, const struct entry *entry, size_t start,
                           size_t *end)
{
    if (!is_edge(query, start, may_stand_anywhere(entry, char_after(query->text, start)))) {
        return false;
    }
    if (is_edge(query, *end, may_stand_anywhere(entry, char_before(query->text, *end)))) {
        return true;
    }
    bool plural = query->text.data[*end] == 's' && char_class(char_before(query->text, *end)) == CHAR_LATIN &&
                  is_edge(query, *end + 1, false);
    *end += plural;
    return plural;
}

/* The longest entry at byte `at` of the folded text; *end receives where it ends in the original, *after in the folded text. */
static const struct entry *longest_at(const struct vocabulary_snapshot *snapshot,
                                      const struct query_text *query, size_t at, size_t *end, size_t *after)
{
    struct mirai_str text = mirai_buf_str(&query->folded.text);
    const char *limit = text.data + text.len;
    unsigned len;
    const struct lengths *lengths = lengths_of(snapshot, utf8_decode(text.data + at, limit, &len));
    const struct entry *best = NULL;
    uint32_t hash = HASH_START;
    size_t stop = at;
    for (unsigned chars = 1; lengths->first != 0 && chars <= VOCABULARY_TERM_MAX && stop < text.len;
         chars++) {
        uint64_t more = lengths->bits[chars / 64] >> chars % 64;
        if (more == 0 && (chars >= 64 || lengths->bits[1] == 0)) {
            break;
        }
        utf8_decode(text.data + stop, limit, &len);
        hash = hash_add(hash, text.data + stop, len);
        stop += len;
        const struct entry *entry =
            (more & 1) != 0 ? find(snapshot, (struct mirai_str){text.data + at, stop - at}, hash) : NULL;
        size_t original = query->folded.to[stop - 1];
        if (entry != NULL && stands_as_word(query, entry, query->folded.from[at], &original)) {
            best = entry;
            *end = original;
            *after = stop;
        }
    }
    return best;
}

static void add_phrases(struct vocabulary_phrase *out, size_t *count, const struct entry *entry, bool synonym)
{
    for (size_t i = 0; i < entry->phrases_len && *count < VOCABULARY_PHRASES_MAX; i++) {
        out[*count] = entry->phrases[i];
        out[*count].synonym = synonym;
        out[*count].weight = synonym ? VOCABULARY_SYNONYM_WEIGHT : 1;
        ++*count;
    }
}

static void offer(const struct vocabulary_snapshot *snapshot, const struct entry *entry, size_t start,
                  size_t end, vocabulary_match_cb callback, void *data)
{
    struct vocabulary_phrase phrases[VOCABULARY_PHRASES_MAX];
    struct vocabulary_match match = {start, end, entry->word, phrases, 0};
    if (entry->word) {
        add_phrases(phrases, &match.phrases_len, entry, false);
    }
    for (size_t i = 0; i < entry->sets_len; i++) {
        const struct set *set = &snapshot->sets[entry->sets[i]];
        for (size_t j = 0; j < set->members_len; j++) {
            const struct entry *other = &snapshot->entries[set->members[j]];
            if (other != entry) {
                add_phrases(phrases, &match.phrases_len, other, true);
            }
        }
    }
    if (match.phrases_len > 0) {
        callback(data, &match);
    }
}

void vocabulary_expand(const struct vocabulary_snapshot *snapshot, struct analyzer *analyzer,
                       struct mirai_str normalised, vocabulary_match_cb callback, void *data)
{
    if (snapshot->entries_len == 0 || normalised.len == 0) {
        return;
    }
    uint8_t *words = mirai_alloc(normalised.len + 1);
    struct query_text query = {.text = normalised, .words = words};
    analyzer_boundaries(analyzer, normalised, words);
    fold(&query.folded, normalised);
    for (size_t at = 0; at < query.folded.text.len;) {
        size_t end = 0;
        size_t after = 0;
        unsigned len;
        const struct entry *entry = longest_at(snapshot, &query, at, &end, &after);
        if (entry != NULL) {
            offer(snapshot, entry, query.folded.from[at], end, callback, data);
            at = after;
        } else {
            utf8_decode(query.folded.text.data + at, query.folded.text.data + query.folded.text.len, &len);
            at += len;
        }
    }
    folded_free(&query.folded);
    free(words);
}
