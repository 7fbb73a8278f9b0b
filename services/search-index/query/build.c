#include "services/search-index/query/build.h"

#include "services/search-index/terms.h"

/* Summing the views. Tuned as the numbers in terms.c. Latin words have no bigrams beside them, and would be too light;
 * pairs of hiragana and another character are often an ending and its stem's last character. */
#define WEIGHT_WORD         1.0
#define WEIGHT_LATIN_WORD   1.6
#define WEIGHT_BIGRAM       0.35
#define WEIGHT_MIXED_BIGRAM 0.21

/* Positions count the characters that are not breaks, as in texts. */
static void count_positions(struct build *build)
{
    const char *end = build->text.data + build->text.len;
    uint32_t position = 0;
    build->positions = mirai_arena_alloc(build->arena, (build->text.len + 1) * sizeof(build->positions[0]));
    for (size_t at = 0; at < build->text.len;) {
        unsigned len;
        uint32_t cp = utf8_decode(build->text.data + at, end, &len);
        for (unsigned i = 0; i < len && at < build->text.len; i++) {
            build->positions[at++] = position;
        }
        position += char_class(cp) != CHAR_BREAK;
    }
    build->positions[build->text.len] = position;
}

static enum char_class class_at(struct mirai_str text, size_t at)
{
    unsigned len;
    return char_class(utf8_decode(text.data + at, text.data + text.len, &len));
}

static enum char_class class_before(struct mirai_str text, size_t at)
{
    do {
        at--;
    } while (at > 0 && ((unsigned char)text.data[at] & 0xC0) == 0x80);
    return class_at(text, at);
}

static struct query_part make_part(struct build *build, const struct analyzer_token *token)
{
    struct mirai_buf key = {0};
    terms_append_key(&key, token);
    struct query_part part = {.key = mirai_arena_copy(build->arena, mirai_buf_str(&key)),
                              .offset = build->positions[token->start]};
    mirai_buf_free(&key);
    unsigned len;
    utf8_decode(token->term.data, token->term.data + token->term.len, &len);
    /* one character: any pair that it begins */
    part.prefix = token->view == ANALYZER_BIGRAM && len == token->term.len;
    return part;
}

/* The last character of a longer run: anything may follow it in a text, and the pair before it has said as much. */
static bool is_run_end(const struct build *build, const struct analyzer_token *token, bool single)
{
    return single && token->start > 0 && class_before(build->text, token->start) >= CHAR_HIRAGANA;
}

void build_mark(struct build *build, struct mirai_str mark)
{
    struct query *query = build->query;
    for (size_t i = 0; i < query->marks_len; i++) {
        if (mirai_str_eq(query->marks[i], mark)) {
            return;
        }
    }
    if (query->marks_len < QUERY_MARKS_MAX && mark.len > 0) {
        query->marks[query->marks_len++] = mark;
    }
}

static bool is_known(const struct query *query, struct mirai_str key)
{
    for (size_t i = 0; i < query->terms_len; i++) {
        if (mirai_str_eq(query->terms[i].alternatives[0].parts[0].key, key)) {
            return true;
        }
    }
    return false;
}

static double weight_of(const struct build *build, const struct analyzer_token *token)
{
    enum char_class first = class_at(build->text, token->start);
    if (token->view == ANALYZER_WORD) {
        return first == CHAR_LATIN ? WEIGHT_LATIN_WORD : WEIGHT_WORD;
    }
    enum char_class last = class_before(build->text, token->end);
    return (first == CHAR_HIRAGANA) != (last == CHAR_HIRAGANA) ? WEIGHT_MIXED_BIGRAM : WEIGHT_BIGRAM;
}

