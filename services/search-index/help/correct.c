#include "services/search-index/help/correct.h"

#include "services/search-index/analyzer/romaji.h"

#include <math.h>

/* Words of a query that are looked at, and that are changed. */
#define UNITS_MAX       16
#define CHANGES_MAX     3

#define CANDIDATES_MAX  8
#define POSTINGS_BUDGET 2000

/* A query that found so much is not read as kana that were left unconverted. */
#define FEW_HITS 3

/* Where the spelling of a candidate is looked for. */
#define SPELLING_DOCS  3
#define SPELLING_BYTES 6000

/* Longest run of kanji that may be one word: four. */
#define KANJI_BYTES 12

/* Kanji that make no word are read one by one, and often otherwise than together. */
#define KANJI_EDITS 3

/* A word in so few documents, beside one that is so many times as frequent, is a slip that others made, too. */
#define RARE          2
#define FAR_MORE      100
#define SHORTEST_WORD 4 /* letters; shorter ones have too many neighbours */

/* A stretch of the query that may be misspelt. */
struct unit {
    struct mirai_str text; /* normalised */
    struct mirai_str key;  /* as the index would have it */
    bool joined;           /* no word: kanji that never stand together, kana that were not converted */
};

struct corrector {
    const struct correct_request *request;
    struct mirai_arena *arena;
    struct normalized normal; /* of the whole query, with the way back */
    struct unit units[UNITS_MAX];
    size_t units_len;
    struct mirai_buf key;
    struct mirai_buf scratch;
    struct normalized field; /* of a document */
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

static void add_unit(struct corrector *corrector, struct mirai_str text, struct mirai_str key, bool joined)
{
    for (size_t i = 0; i < corrector->units_len; i++) {
        struct mirai_str other = corrector->units[i].text;
        if (memmem(other.data, other.len, text.data, text.len) != NULL) {
            return; /* part of one that is looked at already */
        }
    }
    if (corrector->units_len < UNITS_MAX) {
        corrector->units[corrector->units_len++] = (struct unit){text, key, joined};
    }
}

/* The kanji around [start, end) of a text. */
static struct mirai_str kanji_run(struct mirai_str text, size_t start, size_t end)
{
    unsigned len;
    for (size_t at = start; at > 0; start = at) {
        do {
            at--;
        } while (at > 0 && ((unsigned char)text.data[at] & 0xC0) == 0x80);
        if (char_class(utf8_decode(text.data + at, text.data + text.len, &len)) != CHAR_HAN) {
            break;
        }
    }
    while (end < text.len &&
           char_class(utf8_decode(text.data + end, text.data + text.len, &len)) == CHAR_HAN) {
        end += len;
    }
    return (struct mirai_str){text.data + start, end - start};
}

static bool is_word(const struct query *query, struct mirai_str text)
{
    for (size_t i = 0; i < query->terms_len; i++) {
        if (query->terms[i].view == ANALYZER_WORD && mirai_str_eq(query->terms[i].text, text)) {
            return true;
        }
    }
    return false;
}

/* Kanji that no visible text has side by side and that make no word (接定 for 設定). */
static void find_kanji(struct corrector *corrector)
{
    const struct query *query = corrector->request->query;
    struct mirai_str text = mirai_buf_str(&corrector->normal.text);
    for (size_t i = 0; i < query->terms_len; i++) {
        const struct query_term *term = &query->terms[i];
        const char *at = memmem(text.data, text.len, term->text.data, term->text.len);
        if (term->view != ANALYZER_BIGRAM || term->text.len < 6 || at == NULL || is_seen(corrector, term)) {
            continue;
        }
        size_t start = (size_t)(at - text.data);
        struct mirai_str run = kanji_run(text, start, start + term->text.len);
        unsigned first;
        unsigned second;
        bool kanji = char_class(utf8_decode(at, text.data + text.len, &first)) == CHAR_HAN &&
                     char_class(utf8_decode(at + first, text.data + text.len, &second)) == CHAR_HAN;
        if (kanji && run.len <= KANJI_BYTES && !is_word(query, run)) {
            add_unit(corrector, run, run, true);
        }
    }
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
            struct mirai_str run = {text.data + at, end - at};
            add_unit(corrector, run, run, true);
        }
        utf8_decode(text.data + end, text.data + text.len + (end == text.len), &len);
        at = end == text.len ? end : end + len;
    }
}

static struct mirai_str term_key(const struct query_term *term)
{
    return term->alternatives[0].parts_len == 1 ? term->alternatives[0].parts[0].key : term->text;
}

