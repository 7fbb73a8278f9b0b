#include "services/search-index/help/correct.h"

#include "services/search-index/analyzer/romaji.h"
#include "services/search-index/terms.h"

#include <math.h>

/* Words of a query that are looked at, and that are changed. */
#define UNITS_MAX       16
#define CHANGES_MAX     3

#define CANDIDATES_MAX  8
#define POSTINGS_BUDGET 2000

/* A query that found so much is not read as kana that were left unconverted. */
#define FEW_HITS 3

/* A word in so few documents, beside one that is so many times as frequent, is a slip that others made, too. */
#define RARE          2
#define FAR_MORE      100
#define SHORTEST_WORD 4 /* letters; shorter ones have too many neighbours */

/* A stretch of the query that may be misspelt. */
struct unit {
    struct mirai_str text; /* normalised */
    bool joined;           /* two words that never stand together */
};

struct corrector {
    const struct correct_request *request;
    struct mirai_arena *arena;
    struct normalized normal; /* of the whole query, with the way back */
    struct unit units[UNITS_MAX];
    size_t units_len;
    struct mirai_buf key;
    struct mirai_buf scratch;
};

struct change {
    size_t from; /* bytes of the query as it was typed */
    size_t to;
    struct mirai_str word;
};

/* ------------------------------------------------------------------ what is misspelt */

static enum char_class first_class(struct mirai_str text)
{
    unsigned len;
    return text.len > 0 ? char_class(utf8_decode(text.data, text.data + text.len, &len)) : CHAR_BREAK;
}

static bool has_digit(struct mirai_str text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] >= '0' && text.data[i] <= '9') {
            return true;
        }
    }
    return false;
}

static bool only_letters(struct mirai_str text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < 'a' || text.data[i] > 'z') {
            return false;
        }
    }
    return true;
}

/* Whether the principal may see a document with the term, in any of its ways. */
static bool is_seen(const struct corrector *corrector, const struct query_term *term)
{
    for (size_t i = 0; i < term->alternatives_len; i++) {
        const struct query_alternative *alternative = &term->alternatives[i];
        struct mirai_str keys[VIEWER_KEYS_MAX];
        size_t count = 0;
        for (; count < alternative->parts_len && count < VIEWER_KEYS_MAX; count++) {
            keys[count] = alternative->parts[count].key;
        }
        if (viewer_finds(corrector->request->viewer, keys, count, POSTINGS_BUDGET)) {
            return true;
        }
    }
    return false;
}

static void add_unit(struct corrector *corrector, struct mirai_str text, bool joined)
{
    for (size_t i = 0; i < corrector->units_len; i++) {
        struct mirai_str other = corrector->units[i].text;
        if (memmem(other.data, other.len, text.data, text.len) != NULL) {
            return; /* part of one that is looked at already */
        }
    }
    if (corrector->units_len < UNITS_MAX) {
        corrector->units[corrector->units_len++] = (struct unit){text, joined};
    }
}

static size_t last_char(struct mirai_str text)
{
    size_t at = text.len;
    do {
        at--;
    } while (at > 0 && ((unsigned char)text.data[at] & 0xC0) == 0x80);
    return at;
}

/* Two short words side by side, as MeCab cuts what does not exist (接定), whose border no visible text has. */
static bool never_together(struct corrector *corrector, struct mirai_str a, struct mirai_str b)
{
    unsigned len;
    if (a.data + a.len != b.data || a.len > 6 || b.len > 6 || first_class(a) < CHAR_HIRAGANA ||
        first_class(b) < CHAR_HIRAGANA) {
        return false;
    }
    utf8_decode(b.data, b.data + b.len, &len);
    struct mirai_buf *key = &corrector->scratch;
    key->len = 0;
    mirai_buf_append_char(key, TERMS_BIGRAM_MARK);
    mirai_buf_append(key, a.data + last_char(a), a.len - last_char(a));
    mirai_buf_append(key, b.data, len);
    const struct mirai_str keys[] = {mirai_buf_str(key)};
    return !viewer_finds(corrector->request->viewer, keys, 1, POSTINGS_BUDGET);
}