static void add_term(struct build *build, const struct analyzer_token *token)
{
    struct query *query = build->query;
    struct mirai_str typed = {build->text.data + token->start, token->end - token->start};
    if (build->counts[token->view] == QUERY_TERMS_MAX) {
        build->cut = true;
        return;
    }
    struct query_part *part = mirai_arena_alloc(build->arena, sizeof(*part));
    *part = make_part(build, token);
    if (is_run_end(build, token, part->prefix) || is_known(query, part->key)) {
        return;
    }
    uint32_t position = part->offset;
    part->offset = 0;
    struct query_alternative *alternative = mirai_arena_alloc(build->arena, sizeof(*alternative));
    *alternative = (struct query_alternative){.parts = part, .parts_len = 1, .weight = 1, .text = typed};
    build->counts[token->view]++;
    query->terms[query->terms_len++] = (struct query_term){.alternatives = alternative,
                                                           .alternatives_len = 1,
                                                           .view = token->view,
                                                           .weight = weight_of(build, token),
                                                           .position = position,
                                                           .text = typed};
    if (token->view == ANALYZER_WORD) {
        build_mark(build, typed);
        build_mark(build, mirai_arena_copy(build->arena, token->term));
    }
}

/* Phrases are strings, and where MeCab cuts depends on what stands around: bigrams are surer than words, where there
 * are any. */
static bool fits_phrase(const struct build *build, const struct analyzer_token *token, bool single)
{
    enum char_class class = class_at(build->text, token->start);
    if (token->view == ANALYZER_WORD) {
        return class == CHAR_LATIN;
    }
    return !is_run_end(build, token, single);
}

static void add_part(struct build *build, const struct analyzer_token *token)
{
    struct query_phrase *phrase = build->phrase;
    struct query_part part = make_part(build, token);
    if (phrase->parts_len < QUERY_PARTS_MAX && fits_phrase(build, token, part.prefix)) {
        phrase->parts[phrase->parts_len++] = part;
    }
}

static void on_token(void *data, const struct analyzer_token *token)
{
    struct build *build = data;
    if (build->phrase == NULL) {
        add_term(build, token);
    } else {
        add_part(build, token);
    }
}

/* Whether a part stands at this position of the text. */
static bool is_covered(const struct query_phrase *phrase, uint32_t position)
{
    for (size_t i = 0; i < phrase->parts_len; i++) {
        if (phrase->parts[i].offset == position) {
            return true;
        }
    }
    return false;
}

/* Whether the parts say as much as the text: they do not where stems stand for words, nor between hiragana. */
static bool is_exact(const struct build *build, const struct query_phrase *phrase)
{
    struct mirai_str text = build->text;
    enum char_class before = CHAR_BREAK;
    unsigned len;
    for (size_t at = 0; at < text.len; at += len) {
        enum char_class class = char_class(utf8_decode(text.data + at, text.data + text.len, &len));
        bool begins = class == CHAR_LATIN && before != CHAR_LATIN;
        bool letter = class == CHAR_LATIN && (text.data[at] < '0' || text.data[at] > '9');
        bool last = at + len == text.len || class_at(text, at + len) < CHAR_HIRAGANA;
        bool within = class >= CHAR_HIRAGANA && last && before >= CHAR_HIRAGANA; /* the pair before has it */
        if (letter ||
            ((begins || (class >= CHAR_HIRAGANA && !within)) && !is_covered(phrase, build->positions[at]))) {
            return false;
        }
        before = class;
    }
    return phrase->parts_len > 0;
}

static void analyze(struct build *build, struct mirai_str text, struct query_phrase *phrase)
{
    build->text = text;
    build->phrase = phrase;
    count_positions(build);
    analyzer_run(build->analyzer, text, on_token, build);
}

void build_terms(struct build *build, struct mirai_str text)
{
    analyze(build, text, NULL);
}