static void find_units(struct corrector *corrector)
{
    const struct query *query = corrector->request->query;
    find_kanji(corrector);
    for (size_t i = 0; i < query->terms_len; i++) {
        const struct query_term *term = &query->terms[i];
        if (term->view != ANALYZER_WORD || has_digit(term->text)) {
            continue;
        }
        if (!is_seen(corrector, term) ||
            (only_letters(term->text) && viewer_df(corrector->request->viewer, term_key(term)) <= RARE)) {
            add_unit(corrector, term->text, term_key(term), false);
        }
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

/* A term of the index as a text spells it: the spelling that is nearest to what was typed. */
struct spelling {
    struct mirai_str term;
    struct mirai_str typed;
    struct mirai_str text; /* being analysed */
    struct mirai_str best; /* part of it */
    unsigned distance;
};

static void on_token(void *data, const struct analyzer_token *token)
{
    struct spelling *spelling = data;
    if (token->view != ANALYZER_WORD || !mirai_str_eq(token->term, spelling->term)) {
        return;
    }
    struct mirai_str word = {spelling->text.data + token->start, token->end - token->start};
    unsigned distance = lexicon_distance(spelling->typed, word, LEXICON_KEY_MAX);
    if (spelling->best.len == 0 || distance < spelling->distance) {
        spelling->best = word;
        spelling->distance = distance;
    }
}

/* How a document spells a term: empty when it stands too far behind. */
static struct mirai_str spelling_in(struct corrector *corrector, const struct segment_doc *doc,
                                    struct mirai_str term, struct mirai_str typed)
{
    struct index_text text;
    struct mirai_str made = {0};
    if (index_text(corrector->request->reader, doc->slot, doc->version, &text) != 0) {
        return made;
    }
    const struct mirai_str fields[] = {text.title, text.tags, text.summary,
                                       mirai_utf8_prefix(text.body, SPELLING_BYTES)};
    for (size_t i = 0; made.len == 0 && i < sizeof(fields) / sizeof(fields[0]); i++) {
        normalize(&corrector->field, fields[i], false);
        struct spelling spelling = {
            .term = term, .typed = typed, .text = mirai_buf_str(&corrector->field.text)};
        analyzer_run_text(corrector->request->analyzer, &corrector->field, on_token, &spelling);
        made = mirai_arena_copy(corrector->arena, spelling.best);
    }
    return made;
}

/* Slips that a word of letters may have. */
static unsigned letter_edits(struct mirai_str word)
{
    return word.len < 8 ? 1 : 2;
}

/* A candidate as it is written where the principal may see it; empty: nowhere. */
static struct mirai_str written(struct corrector *corrector, const struct unit *unit, struct mirai_str term)
{
    struct segment_doc docs[SPELLING_DOCS];
    size_t count = viewer_find(corrector->request->viewer, &term, 1, POSTINGS_BUDGET, docs, SPELLING_DOCS);
    for (size_t i = 0; i < count; i++) {
        struct mirai_str word = spelling_in(corrector, &docs[i], term, unit->text);
        unsigned most = letter_edits(unit->text);
        bool near = !only_letters(unit->text) || !only_letters(word) ||
                    lexicon_distance(unit->text, word, most) <= most;
        if (word.len > 0 && near && !mirai_str_eq(word, unit->text)) {
            return word;
        }
    }
    return (struct mirai_str){0};
}

/* The best of the candidates that exists where the principal may see it. */
static struct mirai_str choose(struct corrector *corrector, const struct unit *unit,
                               struct lexicon_match *matches, size_t count)
{
    uint64_t df = unit->joined ? 0 : viewer_df(corrector->request->viewer, unit->key);
    struct mirai_str word = {0};
    for (size_t tried = 0; tried < count && word.len == 0; tried++) {
        size_t best = tried;
        for (size_t i = tried + 1; i < count; i++) {
            best = fitness(unit->text, &matches[i]) > fitness(unit->text, &matches[best]) ? i : best;
        }
        struct lexicon_match match = matches[best];
        matches[best] = matches[tried];
        bool enough = df <= RARE && match.df >= df * FAR_MORE;
        /* a word that only others may see is one that does not exist */
        bool hidden = df > 0 && !viewer_finds(corrector->request->viewer, &unit->key, 1, POSTINGS_BUDGET);
        if ((enough || hidden) && !mirai_str_eq(match.word, unit->key)) {
            word = written(corrector, unit, match.word);
        }
    }
    return word;
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

static struct mirai_str nearest(struct corrector *corrector, const struct unit *unit,
                                const struct lexicon_query *query)
{
    struct lexicon_match matches[CANDIDATES_MAX];
    if (query->key.len == 0 || query->key.len > LEXICON_KEY_MAX) {
        return (struct mirai_str){0};
    }
    size_t count = lexicon_near(corrector->request->lexicon, query, matches, CANDIDATES_MAX);
    return choose(corrector, unit, matches, count);
}

static struct mirai_str meant_by_letters(struct corrector *corrector, const struct unit *unit)
{
    struct mirai_str word = {0};
    corrector->scratch.len = 0;
    if (romaji_to_kana(unit->text, &corrector->scratch)) { /* pasuwa-do */
        corrector->key.len = 0;
        romaji_key(unit->text, &corrector->key);
        const struct lexicon_query query = {.script = LEXICON_JAPANESE,
                                            .key = mirai_buf_str(&corrector->key)};
        word = nearest(corrector, unit, &query);
    }
    if (word.len == 0 && only_letters(unit->text)) {
        /* a slip may change how a word is stemmed; `written` compares the words */
        const struct lexicon_query query = {
            .script = LEXICON_LATIN, .key = unit->key, .most = letter_edits(unit->text) + 1};
        word = nearest(corrector, unit, &query);
    }
    return word;
}

static struct mirai_str meant_by_reading(struct corrector *corrector, const struct unit *unit)
{
    enum char_class class = first_class(unit->text);
    read_key(corrector, unit->text);
    struct lexicon_query query = {.script = LEXICON_JAPANESE, .key = mirai_buf_str(&corrector->key)};
    if (class == CHAR_HAN) {
        /* a word is one, and wrong only if another is read like it */
        query.like = unit->joined ? unit->text : query.like;
        query.most = unit->joined ? KANJI_EDITS : 0;
    } else if (class == CHAR_KATAKANA) {
        query.most = edits(query.key.len);
    } /* hiragana is right, or only not converted */
    return nearest(corrector, unit, &query);
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
    normalized_free(&corrector.field);
    return made;
}