/* Runs of hiragana that nobody has converted: ぱすわーど. */
static void find_kana(struct corrector *corrector)
{
    struct mirai_str text = mirai_buf_str(&corrector->normal.text);
    unsigned len;
    for (size_t at = 0; at < text.len;) {
        size_t end = at;
        size_t chars = 0;
        for (; end < text.len; end += len, chars++) {
            uint32_t cp = utf8_decode(text.data + end, text.data + text.len, &len);
            if (char_class(cp) != CHAR_HIRAGANA && cp != 0x30FC) {
                break;
            }
        }
        if (chars >= 3) {
            add_unit(corrector, (struct mirai_str){text.data + at, end - at}, true);
        }
        utf8_decode(text.data + end, text.data + text.len + (end == text.len), &len);
        at = end == text.len ? end : end + len;
    }
}

static void find_units(struct corrector *corrector)
{
    const struct query *query = corrector->request->query;
    const struct query_term *before = NULL;
    for (size_t i = 0; i < query->terms_len; i++) {
        const struct query_term *term = &query->terms[i];
        if (term->view != ANALYZER_WORD || has_digit(term->text)) {
            continue;
        }
        if (before != NULL && never_together(corrector, before->text, term->text)) {
            struct mirai_str both = {before->text.data, before->text.len + term->text.len};
            add_unit(corrector, both, true);
        } else if (!is_seen(corrector, term) ||
                   (only_letters(term->text) && viewer_df(corrector->request->viewer, term->text) <= RARE)) {
            add_unit(corrector, term->text, false);
        }
        before = term;
    }
    if (corrector->request->total <= FEW_HITS) {
        find_kana(corrector);
    }
}

/* ------------------------------------------------------------------ what is meant */

/* How well a candidate fits: near, frequent, with the same characters. */
static double fitness(struct mirai_str typed, const struct lexicon_match *match)
{
    size_t shared = 0;
    size_t chars = 0;
    unsigned len;
    for (size_t at = 0; at < match->word.len; at += len, chars++) {
        utf8_decode(match->word.data + at, match->word.data + match->word.len, &len);
        shared += memmem(typed.data, typed.len, match->word.data + at, len) != NULL;
    }
    bool same_start = typed.len > 0 && match->word.data[0] == typed.data[0];
    return log(1 + (double)match->df) - 4.0 * match->distance + 4.0 * (double)shared / (double)chars +
           same_start;
}

/* The best of the candidates that exists where the principal may see it. */
static struct mirai_str choose(struct corrector *corrector, const struct unit *unit,
                               struct lexicon_match *matches, size_t count)
{
    const struct viewer *viewer = corrector->request->viewer;
    uint64_t df = unit->joined ? 0 : viewer_df(viewer, unit->text);
    for (size_t tried = 0; tried < count; tried++) {
        size_t best = tried;
        for (size_t i = tried + 1; i < count; i++) {
            best = fitness(unit->text, &matches[i]) > fitness(unit->text, &matches[best]) ? i : best;
        }
        struct lexicon_match match = matches[best];
        matches[best] = matches[tried];
        bool enough = df == 0 || match.df >= df * FAR_MORE;
        if (enough && !mirai_str_eq(match.word, unit->text) &&
            viewer_finds(viewer, &match.word, 1, POSTINGS_BUDGET)) {
            return mirai_arena_copy(corrector->arena, match.word);
        }
    }
    return (struct mirai_str){0};
}

static void read_key(struct corrector *corrector, struct mirai_str text)
{
    corrector->scratch.len = 0;
    corrector->key.len = 0;
    analyzer_reading(corrector->request->analyzer, text, &corrector->scratch);
    romaji_key(mirai_buf_str(&corrector->scratch), &corrector->key);
}

/* Edits that a key of this length may have. */
static unsigned edits(size_t len)
{
    return len < 5 ? 0 : len < 9 ? 1 : 2;
}

static struct mirai_str meant_by_letters(struct corrector *corrector, const struct unit *unit)
{
    struct lexicon_match matches[CANDIDATES_MAX];
    const struct lexicon *lexicon = corrector->request->lexicon;
    struct mirai_str word = {0};
    corrector->scratch.len = 0;
    if (romaji_to_kana(unit->text, &corrector->scratch)) { /* pasuwa-do */
        corrector->key.len = 0;
        romaji_key(unit->text, &corrector->key);
        size_t count = lexicon_near(lexicon, LEXICON_JAPANESE, mirai_buf_str(&corrector->key), 0, matches,
                                    CANDIDATES_MAX);
        word = choose(corrector, unit, matches, count);
    }
    if (word.len == 0 && only_letters(unit->text) && unit->text.len <= LEXICON_KEY_MAX) {
        unsigned most = unit->text.len < 8 ? 1 : 2;
        size_t count = lexicon_near(lexicon, LEXICON_LATIN, unit->text, most, matches, CANDIDATES_MAX);
        word = choose(corrector, unit, matches, count);
    }
    return word;
}