struct query_phrase build_phrase(struct build *build, struct mirai_str text)
{
    struct query_phrase phrase = {.text = text};
    phrase.parts = mirai_arena_alloc(build->arena, QUERY_PARTS_MAX * sizeof(phrase.parts[0]));
    analyze(build, text, &phrase);
    phrase.exact = is_exact(build, &phrase);
    /* the least position first, and all counted from it */
    for (size_t i = 1; i < phrase.parts_len; i++) {
        struct query_part part = phrase.parts[i];
        size_t at = i;
        for (; at > 0 && phrase.parts[at - 1].offset > part.offset; at--) {
            phrase.parts[at] = phrase.parts[at - 1];
        }
        phrase.parts[at] = part;
    }
    uint32_t first = phrase.parts_len > 0 ? phrase.parts[0].offset : 0;
    for (size_t i = 0; i < phrase.parts_len; i++) {
        phrase.parts[i].offset -= first;
    }
    return phrase;
}

/* ------------------------------------------------------------------ vocabulary */

static void fill_alternative(struct build *build, const struct vocabulary_phrase *phrase,
                             struct query_alternative *to)
{
    size_t count = phrase->parts_len < QUERY_PARTS_MAX ? phrase->parts_len : QUERY_PARTS_MAX;
    struct query_part *parts = mirai_arena_alloc(build->arena, (count + 1) * sizeof(parts[0]));
    for (size_t i = 0; i < count; i++) {
        parts[i] = (struct query_part){.key = phrase->parts[i].key, .offset = phrase->parts[i].offset};
    }
    *to = (struct query_alternative){.parts = parts,
                                     .parts_len = count,
                                     .weight = phrase->weight,
                                     .text = mirai_arena_copy(build->arena, phrase->text),
                                     .synonym = phrase->synonym};
    build_mark(build, to->text);
}

/* The term that was made of just this word; or a new one for several words. NULL: there are too many. */
static struct query_term *term_for(struct build *build, const struct vocabulary_match *match)
{
    struct query *query = build->query;
    struct mirai_str typed = {build->text.data + match->start, match->end - match->start};
    for (size_t i = 0; i < query->terms_len; i++) {
        struct query_term *term = &query->terms[i];
        if (term->view == ANALYZER_WORD && mirai_str_eq(term->text, typed)) {
            return term;
        }
    }
    if (build->counts[ANALYZER_WORD] == QUERY_TERMS_MAX) {
        build->cut = true;
        return NULL;
    }
    build->counts[ANALYZER_WORD]++;
    struct query_term *term = &query->terms[query->terms_len++];
    *term = (struct query_term){.view = ANALYZER_WORD,
                                .weight = WEIGHT_WORD,
                                .position = build->positions[match->start],
                                .text = typed};
    return term;
}

static void on_match(void *data, const struct vocabulary_match *match)
{
    struct build *build = data;
    struct query_term *term = match->phrases_len > 0 ? term_for(build, match) : NULL;
    if (term == NULL) {
        return;
    }
    struct query_alternative *all =
        mirai_arena_alloc(build->arena, QUERY_ALTERNATIVES_MAX * sizeof(struct query_alternative));
    size_t count = term->alternatives_len;
    if (count > 0) {
        memcpy(all, term->alternatives, count * sizeof(all[0]));
    }
    bool typed = count > 0; /* the word itself is there */
    for (size_t i = 0; i < match->phrases_len && count < QUERY_ALTERNATIVES_MAX; i++) {
        const struct vocabulary_phrase *phrase = &match->phrases[i];
        if (phrase->parts_len > 0 && (phrase->synonym || !typed || phrase->parts_len > 1)) {
            fill_alternative(build, phrase, &all[count++]);
        }
    }
    term->alternatives = all;
    term->alternatives_len = count;
    if (count == 0) { /* only a new term can be without any, and that is the last one */
        build->query->terms_len--;
        build->counts[ANALYZER_WORD]--;
    }
}

void build_vocabulary(struct build *build, const struct vocabulary_snapshot *vocabulary,
                      struct mirai_str text)
{
    if (vocabulary != NULL && text.len > 0) {
        build->text = text;
        count_positions(build);
        vocabulary_expand(vocabulary, build->analyzer, text, on_match, build);
    }
}