static struct mirai_str meant_by_reading(struct corrector *corrector, const struct unit *unit)
{
    struct lexicon_match matches[CANDIDATES_MAX];
    read_key(corrector, unit->text);
    struct mirai_str key = mirai_buf_str(&corrector->key);
    if (key.len == 0 || key.len > LEXICON_KEY_MAX) {
        return (struct mirai_str){0};
    }
    bool kana = first_class(unit->text) == CHAR_HIRAGANA;
    bool kanji = first_class(unit->text) == CHAR_HAN;
    /* hiragana is right or not converted; two kanji read alone are often read otherwise together */
    unsigned most = kana ? 0 : kanji && key.len >= 5 ? 2 : edits(key.len);
    size_t count =
        lexicon_near(corrector->request->lexicon, LEXICON_JAPANESE, key, most, matches, CANDIDATES_MAX);
    if (kanji) { /* then one of its characters must be right, unless it only was converted wrongly */
        size_t kept = 0;
        for (size_t i = 0; i < count; i++) {
            bool shares = fitness(unit->text, &matches[i]) >
                          log(1 + (double)matches[i].df) - 4.0 * matches[i].distance + 1.5;
            if (matches[i].distance == 0 || shares) {
                matches[kept++] = matches[i];
            }
        }
        count = kept;
    }
    return choose(corrector, unit, matches, count);
}

static struct mirai_str meant(struct corrector *corrector, const struct unit *unit)
{
    if (first_class(unit->text) != CHAR_LATIN) {
        return meant_by_reading(corrector, unit);
    }
    return unit->text.len >= SHORTEST_WORD ? meant_by_letters(corrector, unit) : (struct mirai_str){0};
}

/* ------------------------------------------------------------------ the query anew */

static bool place(struct corrector *corrector, struct mirai_str unit, struct change *change)
{
    struct mirai_str text = mirai_buf_str(&corrector->normal.text);
    const char *at = memmem(text.data, text.len, unit.data, unit.len);
    if (at == NULL) {
        return false;
    }
    size_t start = (size_t)(at - text.data);
    normalized_span(&corrector->normal, start, start + unit.len, &change->from, &change->to);
    return true;
}

static struct mirai_str rewrite(const struct corrector *corrector, struct change *changes, size_t count)
{
    struct mirai_str text = corrector->request->text;
    struct mirai_buf out = {0};
    size_t at = 0;
    for (size_t i = 1; i < count; i++) { /* by place */
        for (size_t j = i; j > 0 && changes[j - 1].from > changes[j].from; j--) {
            struct change swap = changes[j];
            changes[j] = changes[j - 1];
            changes[j - 1] = swap;
        }
    }
    for (size_t i = 0; i < count; i++) {
        if (changes[i].from < at) {
            continue; /* they overlap */
        }
        mirai_buf_append(&out, text.data + at, changes[i].from - at);
        mirai_buf_append_str(&out, changes[i].word);
        at = changes[i].to;
    }
    mirai_buf_append(&out, text.data + at, text.len - at);
    struct mirai_str made = mirai_arena_copy(corrector->arena, mirai_buf_str(&out));
    mirai_buf_free(&out);
    return made;
}

struct mirai_str correct_query(const struct correct_request *request, struct mirai_arena *arena)
{
    struct corrector corrector = {.request = request, .arena = arena};
    struct change changes[CHANGES_MAX];
    size_t count = 0;
    struct mirai_str made = {0};
    if (request->lexicon == NULL || request->text.len == 0 || request->text.len > QUERY_CHARS_MAX) {
        return made; /* a long text is no slip of the pen */
    }
    normalize(&corrector.normal, request->text, true);
    find_units(&corrector);
    for (size_t i = 0; i < corrector.units_len && count < CHANGES_MAX; i++) {
        changes[count].word = meant(&corrector, &corrector.units[i]);
        if (changes[count].word.len > 0 && place(&corrector, corrector.units[i].text, &changes[count])) {
            count++;
        }
    }
    if (count > 0) {
        made = rewrite(&corrector, changes, count);
    }
    normalized_free(&corrector.normal);
    mirai_buf_free(&corrector.key);
    mirai_buf_free(&corrector.scratch);
    return made;
}
